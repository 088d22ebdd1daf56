"""The kernels and fused blocks in whole networks: they learn the same, keep less, hide nothing."""

import copy
import inspect
import io

import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from torch import nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from helpers.tools import run_tool
from mmca.models import CoordinateAttention, MobileNetV2, MobileNeXt
from mmca.models.backbones.residual_block import ResidualBlock
from mmca.ops.implementation import use_implementation
from mmca.training_log import read_scalars

CA = dict(type='mmca.CoordinateAttention', reduction=32)
NETWORKS = [
    (MobileNetV2, {}),
    (MobileNeXt, dict(attention_position='first')),
    (MobileNeXt, dict(attention_position='last')),
]
every_network = pytest.mark.parametrize('backbone, options', NETWORKS, ids=['v2', 'first', 'last'])


def make_network(backbone, options):
    torch.manual_seed(0)
    return backbone(attention=CA, widen_factor=0.25, **options)


def attending_blocks(network):
    """Blocks with attention, by their names."""
    named = dict(network.named_modules())
    return {
        name: block
        for name, block in named.items()
        if isinstance(block, ResidualBlock) and isinstance(block.attention, CoordinateAttention)
    }


@every_network
@pytest.mark.parametrize('training', [True, False])
def test_every_block_with_attention_is_fused(fast, backbone, options, training):
    network = make_network(backbone, options).train(training)
    blocks = attending_blocks(network)
    assert len(blocks) == sum('conv_h.weight' in name for name in network.state_dict()) >= 12
    inputs = {}
    for name, block in blocks.items():
        stage = block.around_attention()[0]
        stage.register_forward_pre_hook(lambda _, args, name=name: inputs.update({name: args[0]}))
    x = torch.randn(2, 3, 64, 48)
    with torch.set_grad_enabled(training):
        network(x)
        for name, block in blocks.items():
            stage = block.around_attention()[0]
            stage._forward_pre_hooks.clear()
            assert block.fusion(inputs[name]) is not None, name


@pytest.mark.parametrize('with_cp', [False, True])
@every_network
def test_networks_learn_the_same(fast, backbone, options, with_cp):
    network = make_network(backbone, options | dict(with_cp=with_cp))
    torch.manual_seed(1)
    x = torch.randn(4, 3, 64, 64)
    target = torch.randn_like(network(x)[0])
    curves, gradients = [], []
    for implementation, dtype in (('plain', 'double'), ('plain', 'float'), ('cpp', 'float')):
        learner, curve = getattr(copy.deepcopy(network), dtype)(), []
        given, wanted = (getattr(tensor, dtype)() for tensor in (x, target))
        optimiser = torch.optim.SGD(learner.parameters(), lr=0.01, momentum=0.9)
        with use_implementation(implementation):
            for step in range(2):
                loss = (learner(given)[0] - wanted).square().mean()
                optimiser.zero_grad()
                loss.backward()
                if step == 0:
                    gradients.append({n: p.grad.double() for n, p in learner.named_parameters()})
                optimiser.step()
                curve.append(loss.item())
        curves.append(curve)
    exact, plain, found = curves
    assert found != plain  # they are two implementations
    assert abs(exact[1] - exact[0]) > 1e-4 * exact[0]
    # Rounding, which such small batches multiply, is as large with either.
    for one, other, value in zip(found, plain, exact):
        assert abs(one - value) <= 3 * abs(other - value) + 1e-5 * value
    whole = torch.stack([value.norm() for value in gradients[0].values()]).norm()
    for name, value in gradients[0].items():
        rounding = (gradients[1][name] - value).norm()
        assert (gradients[2][name] - value).norm() <= 3 * rounding + 1e-4 * whole, name


@pytest.mark.slow
def test_training_on_sample_data_has_the_same_loss_curve(tiny_config, tmp_path, monkeypatch):
    curves = []
    for implementation in ('plain', 'cpp'):
        monkeypatch.setenv('MMCA_ATTENTION', implementation)
        work_dir = tmp_path / implementation
        options = '--work-dir', work_dir, '--cfg-options', 'default_hooks.logger.interval=1'
        outcome = run_tool('train', tiny_config, *options)
        assert outcome.code == 0, outcome.output
        curves.append([s['loss'] for s in read_scalars(work_dir) if 'loss' in s])
    plain, found = curves
    assert len(plain) == 12 and plain[-1] < 0.9 * plain[0]
    assert found == pytest.approx(plain, rel=3e-3)
    assert found != plain


def saved_bytes(network, x):
    """Bytes that autograd keeps for backward, parameters aside, each storage once."""
    parameters = {p.untyped_storage().data_ptr() for p in network.parameters()}
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = storage
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        out = network(x)
    del out
    return sum(storage.nbytes() for storage in kept.values())


@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last])
def test_saved_bytes_are_below_those_without_attention(fast, memory_format):
    """A ReLU6 of PyTorch's keeps its input, the fused one does not.

    At 224 pixels: profiles weigh more in small maps.
    """
    x = torch.randn(1, 3, 224, 224).to(memory_format=memory_format)
    plain = saved_bytes(MobileNetV2().to(memory_format=memory_format), x)
    network = MobileNetV2(attention=CA).to(memory_format=memory_format)
    assert 0.9 < saved_bytes(network, x) / plain <= 0.95
    with use_implementation('plain'):
        assert saved_bytes(network, x) / plain > 1.15


@every_network
@torch.no_grad()
def test_inference_in_place_spoils_no_map_of_others(fast, backbone, options):
    """Without gradients the gated map takes the place of the depthwise convolution's output."""
    network = make_network(backbone, options).eval()
    x = torch.randn(2, 3, 64, 48)
    with use_implementation('plain'):
        expected = network(x)[0]
    given = x.clone()
    torch.testing.assert_close(network(x)[0], expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(x, given)
    # A hook that keeps the output has it unchanged.
    blocks, kept = [*attending_blocks(network).values()], {}
    norm = blocks[2].around_attention()[0].norm
    for implementation in ('plain', 'cpp'):
        hook = norm.register_forward_hook(
            lambda *call, name=implementation: kept.update({name: call[-1]})
        )
        with use_implementation(implementation):
            network(x)
        hook.remove()
    torch.testing.assert_close(kept['cpp'], kept['plain'], rtol=1e-4, atol=1e-5)


@every_network
@pytest.mark.parametrize('training', [True, False])
def test_hooks_see_every_map(fast, backbone, options, training):
    network = make_network(backbone, options).train(training)
    x, seen = torch.randn(2, 3, 64, 48), []
    with torch.set_grad_enabled(training):
        for implementation in ('plain', 'cpp'):
            learner, maps = copy.deepcopy(network), {}
            for name, layer in learner.named_modules():
                layer.register_forward_hook(
                    lambda layer, args, out, name=name, maps=maps: maps.update({name: out})
                )
            with use_implementation(implementation):
                learner(x)
            seen.append({n: out.clone() for n, out in maps.items() if torch.is_tensor(out)})
    plain, found = seen
    assert list(found) == list(plain) and len(found) > 150
    for name, value in plain.items():
        torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-3, msg=name)


def test_other_layers_in_a_block_are_run(fast):
    """Options of the config that change what stands around the attention."""
    x = torch.randn(2, 3, 64, 48)
    for options in (
        dict(norm_cfg=dict(type='GN', num_groups=2)),
        dict(act_cfg=dict(type='HSwish')),
        dict(act_cfg=dict(type='ReLU')),
        dict(attention=dict(CA, axes='h')),
        dict(attention=dict(CA, act_cfg=dict(type='ReLU'))),
        dict(attention=dict(type='mmca.SqueezeExcitation')),
        dict(attention=None),
    ):
        torch.manual_seed(0)
        network = MobileNetV2(**(dict(attention=CA, widen_factor=0.25) | options))
        for training in (True, False):
            network.train(training)
            with use_implementation('plain'):
                expected = copy.deepcopy(network)(x)[0]
            torch.testing.assert_close(network(x)[0], expected, rtol=1e-3, atol=1e-3)


def test_counted_operations_are_those_of_the_plain_expression(fast):
    network, x = make_network(*NETWORKS[0]).eval(), torch.randn(1, 3, 64, 64)
    counted = []
    for implementation in ('plain', 'cpp'):
        with use_implementation(implementation), FlopCounterMode(display=False) as flops:
            network(x)
        counted.append(flops.get_total_flops())
    assert counted[0] == counted[1] > 0


@every_network
@torch.no_grad()
def test_onnx_export_is_the_plain_expression(fast, backbone, options):
    network = make_network(backbone, options)
    network(torch.randn(2, 3, 64, 64))  # running statistics
    network.eval()
    x, file = torch.randn(2, 3, 64, 64), io.BytesIO()
    # torch 2.1 has this exporter only, without the option.
    accepted = inspect.signature(torch.onnx.export).parameters
    torch.onnx.export(network, (x,), file, **({'dynamo': False} if 'dynamo' in accepted else {}))
    exported = onnx.load_from_string(file.getvalue())
    onnx.checker.check_model(exported)
    assert {node.domain for node in exported.graph.node} == {''}
    [found] = ReferenceEvaluator(exported).run(None, {exported.graph.input[0].name: x.numpy()})
    torch.testing.assert_close(torch.tensor(found), network(x)[0], rtol=1e-4, atol=1e-4)


def test_fused_blocks_survive_the_libraries_conversions(fast):
    from mmengine.model import revert_sync_batchnorm

    x = torch.randn(2, 3, 64, 48)
    network = make_network(*NETWORKS[0]).eval()
    with torch.no_grad():
        expected = network(x)[0]
        # torch 2.1 makes norms that train.
        synchronised = nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(network)).eval()
        torch.testing.assert_close(synchronised(x)[0], expected, rtol=1e-4, atol=1e-5)
        reverted = revert_sync_batchnorm(synchronised).eval()
        torch.testing.assert_close(reverted(x)[0], expected, rtol=1e-4, atol=1e-5)
        from mmcv.cnn.utils import fuse_conv_bn

        torch.testing.assert_close(fuse_conv_bn(network)(x)[0], expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_replicas_run_their_own_layers():
    """As DataParallel makes them: the replica's layers are those on another device."""
    network = make_network(MobileNetV2, {}).eval()
    block = next(iter(attending_blocks(network).values()))
    x = torch.randn(1, next(block.parameters()).shape[1], 8, 8)
    expected = block(x)
    replica = block._replicate_for_data_parallel()
    for name, layer in copy.deepcopy(block).named_children():
        setattr(replica, name, layer)
    for parameter in block.parameters():
        parameter.zero_()
    torch.testing.assert_close(replica(x), expected)
    assert not torch.equal(block(x), expected)
