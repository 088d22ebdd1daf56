"""What the page shows of one picture: overlays, times, and the gates of every attention."""

import base64
import html
import io
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import cv2
import matplotlib
import numpy as np
from matplotlib.figure import Figure

from mmca.errors import UserError
from mmca.images.opening import open_image
from mmca.predict import Detections, Predictor, Segmentation
from mmca.predict.drawing import draw
from mmca.predict.gate_plot import plot_gates
from mmca.predict.gates import Gates, gates_of, maps_around

# Of a picture that is shown; the network gets the picture as it is.
_SHOWN = 1000
_MIN_SCORE = 0.3

matplotlib.use('Agg')


class Look(NamedTuple):
    """All that a session keeps of a picture, some hundred kilobytes.

    Attributes:
        picture: The picture reduced, JPEG.
        gates: By the network's name, those of each layer in order.
    """

    picture: bytes
    gates: dict[str, list[Gates]]


def check_picture(path: str, max_megapixels: float) -> None:
    """Look at a file before it is decoded.

    Raises:
        BadImageError: If it is no image.
        UserError: If it has too many pixels.
    """
    with open_image(path) as image:
        width, height = image.size  # its EXIF would be read by decoding a PNG
    if width * height > max_megapixels * 2**20:
        raise UserError(
            f'{Path(path).name}: {width} x {height} pixels; at most {max_megapixels:g} megapixels '
            'are looked at'
        )


def look_at(path: str, networks: Mapping[str, Predictor]) -> tuple[str, Look]:
    """Predict on a picture.

    Returns:
        tuple[str, Look]: HTML with the pictures in it, and what the gates are drawn of.

    Raises:
        BadImageError: If the picture cannot be read.
    """
    parts, gates = [], {}
    for name, predictor in networks.items():
        image = predictor.read(path)
        layers = predictor.network.attentions
        started = time.perf_counter()
        item = predictor.prepare(image)
        with maps_around(layers) as maps:
            [prediction] = predictor.predict([item])
        milliseconds = 1000 * (time.perf_counter() - started)
        gates[name] = [gates_of(layers[layer], *maps[layer]) for layer in layers if layer in maps]
        height, width = image.shape[:2]
        factor = min(1.0, _SHOWN / max(height, width))
        size = max(1, round(height * factor)), max(1, round(width * factor))
        shown = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)
        if isinstance(prediction, Segmentation):
            prediction = prediction.resized(*size)
        elif isinstance(prediction, Detections):
            prediction = prediction.above(_MIN_SCORE).scaled(size[1] / width, size[0] / height)
        drawn = draw(shown, prediction, predictor.classes, predictor.palette)
        caption = f'{html.escape(name)}: {width} x {height} pixels, <b>{milliseconds:.0f} ms</b>'
        parts.append(_figure(_jpeg(drawn), 'image/jpeg', caption, 'overlay'))
    return ''.join(parts), Look(_jpeg(shown), gates)


def draw_gates(look: Look, layer: int) -> str:
    """The gates of the layer of this number (from 0), of all networks, beside the picture; HTML."""
    picture = cv2.imdecode(np.frombuffer(look.picture, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
    height, width = picture.shape[:2]
    figure = Figure(
        figsize=(8, 1.6 + 0.2 * len(look.gates) + 5.6 * height / width), layout='constrained'
    )
    chosen = {
        name: layers[min(layer, len(layers) - 1)] for name, layers in look.gates.items() if layers
    }
    plot_gates(figure, picture, chosen)
    content = io.BytesIO()
    figure.savefig(content, format='png', dpi=100)
    caption = 'What the attention multiplies its map by, averaged over its channels'
    return _figure(content.getvalue(), 'image/png', caption, 'gates')


def failure(message: object) -> str:
    """A message as HTML."""
    return f'<p class="mmca-error" role="alert">Error: {html.escape(str(message))}</p>'


def _jpeg(image: np.ndarray) -> bytes:
    return cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()


def _figure(content: bytes, kind: str, caption: str, name: str) -> str:
    # In the page itself: nothing is written to a disk.
    source = f'data:{kind};base64,{base64.b64encode(content).decode()}'
    return (
        f'<figure class="mmca-{name}"><img src="{source}" alt="{name}" style="max-width:100%">'
        f'<figcaption>{caption}</figcaption></figure>'
    )
