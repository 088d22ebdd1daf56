"""Train, test and look at DeepLabV3 + MobileNetV2 + coordinate attention on synthetic scenes."""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / 'tools'


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--config', type=Path, default=ROOT / 'configs/deeplabv3_mbv2ca_sample.py')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/demo'))
    parser.add_argument('--data', type=Path, default=Path('data/sample_easy'), help='sample data')
    parser.add_argument('--seed', type=int, default=0, help='seed of the training')
    return parser.parse_args()


def call(title: str, script: str, *arguments: object) -> None:
    """Run one of the tools, as a user would; end with its status if it fails."""
    command = [sys.executable, str(TOOLS / script), *map(str, arguments)]
    print(f'\n== {title}\n   python tools/{script} {" ".join(command[2:])}\n', flush=True)
    status = subprocess.run(command).returncode
    if status:
        sys.exit(f'demo: tools/{script} failed (exit status {status}), see above')


def main() -> None:
    args = parse_args()
    started = time.monotonic()
    voc = args.data / 'VOCdevkit/VOC2012'
    call('1/4 Draw the sample data', 'prepare_data.py', 'sample', '--out', args.data)

    from mmca.engine.resume import training_checkpoints

    resume = ['--resume'] if training_checkpoints(args.work_dir) else []
    call(
        '2/4 Train (a second run goes on from the last checkpoint)',
        'train.py',
        args.config,
        '--work-dir',
        args.work_dir,
        '--data-root',
        voc,
        '--cfg-options',
        f'randomness.seed={args.seed}',
        *resume,
    )
    checkpoint = training_checkpoints(args.work_dir)[0]
    metrics = args.work_dir / 'test' / 'metrics.json'
    call(
        '3/4 Test, in a fresh process',
        'test.py',
        args.config,
        checkpoint,
        '--work-dir',
        metrics.parent,
        '--data-root',
        voc,
        '--out',
        metrics,
    )
    print('\n== 4/4 Draw the pictures', flush=True)
    from mmca.pictures import draw_curves, draw_predictions

    names = (voc / 'ImageSets/Segmentation/val.txt').read_text().split()[:8]
    pairs = [(voc / f'JPEGImages/{n}.jpg', voc / f'SegmentationClass/{n}.png') for n in names]
    predictions, curves = args.work_dir / 'predictions.png', args.work_dir / 'curves.png'
    draw_predictions(args.config, checkpoint, pairs, predictions)
    draw_curves({args.config.stem: args.work_dir}, curves)
    miou = json.loads(metrics.read_text())['mIoU']
    print(
        f'\nmIoU {miou:.2f} % on the validation scenes (synthetic, easy), seed {args.seed}, '
        f'{(time.monotonic() - started) / 60:.1f} minutes\n'
        f'predictions: {predictions}\ncurves:      {curves}'
    )


if __name__ == '__main__':
    main()
