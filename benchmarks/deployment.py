"""Latency of exported networks, runtime by runtime: what an attention costs outside PyTorch.

Each network is exported with fresh weights, which change no latency, and compared with nothing:
tools/export.py proves what it writes. Files are made once and kept; then all networks of a row are
measured in turns, so that a disturbance meets all of them. Printed are the medians and, in
brackets, how many times the first network's that is; --out has the quartiles, too.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from report import machine

from mmca.errors import told_to_the_user
from mmca.export import load_exported
from mmca.export.forms import form_for
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


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--targets', nargs='+', choices=list(TARGETS), default=['onnx', 'openvino'])
    parser.add_argument('--tasks', nargs='+', choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument(
        '--attentions', nargs='+', choices=list(ATTENTIONS), default=list(ATTENTIONS)
    )
    parser.add_argument('--sizes', nargs='+', choices=['fixed', 'free'], default=['fixed', 'free'])
    parser.add_argument('--files', type=Path, required=True, help='folder of the exported files')
    parser.add_argument('--write-only', action='store_true', help='make the files, measure nothing')
    parser.add_argument('--rounds', type=int, default=15, help='how often each network runs')
    parser.add_argument('--threads', type=int, default=2, help='threads of the runtime')
    parser.add_argument('--out', type=Path, help='JSON file for the results')
    return parser.parse_args()


def write(path: Path, target: str, task: str, attention: str, fixed: bool) -> None:
    """Export one network with fresh weights."""
    config, size = NETWORKS[task]
    cfg = Config.fromfile(CONFIGS / config.format(ATTENTIONS[attention]))
    scope = DefaultScope.overwrite_default_scope(cfg.default_scope)
    settings = dict(cfg.model)
    if cfg.get('data_preprocessor'):
        settings['data_preprocessor'] = cfg.data_preprocessor
    with scope, MODELS.switch_scope_and_registry(None) as registry:
        model = registry.build(settings).eval()
    loaded = LoadedModel(model, cfg, TASKS[cfg.default_scope], (), ())
    module = target_module(target)
    form = form_for(target, fixed)
    network = ExportNetwork(loaded, form, module.LAYOUT, True, fixed, module.LAST_STEP)
    metadata = loaded.metadata(
        target=target,
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


def measure(paths: dict[str, Path], rounds: int, threads: int) -> dict[str, list[float]]:
    """Milliseconds of each run of each file, in turns."""
    networks = {name: load_exported(path, threads) for name, path in paths.items()}
    size = next(iter(networks.values())).metadata.size
    image = np.random.default_rng(0).integers(0, 256, (1, *size, 3), np.uint8)
    times: dict[str, list[float]] = {name: [] for name in paths}
    for number in range(rounds + 3):
        for name, network in networks.items():
            # The threads of the one before wait for work for a while, on the same cores.
            time.sleep(0.02)
            network(image)
            start = time.perf_counter()
            network(image)
            if number >= 3:  # the first ones warm up
                times[name].append(1000 * (time.perf_counter() - start))
    return times


def megabytes(path: Path) -> float:
    """Size of a file and of those with its name, in which some formats keep the weights."""
    name = path.name.partition('.')[0]
    return sum(file.stat().st_size for file in path.parent.glob(f'{name}.*')) / 1e6


def main() -> None:
    args = parse_args()
    torch.manual_seed(0)
    records, before = [], machine('cpu', '')
    for task in args.tasks:
        for target in args.targets:
            for sizes in args.sizes:
                paths = {}
                for attention in args.attentions:
                    stem = f'{task}_{attention}_{sizes}'
                    paths[attention] = args.files / target / f'{stem}{TARGETS[target]}'
                    if not paths[attention].is_file():
                        write(paths[attention], target, task, attention, sizes == 'fixed')
                if args.write_only:
                    continue
                times = measure(paths, args.rounds, args.threads)
                plain = statistics.median(times[args.attentions[0]])
                cells = []
                for attention, runs in times.items():
                    low, middle, high = statistics.quantiles(runs, n=4)
                    records.append(
                        dict(
                            task=task,
                            size=NETWORKS[task][1],
                            target=target,
                            sizes=sizes,
                            attention=attention,
                            ms=round(middle, 3),
                            quartiles_ms=[round(low, 3), round(high, 3)],
                            ratio=round(middle / plain, 3),
                            megabytes=round(megabytes(paths[attention]), 2),
                        )
                    )
                    cells.append(f'{attention} {middle:.2f} ms ({middle / plain:.2f})')
                print(f'{task}, {target}, {sizes}: {", ".join(cells)}', flush=True)
    if args.out and records:
        content = {'machine': {**before, 'threads': args.threads}, 'results': records}
        write_atomic(args.out, f'{json.dumps(content, indent=1)}\n'.encode())


if __name__ == '__main__':
    with told_to_the_user():
        main()
