"""Pictures of a run: predictions beside the truth, and its curves."""

import json
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from mmengine.config import Config
from PIL import Image

from mmca.checkpoint import load_file, state_dict_of
from mmca.tables import Metric
from mmca.training_log import read_scalars

matplotlib.use('Agg')
from matplotlib import pyplot as plt  # noqa: E402


def draw_curves(runs: dict[str, str | Path], metric: Metric, out: str | Path) -> None:
    """Loss and a validation metric against the step (iteration, or epoch for the metric).

    Args:
        runs (dict): Work directory of each run, by the name to show.
        metric (Metric): As a validation logs it.
        out (str | Path): PNG to write.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout='constrained')
    for name, work_dir in runs.items():
        scalars = read_scalars(work_dir)
        losses = [(s['step'], s['loss']) for s in scalars if 'loss' in s]
        values = [(s['step'], metric.percent(s)) for s in scalars if metric.key in s]
        left.plot(*zip(*losses, strict=True), label=name)
        if values:
            right.plot(*zip(*values, strict=True), marker='o', label=name)
    left.set(xlabel='iteration', ylabel='training loss', ylim=(0, None))
    right.set(xlabel='step', ylabel=f'validation {metric.long_name} (%)', ylim=(0, 100))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend()
    save_figure(figure, out)


def draw_predictions(
    config: str | Path,
    checkpoint: str | Path,
    pairs: Sequence[tuple[Path, Path]],
    out: str | Path,
    device: str = 'cpu',
) -> None:
    """Rows of image, ground truth and prediction, one column for each image.

    Args:
        config (str | Path): Config of a segmentation model.
        checkpoint (str | Path): Its weights.
        pairs (Sequence): (image, mask of class indices) files.
        out (str | Path): PNG to write.
        device (str): Where to predict.
    """
    from mmseg.apis import inference_model, init_model

    model = init_model(Config.fromfile(config), device=device)
    loaded = load_file(checkpoint)
    model.load_state_dict(state_dict_of(loaded))
    colours = loaded['meta']['dataset_meta']['palette']
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(colours)] = colours
    palette[255] = 255
    with Image.open(pairs[0][0]) as first:
        height = 1.9 * first.height / first.width
    figure, axes = plt.subplots(
        3,
        len(pairs),
        figsize=(1.8 * len(pairs) + 0.4, 3 * height),
        squeeze=False,
        layout='constrained',
    )
    for column, (image, mask) in zip(axes.T, pairs, strict=True):
        truth = np.array(Image.open(mask))
        prediction = inference_model(model, str(image)).pred_sem_seg.data[0].cpu().numpy()
        for cell, picture in zip(
            column, (Image.open(image), palette[truth], palette[prediction]), strict=True
        ):
            cell.imshow(picture, interpolation='nearest')
            cell.set(xticks=[], yticks=[])
    for cell, label in zip(axes[:, 0], ('image', 'ground truth', 'prediction'), strict=True):
        cell.set_ylabel(label, fontsize=13)
    save_figure(figure, out)


def draw_detections(
    config: str | Path,
    checkpoint: str | Path,
    annotations: str | Path,
    images: str | Path,
    out: str | Path,
    count: int = 8,
    least_score: float = 0.3,
    device: str = 'cpu',
) -> None:
    """A row of images with the true boxes, and one with the detected ones.

    Args:
        config (str | Path): Config of a detection model.
        checkpoint (str | Path): Its weights.
        annotations (str | Path): COCO annotations of the images.
        images (str | Path): Their folder.
        out (str | Path): PNG to write.
        count (int): How many images, from the first.
        least_score (float): Least score of a box that is drawn.
        device (str): Where to predict.
    """
    from mmdet.apis import inference_detector, init_detector

    model = init_detector(Config.fromfile(config), device=device, palette='random')
    model.load_state_dict(state_dict_of(load_file(checkpoint)))
    content = json.loads(Path(annotations).read_text())
    names = {category['id']: category['name'] for category in content['categories']}
    classes = list(names.values())
    figure, axes = plt.subplots(
        2, count, figsize=(1.8 * count + 0.4, 3.8), squeeze=False, layout='constrained'
    )
    for (above, below), image in zip(axes.T, content['images'][:count], strict=True):
        path = Path(images) / image['file_name']
        truth = [a for a in content['annotations'] if a['image_id'] == image['id']]
        _draw_boxes(above, path, [(names[a['category_id']], *a['bbox']) for a in truth])
        found = inference_detector(model, str(path)).pred_instances.cpu().numpy()
        found = found[found.scores >= least_score]
        corners = zip(found.labels, found.scores, found.bboxes, strict=True)
        _draw_boxes(
            below,
            path,
            [
                (f'{classes[n]} {s:.2f}', x1, y1, x2 - x1, y2 - y1)
                for n, s, (x1, y1, x2, y2) in corners
            ],
        )
    axes[0, 0].set_ylabel('ground truth', fontsize=13)
    axes[1, 0].set_ylabel('detected', fontsize=13)
    save_figure(figure, out)


def _draw_boxes(axes: plt.Axes, path: Path, boxes: Sequence[tuple]) -> None:
    """Boxes as (label, x, y, width, height)."""
    with Image.open(path) as picture:
        axes.imshow(picture)
    for label, x, y, width, height in boxes:
        outline = plt.Rectangle((x, y), width, height, fill=False, color='black', linewidth=1.5)
        axes.add_patch(outline)
        box = dict(facecolor='black', pad=0.5, linewidth=0)
        axes.text(x, y, label, fontsize=6, color='white', va='bottom', bbox=box)
    axes.set(xticks=[], yticks=[])


def save_figure(figure: plt.Figure, out: str | Path) -> None:
    """Write a figure as PNG and close it."""
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=110)
    plt.close(figure)
