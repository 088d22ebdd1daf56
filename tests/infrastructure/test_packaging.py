import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import packaging
import pytest

from helpers import preloaded

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ('mmca', 'configs', 'tools', 'requirements')
FILES = ('setup.py', 'pyproject.toml', 'MANIFEST.in', 'README.md', 'LICENSE', 'CHANGELOG.md')
VERSION = re.search(r"'(.+)'", (ROOT / 'mmca' / 'version.py').read_text())[1]

pytestmark = pytest.mark.slow


def files_below(folder):
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob('*')
        if path.is_file() and '__pycache__' not in path.parts
    }


def run(*command, cwd):
    done = subprocess.run(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def build_wheel(source, target):
    pip = (sys.executable, '-m', 'pip', '-q', 'wheel', '--no-build-isolation', '--no-deps')
    run(*pip, '-w', str(target), '.', cwd=source)
    return zipfile.ZipFile(target / f'mmca-{VERSION}-py3-none-any.whl')


@pytest.fixture(scope='module')
def checkout(tmp_path_factory):
    """A copy of the project, with what a build before some files were deleted left behind."""
    copy = tmp_path_factory.mktemp('checkout')
    for name in FOLDERS:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns('__pycache__'))
    for name in FILES:
        shutil.copy2(ROOT / name, copy)
    for name in ('model-index.yml', 'dataset-index.yml'):
        (copy / name).touch()
    stale = copy / 'build' / 'lib' / 'mmca'
    (stale / '.mim' / 'configs').mkdir(parents=True)
    (stale / 'deleted.py').touch()
    (stale / '.mim' / 'configs' / 'deleted.py').touch()
    return copy


@pytest.fixture(scope='module')
def wheel(checkout, tmp_path_factory):
    return build_wheel(checkout, tmp_path_factory.mktemp('wheel'))


def test_wheel_carries_code_configs_and_tools(wheel, checkout):
    names = {n for n in wheel.namelist() if '.dist-info/' not in n}
    expected = {
        f'mmca/{name}'
        for name in files_below(ROOT / 'mmca')
        if name.endswith(('.py', '.csv', '.cpp', '.h'))
    }
    for mim in ('mmca/.mim', '_mmca_mim/.mim'):
        for folder in ('configs', 'tools'):
            expected |= {f'{mim}/{folder}/{name}' for name in files_below(ROOT / folder)}
        expected |= {f'{mim}/model-index.yml', f'{mim}/dataset-index.yml'}
    assert names == expected
    assert not (checkout / 'mmca' / '.mim').exists()


def test_wheel_does_not_choose_a_stack(wheel):
    metadata = wheel.read(f'mmca-{VERSION}.dist-info/METADATA').decode()
    needed = re.findall(r'^Requires-Dist: ([\w-]+)[^;\n]*$', metadata, re.M)
    assert sorted(needed) == ['numpy', 'packaging', 'torch']
    for extra in ('onedl', 'upstream', 'tests'):
        assert f'Provides-Extra: {extra}\n' in metadata
    assert 'Requires-Dist: mmdet==3.3.0; extra == "upstream"' in metadata
    assert 'Requires-Python: >=3.10' in metadata


def test_wheel_from_source_archive_is_the_same(wheel, checkout, tmp_path):
    code = 'import sys, setuptools.build_meta as b; b.build_sdist(sys.argv[1])'
    run(sys.executable, '-c', code, str(tmp_path), cwd=checkout)
    with tarfile.open(tmp_path / f'mmca-{VERSION}.tar.gz') as archive:
        archive.extractall(tmp_path)
    again = build_wheel(tmp_path / f'mmca-{VERSION}', tmp_path)
    assert sorted(again.namelist()) == sorted(wheel.namelist())


def test_editable_install_copies_nothing(checkout, tmp_path):
    code = 'import sys, setuptools.build_meta as b; b.build_editable(sys.argv[1])'
    run(sys.executable, '-c', code, str(tmp_path), cwd=checkout)
    [wheel] = tmp_path.glob('*.whl')
    assert not [name for name in zipfile.ZipFile(wheel).namelist() if '.mim' in name]
    assert not (checkout / 'mmca' / '.mim').exists()


def test_doctor_works_in_the_project_environment():
    done = subprocess.run(
        [sys.executable, ROOT / 'tools' / 'doctor.py'], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'mmcv.ops         work on cpu' in done.stdout
    assert re.search(r'^attention        (cpp|plain) on cpu: \w', done.stdout, re.M), done.stdout
    assert done.stdout.endswith('Everything works.\n')


@pytest.mark.parametrize(
    ('setting', 'code', 'row', 'end'),
    [
        ('plain', 0, 'plain on cpu: MMCA_ATTENTION=plain', 'Everything works.'),
        ('fast', 1, "fails on cpu: ValueError: MMCA_ATTENTION='fast'", 'unset MMCA_ATTENTION'),
    ],
)
def test_doctor_reads_the_attention_setting(setting, code, row, end):
    done = subprocess.run(
        [preloaded.python(), ROOT / 'tools' / 'doctor.py'],
        capture_output=True,
        text=True,
        env=os.environ | {'MMCA_ATTENTION': setting},
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert f'\nattention        {row}' in done.stdout
    assert done.stdout.endswith(f'{end}\n')


@pytest.fixture
def bare_python(tmp_path):
    venv.create(tmp_path / 'bare')
    return tmp_path / 'bare' / 'bin' / 'python'


def test_doctor_without_libraries(bare_python):
    done = subprocess.run(
        [bare_python, ROOT / 'tools' / 'doctor.py'], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert 'torch is not installed' in done.stdout
    assert 'mmca needs mmcv>=2.1.0,<2.4, which is missing\n' in done.stdout
    assert done.stdout.endswith('To fix it: make setup\n')


def test_doctor_in_the_users_own_environment(bare_python, wheel):
    [site] = bare_python.parents[1].glob('lib/python*/site-packages')
    wheel.extractall(site)
    (site / 'mmcv-2.1.0.dist-info').mkdir()
    (site / 'mmcv-2.1.0.dist-info' / 'METADATA').write_text('Name: mmcv\nVersion: 2.1.0\n')
    shutil.copytree(packaging.__path__[0], site / 'packaging')
    doctor = site / 'mmca' / '.mim' / 'tools' / 'doctor.py'
    done = subprocess.run([bare_python, doctor], capture_output=True, text=True)
    assert done.returncode == 1
    assert 'mmcv 2.1.0  (in range >=2.1.0,<2.4)' in done.stdout
    fix = 'pip install torch && pip install torchvision && pip install mmengine==0.10.7'
    assert done.stdout.endswith(f'To fix it: {fix}\n')
