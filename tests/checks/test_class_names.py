"""Names of classes, in a config or in a file that it names, are what the libraries will read."""

import pytest
from mmengine.registry import DATASETS

from mmca.checks.class_names import class_names

KINDS = ('mmdet.CocoDataset', 'mmseg.BaseSegDataset', 'mmpretrain.CustomDataset')


@pytest.fixture(params=KINDS)
def kind(request) -> type:
    return DATASETS.get(request.param)


def error(kind, **leaf) -> str:
    with pytest.raises(ValueError) as raised:
        class_names(kind, leaf)
    return str(raised.value)


@pytest.mark.parametrize('content', [b'cat\ntraffic light\n', b'cat\r\ntraffic light\r\n'])
@pytest.mark.input_fault('Classes', 'a file of classes with the line ends of Windows', 'read')
def test_a_file_of_names(kind, tmp_path, content):
    path = tmp_path / 'classes.txt'
    path.write_bytes(content)
    for leaf in (dict(metainfo=dict(classes=str(path))), dict(classes=str(path))):
        assert class_names(kind, leaf) == (['cat', 'traffic light'], str(path))
    assert class_names(kind, dict(metainfo=dict(classes=('a', 'b')))) == (('a', 'b'), ('a', 'b'))


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'\xef\xbb\xbfcat\ndog\n', 'save the file as UTF-8 without a byte order mark'),
        ('cat\ndog\n'.encode('utf-16'), 'not UTF-8 (invalid start byte at byte 0)'),
        (b'cat\n\ndog\n', "blank, twice, or with blanks around: ''; correct them"),
        (b'cat\ndog \n', "with blanks around: 'dog '; correct them"),
        (b'', 'no classes (from '),
    ],
)
@pytest.mark.input_fault(
    'Classes',
    'a file of classes with a byte order mark, in UTF-16, with blanks or blank lines, or empty',
    'refused, in all three libraries',
)
def test_a_file_that_would_name_other_classes(kind, tmp_path, content, message):
    path = tmp_path / 'classes.txt'
    path.write_bytes(content)
    for leaf in (dict(metainfo=dict(classes=str(path))), dict(classes=str(path))):
        assert message in error(kind, **leaf)
        assert str(path) in error(kind, **leaf)


@pytest.mark.input_fault(
    'Classes',
    'a file of classes that is missing, or lies in `data_root`, where nobody looks for it',
    'refused, with the path to give',
)
def test_a_file_that_is_not_there(kind, tmp_path):
    (tmp_path / 'names.txt').write_text('cat\n')
    given = dict(metainfo=dict(classes='names.txt'), data_root=str(tmp_path))
    assert error(kind, **given) == (
        "metainfo.classes='names.txt' is looked for where the command runs, not in data_root: give "
        f"'{tmp_path}/names.txt'"
    )
    gone = f'{tmp_path}/name.txt'
    assert error(kind, classes=gone) == (
        f"classes='{gone}' is no file that exists; its folder holds 1 .txt: correct the path"
    )
    assert "one class is written classes=('cat',)" in error(kind, classes='cat')


def test_what_are_no_names(kind):
    assert 'give a list of names' in error(kind, classes={'cat', 'dog'})  # in no order
    assert error(kind, classes=[1, 2]).endswith('1, 2; correct them')


def test_names_that_are_there_twice_are_refused_by_mmdet_alone():
    """ImageNet has two cranes."""
    for name in KINDS:
        leaf = dict(classes=('crane', 'crane'))
        if name.startswith('mmdet'):
            assert 'twice' in error(DATASETS.get(name), **leaf)
        else:
            assert class_names(DATASETS.get(name), leaf)[0] == ('crane', 'crane')


def test_a_text_that_no_file_can_be_called(kind):
    assert 'is neither names nor a file that exists' in error(kind, classes='a' * 300)
