from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from mmca.errors import UserError
from mmca.files import write_atomic


class AtomicBackend(LocalBackend):
    """Local files that are whole or absent, also after a power failure."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        try:
            write_atomic(filepath, obj, durable=True)
        except OSError as error:
            raise UserError(
                f'{filepath}: cannot be written ({error.strerror}): make room or give another '
                'folder, and go on from the checkpoint before with --resume'
            ) from error

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        self.put(obj.encode(encoding), filepath)


register_backend('atomic', AtomicBackend, force=True)
