"""An exported file beside the PyTorch model that it was made from, on real images."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import mmcv
import numpy as np
import torch
from mmengine.registry import DefaultScope

from mmca.export.model import LoadedModel
from mmca.export.resizing import prepare
from mmca.export.runtime import ExportedNetwork

# Beside the exported size, if sizes are free: odd, high, wide, small.
OTHER_SIZES = (333, 257), (224, 320), (417, 545), (97, 129)
MATCHING_IOU = 0.9


class Tolerance(NamedTuple):
    """Largest difference, and share of changed labels or boxes, that a file may have."""

    difference: float
    changed: float


# Sums in another order; a label changes where two classes are that close.
FLOAT = {
    'classification': Tolerance(1e-3, 0.0),
    'segmentation': Tolerance(1e-2, 1e-3),
    'detection': Tolerance(1e-3, 1e-2),
}
# Eight bits: whether the metric holds is for the metric to say; this catches what is broken.
INT8 = {
    'classification': Tolerance(1.0, 0.25),
    'segmentation': Tolerance(float('inf'), 0.1),
    'detection': Tolerance(1.0, 0.75),
}


class Comparison(NamedTuple):
    """What a file gave for some images, beside PyTorch.

    Attributes:
        case: Size and number of the images.
        difference: The largest: of a classifier's scores; of the logits, by which the class that
            the file gave to a pixel is below the highest one; of a detection's score, or of its
            corners as a share of the longer side of the image, or of its box if that is longer.
        changed: Labels, pixels or detections that differ.
        total: Of how many.
    """

    case: str
    difference: float
    changed: int
    total: int

    def within(self, tolerance: Tolerance) -> bool:
        """Whether it is no further off than that; what is not a number is."""
        share = self.changed / max(1, self.total)
        return self.difference <= tolerance.difference and share <= tolerance.changed

    def __str__(self) -> str:
        share = 100 * self.changed / max(1, self.total)
        return (
            f'{self.case}: largest difference {self.difference:.1e}, changed {self.changed} of '
            f'{self.total} ({share:.3f} %)'
        )


class Reference:
    """The PyTorch model, called as its library's test calls it.

    Args:
        loaded (LoadedModel): The model.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = loaded

    @torch.no_grad()
    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """As an exported file's results; of segmentation ``logits`` (N, classes, H, W)."""
        model, task = self.loaded.model, self.loaded.task
        tensors = [torch.from_numpy(one.transpose(2, 0, 1).copy()) for one in images]
        with DefaultScope.overwrite_default_scope(self.loaded.cfg.default_scope):
            samples = [self._sample(tensor) for tensor in tensors]
            data = model.data_preprocessor(dict(inputs=tensors, data_samples=samples), False)
            x, samples = data['inputs'], data['data_samples']
            if task == 'segmentation':
                metas = [sample.metainfo for sample in samples]
                return {'logits': model.encode_decode(x, metas).numpy()}
            if task == 'classification':
                found = model.predict(x, samples)
                return {'scores': torch.stack([one.pred_score for one in found]).numpy()}
            found = [one.pred_instances for one in model.predict(x, samples, rescale=False)]
        names = {'boxes': 'bboxes', 'scores': 'scores', 'labels': 'labels'}
        return {ours: [one[theirs].numpy() for one in found] for ours, theirs in names.items()}

    def _sample(self, tensor: torch.Tensor):
        if self.loaded.task == 'classification':
            from mmpretrain.structures import DataSample as Sample
        elif self.loaded.task == 'segmentation':
            from mmseg.structures import SegDataSample as Sample
        else:
            from mmdet.structures import DetDataSample as Sample
        size = tuple(tensor.shape[1:])
        settings = dict(img_shape=size, ori_shape=size, pad_shape=size, scale_factor=(1.0, 1.0))
        return Sample(metainfo=settings)


def prove(
    loaded: LoadedModel, exported: ExportedNetwork, images: Sequence[np.ndarray]
) -> Iterator[Comparison]:
    """Compare a file with its model, size by size.

    Args:
        loaded (LoadedModel): The model that the file was made from.
        exported (ExportedNetwork): The file.
        images (Sequence[np.ndarray]): Real images, (H, W, 3), uint8, BGR, of any size.

    Yields:
        Comparison: At the exported size; then, if sizes are free, at four others and with two
        images at once.
    """
    known, reference = exported.metadata, Reference(loaded)
    prepared = [prepare(image, known) for image in images]
    few = prepared[:2] if len(prepared) > 1 else prepared * 2
    cases = [(known.size, known.batch, prepared)]
    if known.dynamic:
        cases += [(size, 1, few) for size in OTHER_SIZES] + [(known.size, 2, few)]
    for size, batch, chosen in cases:
        chosen = [mmcv.imresize(one, size[::-1]) for one in chosen]
        # The last batch is filled up.
        chosen += chosen[: -len(chosen) % batch]
        while len(chosen) % batch:
            chosen.append(chosen[-1])
        difference, changed, total = 0.0, 0, 0
        for start in range(0, len(chosen), batch):
            pixels = np.stack(chosen[start : start + batch])
            found = compare(known.task, reference(pixels), exported(pixels), max(size))
            # np.fmax would lose a value that is not a number.
            difference = float(np.maximum(difference, found[0]))
            changed, total = changed + found[1], total + found[2]
        case = f'{size[0]}x{size[1]}, {len(chosen)} images'
        case += f' in batches of {batch}' if batch > 1 else ''
        yield Comparison(case, difference, changed, total)


def compare(task: str, wanted: dict, got: dict, longer_side: int) -> tuple[float, int, int]:
    """Largest difference, number of changes, and of how many; see :class:`Comparison`."""
    if task == 'classification':
        a, b = wanted['scores'], got['scores']
        return np.abs(a - b).max(), int((a.argmax(1) != b.argmax(1)).sum()), len(a)
    if task == 'segmentation':
        logits, labels = wanted['logits'], got['class_map']
        if labels.shape != (len(logits), *logits.shape[2:]):
            return float('inf'), labels.size, labels.size
        chosen = np.take_along_axis(logits, labels[:, None], axis=1)[:, 0]
        below = logits.max(axis=1) - chosen
        return below.max(), int((labels != logits.argmax(axis=1)).sum()), labels.size
    difference, changed, total = 0.0, 0, 0
    for i, boxes in enumerate(wanted['boxes']):
        kept = got['labels'][i] >= 0
        theirs = [got[name][i][kept] for name in ('boxes', 'scores', 'labels')]
        ours = boxes, wanted['scores'][i], wanted['labels'][i]
        far, unmatched = _match(ours, theirs, longer_side)
        difference = float(np.maximum(difference, far))
        changed, total = changed + unmatched, total + max(len(boxes), int(kept.sum()))
    return difference, changed, total


def _match(ours: Sequence, theirs: Sequence, longer_side: int) -> tuple[float, int]:
    """Largest difference of detections that belong together, and how many have no partner."""
    free = np.ones(len(theirs[0]), bool)
    difference, alone = 0.0, 0
    for box, score, label in zip(*ours):
        overlap = _iou(box, theirs[0]) * (theirs[2] == label) * free
        if not len(overlap) or overlap.max() < MATCHING_IOU:
            alone += 1
            continue
        # Of equal boxes the one of this score.
        near = np.flatnonzero(overlap > overlap.max() - 1e-3)
        best = near[np.abs(theirs[1][near] - score).argmin()]
        free[best] = False
        size = max(longer_side, *(box[2:] - box[:2]))
        corners = np.abs(theirs[0][best] - box).max() / size
        difference = float(np.maximum(difference, max(corners, abs(theirs[1][best] - score))))
    return difference, max(alone, int(free.sum()))


def _iou(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    common = np.clip(high - low, 0, None).prod(axis=1)
    areas = (others[:, 2:] - others[:, :2]).prod(axis=1)
    return common / np.maximum((box[2:] - box[:2]).prod() + areas - common, 1e-9)
