"""Train a model of mmseg, mmdet or mmpretrain from a config."""

import argparse


def parse_args() -> argparse.Namespace:
    from mmca.engine.arguments import add_common_arguments

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file, e.g. configs/deeplabv3_mbv2ca_voc.py')
    add_common_arguments(parser)
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='go on from this checkpoint; without a path, from the newest in the work dir',
    )
    parser.add_argument(
        '--amp', action='store_true', help='automatic mixed precision (needs a GPU)'
    )
    parser.add_argument(
        '--auto-scale-lr', action='store_true', help='scale the lr with the total batch size'
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    from mmca.checkpoint import CheckpointError
    from mmca.engine.box_check import BadAnnotationError, check_boxes
    from mmca.engine.data_check import MissingDataError, check_datasets
    from mmca.engine.distributed import leave
    from mmca.engine.resume import find_resumable, refuse_to_overwrite, require_resumable
    from mmca.engine.setup import load_config, run

    cfg = load_config(args)
    try:
        check_datasets(cfg, ['train_dataloader', 'val_dataloader'])
        if args.resume == 'auto':
            cfg.load_from = find_resumable(cfg.work_dir)
        else:
            refuse_to_overwrite(cfg.work_dir, resumed=args.resume)
            if args.resume:
                cfg.load_from = require_resumable(args.resume)
        cfg.resume = bool(args.resume)
        # Last: it reads all annotations.
        check_boxes(cfg, ['train_dataloader', 'val_dataloader'])
    except (MissingDataError, BadAnnotationError, FileExistsError, CheckpointError) as error:
        raise SystemExit(f'Error: {error}') from error
    if args.amp:
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
    if args.auto_scale_lr:
        if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
            raise SystemExit(
                'Error: --auto-scale-lr needs auto_scale_lr.base_batch_size in the config'
            )
        cfg.auto_scale_lr.enable = True
    run(cfg, 'train')
    leave()


if __name__ == '__main__':
    main()
