from dataclasses import dataclass

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from torch import Tensor, nn

from mmca.errors import UserError
from mmca.predict import Predictor
from mmca.predict.gates import Gates, gates_of, maps_around

from .class_scores import ClassScores, ScoreOfClass


@dataclass(frozen=True, eq=False)
class AttentionMaps:
    """What an attention makes of an image.

    Attributes:
        picture (np.ndarray): (H, W, 3) of uint8, BGR: the image as the network gets it.
        before (np.ndarray): (h, w) of float32, the attention's input: the mean over its channels of
            its magnitude.
        after (np.ndarray): (h, w), the same of its output.
        cam_before (np.ndarray): (H, W), 0 to 1: Grad-CAM of the attention's input.
        cam_after (np.ndarray): (H, W), the same of its output.
        gates (Gates): Its gates along the height and width.
    """

    picture: np.ndarray
    before: np.ndarray
    after: np.ndarray
    cam_before: np.ndarray
    cam_after: np.ndarray
    gates: Gates


def attention_maps(
    predictor: Predictor, image: np.ndarray, layer: str, class_number: int
) -> AttentionMaps:
    """Look at an attention while its network sees an image: CA paper, Figure 5.

    Args:
        predictor (Predictor): A trained network.
        image (np.ndarray): (H, W, 3) of uint8, BGR, as :meth:`Predictor.read` gives it.
        layer (str): Name of the attention.
        class_number (int): The class whose score Grad-CAM derives.

    Raises:
        UserError: If the network has no such attention, is an exported file or a detector of more
            than one stage, or if grad-cam is not installed.
    """
    grad_cam = require_grad_cam()
    network = predictor.network
    attention = network.attentions[layer_of(predictor, layer)]
    scores = ClassScores(network.model, predictor.task)
    data = predictor.prepare(image).prepared.data
    pixels = data['inputs']
    inputs = network.model.data_preprocessor(pseudo_collate([data]), False)['inputs']
    # Also where layers before the attention are frozen there is something to derive.
    inputs.requires_grad_()
    # The library looks at outputs of modules: one whose output is the attention's input.
    before = nn.Identity()
    handle = attention.register_forward_pre_hook(lambda module, x: (before(x[0]), *x[1:]))
    target = [ScoreOfClass(predictor.task, class_number)]
    try:
        with (
            maps_around({layer: attention}) as maps,
            grad_cam(scores, [before, attention]) as cam,
        ):
            cam(inputs, target)
            cams = cam.compute_cam_per_layer(inputs, target, eigen_smooth=False)
    finally:
        handle.remove()
        network.model.zero_grad()
    x, y = maps[layer]
    cam_before, cam_after = (np.asarray(one[0, 0], np.float32) for one in cams)
    picture = pixels.float().clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy()
    return AttentionMaps(
        np.ascontiguousarray(picture),
        _magnitude(x),
        _magnitude(y),
        cam_before,
        cam_after,
        gates_of(attention, x, y),
    )


def layer_of(predictor: Predictor, name: str | None = None) -> str:
    """The attention of this name; None: the last one.

    Raises:
        UserError: If there is none.
    """
    attentions = predictor.network.attentions
    if not attentions:
        raise UserError(
            f'{predictor.network.name}: has no attention that can be looked at; give a config and '
            'a checkpoint with one'
        )
    if name is None:
        return list(attentions)[-1]
    if name not in attentions:
        raise UserError(
            f'{predictor.network.name}: has no attention {name}; there are {", ".join(attentions)}'
        )
    return name


def _magnitude(x: Tensor) -> np.ndarray:
    with torch.no_grad():
        return x[0].abs().mean(dim=0).float().cpu().numpy()


def require_grad_cam() -> type:
    """The class of the library.

    Raises:
        UserError: If it is not installed.
    """
    try:
        from pytorch_grad_cam import GradCAM
    except ModuleNotFoundError as error:
        raise UserError("Grad-CAM needs grad-cam: pip install 'mmca[grad-cam]'") from error
    return GradCAM
