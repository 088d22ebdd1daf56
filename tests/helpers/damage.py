"""Small damages of files, as editors, scripts, disks and people make them."""

from collections.abc import Callable
from pathlib import Path

from hypothesis import strategies as st

from .damage_of_files import IMAGES, OF_FILES, Damage, pick, restore_as_folder
from .damage_of_images import OF_IMAGES
from .damage_of_text import OF_JSON, OF_LISTS, OF_TEXT, OF_XML

__all__ = ['Damage', 'apply', 'damages']


def damages() -> st.SearchStrategy[list[Damage]]:
    """One or two damages."""
    number = st.sampled_from(range(10_007))  # evenly, which integers() are not
    damage = st.builds(Damage, number, number, number, number)
    return st.one_of(damage.map(lambda item: [item]), st.lists(damage, min_size=1, max_size=2))


def apply(damage: Damage, root: Path) -> str:
    """Damage a file below ``root``; which one and how, in words."""
    files = sorted(path for path in root.rglob('*') if path.is_file() or path.is_symlink())
    # What somebody wrote more often than pictures.
    files = [path for path in files for _ in range(1 if path.suffix == '.jpg' else 4)]
    path = pick(files, damage.file)
    whole = path.is_file() and path.stat().st_size > 0
    how = pick(_ways(path) if whole else [restore_as_folder], damage.how)
    how(path, damage)
    way = how.__name__.strip('_')
    return f'{path.relative_to(root)}: {way} {damage.place}, {damage.value}'


def _ways(path: Path) -> list[Callable[[Path, Damage], None]]:
    """Ways to damage a file; those of its format more often."""
    if path.suffix in IMAGES:
        return OF_IMAGES * 2 + OF_FILES
    if path.suffix == '.json':
        return OF_JSON * 3 + OF_TEXT + OF_FILES
    if path.suffix == '.xml':
        return OF_XML * 3 + OF_TEXT + OF_FILES
    return OF_LISTS * 2 + OF_TEXT + OF_FILES
