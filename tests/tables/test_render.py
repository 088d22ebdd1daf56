"""Tables as text and as markdown."""

from types import SimpleNamespace

from mmca.tables import find_row
from mmca.tables.render import figures, filled_columns, markdown_table, text_table

LINES = [['config', 'a', 'value'], ['mbv2', '', '3.5'], ['mbv2ca', '', '12.25']]


def test_text():
    assert text_table(LINES).splitlines() == [
        'config  a  value',
        'mbv2         3.5',
        'mbv2ca     12.25',
    ]


def test_markdown():
    assert markdown_table(LINES[:2], left=2).splitlines() == [
        '| config | a | value |',
        '| --- | --- | ---: |',
        '| mbv2 |  | 3.5 |',
    ]
    assert markdown_table(LINES, aligned=True).splitlines() == [
        '| config | a | value |',
        '| ------ | : | ----: |',
        '| mbv2   |   |   3.5 |',
        '| mbv2ca |   | 12.25 |',
    ]


def test_empty_columns_are_left_out():
    assert filled_columns(LINES)[1] == ['mbv2', '3.5']
    assert filled_columns(LINES, keep=[1]) == LINES


def test_figures_are_published_beside_computed_and_trained():
    counts = SimpleNamespace(parameters=3950900, multiply_adds=306650000)
    cells = ['3.95', '3.951', '310', '306.6', '74.3', '74.00']
    assert figures(find_row('mbv2ca_imagenet'), counts, '74.00') == cells
    assert figures(find_row('ssdlite320_mbv2ca_voc'), None) == ['4.8', '', '', '', '73.1', '']
    assert figures(None, counts) == ['', '3.951', '', '306.6', '', '']
