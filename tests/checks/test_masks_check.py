"""What is wrong with the masks of a segmentation dataset is said before the run."""

import numpy as np
import pytest
from PIL import Image

from helpers.segmentation_data import CLASSES, LABELS, LOADERS, config, write
from mmca.checks import kept, masks
from mmca.checks.images import image_problems
from mmca.checks.masks import mask_problems
from mmca.checks.run import CHECKS
from mmca.checks.segmentation_files import missing_segmentation_files


def test_good_data_gives_no_line(root, capsys):
    write(root, LABELS, np.where(LABELS == 1, 255, LABELS).astype(np.uint8))
    for check in (mask_problems, image_problems, missing_segmentation_files):
        assert check(config(root), LOADERS) == []
    assert capsys.readouterr().err == ''


@pytest.mark.input_fault(
    'Masks',
    'several of these at once',
    'one error with all of them',
)
def test_all_kinds_of_bad_masks_are_told_at_once(root):
    paths = write(
        root,
        LABELS,
        LABELS.astype(np.uint16) + 256,
        np.stack([LABELS] * 3, axis=2),
        LABELS[:6],
        LABELS + 5,
        LABELS + 5,
    )
    paths[0].write_bytes(paths[0].read_bytes()[:40])
    image = root / 'train/images/3.jpg'
    expected = [
        f'{paths[0]}: cannot be decoded',
        f'{paths[1]}: labels [256, 257, 258] are outside the 3 classes (0-2, ignored: 255)',
        f'{paths[2]}: a mask of 3 channels',
        f'{paths[3]}: the mask is (16, 6), its image {image} (16, 12) pixels',
        f'{paths[4]}: labels [5, 6, 7] are outside the 3 classes',
    ]
    problems = mask_problems(config(root), LOADERS)
    assert len(problems) == len(expected)
    for problem, start in zip(problems, expected, strict=True):
        assert problem.startswith(start)
    assert problems[-1].endswith('(1 more like it)')


@pytest.mark.parametrize('split', ['train', 'val'])
@pytest.mark.input_fault(
    'Masks',
    'masks of 0 and 255',
    'refused: 255 is ignored, all that counts is class 0',
)
def test_masks_of_0_and_255_are_explained(root, split):
    write(root, *[(LABELS > 0).astype(np.uint8) * 255] * 2, split=split)
    for classes in (CLASSES, ('background', 'cat')):
        (problem,) = mask_problems(config(root, classes=classes), [f'{split}_dataloader'])
        assert problem.startswith(f'{split}_dataloader: {root}/{split}/masks: the 2 masks hold 0 ')
        assert '255 means "ignored" (ignore_index=255)' in problem
        assert 'save it as 1' in problem


@pytest.mark.parametrize(
    ('labels', 'options'),
    [
        (np.full_like(LABELS, 255), {}),
        (np.full_like(LABELS, 7), dict(ignore_index=7)),
        (LABELS * 0, dict(reduce_zero_label=True)),
        ((LABELS > 0).astype(np.uint8) * 255, dict(reduce_zero_label=True)),
    ],
)
@pytest.mark.input_fault(
    'Nothing to learn',
    'masks in which every pixel is ignored',
    'refused, once',
)
def test_masks_of_ignored_pixels_alone_stop_the_run(root, labels, options):
    write(root, labels, labels)
    problems = mask_problems(config(root, **options), ['train_dataloader'])
    assert len(problems) == 1
    assert f'{root}/train/masks: every pixel of the 2 masks is ignored' in problems[0]


@pytest.mark.input_fault(
    'Nothing to learn',
    'masks of one class',
    'refused, once',
)
def test_one_class_alone_stops_the_run(root):
    write(root, LABELS * 0, LABELS * 0)
    (problem,) = mask_problems(config(root), LOADERS)
    assert 'class 0 (background) is the only one in all masks' in problem
    Image.fromarray(LABELS).save(root / 'train/masks/1.png')
    assert mask_problems(config(root), LOADERS) == []


@pytest.mark.input_fault(
    'Masks',
    'classes that no mask has',
    'a warning',
)
def test_classes_in_no_mask_are_a_warning(root, capsys):
    write(root, LABELS % 2)
    assert mask_problems(config(root), LOADERS) == []
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith('Warning: none of the 1 training masks looked at holds the classes 2 (d')


@pytest.mark.input_fault(
    'Masks',
    'masks in JPEG',
    'refused',
)
def test_jpeg_masks_are_refused(root):
    write(root, LABELS, LABELS, suffix='.jpg')
    (problem,) = mask_problems(config(root, seg_map_suffix='.jpg'), ['train_dataloader'])
    assert 'a JPEG, whose compression changes labels; save masks as PNG (1 more' in problem


def test_masks_of_a_photo_that_exif_turns_lie_as_it_does(root):
    (mask,) = write(root, LABELS)
    exif = Image.Exif()
    exif[0x0112] = 8
    Image.new('RGB', (16, 12)).save(root / 'train/images/0.jpg', exif=exif)
    (problem,) = mask_problems(config(root), ['train_dataloader'])
    assert f'{mask}: the mask is (16, 12), its image' in problem
    assert 'if EXIF turns the image' in problem
    Image.fromarray(LABELS.T.copy()).save(mask)
    assert mask_problems(config(root), ['train_dataloader']) == []


def test_training_without_masks_is_named_and_testing_is_not(root):
    write(root, LABELS)
    cfg = config(root, data_prefix=dict(img_path='train/images'))
    problems = mask_problems(cfg, LOADERS)
    assert [line.split(':')[0] for line in problems] == LOADERS
    assert 'no masks: say where they are, data_prefix=dict(seg_map_path=DIR)' in problems[0]
    assert mask_problems(cfg, ['test_dataloader']) == []


def test_wrapped_datasets_are_looked_at(root):
    write(root, LABELS)
    write(root, LABELS + 9, split='more')
    cfg = config(root)
    leaf = cfg.train_dataloader.dataset.to_dict()
    prefix = dict(img_path='more/images', seg_map_path='more/masks')
    datasets = [leaf, {**leaf, 'data_prefix': prefix}]
    cfg.train_dataloader.dataset = dict(
        type='RepeatDataset', times=2, dataset=dict(type='ConcatDataset', datasets=datasets)
    )
    (problem,) = mask_problems(cfg, LOADERS)
    assert problem.startswith(f'{root}/more/masks/0.png: labels [9, 10, 11] are outside')


@pytest.mark.input_fault(
    'Masks',
    'one bad mask among a thousand good ones',
    'refused: all are looked at',
)
def test_all_masks_are_looked_at_and_only_changed_ones_again(root, tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    monkeypatch.setattr(kept, '_WORTH_KEEPING', 0)
    paths = write(root, *[LABELS] * 1001)
    Image.fromarray(LABELS + 5).save(paths[500])
    (problem,) = mask_problems(config(root), LOADERS)
    assert problem.startswith(f'{paths[500]}: labels [5, 6, 7] are outside the 3 classes')
    assert mask_problems(config(root), LOADERS) == [problem]
    opened = []
    monkeypatch.setattr(masks, 'to_labels', lambda image, path: opened.append(path) or LABELS)
    assert mask_problems(config(root), LOADERS) == [problem]
    assert opened == []
    paths[500].write_bytes(paths[0].read_bytes())
    assert mask_problems(config(root), LOADERS) == []
    assert opened == [str(paths[500])]


def test_what_other_transforms_load_is_not_looked_at(root):
    write(root, LABELS + 9)
    (root / 'train/images/0.jpg').write_text('a format of its own')
    pipeline = [dict(type='LoadBiomedicalImageFromFile'), dict(type='LoadBiomedicalAnnotation')]
    cfg = config(root, pipeline=pipeline)
    assert image_problems(cfg, LOADERS) == mask_problems(cfg, LOADERS) == []
    pipeline = [dict(type='LoadImageFromFile', imdecode_backend='tifffile')]
    assert image_problems(config(root, pipeline=pipeline), LOADERS) == []


def test_the_checks_are_in_the_table_of_all():
    assert {'segmentation_files', 'class_folders', 'images', 'masks'} <= CHECKS.keys()


@pytest.mark.input_fault(
    'Metrics and pictures',
    'an `ignore_index` of the head that is not that of the metric',
    'refused where masks hold it: those pixels would count as mistakes',
)
def test_what_the_head_ignores_the_metric_ignores(root):
    labels = LABELS.copy()
    labels[0] = 254
    write(root, labels)
    write(root, labels, split='val')
    cfg = config(root, ignore_index=254)
    cfg.val_evaluator = dict(type='IoUMetric')
    (problem,) = mask_problems(cfg, LOADERS)
    assert problem.startswith('val_evaluator: IoUMetric has ignore_index=255, the head 254')
    cfg.val_evaluator.ignore_index = 254
    assert mask_problems(cfg, LOADERS) == []
