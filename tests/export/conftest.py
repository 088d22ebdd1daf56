import pytest

from helpers.exported import Case, make_case

TASKS = 'classification', 'segmentation', 'detection'


@pytest.fixture(scope='session')
def cases(tmp_path_factory) -> dict[str, Case]:
    """A small network of each task."""
    return {task: make_case(task, tmp_path_factory.mktemp(task)) for task in TASKS}
