"""Packaging of mmca: code, and configs and tools under `mmca/.mim`, where `mim` looks for them."""

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.egg_info import egg_info
from setuptools.command.install_lib import install_lib

ROOT = Path(__file__).resolve().parent
README = ROOT / 'README.md'
MIM_FILES = ('configs', 'tools', 'model-index.yml', 'dataset-index.yml')
# openmim looks into `mmca`; onedl-mim into the folder of the first file that pip lists, which would
# be `mmca-....dist-info`: so a second copy under a name before that.
MIM_FOLDERS = ('mmca/.mim', '_mmca_mim/.mim')


class FreshBuild(build_py):
    """Forgets a former build: files deleted since would live on in the wheel."""

    def run(self):
        if not self.editable_mode:
            shutil.rmtree(Path(self.build_lib) / 'mmca', ignore_errors=True)
        super().run()


class InstallWithMim(install_lib):
    """Adds the files for mim to a wheel, and nothing to the source tree.

    Not even in `build/`: in an editable install mim searches the whole checkout.
    """

    def run(self):
        super().run()
        for folder in MIM_FOLDERS:
            target = Path(self.install_dir) / folder
            for name in MIM_FILES:
                if (ROOT / name).is_dir():
                    ignored = shutil.ignore_patterns('__pycache__')
                    shutil.copytree(ROOT / name, target / name, ignore=ignored)
                elif (ROOT / name).is_file():
                    shutil.copy2(ROOT / name, target)


class MetadataWithMim(egg_info):
    """Shows openmim the checkout of an editable install: as the first top-level name, a path."""

    def run(self):
        super().run()
        if 'editable_wheel' in self.distribution.commands:
            Path(self.egg_info, 'top_level.txt').write_text(f'{ROOT}\nmmca\n')


def requirements(name):
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines()
    return [line for line in lines if line and not line.startswith('#')]


# What each format of tools/export.py needs; tests pin those of the first three.
EXPORT = {
    'onnx': ['onnx', 'onnxruntime', 'ml_dtypes'],
    'openvino': ['onnx', 'openvino>=2026.4', 'nncf'],
    'ncnn': ['ncnn', 'pnnx'],
    'executorch': ['executorch'],
    # Each in an environment of its own, see docs/deployment.md.
    'litert': ['litert-torch', 'ai-edge-litert'],
    'coreml': ['coremltools'],
}

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
    package_data={'mmca': ['tables/*.csv', 'ops/cpp/*', 'export/custom_operator/*.cpp']},
    python_requires='>=3.10',
    # The OpenMMLab libraries come under two names each (mmengine or onedl-mmengine, ...), which
    # install the same modules: requiring one would overwrite the other. So the stack is an extra,
    # and `import mmca` checks what is installed.
    install_requires=['numpy', 'packaging', 'torch>=2.1'],
    # mmcv compiles against the torch already there: install torch first, then these with
    # `--no-build-isolation`; `make setup` does it all.
    extras_require={
        **{name: requirements(name) for name in ('onedl', 'upstream', 'tests')},
        **EXPORT,
        'web': [line for line in requirements('tests') if line.startswith('gradio=')],
        'grad-cam': [line for line in requirements('tests') if line.startswith('grad-cam=')],
    },
    cmdclass={
        'build_py': FreshBuild,
        'egg_info': MetadataWithMim,
        'install_lib': InstallWithMim,
    },
    zip_safe=False,
)
