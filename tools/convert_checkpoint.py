"""Convert a checkpoint between the names of its publisher and ours.

Recognised by their keys and shapes: our own checkpoints, the CA authors' mbv2_ca.pth, the
MobileNeXt authors' weights, torchvision's mobilenet_v2, mmpretrain's and mmseg's MobileNetV2, and
EfficientNet-B0 of torchvision, timm and mmpretrain.
Tensors keep their values and types. What does not match is an error until --drop names it.

--insert puts the attention of a config into plain weights so that the outputs stay the same, in
training mode, too: its gates start as a constant, whose inverse goes into the layer beside it.
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
    parser.add_argument(
        '--prefix', help='take only what SRC has below it, e.g. teacher, of several networks'
    )
    attention = parser.add_mutually_exclusive_group()
    attention.add_argument(
        '--insert',
        metavar='CONFIG',
        help='insert the attention of this config, e.g. configs/mbv2ca_imagenet.py, into a plain '
        'network of the same width',
    )
    attention.add_argument(
        '--remove',
        metavar='CONFIG',
        help='the reverse, of a network as in CONFIG whose gates were never trained',
    )
    parser.add_argument('--force', action='store_true', help='overwrite DST')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from mmca.convert.convert import convert_file
    from mmca.errors import told_to_the_user

    with told_to_the_user():
        report = convert_file(
            args.source,
            args.target,
            to=args.to,
            drop=args.drop,
            ema=args.ema,
            prefix=args.prefix,
            insert=args.insert,
            remove=args.remove,
            force=args.force,
        )
    print('\n'.join(report))


if __name__ == '__main__':
    main()
