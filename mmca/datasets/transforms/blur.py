import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mmca.options import suggest_options
from mmca.registry import TRANSFORMS


@TRANSFORMS.register_module()
@suggest_options
class RandomGaussianBlur(BaseTransform):
    """Blur the image, as the CA authors' SPNet code does in training on Cityscapes.

    Required and modified key: ``img``, (H, W, C).

    Args:
        prob (float): Probability of blurring.
        sigma_range (tuple[float, float]): Standard deviation in pixels, drawn uniformly.
    """

    def __init__(self, prob: float = 0.5, sigma_range: tuple[float, float] = (0.0, 1.0)) -> None:
        if not 0 <= prob <= 1:
            raise ValueError(f'RandomGaussianBlur: prob={prob} must be between 0 and 1')
        if not 0 <= sigma_range[0] <= sigma_range[1]:
            raise ValueError(
                f'RandomGaussianBlur: sigma_range={sigma_range} must be 0 <= low <= high'
            )
        self.prob = prob
        self.sigma_range = sigma_range

    def transform(self, results: dict) -> dict:
        if np.random.rand() < self.prob:
            sigma = np.random.uniform(*self.sigma_range)
            # OpenCV takes a sigma of 0 for "choose one".
            if sigma > 0:
                results['img'] = cv2.GaussianBlur(results['img'], (0, 0), sigma)
        return results

    def __repr__(self) -> str:
        return f'RandomGaussianBlur(prob={self.prob}, sigma_range={self.sigma_range})'
