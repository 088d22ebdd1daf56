"""Further backbones: parameters, one training step and a validated batch of each base."""

import pytest
import torch
import torchvision

from helpers.tools import ROOT
from helpers.training_step import build, drawn_batch, train_and_validate
from mmca.checkpoint import CheckpointError
from mmca.models import MobileNetV3
from mmca.tables import find_run

CONFIGS = ROOT / 'configs'
# Millions that the published table prints for the quoted detectors.
QUOTED = {'mbv1': (5_211_850, 5.1), 'mbv3': (5_011_706, 5.0), 'mnasneta1': (4_898_592, 4.9)}


@pytest.mark.parametrize('name', QUOTED)
def test_quoted_detectors(name):
    parameters, published = QUOTED[name]
    model = build(CONFIGS / f'ssdlite320_{name}_coco.py')
    assert sum(p.numel() for p in model.parameters()) == parameters
    # MobileNetV1's 0.1 M are not explained.
    assert parameters / 1e6 == pytest.approx(published, abs=0.12 if name == 'mbv1' else 0.05)
    [predicted, _] = train_and_validate(model, drawn_batch('mmdet', 320))
    assert len(predicted.pred_instances) <= 100


@pytest.mark.parametrize('name', ['effnetb0se', 'effnetb0ca'])
def test_efficientnet_serves_all_tasks(name):
    batch = drawn_batch('mmpretrain', 64)
    predictions = train_and_validate(build(CONFIGS / f'{name}_imagenet.py'), batch)
    assert [p.pred_score.shape for p in predictions] == [(1000,)] * 2
    batch = drawn_batch('mmseg', 64)
    predictions = train_and_validate(build(CONFIGS / f'deeplabv3_{name}_voc.py'), batch)
    assert [p.pred_sem_seg.data.shape for p in predictions] == [(1, 64, 64)] * 2
    batch = drawn_batch('mmdet', 320)
    train_and_validate(build(CONFIGS / f'ssdlite320_{name}_coco.py'), batch)


@pytest.mark.parametrize('name', ['mbv1', 'mbv3', 'mnasneta1'])
def test_their_classifiers_train(name):
    model = build(CONFIGS / f'{name}_sample.py')
    train_and_validate(model, drawn_batch('mmpretrain', 64))


@pytest.mark.parametrize('row', find_run('attentions'), ids=lambda row: row.attention)
def test_compared_attentions_train_and_validate(row):
    """Each with its network of the comparison, on the sample's classes and on CIFAR-10's."""
    for name, classes in ((row.sample, 20), (row.config, 10)):
        batch = drawn_batch('mmpretrain', 64)
        predictions = train_and_validate(build(CONFIGS / f'{name}.py'), batch)
        assert [p.pred_score.shape for p in predictions] == [(classes,)] * 2


def test_mobilenet_v3_is_torchvisions_and_loads_its_weights_strictly(tmp_path):
    torch.manual_seed(0)
    theirs = torchvision.models.mobilenet_v3_large().eval()
    torch.save(theirs.state_dict(), tmp_path / 'theirs.pth')
    ours = MobileNetV3((12, 16), expanded_indices=(13,), pretrained=str(tmp_path / 'theirs.pth'))
    ours.init_weights()
    x = torch.randn(1, 3, 65, 96)
    with torch.no_grad():
        stride_16, expanded, last = ours.eval()(x)
        torch.testing.assert_close(last, theirs.features(x))
        torch.testing.assert_close(stride_16, theirs.features[:13](x))
        torch.testing.assert_close(expanded, theirs.features[13].block[0](stride_16))
    # A block with a shortcut.
    with torch.no_grad():
        shortcut = MobileNetV3((14,), expanded_indices=(14,)).eval()
        shortcut.load_state_dict(ours.state_dict())
        torch.testing.assert_close(shortcut(x)[1], theirs.features[:15](x))

    weights = theirs.state_dict()
    del weights['features.4.block.2.fc1.weight']
    torch.save(weights, tmp_path / 'theirs.pth')
    with pytest.raises(CheckpointError, match=r'missing: features\.4\.block\.2\.fc1\.weight'):
        ours.init_weights()


def test_mobilenet_v3_freezes():
    model = MobileNetV3(frozen_stages=3, norm_eval=True).train()
    frozen = {n.split('.')[1] for n, p in model.named_parameters() if not p.requires_grad}
    assert frozen == {'0', '1', '2', '3'}
    assert not any(m.training for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d))
    with pytest.raises(ValueError, match='expanded_indices=1 is not one of 2, 3'):
        MobileNetV3(expanded_indices=(1,))
