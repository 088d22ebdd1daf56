import os
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend


class AtomicBackend(LocalBackend):
    """Local files that are whole or absent: written beside, synced, then renamed."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        filepath = Path(filepath)
        filepath.parent.mkdir(parents=True, exist_ok=True)
        # Hidden and without the suffix, so that nothing takes a leftover for a checkpoint.
        partial = filepath.with_name(f'.{filepath.name}.partial')
        with open(partial, 'wb') as file:
            file.write(obj)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, filepath)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        self.put(obj.encode(encoding), filepath)


register_backend('atomic', AtomicBackend, force=True)
