"""The synthetic sample: scenes, their annotations and the VOC 2012 layout."""

import json
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmca.sampledata import VOC_CLASSES, SampleError, SampleSettings, draw_scene, generate

TOOL = Path(__file__).parents[2] / 'tools' / 'prepare_data.py'


@pytest.fixture(scope='module')
def sample(tmp_path_factory):
    """A small easy sample: its settings and its VOC2012 folder."""
    root = tmp_path_factory.mktemp('sample')
    settings = SampleSettings(train=21, val=7, size=96)
    generate(settings, root)
    return settings, root / 'VOCdevkit' / 'VOC2012'


def tree_bytes(root):
    return {
        path.relative_to(root): path.read_bytes()
        for path in root.rglob('*')
        if path.is_file() and path.name != 'README.txt'  # it names the folder
    }


def scenes(difficulty, count=100):
    return [draw_scene('train', index, difficulty=difficulty) for index in range(count)]


def test_same_settings_give_the_same_bytes_and_another_seed_does_not(sample, tmp_path):
    settings, folder = sample
    generate(settings, tmp_path / 'again')
    first = tree_bytes(folder.parents[1])
    assert tree_bytes(tmp_path / 'again') == first
    generate(SampleSettings(seed=1, train=21, val=7, size=96), tmp_path / 'other')
    image = Path('VOCdevkit/VOC2012/JPEGImages/train_00003.jpg')
    assert tree_bytes(tmp_path / 'other')[image] != first[image]


def test_a_scene_does_not_depend_on_others_and_splits_differ():
    later = draw_scene('train', 40).image
    for index in range(3):
        draw_scene('train', index)
    np.testing.assert_array_equal(draw_scene('train', 40).image, later)
    assert (draw_scene('val', 40).image != later).any()


@pytest.mark.parametrize('difficulty', ['easy', 'hard'])
@pytest.mark.parametrize('split', ['train', 'val'])
def test_all_classes_come_equally_often(difficulty, split):
    drawn = [
        instance.label
        for index in range(60)
        for instance in draw_scene(split, index, difficulty=difficulty).instances
    ]
    # 60 scenes of 2, 3 and 4 objects are nine rounds of the 20 classes.
    np.testing.assert_array_equal(np.bincount(drawn), [0, *[9] * 20])


@pytest.mark.parametrize('difficulty', ['easy', 'hard'])
def test_masks_boxes_and_maps_agree(difficulty):
    for scene in scenes(difficulty, 30):
        total = np.zeros(scene.image.shape[:2], int)
        for number, instance in enumerate(scene.instances, 1):
            total += instance.mask
            rows, columns = np.nonzero(instance.mask)
            box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert instance.box == box
            assert (scene.class_map[instance.mask] == instance.label).all()
            assert (scene.instance_map[instance.mask] == number).all()
            if instance.truncated:
                assert min(box[:2]) == 0 or max(box[2:]) == 128
        assert total.max() == 1, 'visible masks overlap'
        assert (scene.class_map[total == 0] == 0).all()


def test_easy_objects_are_few_and_large():
    for scene in scenes('easy', 60):
        assert 2 <= len(scene.instances) <= 4
        for instance in scene.instances:
            x1, y1, x2, y2 = instance.box
            assert max(x2 - x1, y2 - y1) >= 128 / 4


def nearest_mean_accuracy(difficulty):
    """How often an object's mean colour is nearest to that of its class on other scenes."""
    colours, labels = [], []
    for scene in scenes(difficulty, 200):
        for instance in scene.instances:
            colours.append(scene.image[instance.mask].mean(axis=0))
            labels.append(instance.label)
    colours, labels = np.array(colours), np.array(labels)
    half = len(labels) // 2
    means = np.stack(
        [colours[:half][labels[:half] == label].mean(axis=0) for label in range(1, 21)]
    )
    distances = np.linalg.norm(colours[half:, None] - means, axis=2)
    return (distances.argmin(axis=1) + 1 == labels[half:]).mean()


def test_colour_tells_the_class_only_where_it_should():
    assert nearest_mean_accuracy('easy') > 0.9
    assert nearest_mean_accuracy('hard') < 0.15  # 0.05 by chance


def test_hard_pairs_are_told_apart_by_their_place():
    places = {name: [] for name in VOC_CLASSES}
    for scene in scenes('hard', 200):
        for instance in scene.instances:
            rows, columns = np.nonzero(instance.mask)
            places[instance.name].append((columns.mean() / 128, rows.mean() / 128))
    x, y = ({name: np.array(where)[:, i] for name, where in places.items()} for i in (0, 1))
    for upper, lower in (('bird', 'boat'), ('aeroplane', 'sheep')):
        assert y[upper].max() < 0.5 < y[lower].min()
    for centre, side in (('person', 'pottedplant'), ('tvmonitor', 'chair')):
        assert abs(x[centre] - 0.5).max() < abs(x[side] - 0.5).min()


def test_written_masks_are_exact_inside_a_border_of_255(sample):
    settings, folder = sample
    for index in range(21):
        scene = settings.draw('train', index)
        name = f'train_{index:05d}'
        masks = 'SegmentationClass' if index < 11 else 'SegmentationClassAug'
        written = np.array(Image.open(folder / masks / f'{name}.png'))
        objects = np.array(Image.open(folder / 'SegmentationObject' / f'{name}.png'))
        undecided = written == 255
        np.testing.assert_array_equal(written[~undecided], scene.class_map[~undecided])
        np.testing.assert_array_equal(objects[~undecided], scene.instance_map[~undecided])
        np.testing.assert_array_equal(objects == 255, undecided)
        # Neighbouring pixels of different objects are both undecided; the border is thin.
        ids = scene.instance_map
        edge = ids[:, 1:] != ids[:, :-1]
        assert undecided[:, 1:][edge].all() and undecided[:, :-1][edge].all()
        for instance in scene.instances:
            assert 0 < undecided[instance.mask].mean() < 0.5


def test_masks_have_the_palette_of_voc(sample):
    image = Image.open(sample[1] / 'SegmentationClass' / 'train_00000.png')
    assert image.mode == 'P'
    palette = np.array(image.getpalette()).reshape(-1, 3)
    known = {0: (0, 0, 0), 1: (128, 0, 0), 5: (128, 0, 128), 15: (192, 128, 128)}
    known |= {20: (0, 64, 128), 255: (224, 224, 192)}
    for label, colour in known.items():
        assert tuple(palette[label]) == colour


def test_annotations_count_from_one_and_include_the_last_pixel(sample):
    settings, folder = sample
    for index in range(7):
        scene = settings.draw('val', index)
        tree = ET.parse(folder / 'Annotations' / f'val_{index:05d}.xml')
        assert [tree.findtext(f'size/{key}') for key in ('width', 'height')] == ['96', '96']
        for item, instance in zip(tree.iter('object'), scene.instances, strict=True):
            x1, y1, x2, y2 = instance.box
            box = [int(item.findtext(f'bndbox/{key}')) for key in ('xmin', 'ymin', 'xmax', 'ymax')]
            assert box == [x1 + 1, y1 + 1, x2, y2]
            assert item.findtext('name') == VOC_CLASSES[instance.label - 1]
            assert item.findtext('difficult') == '0'
            assert item.findtext('truncated') == str(int(instance.truncated))


def test_lists_name_each_scene_once_per_task(sample):
    lists = sample[1] / 'ImageSets'

    def names(path):
        return [line.split()[0] for line in (lists / path).read_text().splitlines()]

    train, aug, val = (names(f'Segmentation/{name}.txt') for name in ('train', 'aug', 'val'))
    assert (len(train), len(aug), len(val)) == (11, 10, 7)
    assert len({*train, *aug, *val}) == 28
    assert names('Main/train.txt') == train + aug
    assert names('Main/trainval.txt') == train + aug + val
    flags = dict(line.split() for line in (lists / 'Main/cat_val.txt').open())
    for name, flag in flags.items():
        tree = ET.parse(sample[1] / 'Annotations' / f'{name}.xml')
        assert (flag == '1') == ('cat' in [item.text for item in tree.iter('name')])


def test_every_split_written_holds_all_classes(sample):
    for pattern in (
        'SegmentationClass/train_*',
        'SegmentationClassAug/*',
        'SegmentationClass/val*',
    ):
        found = set()
        for path in sample[1].glob(f'{pattern}.png'):
            found |= set(np.unique(np.array(Image.open(path))))
        assert found == {*range(21), 255}, pattern


def test_the_folder_says_that_it_is_synthetic(sample):
    text = (sample[1].parents[1] / 'README.txt').read_text()
    for words in ('Synthetic', 'not photographs', '--difficulty easy', '--seed 0', '--size 96'):
        assert words in text


def test_a_foreign_folder_is_left_alone(tmp_path):
    (tmp_path / 'thesis.tex').write_text('irreplaceable')
    with pytest.raises(SampleError, match=r'is not empty and holds no sample.*--out'):
        generate(SampleSettings(train=14, val=7, size=64), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ['thesis.tex']


def test_another_sample_is_left_alone_and_the_same_one_is_kept(sample):
    settings, folder = sample
    root = folder.parents[1]
    before = tree_bytes(root)
    with pytest.raises(SampleError, match=r'another sample \(seed is 0, not 5\).*--out'):
        generate(SampleSettings(seed=5, train=21, val=7, size=96), root)
    assert generate(settings, root) is False
    assert tree_bytes(root) == before


def test_a_killed_run_is_continued(tmp_path):
    settings = SampleSettings(train=400, val=20, size=64)
    root = tmp_path / 'killed'
    options = ['--train', '400', '--val', '20', '--size', '64', '--out', str(root)]
    process = subprocess.Popen(
        [sys.executable, str(TOOL), 'sample', *options], stdout=subprocess.DEVNULL
    )
    first = root / 'VOCdevkit/VOC2012/Annotations/train_00004.xml'
    while process.poll() is None and not first.exists():
        time.sleep(0.002)
    process.kill()
    process.wait()
    assert json.loads((root / 'sample.json').read_text())['complete'] is False
    written = first.stat().st_mtime_ns
    assert generate(settings, root) is True
    assert first.stat().st_mtime_ns == written
    generate(settings, tmp_path / 'whole')
    found = tree_bytes(root)
    found = {path: content for path, content in found.items() if path.suffix != '.partial'}
    assert found == tree_bytes(tmp_path / 'whole')


@pytest.mark.parametrize(
    ('option', 'value', 'message'),
    [
        ('difficulty', 'medium', "difficulty must be one of .*'easy', 'hard'.*got 'medium'"),
        ('seed', -1, 'seed must be from 0'),
        ('train', 13, 'train must be from 14'),
        ('val', 0, 'val must be from 7'),
        ('size', 63, 'size must be from 64 to 2048, got 63'),
    ],
)
def test_options_out_of_range(option, value, message):
    with pytest.raises(ValueError, match=message):
        SampleSettings(**{option: value})


def test_unknown_layout_and_split(tmp_path):
    with pytest.raises(ValueError, match="layout must be one of .*'voc2012'"):
        generate(SampleSettings(), tmp_path, layout='voc')
    with pytest.raises(ValueError, match='split must be one of'):
        draw_scene('test', 0)
