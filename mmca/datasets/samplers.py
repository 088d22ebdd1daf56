from collections.abc import Iterator

from mmengine.dataset import DefaultSampler as _DefaultSampler
from mmengine.dataset import InfiniteSampler as _InfiniteSampler

from mmca.registry import DATA_SAMPLERS


class SampleIndex(int):
    """Index of a sample that remembers the seed of the run and its place in the stream."""

    def __new__(cls, index: int, seed: int, position: int) -> 'SampleIndex':
        self = super().__new__(cls, index)
        self.seed = seed
        self.position = position
        return self

    def __sub__(self, offset: int) -> 'SampleIndex':
        # ConcatDataset turns its index into one of a member this way.
        return SampleIndex(int(self) - offset, self.seed, self.position)

    def __mod__(self, length: int) -> 'SampleIndex':
        # And RepeatDataset this way.
        return SampleIndex(int(self) % length, self.seed, self.position)

    def __getnewargs__(self) -> tuple[int, int, int]:
        return int(self), self.seed, self.position


@DATA_SAMPLERS.register_module()
class InfiniteSampler(_InfiniteSampler):
    """mmengine's InfiniteSampler whose indices carry their place in the stream.

    :class:`mmca.SeedAugmentation` seeds itself from it, so a sample is augmented in the
    same way whichever worker loads it and whether or not the run was interrupted before.

    Args:
        dataset (Sized): The dataset.
        shuffle (bool): Whether to shuffle.
        seed (int | None): Seed of the order; default: one shared by all processes.
    """

    def _infinite_indices(self) -> Iterator[SampleIndex]:
        for position, index in enumerate(super()._infinite_indices()):
            yield SampleIndex(index, self.seed, position)


@DATA_SAMPLERS.register_module()
class DefaultSampler(_DefaultSampler):
    """mmengine's DefaultSampler whose indices carry their place, like InfiniteSampler's here.

    Args:
        dataset (Sized): The dataset.
        shuffle (bool): Whether to shuffle.
        seed (int | None): Seed of the order; default: one shared by all processes.
        round_up (bool): Whether to repeat samples so that all processes have equally many.
    """

    def __iter__(self) -> Iterator[SampleIndex]:
        first = self.epoch * self.total_size + self.rank
        for i, index in enumerate(super().__iter__()):
            yield SampleIndex(index, self.seed, first + i * self.world_size)
