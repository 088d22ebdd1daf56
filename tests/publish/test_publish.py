"""Files of a release: the weights, their card and the address in the metafile."""

import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

import model_zoo
from helpers.tools import run_tool
from mmca.checkpoint import load_file
from mmca.reproduce import records
from mmca.reproduce.settings import config_path

CONFIG = 'mbv2ca_cifar10_w050_30e'


def build():
    cfg = Config.fromfile(config_path(CONFIG))
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return MODELS.build(cfg.model).eval()


@pytest.fixture(scope='module')
def trained(tmp_path_factory) -> tuple[Path, Path]:
    """A record and its checkpoint, as tools/reproduce.py leaves them."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp('run')
    checkpoint, record = folder / 'epoch_30.pth', folder / f'{CONFIG}_seed_2.json'
    model = build()
    model.backbone.conv1.bn.running_var.fill_(1e6)  # more than float16 holds
    torch.save(dict(state_dict=model.state_dict(), meta={}, optimizer={}), checkpoint)
    content = {
        'config': CONFIG,
        'config_sha256': records.config_hash(CONFIG),
        'seed': 2,
        'pretrained': None,
        'pretrained_sha256': None,
        'source': records.source_state(),
        'value': 84.21,
        'metrics': {'accuracy/top1': 84.21},
        'checkpoint': checkpoint.name,
        'checkpoint_sha256': records.file_hash(checkpoint),
        'finished': '2026-01-01T00:00:00Z',
        **records.environment(),
    }
    record.write_text(json.dumps(content))
    return record, checkpoint


def publish(trained, tmp_path, **changed):
    record, checkpoint = trained
    if changed:
        content = json.loads(record.read_text()) | changed
        record = tmp_path / record.name
        record.write_text(json.dumps(content))
    options = '--out', tmp_path / 'release', '--index', tmp_path / 'published.json'
    return run_tool('publish', record, checkpoint, *options)


def test_weights_are_half_as_large_and_give_the_same_scores(trained, tmp_path):
    outcome = publish(trained, tmp_path)
    assert outcome.code == 0, outcome.output
    [file] = (tmp_path / 'release').glob('*.safetensors')
    sha256 = records.file_hash(file)
    assert file.stem == f'{CONFIG}-{sha256[:8]}'
    assert sha256 in outcome.output
    parameters = sum(tensor.numel() for tensor in build().parameters())
    assert file.stat().st_size < 2.5 * parameters

    published, own = build(), build()
    published.load_state_dict(load_file(file))
    own.load_state_dict(load_file(trained[1])['state_dict'])
    assert published.backbone.conv1.bn.running_var[0] == 1e6
    x = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        scores, expected = (torch.softmax(net(x), 1) for net in (published, own))
    assert (scores - expected).abs().max() < 2e-3


def test_the_card_says_what_the_record_says(trained, tmp_path):
    publish(trained, tmp_path)
    [card] = (tmp_path / 'release').glob('*.md')
    text = card.read_text()
    record = json.loads(trained[0].read_text())
    for part in (
        'MobileNetV2-0.5 with CA, trained on CIFAR-10: top1 84.21 %',
        f'`{card.stem}.safetensors`',
        record['checkpoint_sha256'],
        record['config_sha256'],
        record['source']['commit'],
        'https://www.cs.toronto.edu/~kriz/cifar.html',
        f'tools/reproduce.py run cifar10_w050_30e --row {CONFIG} --seeds 3',
        f'torch {torch.__version__}',
    ):
        assert part in text, part


def test_an_address_enters_the_metafile(trained, tmp_path, monkeypatch):
    publish(trained, tmp_path)
    index = tmp_path / 'results/published.json'
    index.parent.mkdir()
    content = json.loads((tmp_path / 'published.json').read_text())
    [table] = [one for one in model_zoo.TABLES if one.name == 'cifar10']
    monkeypatch.setattr(model_zoo, 'ROOT', tmp_path)
    monkeypatch.setattr(
        model_zoo,
        'table_configs',
        lambda table: [pair for pair in rows if pair[0] == CONFIG],
    )
    rows = [(row.config, row) for row in model_zoo.all_rows() if row.table == table]
    for address, expected in (
        ('', 'no checkpoint is published yet: mim train'),
        ('https://example.org/mmca/', f'https://example.org/mmca/{CONFIG}-'),
    ):
        index.write_text(json.dumps(content | {'address': address}))
        assert f'Weights: {expected}' in model_zoo.metafile(table).replace("'", '')
    index.write_text(json.dumps(content | {'address': 'example.org'}))
    with pytest.raises(model_zoo.UserError, match="address='example.org' is no http"):
        model_zoo.metafile(table)


@pytest.mark.parametrize(
    'changed, message',
    [
        (dict(checkpoint_sha256='0' * 64), 'is not the checkpoint of'),
        (dict(config_sha256='0' * 64), f'configs/{CONFIG}.py has changed since that run'),
        (dict(config='mbv2ca_sample'), 'mbv2ca_sample, stands in no table'),
        (dict(value=None), 'damaged record'),
    ],
)
def test_what_does_not_belong_together_is_refused(trained, tmp_path, changed, message):
    outcome = publish(trained, tmp_path, **changed)
    assert outcome.code == 1
    assert message in outcome.output
    assert not (tmp_path / 'release').exists()


def test_a_missing_record_is_named(trained, tmp_path):
    outcome = publish((tmp_path / 'none.json', trained[1]), tmp_path)
    assert outcome.code == 1
    assert 'none.json: no such record' in outcome.output
