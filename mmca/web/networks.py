"""The networks that a page shows, by name."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmca.errors import UserError
from mmca.export.targets import is_exported
from mmca.predict import Predictor

DEMO = 'configs/deeplabv3_mbv2ca_sample.py', 'work_dirs/demo'


def load_networks(arguments: Sequence[str]) -> dict[str, Predictor]:
    """Predictors of the networks that a command line names, by their attention.

    Args:
        arguments (Sequence[str]): ``CONFIG CHECKPOINT`` of each, or an exported file; none: the
            demo's.

    Raises:
        UserError: If one cannot be had, or if their tasks differ.
    """
    words = list(arguments) or _demo()
    predictors: dict[str, Predictor] = {}
    while words:
        network = [words.pop(0)]
        if not is_exported(network[0]):
            if not words:
                raise UserError(f'{network[0]}: give a checkpoint behind it')
            network.append(words.pop(0))
        predictor = Predictor(*network)
        predictor(np.zeros((64, 64, 3), np.uint8))  # the first call takes longer
        name = _name(predictor, Path(network[0]))
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


def _name(predictor: Predictor, path: Path) -> str:
    if is_exported(path):
        return path.name
    kinds = {type(layer).__name__ for layer in predictor.network.attentions.values()}
    return f'{path.stem} ({", ".join(sorted(kinds)) or "no attention"})'
