"""What every attention promises. One in a new file of mmca/models/attention is among them."""

import copy
import inspect
import io
import logging

import pytest
import torch

from mmca import insert_attention
from mmca.checkpoint import CheckpointError, attention_of
from mmca.complexity import count_complexity
from mmca.models import MobileNetV2, attention
from mmca.models.backbones.residual_block import POSITIONS
from mmca.registry import MODELS

ALL = sorted(attention.__all__)
every = pytest.mark.parametrize('name', ALL)
at_each = pytest.mark.parametrize('position', POSITIONS)


def build(name, channels=32):
    """An attention in evaluation mode whose norms and weights are not those of the start."""
    torch.manual_seed(0)
    module = MODELS.build(dict(type=f'mmca.{name}', in_channels=channels))
    with torch.no_grad():
        for tensor in [*module.parameters(), *module.buffers()]:
            if tensor.is_floating_point():
                tensor.add_(torch.rand_like(tensor) / 4)
    return module.eval()


def network(name, **options):
    return MobileNetV2(dict(type=f'mmca.{name}'), widen_factor=0.25, **options)


@every
@pytest.mark.parametrize('size', [(1, 1), (1, 9), (7, 1), (5, 11), (16, 15)])
def test_any_size_and_memory_format(name, size):
    module = build(name).double()
    x = torch.randn(2, 32, *size, dtype=torch.float64)
    out = module(x)
    assert out.shape == x.shape and out.isfinite().all()
    assert not torch.equal(out, x)
    last = x.to(memory_format=torch.channels_last)
    torch.testing.assert_close(module(last), out)


@every
def test_channels_last_stays_channels_last(name):
    x = torch.randn(2, 32, 6, 5).to(memory_format=torch.channels_last)
    assert build(name)(x).is_contiguous(memory_format=torch.channels_last)


@every
def test_its_input_stays_as_it_was(name):
    x = torch.randn(2, 32, 6, 5)
    before = x.clone()
    build(name)(x)
    assert torch.equal(x, before)


@every
def test_gradients_in_float64(name):
    module = build(name, 8).double().train()
    x = torch.randn(2, 8, 3, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(module, x)


@every
def test_autocast_bfloat16(name):
    module = build(name)
    x = torch.randn(2, 32, 6, 7)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        out = module(x)
    assert (out.float() - module(x)).abs().max() < 0.05
    module.train()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        module(x.requires_grad_()).float().square().mean().backward()
    assert x.grad.isfinite().all()
    assert all(p.grad.isfinite().all() for p in module.parameters())


@every
@pytest.mark.filterwarnings('ignore::torch.jit.TracerWarning')
def test_trace_serves_other_sizes(name):
    module = build(name)
    traced = torch.jit.trace(module, torch.randn(1, 32, 8, 6))
    for size in [(5, 1), (20, 9)]:
        x = torch.randn(2, 32, *size)
        torch.testing.assert_close(traced(x), module(x))


@every
@pytest.mark.filterwarnings('ignore')
def test_export_to_onnx(name):
    """With free batch, height and width, and with the same outputs in ONNX Runtime."""
    pytest.importorskip('onnx')
    runtime = pytest.importorskip('onnxruntime')
    free = {'x': {0: 'n', 2: 'h', 3: 'w'}, 'y': {0: 'n', 2: 'h', 3: 'w'}}
    options = dict(input_names=['x'], output_names=['y'], dynamic_axes=free, opset_version=17)
    if 'dynamo' in inspect.signature(torch.onnx.export).parameters:
        options['dynamo'] = False
    module, file = build(name), io.BytesIO()
    torch.onnx.export(module, torch.randn(1, 32, 8, 6), file, **options)
    session = runtime.InferenceSession(file.getvalue(), providers=['CPUExecutionProvider'])
    for size in [(8, 6), (15, 9), (3, 1)]:
        x = torch.randn(2, 32, *size)
        [y] = session.run(None, {'x': x.numpy()})
        torch.testing.assert_close(torch.from_numpy(y), module(x), rtol=1e-4, atol=1e-5)


@every
def test_compile_without_graph_breaks(name):
    """Traced as for a compiler; a test of coordinate attention runs the compiler, too."""
    module = build(name)
    x = torch.randn(2, 32, 6, 7)
    compiled = torch.compile(module, fullgraph=True, backend='aot_eager')
    torch.testing.assert_close(compiled(x), module(x), rtol=1e-4, atol=1e-5)


@every
def test_state_dict_loads_and_is_recognised(name):
    """Names do not depend on channels, and tell the attentions apart."""
    module = build(name)
    assert list(module.state_dict()) == list(build(name, 64).state_dict())
    fresh = MODELS.build(dict(type=f'mmca.{name}', in_channels=32)).eval()
    fresh.load_state_dict(module.state_dict())
    x = torch.randn(2, 32, 5, 7)
    assert torch.equal(fresh(x), module(x)) and torch.equal(copy.deepcopy(module)(x), module(x))
    keys = [f'layer2.0.attention.{key}' for key in module.state_dict()]
    found = attention_of(keys)
    own = (name, 'another attention') if keys else ('no attention',)
    assert found in own, f'layers named like those of {found}: choose other names'


@every
def test_cost_is_counted(name):
    """All of its operations have a known cost, on `meta`, too."""
    before, module = torch.nn.Conv2d(3, 8, 1, device='meta'), build(name, 8).to('meta')
    plain = count_complexity(before, 9, 6)
    counts = count_complexity(torch.nn.Sequential(before, module), 9, 6)
    assert counts.parameters - plain.parameters == sum(p.numel() for p in module.parameters())
    assert counts.multiply_adds >= plain.multiply_adds
    assert counts.other_operations > 0


@every
def test_options_are_checked(name):
    with pytest.raises(ValueError, match=f'{name}: in_channels=0 must be'):
        build(name, 0)
    with pytest.raises(TypeError, match=f'{name} has no option'):
        MODELS.build(dict(type=f'mmca.{name}', in_channels=8, no_such_option=1))


@every
@at_each
def test_network_learns_at_each_position(name, position):
    torch.manual_seed(0)
    model = network(name, attention_position=position)
    logging.disable(logging.INFO)
    model.init_weights()
    logging.disable(logging.NOTSET)
    owners = [n for n, _ in model.named_modules() if n.endswith('.attention')]
    owners = [n for n in owners if not isinstance(model.get_submodule(n), torch.nn.Identity)]
    assert len(owners) == 16
    model(torch.randn(2, 3, 64, 48))[0].square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    learned = [p for n, p in model.named_parameters() if '.attention.' in n]
    assert not learned or any(p.grad.abs().sum() > 0 for p in learned)


@every
def test_gates_are_not_saturated_at_the_start(name):
    """A gate near 0 or 1 passes no gradient: such a network would not learn from scratch."""
    torch.manual_seed(0)
    model = network(name)
    logging.disable(logging.INFO)
    model.init_weights()
    logging.disable(logging.NOTSET)
    gates = []

    def record(block, inputs, output):
        [x] = inputs
        gates.append((output / x)[x.abs() > 1e-3])

    for module in model.modules():
        if type(module).__name__ == name:
            module.register_forward_hook(record)
    model(torch.randn(4, 3, 96, 96))
    assert len(gates) == 16
    for gate in gates:
        assert ((gate > 0.01) & (gate < 0.99)).float().mean() > 0.95


@every
def test_inserted_without_change_or_refused_with_the_reason(name):
    torch.manual_seed(0)
    plain, model = MobileNetV2(widen_factor=0.25).eval(), network(name).eval()
    if not hasattr(MODELS.get(f'mmca.{name}'), 'gate_layers'):
        with pytest.raises(CheckpointError, match='inserted'):
            insert_attention(plain.state_dict(), model)
        return
    model.load_state_dict(insert_attention(plain.state_dict(), model))
    x = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(model(x), plain(x))
