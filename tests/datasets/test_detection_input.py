"""Detection on annotations as they come: what is legal is trained on, what is wrong is named."""

import json

import pytest

from helpers.tools import ROOT, run_tool
from mmca.sampledata import SampleSettings, generate

SHORT = (
    'model.backbone.widen_factor=0.25',
    'train_cfg.max_iters=3',
    'train_cfg.val_interval=3',
    'default_hooks.logger.interval=1',
    'train_dataloader.batch_size=7',
    'train_dataloader.num_workers=0',
    'train_dataloader.persistent_workers=False',
    'val_dataloader.num_workers=0',
    'val_dataloader.persistent_workers=False',
    # A quarter of the width leaves 24 channels of 96.
    'model.bbox_head.in_channels=[24,1280,512,256,256,64]',
)


@pytest.fixture
def data(tmp_path):
    """A sample of 14 and 7 scenes, and a function that changes its training annotations."""
    root = tmp_path / 'data'
    generate(SampleSettings(train=14, val=7, size=64), root, 'coco')
    path = root / 'annotations/instances_train2017.json'

    def change(function):
        content = json.loads(path.read_text())
        function(content)
        path.write_text(json.dumps(content))
        return content

    return root, change


def train(root, tmp_path, *options):
    return run_tool(
        'train',
        ROOT / 'configs/ssdlite320_mbv2ca_sample.py',
        '--work-dir',
        tmp_path / 'run',
        '--data-root',
        root,
        '--cfg-options',
        *SHORT,
        *options,
    )


@pytest.mark.slow
def test_legal_oddities_are_trained_and_evaluated_over(data, tmp_path):
    """Crowds, boxes outside, without area, images without objects, an image of 20 pixels."""
    from PIL import Image

    root, change = data

    def oddities(content):
        first, second, *others = content['annotations']
        first['iscrowd'] = 1
        second['bbox'] = [50.0, 50.0, 40.0, 40.0]
        others[0]['bbox'] = [-30.0, -30.0, 40.0, 40.0]
        others[1]['bbox'] = [10.0, 10.0, 0.0, 12.0]
        others[2]['bbox'] = [10.0, 10.0, 12.0, 0.0]
        bare = content['images'][-1]['id']
        content['annotations'] = [a for a in content['annotations'] if a['image_id'] != bare]
        small = next(i for i in content['images'] if i['id'] == others[-1]['image_id'])
        small.update(width=20, height=20)
        for annotation in content['annotations']:
            if annotation['image_id'] == small['id']:
                annotation['bbox'] = [2.0, 2.0, 30.0, 30.0]
        Image.new('RGB', (20, 20)).save(root / 'train2017' / small['file_name'])

    change(oddities)
    everything = 'train_dataloader.dataset.filter_cfg.filter_empty_gt=False'
    outcome = train(root, tmp_path, everything, 'train_cfg.max_iters=6', 'train_cfg.val_interval=6')
    assert outcome.code == 0, outcome.output
    losses = [line for line in outcome.output.splitlines() if 'loss_bbox' in line]
    assert len(losses) == 6 and 'nan' not in ''.join(losses)
    assert 'coco/bbox_mAP' in outcome.output


def test_a_category_that_is_not_in_the_config_is_named(data, tmp_path):
    root, change = data
    content = change(lambda c: c['annotations'][3].update(category_id=77))
    outcome = train(root, tmp_path)
    assert outcome.code == 1
    path = root / 'annotations/instances_train2017.json'
    identity = content['annotations'][3]['id']
    assert f'Error: 1 problem(s) before the run starts:\n  {path}: annotation {identity}: ' in (
        outcome.output
    )
    assert 'category id 77 is not among the categories' in outcome.output
    assert '--cfg-options checks.boxes=False' in outcome.output
    assert 'Traceback' not in outcome.output


@pytest.mark.slow
def test_the_check_can_be_switched_off(data, tmp_path):
    root, change = data
    change(lambda c: c['annotations'][3].update(category_id=77))
    outcome = train(root, tmp_path, 'checks.boxes=False')
    assert outcome.code == 0, outcome.output


@pytest.mark.input_fault(
    'Data folder',
    '`--data-root` where the metric has a file of its own',
    'the metric reads the annotations below the new root',
)
def test_metric_follows_the_data_root(data):
    """Else a moved dataset would be scored against the annotations of another."""
    from mmengine.config import Config

    from mmca.engine.data_root import set_data_root

    root, _ = data
    cfg = Config.fromfile(ROOT / 'configs/ssdlite320_mbv2ca_sample.py')
    set_data_root(cfg, str(root))
    expected = f'{root}/annotations/instances_val2017.json'
    assert cfg.val_evaluator.ann_file == cfg.test_evaluator.ann_file == expected
