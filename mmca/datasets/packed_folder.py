"""A dataset of mmpretrain. A config that uses it imports this module in ``custom_imports``."""

import warnings
from pathlib import Path

import numpy as np
from mmpretrain.datasets import CustomDataset

from mmca.images.packing import packed_files, packed_names
from mmca.registry import DATASETS


@DATASETS.register_module()
class PackedFolder(CustomDataset):
    """mmpretrain's ``CustomDataset`` that takes pixels from one array where the folder has one.

    The array is what ``tools/prepare_data.py`` makes of small pictures, ``train.npy`` for the
    folder ``train``, with the list of its pictures, ``train.packed.txt``. It is mapped, not read:
    all processes share it. :class:`mmca.LoadImageFromFile` takes a picture from it; other loaders
    read the file. Without it, or if the folder has other pictures than the list, all read files.
    Options are those of ``CustomDataset``.
    """

    _array: np.ndarray | None = None

    def load_data_list(self) -> list[dict]:
        entries = super().load_data_list()
        prefix = Path(self.img_prefix)
        places = {str(prefix / name): place for place, name in enumerate(packed_names(prefix))}
        packed = [places.get(str(Path(entry['img_path']))) for entry in entries]
        if not places:
            return entries
        if None in packed:
            missing = entries[packed.index(None)]['img_path']
            warnings.warn(
                f'{packed_files(prefix)[0]} lacks {missing}: files are read; delete the array and '
                'run the command that prepared the data',
                stacklevel=2,
            )
            return entries
        return [dict(entry, packed=place) for entry, place in zip(entries, packed, strict=True)]

    def prepare_data(self, idx: int) -> object:
        info = self.get_data_info(idx)
        place = info.pop('packed', None)
        if place is not None:
            if self._array is None:  # mapped by each process for itself
                self._array = np.load(packed_files(self.img_prefix)[0], mmap_mode='r')
            info['packed_img'] = np.array(self._array[place])
        return self.pipeline(info)

    def __getstate__(self) -> dict:
        # A mapped array would be copied into what is sent to a process.
        return {key: value for key, value in self.__dict__.items() if key != '_array'}
