"""Images and masks that a segmentation dataset will not find are named before the run."""

from pathlib import Path

import pytest
from mmengine.config import Config

from helpers.segmentation_data import LABELS, LOADERS, config, write
from mmca.checks.masks import mask_problems
from mmca.checks.segmentation_files import missing_segmentation_files


def listed(root: Path, *lines: str, **options) -> Config:
    (root / 'list.txt').write_text('\n'.join(lines), encoding='utf-8')
    return config(root, ann_file='list.txt', **options)


@pytest.mark.input_fault(
    'Missing files',
    'a suffix that no image or mask has',
    'refused, with what the folder holds',
)
def test_a_wrong_suffix_says_what_is_there(root):
    write(root, LABELS, LABELS)
    problems = missing_segmentation_files(config(root, img_suffix='.png'), ['train_dataloader'])
    folder = root / 'train/images'
    assert problems == [
        f"train_dataloader: no image: no file below {folder} ends in '.png', the dataset's "
        f'img_suffix; {folder} holds 2 .jpg'
    ]
    (problem,) = missing_segmentation_files(
        config(root, seg_map_suffix='_mask.png'), ['train_dataloader']
    )
    assert f'2 of 2 do not exist, first {root}/train/masks/0_mask.png (entry 1)' in problem
    assert f'{root}/train/masks holds 2 .png' in problem


def test_a_longer_suffix_is_proposed(root):
    write(root, LABELS)
    (root / 'train/masks/0.png').rename(root / 'train/masks/0_labels.png')
    (problem,) = missing_segmentation_files(config(root), ['train_dataloader'])
    assert "there is 0_labels.png: set seg_map_suffix='_labels.png' in the dataset" in problem


@pytest.mark.input_fault(
    'Missing files',
    '`.JPG` beside `.jpg`',
    'refused: they would be left out',
)
def test_upper_case_suffixes_are_not_left_out_in_silence(root):
    write(root, LABELS, LABELS)
    images = root / 'train/images'
    (images / '1.jpg').rename(images / '1.JPG')
    (problem,) = missing_segmentation_files(config(root), ['train_dataloader'])
    assert f'1 files such as {images}/1.JPG are left out' in problem
    (images / '0.jpg').rename(images / '0.JPG')
    problems = missing_segmentation_files(config(root), ['train_dataloader'])
    assert f'{images} holds 2 .JPG' in problems[0]


@pytest.mark.parametrize(
    ('lines', 'message'),
    [
        ([], 'list.txt names no image'),
        (['0', '', '1'], 'delete the blank line from the list'),
        (['\ufeff0', '1'], 'save the list without a byte order mark'),
        (['0.jpg', '1.jpg'], "take the suffix out of the names in the list: img_suffix adds '.jpg"),
        (['0', '7'], 'restore it, or take it out of the dataset'),
    ],
)
@pytest.mark.input_fault(
    'Lists and folders',
    'blank lines, a byte order mark or names of missing images in a list of mmseg',
    'refused, with list and line',
)
def test_lists_name_what_does_not_exist(root, lines, message):
    write(root, LABELS, LABELS)
    problems = missing_segmentation_files(listed(root, *lines), ['train_dataloader'])
    assert message in problems[0]
    assert 'list.txt' in problems[0]


@pytest.mark.input_fault(
    'Lists and folders',
    'a list that is not UTF-8',
    'refused',
)
def test_a_list_that_is_no_utf8_is_named(root):
    write(root, LABELS)
    cfg = config(root, ann_file='list.txt')
    (root / 'list.txt').write_text('0\n', encoding='utf-16')
    (problem,) = missing_segmentation_files(cfg, ['train_dataloader'])
    assert problem.startswith(f'train_dataloader: {root}/list.txt: cannot be read: ')
    assert mask_problems(cfg, ['train_dataloader']) == []


@pytest.mark.input_fault(
    'Configs',
    'options of a dataset that its class does not have',
    'refused',
)
def test_a_dataset_that_cannot_be_built_is_named(root):
    cfg = config(root, img_sufix='.jpg')
    (problem,) = missing_segmentation_files(cfg, ['train_dataloader'])
    assert 'train_dataloader: BaseSegDataset cannot be built: ' in problem
    assert 'img_sufix' in problem


@pytest.mark.input_fault(
    'Lists and folders',
    'names with spaces, a line break at the end',
    'read',
)
def test_a_list_may_have_spaces_and_end_in_a_line_break(root):
    write(root, LABELS, LABELS)
    for folder, suffix in (('images', '.jpg'), ('masks', '.png')):
        (root / 'train' / folder / f'0{suffix}').rename(root / 'train' / folder / f'boat 1{suffix}')
    cfg = listed(root, 'boat 1  ', '1', '')
    assert missing_segmentation_files(cfg, ['train_dataloader']) == []


@pytest.mark.input_fault(
    'Missing files',
    'a missing validation mask',
    'refused before the training',
)
def test_a_missing_validation_mask_is_named(root):
    (root / 'val/masks/1.png').unlink()
    write(root, LABELS)
    (problem,) = missing_segmentation_files(config(root), LOADERS)
    assert problem.startswith('val_dataloader: masks of the images in')
    assert f'1 of 2 do not exist, first {root}/val/masks/1.png (entry 2)' in problem


@pytest.mark.input_fault(
    'Metrics and pictures',
    'a test set without masks whose metrics only write',
    'predictions are written',
)
def test_predictions_alone_need_no_masks(root):
    (root / 'val/masks/1.png').unlink()
    cfg = config(root)
    cfg.test_evaluator = dict(type='IoUMetric', format_only=True, output_dir='out')
    assert missing_segmentation_files(cfg, ['test_dataloader']) == []
    cfg.test_evaluator = dict(type='IoUMetric')
    assert len(missing_segmentation_files(cfg, ['test_dataloader'])) == 1


@pytest.mark.input_fault(
    'Lists and folders',
    'an `ann_file` of mmseg that is a folder',
    'refused: all images would count',
)
def test_a_list_that_is_a_folder(root):
    write(root, LABELS)
    (root / 'lists').mkdir()
    (problem,) = missing_segmentation_files(config(root, ann_file='lists'), ['train_dataloader'])
    assert problem.startswith(f"train_dataloader: ann_file='lists' is the folder {root}/lists: ")


def test_an_image_that_is_a_folder(root):
    write(root, LABELS)
    image = root / 'train/images/0.jpg'
    image.unlink(), image.mkdir()
    (problem,) = missing_segmentation_files(listed(root, '0'), ['train_dataloader'])
    assert f'first {image} (entry 1); it is a folder: restore the file' in problem
