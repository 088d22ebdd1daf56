"""From the command line's arguments to mmengine's Runner: every step, in order."""

import argparse

from mmca.checkpoint import prepare_pretrained
from mmca.checks.run import check_input
from mmca.errors import UserError

from .batch_norm import single_values_told
from .building import building_told
from .config import read_config
from .distributed import connection_watched, keep_total_batch, leave
from .here import as_run_here
from .libraries import prepare_libraries
from .misfits import misfits_told
from .options import (
    check_folders,
    check_out,
    class_metrics,
    draw_pictures,
    scale_learning_rate,
    use_amp,
    use_channels_last,
    write_metrics,
)
from .resume import choose_start
from .runner import Runner


def train(args: argparse.Namespace) -> None:
    """What ``tools/train.py`` does.

    Raises:
        UserError: For whatever the user can mend.
    """
    prepare_libraries()
    cfg = read_config(args)
    choose_start(cfg, args.resume)
    if args.amp or args.amp_bfloat16:
        use_amp(cfg, 'bfloat16' if args.amp_bfloat16 else 'float16')
    if args.channels_last:
        use_channels_last(cfg)
    if args.auto_scale_lr:
        scale_learning_rate(cfg)
    check_input(cfg, ['train_dataloader', 'val_dataloader'])
    check_folders(cfg)
    with connection_watched(), building_told(cfg):
        runner = Runner.from_cfg(as_run_here(cfg), given=cfg)
        keep_total_batch(runner)
        prepare_pretrained(runner.model, resumed=cfg.resume)
        with single_values_told(), misfits_told(runner.model):
            runner.train()
    leave()


def test(args: argparse.Namespace) -> None:
    """What ``tools/test.py`` does.

    Raises:
        UserError: For whatever the user can mend.
    """
    prepare_libraries()
    cfg = read_config(args)
    if not cfg.get('test_dataloader'):
        raise UserError(
            f'{args.config}: has no test_dataloader; with test_dataloader = val_dataloader, '
            'test_evaluator = val_evaluator and test_cfg = dict() the validation data is tested'
        )
    cfg.load_from = args.checkpoint
    if args.show or args.show_dir:
        draw_pictures(cfg, args)
    if args.out:
        check_out(args.out)
    check_input(cfg, ['test_dataloader'])
    check_folders(cfg, args.show_dir)
    with connection_watched(), building_told(cfg):
        runner = Runner.from_cfg(as_run_here(cfg, augmented=args.tta), given=cfg)
        metrics = runner.test()
    if args.out:
        write_metrics(metrics | class_metrics(runner.test_evaluator), args.out)
    leave()
