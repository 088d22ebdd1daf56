"""Which constant the gates of an inserted attention start at best, and how fresh ones start.

Two parts, short trainings of MobileNetV2 on a balanced subset of CIFAR-10:

- inserted: from ImageNet features, plain, and with coordinate attention whose gates' sigmoids start
  at 0, 1, 2 and 3. Each start is checked to compute what the plain network does.
- fresh: plain, with coordinate attention as it is, with its sigmoids' biases at 2, and with the
  learning rate rising over the first tenth.

A seed has the same batches, head and plain weights in all variants of a part: differences are
paired. Each finished training is written to the results at once; the same command goes on from
there. Prints markdown tables.
"""

import argparse
import json
import re
import statistics
import sys
from math import isfinite, sqrt
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# 97.5 % quantiles of Student's t, by the number of pairs.
QUANTILES = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365}
VARIANTS = {
    'inserted': {
        'none': dict(attention=False),
        **{f'bias {bias}': dict(bias=float(bias)) for bias in range(4)},
    },
    'fresh': {
        'none': dict(attention=False),
        'ca': {},
        'ca, bias 2': dict(bias=2.0),
        'ca, warm-up': dict(warm_up=True),
    },
}
# What the differences are to, beside the network without attention.
REFERENCE = {'inserted': 'bias 0', 'fresh': 'ca'}
TITLES = {
    'inserted': 'inserted into ImageNet features',
    'fresh': 'from fresh weights',
}


def parse_args() -> argparse.Namespace:
    from attention import count

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    both = dict(nargs=2, metavar=('INSERTED', 'FRESH'))
    parser.add_argument('--data', type=Path, help='folder with train/ and test/, class folders')
    parser.add_argument('--weights', help="plain MobileNetV2 with ImageNet's, in mmca's names")
    parser.add_argument('--iterations', type=count, default=[250, 400], **both)
    parser.add_argument('--lr', type=float, default=[0.02, 0.1], **both)
    parser.add_argument('--widths', type=float, default=[1.0, 0.5], **both)
    parser.add_argument('--parts', nargs='+', choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument('--seeds', type=count, default=3)
    parser.add_argument('--train', type=count, default=8000, help='pictures of train/')
    parser.add_argument('--test', type=count, default=2000, help='pictures of test/')
    parser.add_argument('--image-size', type=count, default=64)
    parser.add_argument('--batch-size', type=count, default=64)
    parser.add_argument('--every', type=count, default=25, help='iterations between records')
    parser.add_argument('--float32', action='store_true', help='default: bfloat16 autocast')
    parser.add_argument('--out', type=Path, required=True, help='results, JSON')
    parser.add_argument('--chart', type=Path, help='PNG to draw')
    parser.add_argument('--show', action='store_true', help='train nothing, show --out')
    args = parser.parse_args()
    if not args.show and not (args.data and args.weights):
        parser.error('give --data and --weights, or --show')
    if args.train < args.batch_size:
        parser.error(f'--train {args.train} is less than a batch')
    return args


def settings_of(args: argparse.Namespace) -> dict:
    """What the trainings depend on, but for the number of seeds: later seeds can be added."""
    others = ('data', 'weights', 'parts', 'seeds', 'out', 'chart', 'show')
    return {name: value for name, value in vars(args).items() if name not in others}


def started(args: argparse.Namespace) -> dict:
    """Results so far; a UserError if they were measured with other settings."""
    from report import implementation, machine

    from mmca.errors import UserError

    settings = settings_of(args)
    if not args.out.exists():
        where = machine('cpu', 'default') | {'implementation_of_ca': implementation('cpu')['name']}
        return {'machine': where, 'settings': settings, 'runs': {}}
    results = json.loads(args.out.read_text())
    if results['settings'] != settings:
        raise UserError(f'{args.out}: was measured with other settings; name another file')
    return results


def write(results: dict, path: Path) -> None:
    """As JSON, lists of numbers in one line."""
    from mmca.files import write_atomic

    text = re.sub(r'\[[^][{}]*\]', lambda m: ' '.join(m[0].split()), json.dumps(results, indent=2))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, f'{text}\n'.encode())


def measure(args: argparse.Namespace) -> dict:
    import torch
    from gates_training import Settings, Start, read_pictures, run

    from mmca.checkpoint import load_file, state_dict_of

    torch.set_num_threads(1)
    results = started(args)
    state = state_dict_of(load_file(args.weights), args.weights)
    weights = {k.removeprefix('backbone.'): v for k, v in state.items() if 'head.' not in k}
    data = {
        name: read_pictures(args.data / name, getattr(args, name)) for name in ('train', 'test')
    }
    shared = args.image_size, args.batch_size, args.every, not args.float32
    # Seed by seed, so that what is there after an interruption compares all variants.
    for seed in range(args.seeds):
        for i, (part, variants) in enumerate(VARIANTS.items()):
            if part not in args.parts:
                continue
            settings = Settings(args.widths[i], args.iterations[i], args.lr[i], *shared)
            for name, options in variants.items():
                runs = results['runs'].setdefault(part, {}).setdefault(name, {})
                if str(seed) in runs:
                    continue
                found = run(
                    Start(**options), settings, data, weights if part == 'inserted' else None, seed
                )
                runs[str(seed)] = found
                write(results, args.out)
                print(
                    f'{part}, {name}, seed {seed}: {found["test_accuracy"]:.1f} %, '
                    f'{found["seconds"]:.0f} s',
                    file=sys.stderr,
                    flush=True,
                )
    return results


def paired(values: dict[str, float], base: dict[str, float]) -> str:
    """Mean difference over the seeds that both have, with its 95 % interval of Student's t."""
    differences = [values[seed] - base[seed] for seed in values if seed in base]
    if not differences:
        return ''
    mean = statistics.mean(differences)
    if len(differences) not in QUANTILES:
        return f'{mean:+.2f}'
    half = QUANTILES[len(differences)] * statistics.stdev(differences) / sqrt(len(differences))
    return f'{mean:+.2f} ± {half:.2f}'


def spread(values: list[float]) -> str:
    deviation = f' ± {statistics.stdev(values):.2f}' if len(values) > 1 else ''
    return f'{statistics.mean(values):.2f}{deviation}'


def late_loss(run: dict) -> float:
    """Mean training loss of the last quarter of the records, which single batches sway less."""
    losses = run['records']['loss']
    return statistics.mean(losses[-max(1, len(losses) // 4) :])


MEASURES = {
    'test accuracy (%)': lambda run: run['test_accuracy'],
    'training loss, last quarter': late_loss,
}


def result_table(part: str, runs: dict) -> str:
    """Mean and standard deviation of each measure, and its paired differences."""
    from report import table

    bases = ('none', REFERENCE[part])
    rows = {name: [name] for name in runs}
    for measure in MEASURES.values():
        found = {
            name: {seed: measure(run) for seed, run in seeds.items()}
            for name, seeds in runs.items()
        }
        for name, values in found.items():
            rows[name].append(spread(list(values.values())))
            rows[name] += [
                '' if name == base or base not in found else paired(values, found[base])
                for base in bases
            ]
    differences = [f'minus {base}' for base in bases]
    header = [cell for title in MEASURES for cell in (title, *differences)]
    return table([TITLES[part], *header], list(rows.values()))


def mean_of(runs: dict, key: str) -> tuple[list[float], list[float]]:
    """Iterations and the mean over seeds of a recorded column; empty without it."""
    columns = [run['records'] for run in runs.values() if key in run['records']]
    if not columns:
        return [], []
    means = [statistics.mean(values) for values in zip(*(column[key] for column in columns))]
    return columns[0]['iteration'], means


def course_table(part: str, runs: dict) -> str:
    """What gates and gradients do: values of the first and last record, and means between."""
    from report import table

    columns = {
        'step of projections': 'projection_step',
        "gates' mean": 'gates_mean',
        "gates' std": 'gates_std',
        'std of channels': 'gates_std_of_channels',
        'saturated': 'gates_saturated',
        'gradient of gates': 'gates_gradient',
    }
    rows = []
    for name, seeds in runs.items():
        means = [mean_of(seeds, key)[1] for key in columns.values()]
        cells = [f'{v[0]:.3g}, {statistics.mean(v):.3g}, {v[-1]:.3g}' if v else '' for v in means]
        rows.append([name, *cells])
    return table([f'{TITLES[part]}: start, mean, end', *columns], rows)


def draw_chart(results: dict, path: Path) -> None:
    """A row for each part: test accuracy by seed, training loss, gates' movement, gradients."""
    from matplotlib import pyplot as plt

    from mmca.pictures import save_figure

    curves = {
        'loss': 'training loss',
        'gates_std': "gates' std over pictures and places",
        'projection_step': 'projections: |gradient| / |weight|',
    }
    parts = results['runs']
    figure, grid = plt.subplots(
        len(parts), 4, figsize=(17, 4 * len(parts)), squeeze=False, layout='constrained'
    )
    for panels, (part, variants) in zip(grid, parts.items()):
        for place, (name, runs) in enumerate(variants.items()):
            colour = f'C{place}'
            values = [run['test_accuracy'] for run in runs.values()]
            panels[0].plot([place] * len(values), values, 'o', color=colour, alpha=0.7)
            panels[0].hlines(statistics.mean(values), place - 0.3, place + 0.3, color=colour)
            for axes, key in zip(panels[1:], curves):
                iterations, means = mean_of(runs, key)
                if means:
                    draw = axes.semilogy if key == 'projection_step' else axes.plot
                    draw(iterations, means, color=colour, label=name)
        panels[0].set_xticks(range(len(variants)), list(variants))
        panels[0].set_ylabel('test accuracy (%), each seed and mean')
        panels[0].set_title(TITLES[part], fontsize=10)
        for axes, title in zip(panels[1:], curves.values()):
            axes.set(xlabel='iteration', ylabel=title)
            axes.legend(fontsize=8)
        for axes in panels:
            axes.grid(alpha=0.3)
    save_figure(figure, path)


def main() -> None:
    # Of this checkout, also where it is not installed.
    sys.path.insert(0, str(ROOT))
    args = parse_args()
    results = json.loads(args.out.read_text()) if args.show else measure(args)
    for part, runs in results['runs'].items():
        print(f'{result_table(part, runs)}\n\n{course_table(part, runs)}\n')
    starts = [
        run['start_differs_by']
        for runs in results['runs'].values()
        for seeds in runs.values()
        for run in seeds.values()
        if 'start_differs_by' in run
    ]
    if starts and all(map(isfinite, starts)):
        print(f'Starts differ from the plain network by {max(starts):.1e} of its largest value')
    if args.chart:
        draw_chart(results, args.chart)
        print(f'Written: {args.chart}')


if __name__ == '__main__':
    sys.path.insert(0, str(ROOT))
    from mmca.errors import told_to_the_user

    with told_to_the_user():
        main()
