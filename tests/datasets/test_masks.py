"""Masks give the labels that their files hold, or an error that names the file."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmca.datasets.transforms.segmentation import LoadSegAnnotations
from mmca.errors import UserError
from mmca.images.opening import BadImageError

LABELS = np.random.default_rng(0).integers(0, 3, (12, 16), dtype=np.uint8)


def load(path: Path, num_classes: int = 3, **results) -> np.ndarray:
    defaults = dict(
        img_path='image.jpg',
        seg_map_path=str(path),
        ori_shape=LABELS.shape,
        reduce_zero_label=False,
        label_map=None,
        seg_fields=[],
    )
    ignore_index = results.pop('ignore_index', 255)
    loader = LoadSegAnnotations(num_classes=num_classes, ignore_index=ignore_index)
    loaded = loader({**defaults, **results})
    assert loaded['seg_fields'] == ['gt_seg_map']
    assert loaded['gt_seg_map'].dtype == np.uint8
    return loaded['gt_seg_map']


def save(path: Path, labels: np.ndarray, mode: str | None = None) -> Path:
    image = Image.fromarray(labels)
    (image.convert(mode) if mode else image).save(path)
    return path


def save_palette(path: Path, labels: np.ndarray) -> Path:
    image = Image.fromarray(labels)
    image.putpalette([200, 0, 0, 0, 200, 0, 0, 0, 200])
    assert image.mode == 'P'
    image.save(path)
    return path


@pytest.mark.input_fault(
    'Masks',
    'palettes, 1 bit, 16 bits, whole numbers as floats',
    'the labels that they hold',
)
def test_labels_of_every_kind_of_mask(tmp_path):
    for name, path in {
        '8-bit': save(tmp_path / '8.png', LABELS),
        'palette': save_palette(tmp_path / 'palette.png', LABELS),
        'palette of 2 bits': save_palette(tmp_path / 'p.gif', LABELS),
        '16-bit': save(tmp_path / '16.png', LABELS.astype(np.uint16)),
        '32-bit': save(tmp_path / '32.tif', LABELS.astype(np.int32)),
        'float': save(tmp_path / 'float.tif', LABELS.astype(np.float32)),
    }.items():
        assert (load(path) == LABELS).all(), name


def test_a_1_bit_mask_is_0_and_1(tmp_path):
    path = save(tmp_path / 'bits.png', LABELS > 0)
    assert (load(path) == (LABELS > 0)).all()
    assert (load(path, num_classes=1) == (LABELS > 0)).all()


@pytest.mark.parametrize(('depth', 'scale'), [(2, 85), (4, 17)])
@pytest.mark.input_fault(
    'Masks',
    'grey of 2 and 4 bits',
    'labels, not brightness',
)
def test_grey_of_2_and_4_bits_holds_labels_not_brightness(tmp_path, depth, scale):
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', checksum)

    bits = np.unpackbits(LABELS[..., None], axis=2)[..., 8 - depth :]
    rows = np.packbits(bits.reshape(12, -1), axis=1)
    data = b''.join(b'\0' + row.tobytes() for row in rows)
    header = struct.pack('>IIBBBBB', 16, 12, depth, 0, 0, 0, 0)
    path = tmp_path / 'small.png'
    path.write_bytes(
        b'\x89PNG\r\n\x1a\n'
        + chunk(b'IHDR', header)
        + chunk(b'IDAT', zlib.compress(data))
        + chunk(b'IEND', b'')
    )
    assert (np.asarray(Image.open(path)) == LABELS * scale).all()
    assert (load(path) == LABELS).all()


@pytest.mark.parametrize(
    ('labels', 'message'),
    [
        (LABELS.astype(np.uint16) + 256, 'labels [256, 257, 258] are outside the 3 classes'),
        (LABELS.astype(np.int32) - 1, 'labels [-1] are outside the 3 classes (0-2, ignored: 255)'),
        (LABELS.astype(np.int32) + 65536, 'labels [65536, 65537, 65538] are outside'),
        (LABELS * 85, 'labels [85, 170] are outside the 3 classes'),
        (LABELS / np.float32(2), 'a mask with 0.5 in it; labels are whole numbers'),
        (np.where(LABELS == 1, np.nan, LABELS).astype(np.float32), 'a mask with nan in it'),
        (np.where(LABELS == 1, np.inf, LABELS).astype(np.float32), 'a mask with inf in it'),
    ],
)
@pytest.mark.input_fault(
    'Masks',
    '16-bit labels 256-258, negative ones, fractions, NaN',
    'refused, with the labels',
)
def test_labels_are_looked_at_before_they_are_cast(tmp_path, labels, message):
    suffix = 'png' if labels.dtype in (np.uint8, np.uint16) else 'tif'
    path = save(tmp_path / f'mask.{suffix}', labels)
    with pytest.raises(BadImageError) as error:
        load(path)
    assert str(error.value).startswith(f'{path}: ')
    assert message in str(error.value)


def test_many_labels_outside_are_cut_short(tmp_path):
    path = save(tmp_path / 'mask.png', np.arange(192, dtype=np.uint8).reshape(12, 16))
    with pytest.raises(BadImageError, match=r'labels \[3, 4, .*12, ...\] are outside'):
        load(path)


@pytest.mark.input_fault(
    'Masks',
    'masks in colours, or of several channels',
    'refused, with the line that mends them',
)
def test_colours_are_no_labels(tmp_path):
    colours = np.stack([LABELS * 100, LABELS, LABELS * 0], axis=2)
    for mode, channels in (('RGB', 3), ('RGBA', 4), ('CMYK', 4)):
        path = save(tmp_path / f'{mode}.tif', colours, mode)
        with pytest.raises(BadImageError) as error:
            load(path)
        assert f'{path}: a mask of {channels} channels' in str(error.value)
        assert 'give each colour the number of its class' in str(error.value)
    for mode in ('RGB', 'RGBA', 'LA'):
        path = save(tmp_path / f'grey_{mode}.png', LABELS, mode)
        with pytest.raises(BadImageError) as error:
            load(path)
        assert "Image.open(path).convert('L').save(path)" in str(error.value)
        Image.open(path).convert('L').save(path)
        assert (load(path) == LABELS).all()


def test_reduce_zero_label_and_label_map_are_those_of_mmseg(tmp_path):
    from mmseg.datasets.transforms import LoadAnnotations

    labels = np.arange(192, dtype=np.uint8).reshape(12, 16)
    labels[-1] = np.arange(240, 256)
    path = save(tmp_path / 'mask.png', labels)
    label_map = {0: 255, 1: 0, 2: 1, 4: 7}
    for reduce_zero_label in (False, True):
        for mapping in (None, label_map):
            results = dict(reduce_zero_label=reduce_zero_label, label_map=mapping)
            expected = LoadAnnotations()(dict(seg_map_path=str(path), seg_fields=[], **results))[
                'gt_seg_map'
            ]
            assert (load(path, num_classes=255, **results) == expected).all()


def test_labels_outside_are_those_of_the_file(tmp_path):
    path = save(tmp_path / 'mask.png', LABELS + 2)
    assert (load(path, num_classes=4, reduce_zero_label=True) == LABELS + 1).all()
    with pytest.raises(BadImageError) as error:
        load(path, reduce_zero_label=True)
    assert 'labels [4] are outside the 3 classes (1-3, ignored: 255)' in str(error.value)


def test_another_ignored_label(tmp_path):
    path = save(tmp_path / 'mask.png', np.where(LABELS == 2, 200, LABELS).astype(np.uint8))
    assert set(np.unique(load(path, num_classes=2, ignore_index=200))) == {0, 1, 200}
    with pytest.raises(BadImageError, match=r'labels \[200\] are outside the 2 classes'):
        load(path, num_classes=2)


@pytest.mark.input_fault(
    'Masks',
    'a mask of another size than its image',
    'refused',
)
def test_a_mask_of_another_size_is_named(tmp_path):
    path = save(tmp_path / 'mask.png', LABELS.T.copy())
    with pytest.raises(BadImageError) as error:
        load(path)
    assert f'{path}: the mask is (12, 16), its image image.jpg (16, 12) pixels' in str(error.value)
    assert 'if EXIF turns the image, the mask has to lie as the turned image' in str(error.value)
    path = save(tmp_path / 'mask.png', LABELS[1:])
    with pytest.raises(BadImageError, match=r'the mask is \(16, 11\).*restore the pair$'):
        load(path)


def test_a_mask_is_turned_by_its_own_exif_as_images_are(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(LABELS).copy()).save(tmp_path / 'mask.png', exif=exif)
    assert (load(tmp_path / 'mask.png') == LABELS).all()


def test_one_pixel_wide_masks_stay_two_dimensional(tmp_path):
    path = save(tmp_path / 'mask.png', LABELS[:, :1])
    assert load(path, ori_shape=(12, 1)).shape == (12, 1)


def test_an_image_without_a_mask_passes():
    results = dict(img_path='image.jpg', ori_shape=(4, 4), seg_fields=[])
    assert 'gt_seg_map' not in LoadSegAnnotations(num_classes=3)(dict(results))
    assert 'gt_seg_map' not in LoadSegAnnotations(num_classes=3)(dict(results, seg_map_path=None))


def test_opencv_reads_plain_masks_and_no_palettes(tmp_path):
    loader = LoadSegAnnotations(num_classes=3, imdecode_backend='cv2')
    results = dict(
        img_path='image.jpg', ori_shape=LABELS.shape, reduce_zero_label=False, seg_fields=[]
    )
    plain = save(tmp_path / 'plain.png', LABELS)
    assert (loader(dict(results, seg_map_path=str(plain)))['gt_seg_map'] == LABELS).all()
    palette = save_palette(tmp_path / 'palette.png', LABELS)
    with pytest.raises(BadImageError, match='a mask of 3 channels'):
        loader(dict(results, seg_map_path=str(palette)))


def test_reduce_zero_label_is_that_of_the_dataset(tmp_path):
    results = dict(img_path='a.jpg', ori_shape=LABELS.shape, reduce_zero_label=False, seg_fields=[])
    path = save(tmp_path / 'mask.png', LABELS)
    with pytest.raises(UserError, match='reduce_zero_label=True, but that of the dataset is False'):
        LoadSegAnnotations(num_classes=3, reduce_zero_label=True)(dict(results, seg_map_path=path))
