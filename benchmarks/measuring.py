"""Times, bytes saved for backward and the machine's bandwidth."""

import argparse
import functools
import statistics
import sys
import time
from collections.abc import Callable, Iterable

import torch
from subjects import (
    NUM_CLASSES,
    Variant,
    attention_elements,
    block_variants,
    network_variants,
    timm_version,
)
from torch import Tensor, nn
from torch.nn import functional as F

FORMATS = {'NCHW': torch.contiguous_format, 'channels_last': torch.channels_last}
# How often the block has to read or write a map of its input's size. Forward: the pools read it,
# then the gates read it and write the output. Backward: the gates' gradients read two maps, and
# only then the input's gradient reads one of them again and writes.
PASSES = {'training': 7, 'inference': 3}
# A batch of one is quick: more samples of it.
SINGLE_IMAGE_ROUNDS = 5


def milliseconds(step: Callable[[], object], device: str) -> float:
    if device.startswith('cpu'):
        start = time.perf_counter()
        step()
        return 1000 * (time.perf_counter() - start)
    before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    before.record()
    step()
    after.record()
    torch.cuda.synchronize()
    return before.elapsed_time(after)


def copy_rate(device: str, quick: bool) -> float:
    """Bytes read and written in a second by the fastest of ten copies of a large tensor."""
    source = torch.ones(2**22 if quick else 2**26, device=device)  # float32: 256 MiB
    target = torch.zeros_like(source)
    times = [milliseconds(lambda: target.copy_(source), device) for _ in range(10)]
    return 2 * source.nbytes / (min(times) / 1000)


def saved_bytes(module: nn.Module, forward: Callable[[], Tensor]) -> int:
    """Bytes that autograd keeps from forward to backward, each storage once, weights left out."""
    own = {tensor.untyped_storage().data_ptr() for tensor in module.state_dict().values()}
    sizes = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = forward()  # kept until all is counted: no address is used twice
    total = sum(size for address, size in sizes.items() if address not in own)
    del out
    return total


def in_turn(
    steps: dict[str, tuple[Callable, Callable]], device: str, warmup: int, rounds: int
) -> dict[str, list[float]]:
    """Milliseconds of ``{name: (step, context)}``: one sample of each a round.

    The order rotates, so that none always follows the same one.
    """
    samples = {name: [] for name in steps}
    names = list(steps)
    for i in range(-warmup, rounds):
        if sys.stderr.isatty():
            print(f'\r  round {i + warmup + 1}/{warmup + rounds}', end='\r', file=sys.stderr)
        for name in names:
            step, context = steps[name]
            with context():
                sample = milliseconds(step, device)
            if i >= 0:
                samples[name].append(sample)
        names.append(names.pop(0))
    return samples


def quartiles(values: list[float]) -> list[float]:
    if len(values) == 1:
        return values * 2
    low, _, high = statistics.quantiles(values, n=4, method='inclusive')
    return [low, high]


def summarise(samples: dict[str, list[float]], baseline: str) -> dict[str, dict]:
    """Median and quartiles of the samples, and of their ratios to the baseline's in each round."""
    summary = {}
    for name, values in samples.items():
        ratios = [value / base for value, base in zip(values, samples[baseline], strict=True)]
        summary[name] = {
            'median': statistics.median(values),
            'quartiles': quartiles(values),
            'ratio': statistics.median(ratios),
            'ratio_quartiles': quartiles(ratios),
        }
    return summary


class Benchmark:
    """The measurements of one run.

    Args:
        args (argparse.Namespace): Options of ``attention.py``.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.device = args.device
        self.dtype = getattr(torch, args.dtype)
        self.rate = copy_rate(args.device, args.quick)
        self.elements = attention_elements(args.image_size)

    def autocast(self) -> torch.autocast:
        kind = torch.device(self.device).type
        mixed = self.dtype != torch.float32
        return torch.autocast(kind, self.dtype if mixed else None, enabled=mixed)

    def floor(self, elements: int, task: str) -> float:
        """Least milliseconds for the traffic of maps with so many elements."""
        return 1000 * PASSES[task] * elements * self.dtype.itemsize / self.rate

    def random(self, *shape: int, memory_format: str, dtype: torch.dtype | None = None) -> Tensor:
        values = torch.randn(shape, device=self.device, dtype=dtype)
        return values.contiguous(memory_format=FORMATS[memory_format])

    def block(self, shape: list[int], memory_format: str) -> dict:
        """Forward and backward of the block alone."""
        x = self.random(*shape, memory_format=memory_format, dtype=self.dtype).requires_grad_()
        g = self.random(*shape, memory_format=memory_format, dtype=self.dtype)
        steps, found = {}, {}
        for name, (module, context) in block_variants(shape[1], self.device).items():

            def step(module: nn.Module = module) -> list[Tensor]:
                with self.autocast():
                    out = module(x)
                grads = torch.autograd.grad(out, [x, *module.parameters()], g.to(out.dtype))
                # Of the input and the convolutions; before a batch norm a bias has no gradient.
                return [out.detach(), *(grad for grad in grads if grad.dim() == 4)]

            with context():
                found[name] = step()
            steps[name] = step, context
        samples = in_turn(steps, self.device, self.args.warmup, 2 * self.args.rounds)
        return {
            'subject': 'block',
            'task': 'training',
            'shape': list(shape),
            'memory_format': memory_format,
            'unit': 'ms',
            'baseline': 'plain',
            'floor': self.floor(x.numel(), 'training'),
            'differences': {
                name: max(map(relative_difference, tensors, found['plain']))
                for name, tensors in found.items()
            },
            'variants': summarise(samples, 'plain'),
        }

    def training(self, variants: dict[str, Variant], memory_format: str) -> Iterable[dict]:
        """A training step, and what it keeps for backward."""
        args = self.args
        images = self.images(args.batch_size, memory_format)
        labels = torch.randint(NUM_CLASSES, (args.batch_size,), device=self.device)
        steps, saved = {}, {}
        for name, (module, context) in variants.items():
            module.train()
            optimizer = torch.optim.SGD(module.parameters(), lr=1e-3, momentum=0.9)

            def forward(module: nn.Module = module) -> Tensor:
                with self.autocast():
                    return F.cross_entropy(module(images), labels)

            def step(
                forward: Callable = forward, optimizer: torch.optim.Optimizer = optimizer
            ) -> None:
                optimizer.zero_grad(set_to_none=True)
                forward().backward()
                optimizer.step()

            with context():
                saved[name] = [saved_bytes(module, forward) / 2**20]
            steps[name] = step, context
        samples = in_turn(steps, self.device, args.warmup, args.rounds)
        record = self.network_record('training', args.batch_size, memory_format, samples)
        yield record
        yield record | {
            'task': 'saved for backward',
            'unit': 'MiB',
            'floor': None,
            'variants': summarise(saved, 'none'),
        }

    @torch.no_grad()
    def inference(self, variants: dict[str, Variant], memory_format: str, batch: int) -> dict:
        images = self.images(batch, memory_format)

        def step(module: nn.Module) -> Tensor:
            with self.autocast():
                return module(images)

        steps = {
            name: (functools.partial(step, module.eval()), context)
            for name, (module, context) in variants.items()
        }
        rounds = self.args.rounds * (SINGLE_IMAGE_ROUNDS if batch == 1 else 1)
        samples = in_turn(steps, self.device, self.args.warmup, rounds)
        return self.network_record('inference', batch, memory_format, samples)

    def images(self, batch: int, memory_format: str) -> Tensor:
        size = self.args.image_size
        return self.random(batch, 3, size, size, memory_format=memory_format)

    def network_record(
        self, task: str, batch: int, memory_format: str, samples: dict[str, list[float]]
    ) -> dict:
        size = self.args.image_size
        summary = summarise(samples, 'none')
        return {
            'subject': 'network',
            'task': task,
            'shape': [batch, 3, size, size],
            'memory_format': memory_format,
            'unit': 'ms',
            'baseline': 'none',
            'floor': summary['none']['median'] + self.floor(batch * self.elements, task),
            'variants': summary,
        }

    def run(self) -> Iterable[dict]:
        for memory_format in FORMATS:
            for shape in self.args.block:
                yield self.block(shape, memory_format)
        for memory_format, layout in FORMATS.items():
            variants = {
                name: Variant(module.to(memory_format=layout), context)
                for name, (module, context) in network_variants(self.device).items()
            }
            yield from self.training(variants, memory_format)
            # A batch of one may also be the training's.
            for batch in sorted({self.args.batch_size, 1}, reverse=True):
                yield self.inference(variants, memory_format, batch)


def relative_difference(one: Tensor, other: Tensor) -> float:
    """Largest difference over the largest value."""
    one, other = one.double(), other.double()
    return ((one - other).abs().max() / other.abs().max().clamp(min=1e-12)).item()


def measure_all(args: argparse.Namespace) -> dict:
    """All measurements, with the progress on the standard error stream."""
    torch.manual_seed(0)
    benchmark = Benchmark(args)
    records = []
    start = time.perf_counter()
    for record in benchmark.run():
        records.append(record)
        shape = 'x'.join(map(str, record['shape']))
        parts = (record['subject'], record['task'], shape, record['memory_format'])
        print(f'{time.perf_counter() - start:6.1f} s  {" ".join(parts)}', file=sys.stderr)
    return {
        'settings': {
            'dtype': args.dtype,
            'rounds': args.rounds,
            'warmup': args.warmup,
            'quick': args.quick,
            'timm': timm_version(),
        },
        'copy_rate': benchmark.rate,
        'measurements': records,
    }
