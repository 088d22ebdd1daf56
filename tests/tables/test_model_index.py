"""The model index, its metafiles and the model zoo's page against configs and published figures."""

from pathlib import Path

import pytest
import yaml
from mmengine.config import Config
from modelindex.load_model_index import load

import model_zoo
from helpers.tools import run_tool
from mmca.tables import TABLES, find_row

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / 'configs'


@pytest.fixture(scope='module')
def index():
    """Read by the library that mim reads it with."""
    return load(str(ROOT / 'model-index.yml'))


@pytest.fixture(scope='module')
def models():
    names = yaml.safe_load((ROOT / 'model-index.yml').read_text())['Import']
    entries = [
        entry for name in names for entry in yaml.safe_load((ROOT / name).read_text())['Models']
    ]
    return {entry['Name']: entry for entry in entries}


@pytest.mark.slow
def test_committed_files_are_what_the_tool_writes():
    outcome = run_tool('model_zoo', '--check')
    assert outcome.code == 0, outcome.output


def test_the_librarys_own_check_finds_nothing(index, models):
    index.check(silent=True)
    assert not index.check_errors
    assert not [error for model in index.models for error in model.check_errors]
    assert sorted(model.name for model in index.models) == sorted(models)


def test_every_config_but_the_samples_is_listed_once(index):
    there = {path.stem for path in CONFIGS.glob('*.py')}
    wanted = {name for name in there if '_sample' not in name}
    assert sorted(model.name for model in index.models) == sorted(wanted)
    for model in index.models:
        assert model.config == f'configs/{model.name}.py'


def test_collections_are_there(index):
    collections = {collection.name for collection in index.collections}
    assert {model.in_collection for model in index.models} == collections
    assert collections == {*model_zoo.COLLECTIONS}


def test_published_figures_are_the_published_ones(models):
    for name, entry in models.items():
        assert entry['Metadata'].get('Published Value') == find_row(name).value, name
    assert sum('Published Value' in entry['Metadata'] for entry in models.values()) == 30


def test_no_figure_that_is_not_ours_looks_like_ours(models):
    """What readers of ``Results`` take for the weights' metric is a training of ours."""
    for name, entry in models.items():
        ours = model_zoo.trained_value(name)
        assert ('Results' in entry) == (ours is not None), name
        assert entry['Weights'].startswith('no checkpoint is published yet: mim train'), name


def test_numbers_of_the_headline_models(models):
    entry = models['mbv2_imagenet']['Metadata']
    assert (entry['Parameters'], entry['FLOPs'], entry['Epochs']) == (3504872, 300774272, 200)
    assert (entry['Input Size'], entry['Batch Size']) == ('224x224', 256)
    entry = models['deeplabv3_mbv2_voc']['Metadata']
    assert (entry['Parameters'], entry['Iterations'], entry['Batch Size']) == (4523541, 30000, 16)
    assert entry['Architecture'] == ['MobileNetV2', 'DeepLabV3']
    entry = models['ssdlite320_mnextca_coco']['Metadata']
    assert entry['Architecture'] == ['MobileNeXt', 'Coordinate Attention', 'SSDLite320']
    assert entry['Batch Size'] == 256
    assert models['mnext_imagenet_w050']['Metadata']['Architecture'] == ['MobileNeXt 0.5']


def test_lengths_are_those_of_the_configs(models):
    for name, entry in models.items():
        loop = Config.fromfile(CONFIGS / f'{name}.py').train_cfg
        written = entry['Metadata']
        assert written.get('Epochs') == loop.get('max_epochs'), name
        assert written.get('Iterations') == loop.get('max_iters'), name


def test_own_results_enter_metafile_and_page(monkeypatch):
    monkeypatch.setattr(
        model_zoo,
        'trained_value',
        lambda name: 36.86 if name == 'deeplabv3_mbv2ca_camvid' else None,
    )
    [table] = [table for table in TABLES if table.name == 'camvid_deeplabv3']
    entries = {
        entry['Name']: entry for entry in yaml.safe_load(model_zoo.metafile(table))['Models']
    }
    assert entries['deeplabv3_mbv2ca_camvid']['Results'] == [
        {'Task': 'Semantic Segmentation', 'Dataset': 'CamVid', 'Metrics': {'mIoU': 36.86}}
    ]
    assert 'Results' not in entries['deeplabv3_mbv2_camvid']
    ours = {
        line.split('|')[2].split('`')[1]: line.split('|')[-2].strip()
        for line in model_zoo.page_table(table).splitlines()[2:]
    }
    assert ours['deeplabv3_mbv2ca_camvid'] == '36.86'
    assert ours['deeplabv3_mbv2_camvid'] == ''


def test_a_stale_file_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(model_zoo, 'contents', lambda: {'a.yml': 'new', 'b.yml': 'same'})
    (tmp_path / 'a.yml').write_text('old')
    (tmp_path / 'b.yml').write_text('same')
    assert model_zoo.stale(tmp_path) == ['a.yml']
    (tmp_path / 'a.yml').unlink()
    assert model_zoo.stale(tmp_path) == ['a.yml']


def test_dataset_index_has_what_mim_reads():
    datasets = yaml.safe_load((ROOT / 'dataset-index.yml').read_text())
    assert datasets.pop('openxlab') is True
    assert set(datasets) == {'voc2012', 'coco2017'}
    for entry in datasets.values():
        # Without a script mim stops after the download, and reads no more keys.
        assert set(entry) == {'dataset', 'download_root'}
