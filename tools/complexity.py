"""Parameters and multiply-adds of configs, beside the published ones.

M-Adds are the multiply-adds of convolutions and linear layers in one forward pass at batch size 1,
batch norm folded. "Other" is what this leaves out: activations, gates, additions (one for each
element made), pooling (one for each element read) and resizing. Published figures are those of
the CA paper and its authors' README.
"""

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
HEADER = (
    'config',
    'input',
    'params (M)',
    'published params (M)',
    'M-Adds (M)',
    'published M-Adds (M)',
    'other (M)',
)


def pixels(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is not a whole number of pixels above 0')
    return int(text)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'configs',
        nargs='*',
        type=Path,
        metavar='CONFIG',
        help='config files; default: all in configs/ that belong to a published table',
    )
    parser.add_argument('--markdown', action='store_true', help='print a markdown table')
    parser.add_argument(
        '--shape',
        nargs=2,
        type=pixels,
        metavar=('H', 'W'),
        help="input size; default: the config's crop size, else the size that its test pipeline "
        'makes, else 224 224',
    )
    return parser.parse_args()


def published_configs() -> list[Path]:
    """The configs that the published rows name, as far as they are there."""
    from mmca.published import published_rows

    names = [name for row in published_rows() for name in (row.config, row.alternative) if name]
    paths = [CONFIGS / f'{name}.py' for name in names]
    return [path for path in paths if path.is_file()]


def measure(path: Path, shape: Sequence[int] | None) -> list[str]:
    """The table's row of a config."""
    from mmengine.config import Config

    from mmca.config_complexity import count_config, input_size
    from mmca.published import find_published

    cfg = Config.fromfile(path)
    own_size = input_size(cfg)
    height, width = shape or own_size
    counts = count_config(cfg, height, width)
    published = find_published(path.stem)
    # Published at the config's own size: at another there is nothing to compare with.
    comparable = published if (height, width) == own_size else None
    return [
        path.stem,
        f'{height}x{width}',
        f'{counts.parameters / 1e6:.3f}',
        str(published.parameters) if published else '',
        f'{counts.multiply_adds / 1e6:.1f}',
        str(comparable.multiply_adds or '') if comparable else '',
        f'{counts.other_operations / 1e6:.1f}',
    ]


def format_table(rows: list[Sequence[str]], markdown: bool) -> str:
    """Names to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = [
        [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))]
        for row in rows
    ]
    if not markdown:
        return '\n'.join('  '.join(cells) for cells in lines)
    rule = ['-' * widths[0], *('-' * (width - 1) + ':' for width in widths[1:])]
    return '\n'.join(f'| {" | ".join(cells)} |' for cells in [lines[0], rule, *lines[1:]])


def main() -> None:
    args = parse_args()
    rows, errors = [], []
    for path in args.configs or published_configs():
        if not path.is_file():
            errors.append(f'Error: {path}: no such config; they are in configs/')
            continue
        try:
            # Only the table goes to the standard output: libraries log there, too.
            with contextlib.redirect_stdout(sys.stderr):
                rows.append(measure(path, args.shape))
        except Exception as error:  # of whatever the model does: one line, and the next config
            reason = f'{type(error).__name__}: {error}'.strip().partition('\n')[0]
            errors.append(f'Error: {path}: {reason}')
    if rows:
        print(format_table([HEADER, *rows], args.markdown))
    if errors:
        raise SystemExit('\n'.join(errors))


if __name__ == '__main__':
    main()
