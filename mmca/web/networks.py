"""The networks that a page shows, by name."""

from collections.abc import Sequence

import numpy as np

from mmca.errors import UserError
from mmca.predict import Predictor
from mmca.predict.several import open_networks

DEMO = 'configs/deeplabv3_mbv2ca_sample.py', 'work_dirs/demo'


def load_networks(arguments: Sequence[str]) -> dict[str, Predictor]:
    """Predictors of the networks that a command line names, by name, warmed up.

    Args:
        arguments (Sequence[str]): ``CONFIG CHECKPOINT`` of each, or an exported file; none: the
            demo's.

    Raises:
        UserError: If one cannot be had, or if their tasks differ.
    """
    predictors = open_networks(list(arguments) or _demo())
    for predictor in predictors.values():
        predictor(np.zeros((64, 64, 3), np.uint8))  # the first call takes longer
    return predictors


def _demo() -> list[str]:
    from mmca.engine.resume import training_checkpoints

    config, work_dir = DEMO
    found = training_checkpoints(work_dir)
    if not found:
        raise UserError(
            f'{work_dir} holds no network: `make demo` trains one, or name yours: '
            "make web NETWORKS='CONFIG CHECKPOINT'"
        )
    return [config, str(found[0])]
