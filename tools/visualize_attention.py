"""Draw what attentions make of pictures: feature maps before and after, Grad-CAM, gates.

As Figure 5 of the coordinate attention paper, for the last block's attention. Several networks of
one task and with the same classes, e.g. with SE, CBAM and CA, are drawn below each other. Each
picture becomes DIR/NAME.png; one that cannot be read is told, and the rest goes on.
"""

import argparse

from mmca.errors import told_to_the_user


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage='%(prog)s CONFIG CHECKPOINT [CONFIG CHECKPOINT ...] IMAGE [IMAGE ...] --out DIR '
        '[options]',
    )
    parser.add_argument(
        'networks',
        nargs='+',
        metavar='CONFIG CHECKPOINT IMAGE',
        help='configs (.py), each with its checkpoint; then images, folders or globs in quotes',
    )
    parser.add_argument('--out', required=True, help='folder to write to')
    parser.add_argument(
        '--layer',
        help='name of the attention, e.g. backbone.layer4.0.attention (default: the last)',
    )
    parser.add_argument(
        '--class',
        dest='class_name',
        metavar='NAME',
        help='class that Grad-CAM is of (default: what the first network says of the picture: the '
        'best class, that of most pixels, or of the best box)',
    )
    parser.add_argument('--device', help='cpu, cuda:1, ... (default: a GPU if there is one)')
    args = parser.parse_intermixed_args()
    words, size = args.networks, 0
    while words[size : size + 1] and words[size].endswith('.py'):
        size += 2
    if not size:
        parser.error(f'{words[0]}: is no config (.py)')
    args.networks, args.images = words[:size], words[size:]
    if not args.images:
        parser.error(f'give {"CHECKPOINT and " * (len(words) < size)}IMAGE behind {words[-1]}')
    return args


def main() -> None:
    args = parse_args()
    # Imports torch: not before -h is answered.
    from mmca.attention_maps.command import visualize

    with told_to_the_user():
        visualize(args)


if __name__ == '__main__':
    main()
