"""Images a second and core of each training pipeline, and of the loader as a Runner has it.

Each pipeline runs beside the libraries' plain transforms of the same recipe, torchvision's v2 and
decoding alone, in turns, so that a disturbance meets all of them. One process, one thread; counted
is processor time, which a busy machine changes less than the clock. The loaders are timed by the
clock: they mean something on an idle machine only.
"""

import argparse
import importlib
import json
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import torch
from loading_data import PICTURES, samples
from loading_recipes import plain_row, torchvision_recipe
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import TRANSFORMS, DefaultScope
from mmengine.runner import Runner
from PIL import Image
from report import machine, table

from mmca.config_walk import leaf_datasets, type_name
from mmca.errors import UserError, told_to_the_user
from mmca.files import write_atomic

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
VARIANTS = {
    'pillow': 'decoding, Pillow',
    'opencv': 'decoding, OpenCV',
    'plain': 'plain transforms',
    'torchvision': 'torchvision v2',
    'mmca': 'mmca',
}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--pipelines', nargs='+', choices=list(PICTURES), default=list(PICTURES))
    parser.add_argument(
        '--data',
        nargs='+',
        default=[],
        metavar='NAME=DIR',
        help='real pictures of a pipeline: the folder that tools/prepare_data.py fills, or a part',
    )
    parser.add_argument('--images', type=int, default=64, help='pictures of each pipeline')
    parser.add_argument('--rounds', type=int, default=7, help='how often each variant loads them')
    parser.add_argument('--workers', type=int, nargs='*', default=[0, 1, 2])
    parser.add_argument('--shrink', type=int, default=1, help='draw pictures so many times smaller')
    parser.add_argument('--out', type=Path, help='folder for results.json and chart.png')
    return parser.parse_args()


class Listed(BaseDataset):
    """Entries that are given, with a pipeline and what is done before it."""

    def __init__(
        self, entries: list[dict], pipeline: list[dict], hold: Callable[[dict], dict]
    ) -> None:
        self.entries, self.hold = entries, hold
        super().__init__(pipeline=pipeline)

    def load_data_list(self) -> list[dict]:
        return list(self.entries)  # mmengine empties it

    def prepare_data(self, idx: int) -> object:
        return self.pipeline(self.hold(self.get_data_info(idx)))


def decode(entry: dict, read: Callable[[str], np.ndarray]) -> None:
    for key in ('img_path', 'seg_map_path'):
        if key in entry:
            read(entry[key])


def by_pillow(path: str) -> np.ndarray:
    image = Image.open(path)
    return np.asarray(image if image.mode in ('L', 'P') else image.convert('RGB'))


def by_opencv(path: str) -> np.ndarray:
    return cv2.imread(path, cv2.IMREAD_UNCHANGED)


def build(pipeline: Iterable[dict]) -> list[Callable]:
    return [TRANSFORMS.build(transform) for transform in pipeline]


class Recipe:
    """The training pipeline of a config, on some pictures.

    Args:
        name (str): One of PICTURES.
        args (argparse.Namespace): Options of the command.
        given (Path | None): Folder of real pictures.
        scratch (Path): Where pictures are drawn.
    """

    def __init__(self, name: str, args: argparse.Namespace, given: Path | None, scratch: Path):
        self.name = name
        self.given = given
        self.cfg = Config.fromfile(CONFIGS / f'{PICTURES[name].config}.py')
        for module in self.cfg.custom_imports.imports:
            importlib.import_module(module)
        register = importlib.import_module(f'{self.cfg.default_scope}.utils').register_all_modules
        register(init_default_scope=False)
        self.pipeline = next(leaf_datasets(self.cfg.train_dataloader.dataset))['pipeline']
        self.entries = samples(name, given, args.images, scratch, args.shrink)
        self.packed = None
        if type_name(next(leaf_datasets(self.cfg.train_dataloader.dataset))) == 'PackedFolder':
            array = scratch / f'{name}.npy'
            np.save(array, np.stack([by_pillow(e['img_path'])[..., ::-1] for e in self.entries]))
            self.packed = np.load(array, mmap_mode='r')
        if not self.entries:
            raise UserError(f'{given} has no pictures with masks that {name} could load')

    def variants(self) -> dict[str, Callable[[dict], object]]:
        transforms, plain = build(self.pipeline), build(plain_row(self.pipeline))
        return {
            'pillow': lambda entry: decode(entry, by_pillow),
            'opencv': lambda entry: decode(entry, by_opencv),
            'plain': lambda entry: run_all(plain, entry),
            'torchvision': torchvision_recipe(self.name, self.pipeline),
            'mmca': lambda entry: run_all(transforms, self._held(entry)),
        }

    def measure(self, rounds: int) -> dict:
        """Seconds of processor time an image, of each variant; one turn of each in a round."""
        variants, seconds = self.variants(), defaultdict(list)
        for number in range(-1, rounds):
            for name, load in variants.items():
                seed(number)
                entries = [self._entry(index) for index in range(len(self.entries))]
                start = time.process_time()
                for entry in entries:
                    load(entry)
                if number >= 0:  # the first one warms up
                    seconds[name].append((time.process_time() - start) / len(entries))
        rates = {name: 1 / statistics.median(times) for name, times in seconds.items()}
        ratios = [a / b for a, b in zip(seconds['pillow'], seconds['mmca'], strict=True)]
        with Image.open(self.entries[0]['img_path']) as image:
            size = image.size
        return dict(
            pipeline=self.name,
            config=PICTURES[self.name].config,
            pictures='real' if self.given else 'drawn',
            size=size,
            images=len(self.entries),
            images_per_second={name: round(rate, 1) for name, rate in rates.items()},
            best={name: round(1 / min(times), 1) for name, times in seconds.items()},
            of_decoding=round(statistics.median(ratios), 3),
            milliseconds=self.shares(rounds),
        )

    def shares(self, rounds: int) -> dict[str, float]:
        """Median milliseconds of each transform."""
        transforms, seconds = build(self.pipeline), defaultdict(list)
        for number in range(rounds):
            seed(number)
            spent = defaultdict(float)
            for index in range(len(self.entries)):
                entry = self._held(self._entry(index))
                for transform in transforms:
                    start = time.process_time()
                    entry = transform(entry)
                    spent[type(transform).__name__] += time.process_time() - start
                    if entry is None:
                        break
            for name, total in spent.items():
                seconds[name].append(1000 * total / len(self.entries))
        return {name: round(statistics.median(times), 3) for name, times in seconds.items()}

    def loader_rates(self, workers: list[int], batches: int = 6) -> dict[str, float]:
        """Images a second by the clock, of the loader that the Runner builds."""
        given, rates = self.cfg.train_dataloader, {}
        for number in workers:
            size = min(given.batch_size, len(self.entries))
            settings = dict(
                batch_size=size,
                num_workers=number,
                sampler=dict(type='mmca.InfiniteSampler', shuffle=True),
                dataset=Listed(self.entries, self.pipeline, self._held),
            )
            if given.get('collate_fn'):
                settings['collate_fn'] = given.collate_fn
            iterator = iter(Runner.build_dataloader(settings, seed=0))
            # Workers have as many batches ready as were asked for ahead.
            for _ in range(2 * number + 1):
                next(iterator)
            start = time.perf_counter()
            for _ in range(batches):
                next(iterator)
            rates[str(number)] = round(batches * size / (time.perf_counter() - start), 1)
            del iterator
        return rates

    def _held(self, entry: dict) -> dict:
        """An entry as its dataset hands it over, with its pixels if these are in an array."""
        if self.packed is None:
            return entry
        return dict(entry, packed_img=np.array(self.packed[entry['sample_idx']]))

    def _entry(self, index: int) -> dict:
        entry = dict(self.entries[index], sample_idx=index)
        return dict(entry, seg_fields=[]) if 'seg_fields' in entry else entry


def run_all(transforms: list[Callable], entry: dict) -> object:
    for transform in transforms:
        entry = transform(entry)
        if entry is None:  # no box left: the dataset would take another image
            break
    return entry


def seed(number: int) -> None:
    np.random.seed(number + 1)
    torch.manual_seed(number + 1)


def format_table(records: list[dict]) -> str:
    header = ['pipeline', *VARIANTS.values(), 'mmca of Pillow decoding']
    rows = []
    for record in records:
        rates = [f'{record["images_per_second"][name]:.0f}' for name in VARIANTS]
        size = 'x'.join(map(str, record['size']))
        label = f'{record["pipeline"]}, {size}, {record["pictures"]}'
        rows.append([label, *rates, f'{record["of_decoding"]:.0%}'])
    return table(header, rows)


def draw_chart(records: list[dict], path: Path) -> None:
    """Bars of the rates, relative to decoding by Pillow."""
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(11, 4.5), layout='constrained')
    names = [name for name in VARIANTS if name != 'pillow']
    width = 0.8 / len(names)
    for i, name in enumerate(names):
        rates = [r['images_per_second'][name] / r['images_per_second']['pillow'] for r in records]
        places = [place + (i - (len(names) - 1) / 2) * width for place in range(len(records))]
        bars = axes.bar(places, rates, width, label=VARIANTS[name])
        axes.bar_label(bars, fmt='%.2f', fontsize=6, padding=2)
    axes.axhline(1, color='black', linewidth=1)
    axes.set_xticks(range(len(records)), [r['pipeline'].replace('_', '\n') for r in records])
    axes.tick_params('x', labelsize=8)
    axes.set_ylabel('images per second, relative to\ndecoding alone by Pillow')
    axes.legend(loc='upper right', ncols=len(names))
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    args = parse_args()
    given = dict(item.partition('=')[::2] for item in args.data)
    if unknown := set(given) - set(PICTURES):
        raise UserError(f'--data {", ".join(unknown)}: known are {", ".join(PICTURES)}')
    results = args.out and args.out / 'results.json'
    if results and results.exists():
        raise UserError(f'{results} exists: name another folder with --out')
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    where, records = machine('cpu', ''), []
    with tempfile.TemporaryDirectory() as scratch:
        for name in args.pipelines:
            root = Path(given[name]) if name in given else None
            recipe = Recipe(name, args, root, Path(scratch))
            with DefaultScope.overwrite_default_scope(recipe.cfg.default_scope):
                record = recipe.measure(args.rounds)
                record['loader'] = recipe.loader_rates(args.workers)
            records.append(record)
            print(f'{name}: {json.dumps(record["milliseconds"])}', file=sys.stderr, flush=True)
    print(format_table(records))
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        content = dict(machine=where, rounds=args.rounds, results=records)
        write_atomic(results, f'{json.dumps(content, indent=1)}\n'.encode())
        draw_chart(records, args.out / 'chart.png')


if __name__ == '__main__':
    with told_to_the_user():
        main()
