"""The model card of a published network; everything in it comes from the record of its run."""

from mmca.tables import Row

from .index import Published

# Where the terms of each dataset stand.
_TERMS = {
    'ImageNet-1k': 'https://image-net.org/download',
    'COCO 2017': 'https://cocodataset.org/#termsofuse',
    'VOC 2007 + 2012': 'http://host.robots.ox.ac.uk/pascal/VOC/',
    'VOC 2012 + SBD': 'http://host.robots.ox.ac.uk/pascal/VOC/',
    'Cityscapes': 'https://www.cityscapes-dataset.com/license/',
    'CIFAR-10': 'https://www.cs.toronto.edu/~kriz/cifar.html',
    'CamVid': 'http://mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid/',
    'BCCD': 'https://github.com/Shenggan/BCCD_Dataset (MIT)',
}
_CARD = """\
# {config}

{network}, trained on {data}: {metric} {value:.2f} %.

| | |
| --- | --- |
| file | `{file}`, {size:.1f} MB, weights of two and more dimensions in float16 |
| SHA-256 | `{sha256}` |
| config | `configs/{config}.py` (SHA-256 with all it inherits: `{config_sha256}`) |
| metric | {metrics}; seed {seed}, on the float32 checkpoint (SHA-256 `{checkpoint_sha256}`) |
| starts from | {start} |
| data | {data}; its terms: {terms} |
| licence | Apache-2.0, as the code; the terms of the data may limit what the weights are used for |
| trained by | mmca {mmca}, commit {commit}; {versions} |
| on | {machine}, finished {finished} |
| record | `{record}` |

Use it:

```sh
python tools/predict.py configs/{config}.py {file} photos/ --out predictions
python tools/test.py configs/{config}.py {file}
```

Train it again:

```sh
python tools/reproduce.py run {run} --row {config}{seeds}
```
"""


def card(row: Row, record: dict, record_file: str, entry: Published) -> str:
    """The card, as markdown.

    Args:
        row (Row): Of the network's config.
        record (dict): Of the run.
        record_file (str): Where the record lies.
        entry (Published): The file of its weights.
    """
    attention = '' if row.attention == 'none' else f' with {row.attention.upper()}'
    method = '' if row.method.name == 'classifier' else f', {row.method.name}'
    start = 'drawn weights'
    if record.get('pretrained'):
        start = f'{record["pretrained"]} (SHA-256 `{record["pretrained_sha256"]}`)'
    machine = record['machine']
    hardware = machine.get('gpu') or f'{machine["threads"]} threads of an {machine["cpu"]}'
    versions = ', '.join(f'{name} {version}' for name, version in record['versions'].items())
    return _CARD.format(
        config=record['config'],
        network=f'{row.backbone}{attention}{method}',
        data=row.table.training_data,
        terms=_TERMS[row.table.training_data],
        metric=row.metric.name,
        value=record['value'],
        metrics=', '.join(f'{name} {value}' for name, value in record['metrics'].items()),
        seed=record['seed'],
        seeds=f' --seeds {record["seed"] + 1}' if record['seed'] else '',
        start=start,
        file=entry.file,
        size=entry.size / 1e6,
        sha256=entry.sha256,
        config_sha256=record['config_sha256'],
        checkpoint_sha256=record['checkpoint_sha256'],
        mmca=record['source']['mmca'],
        commit=record['source'].get('commit') or 'unknown',
        versions=versions,
        machine=hardware,
        finished=record['finished'],
        record=record_file,
        run=row.run.split()[0] if row.run else row.table.name,
    )
