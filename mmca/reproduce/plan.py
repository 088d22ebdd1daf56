"""From rows to steps, in order: draw the sample, pretrain, train, test."""

from collections.abc import Iterator

from mmca.tables import CLASSIFIER, Row

from .settings import Settings
from .step import Step
from .steps import Draw, Evaluate, Train, pretraining


def plan(rows: list[Row], settings: Settings) -> Iterator[Step]:
    """All steps of the rows, the finished ones too, each once.

    Rows come one after another, all seeds of the first, then the next: a table fills from the top.
    """
    planned = set()
    for row in rows:
        for step in _steps_of(row, settings):
            if step.title not in planned:
                planned.add(step.title)
                yield step


def _steps_of(row: Row, settings: Settings) -> Iterator[Step]:
    tests = [Evaluate(Train(row, seed, settings)) for seed in range(settings.seeds)]
    if all(test.is_done() for test in tests):  # the records are enough
        yield from tests
        return
    if row.pretraining and row.pretraining.config not in settings.pretrained:
        if settings.sample:
            yield Draw(CLASSIFIER, settings)
        yield pretraining(row.pretraining, settings)
    if settings.sample:
        yield Draw(row.method, settings)
    for test in tests:
        yield test.training
        yield test
