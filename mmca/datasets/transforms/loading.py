from collections.abc import Iterator
from contextlib import contextmanager

from mmcv.transforms import LoadImageFromFile as _LoadImageFromFile

from mmca.options import suggest_options
from mmca.registry import TRANSFORMS


@TRANSFORMS.register_module()
@suggest_options
class LoadImageFromFile(_LoadImageFromFile):
    """mmcv's LoadImageFromFile, with an error that names a file it cannot decode.

    Decoding is Pillow's: OpenCV fills the rest of a truncated JPEG with grey and goes on.
    Options are mmcv's.
    """

    def __init__(self, imdecode_backend: str = 'pillow', **kwargs) -> None:
        super().__init__(imdecode_backend=imdecode_backend, **kwargs)

    def transform(self, results: dict) -> dict | None:
        with naming_file(results['img_path']):
            return super().transform(results)


@contextmanager
def naming_file(path: str) -> Iterator[None]:
    """Context in which a failure to read an image becomes an error that names the file."""
    remedy = 'restore it, and look for more with tools/prepare_data.py NAME --check'
    try:
        yield
    except FileNotFoundError as error:
        raise FileNotFoundError(f'{path}: no such image; {remedy}') from error
    # Pillow reports damage in each of these ways.
    except (OSError, SyntaxError, AttributeError) as error:
        raise ValueError(f'{path}: cannot be decoded ({error}); {remedy}') from error
