"""The annotations of a file in COCO's format: what is wrong is named, what is legal counted."""

import pytest

from helpers.annotations import CLASSES, coco_file, edit, remove
from mmca.checks import coco
from mmca.checks.coco import check_coco
from mmca.checks.findings import USABLE, describe


def test_legal(tmp_path):
    def change(content):
        second = content['annotations'][1]
        more = [
            {'bbox': [5, 5, 0, 4], 'area': 0},
            {'bbox': [5, 5, 0.5, 4]},
            {'bbox': [-3, 5, 4, 4]},
            {'bbox': [35, 25, 5.01, 5.01]},  # rounded, not outside
            {'iscrowd': 1},
            {'ignore': 1},
        ]
        # Training is not bothered by ids that evaluation cannot tell.
        content['annotations'] += [{**second, 'id': i, **new} for i, new in enumerate(more, -2)]

    checked = check_coco(coco_file(tmp_path / 'a.json', change), CLASSES)
    assert checked.problems == []
    assert describe(checked.counts) == (
        '8 boxes (1 crowd, 1 without area, 1 smaller than a pixel, '
        '1 reaching outside their image), 1 images without objects'
    )
    assert checked.counts['images'] == 3
    assert checked.counts[USABLE] == 4


@pytest.mark.parametrize(
    ('change', 'problem'),
    [
        (edit('annotations', 1, category_id=91), 'category id 91 is not among the categories'),
        (remove('annotations', 1, 'category_id'), 'category id None is not among the categories'),
        (edit('annotations', 1, category_id=[17]), 'category id [17] is not among the categories'),
        (edit('annotations', 1, category_id=True), 'category id True is not among the categories'),
        (edit('annotations', 1, image_id=10), 'image id 10 is not among the images'),
        (edit('annotations', 1, image_id={}), 'image id {} is not among the images'),
        (edit('annotations', 1, id=1001), 'another annotation has the same id; number them from 1'),
        (edit('annotations', 1, bbox=[1, 2, 3]), 'bbox [1, 2, 3] is not four finite numbers'),
        (edit('annotations', 1, bbox=7), 'bbox 7 is not four finite numbers'),
        (
            edit('annotations', 1, bbox=[1, 2, float('nan'), 4]),
            'bbox [1, 2, nan, 4] is not four finite numbers',
        ),
        (
            edit('annotations', 1, bbox=[1, float('inf'), 3, 4]),
            'bbox [1, inf, 3, 4] is not four finite numbers',
        ),
        (
            edit('annotations', 1, bbox=[1, 2, 10**400, 4]),
            'is not four finite numbers',
        ),
        (
            edit('annotations', 1, bbox=[1, 2, '3', 4]),
            "bbox [1, 2, '3', 4] is not four finite numbers",
        ),
        (remove('annotations', 1, 'bbox'), 'bbox None is not four finite numbers'),
        (
            edit('annotations', 1, bbox=[9, 9, -4, 4]),
            'bbox [9, 9, -4, 4] has a negative width or height; it is x, y, width, height',
        ),
        (
            edit('annotations', 1, bbox=[40, 9, 4, 4]),
            'its box lies outside its image of 40x30 pixels',
        ),
        (
            remove('annotations', 1, 'area'),
            'area None is not a finite number; give width * height, 1200',
        ),
        (
            edit('annotations', 1, area=0),
            'area is 0, so that mmdet drops its box of 40x30; give width * height, 1200',
        ),
        (edit('annotations', 1, iscrowd='0'), "iscrowd is '0', not 0 or 1"),
        (edit('annotations', 1, iscrowd=None), 'iscrowd is None, not 0 or 1'),
    ],
)
@pytest.mark.input_fault(
    'COCO annotations',
    'boxes that are no four finite numbers, or of negative size',
    'refused',
)
@pytest.mark.input_fault(
    'COCO annotations',
    'annotations of unknown images or categories, ids that are there twice',
    'refused',
)
@pytest.mark.input_fault(
    'COCO annotations',
    'an `area` that is missing or 0',
    'refused: mmdet would drop the box',
)
def test_annotation(tmp_path, change, problem):
    path = coco_file(tmp_path / 'a.json', change)
    (line,) = check_coco(path, CLASSES).problems
    assert line.startswith(f'{path}: annotation {1001 if "same id" in problem else 77}: ')
    assert line.endswith(problem)


@pytest.mark.parametrize('identity', ['77', 1.0, None, True, [], {}])
@pytest.mark.input_fault(
    'COCO annotations',
    'annotation ids that are text',
    'refused',
)
def test_an_annotation_id_that_is_no_whole_number_is_named(tmp_path, identity):
    path = coco_file(tmp_path / 'a.json', edit('annotations', 1, id=identity))
    assert check_coco(path, CLASSES).problems == [
        f'{path}: annotation {identity!r}: an id is a whole number; number the annotations from 1'
    ]


@pytest.mark.parametrize('identity', [0, -1, 2**53])
@pytest.mark.input_fault(
    'COCO annotations',
    'annotation ids below 1 or from 2^53',
    'refused where they are evaluated',
)
def test_ids_that_evaluation_takes_for_not_found(tmp_path, identity):
    path = coco_file(tmp_path / 'a.json', edit('annotations', 1, id=identity))
    assert check_coco(path, CLASSES).problems == []
    (problem,) = check_coco(path, CLASSES, evaluated=True).problems
    assert problem.startswith(f"{path}: annotation {identity}: COCO's evaluation would never count")
    assert problem.endswith('number the annotations from 1')


def test_evaluation_needs_iscrowd(tmp_path):
    path = coco_file(tmp_path / 'a.json', remove('annotations', 1, 'iscrowd'))
    assert check_coco(path, CLASSES).problems == []
    # faster-coco-eval does without; where it is in use nothing is said.
    for problem in check_coco(path, CLASSES, evaluated=True).problems:
        assert problem == (
            f'{path}: annotation 77: no iscrowd, which pycocotools evaluates; add "iscrowd": 0'
        )


def test_annotations_of_a_category_that_is_no_class_are_counted(tmp_path):
    def change(content):
        content['categories'].append({'id': 1, 'name': 'person'})
        for item in content['annotations']:
            item['category_id'] = 1

    path = coco_file(tmp_path / 'a.json', change)
    assert check_coco(path, CLASSES).problems == [
        f"{path}: 2 annotations are of the category 'person' (id 1), which is not one of the "
        'classes: mmdet leaves them out'
    ]


def corners(content, boxes):
    first = content['annotations'][0]
    content['annotations'] = [
        {**first, 'id': number, 'bbox': bbox, 'area': 5} for number, bbox in enumerate(boxes, 1)
    ]


@pytest.mark.input_fault(
    'COCO annotations',
    'boxes given as corners',
    'refused',
)
def test_boxes_given_as_corners_are_recognised(tmp_path):
    boxes = [[1, 2, 9, 8], [20, 2, 39, 29], [15, 15, 30, 25], [2, 20, 30, 28]]
    path = coco_file(tmp_path / 'a.json', lambda content: corners(content, boxes))
    assert check_coco(path, CLASSES).problems == [
        f'{path}: 3 of 4 boxes reach out of their images, and all fit as x1, y1, x2, y2: give x, '
        'y, width, height'
    ]


@pytest.mark.input_fault(
    'COCO annotations',
    'boxes drawn in images of another size',
    'refused',
)
def test_boxes_of_a_larger_image_are_recognised(tmp_path):
    boxes = [[1, 2, 9, 8], [20, 2, 60, 10], [30, 25, 20, 20]]
    path = coco_file(tmp_path / 'a.json', lambda content: corners(content, boxes))
    assert check_coco(path, CLASSES).problems == [
        f'{path}: 2 of 3 boxes reach out of their images: were they drawn in images of another '
        'size?'
    ]


def test_the_first_problems_are_of_all_kinds(tmp_path):
    def change(content):
        first = content['annotations'][0]
        content['annotations'] = [{**first, 'id': i, 'area': 0} for i in range(50)]
        content['annotations'].append({**first, 'id': 50, 'image_id': 7})
        content['images'][2]['width'] = 0

    problems = check_coco(coco_file(tmp_path / 'a.json', change), CLASSES).problems
    assert len(problems) == 52
    text = '\n'.join(problems[:3])
    assert 'image 25' in text and 'area is 0' in text and 'image id 7' in text


@pytest.mark.input_fault(
    'COCO annotations',
    'annotations without outlines where masks are trained or `segm` is measured',
    'refused',
)
def test_outlines_are_there_where_they_are_read(tmp_path):
    path = coco_file(tmp_path / 'a.json')
    assert check_coco(path, CLASSES).problems == []
    problems = check_coco(path, CLASSES, masks=True).problems
    assert len(problems) == 2
    assert problems[0].startswith(f'{path}: annotation 1001: no segmentation, which LoadAnno')
    assert "metric='bbox'" in problems[0]

    def outline(content):
        content['annotations'][0]['segmentation'] = [[1, 2, 9, 2, 9, 9]]
        content['annotations'][1]['segmentation'] = dict(size=[30, 40], counts=[0, 1200])

    assert check_coco(coco_file(path, outline), CLASSES, masks=True).problems == []


POLYGON = [1, 2, 9, 2, 9, 9]


@pytest.mark.parametrize(
    ('outline', 'message'),
    [
        ([[1, 2, 3, 4]], 'has no polygon of three points or more'),
        ([[]], 'has no polygon of three points or more'),
        ([[*POLYGON, 5]], 'has no polygon of three points or more'),
        (POLYGON, 'is no list of polygons; write [[x1, y1, x2, y2, x3, y3, ...]]'),
        ('x', 'is no list of polygons'),
        ([[1, 2, 9, float('nan'), 9, 9]], 'holds what are no finite numbers'),
        ([[1, 2, 9, '2', 9, 9]], 'holds what are no finite numbers'),
        (dict(size=[40, 30], counts=[0, 1200]), 'of size [40, 30] is not one mask of its image'),
        (dict(size=[30, 40], counts=[7]), 'is not one mask of its image'),
        (dict(size=[30, 40]), 'is not one mask of its image'),
        (
            dict(size=[30, 40], counts='zz#'),
            'has counts that are no compressed mask',
        ),
    ],
)
@pytest.mark.input_fault(
    'COCO annotations',
    'outlines of fewer than three points, of no numbers, of another size, where masks are read',
    'refused',
)
def test_outlines_that_are_none(tmp_path, outline, message):
    def change(content):
        for item in content['annotations']:
            item['segmentation'] = [POLYGON]
        content['annotations'][1]['segmentation'] = outline

    path = coco_file(tmp_path / 'a.json', change)
    (problem,) = check_coco(path, CLASSES, masks=True).problems
    assert problem.startswith(f'{path}: annotation 77: segmentation ') and message in problem
    assert check_coco(path, CLASSES).problems == []


def test_outlines_that_mmdet_reads(tmp_path):
    def change(content):
        # One polygon of several is enough.
        content['annotations'][0]['segmentation'] = [[1, 2], POLYGON]
        content['annotations'][1]['segmentation'] = dict(size=[30, 40], counts='l27g000000ln0')

    assert check_coco(coco_file(tmp_path / 'a.json', change), CLASSES, masks=True).problems == []


def test_a_long_file_is_read_alike(tmp_path, monkeypatch):
    """By orjson, where it is installed."""
    monkeypatch.setattr(coco, '_LONG', 0)
    path = coco_file(tmp_path / 'a.json')
    assert check_coco(path, CLASSES).counts['boxes'] == 2
    coco_file(path, edit('annotations', 1, bbox=[1, 2, float('nan'), 4]))
    (problem,) = check_coco(path, CLASSES).problems
    assert problem.endswith('bbox [1, 2, nan, 4] is not four finite numbers')
    path.write_text('{"images": [')
    assert 'not a whole JSON file' in check_coco(path, CLASSES).problems[0]
