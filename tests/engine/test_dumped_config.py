"""The config in the work dir, and the one in a checkpoint, is the user's.

The inference of mmseg, mmdet and mmpretrain works with either.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config

from helpers.tools import run_tool
from mmca.checkpoint import load_file

pytestmark = pytest.mark.slow


def in_work_dir(work_dir: Path, checkpoint: Path) -> str:
    """As a user names it: the path."""
    [path] = work_dir.glob('*.py')
    return str(path)


def in_checkpoint(work_dir: Path, checkpoint: Path) -> Config:
    return Config.fromstring(load_file(checkpoint)['meta']['cfg'], '.py')


either_source = pytest.mark.parametrize('source', [in_work_dir, in_checkpoint])


@either_source
def test_mmseg_predicts(trained, sample_voc, source):
    from mmseg.apis import MMSegInferencer, inference_model, init_model

    checkpoint = trained.work_dir / 'iter_12.pth'
    config = source(trained.work_dir, checkpoint)
    image = str(sample_voc / 'JPEGImages/val_00001.jpg')
    inferencer = MMSegInferencer(config, str(checkpoint), device='cpu')
    labels = inferencer(image)['predictions']
    assert labels.shape == (64, 64)
    assert 0 <= labels.min() <= labels.max() < 21

    found = inference_model(init_model(config, str(checkpoint), device='cpu'), image)
    assert np.array_equal(found.pred_sem_seg.data[0].numpy(), labels)


@either_source
def test_mmdet_predicts(trained_detector, sample_voc, source):
    from mmdet.apis import DetInferencer, inference_detector, init_detector

    checkpoint = trained_detector.work_dir / 'epoch_1.pth'
    config = source(trained_detector.work_dir, checkpoint)
    image = str(sample_voc / 'JPEGImages/val_00001.jpg')
    inferencer = DetInferencer(config, str(checkpoint), device='cpu', show_progress=False)
    [found] = inferencer(image)['predictions']
    assert len(found['scores']) == 5
    assert np.isfinite(found['bboxes']).all()

    detector = init_detector(config, str(checkpoint), device='cpu')
    boxes = inference_detector(detector, image).pred_instances.bboxes
    assert np.allclose(boxes.numpy(), found['bboxes'])


@either_source
def test_mmpretrain_predicts(trained_classifier, source):
    from mmpretrain import ImageClassificationInferencer

    checkpoint = trained_classifier.work_dir / 'epoch_1.pth'
    config = source(trained_classifier.work_dir, checkpoint)
    image = str(trained_classifier.config.parent / 'images/class0/0.png')
    inferencer = ImageClassificationInferencer(config, pretrained=str(checkpoint), device='cpu')
    [found] = inferencer(image)
    assert found['pred_class'] in ('class0', 'class1')
    assert found['pred_scores'].sum() == pytest.approx(1)


def test_a_checkpoint_alone_is_enough_for_mmdet(trained_detector, sample_voc):
    from mmdet.apis import DetInferencer

    checkpoint = trained_detector.work_dir / 'epoch_1.pth'
    inferencer = DetInferencer(weights=str(checkpoint), device='cpu', show_progress=False)
    [found] = inferencer(str(sample_voc / 'JPEGImages/val_00001.jpg'))['predictions']
    assert len(found['scores']) == 5


@pytest.mark.skipif(torch.cuda.is_available(), reason='is about a machine without a GPU')
def test_what_a_machine_without_a_gpu_lacks_stays_in_the_config(tiny_config, tmp_path):
    options = ['--cfg-options', 'train_cfg.max_iters=2']
    outcome = run_tool('train', tiny_config, '--work-dir', tmp_path, '--amp', *options)
    assert outcome.code == 0, outcome.output
    assert 'No GPU found: batch norm is not synchronised' in outcome.output
    [drawn] = tmp_path.glob('*/vis_data/config.py')
    configs = [Config.fromfile(path) for path in (tmp_path / 'tiny.py', drawn)]
    for cfg in [*configs, in_checkpoint(tmp_path, tmp_path / 'iter_2.pth')]:
        assert cfg.sync_bn == 'torch'
        assert cfg.optim_wrapper.type == 'AmpOptimWrapper'
        assert cfg.optim_wrapper.loss_scale == 'dynamic'
        assert cfg.train_cfg.max_iters == 2


def test_a_test_with_augmentation_leaves_the_plain_model_in_the_config(
    tiny_config, trained, tmp_path
):
    checkpoint = trained.work_dir / 'iter_12.pth'
    outcome = run_tool('test', tiny_config, checkpoint, '--tta', '--work-dir', tmp_path)
    assert outcome.code == 0, outcome.output
    cfg = Config.fromfile(tmp_path / 'tiny.py')
    assert cfg.model.type == 'EncoderDecoder'
    assert cfg.test_dataloader.dataset.pipeline == cfg.val_dataloader.dataset.pipeline
