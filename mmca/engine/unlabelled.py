from mmengine.config import Config

from mmca.config_walk import config_datasets, config_metrics


def do_without_masks(cfg: Config) -> str:
    """Drop the metrics of mmseg that need masks if test data has none; returns what to say of it.

    Test data has none if its ``data_prefix`` names no ``seg_map_path``.
    """
    leaves = [dataset for _, dataset in config_datasets(cfg, ['test_dataloader'])]
    prefixes = [leaf.get('data_prefix') for leaf in leaves]
    masked = all('seg_map_path' in prefix for prefix in prefixes if isinstance(prefix, dict))
    if masked or 'decode_head' not in cfg.model:
        return ''
    metrics = list(config_metrics(cfg, ['test_evaluator']))
    writing = [metric for metric in metrics if metric.get('format_only')]
    if len(writing) == len(metrics):
        return ''
    cfg.test_evaluator = writing
    return (
        'No metrics: the test data has no masks (its data_prefix names no seg_map_path). '
        '--show-dir draws the predictions; test_evaluator=dict(type="IoUMetric", '
        'format_only=True, output_dir=DIR) writes them.'
    )
