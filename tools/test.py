"""Test a checkpoint of mmseg, mmdet or mmpretrain with its config."""

import argparse
import json
from pathlib import Path


def parse_args() -> argparse.Namespace:
    from mmca.engine.arguments import add_common_arguments

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file, e.g. configs/deeplabv3_mbv2ca_voc.py')
    parser.add_argument('checkpoint', help='checkpoint file')
    add_common_arguments(parser)
    parser.add_argument('--out', help='write the metrics to this JSON file')
    parser.add_argument('--show', action='store_true', help='show predictions in a window')
    parser.add_argument('--show-dir', help='save drawn predictions in this folder')
    parser.add_argument(
        '--wait-time', type=float, default=2, help='seconds a window stays, with --show'
    )
    parser.add_argument('--tta', action='store_true', help="the config's test-time augmentation")
    return parser.parse_args()


def draw_predictions(cfg, args: argparse.Namespace) -> None:
    """Switch on the visualization hook of the config's library."""
    hook = cfg.default_hooks.get('visualization')
    if hook is None:
        raise SystemExit(
            'Error: --show and --show-dir need default_hooks.visualization in the config'
        )
    if cfg.default_scope == 'mmpretrain':
        hook.update(
            enable=True, interval=1, show=args.show, wait_time=args.wait_time, out_dir=args.show_dir
        )
        return
    # Upstream's mmseg would draw each 50th batch only.
    hook.update(draw=True, interval=1, show=args.show, wait_time=args.wait_time)
    if args.show_dir and cfg.default_scope == 'mmdet':
        # It would put a relative path below the work dir.
        hook.test_out_dir = str(Path(args.show_dir).absolute())
    elif args.show_dir:
        cfg.visualizer.save_dir = args.show_dir


def use_tta(cfg) -> None:
    """Put the config's test-time augmentation in place of the plain model and pipeline."""
    from mmca.engine.data_check import config_datasets

    if not cfg.get('tta_model') or not cfg.get('tta_pipeline'):
        raise SystemExit('Error: --tta needs tta_model and tta_pipeline in the config')
    for _, dataset in config_datasets(cfg, ['test_dataloader']):
        dataset.pipeline = cfg.tta_pipeline
    cfg.tta_model.module = cfg.model
    cfg.model = cfg.tta_model


def main() -> None:
    args = parse_args()
    from mmengine.dist import is_main_process

    from mmca.engine.data_check import MissingDataError, check_datasets
    from mmca.engine.distributed import leave
    from mmca.engine.setup import load_config, run

    cfg = load_config(args)
    try:
        check_datasets(cfg, ['test_dataloader'])
    except MissingDataError as error:
        raise SystemExit(f'Error: {error}') from error
    cfg.load_from = args.checkpoint
    if args.show or args.show_dir:
        draw_predictions(cfg, args)
    if args.tta:
        use_tta(cfg)
    metrics = run(cfg, 'test')
    if args.out and is_main_process():
        rounded = {name: round(float(value), 4) for name, value in metrics.items()}
        Path(args.out).parent.mkdir(parents=True, exist_ok=True)
        Path(args.out).write_text(json.dumps(rounded, indent=2) + '\n')
    leave()


if __name__ == '__main__':
    main()
