"""``torch.load`` that runs no code from the file, on every version of torch.

Allowed are tensors, plain values, and what mmengine's training checkpoints hold beside them.
"""

import pickle
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from mmengine.logging import HistoryBuffer

# What a training checkpoint of mmengine holds beside tensors: loss histories, numpy arrays, the
# milestones of MultiStepLR.
_HISTORY_GLOBALS = {
    'collections.Counter',
    'mmengine.logging.history_buffer.HistoryBuffer',
    'numpy.ndarray',
    'numpy.dtype',
    '_codecs.encode',
    *(
        f'numpy.{core}.multiarray.{name}'
        for core in ('core', '_core')
        for name in ('_reconstruct', 'scalar')
    ),
}


def _history_method(owner: type, name: str) -> Callable:
    """Stands in for ``getattr``, by which a HistoryBuffer refers to its public methods."""
    if owner is HistoryBuffer and not name.startswith('_'):
        return getattr(owner, name)
    raise pickle.UnpicklingError(f'GLOBAL getattr({owner}, {name!r}) is not allowed')


class _AllowListUnpickler(pickle.Unpickler):
    """What ``torch.serialization.safe_globals`` does, for torch before 2.6."""

    def find_class(self, module: str, name: str) -> Any:
        from torch._weights_only_unpickler import _get_allowed_globals

        path = f'{module}.{name}'
        if path in ('builtins.getattr', '__builtin__.getattr'):
            return _history_method
        if path in _get_allowed_globals() or path in _HISTORY_GLOBALS:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f'GLOBAL {path} is not allowed')

    @classmethod
    def as_pickle_module(cls) -> SimpleNamespace:
        return SimpleNamespace(
            __name__='pickle',
            Unpickler=cls,
            load=lambda file, **options: cls(file, **options).load(),
        )


def _history_classes() -> list:
    import codecs

    import numpy as np

    reconstruct, _ = np.array([0]).__reduce__()[:2]
    scalar = np.float64(0).__reduce__()[0]
    dtypes = {type(np.dtype(kind)) for kind in ('f4', 'f8', 'i4', 'i8', 'u1', '?')}
    getattr_ = (_history_method, 'builtins.getattr')
    return [
        Counter,
        HistoryBuffer,
        getattr_,
        np.ndarray,
        np.dtype,
        reconstruct,
        scalar,
        codecs.encode,
        *dtypes,
    ]


def load_allowed(path: Path, map_location: str) -> Any:
    """Load a file of ``torch.save``; anything that is not allowed raises an error."""
    if hasattr(torch.serialization, 'get_unsafe_globals_in_checkpoint'):  # torch 2.6 or newer
        with torch.serialization.safe_globals(_history_classes()):
            return torch.load(path, map_location=map_location, weights_only=True)
    module = _AllowListUnpickler.as_pickle_module()
    return torch.load(path, map_location=map_location, pickle_module=module)
