"""The attentions, a file each: what is put into this folder is there, and in the tests' contract.

An attention is an ``nn.Module`` with the signature ``(in_channels, <options>)`` that keeps the
shape of its input, registered in ``MODELS``. ``position``, if its authors put it elsewhere than
before a block's projection, is its default place, one of
:data:`mmca.models.backbones.residual_block.POSITIONS`.
"""

from importlib import import_module
from pkgutil import iter_modules

from torch import nn

__all__ = []

for _file in iter_modules(__path__):
    _module = import_module(f'{__name__}.{_file.name}')
    for _name, _value in vars(_module).items():
        is_own = isinstance(_value, type) and _value.__module__ == _module.__name__
        if is_own and issubclass(_value, nn.Module):
            globals()[_name] = _value
            __all__.append(_name)
