"""Several networks that a command line names."""

from collections.abc import Sequence
from pathlib import Path

from mmca.errors import UserError
from mmca.export.targets import is_exported

from .predictor import Predictor


def open_networks(words: Sequence[str], device: str | None = None) -> dict[str, Predictor]:
    """Predictors by name: an exported file's, or ``CONFIG (ATTENTION)``.

    Args:
        words (Sequence[str]): ``CONFIG CHECKPOINT`` of each, or an exported file.
        device (str | None): As :class:`Predictor`.

    Raises:
        UserError: If one cannot be had, or if their tasks differ.
    """
    rest = list(words)
    predictors: dict[str, Predictor] = {}
    while rest:
        network = [rest.pop(0)]
        if not is_exported(network[0]):
            if not rest:
                raise UserError(f'{network[0]}: give a checkpoint behind it')
            network.append(rest.pop(0))
        predictor = Predictor(*network, device=device)
        name = _name(predictor, Path(network[0]))
        while name in predictors:
            name += ' (another)'
        predictors[name] = predictor
    if len({predictor.task for predictor in predictors.values()}) > 1:
        raise UserError('these networks have different tasks; give those of one')
    return predictors


def _name(predictor: Predictor, path: Path) -> str:
    if is_exported(path):
        return path.name
    kinds = {type(layer).__name__ for layer in predictor.network.attentions.values()}
    return f'{path.stem} ({", ".join(sorted(kinds)) or "no attention"})'
