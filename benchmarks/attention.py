"""What coordinate attention costs by the clock and in memory, on the device at hand.

Compares MobileNetV2 without attention with the same network with coordinate attention: PyTorch's
plain expression of it, timm's block, and the implementation that mmca chooses here (the variable
MMCA_ATTENTION). All variants are measured in turn, one sample of each a round, so that whatever
slows the machine down slows all of them. A copy of large tensors gives the bandwidth floor.

Prints markdown tables, and writes results.json and chart.png. Leave the machine idle meanwhile.
"""

import argparse
import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Fresh tensors come from memory that the process keeps: no page faults, nothing given back.
TUNED = {
    'MALLOC_MMAP_MAX_': '0',
    'MALLOC_TRIM_THRESHOLD_': '17179869184',
    'MALLOC_TOP_PAD_': '67108864',
}
# The paper's MobileNetV2 has the block at these maps, of which the first is the largest.
BLOCKS = ((8, 144, 56, 56), (8, 192, 28, 28), (8, 960, 7, 7))
FULL = dict(rounds=30, warmup=3, batch_size=16, image_size=224, block=BLOCKS)
QUICK = dict(rounds=1, warmup=1, batch_size=2, image_size=64, block=((2, 16, 7, 5),))


def count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is not a whole number above 0')
    return int(text)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--device', help='cpu or cuda; default: cuda where there is one')
    parser.add_argument(
        '--dtype',
        choices=('float32', 'bfloat16', 'float16'),
        default='float32',
        help='float32, or mixed precision (autocast) in the other two',
    )
    parser.add_argument(
        '--allocator',
        choices=('tuned', 'default'),
        default='tuned',
        help="of the CPU's memory. tuned (the default) restarts this program with glibc's "
        + ' '.join(f'{name}={value}' for name, value in TUNED.items()),
    )
    parser.add_argument('--rounds', type=count, help='samples of each variant; default: 30')
    parser.add_argument('--batch-size', type=count, help='of the whole network; default: 16')
    parser.add_argument('--image-size', type=count, help='of the whole network; default: 224')
    parser.add_argument(
        '--block',
        nargs=4,
        type=count,
        action='append',
        metavar=('N', 'C', 'H', 'W'),
        help='input of the block alone; may be given several times; default: '
        + ', '.join('x'.join(map(str, shape)) for shape in BLOCKS),
    )
    parser.add_argument('--quick', action='store_true', help='a tiny run that says only: it works')
    parser.add_argument(
        '--out', type=Path, help='folder to write; default: work_dirs/benchmark/<date and time>'
    )
    args = parser.parse_args()
    for name, value in (QUICK if args.quick else FULL).items():
        if getattr(args, name, None) is None:
            setattr(args, name, value)
    if args.batch_size == 1 and args.image_size <= 32:
        parser.error('batch norm needs more than one value: --batch-size 2 or --image-size 33')
    if args.out is None:
        args.out = ROOT / 'work_dirs' / 'benchmark' / time.strftime('%Y%m%d_%H%M%S')
    for name in ('results.json', 'chart.png'):
        if (args.out / name).exists():
            parser.error(f'{args.out / name} exists: name another folder with --out')
    return args


def check_device(args: argparse.Namespace) -> None:
    """Choose the device; end with one line if it is not there or not able."""
    import torch

    if args.device is None:
        args.device = 'cuda' if torch.cuda.is_available() else 'cpu'
    try:
        kind = torch.device(args.device).type
        torch.zeros(1, device=args.device)
    # Builds without CUDA raise an AssertionError.
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition('\n')[0]
        raise SystemExit(f'--device {args.device} cannot be used: {reason}') from None
    if kind not in ('cpu', 'cuda'):
        raise SystemExit(f'--device {args.device}: only cpu and cuda can be measured')
    if kind == 'cpu' and args.dtype == 'float16':
        raise SystemExit('--dtype float16 needs a GPU: on the CPU use --dtype bfloat16')


def use_allocator(args: argparse.Namespace) -> None:
    """Restart this program unless the C library's allocator is set as asked for."""
    if not args.device.startswith('cpu'):
        return
    wanted = {name: value for name, value in os.environ.items() if name not in TUNED}
    if args.allocator == 'tuned':
        wanted |= TUNED
    if wanted != dict(os.environ):
        sys.stdout.flush()
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], wanted)


def main() -> None:
    args = parse_args()
    check_device(args)
    use_allocator(args)

    # Of this checkout, also where it is not installed: on a machine with PyTorch alone.
    sys.path.insert(0, str(ROOT))
    from measuring import measure_all
    from report import draw_chart, format_report, implementation, machine, write_json

    results = {'machine': machine(args.device, args.allocator)}
    results |= measure_all(args)
    results['implementation'] = implementation(args.device)
    write_json(results, args.out / 'results.json')
    print(format_report(results))
    print(f'\nWritten: {args.out / "results.json"}')
    try:
        draw_chart(results, args.out / 'chart.png')
        print(f'         {args.out / "chart.png"}')
    except ImportError:
        print('No chart: it needs `pip install matplotlib`')


if __name__ == '__main__':
    main()
