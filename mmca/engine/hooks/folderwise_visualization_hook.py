import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import mmcv
import numpy as np
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.visualization import LocalVisBackend

from mmca.images.colours import to_array
from mmca.images.opening import open_image
from mmca.registry import HOOKS


@HOOKS.register_module()
class FolderwiseVisualizationHook(Hook):
    """Pictures of a test in the folders of their images, so that none replaces another.

    The visualization hooks of mmseg, mmdet and mmpretrain name a picture by the base name of its
    image. This one calls them for one image at a time, and has them write below the image's
    folder relative to the folder that all images of the test share: ``cam1/0001.jpg`` and
    ``cam2/0001.jpg`` are both kept. Images of one folder are drawn as before.

    Images are read as ``mmca.LoadImageFromFile`` reads them. One that cannot be drawn is left out
    with a warning: no run ends for a picture.

    Args:
        drawing (dict): Config of the library's visualization hook.
    """

    def __init__(self, drawing: dict) -> None:
        self.drawing = HOOKS.build(drawing)
        self._shared = ''
        self._drawn = 0

    def before_test(self, runner: Runner) -> None:
        dataset = runner.test_dataloader.dataset
        paths = (dataset.get_data_info(i).get('img_path', '') for i in range(len(dataset)))
        folders = {os.path.dirname(path) for path in paths if path} or {''}
        self._shared = os.path.commonpath(map(os.path.abspath, folders))
        self._drawn = 0

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: Sequence
    ) -> None:
        path = outputs[0].get('img_path') or ''
        with _drawing_of(runner, path):
            self.drawing.after_val_iter(runner, batch_idx, data_batch, outputs)

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: Sequence
    ) -> None:
        for index, sample in enumerate(outputs):
            one = {**data_batch, 'inputs': data_batch['inputs'][index : index + 1]}
            path = sample.get('img_path') or ''
            with self._writing_to(runner, os.path.dirname(path)), _drawing_of(runner, path):
                self.drawing.after_test_iter(runner, self._drawn, one, [sample])
            self._drawn += 1

    @contextmanager
    def _writing_to(self, runner: Runner, folder: str) -> Iterator[None]:
        relative = os.path.relpath(folder, self._shared) if folder else '.'
        former = [(owner, name, getattr(owner, name)) for owner, name in self._outputs(runner)]
        for owner, name, path in former:
            setattr(owner, name, os.path.normpath(os.path.join(path, relative)))
        try:
            yield
        finally:
            for owner, name, path in former:
                setattr(owner, name, path)

    def _outputs(self, runner: Runner) -> list[tuple[object, str]]:
        """Where the library keeps the folder of its pictures, as (object, attribute)."""
        options = ('test_out_dir', 'out_dir')  # mmdet's, mmpretrain's
        chosen = [(self.drawing, name) for name in options if getattr(self.drawing, name, None)]
        backends = runner.visualizer._vis_backends.values()
        # `experiment` completes the path.
        return chosen or [
            (backend.experiment, '_img_save_dir')
            for backend in backends
            if isinstance(backend, LocalVisBackend)
        ]


@contextmanager
def _drawing_of(runner: Runner, path: str) -> Iterator[None]:
    """Context in which the library's hook reads an image by mmca, and may fail."""

    def read(content: bytes, *args, channel_order: str = 'bgr', **kwargs) -> np.ndarray:
        with open_image(path, content) as image:
            array = to_array(image, path)
        return np.ascontiguousarray(array[:, :, ::-1] if channel_order == 'rgb' else array)

    former, mmcv.imfrombytes = mmcv.imfrombytes, read
    try:
        yield
    except Exception as error:  # of any drawing library
        reason = str(error).removeprefix(f'{path}: ') or type(error).__name__
        runner.logger.warning(f'No picture of {path}: {reason}')
    finally:
        mmcv.imfrombytes = former
