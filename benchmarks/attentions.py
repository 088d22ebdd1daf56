"""What each attention of the table `attentions` costs by the clock, and metric over latency.

Measures the table's networks, or the same ones at another width and size: a training step and
inference in PyTorch, and inference in ONNX Runtime (files exported with fresh weights, which change
no latency). All are measured in turn, one sample of each a round, the order rotating; ratios to the
network without attention are taken within each round. Everything runs on one thread, and what is
compared is processor time, which a busy machine disturbs less than the clock; the clock's times are
in the results, too.

Prints a markdown table, and writes results.json and chart.png.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLE = 'attentions'
TASKS = {
    'training': 'training step, PyTorch',
    'inference': 'inference, PyTorch',
    'onnx': 'inference, ONNX Runtime',
}


def parse_args() -> argparse.Namespace:
    from attention import count

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--width', type=float, help="of the backbone; default: the configs'")
    parser.add_argument('--image-size', type=count, help="default: that of the configs' test")
    parser.add_argument('--batch-size', type=count, default=16, help='of a training step')
    parser.add_argument('--rounds', type=count, default=15, help='samples of each network')
    parser.add_argument('--rows', nargs='+', metavar='ROW', help='attentions; default: all')
    parser.add_argument(
        '--results',
        type=Path,
        default=ROOT / 'results/sample_hard',
        help='folder of the report whose metric the chart shows; default: results/sample_hard',
    )
    parser.add_argument('--draw', type=Path, metavar='JSON', help='measured before: only show it')
    parser.add_argument('--out', type=Path, required=True, help='folder to write')
    args = parser.parse_args()
    for name in ('chart.png',) if args.draw else ('results.json', 'chart.png'):
        if (args.out / name).exists():
            parser.error(f'{args.out / name} exists: name another folder with --out')
    return args


def networks(args: argparse.Namespace) -> tuple[dict, tuple[int, int]]:
    """{attention: (config, network in evaluation mode)}, and the size of their input."""
    import torch
    from mmengine.config import Config
    from mmengine.registry import MODELS, DefaultScope

    from mmca.complexity.config import input_size
    from mmca.tables import choose_rows

    built = {}
    for row in choose_rows(TABLE, args.rows):
        cfg = Config.fromfile(ROOT / f'configs/{row.config}.py')
        if args.width:
            cfg.model.backbone.widen_factor = args.width
        torch.manual_seed(0)
        scope = DefaultScope.overwrite_default_scope(cfg.default_scope)
        with scope, MODELS.switch_scope_and_registry(None) as registry:
            model = registry.build(cfg.model)
        built[row.attention] = cfg, model.eval()
    side = args.image_size
    return built, ((side, side) if side else input_size(cfg))


def training_step(model, size: tuple[int, int], batch_size: int) -> Callable[[], None]:
    """Forward, cross entropy, backward and a step of SGD."""
    import torch

    images = torch.randn(batch_size, 3, *size)
    labels = torch.randint(10, (batch_size,))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

    def step() -> None:
        model.train()
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def torch_inference(model, size: tuple[int, int]) -> Callable[[], None]:
    """One image."""
    import torch

    image = torch.randn(1, 3, *size)

    def step() -> None:
        model.eval()
        with torch.inference_mode():
            model(image)

    return step


def onnx_inference(cfg, model, size: tuple[int, int], path: Path) -> Callable[[], None]:
    """One image, in a file for this size."""
    import numpy as np

    from mmca.export import load_exported
    from mmca.export.forms import form_for
    from mmca.export.model import LoadedModel
    from mmca.export.network import ExportNetwork
    from mmca.export.targets import target_module

    target, loaded = target_module('onnx'), LoadedModel(model, cfg, 'classification', (), ())
    network = ExportNetwork(
        loaded, form_for('onnx', True), target.LAYOUT, True, True, target.LAST_STEP
    )
    metadata = loaded.metadata(
        target='onnx',
        input_name='images',
        input_layout=target.LAYOUT,
        output_names=network.output_names,
        size=size,
        dynamic=False,
        batch=1,
        preprocessing=True,
        nms={},
    )
    target.write(network, metadata, path)
    exported = load_exported(path, 1)
    image = np.random.default_rng(0).integers(0, 256, (1, *size, 3), np.uint8)
    return lambda: exported(image)


def in_turn(steps: dict[str, Callable[[], None]], rounds: int) -> dict[str, dict[str, list[float]]]:
    """Milliseconds of the processor and of the clock, one sample of each step a round."""
    samples = {name: {'processor': [], 'clock': []} for name in steps}
    names = list(steps)
    for number in range(-2, rounds):  # the first ones warm up
        for name in names:
            before = time.process_time(), time.perf_counter()
            steps[name]()
            after = time.process_time(), time.perf_counter()
            if number >= 0:
                for kind, start, end in zip(('processor', 'clock'), before, after):
                    samples[name][kind].append(1000 * (end - start))
        names.append(names.pop(0))
    return samples


def measure(args: argparse.Namespace) -> dict:
    import torch
    from measuring import summarise
    from report import implementation, machine

    from mmca.complexity import count_complexity

    torch.set_num_threads(1)
    where = machine('cpu', 'tuned')
    built, size = networks(args)
    baseline = next(iter(built))
    found = {name: {} for name in built}
    with tempfile.TemporaryDirectory() as folder:
        for task in TASKS:
            print(TASKS[task], file=sys.stderr, flush=True)
            steps = {}
            for name, (cfg, model) in built.items():
                if task == 'training':
                    steps[name] = training_step(model, size, args.batch_size)
                elif task == 'inference':
                    steps[name] = torch_inference(model, size)
                else:
                    steps[name] = onnx_inference(cfg, model, size, Path(folder, f'{name}.onnx'))
            # Inference is quick: more samples of it.
            samples = in_turn(steps, args.rounds * (1 if task == 'training' else 5))
            for kind in ('processor', 'clock'):
                times = {name: both[kind] for name, both in samples.items()}
                for name, summary in summarise(times, baseline).items():
                    found[name].setdefault(task, {})[kind] = _rounded(summary)
    for name, (_, model) in built.items():
        counts = count_complexity(model.to('meta'), *size)
        found[name] |= {'parameters': counts.parameters, 'multiply_adds': counts.multiply_adds}
    settings = {
        'width': args.width or cfg.model.backbone.get('widen_factor', 1.0),
        'size': size,
        'batch_size': args.batch_size,
        'rounds': args.rounds,
        'baseline': baseline,
    }
    where |= {'implementation_of_ca': implementation('cpu')['name']}
    return {'machine': where, 'settings': settings, 'attentions': found}


def _rounded(summary: dict) -> dict:
    return {
        key: [round(x, 4) for x in value] if isinstance(value, list) else round(value, 4)
        for key, value in summary.items()
    }


def as_table(results: dict) -> str:
    """Markdown: parameters, multiply-adds, and the ratios with their quartiles."""
    from report import spread, table

    baseline = results['settings']['baseline']
    lines = []
    for name, found in results['attentions'].items():
        cells = [f'{found["parameters"]:,}', f'{found["multiply_adds"] / 1e6:.1f}']
        for task in TASKS:
            times = found[task]['processor']
            cells.append(
                f'{times["median"]:.1f} ms'
                if name == baseline
                else spread(times['ratio'], times['ratio_quartiles'])
            )
        lines.append([name, *cells])
    return table(['attention', 'parameters', 'M-Adds (M)', *TASKS.values()], lines)


def metrics(folder: Path) -> dict[str, list[float]]:
    """The metric of each seed, of the attentions whose trainings on the sample have records."""
    from mmca.reproduce.records import records_of
    from mmca.tables import find_run

    found = {}
    for row in find_run(TABLE):
        values = [record['value'] for record in records_of(row.sample, folder).values()]
        if values:
            found[row.attention] = values
    return found


def draw_chart(results: dict, seeds: dict[str, list[float]], path: Path) -> None:
    """The metric over the inference time, relative to plain: each seed, and a bar at their mean."""
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(11, 4.5), sharey=True, layout='constrained')
    for axes, task in zip(panels, ('inference', 'onnx')):
        for name, found in results['attentions'].items():
            if name not in seeds:
                continue
            times, values = found[task]['processor'], seeds[name]
            [dots] = axes.plot([times['ratio']] * len(values), values, 'o', alpha=0.7)
            middle = statistics.mean(values)
            axes.hlines(middle, *times['ratio_quartiles'], color=dots.get_color(), linewidth=2)
            axes.annotate(
                name,
                (times['ratio'], middle),
                xytext=(5, 2),
                textcoords='offset points',
                fontsize=8,
            )
        axes.set_xlabel(f'{TASKS[task]}, one image: processor time over plain')
        axes.grid(alpha=0.3)
    panels[0].set_ylabel('top 1 (%) on the hard sample, each seed')
    width, size = results['settings']['width'], 'x'.join(map(str, results['settings']['size']))
    figure.suptitle(
        f'MobileNetV2 {width:g}, {size}; dots: seeds; bars: mean, quartiles of the time'
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    # Of this checkout, also where it is not installed.
    sys.path.insert(0, str(ROOT))
    args = parse_args()
    from attention import TUNED

    from mmca.tables import choose_rows

    choose_rows(TABLE, args.rows)  # or end before anything is measured
    if not args.draw and not TUNED.items() <= os.environ.items():
        sys.stdout.flush()
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ | TUNED)
    from report import write_json

    if args.draw:
        results = json.loads(args.draw.read_text())
    else:
        results = measure(args)
        write_json(results, args.out / 'results.json')
    print(as_table(results))
    if seeds := metrics(args.results):
        draw_chart(results, seeds, args.out / 'chart.png')
        print(f'\nWritten: {args.out / "chart.png"}')
    else:
        print(f'\nNo chart: {args.results / "runs"} has no trained row of the table {TABLE}')


if __name__ == '__main__':
    from mmca.errors import told_to_the_user

    with told_to_the_user():
        main()
