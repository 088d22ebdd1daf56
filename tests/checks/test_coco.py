"""Annotations in COCO's format: what is wrong is named, what is legal is counted."""

import json

import pytest
from PIL import Image

from helpers.annotations import CLASSES, coco_file, edit, remove
from mmca.checks import coco, kept
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


@pytest.mark.parametrize(
    ('change', 'problem'),
    [
        (edit('images', 1, id=139), 'image 139: another image has the same id'),
        (edit('images', 2, id=2.5), 'image 2.5: an id is a whole number'),
        (edit('images', 2, id=[]), 'image []: an id is a whole number'),
        (
            edit('images', 2, id='25'),
            "1 of 3 image ids are text, as '25': give whole numbers",
        ),
        (remove('images', 1, 'file_name'), 'image 9: file_name is None'),
        (edit('images', 1, file_name=7), 'image 9: file_name is 7'),
        (edit('images', 1, width=0), 'image 9: width and height are (0, 30)'),
        (edit('images', 1, height='30'), "image 9: width and height are (40, '30')"),
        (
            edit('categories', 2, name='Dog'),
            'the categories lack dog of the classes in the config, metainfo; there are cat, '
            'traffic light, Dog',
        ),
        (
            edit('categories', 2, name='cat'),
            "two categories have the name 'cat': mmdet mixes them up",
        ),
        (edit('categories', 2, id=17), 'two categories have the id 17: mmdet mixes them up'),
        (
            edit('categories', 2, id='18'),
            "category '18', 'dog': an id is a whole number, a name text",
        ),
        (
            remove('categories', 2, 'name'),
            'category 18, None: an id is a whole number, a name text',
        ),
        (
            lambda content: content['categories'].reverse(),
            'the categories are not in the order cat, traffic light, dog: mmdet mixes them up; '
            'sort them, or the classes in the config',
        ),
        (remove('annotations', 1, 'id'), "element 1 of 'annotations' (counted from 0) has no id"),
        (
            lambda content: content['images'].append(3),
            "element 3 of 'images' (counted from 0) has no id",
        ),
        (
            lambda content: content.update(images={'id': 1}),
            "not in COCO's format, it has no list 'images'",
        ),
        (
            lambda content: content.pop('images'),
            "not in COCO's format, it has no list 'images'",
        ),
        (lambda content: content.update(images=[], annotations=[]), 'lists no images'),
    ],
)
@pytest.mark.input_fault(
    'COCO annotations',
    'categories in another order than the classes, twice, or missing',
    'refused',
)
@pytest.mark.input_fault(
    'COCO annotations',
    'lists that are missing or empty, images without size or name',
    'refused',
)
def test_file(tmp_path, change, problem):
    path = coco_file(tmp_path / 'a.json', change)
    assert check_coco(path, CLASSES).problems[0] == f'{path}: {problem}'


def test_image_ids_may_all_be_text(tmp_path):
    def change(content):
        for item in content['images']:
            item['id'] = str(item['id'])
        for item in content['annotations']:
            item['image_id'] = str(item['image_id'])

    assert check_coco(coco_file(tmp_path / 'a.json', change), CLASSES).problems == []


def test_more_categories_than_classes_are_allowed_without_annotations(tmp_path):
    def change(content):
        content['categories'].insert(1, {'id': 1, 'name': 'person'})

    assert check_coco(coco_file(tmp_path / 'a.json', change), CLASSES).problems == []


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


@pytest.mark.input_fault(
    'COCO annotations',
    'a file that is missing, cut off or no JSON',
    'refused',
)
def test_unreadable(tmp_path):
    path = tmp_path / 'a.json'
    assert check_coco(path, CLASSES).problems == [f'{path}: missing']
    whole = coco_file(path).read_text()
    path.write_text(whole[:300])
    (problem,) = check_coco(path, CLASSES).problems
    assert problem.startswith(f'{path}: not a whole JSON file (')
    path.write_text('[]')  # as results are stored
    (problem,) = check_coco(path, CLASSES).problems
    assert problem == f"{path}: not in COCO's format, it has no list 'categories'"
    path.write_text('[' * 100_000)
    (problem,) = check_coco(path, CLASSES).problems
    assert problem.startswith(f'{path}: not a whole JSON file (')
    (problem,) = check_coco(tmp_path, CLASSES).problems
    assert problem == f'{tmp_path}: cannot be read (Is a directory)'


@pytest.mark.parametrize(
    ('encoding', 'problem'),
    [
        ('utf-8-sig', 'begins with a byte order mark, which COCO readers refuse: save it as UTF-8'),
        ('utf-16', 'not UTF-8 (invalid start byte at byte 0): save it as UTF-8'),
        ('latin-1', 'not UTF-8 (invalid continuation byte at byte '),
    ],
)
@pytest.mark.input_fault(
    'COCO annotations',
    'a byte order mark, UTF-16',
    'refused: save it as UTF-8',
)
def test_encodings_that_json_knows_but_mmdet_does_not_read(tmp_path, encoding, problem):
    path = coco_file(tmp_path / 'a.json', edit('images', 1, file_name='é.jpg'))
    text = json.dumps(json.loads(path.read_text()), ensure_ascii=False)
    path.write_text(text, encoding=encoding)
    (line,) = check_coco(path, CLASSES).problems
    assert line.startswith(f'{path}: {problem}')
    path.write_text(text, encoding='utf-8')
    assert check_coco(path, CLASSES).problems == []


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


def draw(folder, name, size=(40, 30), **options):
    Image.new('RGB', size).save(folder / name, **options)


@pytest.mark.input_fault(
    'Missing files',
    'a missing image of COCO',
    'refused, with what is there instead',
)
def test_one_missing_image_is_named_with_what_is_there(tmp_path):
    path = coco_file(tmp_path / 'a.json')
    for name in ('9.jpg', '25.jpg', '139.JPG'):
        draw(tmp_path, name)
    assert check_coco(path, CLASSES, tmp_path).problems == [
        f"{path}: image 139: {tmp_path}/139.jpg is missing; there is '139.JPG': restore it, or "
        'correct file_name, or data_prefix in the config'
    ]


def test_many_missing_images_are_one_problem(tmp_path):
    def change(content):
        content['images'] *= 2
        for number, item in enumerate(content['images']):
            content['images'][number] = {**item, 'id': number, 'file_name': f'{number}.jpg'}
        content['annotations'] = []

    path = coco_file(tmp_path / 'a.json', change)
    images = tmp_path / 'images'
    images.mkdir()
    for name in ('a.png', 'b.png', 'c.bmp', 'd'):
        (images / name).touch()
    assert check_coco(path, CLASSES, images).problems == [
        f'{path}: image 0: {images}/0.jpg is missing, like 5 more of 6 files; its folder holds 2 '
        '.png, 1 .bmp, 1 without suffix: restore it, or correct file_name, or data_prefix in the '
        'config'
    ]
    (problem,) = check_coco(path, CLASSES, tmp_path / 'nowhere').problems
    assert f'{tmp_path}/nowhere is no folder' in problem


@pytest.mark.parametrize('name', ['\0.jpg', '\ud800.jpg', 'a' * 5000, '/'])
def test_a_name_that_no_file_can_have_is_missing(tmp_path, name):
    path = coco_file(tmp_path / 'a.json', edit('images', 0, file_name=name))
    draw(tmp_path, '9.jpg'), draw(tmp_path, '25.jpg')
    (problem,) = check_coco(path, CLASSES, tmp_path).problems
    assert problem.startswith(f'{path}: image 139: ') and ' is missing; ' in problem


@pytest.mark.input_fault(
    'COCO annotations',
    'width and height that are not those of the image',
    'refused',
)
def test_image_sizes_that_are_not_the_files(tmp_path):
    path = coco_file(tmp_path / 'a.json')
    draw(tmp_path, '139.jpg', (80, 60)), draw(tmp_path, '9.jpg'), draw(tmp_path, '25.jpg')
    assert check_coco(path, CLASSES, tmp_path).problems == [
        f'{path}: image 139: the annotations are of 40x30 pixels, but {tmp_path}/139.jpg loads as '
        '80x60: restore the image, or scale size and boxes to it'
    ]


@pytest.mark.input_fault(
    'COCO annotations',
    'a photo that EXIF turns, annotated as stored',
    'refused',
)
def test_a_photo_that_exif_turns_has_the_size_that_it_loads_with(tmp_path):
    from mmca.datasets.transforms import LoadImageFromFile

    exif = Image.Exif()
    exif[0x0112] = 6
    for name in ('139.jpg', '9.jpg', '25.jpg'):
        draw(tmp_path, name, exif=exif)
    loaded = LoadImageFromFile()(dict(img_path=str(tmp_path / '9.jpg')))
    assert loaded['img_shape'] == (40, 30)  # height, width
    path = coco_file(tmp_path / 'a.json', edit('images', 1, width=30, height=40))
    first, second = check_coco(path, CLASSES, tmp_path).problems
    assert first == (
        f'{path}: image 139: {tmp_path}/139.jpg is stored as 40x30 pixels, but its EXIF turns it '
        'to 30x40 when it is loaded: where the boxes lie as it is stored, remove the orientation '
        'from the file; where they lie as it is shown, give 30x40'
    )
    assert second.startswith(f'{path}: image 25: ')
    (problem,) = check_coco(path, CLASSES, tmp_path, exif=False).problems
    assert 'image 9: the annotations are of 30x40 pixels' in problem


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


def test_a_check_that_found_nothing_is_not_made_again(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    monkeypatch.setattr(kept, '_WORTH_KEEPING', 0)
    path, images = coco_file(tmp_path / 'a.json'), tmp_path / 'images'
    images.mkdir()
    for number in (139, 9, 25):
        Image.new('RGB', (40, 30)).save(images / f'{number}.jpg')
    first = check_coco(path, CLASSES, images)
    assert first.problems == []
    read = []
    original = coco._read
    monkeypatch.setattr(coco, '_read', lambda path: read.append(path) or original(path))
    assert check_coco(path, CLASSES, images) == first
    assert read == []
    # Other arguments, other images, other annotations.
    assert check_coco(path, CLASSES[:1], images).problems
    Image.new('RGB', (41, 30)).save(images / '9.jpg')
    assert 'loads as 41x30' in check_coco(path, CLASSES, images).problems[0]
    assert 'loads as 41x30' in check_coco(path, CLASSES, images).problems[0]
    assert len(read) == 3
    Image.new('RGB', (40, 30)).save(images / '9.jpg')
    coco_file(path, edit('annotations', 1, area=0))
    assert 'area is 0' in check_coco(path, CLASSES, images).problems[0]
