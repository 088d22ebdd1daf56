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
    """The configs that the published rows name."""
    from mmca.tables import all_rows

    return [
        CONFIGS / f'{config}.py'
        for row in all_rows()
        if row.value is not None
        for config in row.configs
    ]


def measure(path: Path, shape: Sequence[int] | None) -> list[str]:
    """The table's row of a config."""
    from mmengine.config import Config

    from mmca.complexity.config import count_config, input_size
    from mmca.errors import UserError
    from mmca.tables import find_row
    from mmca.tables.render import figures

    if not path.is_file():
        raise UserError('no such config; they are in configs/')
    cfg = Config.fromfile(path)
    own_size = input_size(cfg)
    height, width = shape or own_size
    counts = count_config(cfg, height, width)
    published, parameters, published_madds, madds, *_ = figures(find_row(path.stem), counts)
    # Published at the config's own size: at another there is nothing to compare with.
    published_madds = published_madds if (height, width) == own_size else ''
    others = f'{counts.other_operations / 1e6:.1f}'
    return [path.stem, f'{height}x{width}', parameters, published, madds, published_madds, others]


def main() -> None:
    args = parse_args()
    from mmca.errors import UserError, told_to_the_user
    from mmca.tables.render import markdown_table, text_table

    lines, errors = [HEADER], []
    for path in args.configs or published_configs():
        try:
            # Only the table goes to the standard output: libraries log there, too.
            with contextlib.redirect_stdout(sys.stderr):
                lines.append(measure(path, args.shape))
        except Exception as error:  # of whatever the model does: one line, and the next config
            kind = '' if isinstance(error, UserError) else f'{type(error).__name__}: '
            errors.append(f'{path}: {kind}{error}'.strip().partition('\n')[0])
    if len(lines) > 1:
        print(markdown_table(lines, aligned=True) if args.markdown else text_table(lines))
    if errors:
        with told_to_the_user():
            raise UserError('\nError: '.join(errors))


if __name__ == '__main__':
    main()
