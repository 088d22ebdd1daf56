"""Look at what networks say of a picture, and at their attention, in the browser.

NETWORKS are a config and a checkpoint each, or an exported file; several of one task are shown
beside each other. Without any, it is the network that `make demo` trains.
"""

import argparse

from mmca.errors import told_to_the_user


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'networks', nargs='*', metavar='NETWORKS', help='CONFIG CHECKPOINT, or EXPORTED'
    )
    parser.add_argument(
        '--host',
        default='127.0.0.1',
        help='address to listen at; with the default, 127.0.0.1, this machine alone reaches the '
        'page, with 0.0.0.0 all that can reach this machine',
    )
    parser.add_argument('--port', type=int, default=7860)
    parser.add_argument(
        '--max-upload', type=float, default=20, help='most megabytes of a file (default: 20)'
    )
    parser.add_argument(
        '--max-megapixels', type=float, default=50, help='of a picture (default: 50)'
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    # Imports torch: not before -h is answered.
    from mmca.engine.libraries import prepare_libraries
    from mmca.web.networks import load_networks
    from mmca.web.page import serve

    with told_to_the_user():
        prepare_libraries()
        serve(
            load_networks(args.networks),
            args.host,
            args.port,
            args.max_upload,
            args.max_megapixels,
        )


if __name__ == '__main__':
    main()
