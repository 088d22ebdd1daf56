from mmengine.config import Config

from mmca.config_walk import config_datasets, config_metrics, leaf_transforms, type_name

_UNSAID = 'its data_prefix names no seg_map_path'


def do_without_truth(cfg: Config) -> str:
    """Drop the metrics that need masks or labels if test data has none; what to say of it.

    Test data of mmseg has none if its ``data_prefix`` names no ``seg_map_path``, of mmpretrain with
    ``with_label=False``. Metrics that only write predictions stay.
    """
    leaves = [dataset for _, dataset in config_datasets(cfg, ['test_dataloader'])]
    if 'decode_head' in cfg.model:
        prefixes = [leaf.get('data_prefix') for leaf in leaves]
        said = all(prefix.get('seg_map_path') for prefix in prefixes if isinstance(prefix, dict))
        known = said and all(map(_loads_masks, leaves))
        missing = f'masks ({"no step of its pipeline loads them" if said else _UNSAID})'
        write = 'test_evaluator=dict(type="IoUMetric", format_only=True, output_dir=DIR)'
    elif type_name(cfg.model).endswith('Classifier'):
        known = all(leaf.get('with_label', True) for leaf in leaves)
        missing = 'labels (with_label=False)'
        write = 'test_evaluator=dict(type="mmengine.DumpResults", out_file_path="FILE.pkl")'
    else:
        return ''
    metrics = list(config_metrics(cfg, ['test_evaluator']))
    writing = [m for m in metrics if m.get('format_only') or type_name(m) == 'DumpResults']
    if known or len(writing) == len(metrics):
        return ''
    cfg.test_evaluator = writing
    return (
        f'No metrics: the test data has no {missing}. --show-dir draws the predictions; {write} '
        'writes them.'
    )


def _loads_masks(dataset: dict) -> bool:
    names = [type_name(item) for item in leaf_transforms(dataset.get('pipeline') or [])]
    # Of others' transforms nobody knows what they load.
    return any('Load' in name and not name.startswith('LoadImage') for name in names)
