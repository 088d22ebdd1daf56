from .blur import RandomGaussianBlur
from .loading import LoadImageFromFile
from .random_sample_crop import RandomSampleCrop
from .seed_augmentation import SeedAugmentation

__all__ = ['LoadImageFromFile', 'RandomGaussianBlur', 'RandomSampleCrop', 'SeedAugmentation']
