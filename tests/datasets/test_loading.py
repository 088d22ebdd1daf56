"""mmca.LoadImageFromFile decodes JPEGs in colour by OpenCV, whatever its backend."""

import cv2
import numpy as np
import pytest
from PIL import Image

from mmca.datasets.transforms import LoadImageFromFile

COLOURS = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)


@pytest.mark.parametrize('backend', ['pillow', 'cv2'])
@pytest.mark.parametrize('subsampling', ['4:4:4', '4:2:2', '4:2:0'])
@pytest.mark.parametrize('progressive', [False, True])
def test_a_jpeg_has_the_pixels_of_pillow(tmp_path, backend, subsampling, progressive):
    path = tmp_path / 'odd.jpg'
    smooth = cv2.resize(COLOURS, (333, 257))
    Image.fromarray(smooth).save(path, subsampling=subsampling, progressive=progressive)
    expected = np.asarray(Image.open(path))[..., ::-1]
    found = LoadImageFromFile(imdecode_backend=backend)(dict(img_path=str(path)))['img']
    assert (found == expected).all()
