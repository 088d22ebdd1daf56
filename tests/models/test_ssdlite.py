"""SSDLite320 against numbers from the authors' code: sizes, priors, targets, losses, boxes."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmengine.structures import InstanceData

import mmca.models.dense_heads  # noqa: F401  as custom_imports does
from helpers.golden import DATA
from helpers.tools import ROOT

LEVELS = [(20, 20), (10, 10), (5, 5), (3, 3), (2, 2), (1, 1)]
METAS = [dict(img_shape=(320, 320), pad_shape=(320, 320))] * 2
# Relative corners, and labels from 1 on.
TRUTH = [
    ([[0.10, 0.20, 0.55, 0.70], [0.40, 0.05, 0.62, 0.30], [0.05, 0.60, 0.30, 0.95]], [3, 17, 1]),
    ([[0.3, 0.3, 0.9, 0.95]], [20]),
]


def build(name: str, **backbone: object) -> torch.nn.Module:
    cfg = Config.fromfile(ROOT / f'configs/_base_/models/ssdlite320_{name}.py')
    cfg.model.backbone.update(backbone)
    with DefaultScope.overwrite_default_scope('mmdet'):
        return MODELS.build(cfg.model).eval()


@pytest.fixture(scope='module', params=['coco', 'voc'])
def data(request) -> str:
    return request.param


@pytest.fixture(scope='module')
def head(data) -> torch.nn.Module:
    return build(f'mbv2_{data}').bbox_head


@pytest.fixture(scope='module')
def golden(data) -> dict:
    """The authors' values, and the predictions that they belong to."""
    values = np.load(DATA / 'ssdlite320_losses.npz')
    rng = np.random.default_rng(11)
    drawn = {}
    for name, outputs in (('coco', 81), ('voc', 21)):
        count = values[f'{name}.labels'].shape[1]
        scores = torch.from_numpy(rng.standard_normal((2, count, outputs), dtype=np.float32))
        deltas = torch.from_numpy(rng.standard_normal((2, count, 4), dtype=np.float32)) * 0.5
        drawn[name] = dict(scores=scores, deltas=deltas)
    if data == 'voc':  # the authors put the background first, mmdet last
        drawn['voc']['scores'] = drawn['voc']['scores'].roll(-1, dims=-1)
    own = {k.split('.')[1]: torch.from_numpy(values[k]) for k in values if k.startswith(data)}
    return drawn[data] | own


def truth() -> list[InstanceData]:
    return [
        InstanceData(bboxes=torch.tensor(boxes) * 320, labels=torch.tensor(labels) - 1)
        for boxes, labels in TRUTH
    ]


def by_level(values: torch.Tensor, head: torch.nn.Module) -> list[torch.Tensor]:
    """(N, priors, K) as the head's maps (N, priors of a place * K, H, W)."""
    counts = [h * w * n for (h, w), n in zip(LEVELS, head.num_base_priors, strict=True)]
    parts = values.split(counts, dim=1)
    return [
        part.reshape(2, h, w, -1).permute(0, 3, 1, 2)
        for part, (h, w) in zip(parts, LEVELS, strict=True)
    ]


@pytest.mark.parametrize(
    'name, attention, parameters',
    [
        ('mbv2_coco', None, 4_304_138),
        ('mnext_coco', None, 4_539_418),
        ('mbv2_voc', None, 3_425_988),
        ('mnext_voc', None, 3_476_308),
        ('mbv2_coco', dict(type='mmca.SqueezeExcitation', reduction=24), 4_687_474),
        ('mbv2_coco', dict(type='mmca.CoordinateAttention', reduction=32), 4_749_914),
    ],
)
def test_parameters_and_shapes(name, attention, parameters):
    """Published: 4.3 M (MobileNetV2), 4.4 (MobileNeXt), 4.7 (SE), 4.8 (CA), all of COCO.

    The VOC table prints COCO's sizes, though 21 outputs in place of 81 need fewer parameters.
    MobileNeXt's count is that of the authors' code, which their table does not print.
    """
    model = build(name, attention=attention)
    assert sum(p.numel() for p in model.parameters()) == parameters
    with torch.no_grad():
        scores, deltas = model(torch.randn(1, 3, 320, 320), mode='tensor')
    outputs = model.bbox_head.num_classes + 1
    priors = model.bbox_head.num_base_priors
    assert [s.shape[1:] for s in scores] == [(n * outputs, *hw) for n, hw in zip(priors, LEVELS)]
    assert [d.shape[1:] for d in deltas] == [(n * 4, *hw) for n, hw in zip(priors, LEVELS)]


def test_priors(head, data):
    priors = torch.cat(head.prior_generator.grid_priors(LEVELS, device='cpu')) / 320
    centred = torch.cat([(priors[:, :2] + priors[:, 2:]) / 2, priors[:, 2:] - priors[:, :2]], dim=1)
    expected = torch.from_numpy(np.load(DATA / f'ssdlite320_priors_{data}.npz')['cxcywh'])
    assert len(expected) == {'coco': 3232, 'voc': 3234}[data]
    torch.testing.assert_close(centred, expected, atol=1e-6, rtol=0)


def test_matching_and_encoding(head, golden):
    priors, valid = head.get_anchors(LEVELS, METAS, device='cpu')
    labels, _, targets, *_ = head.get_targets(priors, valid, truth(), METAS)
    labels = torch.cat(labels, dim=-1).view(2, -1)
    ours = torch.where(labels == head.num_classes, 0, labels + 1)
    assert torch.equal(ours, golden['labels'].long())
    positive = ours > 0
    targets = torch.cat(targets, dim=-2).view(2, -1, 4)
    torch.testing.assert_close(targets[positive], golden['targets'][positive], atol=1e-5, rtol=1e-4)


def test_losses(head, golden):
    losses = head.loss_by_feat(
        by_level(golden['scores'], head), by_level(golden['deltas'], head), truth(), METAS
    )
    torch.testing.assert_close(sum(losses['loss_cls'])[0], golden['cls_loss'], rtol=1e-4, atol=0)
    torch.testing.assert_close(sum(losses['loss_bbox']), golden['reg_loss'], rtol=1e-4, atol=0)


def test_decoding(head, golden):
    priors = torch.cat(head.prior_generator.grid_priors(LEVELS, device='cpu'))
    boxes = torch.stack([head.bbox_coder.decode(priors, deltas) for deltas in golden['deltas']])
    expected = golden['decoded_corner_first100']
    torch.testing.assert_close(boxes[:, :100] / 320, expected, atol=1e-5, rtol=0)


def test_background_is_never_predicted(head, golden, data):
    """The best class of each prior, also where the background's output is by far the highest."""
    scores = golden['scores'].clone()
    scores[..., -1] = 20 if data == 'coco' else -20
    results = head.predict_by_feat(
        by_level(scores, head),
        by_level(golden['deltas'], head),
        batch_img_metas=[dict(img_shape=(320, 320), scale_factor=(1.0, 1.0))] * 2,
        rescale=True,
    )
    for result in results:
        assert len(result.labels) == 100  # max_per_img
        assert result.labels.max() < head.num_classes
        assert (result.scores[:-1] >= result.scores[1:]).all()


def test_start_of_the_focal_loss(data):
    """Probability 0.01 of each class, as in the authors' code; the depthwise ones alike."""
    model = build(f'mbv2_{data}')
    model.init_weights()
    biases = [m.bias for m in model.bbox_head.cls_convs.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(biases) == 11  # five levels of two, and the last of one
    expected = -4.59512 if data == 'coco' else 0.0
    for bias in biases:
        torch.testing.assert_close(bias, torch.full_like(bias, expected))
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert all(norm.weight.eq(1).all() for norm in norms)


def test_mobilenext_levels():
    """Levels are the features inside the blocks; the extra layers start from the output."""
    model = build('mnext_coco')
    features = model.backbone(torch.randn(1, 3, 320, 320))
    assert [f.shape[1:] for f in features] == [(576, 20, 20), (1280, 10, 10), (1280, 10, 10)]
    levels = model.neck(features)
    assert [level.shape[1] for level in levels] == [576, 1280, 512, 256, 256, 128]
    assert levels[1] is features[1]
    torch.testing.assert_close(levels[2], model.neck.extra_layers[0](features[2]))


def test_neck_names_a_wrong_option():
    from mmca.models import SSDLiteNeck

    with pytest.raises(ValueError, match='2 out_channels but 1 hidden_ratios'):
        SSDLiteNeck(1280, out_channels=(8, 8), hidden_ratios=(0.5,))
    with pytest.raises(ValueError, match="block='dense' is not one of 'inverted_residual'"):
        SSDLiteNeck(1280, block='dense')
