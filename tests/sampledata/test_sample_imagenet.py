"""The synthetic sample in ImageNet's layout."""

import json
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from helpers.tools import ROOT, run_tool, truncate
from mmca.sampledata import VOC_CLASSES, SampleError, SampleSettings, draw_scene, generate

SETTINGS = SampleSettings(train=60, val=20, size=64)
OPTIONS = ('sample', '--layout', 'imagenet', '--train', 60, '--val', 20, '--size', 64)


@pytest.fixture
def root(tmp_path):
    """A sample with 60 training and 20 validation scenes."""
    generate(SETTINGS, tmp_path / 'sample', 'imagenet')
    return tmp_path / 'sample'


def images(root):
    return {path.relative_to(root): path.read_bytes() for path in root.glob('*/*/*.jpg')}


def lone(difficulty, split, index):
    scene = draw_scene(split, index, difficulty=difficulty, size=(64, 64), objects=(1,))
    assert len(scene.instances) == 1
    return scene


def test_every_class_has_its_share_of_both_splits(root):
    for split, share in (('train', 3), ('val', 1)):
        found = {folder.name: len(list(folder.iterdir())) for folder in (root / split).iterdir()}
        assert found == dict.fromkeys(VOC_CLASSES, share)


@pytest.mark.parametrize('difficulty', ['easy', 'hard'])
def test_the_folder_is_the_class_of_the_only_object(tmp_path, difficulty):
    generate(SampleSettings(difficulty, train=20, val=20, size=64), tmp_path, 'imagenet')
    written = images(tmp_path)
    assert len(written) == 40
    for path, content in written.items():
        split, name = path.parts[:2]
        scene = lone(difficulty, split, int(path.stem.removeprefix(f'{split}_')))
        assert scene.instances[0].name == name
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        assert image.shape == (64, 64, 3)
        # The whole frame in its colours; JPEG changes the pixels, but not the object as a whole.
        assert np.abs(image.astype(int) - scene.image).mean() < 10
        mask = scene.instances[0].mask
        written_colour, colour = (array[mask].mean(axis=0) for array in (image, scene.image))
        np.testing.assert_allclose(written_colour, colour, atol=20)


def test_the_object_fills_much_of_the_easy_frame():
    areas = [lone('easy', 'train', index).instances[0].mask.mean() for index in range(100)]
    assert np.mean(areas) > 0.15
    assert min(areas) > 0.03


def test_the_place_decides_between_hard_classes():
    places = {name: [] for name in VOC_CLASSES}
    for index in range(400):
        instance = lone('hard', 'train', index).instances[0]
        rows, columns = np.nonzero(instance.mask)
        places[instance.name].append((columns.mean() / 64, rows.mean() / 64))
    x, y = ({name: np.array(where)[:, i] for name, where in places.items()} for i in (0, 1))
    for upper, lower in (('bird', 'boat'), ('aeroplane', 'sheep')):
        assert y[upper].max() < 0.5 < y[lower].min()
    for centre, side in (('person', 'pottedplant'), ('tvmonitor', 'chair')):
        assert abs(x[centre] - 0.5).max() < abs(x[side] - 0.5).min()


def test_same_settings_give_the_same_bytes(root, tmp_path):
    generate(SETTINGS, tmp_path / 'again', 'imagenet')
    assert images(tmp_path / 'again') == images(root)
    generate(SampleSettings(seed=1, train=60, val=20, size=64), tmp_path / 'other', 'imagenet')
    assert not set(images(tmp_path / 'other').values()) & set(images(root).values())


@pytest.mark.parametrize('split', ['train', 'val'])
def test_too_few_scenes_for_all_classes(tmp_path, split):
    outcome = run_tool('prepare_data', *OPTIONS, f'--{split}', 19, '--data-root', tmp_path)
    assert outcome.code == 1
    assert outcome.output == (
        f'Error: --{split} must be at least 20 with --layout imagenet, so that all 20 classes '
        'occur, got 19\n'
    )
    assert not list(tmp_path.iterdir())


def test_each_layout_has_its_own_default_folder(tmp_path):
    for difficulty in ('easy', 'hard'):
        options = ('--difficulty', difficulty, '--data-root', tmp_path)
        outcome = run_tool('prepare_data', *OPTIONS, *options)
        folder = tmp_path / f'sample_{difficulty}_imagenet'
        assert f'{folder} is complete: 60 train, 20 val, 20 classes' in outcome.output
        outcome = run_tool('prepare_data', 'sample', *options, '--check')
        assert f'{tmp_path}/sample_{difficulty} holds no complete sample' in outcome.output


def test_a_sample_of_another_layout_is_left_alone(root):
    before = images(root)
    with pytest.raises(SampleError, match=r'another sample \(layout is imagenet, not voc2012\)'):
        generate(SETTINGS, root)
    assert images(root) == before


def test_what_is_damaged_missing_or_astray_is_named(root):
    check = ('prepare_data', *OPTIONS, '--out', root, '--check')
    assert run_tool(*check).code == 0
    paths = sorted(root.glob('train/*/*.jpg'))
    cut, gone, resized = paths[0], paths[20], paths[40]
    small = cv2.imencode('.jpg', np.zeros((64, 32, 3), np.uint8))[1].tobytes()
    whole = resized.read_bytes()
    resized.write_bytes(small)
    outcome = run_tool(*check)
    assert outcome.code == 1
    assert f'{resized}: (32, 64) pixels (width, height), should be (64, 64)' in outcome.output
    resized.write_bytes(whole)

    truncate(cut)
    gone.unlink()
    (root / 'val' / 'cat' / 'mine.jpg').write_bytes(small)
    (root / 'val' / 'unicorn').mkdir()
    outcome = run_tool(*check)
    assert outcome.code == 1
    assert 'has 4 problem(s)' in outcome.output
    assert f'{cut}: cannot be decoded' in outcome.output
    assert f'{gone}: missing' in outcome.output
    for stray in ('cat/mine.jpg', 'unicorn'):
        assert f'{root}/val/{stray}: does not belong here' in outcome.output
    assert f'rm -r {root} && python tools/prepare_data.py sample --layout' in outcome.output
    assert (root / 'val' / 'cat' / 'mine.jpg').read_bytes() == small


def test_a_killed_run_is_continued(tmp_path):
    folder = tmp_path / 'killed'
    options = ['sample', '--layout', 'imagenet', '--train', '400', '--val', '20', '--size', '64']
    process = subprocess.Popen(
        [sys.executable, ROOT / 'tools' / 'prepare_data.py', *options, '--out', folder],
        stdout=subprocess.DEVNULL,
    )
    while process.poll() is None and not list(folder.glob('train/*/train_00004.jpg')):
        time.sleep(0.002)
    process.kill()
    process.wait()
    assert json.loads((folder / 'sample.json').read_text())['complete'] is False
    outcome = run_tool('prepare_data', *options, '--out', folder, '--check')
    assert f'{folder} holds no complete sample' in outcome.output
    early = {path: path.stat().st_mtime_ns for path in folder.glob('train/*/train_0000?.jpg')}
    assert len(early) >= 5
    outcome = run_tool('prepare_data', *options, '--out', folder)
    assert 'is complete: 400 train, 20 val' in outcome.output
    assert {path: path.stat().st_mtime_ns for path in early} == early
