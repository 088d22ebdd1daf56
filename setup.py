"""Packaging of mmca: code, and configs and tools under `mmca/.mim`, where `mim` looks for them."""

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
README = ROOT / 'README.md'
MIM_FILES = ('configs', 'tools', 'model-index.yml', 'dataset-index.yml')


class BuildWithMim(build_py):
    """Copies the files for mim into the built package, never into the source tree.

    An editable install needs no copy: mim reads the checkout itself.
    """

    def run(self):
        if self.editable_mode:
            super().run()
            return
        package = Path(self.build_lib) / 'mmca'
        if package.is_dir():  # a former build: files deleted since would live on in the wheel
            shutil.rmtree(package)
        super().run()
        for name in MIM_FILES:
            source, target = ROOT / name, package / '.mim' / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns('__pycache__'))
            elif source.is_file():
                shutil.copy2(source, target)


def requirements(name):
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines()
    return [line for line in lines if line and not line.startswith('#')]


setup(
    name='mmca',
    version=re.search(r"'(.+)'", (ROOT / 'mmca' / 'version.py').read_text())[1],
    description='Coordinate Attention for OpenMMLab detection and segmentation',
    long_description=README.read_text(encoding='utf-8') if README.is_file() else '',
    long_description_content_type='text/markdown',
    author='The mmca authors',
    license='Apache-2.0',
    license_files=['LICENSE'],
    classifiers=[
        'Programming Language :: Python :: 3',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
    packages=find_packages(include=['mmca', 'mmca.*']),
    package_data={'mmca': ['*.csv']},
    python_requires='>=3.10',
    # The OpenMMLab libraries come under two names each (mmengine or onedl-mmengine, ...), which
    # install the same modules: requiring one would overwrite the other. So the stack is an extra,
    # and `import mmca` checks what is installed.
    install_requires=['numpy', 'packaging', 'torch>=2.1'],
    # mmcv compiles against the torch already there: install torch first, then these with
    # `--no-build-isolation`; `make setup` does it all.
    extras_require={name: requirements(name) for name in ('onedl', 'upstream', 'tests')},
    cmdclass={'build_py': BuildWithMim},
    zip_safe=False,
)
