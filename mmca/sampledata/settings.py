"""What determines a sample: the same settings give the same files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from .scene import DIFFICULTIES, OBJECTS_PER_SCENE, Scene, draw_scene

# Raise it when scenes come out differently, so that old samples are not continued or reused.
DRAWING_VERSION = 1


@dataclass(frozen=True)
class SampleSettings:
    """Settings of a sample.

    Args:
        difficulty: ``'easy'`` or ``'hard'``, see :func:`mmca.sampledata.draw_scene`.
        seed: 0 or more.
        train: Number of training scenes, at least 14: two for each round of the 20 classes.
        val: Number of validation scenes, at least 7.
        size: Height and width of the scenes in pixels, 64 to 2048.

    Raises:
        ValueError: An option is out of range.
    """

    difficulty: str = 'easy'
    seed: int = 0
    train: int = 800
    val: int = 200
    size: int = 128

    def __post_init__(self) -> None:
        if self.difficulty not in DIFFICULTIES:
            raise ValueError(f'difficulty must be one of {DIFFICULTIES}, got {self.difficulty!r}')
        for name, low, high in (
            ('seed', 0, 2**31 - 1),
            ('train', 14, 99_999),
            ('val', 7, 99_999),
            ('size', 64, 2048),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f'{name} must be from {low} to {high}, got {value}')

    @property
    def counts(self) -> dict[str, int]:
        """Number of scenes per split."""
        return {'train': self.train, 'val': self.val}

    def draw(self, split: str, index: int, objects: Sequence[int] = OBJECTS_PER_SCENE) -> Scene:
        """Draw one scene of the sample, see :func:`mmca.sampledata.draw_scene`."""
        return draw_scene(
            split,
            index,
            seed=self.seed,
            difficulty=self.difficulty,
            size=(self.size, self.size),
            objects=objects,
        )

    def as_dict(self) -> dict[str, int | str]:
        """The settings with the version of the drawing code, for comparing and storing."""
        return {**asdict(self), 'drawing_version': DRAWING_VERSION}
