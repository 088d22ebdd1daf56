"""Write docs/input_faults.md: what becomes of faulty input, and the test of it.

Everything in it comes from the tests: ``@pytest.mark.input_fault(section, input, outcome)`` above
one. Run it after a change of such a line.
"""

import argparse
import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mmca.errors import UserError, told_to_the_user
from mmca.files import write_atomic
from mmca.tables.render import markdown_table

ROOT = Path(__file__).resolve().parents[1]
PAGE = 'docs/input_faults.md'
MARK = 'pytest.mark.input_fault'
SECTIONS = (
    'Weights',
    'Data folder',
    'Images',
    'Masks',
    'COCO annotations',
    'VOC annotations',
    'Lists and folders',
    'Classes',
    'Nothing to learn',
    'Missing files',
    'Configs',
    'Metrics and pictures',
    'Interrupted runs',
    'Any of it',
)
HEADER = """\
# Faulty input

What happens with input that is not as it should be, and which test shows it. *Refused* means: one
`Error:` with the file, the entry and what to do, before the run starts or, of files that the checks
do not look into, when they are read. [Troubleshooting](troubleshooting.md#data) quotes the
messages. All problems that the checks find are listed at once.

Written by `python tools/input_faults.py` from the tests.
"""


class Fault(NamedTuple):
    """One line of the page."""

    section: str
    input: str
    outcome: str
    file: str
    test: str


def faults(tests: Path) -> Iterator[Fault]:
    """Those that the tests below a folder are marked with, in order.

    Raises:
        UserError: If a mark has not three texts, or another section than `SECTIONS`.
    """
    for path in sorted(tests.rglob('test_*.py')):
        file = path.relative_to(tests.parent).as_posix()
        for node in ast.parse(path.read_text()).body:
            if not isinstance(node, ast.FunctionDef):
                continue
            for mark in node.decorator_list:
                if not isinstance(mark, ast.Call) or ast.unparse(mark.func) != MARK:
                    continue
                texts = [arg.value for arg in mark.args if isinstance(arg, ast.Constant)]
                if len(texts) != 3 or len(mark.args) != 3 or texts[0] not in SECTIONS:
                    raise UserError(
                        f'{file}:{mark.lineno}: {MARK} wants three texts: one of '
                        f'{", ".join(SECTIONS)}; the input; what happens'
                    )
                yield Fault(*texts, file, node.name)


def page() -> str:
    """The whole page."""
    parts = [HEADER]
    found = list(faults(ROOT / 'tests'))
    for section in SECTIONS:
        rows = [
            (fault.input, fault.outcome, f'[{fault.test}](../{fault.file})')
            for fault in found
            if fault.section == section
        ]
        if rows:
            table = markdown_table([('input', 'what happens', 'test'), *rows], left=3)
            parts.append(f'## {section}\n\n{table.strip()}\n')
    return '\n'.join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--check', action='store_true', help='only say whether it is up to date')
    args = parser.parse_args()
    path = ROOT / PAGE
    with told_to_the_user():
        text = page()
        if not args.check:
            write_atomic(path, text.encode())
        elif not path.is_file() or path.read_text() != text:
            raise UserError(f'{PAGE} is out of date: run python tools/input_faults.py')


if __name__ == '__main__':
    main()
