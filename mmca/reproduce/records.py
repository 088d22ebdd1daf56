"""Machine-readable outcomes: what a number in a report leads back to."""

import hashlib
import json
import os
import platform
import subprocess
from pathlib import Path

import torch
from mmengine.config import Config

import mmca
from mmca.compatibility import LIBRARIES, installed
from mmca.errors import UserError
from mmca.files import write_atomic

from .settings import ROOT, config_path


def file_hash(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def config_hash(name: str) -> str:
    """SHA-256 of a config with all that it inherits: any changed value changes it."""
    settings = Config.fromfile(config_path(name)).to_dict()
    text = json.dumps(settings, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()


def write_json(path: Path, content: dict) -> None:
    """Write a JSON file that is whole or absent."""
    write_atomic(path, (json.dumps(content, indent=2) + '\n').encode())


def read_record(path: Path) -> dict | None:
    """A record; None if there is none.

    Raises:
        UserError: If the file is damaged.
    """
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text())
        float(record['value'])
        return record
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f'{path}: damaged record ({error}); restore or delete it') from error


def source_state() -> dict:
    """Version of mmca, and commit of the checkout that it runs from, if it does."""

    def git(*arguments: str) -> str:
        command = ['git', '-C', str(ROOT), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    # A container image holds no .git.
    state = {'mmca': mmca.__version__, 'commit': os.environ.get('MMCA_COMMIT') or None}
    try:
        # An installed copy may lie below another project's checkout.
        if Path(git('rev-parse', '--show-toplevel')).resolve() == ROOT:
            state['commit'] = git('rev-parse', 'HEAD')
            state['changed_since'] = bool(
                git('status', '--porcelain', '--', 'mmca', 'configs', 'tools')
            )
    except (OSError, subprocess.CalledProcessError):
        pass
    return state


def environment() -> dict:
    """Versions of the libraries, and the machine."""
    versions = {'python': platform.python_version(), 'torch': torch.__version__}
    for library in LIBRARIES:
        versions.update(installed(library))
    model = ''
    if Path('/proc/cpuinfo').is_file():
        lines = Path('/proc/cpuinfo').read_text().splitlines()
        model = next((x.partition(':')[2].strip() for x in lines if x.startswith('model name')), '')
    machine = {'cpu': model, 'cores': os.cpu_count(), 'threads': torch.get_num_threads()}
    if torch.cuda.is_available():
        machine['gpu'] = torch.cuda.get_device_name()
    return {'versions': versions, 'machine': machine}


def records_of(config: str, reports: Path) -> dict[int, dict]:
    """Records of a config by seed, as far as they are there, below a folder of reports."""
    paths = (reports / 'runs').glob(f'{config}_seed_*.json')
    found = [record for path in paths if (record := read_record(path))]
    return {record['seed']: record for record in sorted(found, key=lambda record: record['seed'])}


def trained_value(config: str, results: Path) -> float | None:
    """Mean of a config's trained metric over its seeds, in percent; None if it is not trained."""
    values = [record['value'] for record in records_of(config, results).values()]
    return round(sum(values) / len(values), 2) if values else None
