import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmengine.config import Config

from mmca.dataprep.boxes import Checked, check_coco, check_voc_xml
from mmca.dataprep.common import read_lines

from .data_check import config_datasets

_SHOWN = 20


class BadAnnotationError(ValueError):
    """Annotations of a dataset that would stop a training or lose objects silently."""


def check_boxes(cfg: Config, loaders: Sequence[str]) -> None:
    """Raise a BadAnnotationError that names files and annotations if boxes are malformed.

    Knows mmdet's ``CocoDataset`` and VOC datasets. A config with ``check_annotations=False``
    is not checked.

    Args:
        cfg (Config): A config.
        loaders (Sequence[str]): Names of the dataloaders to check.
    """
    if not cfg.get('check_annotations') or os.environ.get('RANK', '0') != '0':
        return
    problems = [line for checked in _checked(cfg, loaders) for line in checked.problems]
    if problems:
        lines = problems[:_SHOWN]
        if len(problems) > _SHOWN:
            lines.append(f'... and {len(problems) - _SHOWN} more')
        listed = '\n  '.join(lines)
        raise BadAnnotationError(
            f'{len(problems)} problem(s) in the annotations:\n  {listed}\nCorrect or remove them. '
            'To train all the same, as mmdet reads them: --cfg-options check_annotations=False'
        )


def _checked(cfg: Config, loaders: Sequence[str]) -> Iterator[Checked]:
    from mmdet.registry import DATASETS

    for _, dataset in config_datasets(cfg, loaders):
        kind = dataset['type'].removeprefix('mmdet.')
        root = Path(dataset.get('data_root') or '')
        prefix = dataset.get('data_prefix') or {}
        classes = (dataset.get('metainfo') or DATASETS.get(kind).METAINFO).get('classes')
        if kind == 'CocoDataset':
            yield check_coco(root / dataset['ann_file'], classes, root / prefix.get('img', ''))
        elif kind in ('VOCDataset', 'XMLDataset'):
            folder = root / prefix.get('sub_data_root', '') / 'Annotations'
            names = read_lines(root / dataset['ann_file'])
            yield check_voc_xml([folder / f'{name}.xml' for name in names], classes)
