from .blur import RandomGaussianBlur
from .loading import LoadImageFromFile
from .seed_augmentation import SeedAugmentation

__all__ = ['LoadImageFromFile', 'RandomGaussianBlur', 'SeedAugmentation']
