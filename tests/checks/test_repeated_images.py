"""An image that counts twice in a validation is said."""

import json

import pytest
from mmengine.config import Config

from helpers.segmentation_data import LABELS, LOADERS, config, write
from mmca.checks.repeated_images import warn_of_repeated_images
from mmca.checks.run import CHECKS


def warned(cfg, capsys, loaders=LOADERS) -> str:
    assert warn_of_repeated_images(cfg, loaders) == []
    return capsys.readouterr().err


@pytest.mark.input_fault(
    'Lists and folders',
    'validation lists or files of COCO that name an image twice',
    'a warning counts them',
)
def test_lists_and_annotations_with_an_image_twice(root, capsys):
    write(root, LABELS)
    cfg = config(root, data_prefix=dict(img_path='train/images', seg_map_path='train/masks'))
    for name in ('train', 'val'):
        cfg[f'{name}_dataloader'].dataset.ann_file = f'{name}.txt'
        (root / f'{name}.txt').write_text('0\n1\n')
    assert warned(cfg, capsys) == ''
    (root / 'val.txt').write_text('0\n1\n1\n\n')
    (root / 'train.txt').write_text('0\n0\n1\n')  # on purpose
    assert warned(cfg, capsys) == (
        'Warning: the val_dataloader reads 1 image several times, such as 1: each counts as often '
        f'in the figures. Remove the repetitions from {root}/val.txt\n'
    )
    (root / 'val.txt').write_text('boat 1\nboat 2\n')  # names with blanks
    assert warned(cfg, capsys) == ''

    dataset = dict(type='CocoDataset', data_root=str(root), ann_file='val.json')
    cfg = Config(dict(val_dataloader=dict(dataset=dataset)))
    images = [dict(id=number, file_name=name) for number, name in enumerate('aabbc')]
    (root / 'val.json').write_text(json.dumps(dict(images=images)))
    said = warned(cfg, capsys, ['val_dataloader'])
    assert 'reads 2 images several times, such as a:' in said
    (root / 'val.json').write_text('[')
    assert warned(cfg, capsys, ['val_dataloader']) == ''
    assert CHECKS['repeated_images'] is warn_of_repeated_images
