"""Reproduce the tables: list their rows, train and test what is missing, report.

A killed run goes on when the same command is given again, and loses at most what came after its
last checkpoint. Each trained number leaves a record with config, commit, checkpoint and versions.
"""

import argparse
import contextlib
import os
import sys
from pathlib import Path

from mmca.engine.arguments import add_speed_arguments, speed_options


def checkpoint_of(text: str) -> tuple[str, Path]:
    name, separator, path = text.partition('=')
    if not separator or not name or not Path(path).is_file():
        raise argparse.ArgumentTypeError(
            f'{text!r} is not CONFIG=CHECKPOINT, such as mbv2ca_imagenet=mbv2ca.pth, '
            'or there is no such file'
        )
    return name, Path(path).absolute()


def count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is not a whole number above 0')
    return int(text)


def parse_args() -> argparse.Namespace:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    commands = parser.add_subparsers(dest='command', required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        '--scale',
        choices=['full', 'sample'],
        default='full',
        help='sample: short schedules on synthetic scenes, the proof that each row works',
    )
    shared.add_argument('--difficulty', choices=['easy', 'hard'], default='easy')
    shared.add_argument('--results', type=Path, default=Path('results'), metavar='DIR')

    lister = commands.add_parser('list', parents=[shared], help='show rows, figures and commands')
    lister.add_argument('tables', nargs='*', metavar='TABLE', help='default: all')

    run = commands.add_parser('run', parents=[shared], help='train and test the missing rows')
    run.add_argument('table', metavar='TABLE')
    run.add_argument(
        '--row', nargs='+', metavar='ROW', help='configs or attentions (none se cbam ca) to run'
    )
    run.add_argument('--seeds', type=count, default=1, help='trainings a row, seeds from 0')
    run.add_argument(
        '--pretrained',
        nargs='+',
        type=checkpoint_of,
        default=[],
        metavar='CONFIG=CHECKPOINT',
        help='checkpoints to take in place of pretraining, e.g. mbv2ca_imagenet=mbv2ca.pth',
    )
    run.add_argument('--data', type=Path, default=Path('data'), metavar='DIR')
    run.add_argument('--work-dir', type=Path, default=Path('work_dirs/reproduce'), metavar='DIR')
    run.add_argument('--launcher', choices=['none', 'pytorch', 'slurm'], default='none')
    run.add_argument('--gpus', type=count, default=1, help='processes, with --launcher pytorch')
    run.add_argument('--partition', help='with --launcher slurm')
    add_speed_arguments(run)
    run.add_argument('--auto-scale-lr', action='store_true', help='as in tools/train.py')

    report = commands.add_parser('report', parents=[shared], help='write TABLE.md and a chart')
    report.add_argument('tables', nargs='*', metavar='TABLE', help='default: all with a record')
    args = parser.parse_args()
    if args.command == 'run' and (args.launcher == 'slurm') != bool(args.partition):
        parser.error('--launcher slurm and --partition go together')
    return args


def settings_of(args: argparse.Namespace):
    from mmca.reproduce.settings import Settings

    scale = 'full' if args.scale == 'full' else f'sample_{args.difficulty}'
    if args.command != 'run':
        return Settings(scale=scale, results=args.results)
    return Settings(
        scale=scale,
        data=args.data,
        work=args.work_dir,
        results=args.results,
        seeds=args.seeds,
        pretrained=dict(args.pretrained),
        launcher=args.launcher,
        gpus=args.gpus,
        partition=args.partition or '',
        train_options=(
            *speed_options(args),
            *(['--auto-scale-lr'] if args.auto_scale_lr else []),
        ),
    )


def run(args: argparse.Namespace) -> None:
    from mmca.reproduce.execute import execute
    from mmca.reproduce.plan import plan
    from mmca.reproduce.report import write_report
    from mmca.tables import choose_rows

    settings = settings_of(args)
    rows = choose_rows(args.table, args.row, settings.sample)
    execute(list(plan(rows, settings)), lambda text: print(text, flush=True))
    print(f'report: {write_report(args.table, settings)}')


def report(args: argparse.Namespace) -> None:
    from mmca.errors import UserError
    from mmca.reproduce.report import tables_with_records, write_report

    settings = settings_of(args)
    tables = args.tables or tables_with_records(settings)
    if not tables:
        raise UserError(
            f'no records in {settings.reports / "runs"}; '
            'make some with: python tools/reproduce.py run TABLE'
        )
    for table in tables:
        print(f'report: {write_report(table, settings)}')


def show(args: argparse.Namespace) -> None:
    from mmca.reproduce.listing import list_table
    from mmca.tables import runs

    settings = settings_of(args)
    for table in args.tables or runs():
        with contextlib.redirect_stdout(sys.stderr):  # the libraries' words
            text = list_table(table, settings)
        print(text, flush=True)


def main() -> None:
    args = parse_args()
    from mmca.errors import told_to_the_user

    try:
        with told_to_the_user():
            {'list': show, 'run': run, 'report': report}[args.command](args)
    except BrokenPipeError:  # of `list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit('\nInterrupted; the same command goes on from here.') from None


if __name__ == '__main__':
    main()
