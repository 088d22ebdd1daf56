"""Which versions of the OpenMMLab libraries mmca works with.

Reads the metadata of installed distributions, imports none of the libraries, and needs nothing
else of mmca: ``tools/doctor.py`` loads this file on its own.
"""

from importlib import metadata
from typing import NamedTuple


class Library(NamedTuple):
    """An OpenMMLab library and the distributions that provide it.

    Attributes:
        module: Import name.
        accepted: Version range, as in a requirement.
        tested: ``{distribution: version}`` that fixes suggest, OneDL's fork first (the same
            versions as in ``requirements/``).
        required: Whether mmca needs the library in any case.
    """

    module: str
    accepted: str
    tested: dict[str, str]
    required: bool = False


LIBRARIES = (
    Library(
        'mmengine', '>=0.10.7,<0.11', {'onedl-mmengine': '0.10.12', 'mmengine': '0.10.7'}, True
    ),
    Library('mmcv', '>=2.1.0,<2.4', {'onedl-mmcv': '2.3.6', 'mmcv': '2.1.0'}, True),
    Library('mmdet', '>=3.3.0,<3.6', {'onedl-mmdetection': '3.5.1', 'mmdet': '3.3.0'}),
    Library('mmseg', '>=1.2.2,<1.5', {'onedl-mmsegmentation': '1.4.2', 'mmsegmentation': '1.2.2'}),
    Library('mmpretrain', '>=1.2.0,<1.4', {'onedl-mmpretrain': '1.3.6', 'mmpretrain': '1.2.0'}),
)


def installed(library: Library) -> dict[str, str]:
    """Installed distributions of a library: ``{name: version}``, '' for an unreadable version."""
    found = {}
    for name in library.tested:
        try:
            found[name] = metadata.version(name) or ''
        except metadata.PackageNotFoundError:
            continue
        # No METADATA in it: on Python 3.12, and with the importlib_metadata backport loaded.
        except (KeyError, FileNotFoundError):
            found[name] = ''
    return found


def preferred(library: Library) -> str:
    """The distribution of a library that belongs to the stack in use (OneDL's when none is)."""
    onedl, upstream = library.tested
    names = [name for other in LIBRARIES for name in installed(other)]
    forks = sum(name.startswith('onedl-') for name in names)
    return upstream if len(names) - forks > forks else onedl


def fix_for(library: Library) -> str:
    """The pip command that installs the tested version of a library."""
    name = preferred(library)
    isolation = '--no-build-isolation ' if library.module == 'mmcv' else ''
    return f'pip install {isolation}{name}=={library.tested[name]}'


def problem_with(library: Library) -> str:
    """What is wrong with the installed library and the command that fixes it, '' if nothing is."""
    found = installed(library)
    if not found:
        if not library.required:
            return ''
        return (
            f'mmca needs {library.module}{library.accepted}, which is missing: {fix_for(library)}'
        )
    if len(found) > 1:
        both = ' and '.join(f'{name} {version}' for name, version in found.items())
        return (
            f'{both} are both installed and overwrite each other (both are imported as '
            f'{library.module}): pip uninstall -y {" ".join(found)} && {fix_for(library)}'
        )
    [(name, version)] = found.items()
    if not version:
        return (
            f'the installation of {name} is damaged: {fix_for(library)} --force-reinstall --no-deps'
        )

    try:  # here, so that the doctor runs without it
        from packaging.specifiers import SpecifierSet
    except ModuleNotFoundError:
        return 'the versions cannot be compared without packaging: pip install packaging'

    if SpecifierSet(library.accepted).contains(version, prereleases=True):
        return ''
    return (
        f'mmca needs {library.module}{library.accepted}, found {name} {version}: {fix_for(library)}'
    )


def check_versions() -> None:
    """Check the installed OpenMMLab libraries; called by ``import mmca.registry``.

    Raises:
        RuntimeError: A required library is missing, a version is out of range, or both flavours of
            a library are installed. (Not ImportError: mmengine's registry swallows that.)
    """
    problems = list(filter(None, map(problem_with, LIBRARIES)))
    if problems:
        raise RuntimeError('\n'.join(problems))
