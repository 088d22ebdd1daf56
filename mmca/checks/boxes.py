from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmengine.config import Config

from mmca.config_walk import config_metrics, leaf_datasets, type_name

from .coco import check_coco
from .det_datasets import check_dataset, dataset_class
from .findings import DIFFICULT, USABLE, Checked, describe, interleave, some

_EVALUATORS = {'val_dataloader': 'val_evaluator', 'test_dataloader': 'test_evaluator'}


def malformed_boxes(cfg: Config, loaders: Sequence[str]) -> list[str]:
    """Problems in the annotations of mmdet's COCO and VOC datasets, and of their metrics."""
    found = interleave(lines for loader in loaders for lines in _loader_problems(cfg, loader))
    return list(dict.fromkeys(found))


def _loader_problems(cfg: Config, loader: str) -> Iterator[list[str]]:
    """Lists of problems: of each dataset, of each metric, of all together."""
    if not cfg.get(loader):
        return
    evaluators = [_EVALUATORS[loader]] if loader in _EVALUATORS else []
    metrics = [m for m in config_metrics(cfg, evaluators) if type_name(m).endswith('CocoMetric')]
    evaluated = {Path(m['ann_file']).absolute(): m for m in metrics if m.get('ann_file')}
    outlines = any('segm' in m.get('metric', 'bbox') for m in metrics)
    checked: dict[str, Checked] = {}
    ids: Counter[str] = Counter()
    all_known = True
    classes: Sequence[str] = ()
    wrapper = cfg[loader]['dataset']
    for dataset in leaf_datasets(wrapper):
        kind = dataset_class(dataset, cfg.get('default_scope'))
        if kind is None or dataset.get('backend_args'):
            all_known = False
            continue
        path = Path(dataset.get('data_root') or '') / str(dataset.get('ann_file') or '')
        found = path.absolute() in evaluated
        result, classes = check_dataset(
            f'{loader}: ', wrapper, dataset, kind, found, found and outlines
        )
        if result is None:
            all_known = False
            continue
        checked[str(path)] = result
        ids.update(result.images)
        yield result.problems
    if not checked or not all_known:
        return
    predicted = frozenset().union(*(result.images for result in checked.values()))
    if shared := [image for image, count in ids.items() if count > 1 and evaluated]:
        yield [
            f'{loader}: {len(shared)} image ids, such as {shared[0]}, are those of several of its '
            "datasets, and COCO's evaluation takes them for one image: put all into one file"
        ]
    files = {Path(path).absolute() for path in checked}
    for path in evaluated:
        result = None
        if path not in files and classes:
            result = check_coco(path, classes, evaluated=True, masks=outlines)
            yield result.problems
        images = result.images if result else _images_of(checked, path)
        if images and predicted and images != predicted:
            yield [_disagreement(loader, path, images, predicted)]
    if any(result.problems for result in checked.values()):
        return
    if all(m.get('format_only') for m in metrics) and loader == 'test_dataloader' and metrics:
        return
    yield _nothing_usable(loader, checked)


def _images_of(checked: dict[str, Checked], path: Path) -> frozenset[str]:
    found = (r.images for name, r in checked.items() if Path(name).absolute() == path)
    return next(found, frozenset())


def _disagreement(
    loader: str, path: Path, images: frozenset[str], predicted: frozenset[str]
) -> str:
    evaluator = _EVALUATORS[loader]
    lacking, extra = sorted(predicted - images), sorted(images - predicted)
    said = [f'lacks images {some(lacking)} of the {loader}'] if lacking else []
    said += [f'has images {some(extra)} that the {loader} has not'] if extra else []
    return f'{path}: the ann_file of {evaluator} {", and ".join(said)}: give both the same file'


def _nothing_usable(loader: str, checked: dict[str, Checked]) -> list[str]:
    counts: Counter[str] = sum((result.counts for result in checked.values()), Counter())
    if counts[USABLE]:
        return []
    purpose = 'learn' if loader == 'train_dataloader' else 'measure'
    boxes = describe(counts)
    if counts[DIFFICULT]:
        boxes += f', {counts[DIFFICULT]} difficult'
    return [
        f'{some(list(checked))}: nothing to {purpose}: the {loader} has no box that counts '
        f'({boxes}); mmdet drops boxes of less than a pixel, crowds and difficult ones'
    ]
