"""Train, test and look at a model with coordinate attention on synthetic scenes.

segmentation: DeepLabV3 + MobileNetV2, from scratch. detection: SSDLite320 + MobileNetV2, whose
backbone first learns to classify scenes of one object.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from mmca.errors import UserError, told_to_the_user
from mmca.tables import DEEPLAB, SSDLITE

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / 'tools'
CONFIGS = ROOT / 'configs'


class Outcome(NamedTuple):
    """What a demo reached, and the network that it trained."""

    result: str
    config: Path
    checkpoint: Path


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('task', nargs='?', choices=TASKS, default='segmentation')
    parser.add_argument('--config', type=Path, help="default: the task's, of the sample")
    parser.add_argument(
        '--classifier',
        type=Path,
        default=CONFIGS / 'mbv2ca_sample.py',
        help='config by which the backbone of the detector is pretrained',
    )
    parser.add_argument('--work-dir', type=Path, help='default: work_dirs/demo[_detection]')
    parser.add_argument('--data', type=Path, default=Path('data'), help='folder for sample data')
    parser.add_argument('--seed', type=int, default=0, help='seed of the training')
    return parser.parse_args()


def call(title: str, script: str, *arguments: object) -> None:
    """Run one of the tools, as a user would; end with its status if it fails."""
    command = [sys.executable, str(TOOLS / script), *map(str, arguments)]
    print(f'\n== {title}\n   python tools/{script} {" ".join(command[2:])}\n', flush=True)
    status = subprocess.run(command).returncode
    if status:
        raise UserError(f'tools/{script} failed (exit status {status}), see above')


def train(title: str, config: Path, work_dir: Path, data: Path, seed: int, *options: str) -> Path:
    """Train, or go on with what was interrupted; returns the last checkpoint."""
    from mmca.engine.resume import training_checkpoints

    resume = ['--resume'] if training_checkpoints(work_dir) else []
    where = ['--work-dir', work_dir, '--data-root', data]
    settings = ['--cfg-options', f'randomness.seed={seed}', *options]
    call(f'{title} (a second run goes on)', 'train.py', config, *where, *settings, *resume)
    return training_checkpoints(work_dir)[0]


def test(title: str, config: Path, work_dir: Path, data: Path, checkpoint: Path) -> dict:
    """Test, in a fresh process; returns the metrics."""
    metrics = work_dir / 'test' / 'metrics.json'
    where = ['--work-dir', metrics.parent, '--data-root', data, '--out', metrics]
    call(title, 'test.py', config, checkpoint, *where)
    return json.loads(metrics.read_text())


def segmentation(args: argparse.Namespace) -> Outcome:
    config = args.config or CONFIGS / 'deeplabv3_mbv2ca_sample.py'
    sample = args.data / 'sample_easy'
    voc = sample / 'VOCdevkit/VOC2012'
    call('1/4 Draw the sample data', 'prepare_data.py', 'sample', '--out', sample)
    checkpoint = train('2/4 Train', config, args.work_dir, voc, args.seed)
    metrics = test('3/4 Test', config, args.work_dir, voc, checkpoint)
    print('\n== 4/4 Draw the pictures', flush=True)
    from mmca.pictures import draw_curves, draw_predictions

    names = (voc / 'ImageSets/Segmentation/val.txt').read_text().split()[:8]
    pairs = [(voc / f'JPEGImages/{n}.jpg', voc / f'SegmentationClass/{n}.png') for n in names]
    draw_predictions(config, checkpoint, pairs, args.work_dir / 'predictions.png')
    metric = DEEPLAB.sample_metric
    draw_curves({config.stem: args.work_dir}, metric, args.work_dir / 'curves.png')
    return Outcome(f'mIoU {metric.percent(metrics):.2f} %', config, checkpoint)


def detection(args: argparse.Namespace) -> Outcome:
    config = args.config or CONFIGS / 'ssdlite320_mbv2ca_sample.py'
    scenes, objects = args.data / 'sample_easy_coco', args.data / 'sample_easy_imagenet'
    sample = ['sample', '--layout']
    call('1/6 Draw the scenes', 'prepare_data.py', *sample, 'coco', '--out', scenes)
    sizes = ['--train', 4000, '--val', 1000, '--size', 64, '--out', objects]
    call('2/6 Draw scenes of one object', 'prepare_data.py', *sample, 'imagenet', *sizes)
    pretrained = train(
        '3/6 Pretrain the backbone', args.classifier, args.work_dir / 'pretrain', objects, args.seed
    )
    backbone = f'model.backbone.pretrained={pretrained}'
    checkpoint = train('4/6 Train', config, args.work_dir, scenes, args.seed, backbone)
    metrics = test('5/6 Test', config, args.work_dir, scenes, checkpoint)
    print('\n== 6/6 Draw the pictures', flush=True)
    from mmca.pictures import draw_curves, draw_detections

    annotations = scenes / 'annotations/instances_val2017.json'
    folder = scenes / 'val2017'
    draw_detections(config, checkpoint, annotations, folder, args.work_dir / 'predictions.png')
    metric = SSDLITE.sample_metric
    draw_curves({config.stem: args.work_dir}, metric, args.work_dir / 'curves.png')
    return Outcome(f'mAP@.5 {metric.percent(metrics):.1f} %', config, checkpoint)


def command(script: str, *arguments: object) -> str:
    """A command for the shell, as short as it works from this folder."""

    def short(word: object) -> str:
        return os.path.relpath(word) if Path(word).is_relative_to(Path.cwd()) else str(word)

    words = [short(sys.executable), short(TOOLS / script)]
    return shlex.join([*words, *(short(w) if isinstance(w, Path) else str(w) for w in arguments)])


TASKS = {'segmentation': segmentation, 'detection': detection}


def main() -> None:
    args = parse_args()
    started = time.monotonic()
    if args.work_dir is None:
        suffix = '' if args.task == 'segmentation' else f'_{args.task}'
        args.work_dir = Path(f'work_dirs/demo{suffix}')
    with told_to_the_user():
        outcome = TASKS[args.task](args)
    network = outcome.config, outcome.checkpoint
    print(
        f'\n{outcome.result} on the validation scenes (synthetic, easy), seed {args.seed}, '
        f'{(time.monotonic() - started) / 60:.1f} minutes\n'
        f'predictions: {args.work_dir / "predictions.png"}\n'
        f'curves:      {args.work_dir / "curves.png"}\n'
        '\nOn a picture of your own, named here for photo.jpg:\n  '
        + command('predict.py', *network, 'photo.jpg', '--out', 'predictions')
        + '\nand on a page in the browser:\n  '
        + command('web.py', *network)
    )


if __name__ == '__main__':
    main()
