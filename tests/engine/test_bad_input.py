"""Bad input ends in one error that says what is wrong, where, and what to do about it."""

import shutil
from pathlib import Path

import mmcv
import numpy as np
import pytest
from PIL import Image

from helpers.tools import build_model, run_tool, truncate
from mmca.datasets.transforms import LoadImageFromFile, RandomGaussianBlur
from mmca.engine.hooks import CheckpointHook
from mmca.models.attention import CBAM, CoordinateAttention, SqueezeExcitation
from mmca.models.backbones import MobileNetV2, MobileNeXt

CA = dict(type='mmca.CoordinateAttention', reduction=32)
SE = dict(type='mmca.SqueezeExcitation', reduction=24)


# Datasets


@pytest.mark.parametrize('tool', ['train', 'test'])
@pytest.mark.input_fault(
    'Missing files',
    'no dataset at all',
    'refused, with the command that fetches it',
)
def test_a_missing_dataset_stops_before_anything_is_built(tiny_config, tmp_path, tool):
    arguments = ['checkpoint.pth'] if tool == 'test' else []
    nowhere, work_dir = tmp_path / 'nowhere', tmp_path / 'work'
    outcome = run_tool(
        tool, tiny_config, *arguments, '--data-root', nowhere, '--work-dir', work_dir
    )
    assert outcome.code == 1
    assert f'wants {nowhere}, which does not exist' in outcome.output
    assert 'prepare_data.py' not in outcome.output  # that fills another folder
    assert '--data-root DIR' in outcome.output
    assert 'Traceback' not in outcome.output
    assert not work_dir.exists()


@pytest.mark.input_fault(
    'Configs',
    'a test of a config without `test_dataloader`',
    'refused, with what tests the validation data',
)
def test_a_test_needs_data(tiny_config, trained, tmp_path):
    outcome = run_tool(
        *('test', tiny_config, trained.work_dir / 'iter_12.pth', '--work-dir', tmp_path / 'work'),
        *('--cfg-options', 'test_dataloader=None', 'test_cfg=None', 'test_evaluator=None'),
    )
    assert outcome.code == 1
    assert f'Error: {tiny_config}: has no test_dataloader; with test_dataloader = val' in (
        outcome.output
    )


@pytest.mark.parametrize('part', ['ImageSets/Segmentation/aug.txt', 'SegmentationClassAug'])
def test_a_half_prepared_dataset_names_the_missing_part(damaged_voc, tiny_config, tmp_path, part):
    missing = damaged_voc / part
    shutil.rmtree(missing) if missing.is_dir() else missing.unlink()
    arguments = ['--data-root', damaged_voc, '--work-dir', tmp_path / 'work']
    outcome = run_tool('train', tiny_config, *arguments)
    assert outcome.code == 1
    assert f'the train_dataloader of this config wants {missing}' in outcome.output


@pytest.fixture
def damaged_voc(sample_voc, tmp_path) -> Path:
    """A copy of the sample, to be damaged."""
    return shutil.copytree(sample_voc, tmp_path / 'VOC2012')


def damage_image(folder: Path, scene: str) -> tuple[Path, str]:
    return truncate(folder / 'JPEGImages' / f'{scene}.jpg'), 'cannot be decoded'


def damage_mask(folder: Path, scene: str) -> tuple[Path, str]:
    return truncate(folder / 'SegmentationClass' / f'{scene}.png'), 'cannot be decoded'


def crop_mask(folder: Path, scene: str) -> tuple[Path, str]:
    path = folder / 'SegmentationClass' / f'{scene}.png'
    Image.open(path).crop((0, 0, 60, 64)).save(path)
    image = folder / 'JPEGImages' / f'{scene}.jpg'
    return path, f'the mask is (60, 64), its image {image} (64, 64) pixels (width, height)'


def relabel_mask(folder: Path, scene: str) -> tuple[Path, str]:
    path = folder / 'SegmentationClass' / f'{scene}.png'
    mask = Image.open(path)
    mask.putpixel((5, 5), 21)
    mask.putpixel((6, 5), 77)
    mask.save(path)
    return path, 'labels [21, 77] are outside the 21 classes (0-20, ignored: 255)'


@pytest.mark.slow
@pytest.mark.parametrize(
    ('split', 'damage', 'workers'),
    [
        # The error passes from a worker to the main process.
        ('train', damage_image, 1),
        ('train', damage_mask, 0),
        ('train', crop_mask, 0),
        ('train', relabel_mask, 0),
        ('val', damage_image, 0),
        ('val', relabel_mask, 0),
    ],
)
@pytest.mark.input_fault(
    'Images',
    'damaged images and masks, in the main process and in workers',
    'refused',
)
def test_training_names_a_bad_file(damaged_voc, tiny_config, tmp_path, split, damage, workers):
    path, problem = damage(damaged_voc, f'{split}_00003')
    # 6 batches of 4 are all 24 training scenes.
    outcome = run_tool(
        'train',
        tiny_config,
        '--data-root',
        damaged_voc,
        '--work-dir',
        tmp_path / 'work',
        '--cfg-options',
        'train_cfg.max_iters=6',
        f'{split}_dataloader.num_workers={workers}',
    )
    assert outcome.code == 1
    assert 'Error: ' in outcome.output
    assert f'{path}: {problem}' in outcome.output


@pytest.mark.slow
@pytest.mark.parametrize('arguments', [[], ['--tta']], ids=['single scale', 'tta'])
@pytest.mark.parametrize('damage', [damage_image, crop_mask])
def test_testing_names_a_bad_file(damaged_voc, tiny_config, trained, tmp_path, damage, arguments):
    path, problem = damage(damaged_voc, 'val_00003')
    arguments = [*arguments, '--data-root', damaged_voc, '--work-dir', tmp_path / 'work']
    outcome = run_tool('test', tiny_config, trained.work_dir / 'iter_12.pth', *arguments)
    assert outcome.code == 1
    assert 'Error: ' in outcome.output
    assert f'{path}: {problem}' in outcome.output


@pytest.mark.parametrize('suffix', ['jpg', 'png'])
@pytest.mark.parametrize('kept', [0, 1, 60, 0.3, 0.9], ids=lambda kept: f'{kept} kept')
def test_an_image_that_is_cut_off_anywhere_is_named(tmp_path, suffix, kept):
    path = tmp_path / f'image.{suffix}'
    picture = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(picture).save(path)
    assert LoadImageFromFile()(dict(img_path=str(path)))['img'].shape == (48, 64, 3)
    content = path.read_bytes()
    path.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    with pytest.raises(ValueError, match='cannot be decoded') as error:
        LoadImageFromFile()(dict(img_path=str(path)))
    assert str(path) in str(error.value)
    assert 'restore it, or take it out of the dataset' in str(error.value)


def test_an_image_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match='no such image; restore it') as error:
        LoadImageFromFile()(dict(img_path=str(tmp_path / 'gone.jpg')))
    assert str(tmp_path / 'gone.jpg') in str(error.value)


# Options


HEAD = dict(type='mmca.DeepLabV3Head', in_channels=80, channels=16, num_classes=21)


@pytest.mark.parametrize(
    ('cfg', 'message'),
    [
        (
            dict(type='mmca.MobileNetV2', output_strde=8),
            "MobileNetV2 has no option 'output_strde': did you mean 'output_stride'?",
        ),
        (
            dict(type='mmca.MobileNetV2', attention=dict(CA, reducton=16)),
            "CoordinateAttention has no option 'reducton': did you mean 'reduction'?",
        ),
        (
            dict(type='mmca.MobileNetV2', attention=dict(SE, redution=16)),
            "SqueezeExcitation has no option 'redution': did you mean 'reduction'?",
        ),
        (
            dict(type='mmca.CBAM', in_channels=8, kernel=7),
            "CBAM has no option 'kernel': did you mean 'kernel_size'?",
        ),
        # An option of its own, and one that it inherits from mmseg.
        (
            dict(HEAD, dilation=(1, 2)),
            "DeepLabV3Head has no option 'dilation': did you mean 'dilations'?",
        ),
        (
            dict(HEAD, dropout_rate=0.1),
            "DeepLabV3Head has no option 'dropout_rate': did you mean 'dropout_ratio'?",
        ),
        # Nothing is near: all options are listed.
        (
            dict(type='mmca.SqueezeExcitation', in_channels=8, xyz=1),
            "SqueezeExcitation has no option 'xyz': options: act_cfg, gate_cfg, in_channels",
        ),
    ],
)
@pytest.mark.input_fault(
    'Configs',
    'a misspelt option',
    'refused, with the nearest one',
)
def test_a_misspelt_model_option_gets_a_suggestion(cfg, message):
    with pytest.raises(TypeError) as error:
        build_model(cfg)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ('cls', 'option', 'suggestion'),
    [
        (LoadImageFromFile, 'imdecode_backnd', 'imdecode_backend'),
        (RandomGaussianBlur, 'sigma_rang', 'sigma_range'),
        (CheckpointHook, 'max_keep_ckpt', 'max_keep_ckpts'),
        (CheckpointHook, 'ignore_key', 'ignore_keys'),
    ],
)
def test_a_misspelt_option_of_a_transform_or_hook_gets_a_suggestion(cls, option, suggestion):
    message = f"{cls.__name__} has no option '{option}': did you mean '{suggestion}'"
    with pytest.raises(TypeError, match=message):
        cls(**{option: 1})


def test_a_misspelt_option_on_the_command_line_gets_a_suggestion(tiny_config, tmp_path):
    typo = ['--cfg-options', 'model.backbone.output_strde=8']
    outcome = run_tool('train', tiny_config, '--work-dir', tmp_path / 'work', *typo)
    assert outcome.code == 1
    assert "no option 'output_strde': did you mean 'output_stride'?" in outcome.output


@pytest.mark.parametrize(
    ('cls', 'options', 'message'),
    [
        *[
            (cls, {'in_channels': 8, name: value}, f'{name}={value!r} must be a whole number >= 1')
            for cls, names in (
                (CoordinateAttention, ('in_channels', 'reduction', 'min_channels')),
                (SqueezeExcitation, ('in_channels', 'reduction')),
                (CBAM, ('in_channels', 'reduction', 'kernel_size')),
            )
            for name in names
            for value in (0, -1, 1.5, True, '8', None)
        ],
        (CoordinateAttention, dict(in_channels=8, axes='wh'), "axes='wh' is not one of 'hw', 'h'"),
        (CBAM, dict(in_channels=8, kernel_size=4), 'kernel_size=4 must be odd'),
        (MobileNetV2, dict(widen_factor=0), 'widen_factor=0 must be above 0'),
        (MobileNetV2, dict(out_indices=()), 'out_indices is empty'),
        (MobileNetV2, dict(out_indices=(8,)), 'out_indices=8 is not one of 0, 1'),
        (MobileNetV2, dict(out_indices=(-1,)), 'out_indices=-1 is not one of 0, 1'),
        (MobileNetV2, dict(output_stride=4), 'output_stride=4 is not one of 8, 16, 32'),
        (MobileNetV2, dict(frozen_stages=9), 'frozen_stages=9 is not one of -1, 0'),
        (MobileNetV2, dict(strides=[1] * 7), 'strides and dilations together'),
        (
            MobileNetV2,
            dict(strides=[1] * 6, dilations=[1] * 7),
            'strides=(1, 1, 1, 1, 1, 1) must have 7 entries',
        ),
        (MobileNetV2, dict(strides=[1] * 7, dilations=[0] * 7), 'dilations=0 must be a whole num'),
        (MobileNeXt, dict(widen_factor=-1), 'widen_factor=-1 must be above 0'),
        (
            MobileNeXt,
            dict(attention_position='mid'),
            "attention_position='mid' is not one of 'before_norm', 'first', 'last'",
        ),
        (MobileNeXt, dict(expanded_indices=(8,)), 'expanded_indices=8 is not one of 0, 1'),
        (RandomGaussianBlur, dict(prob=1.1), 'prob=1.1 must be between 0 and 1'),
        (RandomGaussianBlur, dict(prob=-0.1), 'prob=-0.1 must be between 0 and 1'),
        (RandomGaussianBlur, dict(sigma_range=(1, 0)), 'sigma_range=(1, 0) must be 0 <= low <='),
        (RandomGaussianBlur, dict(sigma_range=(-1, 0)), 'sigma_range=(-1, 0) must be 0 <= low <='),
    ],
)
def test_an_option_out_of_range_is_named(cls, options, message):
    with pytest.raises(ValueError) as error:
        cls(**options)
    assert cls.__name__ in str(error.value) or 'backbone' in str(error.value)
    assert message in str(error.value)


@pytest.mark.parametrize('backend', ['turbojpeg', 'tifffile', 'PIL'])
@pytest.mark.input_fault(
    'Images',
    'an `imdecode_backend` that is not installed, or does not exist',
    'refused, with the setting',
)
def test_a_decoder_that_is_not_there_is_named(backend, monkeypatch):
    for name in ('TurboJPEG', 'tifffile'):
        monkeypatch.setattr(mmcv.image.io, name, None)
    former = mmcv.image.io.imread_backend
    with pytest.raises(ValueError, match=f'LoadImageFromFile: imdecode_backend={backend!r}'):
        LoadImageFromFile(imdecode_backend=backend)
    assert mmcv.image.io.imread_backend == former


@pytest.mark.parametrize(
    ('dilations', 'message'),
    [
        ((), 'number of dilations=0 must be a whole number >= 1'),
        ((1, 0), 'dilations=0 must be a whole number >= 1'),
    ],
)
def test_rates_of_the_head_out_of_range_are_named(dilations, message):
    with pytest.raises(ValueError) as raised:
        build_model(dict(HEAD, dilations=dilations))
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(num_classes=0), 'LoadSegAnnotations: num_classes=0 must be a whole number >= 1'),
        (
            dict(num_classes=2, ignore_index=-1),
            'LoadSegAnnotations: ignore_index=-1 must be a whole number >= 0',
        ),
    ],
)
def test_an_option_of_the_mask_loader_out_of_range_is_named(options, message):
    from mmca.datasets.transforms.segmentation import LoadSegAnnotations

    with pytest.raises(ValueError) as error:
        LoadSegAnnotations(**options)
    assert message in str(error.value)
