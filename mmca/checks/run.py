import os
from collections.abc import Callable, Sequence

from mmengine.config import Config

from mmca.errors import UserError

from .boxes import malformed_boxes
from .class_folders import class_folder_problems
from .class_numbers import class_number_problems
from .class_order import class_order_problems
from .images import image_problems
from .loops import loop_problems
from .masks import mask_problems
from .metrics import metric_problems
from .paths import missing_paths
from .pipelines import pipeline_problems
from .repeated_images import warn_of_repeated_images
from .segmentation_files import missing_segmentation_files
from .shared_data import warn_of_shared_data

_SHOWN = 10

# In this order. Each can be switched off by its name: --cfg-options checks.boxes=False
CHECKS: dict[str, Callable[[Config, Sequence[str]], list[str]]] = {
    'loops': loop_problems,
    'metrics': metric_problems,
    'class_numbers': class_number_problems,
    'class_order': class_order_problems,
    'pipelines': pipeline_problems,
    'paths': missing_paths,
    'segmentation_files': missing_segmentation_files,
    'class_folders': class_folder_problems,
    'images': image_problems,
    'masks': mask_problems,
    'boxes': malformed_boxes,
    'shared_data': warn_of_shared_data,
    'repeated_images': warn_of_repeated_images,
}


class BadInputError(UserError):
    """A config or data that would stop a run later, or quietly make its result wrong."""


def check_input(cfg: Config, loaders: Sequence[str]) -> None:
    """Run all checks that the config does not switch off, in one process of several.

    Args:
        cfg (Config): A config. ``checks = dict(<name>=False)`` switches a check off.
        loaders (Sequence[str]): Names of the dataloaders that the run uses.

    Raises:
        BadInputError: That lists what all of them found.
    """
    if os.environ.get('RANK', '0') != '0':
        return
    problems, named = [], []
    for name in _switched_on(cfg):
        if found := CHECKS[name](cfg, loaders):
            problems += found
            named.append(name)
            if name == 'paths':  # the others read the files
                break
    if not problems:
        return
    problems = list(dict.fromkeys(problems))  # two checks may read the same setting
    lines = problems[:_SHOWN]
    if len(problems) > _SHOWN:
        lines.append(f'... and {len(problems) - _SHOWN} more')
    listed = '\n  '.join(lines)
    off = ' '.join(f'checks.{name}=False' for name in named)
    raise BadInputError(
        f'{len(problems)} problem(s) before the run starts:\n  {listed}\n'
        f'To run all the same: --cfg-options {off}'
    )


def _switched_on(cfg: Config) -> list[str]:
    """Names of the checks to run.

    Raises:
        BadInputError: If the config switches off one that does not exist.
    """
    if cfg.get('checks') is False:
        return []
    options = dict(cfg.get('checks') or {})
    if unknown := options.keys() - CHECKS.keys():
        raise BadInputError(
            f'checks.{", checks.".join(sorted(unknown))}: no such check; '
            f'there are {", ".join(CHECKS)}'
        )
    # The name that the check of boxes had when it was the only one.
    options.setdefault('boxes', cfg.get('check_annotations', True))
    return [name for name in CHECKS if options.get(name, True)]
