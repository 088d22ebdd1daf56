import importlib.util

from mmengine.runner.checkpoint import CheckpointLoader

from mmca.checkpoint import load_file


def prepare_libraries() -> None:
    """Have mmengine load checkpoints without running code from them, and evaluate COCO faster."""
    CheckpointLoader.register_scheme('', load_from_local, force=True)
    CheckpointLoader.register_scheme(['http://', 'https://'], load_from_http, force=True)
    # Before mmdet is imported, and with it pycocotools.
    if importlib.util.find_spec('faster_coco_eval') is not None:
        import faster_coco_eval

        faster_coco_eval.init_as_pycocotools()


# mmengine's log speaks of "the local backend" and of "http" because of these names.
def load_from_local(filename: str, map_location: str | None) -> dict:
    return _with_state_dict(load_file(filename, map_location or 'cpu'))


def load_from_http(filename: str, map_location: str | None) -> dict:
    return _with_state_dict(load_file(filename, map_location or 'cpu'))


def _with_state_dict(checkpoint: dict) -> dict:
    # mmengine's EMAHook asks for this entry; what is in it, CheckpointHook finds out.
    return checkpoint if 'state_dict' in checkpoint else {**checkpoint, 'state_dict': checkpoint}
