"""The synthetic sample in COCO's and VOC 2007's layouts."""

import contextlib
import functools
import io
import json

import cv2
import numpy as np
import pytest

from helpers.tools import run_tool, truncate
from mmca.sampledata import VOC_CLASSES, SampleSettings, generate

SETTINGS = SampleSettings(train=21, val=7, size=64)
prepare = functools.partial(run_tool, 'prepare_data')


@pytest.fixture(scope='module')
def samples(tmp_path_factory):
    """The same small sample by layout."""
    root = tmp_path_factory.mktemp('samples')
    layouts = ('coco', 'voc2007', 'voc2012')
    for layout in layouts:
        generate(SETTINGS, root / layout, layout)
    return {layout: root / layout for layout in layouts}


def tree(root):
    files = (path for path in root.rglob('*') if path.is_file() and path.name != 'README.txt')
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def opened(root, split):
    from pycocotools.coco import COCO

    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(root / 'annotations' / f'instances_{split}2017.json')


@pytest.mark.parametrize(('split', 'count'), [('train', 21), ('val', 7)])
def test_coco_annotations_are_the_scenes(samples, split, count):
    coco = opened(samples['coco'], split)
    categories = {item['id']: item['name'] for item in coco.dataset['categories']}
    assert categories == dict(enumerate(VOC_CLASSES, 1))
    assert len(coco.imgs) == count
    for index, image in enumerate(coco.dataset['images']):
        assert image['file_name'] == f'{split}_{index:05d}.jpg'
        assert (image['width'], image['height']) == (64, 64)
        scene = SETTINGS.draw(split, index)
        items = coco.loadAnns(coco.getAnnIds(imgIds=image['id']))
        for item, instance in zip(items, scene.instances, strict=True):
            x, y, width, height = item['bbox']
            assert (x, y, x + width, y + height) == instance.box
            assert all(isinstance(value, float) for value in item['bbox'])
            assert item['category_id'] == instance.label
            assert item['area'] == instance.mask.sum()
            assert item['iscrowd'] == 0
            np.testing.assert_array_equal(coco.annToMask(item), instance.mask)


def test_coco_ids_are_unique(samples):
    train, val = (opened(samples['coco'], split).dataset for split in ('train', 'val'))
    ids = [image['id'] for image in train['images'] + val['images']]
    assert ids == list(range(1, 29))
    for split in (train, val):
        ids = [item['id'] for item in split['annotations']]
        assert ids == list(range(1, len(ids) + 1))


def test_all_layouts_hold_the_same_scenes(samples):
    coco, voc07, voc12 = (tree(samples[layout]) for layout in ('coco', 'voc2007', 'voc2012'))
    for split, count in SETTINGS.counts.items():
        for index in range(count):
            name = f'{split}_{index:05d}'
            image = voc12[f'VOCdevkit/VOC2012/JPEGImages/{name}.jpg']
            assert cv2.imdecode(np.frombuffer(image, np.uint8), 1).shape == (64, 64, 3)
            assert coco[f'{split}2017/{name}.jpg'] == image
            assert voc07[f'VOCdevkit/VOC2007/JPEGImages/{name}.jpg'] == image
            annotation = voc12[f'VOCdevkit/VOC2012/Annotations/{name}.xml']
            annotation = annotation.replace(b'VOC2012', b'VOC2007')
            annotation = annotation.replace(b'<segmented>1<', b'<segmented>0<')
            assert voc07[f'VOCdevkit/VOC2007/Annotations/{name}.xml'] == annotation


def test_voc2007_trains_on_trainval_and_tests_on_test(samples):
    lists = samples['voc2007'] / 'VOCdevkit' / 'VOC2007' / 'ImageSets' / 'Main'
    names = {
        split: (lists / f'{split}.txt').read_text().split()
        for split in ('train', 'val', 'trainval', 'test')
    }
    assert names['trainval'] == [f'train_{index:05d}' for index in range(21)]
    assert names['test'] == [f'val_{index:05d}' for index in range(7)]
    assert (len(names['train']), len(names['val'])) == (11, 10)
    assert names['train'] + names['val'] == names['trainval']
    for split, members in names.items():
        for label in VOC_CLASSES:
            flags = dict(line.split() for line in (lists / f'{label}_{split}.txt').open())
            assert list(flags) == members
            assert set(flags.values()) == {'1', '-1'}, 'no image with, or none without the class'


@pytest.mark.slow
@pytest.mark.parametrize('layout', ['coco', 'voc2007'])
def test_mmdet_reads_all_objects(samples, layout):
    from mmdet.datasets import CocoDataset, VOCDataset

    if layout == 'coco':
        options = {'data_root': str(samples['coco']), 'metainfo': {'classes': VOC_CLASSES}}
        options |= {'ann_file': 'annotations/instances_val2017.json'}
        dataset = CocoDataset(**options, data_prefix={'img': 'val2017'}, pipeline=[])
    else:
        options = {'data_root': str(samples['voc2007'] / 'VOCdevkit')}
        options |= {'ann_file': 'VOC2007/ImageSets/Main/test.txt'}
        dataset = VOCDataset(**options, data_prefix={'sub_data_root': 'VOC2007'}, pipeline=[])
    assert len(dataset) == 7
    for index in range(7):
        instances = dataset.get_data_info(index)['instances']
        drawn = SETTINGS.draw('val', index).instances
        for found, instance in zip(instances, drawn, strict=True):
            assert found['bbox_label'] == instance.label - 1
            # mmdet takes 1 from all corners of VOC: the upper ends become the last pixels.
            last = 0 if layout == 'coco' else 1
            x1, y1, x2, y2 = instance.box
            assert tuple(found['bbox']) == (x1, y1, x2 - last, y2 - last)
            assert found['ignore_flag'] == 0


@pytest.mark.parametrize('layout', ['coco', 'voc2007'])
def test_an_interrupted_run_is_continued_to_the_same_bytes(samples, tmp_path, layout):
    root = tmp_path / layout
    generate(SETTINGS, root, layout)
    whole = tree(root)
    assert whole == tree(samples[layout])
    state = json.loads((root / 'sample.json').read_text())
    (root / 'sample.json').write_text(json.dumps({**state, 'complete': False}))
    gone = [path for path in root.rglob('*val*') if path.is_file() and '00003' not in path.name]
    assert len(gone) >= 7
    for path in gone:
        path.unlink()
    kept = {path: path.stat().st_mtime_ns for path in root.rglob('train_*.jpg')}
    assert generate(SETTINGS, root, layout) is True
    assert tree(root) == whole
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


@pytest.mark.parametrize(
    ('layout', 'folder', 'summary'),
    [
        ('coco', '', '14 train2017, 7 val2017, 61 boxes'),
        ('voc2007', '/VOCdevkit/VOC2007', '14 trainval, 7 test, 61 boxes'),
    ],
)
def test_through_the_tool(tmp_path, layout, folder, summary):
    options = ('sample', '--data-root', tmp_path, '--layout', layout)
    sizes = ('--train', 14, '--val', 7, '--size', 64)
    outcome = prepare(*options, *sizes)
    root = tmp_path / f'sample_easy_{layout}'
    assert f'{root}{folder} is complete: {summary}\n' in outcome.output
    assert 'already there' in prepare(*options, *sizes).output

    cut, gone = truncate(next(root.rglob('train_00003.jpg'))), next(root.rglob('val_00002.jpg'))
    gone.unlink()
    outcome = prepare(*options, '--check')
    assert outcome.code == 1
    assert f'{cut}: cannot be decoded' in outcome.output
    assert f'{gone}' in outcome.output and 'missing' in outcome.output
    assert f'rm -r {root} && python tools/prepare_data.py sample' in outcome.output


def test_a_changed_annotation_is_named(tmp_path):
    generate(SETTINGS, tmp_path / 'sample', 'coco')
    path = tmp_path / 'sample' / 'annotations' / 'instances_val2017.json'
    content = json.loads(path.read_text())
    content['annotations'][5]['category_id'] = 21
    path.write_text(json.dumps(content))
    outcome = prepare('sample', '--layout', 'coco', '--out', tmp_path / 'sample', '--check')
    assert outcome.code == 1
    problem = 'annotation 6: category id 21 is not among the categories'
    assert f'{path}: {problem}' in outcome.output
