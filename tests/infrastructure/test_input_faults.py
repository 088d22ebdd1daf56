"""The catalogue of faulty input is what the tests are marked with."""

import pytest

import input_faults
from helpers.tools import ROOT, run_tool
from mmca.errors import UserError


def test_the_page_is_up_to_date():
    outcome = run_tool('input_faults', '--check')
    assert outcome.code == 0, outcome.output


def test_each_section_has_a_fault_and_each_fault_says_what_happens():
    faults = list(input_faults.faults(ROOT / 'tests'))
    assert {fault.section for fault in faults} == set(input_faults.SECTIONS)
    assert all(fault.input.strip() and fault.outcome.strip() for fault in faults)
    assert len({fault[:3] for fault in faults}) == len(faults)


@pytest.mark.parametrize('mark', ["'Masks', 'one'", "'Mask', 'one', 'two'", "'Masks', 'one', two"])
def test_a_mark_that_says_too_little_is_named(tmp_path, mark):
    path = tmp_path / 'tests/test_x.py'
    path.parent.mkdir()
    path.write_text(f'@pytest.mark.input_fault({mark})\ndef test_x():\n    pass\n')
    with pytest.raises(UserError, match=r'tests/test_x.py:1: .* wants three texts'):
        list(input_faults.faults(path.parent))
