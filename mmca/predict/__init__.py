"""What a trained network, or an exported file of one, says of pictures and videos."""

from .predictions import Classification, Detections, Prediction, Segmentation
from .predictor import Predictor

__all__ = ['Classification', 'Detections', 'Prediction', 'Predictor', 'Segmentation']
