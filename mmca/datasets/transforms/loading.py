import mmcv
import numpy as np
from mmcv.transforms import LoadImageFromFile as _LoadImageFromFile
from mmengine import fileio
from PIL import Image

from mmca.images.colours import COLOR_TYPES, to_array
from mmca.images.opening import BadImageError, naming_file, open_image
from mmca.options import check_choice, suggest_options
from mmca.registry import TRANSFORMS

# What OpenCV decodes as it is meant.
_EIGHT_BIT = ('1', 'L', 'LA', 'P', 'PA', 'RGB', 'RGBA', 'RGBX', 'CMYK', 'YCbCr')
_OTHERS = ('turbojpeg', 'tifffile')
_BACKENDS = ('pillow', 'cv2', *_OTHERS, None)
_START_OF_SCAN, _END_OF_IMAGE = b'\xff\xda', b'\xff\xd9'  # JPEG


@TRANSFORMS.register_module()
@suggest_options
class LoadImageFromFile(_LoadImageFromFile):
    """mmcv's LoadImageFromFile for every kind of image, with errors that name the file.

    Pixels are Pillow's. A JPEG in colour is decoded by OpenCV all the same, which has the very
    same ones in half the time, but would fill the rest of a truncated file with grey and go on:
    that is refused here. With ``imdecode_backend='cv2'`` OpenCV decodes all that it can read.
    :func:`mmca.images.colours.to_array` says what becomes of each mode. Options are mmcv's. A
    picture that its dataset has decoded, ``packed_img`` of :class:`mmca.PackedFolder`, is taken.

    Raises:
        BadImageError: If the image is missing, damaged, or cannot be read as it is meant.
    """

    def __init__(
        self, imdecode_backend: str = 'pillow', color_type: str = 'color', **kwargs
    ) -> None:
        super().__init__(imdecode_backend=imdecode_backend, color_type=color_type, **kwargs)
        check_choice('LoadImageFromFile', 'color_type', color_type, COLOR_TYPES)
        check_choice('LoadImageFromFile', 'imdecode_backend', imdecode_backend, _BACKENDS)
        if imdecode_backend in _OTHERS:
            _start(imdecode_backend)

    def transform(self, results: dict) -> dict | None:
        path = results['img_path']
        packed = results.pop('packed_img', None)
        try:
            with naming_file(path):
                if packed is None or self.color_type != 'color':
                    packed = self._decode(path, self._read(path))
                image = packed
        except BadImageError:
            if self.ignore_empty:
                return None
            raise
        results['img'] = image.astype(np.float32) if self.to_float32 else image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results

    def _read(self, path: str) -> bytes:
        if self.file_client_args is None:
            content = fileio.get(path, backend_args=self.backend_args)
        else:
            content = fileio.FileClient.infer_client(self.file_client_args, path).get(path)
        return bytes(content)  # some backends give a memoryview

    def _decode(self, path: str, content: bytes) -> np.ndarray:
        if self.imdecode_backend in _OTHERS:
            return mmcv.imfrombytes(content, flag=self.color_type, backend=self.imdecode_backend)
        with open_image(path, content) as image:
            if self._is_for_opencv(image):
                _refuse_cut_off_jpeg(image, content)
                array = mmcv.imfrombytes(content, flag=self.color_type, backend='cv2')
                if array is not None:
                    return array
            return to_array(image, path, self.color_type)

    def _is_for_opencv(self, image: Image.Image) -> bool:
        if self.imdecode_backend != 'cv2':
            is_same = image.format == 'JPEG' and image.mode == 'RGB'
            return is_same and self.color_type == 'color'
        # OpenCV multiplies the colours of TIFF by their alpha.
        return image.mode in _EIGHT_BIT and (image.format != 'TIFF' or 'A' not in image.mode)


def _start(backend: str) -> None:
    """Have mmcv open a decoder of its own, without making it the usual one."""
    former = mmcv.image.io.imread_backend
    try:
        mmcv.use_backend(backend)
    except ImportError as error:
        raise ValueError(
            f'LoadImageFromFile: imdecode_backend={backend!r}: {error}; install it, or take '
            "'pillow' or 'cv2'"
        ) from None
    finally:
        mmcv.image.io.imread_backend = former


def _refuse_cut_off_jpeg(image: Image.Image, content: bytes) -> None:
    if image.format != 'JPEG' or content.endswith(_END_OF_IMAGE):
        return
    # Neither marker is ever among the coded pixels.
    if content.rfind(_END_OF_IMAGE) < content.rfind(_START_OF_SCAN):
        raise OSError('image file is truncated')
