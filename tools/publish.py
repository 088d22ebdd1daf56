"""Make the files that publish a trained network: its weights alone, and a card.

The weights become CONFIG-HASH.safetensors, those of two and more dimensions in float16, and the
card CONFIG-HASH.md; both come from the record that tools/reproduce.py wrote and the checkpoint that
it tested. The index results/published.json gets an entry. Whoever hosts the files writes their
folder's address into it and runs tools/model_zoo.py: `mim download` then finds them.
"""

import argparse
from pathlib import Path


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('record', metavar='RECORD', type=Path, help='results/runs/..._seed_0.json')
    parser.add_argument('checkpoint', metavar='CHECKPOINT', type=Path, help='what it tested')
    parser.add_argument('--out', type=Path, required=True, help='folder for both files')
    parser.add_argument(
        '--index',
        type=Path,
        default=Path('results/published.json'),
        help='default: %(default)s',
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from mmca.errors import told_to_the_user
    from mmca.publish.weights import publish

    with told_to_the_user():
        files = publish(args.record, args.checkpoint, args.out, args.index)
    print(f'{files.weights}: {files.entry.size / 1e6:.1f} MB, SHA-256 {files.entry.sha256}')
    print(f'{files.card}: its card\n{args.index}: its entry')


if __name__ == '__main__':
    main()
