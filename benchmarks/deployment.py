"""What an attention costs outside PyTorch, runtime by runtime: time, memory and size of the file.

Each network is exported with fresh weights, which change no latency, and compared with nothing:
tools/export.py proves what it writes. Files are made once and kept; then all networks of a row are
measured in turns, so that a disturbance meets all of them. Two times are measured: that of a run
with all threads, and the processor time of a run with one, which other work on the machine hardly
changes. Printed are the medians and, in brackets, how many times the first network's that is; --out
has quartiles and fastest runs, too, --chart draws them.
"""

import argparse
import json
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from report import machine

from mmca.errors import told_to_the_user
from mmca.export import load_exported
from mmca.export.forms import OPERATOR, Form, form_for
from mmca.export.model import TASKS, LoadedModel
from mmca.export.network import ExportNetwork
from mmca.export.targets import TARGETS, target_module
from mmca.files import write_atomic

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
ATTENTIONS = {'none': '', 'SE': 'se', 'CBAM': 'cbam', 'CA': 'ca'}
# Config, of the plain network, and size.
NETWORKS = {
    'classification': ('mbv2{}_imagenet.py', (224, 224)),
    'segmentation': ('deeplabv3_mbv2{}_voc.py', (512, 512)),
    'detection': ('ssdlite320_mbv2{}_voc.py', (320, 320)),
}


def form_named(text: str) -> Form:
    if text == 'operator':
        return OPERATOR
    pooling, gates, *rest = text.split('/')
    return Form(pooling, gates, aligned=rest == ['aligned'])


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--targets', nargs='+', choices=list(TARGETS), default=['onnx', 'openvino'])
    parser.add_argument('--tasks', nargs='+', choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument(
        '--attentions', nargs='+', choices=list(ATTENTIONS), default=list(ATTENTIONS)
    )
    parser.add_argument('--sizes', nargs='+', choices=['fixed', 'free'], default=['fixed', 'free'])
    parser.add_argument('--int8', action='store_true', help='files with 8 bits, too')
    parser.add_argument(
        '--forms',
        nargs='+',
        type=form_named,
        default=[],
        metavar='POOLING/GATES[/aligned]',
        help='compare coordinate attention in these forms of mmca/export/forms.py, and as the '
        'operator (operator), not attentions',
    )
    parser.add_argument('--files', type=Path, required=True, help='folder of the exported files')
    parser.add_argument('--write-only', action='store_true', help='make the files, measure nothing')
    parser.add_argument('--rounds', type=int, default=15, help='how often each network runs')
    parser.add_argument('--threads', type=int, default=2, help='threads of the runtime')
    parser.add_argument('--out', type=Path, help='JSON file for the results')
    parser.add_argument('--chart', type=Path, help='SVG or PNG file for the ratios')
    return parser.parse_args()


def write(path: Path, row: dict, attention: str, form: Form | None) -> None:
    """Export one network with fresh weights."""
    config, size = NETWORKS[row['task']]
    cfg = Config.fromfile(CONFIGS / config.format(ATTENTIONS[attention]))
    scope = DefaultScope.overwrite_default_scope(cfg.default_scope)
    settings = dict(cfg.model)
    if cfg.get('data_preprocessor'):
        settings['data_preprocessor'] = cfg.data_preprocessor
    with scope, MODELS.switch_scope_and_registry(None) as registry:
        model = registry.build(settings).eval()
    loaded = LoadedModel(model, cfg, TASKS[cfg.default_scope], (), ())
    module, fixed = target_module(row['target']), row['sizes'] == 'fixed'
    form = form or form_for(row['target'], fixed)
    network = ExportNetwork(loaded, form, module.LAYOUT, True, fixed, module.LAST_STEP)
    metadata = loaded.metadata(
        target=row['target'],
        input_name='images',
        input_layout=module.LAYOUT,
        output_names=network.output_names,
        size=size,
        dynamic=not fixed,
        batch=1,
        preprocessing=True,
        nms=getattr(network.network, 'settings', {}),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    module.write(network, metadata, path)
    if row['int8']:
        exported = load_exported(path)
        module.quantise(path, exported.metadata, [exported.inputs(image_for(path))])


def image_for(path: Path) -> np.ndarray:
    """An image of noise, of the size that a file was exported with."""
    size = load_exported(path).metadata.size
    return np.random.default_rng(0).integers(0, 256, (1, *size, 3), np.uint8)


def measure(
    paths: dict[str, Path], rounds: int, threads: int, clock: Callable[[], float]
) -> dict[str, list[float]]:
    """Milliseconds of each run of each file, in turns."""
    networks = {name: load_exported(path, threads) for name, path in paths.items()}
    image = image_for(next(iter(paths.values())))
    times: dict[str, list[float]] = {name: [] for name in paths}
    for number in range(rounds + 3):
        for name, network in networks.items():
            # The threads of the one before wait for work for a while, on the same cores.
            time.sleep(0.02)
            network(image)
            start = clock()
            network(image)
            if number >= 3:  # the first ones warm up
                times[name].append(1000 * (clock() - start))
    return times


def _memory(path: Path, image: np.ndarray, threads: int, found) -> None:
    def status(key: str) -> int:
        lines = Path('/proc/self/status').read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f'{key}:'))

    Path('/proc/self/clear_refs').write_text('5')  # forgets the highest use so far
    before = status('VmRSS')
    network = load_exported(path, threads)
    for _ in range(3):
        network(image)
    found.put((status('VmHWM') - before) / 1024)


def peak_memory(path: Path, threads: int) -> float:
    """MiB that runtime and file need at most, in a process of their own (Linux)."""
    # Of a server that has loaded what is imported above, and no runtime.
    context = multiprocessing.get_context('forkserver')
    found = context.Queue()
    process = context.Process(target=_memory, args=(path, image_for(path), threads, found))
    process.start()
    needed = found.get()
    process.join()
    return needed


def megabytes(path: Path) -> float:
    """Size of a file and of those with its name, in which some formats keep the weights."""
    name = path.name.partition('.')[0]
    return sum(file.stat().st_size for file in path.parent.glob(f'{name}.*')) / 1e6


def rows_of(args: argparse.Namespace) -> Iterator[dict]:
    """What is compared in turns: everything but the attention is the same."""
    for task in args.tasks:
        for target in args.targets:
            for sizes in args.sizes:
                for int8 in (False, True) if args.int8 else (False,):
                    if not int8 or hasattr(target_module(target), 'quantise'):
                        yield dict(task=task, target=target, sizes=sizes, int8=int8)


def files_of(args: argparse.Namespace, row: dict) -> dict[str, Path]:
    """The files of a row, which are made if they are not there."""
    variants = {name: (name, None) for name in args.attentions}
    if args.forms:
        named = {'/'.join([*form[:2], *['aligned'] * form.aligned]): form for form in args.forms}
        variants = {'none': ('none', None), **{name: ('CA', f) for name, f in named.items()}}
    paths = {}
    for name, (attention, form) in variants.items():
        if form and form.fixed and row['sizes'] == 'free':
            continue
        stem = '_'.join(
            [row['task'], name.replace('/', '-'), row['sizes'], *['int8'] * row['int8']]
        )
        paths[name] = args.files / row['target'] / f'{stem}{TARGETS[row["target"]]}'
        if not paths[name].is_file():
            write(paths[name], row, attention, form)
    return paths


def main() -> None:
    args = parse_args()
    torch.manual_seed(0)
    records, before = [], machine('cpu', '')
    for row in rows_of(args):
        paths = files_of(args, row)
        if args.write_only:
            continue
        times = measure(paths, args.rounds, args.threads, time.perf_counter)
        # Alone: threads that wait for work use the processor, too.
        of_one = measure(paths, args.rounds, 1, time.process_time)
        base, cells = [statistics.median(next(iter(t.values()))) for t in (times, of_one)], []
        for attention, runs in times.items():
            cpu = of_one[attention]
            low, middle, high = statistics.quantiles(runs, n=4)
            records.append(
                dict(
                    **row,
                    size=NETWORKS[row['task']][1],
                    attention=attention,
                    ms=round(middle, 3),
                    quartiles_ms=[round(low, 3), round(high, 3)],
                    fastest_ms=round(min(runs), 3),
                    ratio=round(middle / base[0], 3),
                    cpu_ms=round(statistics.median(cpu), 3),
                    cpu_quartiles_ms=[round(q, 3) for q in statistics.quantiles(cpu, n=4)[::2]],
                    cpu_ratio=round(statistics.median(cpu) / base[1], 3),
                    megabytes=round(megabytes(paths[attention]), 2),
                    peak_mib=round(peak_memory(paths[attention], args.threads), 1),
                )
            )
            one = records[-1]
            cells.append(
                f'{attention} {one["ms"]:.2f} ms ({one["ratio"]:.2f}), of one thread '
                f'{one["cpu_ms"]:.2f} ms ({one["cpu_ratio"]:.2f}), {one["peak_mib"]:.0f} MiB'
            )
        kind = f'{row["sizes"]}, int8' if row['int8'] else row['sizes']
        print(f'{row["task"]}, {row["target"]}, {kind}: {"; ".join(cells)}', flush=True)
        if args.out:
            content = {'machine': {**before, 'threads': args.threads}, 'results': records}
            write_atomic(args.out, f'{json.dumps(content, indent=1)}\n'.encode())
    if args.chart and records:
        draw(records, args.chart)


def draw(records: list[dict], path: Path) -> None:
    """The ratios of one thread's processor time, a bar for each attention."""
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot

    names = [name for name in dict.fromkeys(one['attention'] for one in records) if name != 'none']
    groups = {}
    for one in records:
        kind = f'{one["target"]}, {"any size" if one["sizes"] == "free" else "one size"}'
        kind += ', int8' if one['int8'] else ''
        groups.setdefault(one['task'], {}).setdefault(kind, {})[one['attention']] = one['cpu_ratio']
    most = max(len(kinds) for kinds in groups.values())
    figure, axes = pyplot.subplots(
        1, len(groups), figsize=(4 * len(groups), 1 + 0.45 * most), squeeze=False, sharex=True
    )
    for axis, (task, kinds) in zip(axes[0], groups.items()):
        for i, name in enumerate(names):
            places = [y + 0.8 * (i - (len(names) - 1) / 2) / len(names) for y in range(len(kinds))]
            widths = [found.get(name, 0) for found in kinds.values()]
            axis.barh(places, widths, 0.8 / len(names), label=name)
        axis.set_yticks(range(len(kinds)), list(kinds), fontsize=8)
        axis.axvline(1, color='black', linewidth=0.8)
        axis.invert_yaxis()
        axis.set_title(task)
        axis.set_xlabel('processor time over plain')
    figure.tight_layout(rect=(0, 0.12, 1, 1))
    bars = axes[0][0].get_legend_handles_labels()
    figure.legend(*bars, fontsize=8, loc='lower center', ncols=len(names))
    figure.savefig(path)


if __name__ == '__main__':
    with told_to_the_user():
        main()
