"""What is wrong with the images of a segmentation dataset is said before the run."""

import pytest
from PIL import Image

from helpers.segmentation_data import LABELS, LOADERS, config, write
from mmca.checks.coco import check_coco
from mmca.checks.images import image_problems
from mmca.checks.masks import mask_problems
from mmca.checks.voc_xml import check_voc_xml


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


def check_xml(path, classes):
    return check_voc_xml({path: path.with_suffix('.jpg')}, classes)


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
    'Images', 'a pointer of Git LFS, also in place of a mask or of annotations', 'refused, named so'
)
def test_a_pointer_of_git_lfs_is_named(root, tmp_path):
    (mask,) = write(root, LABELS)
    image, text = root / 'train/images/0.jpg', 'version https://git-lfs.github.com/spec/v1\noid'
    for path in (image, mask):
        path.write_text(text)
    said = 'it is a pointer of Git LFS, fetch the file itself with `git lfs pull`'
    assert f'{image}: cannot be decoded (no image' in image_problems(config(root), LOADERS)[0]
    assert said in image_problems(config(root), LOADERS)[0]
    assert said in mask_problems(config(root), LOADERS)[0]
    for name, check in (('a.json', check_coco), ('a.xml', check_xml)):
        (tmp_path / name).write_text(text)
        assert said in check(tmp_path / name, ('cat',)).problems[0]
