"""Parts of a network that do not fit together, told by the part and its setting."""

import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.model import is_model_wrapper
from torch import nn

from mmca.errors import UserError

# torch's words, and what is wrong then; groups are numbers in them.
_CHANNELS = re.compile(r'expected input\[.*?\] to have (\d+) channels, but got (\d+) channels')
_FEATURES = re.compile(r'mat1 and mat2 shapes cannot be multiplied \(\d+x(\d+) and (\d+)x\d+\)')
_NORM = re.compile(r'running_mean should contain (\d+) elements not (\d+)')
_WEIGHTS = 'weight tensor should be defined either for all'


@contextmanager
def misfits_told(model: nn.Module) -> Iterator[None]:
    """Within, an input that a layer of ``model`` cannot take is a UserError that names the layer.

    Known are another number of channels or features than the layer has, an ``in_index`` that the
    backbone does not give, and a ``class_weight`` of another length than the classes.
    """
    try:
        yield
    except (RuntimeError, IndexError) as error:
        if message := _message(model, error):
            raise UserError(message) from error
        raise


def _message(model: nn.Module, error: Exception) -> str:
    model = model.module if is_model_wrapper(model) else model
    names = {id(module): name for name, module in model.named_modules()}
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    inside = [names.get(id(frame.f_locals.get('self'))) for frame in frames]
    layer = next((f'model.{name}' for name in reversed(inside) if name), 'model')
    layer = layer.replace('.loss_module', '.loss')  # as mmpretrain's configs call it
    part = '.'.join(layer.split('.')[:2])
    words = str(error)
    if isinstance(error, IndexError):
        head = frames[-1].f_locals.get('self')
        if frames[-1].f_code.co_name != '_transform_inputs':  # mmseg's
            return ''
        return (
            f'{layer}.in_index={head.in_index} is none of the maps that the backbone gives: '
            'count them from 0 in model.backbone.out_indices, or set in_index=-1 for the last'
        )
    if found := _CHANNELS.search(words):
        wanted, given = found[1], found[2]
    elif found := _FEATURES.search(words) or _NORM.search(words):
        wanted, given = found[2], found[1]
    elif _WEIGHTS in words:
        return f'{layer}.class_weight: give one number for each class of the head ({words})'
    else:
        return ''
    return (
        f'{layer} takes {wanted} channels and is given {given}: parts of the network do not fit '
        f'together; set {part}.in_channels to what comes before it gives (a backbone by its '
        'out_indices and widen_factor)'
    )
