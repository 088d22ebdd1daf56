"""Small pictures of one size in one array beside their folder: ``train.npy`` for ``train/``."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmca.errors import UserError
from mmca.files import partial_of, write_lines
from mmca.progress import track

from .colours import to_array
from .opening import open_image


def packed_files(folder: str | Path) -> tuple[Path, Path]:
    """The array that belongs to a folder, and the list of what is in it."""
    folder = Path(folder)
    return folder.with_name(f'{folder.name}.npy'), folder.with_name(f'{folder.name}.packed.txt')


def pack(folder: Path, names: Sequence[str]) -> None:
    """Decode pictures into one array, uint8 (N, H, W, 3) in BGR order, unless that is done.

    Args:
        folder (Path): The folder.
        names (Sequence[str]): Paths of the pictures below it, in the order they are to have.

    Raises:
        UserError: If the pictures are of different sizes.
    """
    array_file, list_file = packed_files(folder)
    if packed_names(folder) == list(names):
        return
    list_file.unlink(missing_ok=True)  # without it nobody takes the array for that of these names
    partial, array = partial_of(array_file), None
    for index, name in enumerate(track(names, f'packing {folder}')):
        path = str(folder / name)
        with open_image(path) as image:
            pixels = to_array(image, path)
        if array is None:
            shape = (len(names), *pixels.shape)
            array = np.lib.format.open_memmap(partial, 'w+', np.uint8, shape)
        if pixels.shape != array.shape[1:]:
            partial.unlink()
            raise UserError(f'{path}: another size than the others of {folder}; nothing is packed')
        array[index] = pixels
    if array is not None:
        array.flush()
        os.replace(partial, array_file)
        write_lines(list_file, names)


def packed_names(folder: str | Path) -> list[str]:
    """What the array of a folder holds, in order; nothing if there is none."""
    array_file, list_file = packed_files(folder)
    if not (array_file.is_file() and list_file.is_file()):
        return []
    return list_file.read_text().splitlines()
