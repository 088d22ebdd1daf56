"""Pictures of a segmentation run: predictions beside the truth, and its curves."""

import json
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from mmengine.config import Config
from PIL import Image

from mmca.checkpoint import load_file, state_dict_of

matplotlib.use('Agg')
from matplotlib import pyplot as plt  # noqa: E402


def read_scalars(work_dir: str | Path) -> list[dict]:
    """Logged scalars of a run, in order, with the parts of an interrupted run joined.

    A resumed run repeats the iterations after its checkpoint; the later record counts.

    Raises:
        FileNotFoundError: If the folder holds no log of mmengine's.
    """
    logs = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
    if not logs:
        raise FileNotFoundError(f'{work_dir}: no */vis_data/scalars.json; was it trained here?')
    records = {}
    for log in logs:
        for line in log.read_text().splitlines():
            record = json.loads(line)
            records['loss' in record, record['step']] = record
    return [records[key] for key in sorted(records)]


def draw_curves(runs: dict[str, str | Path], out: str | Path) -> None:
    """Loss and validation mIoU against the iteration.

    Args:
        runs (dict): Work directory of each run, by the name to show.
        out (str | Path): PNG to write.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout='constrained')
    for name, work_dir in runs.items():
        scalars = read_scalars(work_dir)
        losses = [(s['step'], s['loss']) for s in scalars if 'loss' in s]
        mious = [(s['step'], s['mIoU']) for s in scalars if 'mIoU' in s]
        left.plot(*zip(*losses, strict=True), label=name)
        if mious:
            right.plot(*zip(*mious, strict=True), marker='o', label=name)
    left.set(xlabel='iteration', ylabel='training loss', ylim=(0, None))
    right.set(xlabel='iteration', ylabel='validation mIoU (%)', ylim=(0, 100))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend()
    _save(figure, out)


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
    _save(figure, out)


def _save(figure: plt.Figure, out: str | Path) -> None:
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=110)
    plt.close(figure)
