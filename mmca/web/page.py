import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmca.errors import UserError
from mmca.predict import Predictor

from .look import Look, check_picture, draw_gates, failure, look_at

_WAITING = 16
_SESSIONS = 100
# Looked for old uploads how often, and how old: two visitors with one picture share its file, and
# one of them may be waiting.
_UPLOADS = 60, 120


def serve(
    networks: Mapping[str, Predictor],
    host: str = '127.0.0.1',
    port: int = 7860,
    max_upload: float = 20,
    max_megapixels: float = 50,
    wait: bool = True,
) -> Any:
    """Serve the page.

    Uploads lie in a temporary folder for three minutes at most; nothing else is written. One
    picture is looked at at a time; further ones wait, and above a number of these are refused.

    Args:
        networks (Mapping[str, Predictor]): What to look with, by name.
        host (str): Address to listen at; the default is reached from this machine alone.
        port (int): Its port; 0: any free one.
        max_upload (float): Most megabytes of an upload.
        max_megapixels (float): Most pixels of a picture, in 2**20.
        wait (bool): Serve until Ctrl-C; else return at once.

    Returns:
        gradio.Blocks: The page, with ``local_url`` and ``close()``.

    Raises:
        UserError: If gradio is missing, or the address cannot be had.
    """
    folder = tempfile.TemporaryDirectory(prefix='mmca-web-')
    os.environ['GRADIO_TEMP_DIR'] = folder.name
    os.environ['GRADIO_ANALYTICS_ENABLED'] = 'False'
    try:
        import gradio
    except ModuleNotFoundError as error:
        raise UserError("the page needs gradio: pip install 'mmca[web]'") from error
    page = _build(gradio, networks, max_megapixels)
    page.queue(max_size=_WAITING, default_concurrency_limit=1)
    plain = gradio.themes.Default(font=['sans-serif'], font_mono=['monospace'])
    try:
        page.launch(
            server_name=host,
            server_port=port or None,
            max_file_size=round(max_upload * 2**20),
            state_session_capacity=_SESSIONS,
            theme=plain,
            footer_links=[],
            ssr_mode=False,
            share=False,
            prevent_thread_lock=True,
            quiet=True,
        )
    except OSError as error:
        raise UserError(
            f'{host}:{port}: cannot be listened at ({error}); give another --port'
        ) from error
    page.folder = folder  # lives as long as the page
    print(f'{page.local_url} shows {", ".join(networks)}. Ctrl-C ends it.', flush=True)
    if wait:
        page.block_thread()
    return page


def _build(gradio: Any, networks: Mapping[str, Predictor], max_megapixels: float) -> Any:
    names = _layer_names(networks)

    def look(path: str | None, layer: str) -> tuple[str, str, Look | None]:
        if path is None:
            return '', '', None
        try:
            check_picture(path, max_megapixels)
            overlays, found = look_at(path, networks)
        except UserError as error:
            # The name of the upload, not of the folder that it lies in.
            return failure(str(error).replace(path, Path(path).name)), '', None
        return overlays, gates(found, layer), found

    def gates(found: Look | None, layer: str) -> str:
        return draw_gates(found, names.index(layer)) if found and names else ''

    with gradio.Blocks(title='mmca', delete_cache=_UPLOADS) as page:
        gradio.Markdown(f'## mmca\n{", ".join(networks)}')
        kept = gradio.State()
        with gradio.Row():
            with gradio.Column(scale=1):
                picture = gradio.Image(
                    label='Picture',
                    type='filepath',
                    image_mode=None,
                    sources=['upload', 'clipboard'],
                    elem_id='picture',
                )
                layer = gradio.Dropdown(
                    names,
                    value=names[-1] if names else None,
                    label='Attention',
                    visible=bool(names),
                )
            # An upload as the file that it is: gradio would decode it, whatever its size.
            picture.preprocess = lambda payload: payload and payload.path
            with gradio.Column(scale=2):
                overlay = gradio.HTML(elem_id='result')
                shown = gradio.HTML(elem_id='gates')
        outputs = [overlay, shown, kept]
        picture.change(look, [picture, layer], outputs, api_name='look', show_progress='minimal')
        layer.input(gates, [kept, layer], shown, api_name=False)
    return page


def _layer_names(networks: Mapping[str, Predictor]) -> list[str]:
    """The attentions, by their names in the network that has most of them."""
    found = [list(p.network.attentions) for p in networks.values()]
    return max(found, key=len)
