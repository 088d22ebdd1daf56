"""What decoding one picture costs in each lossless format, by OpenCV and by Pillow."""

import argparse
import io
import time
from pathlib import Path

import cv2
import numpy as np
from loading_data import draw
from PIL import Image
from report import table

from mmca.errors import told_to_the_user

FORMATS = {
    'PNG': ('.png', []),
    'PNG, level 1': ('.png', [cv2.IMWRITE_PNG_COMPRESSION, 1]),
    'PNG, level 0 (not compressed)': ('.png', [cv2.IMWRITE_PNG_COMPRESSION, 0]),
    'WebP, lossless': ('.webp', [cv2.IMWRITE_WEBP_QUALITY, 101]),
    'TIFF, LZW': ('.tiff', [cv2.IMWRITE_TIFF_COMPRESSION, 5]),
    'BMP': ('.bmp', []),
}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--picture', type=Path, help='default: a drawn one of 2048x1024 pixels')
    parser.add_argument('--size', type=int, nargs=2, help='width and height to enlarge it to')
    parser.add_argument('--rounds', type=int, default=11)
    return parser.parse_args()


def by_opencv(content: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)


def by_pillow(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert('RGB'))


def main() -> None:
    args = parse_args()
    cv2.setNumThreads(0)
    if args.picture:
        image = np.asarray(Image.open(args.picture).convert('RGB'))[..., ::-1]
    else:
        image = draw(np.random.default_rng(0), 2048, 1024)
    if args.size:
        image = cv2.resize(image, args.size, interpolation=cv2.INTER_CUBIC)
    files = {}
    for name, (suffix, options) in FORMATS.items():
        files[name] = cv2.imencode(suffix, np.ascontiguousarray(image), options)[1].tobytes()
        assert (by_opencv(files[name]) == image).all(), f'{name} is not lossless'
    decoders = {'OpenCV': by_opencv, 'Pillow': by_pillow}
    times = {(name, decoder): [] for name in files for decoder in decoders}
    for _ in range(args.rounds):  # in turns: a disturbance meets all
        for name, content in files.items():
            for decoder, decode in decoders.items():
                start = time.process_time()
                decode(content)
                times[name, decoder].append(1000 * (time.process_time() - start))
    rows = []
    for name, content in files.items():
        cells = [f'{np.median(times[name, decoder]):.1f} ms' for decoder in decoders]
        rows.append([name, f'{len(content) / 1e6:.1f} MB', *cells])
    print(table(['format', 'size', *decoders], rows))


if __name__ == '__main__':
    with told_to_the_user():
        main()
