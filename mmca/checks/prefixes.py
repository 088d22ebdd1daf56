"""Where a dataset's config says that its files are, as its library reads it."""

from collections.abc import Mapping

from mmca.config_walk import type_name

from .built import derives

# Classes, and what they look for in data_prefix; the first that fits.
_KEYS = (
    ('mmdet.XMLDataset', 'sub_data_root'),
    ('mmdet.CocoDataset', 'img'),
    ('mmseg.BaseSegDataset', 'img_path'),
    ('mmpretrain.BaseDataset', 'img_path'),
)
_READS_TEXT = 'mmpretrain.BaseDataset'


def setting_problem(kind: type, dataset: Mapping) -> str | None:
    """What is wrong with ``data_root``, ``ann_file`` and ``data_prefix`` of a dataset.

    Args:
        kind (type): Class of the dataset, one that derives from mmengine's.
        dataset (Mapping): Its config.
    """
    for option in ('data_root', 'ann_file'):
        value = dataset.get(option)
        if value is not None and not isinstance(value, str):
            return f'{option}={value!r} of {type_name(dataset)} is not the path of one: give text'
    wanted = next((key for base, key in _KEYS if derives(kind, base)), None)
    if 'data_prefix' not in dataset and wanted not in ('img', 'sub_data_root'):
        return None
    prefix = dataset.get('data_prefix')
    if isinstance(prefix, str) and derives(kind, _READS_TEXT):
        return None
    if isinstance(prefix, Mapping) and all(isinstance(item, str) for item in prefix.values()):
        if wanted is None or wanted in prefix:
            return None
    elif isinstance(prefix, Mapping):
        other = next(key for key, item in prefix.items() if not isinstance(item, str))
        wanted = wanted or other
        if other != wanted:
            return (
                f'data_prefix of {type_name(dataset)}: {other}={prefix[other]!r} is not the path '
                'of one: give text, or leave it out'
            )
    example = prefix if isinstance(prefix, str) else ''
    return (
        f'data_prefix={prefix!r}: {type_name(dataset)} wants '
        f'data_prefix=dict({wanted or "img_path"}={example!r})'
    )
