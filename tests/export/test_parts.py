"""Forms of the attention, resizing, NMS outside a graph."""

import numpy as np
import pytest
import torch
from mmcv.ops import batched_nms
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmca.errors import UserError
from mmca.export import ExportMetadata, prepare
from mmca.export.forms import AttentionForm, Form, form_for
from mmca.export.model import classes_of
from mmca.export.nms import suppress
from mmca.export.resizing import resizing_of
from mmca.export.targets import TARGETS, require
from mmca.models import CoordinateAttention
from mmca.version import __version__


def metadata(**changed) -> ExportMetadata:
    settings = dict(
        task='classification',
        target='onnx',
        input_name='images',
        input_layout='NHWC',
        output_names=('scores',),
        size=(32, 48),
        dynamic=True,
        batch=1,
        classes=('a', 'b'),
        palette=(),
        mean=(1.0, 2.0, 3.0),
        std=(1.0, 1.0, 1.0),
        channel_order='bgr',
        to_rgb=True,
        preprocessing=True,
        resize=(),
        nms={},
        config='c.py',
        config_hash='0',
        mmca_version=__version__,
    )
    return ExportMetadata(**{**settings, **changed})


@pytest.mark.parametrize('axes', ['hw', 'h', 'w'])
@pytest.mark.parametrize(
    'form',
    [
        Form('windows', 'in_turn'),
        Form('means', 'in_turn'),
        Form('means', 'multiplied'),
        Form('windows', 'spread', aligned=True),
    ],
)
def test_forms_compute_the_reference(axes, form):
    torch.manual_seed(0)
    attention = CoordinateAttention(16, axes=axes).eval()
    torch.nn.init.normal_(attention.bn1.running_mean)
    torch.nn.init.uniform_(attention.bn1.running_var, 0.5, 2)
    written = AttentionForm(attention, form).eval()
    for size in ((7, 5), (1, 9), (12, 12)):
        x = torch.randn(2, 16, *size)
        torch.testing.assert_close(written(x), attention.reference(x), rtol=1e-5, atol=1e-6)


def test_a_file_of_any_size_has_no_size_in_its_attention():
    for target in TARGETS:
        assert not form_for(target, fixed=False).fixed


def test_metadata_survive_json():
    known = metadata(resize=({'type': 'Resize', 'scale': [64, 64]},), palette=((1, 2, 3),))
    assert ExportMetadata.from_json(known.to_json(), 'x') == known
    for text in ('', '[]', '{}', '{"task": "x"}'):
        with pytest.raises(UserError, match='x.json: its metadata cannot be read'):
            ExportMetadata.from_json(text, 'x.json')


@pytest.mark.parametrize(
    'pipeline',
    [
        [dict(type='Resize', scale=(96, 64), keep_ratio=False)],
        [dict(type='Resize', scale=(96, 64), keep_ratio=True)],
        [
            dict(type='mmpretrain.ResizeEdge', scale=72, edge='short', backend='pillow'),
            dict(type='CenterCrop', crop_size=56),
        ],
    ],
)
@pytest.mark.parametrize('size', [(101, 77), (60, 133)])
def test_prepare_resizes_as_the_test_pipeline(pipeline, size):
    import mmpretrain.datasets  # noqa: F401

    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        wanted = Compose(pipeline)(dict(img=image, img_shape=size))['img']
    got = prepare(image, metadata(resize=resizing_of(pipeline)))
    np.testing.assert_array_equal(got, wanted)


def test_prepare_stretches_to_a_fixed_size():
    image = np.zeros((100, 60, 3), np.uint8)
    assert prepare(image, metadata(dynamic=False)).shape == (32, 48, 3)
    assert prepare(image, metadata()).shape == (100, 60, 3)
    with pytest.raises(UserError, match='give uint8'):
        prepare(image[:, :, 0], metadata())


def test_nms_is_that_of_mmcv():
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 80, (300, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(5, 40, (300, 2))], 1).astype(np.float32)
    scores = rng.uniform(0, 1, (300, 4)).astype(np.float32)
    got = suppress(boxes, scores, score_thr=0.6, iou_threshold=0.5, max_per_img=50)
    places = np.argwhere(scores > 0.6)
    chosen = [torch.from_numpy(v) for v in (boxes[places[:, 0]], scores[tuple(places.T)])]
    nms = dict(type='nms', iou_threshold=0.5)
    found, kept = batched_nms(*chosen, torch.from_numpy(places[:, 1]), nms)
    np.testing.assert_array_equal(got['boxes'], found[:50, :4].numpy())
    np.testing.assert_array_equal(got['labels'], places[kept[:50].numpy(), 1])
    few = suppress(boxes[:1], scores[:1], score_thr=0.0, iou_threshold=0.5, max_per_img=6)
    assert few['labels'].tolist().count(-1) == 2 and (few['scores'][4:] == 0).all()


def test_a_runtime_that_is_not_there_is_one_line():
    with pytest.raises(UserError, match=r'pip install "mmca\[ncnn\]"$'):
        require('mmca_no_such_runtime', 'ncnn')


@pytest.mark.parametrize('joined', [False, True], ids=['one dataset', 'several in one'])
def test_classes_are_those_of_the_checkpoint(joined):
    """Trained on mmdet's ConcatDataset, VOC's two years for instance, it has a list of them."""
    meta = dict(classes=('cell', 'platelet'), palette=[(1, 2, 3), (4, 5, 6)])
    checkpoint = dict(meta=dict(dataset_meta=[meta, meta] if joined else meta))
    cfg = Config(dict(model=dict(head=dict(num_classes=2))))
    assert classes_of(cfg, checkpoint) == (meta['classes'], meta['palette'])
