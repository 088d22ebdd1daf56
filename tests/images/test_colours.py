"""Every kind of image becomes the right 8-bit colours, or an error that names file and mode."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, PngImagePlugin, TiffImagePlugin

from mmca.datasets.transforms import LoadImageFromFile
from mmca.images.opening import BadImageError

RAMP = np.arange(0, 65536, 16, dtype=np.uint16).reshape(64, 64)
COLOURS = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
BACKENDS = pytest.mark.parametrize('backend', ['pillow', 'cv2'])


def load(path: Path, **options) -> np.ndarray:
    return LoadImageFromFile(**options)(dict(img_path=str(path)))['img']


@BACKENDS
@pytest.mark.parametrize('suffix', ['png', 'tif', 'pgm', 'jp2'])
@pytest.mark.input_fault(
    'Images',
    '16-bit grey',
    'the upper byte: 256 levels',
)
def test_16_bit_grey_keeps_256_levels(tmp_path, suffix, backend):
    path = tmp_path / f'ramp.{suffix}'
    if suffix == 'pgm':
        path.write_bytes(b'P5 64 64 65535\n' + RAMP.astype('>u2').tobytes())
    else:
        Image.fromarray(RAMP).save(path, **(dict(irreversible=False) if suffix == 'jp2' else {}))
    image = load(path, imdecode_backend=backend)
    assert image.dtype == np.uint8
    assert (image == (RAMP >> 8)[..., None]).all()
    assert len(np.unique(image)) == 256
    assert (load(path, color_type='grayscale', imdecode_backend=backend) == RAMP >> 8).all()
    unchanged = load(path, color_type='unchanged', imdecode_backend=backend, to_float32=True)
    assert unchanged.dtype == np.float32
    assert (unchanged == RAMP).all()


def test_16_bit_grey_in_the_other_byte_order(tmp_path):
    path = tmp_path / 'big_endian.tif'
    big_endian = Image.frombytes('I;16B', (64, 64), RAMP.astype('>u2').tobytes())
    big_endian.save(path)
    assert Image.open(path).mode == 'I;16B'
    assert (load(path)[..., 0] == RAMP >> 8).all()
    assert (load(path, color_type='unchanged') == RAMP).all()


@BACKENDS
@pytest.mark.input_fault(
    'Images',
    '16-bit grey with values of 8 bits, all of it black',
    'refused',
)
def test_16_bit_grey_that_holds_8_bit_values_is_refused(tmp_path, backend):
    path = tmp_path / 'dark.png'
    Image.fromarray(RAMP >> 8).save(path)
    with pytest.raises(BadImageError) as error:
        load(path, imdecode_backend=backend)
    assert f'{path}: 16-bit grey' in str(error.value)
    assert 'highest value is 255 of 65535' in str(error.value)
    Image.fromarray(RAMP * 0).save(path)
    assert not load(path, imdecode_backend=backend).any()


@BACKENDS
@pytest.mark.parametrize(
    ('mode', 'suffix'),
    [('I', 'tif'), ('F', 'tif'), ('I', 'im'), ('F', 'pfm')],
)
@pytest.mark.input_fault(
    'Images',
    '32-bit integers or floats, which say nothing of white',
    'refused, unless `color_type` is `unchanged`',
)
def test_32_bit_images_are_refused_unless_they_stay_as_they_are(tmp_path, mode, suffix, backend):
    path = tmp_path / f'deep.{suffix}'
    grey = Image.fromarray(COLOURS).convert('L')
    grey.convert(mode).save(path)
    for color_type in ('color', 'grayscale', 'color_ignore_orientation'):
        with pytest.raises(BadImageError, match=f'mode {mode}.*white') as error:
            load(path, imdecode_backend=backend, color_type=color_type)
        assert str(path) in str(error.value)
    unchanged = load(path, imdecode_backend=backend, color_type='unchanged')
    assert unchanged.dtype == (np.int32 if mode == 'I' else np.float32)
    assert (unchanged == np.asarray(grey)).all()


@BACKENDS
@pytest.mark.parametrize('suffix', ['png', 'tif'])
@pytest.mark.parametrize('mode', ['LA', 'RGBA'])
@pytest.mark.input_fault(
    'Images',
    'alpha',
    'dropped',
)
def test_alpha_is_dropped_and_the_colours_behind_it_stay(tmp_path, mode, suffix, backend):
    path = tmp_path / f'alpha.{suffix}'
    opaque = Image.fromarray(COLOURS).convert(mode[:-1])
    transparent = opaque.copy()
    transparent.putalpha(Image.linear_gradient('L').resize(opaque.size))
    assert transparent.mode == mode
    transparent.save(path)
    expected = np.asarray(opaque.convert('RGB'))[..., ::-1]
    assert (load(path, imdecode_backend=backend) == expected).all()


@BACKENDS
@pytest.mark.parametrize('transparency', [None, 0, bytes(range(256))])
@pytest.mark.parametrize('color_type', ['color', 'unchanged'])
@pytest.mark.input_fault(
    'Images',
    'a palette',
    'its colours',
)
def test_a_palette_becomes_its_colours(tmp_path, backend, transparency, color_type):
    path = tmp_path / 'palette.png'
    options = {} if transparency is None else dict(transparency=transparency)
    palette = Image.fromarray(COLOURS).quantize(256)
    palette.save(path, **options)
    expected = np.asarray(palette.convert('RGB'))[..., ::-1]
    assert (load(path, imdecode_backend=backend, color_type=color_type)[..., :3] == expected).all()


@BACKENDS
@pytest.mark.input_fault(
    'Images',
    '1 bit',
    '0 and 255',
)
def test_a_1_bit_image_is_black_and_white(tmp_path, backend):
    path = tmp_path / 'bits.png'
    bits = COLOURS[..., 0] > 127
    Image.fromarray(bits).save(path)
    assert (load(path, imdecode_backend=backend) == bits[..., None] * 255).all()
    unchanged = load(path, imdecode_backend=backend, color_type='unchanged')
    assert unchanged.dtype == np.uint8
    assert (unchanged == bits * 255).all()


@BACKENDS
@pytest.mark.parametrize(
    ('mode', 'suffix', 'tolerance'),
    [('CMYK', 'tif', 1), ('CMYK', 'jpg', 8), ('YCbCr', 'tif', 4), ('LAB', 'tif', 4)],
)
@pytest.mark.input_fault(
    'Images',
    'CMYK, YCbCr, LAB',
    'the colours that they stand for',
)
def test_other_colour_spaces_become_bgr(tmp_path, mode, suffix, tolerance, backend):
    path = tmp_path / f'colours.{suffix}'
    smooth = cv2.resize(COLOURS[:4, :6] // 2 + 64, (96, 64), interpolation=cv2.INTER_LINEAR)
    options = dict(quality=100) if suffix == 'jpg' else {}
    if mode == 'YCbCr':  # Pillow before 13 reads it of compressed files alone, as RGB at once
        options = dict(compression='tiff_lzw')
    Image.fromarray(smooth).convert(mode).save(path, **options)
    if mode == 'YCbCr':
        assert Image.open(path).tag_v2[TiffImagePlugin.PHOTOMETRIC_INTERPRETATION] == 6
    else:
        assert Image.open(path).mode == mode
    for color_type in ('color', 'unchanged') if backend == 'pillow' else ('color',):
        image = load(path, imdecode_backend=backend, color_type=color_type)
        assert np.abs(image[..., ::-1].astype(int) - smooth).max() <= tolerance


@BACKENDS
def test_16_bit_colours_keep_their_upper_byte(tmp_path, backend):
    path = tmp_path / 'deep.png'
    deep = COLOURS.astype(np.uint16) * 257
    cv2.imwrite(str(path), deep)
    assert (load(path, imdecode_backend=backend) == COLOURS).all()
    if backend == 'cv2':
        assert (load(path, imdecode_backend=backend, color_type='unchanged') == deep).all()
    else:
        with pytest.raises(BadImageError, match="16 bits a channel.*imdecode_backend='cv2'"):
            load(path, color_type='unchanged')


@BACKENDS
@pytest.mark.parametrize('depth', [8, 16])
@pytest.mark.input_fault(
    'Images',
    'a photo that EXIF turns',
    'turned',
)
def test_exif_turns_images_unless_told_otherwise(tmp_path, backend, depth):
    path = tmp_path / 'turned.png'
    grey = COLOURS[..., 0].astype(np.uint16) * 257 if depth == 16 else COLOURS[..., 0]
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned a quarter clockwise
    Image.fromarray(grey).save(path, exif=exif)
    expected = COLOURS[..., 0]
    options = dict(imdecode_backend=backend)
    if backend == 'pillow' or depth == 16:  # OpenCV does not read the EXIF of PNG
        turned = load(path, **options)
        assert (turned[..., 0] == np.rot90(expected, -1)).all()
    ignoring = load(path, color_type='color_ignore_orientation', **options)
    assert (ignoring[..., 0] == expected).all()
    assert load(path, color_type='unchanged', **options).shape == (16, 24)


@pytest.mark.parametrize('color_type', ['colour', 'bgr'])
def test_an_unknown_color_type_lists_the_known_ones(color_type):
    with pytest.raises(ValueError, match=f"color_type='{color_type}' is not one of 'color', 'gray"):
        LoadImageFromFile(color_type=color_type)


# Limits of Pillow


def limits() -> tuple:
    return Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY


@BACKENDS
@pytest.mark.input_fault(
    'Images',
    'a PNG with megabytes of text or colour profile',
    'read',
)
def test_png_with_megabytes_of_text_or_profile_is_read(tmp_path, backend):
    before = limits()
    for name, options in (
        ('text', dict(pnginfo=PngImagePlugin.PngInfo())),
        ('profile', dict(icc_profile=bytes(3 << 20))),
    ):
        for index in range(30):
            if name == 'text':
                options['pnginfo'].add_text(f'note{index}', 'x' * (3 << 20), zip=True)
        path = tmp_path / f'{name}.png'
        Image.fromarray(COLOURS).save(path, **options)
        with pytest.raises(ValueError, match='too large|Too much'):
            Image.open(path).load()
        assert (load(path, imdecode_backend=backend)[..., ::-1] == COLOURS).all()
    assert limits() == before


def test_an_image_above_the_pixels_that_pillow_allows_is_read(tmp_path, monkeypatch):
    path = tmp_path / 'large.png'
    Image.fromarray(COLOURS).save(path)
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 100)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(path)
    assert (load(path)[..., ::-1] == COLOURS).all()
    assert Image.MAX_IMAGE_PIXELS == 100


@pytest.mark.slow
@pytest.mark.input_fault(
    'Images',
    'more than 178 megapixels',
    'read',
)
def test_179_megapixels_are_read(tmp_path):
    path = tmp_path / 'huge.png'
    Image.new('1', (17_900, 10_001), 1).save(path)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(path)
    assert load(path, color_type='grayscale').shape == (10_001, 17_900)


# Files that are no single image


def write_text(path: Path) -> str:
    path.write_text('<!DOCTYPE html><p>404</p>')
    return 'it is a web page, perhaps of a log-in or an error: download the file itself'


def write_nothing(path: Path) -> str:
    path.touch()
    return 'cannot be decoded (empty, 0 bytes)'


def write_folder(path: Path) -> str:
    path.mkdir()
    return 'cannot be decoded'


def write_animation(path: Path) -> str:
    frames = [Image.fromarray(np.roll(COLOURS, 1, axis=axis)) for axis in (0, 1, 2)]
    form = {'.gif': 'GIF', '.tif': 'TIFF', '.webp': 'WEBP', '.png': 'PNG'}[path.suffix]
    frames[0].save(path, form, save_all=True, append_images=frames[1:])
    return f'holds 3 pictures ({form}); save each in a file of its own'


@BACKENDS
@pytest.mark.parametrize(
    ('name', 'write'),
    [
        ('page.jpg', write_text),
        ('empty.jpg', write_nothing),
        ('folder.jpg', write_folder),
        *[(f'animation{suffix}', write_animation) for suffix in ('.gif', '.tif', '.webp', '.png')],
    ],
)
@pytest.mark.input_fault(
    'Images',
    'a web page, an empty file, a folder, an animation',
    'refused',
)
def test_what_is_no_single_image_is_named(tmp_path, name, write, backend):
    path = tmp_path / name
    problem = write(path)
    with pytest.raises(BadImageError) as error:
        load(path, imdecode_backend=backend)
    assert str(error.value).startswith(f'{path}: ')
    assert problem in str(error.value)
    assert LoadImageFromFile(ignore_empty=True)(dict(img_path=str(path))) is None


@BACKENDS
def test_a_photo_with_a_preview_in_it_is_one_image(tmp_path, backend):
    photo, preview = Image.fromarray(COLOURS), Image.fromarray(COLOURS[::2, ::2])
    photo.save(tmp_path / 'phone.jpg', 'MPO', save_all=True, append_images=[preview])
    assert load(tmp_path / 'phone.jpg', imdecode_backend=backend).shape == COLOURS.shape
    pyramid = tmp_path / 'pyramid.tif'
    with TiffImagePlugin.AppendingTiffWriter(str(pyramid), new=True) as pages:
        photo.save(pages, 'TIFF')
        pages.newFrame()
        preview.save(pages, 'TIFF', tiffinfo={254: 1})  # a smaller copy
    assert Image.open(pyramid).n_frames == 2
    assert (load(pyramid, imdecode_backend=backend)[..., ::-1] == COLOURS).all()


@pytest.mark.parametrize('suffix', ['jpg', 'png'])
@pytest.mark.parametrize('kept', [60, 0.3, 0.9], ids=lambda kept: f'{kept} kept')
@pytest.mark.input_fault(
    'Images',
    'an image that is cut off',
    'refused',
)
def test_an_image_that_is_cut_off_is_named_by_opencv_too(tmp_path, suffix, kept):
    path = tmp_path / f'image.{suffix}'
    Image.fromarray(COLOURS.repeat(4, 0).repeat(4, 1)).save(path)
    assert load(path, imdecode_backend='cv2').shape == (64, 96, 3)
    content = path.read_bytes()
    path.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    with pytest.raises(BadImageError, match='cannot be decoded') as error:
        load(path, imdecode_backend='cv2')
    assert os.fspath(path) in str(error.value)
