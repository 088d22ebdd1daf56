"""Image files: opening them, their colours as mmcv wants them, the labels of a mask."""
