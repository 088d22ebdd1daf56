"""What an exported file says of itself."""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from mmca.errors import UserError

KEY = 'mmca'  # under which a file holds it, where its format has a place


@dataclass(frozen=True)
class ExportMetadata:
    """All that is needed to feed an exported file and to read what it gives.

    Attributes:
        task: ``'classification'``, ``'segmentation'`` or ``'detection'``.
        target: The format, for example ``'onnx'``.
        input_name: Name of the file's input.
        input_layout: ``'NHWC'``, uint8; or ``'NCHW'``, float32.
        output_names: Names of the file's outputs, in order. A detector has ``boxes``, ``scores``
            and ``labels``, or, if the file is without NMS, ``boxes`` and ``class_scores``;
            segmentation ``class_map`` or ``logits``.
        size: Height and width that it was exported with.
        dynamic: Whether height, width and batch are free.
        batch: Images in a batch, unless that is free.
        classes: Names of the classes.
        palette: Their colours, RGB; empty if there are none.
        mean, std: Of the normalisation, in the network's order of channels.
        channel_order: ``'bgr'``, of the images that :class:`ExportedNetwork` takes.
        to_rgb: Whether the network itself takes RGB.
        preprocessing: Whether normalisation and order of channels are inside the file.
        resize: Transforms of the test pipeline that change an image's size, in order.
        nms: A detector's ``score_thr``, ``iou_threshold`` and ``max_per_img``.
        config: Name of the config's file.
        config_hash: SHA-256 of the config's settings.
        mmca_version: The version that wrote the file.
        int8: Whether it is quantised.
        loading: Options by which the test pipeline's LoadImageFromFile decodes an image file.
    """

    task: str
    target: str
    input_name: str
    input_layout: str
    output_names: tuple[str, ...]
    size: tuple[int, int]
    dynamic: bool
    batch: int
    classes: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    channel_order: str
    to_rgb: bool
    preprocessing: bool
    resize: tuple[dict[str, Any], ...]
    nms: dict[str, Any]
    config: str
    config_hash: str
    mmca_version: str
    int8: bool = False
    loading: dict[str, Any] = field(default_factory=lambda: {'imdecode_backend': 'pillow'})

    def to_json(self) -> str:
        """As text that :meth:`from_json` reads."""
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str | None, source: str | Path) -> 'ExportMetadata':
        """Read what :meth:`to_json` wrote.

        Raises:
            UserError: If it is something else, or None; ``source`` is named in the message.
        """
        if text is None:
            raise UserError(
                f'{source}: was not written by tools/export.py, it has no metadata of mmca'
            )
        try:
            entries = json.loads(text)
            names = {entry.name for entry in fields(cls)}
            known = {key: _tuples(value) for key, value in entries.items() if key in names}
            return cls(**known)
        except (ValueError, TypeError, AttributeError) as error:
            raise UserError(
                f'{source}: its metadata cannot be read ({error}); write the file again with '
                'tools/export.py'
            ) from error


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def path_beside(path: Path) -> Path:
    """Where the metadata of a file lies whose format has no place for it."""
    return path.with_name(f'{path.name}.json')


def read_beside(path: Path) -> ExportMetadata:
    """The metadata that lies beside a file.

    Raises:
        UserError: If there is none.
    """
    beside = path_beside(path)
    if not beside.is_file():
        raise UserError(
            f'{path}: {beside.name}, its metadata, is missing beside it; keep the two together'
        )
    return ExportMetadata.from_json(beside.read_text(), beside)
