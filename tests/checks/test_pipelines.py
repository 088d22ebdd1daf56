"""A pipeline has the steps that a training or an evaluation needs, in an order that works."""

import pytest
from mmengine.config import Config

from helpers.tools import ROOT
from mmca.checks.pipelines import pipeline_problems

ALL = ['train_dataloader', 'val_dataloader', 'test_dataloader']
CONFIGS = ROOT / 'configs'
NAMES = ('deeplabv3_mbv2ca_sample', 'ssdlite320_mbv2ca_voc', 'mbv2ca_imagenet')
LOAD, TRUTH = dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')
RESIZE = dict(type='Resize', scale=(64, 64))
PACK = dict(type='PackDetInputs')
PACKS = {NAMES[0]: dict(type='PackSegInputs'), NAMES[1]: PACK}


def config(name: str, **pipelines) -> Config:
    """A config with another pipeline in the datasets of loaders, or a change of theirs."""
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    for split, pipeline in pipelines.items():
        dataset = cfg[f'{split}_dataloader'].dataset
        for leaf in dataset.get('datasets', [dataset]):
            leaf.pipeline = pipeline(leaf.pipeline) if callable(pipeline) else pipeline
    return cfg


def without(*words: str):
    return lambda steps: [step for step in steps if not any(w in step['type'] for w in words)]


@pytest.mark.parametrize(
    'path',
    [*sorted(CONFIGS.glob('*.py'))[::5], *sorted((CONFIGS / 'extra').glob('*.py'))],
    ids=lambda path: path.stem,
)
def test_the_projects_configs_have_none(path):
    assert pipeline_problems(Config.fromfile(path), ALL) == []


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize(
    'words, found',
    [(('LoadImage', 'LoadRandomResizedCrop'), 'loads no image'), (('Pack',), 'gives the')],
    ids=['load', 'pack'],
)
@pytest.mark.input_fault(
    'Configs',
    'a pipeline that loads no image, or gives the model nothing',
    'refused, with the step to add',
)
def test_a_step_that_is_missing(name, words, found):
    (problem,) = pipeline_problems(config(name, train=without(*words)), ALL)
    assert problem.startswith(f'train_dataloader: its pipeline {found}')


@pytest.mark.parametrize('name', NAMES[:2])
@pytest.mark.parametrize('split, purpose', [('train', 'learnt'), ('val', 'measured')])
@pytest.mark.input_fault(
    'Configs',
    'a pipeline without the annotations that are learnt or measured',
    'refused, with the step to add',
)
def test_annotations_that_are_not_loaded(name, split, purpose):
    steps = without('LoadAnnotations', 'LoadSegAnnotations')
    problem = pipeline_problems(config(name, **{split: steps}), ALL[:2])[-1]
    assert problem == (
        f'{split}_dataloader: its pipeline loads no boxes or masks, which are {purpose}: add '
        "dict(type='LoadAnnotations')"
    )


def test_what_needs_no_annotations_does_without():
    steps = without('LoadAnnotations')
    cfg = config('ssdlite320_mbv2ca_coco', val=steps, test=steps)  # the metric has a file
    assert pipeline_problems(cfg, ALL) == []
    assert pipeline_problems(config('deeplabv3_mbv2ca_sample', test=steps), ALL) == []
    cfg = config('deeplabv3_mbv2ca_sample', val=steps)
    cfg.val_evaluator.format_only = True
    assert pipeline_problems(cfg, ALL[:2]) == []


@pytest.mark.parametrize('name', NAMES[:2])
@pytest.mark.input_fault(
    'Configs',
    'a training pipeline that resizes, crops or flips before it loads the annotations',
    'refused: boxes and masks would not follow',
)
def test_annotations_come_before_what_moves_them(name):
    cfg = config(name, train=[LOAD, RESIZE, TRUTH, PACKS[name]])
    problem = pipeline_problems(cfg, ALL)[-1]
    assert problem.startswith('train_dataloader: Resize comes before LoadAnnotations')


@pytest.mark.parametrize('name', NAMES[:2])
@pytest.mark.input_fault(
    'Configs',
    'a validation pipeline that resizes after it loads the annotations, which the metric reads',
    'refused: predictions have the size of the file',
)
def test_annotations_that_are_compared_stay_as_in_the_file(name):
    cfg = config(name, val=[LOAD, TRUTH, RESIZE, PACKS[name]])
    (problem,) = pipeline_problems(cfg, ALL[:2])
    assert problem.startswith('val_dataloader: Resize comes after LoadAnnotations')
    assert pipeline_problems(config(name, val=[LOAD, RESIZE, TRUTH, PACKS[name]]), ALL[:2]) == []


def test_wrappers_have_steps_of_their_own():
    cfg = config('ssdlite320_mbv2ca_coco', train=[LOAD, TRUTH])
    inner = cfg.train_dataloader.dataset
    mosaic = dict(type='Mosaic', img_scale=(64, 64))
    cfg.train_dataloader.dataset = dict(
        type='MultiImageMixDataset', dataset=inner, pipeline=[mosaic, RESIZE, PACK]
    )
    assert pipeline_problems(cfg, ALL) == []
    cfg.train_dataloader.dataset.pipeline.pop()
    (problem,) = pipeline_problems(cfg, ALL)
    assert "end it in dict(type='PackDetInputs')" in problem


def test_of_steps_of_others_nothing_is_said():
    class Everything:
        pass

    assert pipeline_problems(config(NAMES[0], train=[dict(type=Everything)]), ALL) == []
    branches = dict(type='MultiBranch', branch_field=['sup'], sup=PACK)
    cfg = config('ssdlite320_mbv2ca_coco', train=[LOAD, TRUTH, branches])
    assert pipeline_problems(cfg, ALL) == []
