"""``results/published.json``: which networks are published, and at which address.

``address`` is the one thing that whoever hosts the files fills in: the folder that they lie in.
``tools/model_zoo.py`` then writes each file's address into the metafiles, for ``mim download``.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mmca.errors import UserError
from mmca.files import write_atomic


@dataclass(frozen=True)
class Published:
    """A published network.

    Attributes:
        file: Name of its weights.
        sha256: Of the file.
        size: In bytes.
        seed: Of its run.
        value: Its metric, in percent, before its weights became float16.
    """

    file: str
    sha256: str
    size: int
    seed: int
    value: float


@dataclass
class Index:
    """All published networks.

    Attributes:
        address: http(s) address of the folder with the files; empty while they have none.
        networks: By the name of their config.
    """

    address: str = ''
    networks: dict[str, Published] = field(default_factory=dict)

    def url(self, config: str) -> str | None:
        """Address of a config's weights; None while they have none."""
        if config not in self.networks or not self.address:
            return None
        return f'{self.address.rstrip("/")}/{self.networks[config].file}'


def read_index(path: Path) -> Index:
    """The index; empty if there is no file.

    Raises:
        UserError: If it is damaged.
    """
    if not path.is_file():
        return Index()
    try:
        content = json.loads(path.read_text())
        networks = {config: Published(**entry) for config, entry in content['networks'].items()}
        index = Index(content['address'], networks)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f'{path}: damaged index ({error}); restore or delete it') from error
    if index.address and not index.address.startswith(('http://', 'https://')):
        raise UserError(f'{path}: address={index.address!r} is no http(s) address')
    return index


def write_index(path: Path, index: Index) -> None:
    """Write it, configs in the order of their names."""
    content = {'address': index.address, 'networks': {}}
    content['networks'] = {name: asdict(index.networks[name]) for name in sorted(index.networks)}
    write_atomic(path, (json.dumps(content, indent=2) + '\n').encode())
