import subprocess
import sys
from pathlib import Path

import packaging.specifiers  # noqa: F401  (imported before the tests empty sys.path)
import pytest

from mmca.compatibility import (
    LIBRARIES,
    check_versions,
    installed,
    preferred,
    problem_with,
)

ROOT = Path(__file__).resolve().parents[2]
ONEDL = {name: version for library in LIBRARIES for name, version in [[*library.tested.items()][0]]}
UPSTREAM = {
    name: version for library in LIBRARIES for name, version in [[*library.tested.items()][1]]
}


def add_distribution(folder, name, version):
    info = folder / f'{name.replace("-", "_")}-{version}.dist-info'
    info.mkdir(parents=True)
    text = f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n'
    (info / 'METADATA').write_text(text)


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Make exactly these distributions the installed ones."""

    def do(versions):
        for name, version in versions.items():
            add_distribution(tmp_path, name, version)
        monkeypatch.setattr(sys, 'path', [str(tmp_path)])

    return do


@pytest.mark.parametrize('stack', ['onedl', 'upstream'])
def test_suggested_versions_are_the_pinned_ones(stack):
    tested = ONEDL if stack == 'onedl' else UPSTREAM
    lines = (ROOT / 'requirements' / f'{stack}.txt').read_text().splitlines()
    assert {f'{name}=={version}' for name, version in tested.items()} <= set(lines)


@pytest.mark.parametrize('versions', [ONEDL, UPSTREAM], ids=['onedl', 'upstream'])
def test_tested_versions_pass(install, versions):
    install(versions)
    check_versions()


def test_optional_libraries_may_be_missing(install):
    install({'mmengine': '0.10.7', 'mmcv': '2.1.0'})
    check_versions()


@pytest.mark.parametrize(
    ('name', 'version', 'wanted', 'command'),
    [
        ('mmengine', '0.10.6', 'mmengine>=0.10.7,<0.11', 'pip install mmengine==0.10.7'),
        ('mmengine', '0.11.0', 'mmengine>=0.10.7,<0.11', 'pip install mmengine==0.10.7'),
        ('mmcv', '2.0.1', 'mmcv>=2.1.0,<2.4', 'pip install --no-build-isolation mmcv==2.1.0'),
        ('mmdet', '2.28.2', 'mmdet>=3.3.0,<3.6', 'pip install mmdet==3.3.0'),
        ('mmsegmentation', '0.30.0', 'mmseg>=1.2.2,<1.5', 'pip install mmsegmentation==1.2.2'),
        ('mmpretrain', '1.4.0', 'mmpretrain>=1.2.0,<1.4', 'pip install mmpretrain==1.2.0'),
    ],
)
def test_version_out_of_range(install, name, version, wanted, command):
    install({**UPSTREAM, name: version})
    with pytest.raises(RuntimeError) as error:
        check_versions()
    assert str(error.value) == f'mmca needs {wanted}, found {name} {version}: {command}'


@pytest.mark.parametrize('version', ['2.1.0', '2.3.6', '2.3.7rc1', '2.1.0+cpu', '2.3.6.post1'])
def test_versions_in_range(install, version):
    install({'mmengine': '0.10.7', 'mmcv': version})
    check_versions()


def test_fix_stays_with_the_stack_in_use(install):
    install({**ONEDL, 'onedl-mmdetection': '3.6.0'})
    with pytest.raises(
        RuntimeError, match='found onedl-mmdetection 3.6.0: pip install onedl-mmdet'
    ):
        check_versions()


def test_required_libraries_missing(install):
    install({})
    with pytest.raises(RuntimeError) as error:
        check_versions()
    assert str(error.value).splitlines() == [
        'mmca needs mmengine>=0.10.7,<0.11, which is missing: pip install onedl-mmengine==0.10.12',
        'mmca needs mmcv>=2.1.0,<2.4, which is missing: '
        'pip install --no-build-isolation onedl-mmcv==2.3.6',
    ]


def test_both_flavours_of_a_library(install):
    install({**UPSTREAM, 'onedl-mmcv': '2.3.6'})
    command = 'pip uninstall -y onedl-mmcv mmcv && pip install --no-build-isolation mmcv==2.1.0'
    with pytest.raises(RuntimeError, match='onedl-mmcv 2.3.6 and mmcv 2.1.0 are both') as error:
        check_versions()
    assert str(error.value).endswith(command)


def test_damaged_installation(install, tmp_path):
    install(UPSTREAM)
    (tmp_path / 'mmdet-3.3.0.dist-info' / 'METADATA').write_text('')
    with pytest.raises(RuntimeError, match='mmdet is damaged: .* --force-reinstall'):
        check_versions()


def test_importing_mmca_checks(tmp_path):
    mmengine = LIBRARIES[0]
    assert installed(mmengine) and not problem_with(mmengine)
    add_distribution(tmp_path, preferred(mmengine), '0.11.0')
    code = f'import sys; sys.path.insert(0, {str(tmp_path)!r}); import mmca'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 1
    assert (
        f'RuntimeError: mmca needs mmengine>=0.10.7,<0.11, found {preferred(mmengine)} 0.11.0'
        in (done.stderr)
    )
