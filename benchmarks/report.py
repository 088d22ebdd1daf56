"""Results as markdown, JSON and a chart."""

import json
import os
import platform
from pathlib import Path

import torch

from mmca.files import write_atomic
from mmca.ops.implementation import describe

TITLES = {'none': 'no attention', 'plain': 'plain expression', 'timm': 'timm', 'mmca': 'mmca'}
NO_TIMM = "timm's block was left out: `pip install timm` to compare with it."


def machine(device: str, allocator: str) -> dict:
    """Where the run takes place."""
    cpu = platform.processor()
    if Path('/proc/cpuinfo').is_file():
        for line in Path('/proc/cpuinfo').read_text().splitlines():
            if line.startswith('model name'):
                cpu = line.partition(':')[2].strip()
                break
    on_cpu = device.startswith('cpu')
    return {
        'device': device if on_cpu else torch.cuda.get_device_name(device),
        'cpu': cpu,
        'cpu_capability': torch.backends.cpu.get_cpu_capability(),
        'threads': torch.get_num_threads(),
        'load_before': os.getloadavg()[0],
        'torch': torch.__version__,
        'allocator': allocator if on_cpu else None,
    }


def implementation(device: str) -> dict:
    """What mmca used; asked afterwards, when a kernel that fails has been found out."""
    name, reason = describe(torch.device(device))
    return {'name': name, 'reason': reason.replace(str(Path.home()), '~')}


def label(record: dict) -> str:
    if record['subject'] == 'block':
        return f'{"x".join(map(str, record["shape"]))}, {record["memory_format"]}'
    task = {'training': 'training step'}.get(record['task'], record['task'])
    return f'{task}, batch {record["shape"][0]}, {record["memory_format"]}'


def amount(value: float, unit: str) -> str:
    digits = 0 if unit == 'MiB' else 1 if value >= 100 else 2 if value >= 1 else 3
    return f'{value:.{digits}f} {unit}'


def spread(middle: float, ends: list[float]) -> str:
    low, high = sorted(ends)
    return f'{middle:.2f} ({low:.2f}-{high:.2f})'


def table(header: list[str], rows: list[list[str]]) -> str:
    rule = ['---', *['---:'] * (len(header) - 1)]
    return '\n'.join(f'| {" | ".join(cells)} |' for cells in [header, rule, *rows])


def network_table(records: list[dict]) -> str:
    names = [name for name in records[0]['variants'] if name != 'none']
    rows = []
    for record in records:
        variants, floor = record['variants'], record['floor']
        base = variants['none']['median']
        cells = [spread(variants[n]['ratio'], variants[n]['ratio_quartiles']) for n in names]
        if record['unit'] == 'MiB':  # counted, not measured
            cells = [f'{variants[n]["ratio"]:.3f}' for n in names]
        least = '' if floor is None else f'{floor / base:.2f}'
        rows.append([label(record), amount(base, record['unit']), *cells, least])
    return table(['', TITLES['none'], *(TITLES[n] for n in names), 'bandwidth floor'], rows)


def block_table(records: list[dict]) -> str:
    names = [name for name in records[0]['variants'] if name != 'plain']
    rows = []
    for record in records:
        variants = record['variants']
        base = variants['plain']['median']
        faster = [
            spread(1 / variants[n]['ratio'], [1 / end for end in variants[n]['ratio_quartiles']])
            for n in names
        ]
        floor = amount(record['floor'], 'ms')
        times = [amount(base, 'ms'), *faster, amount(variants['mmca']['median'], 'ms'), floor]
        rows.append([label(record), *times])
    faster = [f'{TITLES[n]}, times as fast' for n in names]
    return table(['', TITLES['plain'], *faster, 'mmca', 'bandwidth floor'], rows)


def subject(results: dict, name: str) -> list[dict]:
    return [record for record in results['measurements'] if record['subject'] == name]


def format_report(results: dict) -> str:
    """The whole report in markdown."""
    where, used = results['machine'], results['implementation']
    settings = results['settings']
    allocator = f', {where["allocator"]} allocator' if where['allocator'] else ''
    blocks, networks = subject(results, 'block'), subject(results, 'network')
    size = networks[0]['shape'][-1]
    difference = max(value for record in blocks for value in record['differences'].values())
    busy = where['load_before'] > 0.5
    lines = [
        f'{where["device"]} ({where["cpu"]}, {where["cpu_capability"]}, threads: '
        f'{where["threads"]}), torch {where["torch"]}, {settings["dtype"]}{allocator}; '
        f'rounds: {settings["rounds"]}, their quartiles in brackets.',
        f'mmca is `{used["name"]}`: {used["reason"]}.',
        *([] if settings['timm'] else [NO_TIMM]),
        *(['**A quick run: its figures mean nothing.**'] if settings['quick'] else []),
        *([f'The machine was busy before (load {where["load_before"]:.1f}).'] if busy else []),
        f'Copying runs at {results["copy_rate"] / 1e9:.1f} GB/s (read and written). The bandwidth '
        'floor is the least time for the maps that the block must read and write at this rate, '
        '7 in training and 3 in inference; maps that fit the caches can be below it.',
        '',
        f'MobileNetV2, {size}x{size}; without attention = 1.00:',
        '',
        network_table(networks),
        '',
        'The block alone, forward and backward; the largest relative difference of outputs and '
        f'gradients to the plain expression is {difference:.1e}:',
        '',
        block_table(blocks),
    ]
    return '\n'.join(lines)


def write_json(results: dict, path: Path) -> None:
    write_atomic(path, (json.dumps(results, indent=2) + '\n').encode())


def draw_chart(results: dict, path: Path) -> None:
    """Bars of the ratios to the network without attention, with their quartiles.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot as plt

    records = subject(results, 'network')
    names = [name for name in records[0]['variants'] if name != 'none']
    figure, axes = plt.subplots(figsize=(11, 4.5), layout='constrained')
    width = 0.8 / len(names)
    for i, name in enumerate(names):
        places = [place + (i - (len(names) - 1) / 2) * width for place in range(len(records))]
        ratios = [record['variants'][name]['ratio'] for record in records]
        ends = [record['variants'][name]['ratio_quartiles'] for record in records]
        errors = [
            [max(0, ratio - low) for ratio, (low, _) in zip(ratios, ends)],
            [max(0, high - ratio) for ratio, (_, high) in zip(ratios, ends)],
        ]
        bars = axes.bar(places, ratios, width, yerr=errors, capsize=2, label=TITLES[name])
        axes.bar_label(bars, fmt='%.2f', fontsize=7, padding=2)
    floors = [
        (place, record['floor'] / record['variants']['none']['median'])
        for place, record in enumerate(records)
        if record['floor'] is not None
    ]
    axes.hlines(
        [ratio for _, ratio in floors],
        [place - 0.45 for place, _ in floors],
        [place + 0.45 for place, _ in floors],
        color='black',
        linestyle='dotted',
        label='bandwidth floor',
    )
    axes.axhline(1, color='black', linewidth=1)
    axes.margins(x=0.01, y=0.15)
    axes.set_xticks(range(len(records)), [label(r).replace(', ', '\n') for r in records])
    axes.tick_params('x', labelsize=8)
    axes.set_ylabel('ratio to MobileNetV2 without attention')
    axes.set_title(f'{results["machine"]["device"]}, {results["settings"]["dtype"]}', fontsize=10)
    axes.legend(loc='upper left', ncols=len(names) + 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
