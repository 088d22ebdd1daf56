from pathlib import Path

import pytest

from helpers.segmentation_data import LABELS, write


@pytest.fixture
def root(tmp_path) -> Path:
    """A folder with the validation images and masks of :mod:`helpers.segmentation_data`."""
    write(tmp_path, LABELS, LABELS, split='val')
    return tmp_path
