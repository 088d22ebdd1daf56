"""The configs and the code that the documentation shows, run as they stand there."""

import importlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.tools import run_tool

ROOT = Path(__file__).parents[2]


def snippets(name: str) -> list[str]:
    """The Python of a page, by its name in ``docs/``."""
    text = (ROOT / 'docs' / name).read_text()
    return re.findall(r'^```python\n(.*?)^```$', text, re.M | re.S)


def own_configs() -> list[str]:
    return [text for text in snippets('own_config.md') if '_base_' in text]


@pytest.mark.parametrize('number', range(4))
def test_own_config_builds_and_runs(number, tmp_path):
    from mmengine.config import Config
    from mmengine.registry import MODELS, init_default_scope

    text = own_configs()[number]
    if "_base_ = './" in text:  # in mmsegmentation's configs
        mmseg = importlib.import_module('mmseg')
        folder = Path(mmseg.__file__).parent / '.mim/configs'
        text = text.replace("_base_ = './", f"_base_ = '{folder}/")
    path = tmp_path / 'my_config.py'
    path.write_text(text)
    cfg = Config.fromfile(path)
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model).eval()
    kinds = [type(module).__name__ for module in model.backbone.modules()]
    # ResNet-50 has 16 blocks; so many of MobileNetV2's carry an attention, too.
    assert kinds.count('CoordinateAttention') == 16
    with torch.no_grad():
        outputs = model(torch.rand(1, 3, 64, 96), mode='tensor')
    tensors = outputs if isinstance(outputs, torch.Tensor) else outputs[0][0]
    assert tensors.isfinite().all()


def test_all_own_configs_are_tried():
    assert len(own_configs()) == 4


def test_python_snippets_run():
    [text] = [text for text in snippets('own_config.md') if '_base_' not in text]
    values = {}
    exec(text, values)
    assert values['gated'].shape == (2, 96, 28, 20)
    assert values['stride_16'].shape == (2, 96, 14, 14)
    assert values['stride_32'].shape == (2, 320, 7, 7)


def test_readme_snippets_run(tmp_path):
    from mmengine.config import Config
    from mmengine.registry import MODELS

    layer, config = snippets('../README.md')
    values = {}
    exec(layer, values)
    assert values['y'].shape == (2, 96, 28, 20)
    assert values['attention'].conv1.out_channels == 8

    path = tmp_path / 'config.py'
    path.write_text(config)
    backbone = Config.fromfile(path).model.backbone  # imports what custom_imports names
    assert backbone.pop('_delete_')
    with torch.no_grad():
        outputs = MODELS.build(backbone).eval()(torch.rand(1, 3, 64, 96))
    expected = [(24, 16, 24), (32, 8, 12), (96, 4, 6), (320, 2, 3)]
    assert [tuple(out.shape[1:]) for out in outputs] == expected


def draw(path: Path, size: tuple[int, int] = (64, 48)) -> None:
    rng = np.random.default_rng(len(str(path)))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rng.integers(0, 255, (size[1], size[0], 3), np.uint8)).save(path)


def leaves(root: Path) -> None:
    for split in ('train', 'val'):
        for name in ('a', 'b'):
            draw(root / f'images/{split}/{name}.jpg')
            labels = np.repeat(np.array([0, 1, 2, 255], np.uint8), 16)[None].repeat(48, 0)
            path = root / f'masks/{split}/{name}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(labels).save(path)


def boats(root: Path) -> None:
    for split in ('train', 'val'):
        images, annotations = [], []
        for number in (1, 2):
            draw(root / f'{split}/{number}.jpg')
            images.append(dict(id=number, file_name=f'{number}.jpg', width=64, height=48))
            box = dict(bbox=[5, 6, 30, 20], area=600, iscrowd=0)
            annotations.append(dict(id=number, image_id=number, category_id=number + 6, **box))
        categories = [dict(id=7, name='sail'), dict(id=8, name='motor')]
        content = dict(images=images, annotations=annotations, categories=categories)
        path = root / f'annotations/{split}.json'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))


def flowers(root: Path) -> None:
    for split in ('train', 'val'):
        for name in ('daisy', 'rose', 'tulip'):
            draw(root / split / name / 'a.jpg')


ITERATIONS = ('train_cfg.max_iters=2', 'train_cfg.val_interval=2', 'param_scheduler.0.end=2')
OWN_DATASETS = {
    'my_leaves': (leaves, [*ITERATIONS, 'default_hooks.checkpoint.interval=2'], 'mIoU', 'iter_2'),
    'my_boats': (
        boats,
        # Almost untrained, a detector finds nothing above the threshold, and mmdet then has no AP.
        [*ITERATIONS, 'default_hooks.checkpoint.interval=2', 'model.test_cfg.score_thr=0.0'],
        'coco/bbox_mAP',
        'iter_2',
    ),
    'my_flowers': (flowers, ['train_cfg.max_epochs=1'], 'accuracy/top1', 'epoch_1'),
}


def test_all_own_datasets_are_tried():
    names = [re.match(r'# configs/(\w+)\.py', text)[1] for text in snippets('own_dataset.md')]
    assert names == list(OWN_DATASETS)


@pytest.mark.slow
@pytest.mark.parametrize('name', OWN_DATASETS)
def test_own_dataset_trains_and_tests(name, tmp_path):
    make, short, metric, last = OWN_DATASETS[name]
    [text] = [text for text in snippets('own_dataset.md') if f'{name}.py' in text]
    config = tmp_path / f'{name}.py'
    config.write_text(text.replace("_base_ = './", f"_base_ = '{ROOT}/configs/"))
    make(tmp_path / 'data')
    where = ['--work-dir', tmp_path / 'work', '--data-root', tmp_path / 'data']
    loaders = [
        f'{loader}_dataloader.{setting}'
        for loader in ('train', 'val', 'test')
        for setting in ('batch_size=2', 'num_workers=0', 'persistent_workers=False')
    ]
    outcome = run_tool('train', config, *where, '--cfg-options', *short, *loaders)
    assert outcome.code == 0, outcome.output
    checkpoint, metrics = tmp_path / f'work/{last}.pth', tmp_path / 'metrics.json'
    outcome = run_tool(
        'test', config, checkpoint, *where, '--out', metrics, '--cfg-options', *short, *loaders
    )
    assert outcome.code == 0, outcome.output
    assert 0 <= json.loads(metrics.read_text())[metric] <= 100


def test_missing_own_data_is_said_without_another_datasets_command(tmp_path):
    [text] = [text for text in snippets('own_dataset.md') if 'my_leaves' in text]
    config = tmp_path / 'my_leaves.py'
    config.write_text(text.replace("_base_ = './", f"_base_ = '{ROOT}/configs/"))
    outcome = run_tool('train', config, '--data-root', tmp_path / 'none')
    assert outcome.code == 1
    assert f'wants {tmp_path}/none, which does not exist' in outcome.output
    assert 'say where it is with --data-root DIR' in outcome.output
    assert 'prepare_data' not in outcome.output
