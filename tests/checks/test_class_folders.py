"""Image folders of classification that do not hold what the config says."""

from pathlib import Path

import pytest
from mmengine.config import Config
from PIL import Image

from mmca.checks.class_folders import class_folder_problems
from mmca.checks.images import image_problems

LOADERS = ['train_dataloader', 'val_dataloader']


def config(root: Path, **changes) -> Config:
    def loader(split: str) -> dict:
        pipeline = [dict(type='LoadImageFromFile')]
        options = dict(
            type='CustomDataset', data_root=str(root), data_prefix=split, pipeline=pipeline
        )
        return dict(dataset={**options, **changes})

    return Config(
        dict(
            default_scope='mmpretrain',
            train_dataloader=loader('train'),
            val_dataloader=loader('val'),
        )
    )


def write(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.new('RGB', (8, 8)).save(folder / name, 'PNG')


@pytest.fixture
def root(tmp_path) -> Path:
    for split in ('train', 'val'):
        write(tmp_path / split / 'cat', '0.jpg', '1.JPEG')
        write(tmp_path / split / 'dog/more', '0.png')
    return tmp_path


def test_good_folders_give_no_line(root):
    for data_prefix in ('train', dict(img_path='train')):
        cfg = config(root, data_prefix=data_prefix)
        assert class_folder_problems(cfg, LOADERS) == []
    assert class_folder_problems(config(root), LOADERS) == []
    assert image_problems(config(root), LOADERS) == []
    assert class_folder_problems(config(root, with_label=False), LOADERS) == []


@pytest.mark.input_fault(
    'Lists and folders',
    'links that lead nowhere or to themselves, in class folders',
    'refused',
)
def test_dead_links_are_named(root):
    loop = root / 'val/cat/2.jpg'
    loop.symlink_to(loop)
    (problem,) = class_folder_problems(config(root), LOADERS)
    assert problem == (
        f'val_dataloader: 1 links lead nowhere, first {loop}: remove them, or restore what they '
        'stand for'
    )


def test_images_are_named_by_their_headers(root):
    (root / 'val/cat/0.jpg').write_text('no image')
    (problem,) = image_problems(config(root), LOADERS)
    assert problem.startswith(f'{root}/val/cat/0.jpg: cannot be decoded (no image that Pillow')


@pytest.mark.input_fault(
    'Classes',
    'class folders that differ between training and validation',
    'refused',
)
def test_class_folders_that_differ_are_named(root):
    write(root / 'val/bird', '0.jpg')
    (root / 'val/dog').rename(root / 'val/dogs')
    (problem,) = class_folder_problems(config(root), LOADERS)
    assert f'val_dataloader: the class folders in {root}/val are not those of train_' in problem
    assert 'without dog; with also bird, dogs; labels count the sorted folders' in problem


@pytest.mark.input_fault(
    'Lists and folders',
    'a hidden folder among class folders',
    'refused',
)
def test_a_hidden_folder_would_be_a_class(root):
    write(root / 'train/.ipynb_checkpoints', '0.jpg')
    first, second = class_folder_problems(config(root), LOADERS)
    assert f'{root}/train/.ipynb_checkpoints would count as a class' in first
    assert 'without .ipynb_checkpoints' in second


@pytest.mark.input_fault(
    'Classes',
    'classes in another order than their folders',
    'refused',
)
def test_classes_in_another_order_than_their_folders_are_named(root):
    assert class_folder_problems(config(root, classes=('cat', 'dog')), LOADERS) == []
    # Readable names for folders named otherwise, as ImageNet's, are no mistake.
    assert class_folder_problems(config(root, classes=('tabby', 'poodle')), LOADERS) == []
    problems = class_folder_problems(config(root, metainfo=dict(classes=('dog', 'cat'))), LOADERS)
    assert f"label 0 is the images of {root}/train/cat, but metainfo calls it 'dog'" in problems[0]
    problems = class_folder_problems(config(root, classes=('a', 'b', 'c')), LOADERS)
    assert '2 class folders' in problems[0]
    assert '3 classes in metainfo (a, b, c): make them equal' in problems[0]


@pytest.mark.input_fault(
    'Missing files',
    'class folders without images',
    'refused, with what they hold',
)
def test_no_image_says_what_is_there(root):
    problems = class_folder_problems(config(root, extensions=('.webp',)), LOADERS)
    assert len(problems) == 2
    assert f'train_dataloader: no image: no file below {root}/train has one of the' in problems[0]
    assert f'extensions (.webp); {root}/train holds 1 .JPEG, 1 .jpg, 1 .png' in problems[0]


def test_a_class_without_images_is_named_in_training(root):
    (root / 'val/cat/0.jpg').unlink()
    (root / 'val/cat/1.JPEG').unlink()
    assert class_folder_problems(config(root), LOADERS) == []
    (root / 'train/dog/more/0.png').unlink()
    (problem,) = class_folder_problems(config(root), LOADERS)
    assert '1 classes have no image with one of the extensions' in problem
    assert f'{root}/train/dog; {root}/train/dog holds no file' in problem


def test_images_beside_no_class_folder_are_named(tmp_path):
    write(tmp_path / 'train', 'a.jpg', 'b.jpg')
    (problem,) = class_folder_problems(config(tmp_path), ['train_dataloader'])
    assert f'no class folders in {tmp_path}/train' in problem
    assert f'{tmp_path}/train holds 2 .jpg' in problem


def listed(root: Path, *lines: str, **options) -> list[str]:
    (root / 'list.txt').write_text('\n'.join(lines), encoding='utf-8')
    cfg = config(root, ann_file='list.txt', **options)
    return class_folder_problems(cfg, ['train_dataloader'])


def test_lists_are_read_as_mmpretrain_does(root):
    assert listed(root, 'cat/0.jpg 0', 'dog/more/0.png 1', '') == []
    write(root / 'train', 'my cat.jpg')
    assert listed(root, 'my cat.jpg 0') == []


@pytest.mark.parametrize(
    ('lines', 'message'),
    [
        ([], 'list.txt names no image'),
        (['cat/0.jpg 0', '', 'dog/more/0.png 1'], "line 2: '' is not an image and its label"),
        (['cat/0.jpg'], "line 1: 'cat/0.jpg' is not an image and its label"),
        (['cat/0.jpg cat'], "line 1: 'cat/0.jpg cat' is not an image and its label"),
        (['cat/0.jpg 2'], 'line 1: label 2 is outside the 2 classes (0-1)'),
        (['cat/0.jpg -1'], 'line 1: label -1 is outside the 2 classes (0-1)'),
        (['cat/0.jpg 0', 'cat/9.jpg 0'], '1 of 2 images named in'),
        (['\ufeffcat/0.jpg 0'], 'do not exist, first'),
    ],
)
@pytest.mark.input_fault(
    'Lists and folders',
    'lines that are no name and label, labels outside the classes',
    'refused, with list and line',
)
def test_bad_lines_of_a_list_are_named(root, lines, message):
    problems = listed(root, *lines, classes=('cat', 'dog'))
    assert len(problems) == 1
    assert message in problems[0]
    assert 'list.txt' in problems[0]


def test_labels_are_those_of_the_head_where_nobody_names_classes(root):
    lines = ['cat/0.jpg 0', 'dog/more/0.png 2']
    assert listed(root, *lines) == []
    (root / 'list.txt').write_text('\n'.join(lines))
    cfg = config(root, ann_file='list.txt')
    cfg.model = dict(type='ImageClassifier', head=dict(num_classes=2))
    problems = class_folder_problems(cfg, LOADERS)
    assert any('list.txt, line 2: label 2 is outside the 2 classes (0-1)' in p for p in problems)


@pytest.mark.input_fault(
    'Nothing to learn',
    'a list of images that all have one label',
    'refused, once',
)
def test_lists_of_one_label_teach_nothing(root):
    (root / 'list.txt').write_text('cat/0.jpg 1\ndog/more/0.png 1\n')
    cfg = config(root, ann_file='list.txt')
    cfg.model = dict(type='ImageClassifier', head=dict(num_classes=2))
    (problem,) = class_folder_problems(cfg, ['train_dataloader'])
    assert problem.startswith('train_dataloader: 1 is the only label in its lists')
    two = cfg.train_dataloader.dataset
    (root / 'other.txt').write_text('cat/0.jpg 0\n')
    datasets = [two, {**two, 'ann_file': 'other.txt'}]
    cfg.train_dataloader.dataset = dict(type='ConcatDataset', datasets=datasets)
    assert class_folder_problems(cfg, ['train_dataloader']) == []


@pytest.mark.input_fault(
    'Classes',
    '`with_label=False` where labels are learnt or measured',
    'refused',
)
def test_labels_that_are_not_read(root):
    cfg = config(root, with_label=False)
    cfg.model = dict(type='ImageClassifier')
    learnt, measured = class_folder_problems(cfg, LOADERS)
    assert learnt.startswith('train_dataloader: with_label=False reads no labels, and they are le')
    assert measured.startswith('val_dataloader: with_label=False')
    cfg.model = dict(type='SimCLR', head=dict(type='ContrastiveHead'))
    assert class_folder_problems(cfg, LOADERS) == []


@pytest.mark.input_fault(
    'Lists and folders',
    'images in class folders whose suffix is not among the `extensions`',
    'a warning counts them',
)
def test_images_that_are_left_out_are_counted(root, capsys):
    assert class_folder_problems(config(root), LOADERS) == []
    assert capsys.readouterr().err == ''
    write(root / 'train/cat', 'c.webp', 'd.gif')
    (root / 'train/cat/notes.txt').write_text('')
    assert class_folder_problems(config(root), LOADERS) == []
    assert capsys.readouterr().err.startswith(
        f'Warning: train_dataloader: 2 images such as {root}/train/cat/c.webp are left out: '
    )
