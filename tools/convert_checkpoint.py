"""Convert a checkpoint between the names of its publisher and ours.

Recognised by their keys and shapes: our own checkpoints, the CA authors' mbv2_ca.pth, the
MobileNeXt authors' weights, torchvision's mobilenet_v2, and mmpretrain's and mmseg's MobileNetV2.
Tensors keep their values and types. What does not match is an error until --drop names it.
"""

import argparse
from pathlib import Path


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('source', metavar='SRC', help='checkpoint file, or http(s) address of one')
    parser.add_argument(
        'target',
        metavar='DST',
        type=Path,
        help='file to write: .pth, .pt, .pth.tar or .safetensors',
    )
    parser.add_argument(
        '--to',
        choices=['mmca', 'authors', 'torchvision'],
        default='mmca',
        help='whose names DST gets; default: mmca',
    )
    parser.add_argument(
        '--drop',
        nargs='+',
        action='extend',
        default=[],
        metavar='KEY_OR_PREFIX',
        help='leave these tensors out, or do without them if SRC lacks them: keys in the names of '
        'SRC, or their first parts, e.g. decode_head',
    )
    parser.add_argument(
        '--ema', action='store_true', help='take the averaged copy of the weights in SRC'
    )
    parser.add_argument('--force', action='store_true', help='overwrite DST')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from mmca.checkpoint import CheckpointError
    from mmca.convert.convert import convert_file

    try:
        report = convert_file(
            args.source, args.target, to=args.to, drop=args.drop, ema=args.ema, force=args.force
        )
    except (CheckpointError, OSError) as error:
        raise SystemExit(f'Error: {error}') from error
    print('\n'.join(report))


if __name__ == '__main__':
    main()
