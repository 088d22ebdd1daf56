"""Predictions equal those of the inference of mmseg, mmdet and mmpretrain."""

import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

import mmca
from mmca.checkpoint import CheckpointError
from mmca.engine.libraries import prepare_libraries
from mmca.errors import UserError
from mmca.images.opening import BadImageError


@pytest.fixture(autouse=True)
def libraries():
    # Their inference loads checkpoints, too.
    prepare_libraries()
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        yield


@pytest.fixture(scope='module')
def segmenter(trained, tiny_config) -> mmca.Predictor:
    return mmca.Predictor(tiny_config, trained.work_dir / 'iter_12.pth', device='cpu')


@pytest.fixture(scope='module')
def scenes(sample_voc) -> list[Path]:
    return sorted((sample_voc / 'JPEGImages').glob('*.jpg'))[:5]


def checkpoint_of(run) -> Path:
    [path] = run.work_dir.glob('epoch_*.pth')
    return path


def test_masks_are_those_of_mmseg(segmenter, trained, tiny_config, scenes):
    from mmseg.apis import MMSegInferencer, inference_model, init_model

    model = init_model(str(tiny_config), str(trained.work_dir / 'iter_12.pth'), device='cpu')
    for scene in scenes:
        theirs = inference_model(model, str(scene)).pred_sem_seg.data[0].numpy()
        ours = segmenter(scene).class_map
        assert ours.dtype == np.uint8 and ours.shape == (64, 64)
        np.testing.assert_array_equal(ours, theirs)
    inferencer = MMSegInferencer(
        str(tiny_config), weights=str(trained.work_dir / 'iter_12.pth'), device='cpu'
    )
    found = inferencer([str(scene) for scene in scenes])['predictions']
    for ours, theirs in zip(segmenter(scenes), found, strict=True):
        np.testing.assert_array_equal(ours.class_map, theirs)


def test_boxes_are_those_of_mmdet(trained_detector, scenes):
    from mmdet.apis import DetInferencer, inference_detector, init_detector

    checkpoint = checkpoint_of(trained_detector)
    predictor = mmca.Predictor(trained_detector.config, checkpoint, device='cpu')
    model = init_detector(str(trained_detector.config), str(checkpoint), device='cpu')
    assert predictor.task == 'detection' and predictor.classes[:2] == ('aeroplane', 'bicycle')
    for scene, ours in zip(scenes, predictor(scenes), strict=True):
        theirs = inference_detector(model, str(scene)).pred_instances
        assert len(ours.boxes) == 5
        np.testing.assert_allclose(ours.boxes, theirs.bboxes.numpy(), atol=1e-3)
        np.testing.assert_allclose(ours.scores, theirs.scores.numpy(), atol=1e-5)
        np.testing.assert_array_equal(ours.labels, theirs.labels.numpy())
    inferencer = DetInferencer(str(trained_detector.config), str(checkpoint), device='cpu')
    inferencer.show_progress = False
    found = inferencer([str(scene) for scene in scenes])['predictions']
    for ours, theirs in zip(predictor(scenes), found, strict=True):
        np.testing.assert_allclose(ours.boxes, theirs['bboxes'], atol=1e-3)
        np.testing.assert_allclose(ours.scores, theirs['scores'], atol=1e-5)
        np.testing.assert_array_equal(ours.labels, theirs['labels'])


@pytest.mark.parametrize('preprocessor', ['in the model', 'in the config'])
def test_scores_are_those_of_mmpretrain(trained_classifier, tmp_path, preprocessor):
    from mmengine.registry import init_default_scope
    from mmpretrain import ImageClassificationInferencer

    init_default_scope('mmpretrain')  # theirs builds in the scope that was last in use
    checkpoint = checkpoint_of(trained_classifier)
    images = sorted(map(str, (trained_classifier.config.parent / 'images').rglob('*.png')))[:3]
    config = str(trained_classifier.config)
    if preprocessor == 'in the config':  # as mmpretrain's own configs have it
        cfg = Config.fromfile(config)
        cfg.data_preprocessor = cfg.model.pop('data_preprocessor')
        cfg.dump(config := str(tmp_path / 'top.py'))
    inferencer = ImageClassificationInferencer(config, str(checkpoint), device='cpu')
    predictor = mmca.Predictor(config, checkpoint, device='cpu')
    for ours, theirs in zip(predictor(images), inferencer(images), strict=True):
        np.testing.assert_allclose(ours.scores, theirs['pred_scores'], atol=1e-6)
        assert predictor.classes[ours.best(1)[0]] == theirs['pred_class']


def test_files_and_arrays_alone_and_in_batches_give_the_same(segmenter, scenes):
    """Also of different sizes, which make no batch."""
    arrays = [np.asarray(Image.open(scene).convert('RGB'))[:, :, ::-1] for scene in scenes]
    arrays[1] = arrays[1][:48]
    arrays[3] = np.repeat(arrays[3], 2, axis=1)
    together = segmenter([scenes[0], *arrays[1:]])
    assert [p.class_map.shape for p in together[:4]] == [(64, 64), (48, 64), (64, 64), (64, 128)]
    for array, prediction in zip(arrays, together, strict=True):
        np.testing.assert_array_equal(prediction.class_map, segmenter(array).class_map)
    grey = arrays[0][:, :, 1]
    same = segmenter(np.repeat(grey[:, :, None], 3, axis=2)).class_map
    np.testing.assert_array_equal(segmenter(grey).class_map, same)


def test_large_pictures_are_reduced_for_the_network_alone(trained, tiny_config, scenes):
    limited = mmca.Predictor(
        tiny_config,
        trained.work_dir / 'iter_12.pth',
        device='cpu',
        batch_size=8,
        max_pixels=64 * 64,
    )
    large = np.repeat(np.repeat(limited.read(scenes[0]), 5, axis=0), 4, axis=1)
    item = limited.prepare(large)
    assert item.prepared.shape == (71, 57) and item.shape == (71, 57)
    [prediction] = limited.predict([item])
    assert prediction.class_map.shape == (320, 256)
    assert limited.batch_of((64, 64)) == 1 and limited.batch_of((32, 32)) == 4


@pytest.mark.parametrize(
    ('image', 'message'),
    [
        (np.zeros((4, 4, 3), np.float32), r'shape \(4, 4, 3\) and type float32; give \(H, W, 3\)'),
        (np.zeros((4, 4, 4), np.uint8), 'of 4 channels; give 3'),
        (np.zeros((0, 4, 3), np.uint8), r'shape \(0, 4, 3\)'),
    ],
)
def test_arrays_of_another_kind_are_refused(segmenter, image, message):
    with pytest.raises(UserError, match=message):
        segmenter(image)


def test_files_that_are_no_images_are_named(segmenter, tmp_path):
    path = tmp_path / 'a.jpg'
    path.write_text('hello')
    with pytest.raises(BadImageError, match=f"{path}: cannot be decoded .* begins with b'hello'"):
        segmenter(path)


def test_weights_of_another_network_are_refused(trained_detector, tiny_config, tmp_path):
    with pytest.raises(CheckpointError, match='does not fit the model.*checkpoint of this config'):
        mmca.Predictor(tiny_config, checkpoint_of(trained_detector))
    with pytest.raises(UserError, match='no such config; they are in configs/'):
        mmca.Predictor(tmp_path / 'none.py', checkpoint_of(trained_detector))


def test_names_come_from_the_config_where_the_checkpoint_has_none(
    segmenter, trained, tiny_config, tmp_path
):
    import torch

    from mmca.checkpoint import load_file, state_dict_of

    weights = tmp_path / 'weights.pth'
    torch.save(state_dict_of(load_file(trained.work_dir / 'iter_12.pth')), weights)
    bare = mmca.Predictor(tiny_config, weights)
    assert bare.classes == segmenter.classes and bare.classes[1] == 'aeroplane'
    assert bare.palette == segmenter.palette and bare.palette[1] == (128, 0, 0)
    unnamed = tmp_path / 'unnamed.py'
    shutil.copy(tiny_config, unnamed)
    with unnamed.open('a') as file:
        file.write(
            "test_dataloader = dict(_delete_=True, dataset=dict(type='BaseSegDataset', "
            'pipeline={{_base_.test_pipeline}}))\n'
        )
    numbered = mmca.Predictor(unnamed, weights)
    assert numbered.classes == tuple(map(str, range(21)))
    assert len(set(numbered.palette)) == 21
