"""Small networks of the three tasks whose outputs differ from place to place, and images."""

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import nn

from helpers.tools import ROOT

CONFIGS = {
    'classification': """\
_base_ = '{root}/configs/mbv2ca_cifar10.py'
model = dict(backbone=dict(widen_factor=0.25))
""",
    'segmentation': """\
_base_ = '{root}/configs/deeplabv3_mbv2ca_camvid.py'
model = dict(
    backbone=dict(widen_factor=0.25), decode_head=dict(in_channels=80, channels=16)
)
crop_size = (64, 96)
""",
    'detection': """\
_base_ = '{root}/configs/ssdlite320_mbv2ca_bccd.py'
model = dict(
    backbone=dict(widen_factor=0.25),
    bbox_head=dict(in_channels=(24, 1280, 512, 256, 256, 64)),
    test_cfg=dict(max_per_img=20),
)
test_pipeline = [
    dict(type='LoadImageFromFile', imdecode_backend='pillow'),
    dict(type='Resize', scale=(96, 96)),
    dict(type='PackDetInputs', meta_keys=('img_shape', 'ori_shape', 'scale_factor')),
]
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
""",
}


class Case(NamedTuple):
    """A config, a checkpoint of it, and a folder of images."""

    task: str
    config: Path
    checkpoint: Path
    images: Path


def draw_images(folder: Path, number: int = 3) -> Path:
    """Images of 75 x 110 pixels: smooth noise, so that resizing keeps what they show."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for i in range(number):
        coarse = rng.integers(0, 256, (8, 12, 3), np.uint8)
        cv2.imwrite(str(folder / f'{i}.png'), cv2.resize(coarse, (110, 75)))
    return folder


def make_case(task: str, folder: Path) -> Case:
    """A network whose batch norms know the images: with the usual start all places look alike."""
    from mmengine.config import Config
    from mmengine.registry import MODELS, DefaultScope

    config = folder / f'{task}.py'
    config.write_text(CONFIGS[task].format(root=ROOT))
    cfg = Config.fromfile(config)
    images = draw_images(folder / 'images')
    torch.manual_seed(0)
    scope = DefaultScope.overwrite_default_scope(cfg.default_scope)
    with scope, MODELS.switch_scope_and_registry(None) as registry:
        model = registry.build(dict(cfg.model))
    if task != 'detection':
        last = model.head.fc if task == 'classification' else model.decode_head.conv_seg
        nn.init.normal_(last.weight)
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.momentum = None
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, std=0.3)
    files = sorted(images.iterdir())
    pixels = np.stack([cv2.resize(cv2.imread(str(file)), (96, 96)) for file in files])
    x = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() - 120) / 58
    with torch.no_grad():
        model.train()(x, mode='tensor')
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_var.clamp_(min=0.1)  # of three pixels: it would enlarge any rounding
    checkpoint = folder / f'{task}.pth'
    torch.save({'state_dict': model.state_dict()}, checkpoint)
    return Case(task, config, checkpoint, images)


def write_onnx(case: Case, path: Path, batch: int | None = None) -> Path:
    """An ONNX file, without the proof of tools/export.py: for any size, or for 72 x 104 pixels."""
    from mmengine.config import Config

    from mmca.export.forms import form_for
    from mmca.export.model import load_model
    from mmca.export.network import ExportNetwork
    from mmca.export.targets import onnx

    loaded = load_model(Config.fromfile(case.config), case.checkpoint)
    fixed = batch is not None
    network = ExportNetwork(loaded, form_for('onnx', fixed), 'NHWC', True, fixed, last_step=True)
    metadata = loaded.metadata(
        target='onnx',
        input_name='images',
        input_layout='NHWC',
        output_names=network.output_names,
        size=(72, 104),
        dynamic=not fixed,
        batch=batch or 1,
        preprocessing=True,
        nms=getattr(network.network, 'settings', {}),
    )
    onnx.write(network, metadata, path)
    return path
