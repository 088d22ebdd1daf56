"""How each of the 20 classes looks: a distinct triple of shape, texture and colour."""

from __future__ import annotations

from typing import NamedTuple


class Style(NamedTuple):
    """Look of a class; ``place`` is where its objects' centres lie, None for anywhere."""

    shape: str
    texture: str
    colour: tuple[int, int, int]
    place: str | None = None


# The colours are at least 27 apart in CIELAB, their darker textured versions included.
EASY_STYLES = {
    'aeroplane': Style('cross', 'plain', (0, 0, 255)),
    'bicycle': Style('ring', 'plain', (15, 255, 60)),
    'bird': Style('crescent', 'plain', (255, 210, 0)),
    'boat': Style('crescent', 'checker', (255, 0, 0)),
    'bottle': Style('ellipse', 'stripes', (0, 195, 255)),
    'bus': Style('square', 'stripes', (255, 60, 180)),
    'car': Style('disc', 'plain', (255, 165, 150)),
    'cat': Style('heart', 'checker', (60, 120, 30)),
    'chair': Style('ell', 'plain', (150, 135, 255)),
    'cow': Style('disc', 'dots', (210, 15, 255)),
    'diningtable': Style('tee', 'plain', (195, 255, 0)),
    'dog': Style('heart', 'dots', (15, 15, 120)),
    'horse': Style('arrow', 'stripes', (255, 135, 0)),
    'motorbike': Style('ring', 'stripes', (240, 165, 225)),
    'person': Style('star', 'plain', (255, 240, 150)),
    'pottedplant': Style('star', 'checker', (180, 255, 195)),
    'sheep': Style('ellipse', 'dots', (0, 225, 225)),
    'sofa': Style('ell', 'checker', (0, 255, 165)),
    'train': Style('arrow', 'plain', (120, 45, 15)),
    'tvmonitor': Style('square', 'checker', (255, 45, 105)),
}

VOC_CLASSES = tuple(EASY_STYLES)

# Of a pair the second takes shape and texture of the first, so only the place in the frame tells
# them apart. Both kinds of place survive a horizontal flip; whole frames should be trained on.
_PAIRS = (
    ('bird', 'upper', 'boat', 'lower'),
    ('aeroplane', 'upper', 'sheep', 'lower'),
    ('person', 'centre', 'pottedplant', 'side'),
    ('tvmonitor', 'centre', 'chair', 'side'),
)

#: Styles where the colour is drawn at random, so the one given here goes unused.
HARD_STYLES = dict(EASY_STYLES)
for _first, _first_place, _second, _second_place in _PAIRS:
    HARD_STYLES[_first] = EASY_STYLES[_first]._replace(place=_first_place)
    HARD_STYLES[_second] = EASY_STYLES[_first]._replace(place=_second_place)
