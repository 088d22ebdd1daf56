"""The one switch: what runs, what it says when it cannot, and who sees the plain expression."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from helpers.attention_block import AttentionBlock, make_attention
from mmca.ops.implementation import describe, kernels_for, use_implementation

ROOT = Path(__file__).parents[2]

PRELUDE = """
import torch
from torch import nn
from mmca.ops.attention import CoordinateAttentionLayer
from mmca.ops.implementation import describe, kernels_for
layer = CoordinateAttentionLayer(16, 8, nn.BatchNorm2d(8), nn.Hardswish(), nn.Sigmoid())
x = torch.randn(2, 16, 5, 4, requires_grad=True)
"""


def start(code, **variables):
    """A fresh process of this checkout, warnings of others aside."""
    environment = os.environ | {'PYTHONPATH': str(ROOT)}
    environment.pop('MMCA_ATTENTION', None)
    environment |= {name: str(value) for name, value in variables.items()}
    command = [sys.executable, '-W', 'ignore', '-c', code]
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return subprocess.Popen(command, env=environment, cwd=ROOT, **pipes)


def end(process):
    output, _ = process.communicate()
    assert process.returncode == 0, output
    return output


def make_program(path, text):
    path.write_text(f'#!/bin/sh\n{text}\n')
    path.chmod(0o755)
    return path


def test_describe_names_what_runs(fast, monkeypatch):
    name, reason = describe('cpu')
    assert (name, 'native kernels in' in reason) == ('cpp', True)
    with use_implementation('plain'):
        assert describe(torch.device('cpu')) == ('plain', 'MMCA_ATTENTION=plain')
    assert describe('meta') == ('plain', 'there are no kernels for meta')
    message = "'fast' is not one of auto, plain, cpp, triton"
    with pytest.raises(ValueError, match=message), use_implementation('fast'):
        pass


def test_values_of_the_variable(compiled_kernels, monkeypatch):
    x = torch.randn(2, 16, 5, 4)
    for value, served in (('auto', True), ('cpp', True), ('plain', False), ('triton', False)):
        monkeypatch.setenv('MMCA_ATTENTION', value)
        assert (kernels_for(x) is not None) == served
        assert describe('cpu')[0] == ('cpp' if served else 'plain')
    monkeypatch.setenv('MMCA_ATTENTION', 'fast')
    message = "MMCA_ATTENTION='fast' is not one of auto, plain, cpp, triton"
    with pytest.raises(ValueError, match=message):
        make_attention(16)(x)


def test_types_without_kernels_run_the_plain_expression(fast):
    layer, x = make_attention(16).double(), torch.randn(2, 16, 5, 4).double()
    assert kernels_for(x) is None
    torch.testing.assert_close(layer(x), layer.reference(x))
    assert layer.eval()(x[:0]).shape == (0, 16, 5, 4)


FALLBACK = """
for _ in range(2):
    layer(x).sum().backward()
assert torch.equal(layer.eval()(x), layer.reference(x))
print(describe('cpu'))
"""


@pytest.mark.parametrize('broken', ['no compiler', 'no folder', 'compiler fails'])
def test_without_kernels_there_is_one_line_and_the_plain_expression(broken, tmp_path):
    cache = tmp_path / 'cache'
    variables, reason = dict(TORCH_EXTENSIONS_DIR=cache, CXX='c++'), ''
    if broken == 'no compiler':
        variables['PATH'], reason = tmp_path, 'c++ is not installed'
    elif broken == 'no folder':
        cache.touch()
        reason = 'Not a directory'
    else:
        variables['CXX'] = 'false'
    output = end(start(PRELUDE + FALLBACK, **variables))
    lines = [line for line in output.splitlines() if 'without its cpp kernels' in line]
    assert len(lines) == 1, output
    assert reason in lines[0]
    assert "('plain', " in output


def test_compiling_is_told_before_it_starts(tmp_path):
    """By what the program has said when the compiler is first called."""
    said, then = tmp_path / 'said', tmp_path / 'then'
    compiler = make_program(tmp_path / 'cxx', f'[ -e {then} ] || cp {said} {then}; exit 1')
    code = f'import sys; sys.stderr = open({str(said)!r}, "w", 1)\n{PRELUDE}layer(x)'
    end(start(code, TORCH_EXTENSIONS_DIR=tmp_path / 'cache', CXX=compiler))
    notice = 'mmca compiles its kernels for this machine, once: about half a minute '
    assert notice + '(without them: MMCA_ATTENTION=plain)' in then.read_text()


@pytest.mark.parametrize('context', ['inference_mode', 'no_grad'])
def test_first_call_without_gradients_keeps_the_kernels(compiled_kernels, context):
    code = f"""
with torch.{context}():
    layer.eval()(x.detach())
    assert kernels_for(x) is not None
layer.train()(x).sum().backward()
print(describe('cpu'), kernels_for(x) is not None, x.grad.shape)
"""
    output = end(start(PRELUDE + code))
    assert output.startswith("('cpp', ") and output.endswith('True torch.Size([2, 16, 5, 4])\n')
    assert len(output.splitlines()) == 1  # nothing is logged


def test_processes_that_build_at_once_wait_for_each_other(tmp_path):
    """Also after a build that was killed: its folder, with torch's lock, is there."""
    log = tmp_path / 'log'
    # Makes empty objects and links an empty library, slowly.
    compiler = make_program(
        tmp_path / 'cxx',
        f"""
case "$*" in
  *-dump*|*--version*|-v|*' -v'*) exec c++ "$@" ;;
  *-shared*) sleep 1; echo linked >> {log} ;;
esac
while [ $# -gt 1 ]; do [ "$1" = -o ] && out=$2; shift; done
[ -n "$out" ] && echo | c++ -shared -fPIC -x c++ - -o "$out"
""",
    )
    variables = dict(TORCH_EXTENSIONS_DIR=tmp_path / 'cache', CXX=compiler)
    code = 'from mmca.ops.build import build, library_path\n'
    library = Path(end(start(f'{code}print(library_path("native"))', **variables)).strip())
    (library.parent / 'partial').mkdir(parents=True)
    (library.parent / 'partial' / 'lock').touch()
    processes = [start(f'{code}print(build("native"))', **variables) for _ in range(2)]
    for process in processes:
        assert end(process).splitlines()[-1] == str(library)
    assert log.read_text() == 'linked\n'
    assert {path.name for path in library.parent.iterdir()} == {library.name, 'lock'}


def test_parameters_of_other_sizes_are_named(fast):
    layer, x = make_attention(16), torch.randn(2, 16, 6, 5)
    layer.conv_h = nn.Conv2d(8, 16, 3, padding=1)
    message = r'a parameter of the attention is \[16, 8, 3, 3\].*MMCA_ATTENTION=plain'
    with pytest.raises(RuntimeError, match=message):
        layer(x)
    with use_implementation('plain'):
        assert layer(x).shape == x.shape


@pytest.mark.parametrize(
    'changes',
    [
        dict(bn1=nn.GroupNorm(2, 8)),
        dict(bn1=nn.BatchNorm2d(8, affine=False)),
        dict(act=nn.ReLU()),
        dict(gate=nn.Hardsigmoid()),
        dict(axes='h'),
        dict(axes='w'),
    ],
    ids=str,
)
def test_other_layers_of_the_attention_count(fast, changes):
    layer, x = make_attention(16), torch.randn(2, 16, 6, 5)
    for name, value in changes.items():
        setattr(layer, name, value)
    torch.testing.assert_close(layer(x), layer.reference(x))


def test_hooks_of_the_attentions_layers_run(fast):
    layer, seen = make_attention(16), []
    layer.bn1.register_forward_hook(lambda module, args, out: seen.append(out.shape))
    layer(torch.randn(2, 16, 6, 5))
    with torch.no_grad():
        layer.eval()(torch.randn(2, 16, 6, 5))
    assert seen == [(2, 8, 11, 1)] * 2


@pytest.fixture(params=['attention', 'block'])
def example(request, fast):
    """A module that the kernels serve, and its input."""
    torch.manual_seed(0)
    if request.param == 'block':
        return AttentionBlock().eval(), torch.randn(2, 8, 8, 6)
    return make_attention(32).eval(), torch.randn(2, 32, 8, 6)


def test_a_trace_is_the_plain_expression(example):
    module, x = example
    traced = torch.jit.trace(module, x)
    operations = {node.kind() for node in traced.inlined_graph.nodes()}
    assert 'aten::mean' in operations and 'aten::hardswish' in operations
    assert not [kind for kind in operations if kind.startswith('mmca')]
    for given in (x, torch.randn(1, x.shape[1], 5, 1)):
        torch.testing.assert_close(traced(given), module(given), rtol=1e-4, atol=1e-4)


def test_function_transforms_see_the_plain_expression(example):
    module, x = example
    close = dict(rtol=1e-4, atol=1e-4)
    out, _ = torch.func.jvp(module, (x,), (torch.ones_like(x),))
    torch.testing.assert_close(out, module(x), **close)
    batched = torch.func.vmap(lambda x: module(x))(x.expand(3, *x.shape))
    torch.testing.assert_close(batched[2], module(x), **close)
    assert module.to('meta')(x.to('meta')).shape == out.shape


def test_counted_operations_are_those_of_the_plain_expression(fast):
    with FlopCounterMode(display=False) as flops:
        make_attention(32)(torch.randn(1, 32, 8, 6))
    assert flops.get_total_flops() == 2 * (14 + 8 + 6) * 32 * 8


@pytest.mark.slow
def test_compiles_without_graph_breaks(example):
    module, x = example
    seen = []

    def backend(graph, _):
        seen.append(str(graph.graph))
        return graph

    compiled = torch.compile(module, fullgraph=True, backend=backend)
    torch.testing.assert_close(compiled(x), module(x), rtol=1e-4, atol=1e-4)
    assert len(seen) == 1 and 'mmca' not in seen[0].replace('mmca.', '')
