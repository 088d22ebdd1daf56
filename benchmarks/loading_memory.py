"""Memory of a dataset's list in the workers of a loader: proportional set size, Linux only.

Lists are made up, of COCO's and ImageNet's length and shape of entries: paths, boxes, labels. Each
is held once as mmengine's datasets hold it, serialised into one array that all processes share, and
once as a plain list, whose reference counts make each worker copy what it looks at. Workers go
through a part of the list first, as in training, without decoding pictures.
"""

import argparse
import json
import os
from pathlib import Path

import torch
from mmengine.dataset import BaseDataset, pseudo_collate
from report import machine, table
from torch.utils.data import DataLoader

from mmca.errors import UserError, told_to_the_user
from mmca.files import write_atomic

# The first is there to be subtracted: what the processes need without a list.
LENGTHS = {'short': 4096, 'coco': 118_287, 'imagenet': 1_281_167}
BOXES = 7.3  # of a picture of COCO, on average
BATCH = 256
KINDS = {'serialised': True, 'plain': False}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--lists', nargs='+', choices=list(LENGTHS), default=list(LENGTHS))
    parser.add_argument('--workers', type=int, default=16)
    parser.add_argument('--part', type=float, default=1.0, help='share of the list looked at')
    parser.add_argument('--shrink', type=int, default=1, help='make lists so many times shorter')
    parser.add_argument(
        '--kinds',
        nargs='+',
        choices=list(KINDS),
        default=list(KINDS),
        help='a plain list of full length takes gigabytes in each worker',
    )
    parser.add_argument('--out', type=Path, help='JSON file for the results')
    return parser.parse_args()


class Entries(BaseDataset):
    """A made-up list without pictures."""

    def __init__(self, name: str, length: int, serialize_data: bool) -> None:
        self.name, self.length = name, length
        super().__init__(serialize_data=serialize_data)

    def load_data_list(self) -> list[dict]:
        make = coco_entry if self.name == 'coco' else imagenet_entry
        return [make(index) for index in range(self.length)]

    def prepare_data(self, idx: int) -> int:
        return len(self.get_data_info(idx))


def coco_entry(index: int) -> dict:
    count = int((index + 1) * BOXES) - int(index * BOXES)
    boxes = [[index % 600 + 0.5, box * 20.25, index % 600 + 40.75, 60.0] for box in range(count)]
    return dict(
        img_path=f'data/coco/train2017/{index:012d}.jpg',
        img_id=index,
        seg_map_path=None,
        height=480,
        width=640,
        instances=[dict(ignore_flag=0, bbox=box, bbox_label=index % 80) for box in boxes],
    )


def imagenet_entry(index: int) -> dict:
    label = index % 1000
    path = f'data/imagenet/train/n{label:08d}/n{label:08d}_{index}.JPEG'
    return dict(img_path=path, gt_label=label)


def proportional_set_size(process: int | str = 'self') -> int:
    """Bytes of memory of a process, with shared pages divided by those who share them."""
    for line in Path(f'/proc/{process}/smaps_rollup').read_text().splitlines():
        if line.startswith('Pss:'):
            return 1024 * int(line.split()[1])
    raise UserError(f'/proc/{process}/smaps_rollup names no Pss')


def measure(name: str, serialize: bool, args: argparse.Namespace) -> dict:
    before = proportional_set_size()
    dataset = Entries(name, max(LENGTHS[name] // args.shrink, 1000), serialize)
    alone = proportional_set_size() - before
    loader = DataLoader(
        dataset,
        batch_size=min(BATCH, max(len(dataset) // args.workers, 1)),
        num_workers=args.workers,
        shuffle=True,
        collate_fn=pseudo_collate,
        persistent_workers=True,
    )
    batches = iter(loader)
    for _ in range(max(int(args.part * len(loader)), 1)):
        next(batches)
    processes = [os.getpid(), *(worker.pid for worker in batches._workers)]
    total = sum(map(proportional_set_size, processes)) - before
    return dict(
        list=name,
        entries=len(dataset),
        serialized=serialize,
        workers=args.workers,
        megabytes_of_list=round(alone / 1e6, 1),
        megabytes_of_all_processes=round(total / 1e6, 1),
    )


def main() -> None:
    args = parse_args()
    if not Path('/proc/self/smaps_rollup').is_file():
        raise UserError('/proc/self/smaps_rollup is missing: this needs Linux')
    records, rows = [], []
    for name in args.lists:
        for kind in args.kinds:
            # Each in a process of its own: what one leaves behind is not the other's.
            with torch.multiprocessing.get_context('fork').Pool(1) as pool:
                record = pool.apply(_undaemonised, (name, KINDS[kind], args))
            records.append(record)
            sizes = [record['megabytes_of_list'], record['megabytes_of_all_processes']]
            rows.append(
                [f'{name}, {record["entries"]}, {kind}', *(f'{size:.0f}' for size in sizes)]
            )
    print(table(['list', 'MB before', f'MB with {args.workers} workers'], rows))
    if args.out:
        content = dict(machine=machine('cpu', ''), part=args.part, results=records)
        write_atomic(args.out, f'{json.dumps(content, indent=1)}\n'.encode())


def _undaemonised(name: str, serialize: bool, args: argparse.Namespace) -> dict:
    # A pool's processes may have no children, which a loader's workers are.
    torch.multiprocessing.current_process()._config['daemon'] = False
    return measure(name, serialize, args)


if __name__ == '__main__':
    with told_to_the_user():
        main()
