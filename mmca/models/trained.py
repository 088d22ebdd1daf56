"""A config's network with the weights of a checkpoint, all of them."""

from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from mmca.checkpoint import require_match, state_dict_of


def build_trained(
    cfg: Config, scope: str | None, loaded: dict, source: str, remedy: str
) -> nn.Module:
    """Build the model as the Runner does, and load it strictly; ``init_cfg`` is not followed.

    Args:
        cfg (Config): Of mmseg, mmdet or mmpretrain, with a ``model``.
        scope (str | None): The library in which bare names of types are looked up.
        loaded (dict): What :func:`mmca.checkpoint.load_file` read.
        source (str): Names it in an error.
        remedy (str): What to do about weights that do not fit.

    Returns:
        nn.Module: On the CPU, in evaluation mode, with batch norms that need no processes.

    Raises:
        UserError: If a weight is missing, left over or of another shape.
    """
    settings = dict(cfg.model)
    if cfg.get('data_preprocessor'):  # where mmpretrain's configs have it
        settings.setdefault('data_preprocessor', cfg.data_preprocessor)
    # Not by mmpretrain's or mmseg's own registry: the model may be of another library.
    with (
        DefaultScope.overwrite_default_scope(scope),
        MODELS.switch_scope_and_registry(None) as registry,
    ):
        model = revert_sync_batchnorm(registry.build(settings))
    weights = state_dict_of(loaded, source, own=model.state_dict())
    require_match(weights, model, source, remedy)
    model.load_state_dict(weights)
    return model.eval()
