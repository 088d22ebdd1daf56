"""Small pictures and archives in the layouts of published datasets."""

import io
import tarfile
import zipfile

import numpy as np
from PIL import Image

# Nothing listens on port 9 here, so a download fails as it does without internet.
CLOSED = 'http://127.0.0.1:9/'


def encoded(array, kind='PNG'):
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(array, np.uint8)).save(buffer, kind)
    return buffer.getvalue()


def picture(seed, kind='PNG', size=(24, 32)):
    return encoded(np.random.default_rng(seed).integers(0, 256, (*size, 3)), kind)


def write_tar(path, files):
    with tarfile.open(path, 'w:gz' if path.suffix == '.tgz' else 'w') as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def write_zip(path, files):
    with zipfile.ZipFile(path, 'w') as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def tree(root):
    files = (path for path in root.rglob('*') if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def write_files(root, files):
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
