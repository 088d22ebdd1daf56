"""Say what is installed, what is missing or broken, and the one command that fixes it.

Exit status 0 when everything works, 1 otherwise. Needs nothing but Python, whatever is missing.
"""

import sys

if sys.version_info < (3, 10):
    sys.exit('mmca needs Python >= 3.10, this is %d.%d' % sys.version_info[:2])

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
from pathlib import Path

TOOLS = Path(__file__).resolve().parent
ROOT = TOOLS.parent
# Environments that `make setup` makes, in a checkout: {folder: stack}.
OWN = {ROOT / '.venv': 'onedl', ROOT / '.venv-upstream': 'upstream'}
HERE = Path(sys.prefix).resolve()

# Run in a process of its own: a library compiled against another torch may crash the interpreter.
# argv[1] is the device.
OPS_CHECK = """
import sys
import torch
from mmcv.ops import nms
boxes = torch.tensor([[0., 0., 9., 9.], [0., 0., 9., 8.], [20., 20., 30., 30.]], device=sys.argv[1])
scores = torch.tensor([0.9, 0.8, 0.7], device=sys.argv[1])
kept = nms(boxes, scores, 0.5)[1].tolist()
assert kept == [0, 2], f'mmcv.ops.nms kept boxes {kept}, not [0, 2]'
"""
TORCH_CHECK = """
import torch, torchvision
cuda = torch.cuda.is_available()
print(torch.cuda.get_device_name(0) if cuda else '')
"""
# argv[1] is the device.
ATTENTION_CHECK = """
import sys
import torch
from mmca.ops.implementation import describe
name, reason = describe(torch.device(sys.argv[1]))
print(f'{name} on {sys.argv[1]}: {reason}')
"""
MMCA_CHECK = 'import mmca, mmca.registry; print(mmca.__file__)'


def load_compatibility():
    """The module mmca/compatibility.py, without importing mmca (its import checks the versions).

    It lies beside tools/ in a checkout, above `.mim/tools/` in an installed package, and beside
    the copy that onedl-mim reads.
    """
    for folder in (ROOT / 'mmca', ROOT.parent, ROOT.parents[1] / 'mmca'):
        path = folder / 'compatibility.py'
        if path.is_file():
            spec = importlib.util.spec_from_file_location('mmca_compatibility', path)
            module = importlib.util.module_from_spec(spec)
            sys.modules[spec.name] = module
            spec.loader.exec_module(module)
            return module
    sys.exit(f'mmca/compatibility.py not found near {TOOLS}: the copy of mmca is incomplete')


def run_snippet(code: str, *args: str) -> tuple:
    """Run Python code outside the checkout: (worked, last line of its output)."""
    done = subprocess.run(
        [sys.executable, '-c', code, *args],
        cwd=TOOLS,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors='replace',
    )
    lines = done.stdout.strip().splitlines()
    last = lines[-1] if lines else ''
    if done.returncode < 0:
        last = f'the process died of signal {-done.returncode}'
    return done.returncode == 0, last


def distribution_version(name: str) -> str:
    """Installed version of a distribution, '' if there is none."""
    try:
        return importlib.metadata.version(name) or ''
    except importlib.metadata.PackageNotFoundError:
        return ''


def row(what: str, state: str) -> None:
    print(f'{what:<16} {state}')


def check_torch() -> tuple:
    """Print the torch rows; returns ({problem: fix}, devices that torch sees)."""
    problems = {}
    for name in ('torch', 'torchvision'):
        version = distribution_version(name)
        row(name, version or 'missing')
        if not version:
            problems[f'{name} is not installed'] = f'pip install {name}'
    if problems:
        return problems, []
    worked, said = run_snippet(TORCH_CHECK)
    if not worked:
        row('', f'does not import: {said}')
        fix = 'pip install --force-reinstall torch torchvision'
        return {f'torch or torchvision does not import: {said}': fix}, []
    row('CUDA', said or 'not seen (training runs on the CPU)')
    return {}, ['cpu', 'cuda'] if said else ['cpu']


def check_libraries(compatibility) -> dict:
    """Print a row for each OpenMMLab library; returns {problem: fix}."""
    problems = {}
    for library in compatibility.LIBRARIES:
        found = compatibility.installed(library)
        problem = compatibility.problem_with(library)
        versions = ' and '.join(f'{name} {version}' for name, version in found.items())
        if problem:
            row(library.module, f'{versions or "missing"}  <- wrong, wanted {library.accepted}')
            text, _, fix = problem.partition(': ')
            problems[text] = fix
        elif found:
            row(library.module, f'{versions}  (in range {library.accepted})')
        else:
            row(library.module, 'missing (optional)')
            if HERE in OWN:
                problems[f'{library.module} is not installed'] = compatibility.fix_for(library)
    return problems


def check_ops(compatibility, devices: list) -> dict:
    """Print a row for mmcv's compiled operators on each device; returns {problem: fix}."""
    problems = {}
    for device in devices:
        worked, said = run_snippet(OPS_CHECK, device)
        row('mmcv.ops', f'work on {device}' if worked else f'fail on {device}: {said}')
        if not worked:
            mmcv = compatibility.LIBRARIES[1]
            anew = '--no-cache-dir --force-reinstall --no-deps'
            problems[f'mmcv.ops fail on {device}: {said}'] = f'{compatibility.fix_for(mmcv)} {anew}'
    return problems


def check_mmca() -> dict:
    """Print the row of mmca itself; returns {problem: fix}."""
    worked, said = run_snippet(MMCA_CHECK)
    version = distribution_version('mmca') or 'not installed'
    row('mmca', f'{version}  {said}' if worked else f'{version}, import fails: {said}')
    if worked:
        return {}
    fix = '' if distribution_version('mmca') else f'pip install --no-build-isolation -e {ROOT}'
    return {f'mmca does not import: {said}': fix}


def check_attention(devices: list) -> dict:
    """Print the implementation of the attention on each device; returns {problem: fix}."""
    problems = {}
    for device in devices:
        worked, said = run_snippet(ATTENTION_CHECK, device)
        row('attention', said if worked else f'fails on {device}: {said}')
        if not worked:
            fix = 'unset MMCA_ATTENTION' if 'MMCA_ATTENTION' in os.environ else ''
            problems[f'attention fails on {device}: {said}'] = fix
    return problems


def fix_command(compatibility, problems: dict) -> str:
    """The command that repairs this environment."""
    some = any(compatibility.installed(library) for library in compatibility.LIBRARIES)
    if HERE not in OWN and (some or not (ROOT / 'Makefile').is_file()):  # the user's own one
        return ' && '.join(filter(None, dict.fromkeys(problems.values())))
    stack = ' STACK=upstream' if OWN.get(HERE) == 'upstream' else ''
    stamps = HERE / 'setup-stamps'
    if HERE in OWN and stamps.is_dir():  # the set-up takes for done what is not: check it all
        return f'rm -r {stamps.relative_to(ROOT)} && make setup{stack}'
    return f'make setup{stack}'


def main() -> int:
    """Print the report; returns the exit status."""
    compatibility = load_compatibility()
    row('Python', f'{platform.python_version()}  {sys.executable}')
    row('platform', platform.platform())
    row('C++ compiler', shutil.which('g++') or shutil.which('c++') or 'not found')
    problems, devices = check_torch()
    problems |= check_libraries(compatibility)
    if compatibility.installed(compatibility.LIBRARIES[1]):
        problems |= check_ops(compatibility, devices)
    broken = check_mmca()
    problems |= broken
    # Attention works without fast kernels, too: only its setting can be wrong.
    setting = {} if broken else check_attention(devices)
    if not problems and not setting:
        print('\nEverything works.')
        return 0
    print('\nWrong or missing:')
    for problem in [*problems, *setting]:
        print(f'  - {problem}')
    # A new set-up would not mend the setting.
    fix = fix_command(compatibility, problems) if problems else next(iter(setting.values()))
    if fix:
        print(f'To fix it: {fix}')
    return 1


if __name__ == '__main__':
    sys.exit(main())
