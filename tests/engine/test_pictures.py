"""``--show-dir`` keeps every picture; a test set without masks gives predictions."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.tools import run_tool

CAMERAS = ('cam1', 'cam2')
pytestmark = pytest.mark.slow


def pictures(folder: Path) -> list[str]:
    found = [path for path in folder.rglob('*') if path.suffix in ('.png', '.jpg')]
    return sorted(f'{path.parent.name}/{path.name}' for path in found)


@pytest.mark.input_fault(
    'Metrics and pictures',
    '`--show-dir` with images of equal names in several folders',
    'one picture each',
)
def test_classification_keeps_images_of_equal_names(trained_classifier, tmp_path):
    images = shutil.copytree(trained_classifier.config.parent / 'images', tmp_path / 'images')
    for index, path in enumerate(sorted(images.rglob('*.png'))):
        path.rename(path.with_name(f'{index % 4}.png'))
    outcome = run_tool(
        'test',
        trained_classifier.config,
        trained_classifier.work_dir / 'epoch_1.pth',
        *('--work-dir', tmp_path / 'work', '--show-dir', tmp_path / 'shown'),
        *('--data-root', images),
    )
    assert outcome.code == 0, outcome.output
    names = [f'class{label}/{index}.png_0.png' for label in (0, 1) for index in range(4)]
    assert pictures(tmp_path / 'shown') == names
    # Each is the picture of its own image.
    assert len({path.read_bytes() for path in (tmp_path / 'shown').rglob('*.png')}) == 8


def test_detection_keeps_images_of_equal_names(trained_detector, sample_voc, tmp_path):
    devkit = shutil.copytree(sample_voc.parent, tmp_path / 'devkit')
    voc = devkit / 'VOC2012'
    scenes = (voc / 'ImageSets/Main/val.txt').read_text().split()
    names = []
    for index, scene in enumerate(scenes):
        name = f'cam{index % 2 + 1}/{index // 2:04}'
        names.append(name)
        for folder, suffix in (('JPEGImages', 'jpg'), ('Annotations', 'xml')):
            target = voc / folder / f'{name}.{suffix}'
            target.parent.mkdir(exist_ok=True)
            (voc / folder / f'{scene}.{suffix}').rename(target)
    (voc / 'ImageSets/Main/val.txt').write_text('\n'.join(names) + '\n')
    outcome = run_tool(
        'test',
        trained_detector.config,
        trained_detector.work_dir / 'epoch_1.pth',
        *('--work-dir', tmp_path / 'work', '--show-dir', tmp_path / 'shown'),
        *('--data-root', devkit),
    )
    assert outcome.code == 0, outcome.output
    assert pictures(tmp_path / 'shown') == sorted(f'{name}.jpg' for name in names)
    assert (tmp_path / 'shown/cam1/0000.jpg').is_file()


@pytest.fixture
def cameras(sample_voc, tmp_path) -> Path:
    """Four images without masks, two of them of each name."""
    scenes = (sample_voc / 'ImageSets/Segmentation/val.txt').read_text().split()
    for index, scene in enumerate(scenes[:4]):
        target = tmp_path / 'street' / CAMERAS[index % 2] / f'{index // 2:04}.jpg'
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(sample_voc / 'JPEGImages' / f'{scene}.jpg', target)
    return tmp_path / 'street'


def unlabelled(tiny_config: Path, cameras: Path, folder: Path, evaluator: str = '') -> Path:
    images = sorted(cameras.rglob('*.jpg'))
    names = [str(path.relative_to(cameras).with_suffix('')) for path in images]
    (cameras / 'list.txt').write_text('\n'.join(names) + '\n')
    config = folder / 'unlabelled.py'
    config.write_text(
        f"""\
_base_ = {str(tiny_config)!r}
test_dataloader = dict(
    dataset=dict(
        data_root={str(cameras)!r},
        data_prefix=dict(_delete_=True, img_path=''),
        ann_file='list.txt',
    )
)
{evaluator}
"""
    )
    return config


@pytest.mark.parametrize('augmented', [[], ['--tta']], ids=['plain', 'tta'])
@pytest.mark.input_fault(
    'Metrics and pictures',
    'a test set without masks',
    'predictions are drawn; why there are no metrics is said',
)
def test_without_masks_predictions_are_drawn_and_nothing_is_measured(
    tiny_config, trained, cameras, tmp_path, augmented
):
    outcome = run_tool(
        'test',
        unlabelled(tiny_config, cameras, tmp_path),
        trained.work_dir / 'iter_12.pth',
        *('--work-dir', tmp_path / 'work', '--show-dir', tmp_path / 'shown'),
        *('--out', tmp_path / 'metrics.json', *augmented),
    )
    assert outcome.code == 0, outcome.output
    assert 'No metrics: the test data has no masks' in outcome.output
    assert json.loads((tmp_path / 'metrics.json').read_text()) == {}
    shown = pictures(tmp_path / 'shown')
    assert [name.partition('.jpg')[0] for name in shown] == [
        f'{camera}/test_{index:04}' for camera in CAMERAS for index in range(2)
    ]


def test_without_masks_predictions_are_written(tiny_config, trained, cameras, tmp_path):
    one = cameras / 'cam1'
    evaluator = (
        'test_evaluator = dict(_delete_=True, type="IoUMetric", format_only=True, '
        f'output_dir={str(tmp_path / "out")!r})'
    )
    checkpoint = trained.work_dir / 'iter_12.pth'
    arguments = [checkpoint, '--work-dir', tmp_path / 'work']
    config = unlabelled(tiny_config, one, tmp_path, evaluator)
    outcome = run_tool('test', config, *arguments)
    assert outcome.code == 0, outcome.output
    assert 'No metrics' not in outcome.output
    written = sorted((tmp_path / 'out').iterdir())
    assert [path.name for path in written] == ['0000.png', '0001.png']
    assert np.asarray(Image.open(written[0])).shape == (64, 64)

    config = unlabelled(tiny_config, cameras, tmp_path, evaluator)
    outcome = run_tool('test', config, *arguments)
    assert outcome.code == 1
    assert f'{cameras}/cam1/0000.jpg and {cameras}/cam2/0000.jpg' in outcome.output
    assert 'Traceback' not in outcome.output


@pytest.mark.input_fault(
    'Metrics and pictures',
    '`--show-dir` with images of 16 bits, CMYK or a palette',
    'drawn as they were loaded',
)
def test_pictures_of_other_modes(tiny_config, trained, cameras, tmp_path):
    first, second, third, _ = sorted(cameras.rglob('*.jpg'))
    levels = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    Image.fromarray(levels).save(first, 'PNG')
    Image.new('CMYK', (64, 64), (0, 255, 255, 0)).save(second, 'TIFF')
    Image.fromarray(levels).convert('L').convert('P').save(third, 'GIF')
    outcome = run_tool(
        'test',
        unlabelled(tiny_config, cameras, tmp_path),
        trained.work_dir / 'iter_12.pth',
        *('--work-dir', tmp_path / 'work', '--show-dir', tmp_path / 'shown'),
    )
    assert outcome.code == 0, outcome.output
    assert 'No picture' not in outcome.output
    assert len(pictures(tmp_path / 'shown')) == 4


@pytest.mark.input_fault(
    'Metrics and pictures',
    'an image that the library cannot draw',
    'no picture of it, a warning, and the run goes on',
)
def test_no_run_ends_for_a_picture(tiny_config, trained, cameras, tmp_path, monkeypatch):
    from mmseg.visualization import SegLocalVisualizer

    def fail(self, name, *args, **kwargs):
        raise ValueError('cannot draw')

    monkeypatch.setattr(SegLocalVisualizer, 'add_datasample', fail)
    outcome = run_tool(
        'test',
        unlabelled(tiny_config, cameras, tmp_path),
        trained.work_dir / 'iter_12.pth',
        *('--work-dir', tmp_path / 'work', '--show-dir', tmp_path / 'shown'),
    )
    assert outcome.code == 0, outcome.output
    assert f'No picture of {cameras}/cam1/0000.jpg: cannot draw' in outcome.output


@pytest.mark.input_fault(
    'Metrics and pictures',
    'a test set of mmpretrain without labels (`with_label=False`)',
    'predictions are drawn; why there are no metrics is said',
)
def test_without_labels_predictions_are_drawn(trained_classifier, tmp_path):
    images = tmp_path / 'images'
    images.mkdir()
    for number, path in enumerate((trained_classifier.config.parent / 'images').rglob('*.png')):
        shutil.copy(path, images / f'{number}.png')
    outcome = run_tool(
        'test',
        trained_classifier.config,
        trained_classifier.work_dir / 'epoch_1.pth',
        *('--work-dir', tmp_path / 'work', '--show-dir', tmp_path / 'shown'),
        *('--data-root', images, '--out', tmp_path / 'metrics.json'),
        *('--cfg-options', 'test_dataloader.dataset.with_label=False'),
    )
    assert outcome.code == 0, outcome.output
    assert 'No metrics: the test data has no labels (with_label=False).' in outcome.output
    assert json.loads((tmp_path / 'metrics.json').read_text()) == {}
    assert len(pictures(tmp_path / 'shown')) == 8
