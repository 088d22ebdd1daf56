"""Running exported files, whatever their format."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mmca.errors import UserError
from mmca.export.metadata import ExportMetadata
from mmca.export.nms import suppress
from mmca.export.targets import target_module, target_of


class ExportedNetwork:
    """An exported file in its runtime: :func:`load_exported` opens one.

    Attributes:
        metadata (ExportMetadata): What the file says of itself.
    """

    def __init__(self, metadata: ExportMetadata, run: Callable, single: bool) -> None:
        self.metadata = metadata
        self._run = run
        self._single = single  # whether the file takes one image at a time

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Run the network.

        Args:
            images (np.ndarray): (N, H, W, 3), uint8, in BGR, already resized: see
                :func:`mmca.export.prepare`. The same whether preprocessing is in the file or not.

        Returns:
            dict[str, np.ndarray]: Of a classifier ``scores`` (N, classes); of segmentation
            ``class_map`` (N, H, W), int64; of a detector ``boxes`` (N, K, 4), x1 y1 x2 y2 in pixels
            of these images, ``scores`` (N, K), falling, and ``labels`` (N, K), int64, with
            K = max_per_img. Beyond the last detection labels are -1 and the others 0.

        Raises:
            UserError: If the file does not take such images.
        """
        self._check(images)
        inputs = self.inputs(images)
        try:
            if self._single and len(images) > 1:
                rows = [self._run(inputs[i : i + 1]) for i in range(len(images))]
                outputs = [np.concatenate(parts) for parts in zip(*rows)]
            else:
                outputs = self._run(inputs)
        except UserError:
            raise
        except Exception as error:  # each runtime has its own kinds
            number, height, width = images.shape[:3]
            raise UserError(
                f'{self.metadata.target} fails on {number} image{"s" * (number > 1)} of '
                f'{height}x{width}: {" ".join(str(error).split())}'
            ) from error
        return self._named(dict(zip(self.metadata.output_names, outputs)))

    def each(self, images: Sequence[np.ndarray]) -> list[dict[str, np.ndarray]]:
        """Run the network on any number of images, as many at once as the file takes.

        A fixed batch is filled up; where sizes are free, images that differ in it go one by one.

        Args:
            images (Sequence[np.ndarray]): (H, W, 3) each, otherwise as in a call.

        Returns:
            list[dict[str, np.ndarray]]: What a call gives, of each image.
        """
        step = len(images) if len({image.shape for image in images}) == 1 else 1
        step = step if self.metadata.dynamic else self.metadata.batch
        found = []
        for start in range(0, len(images), step):
            batch = list(images[start : start + step])
            outputs = self(np.stack(batch + batch[-1:] * (step - len(batch))))
            found += [{name: v[i] for name, v in outputs.items()} for i in range(len(batch))]
        return found

    def _check(self, images: np.ndarray) -> None:
        known = self.metadata
        if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
            raise UserError(
                f'images are {images.dtype} {images.shape}: give uint8 (number, height, width, 3)'
            )
        if known.dynamic:
            return
        height, width = known.size
        if images.shape[1:3] != (height, width):
            raise UserError(
                f'images are {images.shape[1]}x{images.shape[2]}, the file takes {height}x{width} '
                'alone: resize them (mmca.export.prepare), or export with --dynamic'
            )
        if len(images) != known.batch and not self._single:
            raise UserError(
                f'{len(images)} images at once, the file takes {known.batch}: export with '
                f'--batch {len(images)} or --dynamic'
            )

    def inputs(self, images: np.ndarray) -> np.ndarray:
        """What the file itself takes for such images."""
        known = self.metadata
        if known.preprocessing and known.input_layout == 'NHWC':
            return np.ascontiguousarray(images)
        x = images.transpose(0, 3, 1, 2).astype(np.float32)
        if not known.preprocessing:
            x = x[:, ::-1] if known.to_rgb else x
            mean, std = (np.float32(v)[:, None, None] for v in (known.mean, known.std))
            x = (x - mean) / std
        return np.ascontiguousarray(x, dtype=np.float32)

    def _named(self, outputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if 'class_scores' in outputs:
            images = zip(outputs['boxes'], outputs['class_scores'])
            found = [suppress(*image, **self.metadata.nms) for image in images]
            outputs = {name: np.stack([one[name] for one in found]) for name in found[0]}
        if 'logits' in outputs:
            outputs = {'class_map': outputs['logits'].argmax(axis=1)}
        whole = 'class_map', 'labels'
        return {name: v.astype(np.int64) if name in whole else v for name, v in outputs.items()}


def load_exported(path: str | Path, threads: int | None = None) -> ExportedNetwork:
    """Open an exported file in its runtime, which the file's ending tells.

    Args:
        path (str | Path): A file that ``tools/export.py`` wrote.
        threads (int | None): Threads that the runtime uses; None: as it likes.

    Raises:
        UserError: If there is no such file, if its format is not known or its metadata are
            missing, or if the runtime is not installed.
    """
    path = Path(path)
    target = target_module(target_of(path))
    if not path.exists():
        raise UserError(f'{path}: no such file; tools/export.py writes one')
    metadata = target.metadata_of(path)
    run = target.open_file(path, metadata, threads)
    return ExportedNetwork(metadata, run, single=getattr(target, 'SINGLE_IMAGES', False))
