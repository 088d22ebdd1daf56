"""Maps around an attention and Grad-CAM of it, by hand; ``tools/visualize_attention.py``."""

import re
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from PIL import Image

import mmca
from helpers.exported import CONFIGS, Case, make_case
from helpers.tools import ROOT, run_tool
from mmca.attention_maps import attention_maps

pytest.importorskip('pytorch_grad_cam')


@pytest.fixture(scope='module')
def predictors(cases) -> dict[str, mmca.Predictor]:
    return {
        task: mmca.Predictor(case.config, case.checkpoint, device='cpu')
        for task, case in cases.items()
    }


def layer_by_layer(predictor, image, layer):
    """Input and output of an attention, and all scores (places, classes), with their graph."""
    model = predictor.network.model
    data = pseudo_collate([predictor.prepare(image).prepared.data])
    inputs = model.data_preprocessor(data, False)['inputs']
    seen = []
    handle = predictor.network.attentions[layer].register_forward_hook(
        lambda module, x, y: seen.extend((x[0], y))
    )
    found = model(inputs, mode='tensor')
    handle.remove()
    if predictor.task == 'classification':
        return *seen, found
    if predictor.task == 'segmentation':
        return *seen, found[0].flatten(1).T
    channels = model.bbox_head.cls_out_channels
    return *seen, torch.cat([level[0].permute(1, 2, 0).reshape(-1, channels) for level in found[0]])


@pytest.mark.parametrize('task', CONFIGS)
def test_grad_cam_and_maps_are_those_of_the_formulas(cases, predictors, task):
    """Grad-CAM: ReLU of the sum over channels, each weighted by its mean gradient."""
    predictor = predictors[task]
    image = cv2.imread(str(cases[task].images / '0.png'))
    height, width = image.shape[:2]
    compared = 0
    for layer in list(predictor.network.attentions)[2:10:3]:
        x, y, scores = layer_by_layer(predictor, image, layer)
        for number in (0, 1):
            own = scores[:, number]
            chosen = scores.argmax(dim=1) == number
            score = own[chosen].sum() if task == 'segmentation' and chosen.any() else own.max()
            gradients = torch.autograd.grad(score, (x, y), retain_graph=True)
            found = attention_maps(predictor, image, layer, number)
            np.testing.assert_allclose(found.before, x[0].abs().mean(dim=0).detach(), rtol=1e-4)
            np.testing.assert_allclose(found.after, y[0].abs().mean(dim=0).detach(), rtol=1e-4)
            cams = found.cam_before, found.cam_after
            for feature, gradient, cam in zip((x, y), gradients, cams, strict=True):
                weights = gradient.mean(dim=(2, 3), keepdim=True)
                wanted = (weights * feature).sum(dim=1)[0].relu().detach().numpy()
                wanted = wanted - wanted.min()
                wanted = wanted / (1e-7 + wanted.max())
                assert cam.shape == found.picture.shape[:2]
                wanted = cv2.resize(wanted, cam.shape[::-1])
                np.testing.assert_allclose(cam, wanted, atol=1e-3)
                compared += cam.max() > 0.9
        assert (len(found.gates.height), len(found.gates.width)) == x.shape[2:]
        if task == 'segmentation':
            np.testing.assert_array_equal(found.picture, image)
            assert found.picture.shape == (height, width, 3)
    assert compared >= 4
    # Nothing is left behind: predictions are as before, with no hook.
    attention = predictor.network.attentions[layer]
    assert not attention._forward_hooks and not attention._forward_pre_hooks


@pytest.fixture(scope='module')
def segmenters(cases, tmp_path_factory) -> list[Case]:
    """With coordinate attention, SE and CBAM."""
    made = [cases['segmentation']]
    for kind in ('SqueezeExcitation', 'CBAM'):
        folder = tmp_path_factory.mktemp(kind)
        changed = dict(CONFIGS)
        changed['segmentation'] += (
            f"model['backbone']['attention'] = dict(_delete_=True, type='mmca.{kind}')\n"
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr('helpers.exported.CONFIGS', changed)
            made.append(make_case('segmentation', folder))
    return made


def words(cases: list[Case]) -> list[Path]:
    return [path for case in cases for path in (case.config, case.checkpoint)]


def test_a_picture_of_three_attentions(segmenters, tmp_path):
    images, out = segmenters[0].images, tmp_path / 'out'
    (tmp_path / 'text.jpg').write_text('no picture')
    inputs = [images / '0.png', images / '1.png', tmp_path / 'text.jpg']
    outcome = run_tool('visualize_attention', *words(segmenters), *inputs, '--out', out)
    assert outcome.code == 1
    [text, last] = re.findall('^Error: (.*)', outcome.output, re.M)
    assert text.startswith(f'{tmp_path}/text.jpg: cannot be decoded')
    assert last == '1 of 3 could not be drawn, see above'
    drawn = sorted(out.rglob('*.png'))
    assert [path.name for path in drawn] == ['0.png', '1.png']
    for path in drawn:
        assert str(path) in outcome.output
        with Image.open(path) as picture:
            assert picture.width > 1000 and picture.height > 400
            assert len(picture.convert('RGB').getcolors(1 << 22)) > 1000
    # Another class and layer give another picture.
    choice = ['--class', 'car', '--layer', 'backbone.layer3.1.attention']
    before = drawn[0].read_bytes()
    outcome = run_tool('visualize_attention', *words(segmenters), inputs[0], '--out', out, *choice)
    assert outcome.code == 0
    [other] = re.findall(r'^(/.*0\.png)$', outcome.output, re.M)
    assert Path(other).read_bytes() != before


def test_what_cannot_be_drawn_is_one_line(cases, segmenters, tmp_path, monkeypatch):
    case, out = cases['segmentation'], ['--out', tmp_path / 'out']
    image = case.images / '0.png'

    def said(*arguments) -> str:
        outcome = run_tool('visualize_attention', *arguments, *out)
        assert outcome.code == 1 and not (tmp_path / 'out').exists()
        return outcome.output.splitlines()[-1]

    own = words([case])
    assert said(*own, image, '--layer', 'backbone.layer9').startswith(
        'Error: segmentation.py: has no attention backbone.layer9; there are backbone.layer2.0.att'
    )
    assert said(*own, image, '--class', 'cat').startswith(
        'Error: --class cat: no such class; there are sky, building'
    )
    assert said(*own, *words([cases['detection']]), image).endswith(
        'these networks have different tasks; give those of one'
    )
    monkeypatch.setitem(sys.modules, 'pytorch_grad_cam', None)
    assert said(*own, image) == "Error: Grad-CAM needs grad-cam: pip install 'mmca[grad-cam]'"
    outcome = run_tool('visualize_attention', *own, *out)
    assert outcome.code == 2 and 'give IMAGE behind' in outcome.output


def test_a_network_without_attention_is_told(tmp_path):
    from helpers.tools import build_model

    config = tmp_path / 'plain.py'
    config.write_text(
        CONFIGS['segmentation'].format(root=ROOT).replace('mbv2ca_camvid', 'mbv2_camvid')
    )
    from mmengine.config import Config

    torch.save(build_model(Config.fromfile(config).model).state_dict(), tmp_path / 'plain.pth')
    outcome = run_tool('visualize_attention', config, tmp_path / 'plain.pth', 'a.jpg', '--out', '.')
    assert outcome.output.splitlines()[-1] == (
        'Error: plain.py: has no attention that can be looked at; give a config and a checkpoint '
        'with one'
    )
