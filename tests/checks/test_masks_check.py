"""What is wrong with the masks of a segmentation dataset is said before the run."""

from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from mmca.checks import kept, masks
from mmca.checks.images import image_problems
from mmca.checks.masks import mask_problems
from mmca.checks.run import CHECKS
from mmca.checks.segmentation_files import missing_segmentation_files

CLASSES = ('background', 'cat', 'dog')
LABELS = np.random.default_rng(0).integers(0, 3, (12, 16), dtype=np.uint8)
LOADERS = ['train_dataloader', 'val_dataloader']


def config(root: Path, **changes) -> Config:
    """A segmentation config over ``root``/{train,val}/{images,masks}."""
    classes = changes.pop('classes', CLASSES)
    ignore_index = changes.pop('ignore_index', 255)

    def loader(split: str) -> dict:
        options = dict(
            type='BaseSegDataset',
            metainfo=dict(classes=classes),
            data_root=str(root),
            data_prefix=dict(img_path=f'{split}/images', seg_map_path=f'{split}/masks'),
            pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')],
        )
        return dict(dataset={**options, **changes})

    return Config(
        dict(
            default_scope='mmseg',
            model=dict(decode_head=dict(num_classes=len(classes), ignore_index=ignore_index)),
            train_dataloader=loader('train'),
            val_dataloader=loader('val'),
            test_dataloader=loader('val'),
        )
    )


def write(root: Path, *masks: np.ndarray, split: str = 'train', suffix: str = '.png') -> list[Path]:
    """A pair of an image and a mask for each array; returns the paths of the masks."""
    paths = []
    for folder in ('images', 'masks'):
        (root / split / folder).mkdir(parents=True, exist_ok=True)
    for index, labels in enumerate(masks):
        Image.new('RGB', (16, 12)).save(root / split / 'images' / f'{index}.jpg')
        paths.append(root / split / 'masks' / f'{index}{suffix}')
        Image.fromarray(labels).save(paths[-1])
    return paths


@pytest.fixture
def root(tmp_path) -> Path:
    write(tmp_path, LABELS, LABELS, split='val')
    return tmp_path


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


def test_images_are_named_by_their_headers(root):
    write(root, *[LABELS] * 4)
    images = root / 'train/images'
    (images / '0.jpg').write_text('no image')
    (images / '1.jpg').write_bytes(b'')
    frame = Image.new('L', (16, 12))
    frame.save(images / '2.jpg', 'GIF', save_all=True, append_images=[Image.new('L', (16, 12), 9)])
    frame.convert('F').save(images / '3.jpg', 'TIFF')
    problems = image_problems(config(root), LOADERS)
    for name, message in (
        ('0.jpg', "cannot be decoded (no image that Pillow knows; it begins with b'no image')"),
        ('1.jpg', 'cannot be decoded (empty, 0 bytes)'),
        ('2.jpg', 'holds 2 pictures (GIF)'),
        ('3.jpg', 'mode F (32 bits a pixel)'),
    ):
        assert any(line.startswith(f'{images / name}: {message}') for line in problems), message
    assert len(problems) == 4


@pytest.mark.input_fault(
    'Images', 'validation images of different sizes in one batch of mmseg', 'refused'
)
def test_images_of_different_sizes_in_one_batch_are_named(root):
    write(root, LABELS, LABELS)
    for split in ('train', 'val'):
        Image.new('RGB', (12, 16)).save(root / split / 'images/1.jpg')
    cfg = config(root)
    assert image_problems(cfg, LOADERS) == []
    cfg.train_dataloader.batch_size = cfg.val_dataloader.batch_size = 2
    (problem,) = image_problems(cfg, LOADERS)
    images = root / 'val/images'
    assert problem == (
        f'val_dataloader: {images}/0.jpg is of 16x12 pixels, {images}/1.jpg of 12x16: they do not '
        'fit into one batch of 2; set val_dataloader.batch_size=1'
    )
    cfg.val_dataloader.dataset.pipeline.insert(1, dict(type='Resize', scale=(8, 8)))
    assert image_problems(cfg, LOADERS) == []


@pytest.mark.input_fault(
    'Images',
    'images so thin that a resize leaves 0 pixels of a side',
    'refused, with the size and the setting',
)
def test_thin_images_are_named_before_the_run(root):
    write(root, LABELS)
    image = root / 'val/images/0.jpg'
    Image.new('RGB', (1500, 1)).save(image)
    cfg = config(root)
    assert image_problems(cfg, LOADERS) == []
    for loader in (*LOADERS, 'test_dataloader'):
        resize = dict(type='Resize', scale=(512, 512), keep_ratio=True)
        cfg[loader].dataset.pipeline.append(resize)
    expected = (
        f'{image}: is of 1500x1 pixels, of which Resize(scale=(512, 512)) leaves a side of 0: take '
        'it out of the dataset, or cut it into less thin ones'
    )
    for loaders in (LOADERS, ['test_dataloader']):
        assert image_problems(cfg, loaders) == [expected]


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


# Files that are not found


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


def test_the_checks_are_in_the_table_of_all():
    assert {'segmentation_files', 'class_folders', 'images', 'masks'} <= CHECKS.keys()
