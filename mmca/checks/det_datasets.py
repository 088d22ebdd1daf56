"""Checking one dataset of mmdet by what its class will read."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mmca.config_walk import leaf_transforms, type_name

from .class_names import class_names
from .coco import check_coco
from .findings import Checked, Problems
from .folders import missing_files
from .lists import odd_name, read_list
from .prefixes import setting_problem
from .thin import thin_images
from .voc_xml import check_voc_xml

_IGNORING_EXIF = ('turbojpeg', 'tifffile')


def dataset_class(dataset: Mapping, scope: str | None) -> type | None:
    """The class of mmdet that a dataset's ``type`` stands for; None if it is not one of mmdet's.

    Args:
        dataset (Mapping): Config of a dataset; its type is a name, or a class.
        scope (str | None): The config's ``default_scope``.
    """
    kind = dataset.get('type')
    if isinstance(kind, str):
        if scope != 'mmdet' and not kind.startswith('mmdet.'):
            return None
        from mmdet.registry import DATASETS

        kind = DATASETS.get(kind)
    bases = getattr(kind, '__mro__', ())
    return kind if any(base.__module__.startswith('mmdet.datasets') for base in bases) else None


def check_dataset(
    prefix: str, wrapper: Mapping, dataset: Mapping, kind: type, evaluated: bool, outlines: bool
) -> tuple[Checked | None, Sequence[str]]:
    """What is wrong with a dataset, and its classes; None if its class reads other formats.

    Args:
        prefix (str): Before problems of the config.
        wrapper (Mapping): The dataset of the loader, which may have pipelines of its own.
        dataset (Mapping): The dataset.
        kind (type): Its class.
        evaluated (bool): Whether COCO's evaluation reads its annotations.
        outlines (bool): Whether it does so for masks, too.
    """
    from mmdet.datasets import CocoDataset, XMLDataset

    check = None
    if _reads_like(kind, CocoDataset, 'load_data_list', 'parse_data_info'):
        check = _check_coco
    elif _reads_like(kind, XMLDataset, 'load_data_list', 'parse_data_info', '_parse_instance_info'):
        check = _check_voc
    if check is None:
        return None, ()
    try:
        if problem := setting_problem(kind, dataset):
            raise ValueError(problem)
        classes = _classes(kind, dataset)
        trained = not dataset.get('test_mode')
        filters = (dataset.get('filter_cfg') if trained else None) or {}
        transforms = list(_transforms(wrapper))
        options = dict(
            exif=all(_obeys_exif(item) for item in transforms),
            plain=any(_is_plain(item) for item in transforms),
            thin=thin_images(transforms),
            least_side=filters.get('min_size', 0),
        )
        if check is _check_coco:
            masks = outlines or (trained and any(item.get('with_mask') for item in transforms))
            options |= dict(evaluated=evaluated, masks=masks)
            return _check_coco(dataset, classes, **options), classes
        flat_dropped = not trained or any(type_name(t) == 'FilterAnnotations' for t in transforms)
        options |= dict(flat_dropped=flat_dropped, least_box=filters.get('bbox_min_size') or 0)
        return _check_voc(dataset, classes, **options), classes
    except ValueError as error:
        return Checked([f'{prefix}{error}'], Counter()), ()


def _reads_like(kind: type, base: type, *methods: str) -> bool:
    return issubclass(kind, base) and all(
        getattr(kind, name) is getattr(base, name) for name in methods
    )


def _transforms(dataset: Mapping) -> Iterator[Mapping]:
    """Transforms of a dataset and of those that it wraps."""
    yield from leaf_transforms(dataset.get('pipeline') or [])
    inner = dataset.get('datasets') or ([dataset['dataset']] if 'dataset' in dataset else [])
    for child in inner:
        yield from _transforms(child)


def _obeys_exif(transform: Mapping) -> bool:
    return type_name(transform) != 'LoadImageFromFile' or (
        transform.get('color_type', 'color') in ('color', 'grayscale')
        and transform.get('imdecode_backend') not in _IGNORING_EXIF
    )


def _is_plain(transform: Mapping) -> bool:
    """Whether it loads images as :mod:`mmca.images` does."""
    return (
        type_name(transform) == 'LoadImageFromFile'
        and transform.get('color_type', 'color') != 'unchanged'
        and transform.get('imdecode_backend', 'cv2') in ('cv2', 'pillow')
    )


def _classes(kind: type, dataset: Mapping) -> Sequence[str]:
    classes, _ = class_names(kind, dataset)
    if not classes:
        raise ValueError('no classes: name them, metainfo=dict(classes=(...))')
    return classes


def _folder(dataset: Mapping, key: str) -> Path:
    return Path(dataset.get('data_root') or '') / dataset['data_prefix'][key]


def _ann_file(dataset: Mapping) -> Path:
    name = dataset.get('ann_file')
    if not isinstance(name, str) or not name:
        raise ValueError(
            f'ann_file={name!r}: {type_name(dataset)} wants the file of its annotations'
        )
    return Path(dataset.get('data_root') or '') / name


def _check_coco(dataset: Mapping, classes: Sequence[str], **options) -> Checked:
    return check_coco(_ann_file(dataset), classes, _folder(dataset, 'img'), **options)


def _check_voc(dataset: Mapping, classes: Sequence[str], **options) -> Checked:
    folder, path = _folder(dataset, 'sub_data_root'), _ann_file(dataset)
    annotations = folder / dataset.get('ann_subdir', 'Annotations')
    images = folder / dataset.get('img_subdir', 'JPEGImages')
    try:
        names = read_list(path)
    except FileNotFoundError:
        return Checked([f'{path}: missing'], Counter())
    except ValueError as error:
        return Checked([f'{path}: {error}'], Counter())
    problems = Problems()
    if not names:
        problems.add('empty', f'{path}: lists no images')
    pairs, no_annotation, no_image = {}, [], []
    for line, name in enumerate(names, 1):
        entry = f'{path}: line {line}'
        annotation, image = annotations / f'{name}.xml', images / f'{name}.jpg'
        if os.path.isfile(annotation):
            pairs[annotation] = image
        elif reason := odd_name(name):
            problems.add('line', f'{entry} {reason}')
            continue
        else:
            no_annotation.append((entry, annotation))
        if not os.path.isfile(image):
            no_image.append((entry, image))
    remedy = 'restore it, or correct the list, or data_prefix in the config'
    for text in missing_files(no_annotation, len(names), remedy):
        problems.add('annotation', text)
    for text in missing_files(no_image, len(names), f'{remedy}; mmdet reads .jpg alone'):
        problems.add('image', text)
    checked = check_voc_xml(pairs, classes, **options)
    return checked._replace(problems=problems.lines() + checked.problems)
