"""The networks that a page shows, by name."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmca.errors import UserError
from mmca.predict import Predictor
from mmca.predict.gates import attention_layers

DEMO = 'configs/deeplabv3_mbv2ca_sample.py', 'work_dirs/demo'


def load_networks(arguments: Sequence[str]) -> dict[str, Predictor]:
    """Predictors of the networks that a command line names, by their attention.

    Args:
        arguments (Sequence[str]): ``CONFIG CHECKPOINT`` of each; none: the demo's.

    Raises:
        UserError: If one cannot be had, or if their tasks differ.
    """
    words = list(arguments) or _demo()
    predictors: dict[str, Predictor] = {}
    while words:
        config = words.pop(0)
        if not words:
            raise UserError(f'{config}: give a checkpoint behind it')
        predictor = Predictor(config, words.pop(0))
        predictor(np.zeros((64, 64, 3), np.uint8))  # the first call takes longer
        name = _name(predictor, Path(config).stem)
        while name in predictors:
            name += ' (another)'
        predictors[name] = predictor
    if len({predictor.task for predictor in predictors.values()}) > 1:
        raise UserError('these networks have different tasks; give those of one')
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


def _name(predictor: Predictor, config: str) -> str:
    kinds = {type(layer).__name__ for layer in attention_layers(predictor.network.model).values()}
    return f'{config} ({", ".join(sorted(kinds)) or "no attention"})'
