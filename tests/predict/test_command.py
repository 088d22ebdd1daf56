"""``tools/predict.py``: what it reads, what it writes, and what it says of what it cannot read."""

import csv
import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import mmca
from helpers.tools import run_tool, truncate


@pytest.fixture(scope='module')
def network(trained, tiny_config) -> tuple[Path, Path]:
    return tiny_config, trained.work_dir / 'iter_12.pth'


@pytest.fixture(scope='module')
def scene(sample_voc) -> np.ndarray:
    return cv2.imread(str(next((sample_voc / 'JPEGImages').glob('*.jpg'))))


def film(path: Path, scene: np.ndarray, frames: int = 30) -> Path:
    """A video without compression between frames, each frame shifted by some pixels."""
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 10, (64, 64))
    for number in range(frames):
        video.write(np.roll(scene, 2 * number, axis=1))
    video.release()
    return path


def table(out: Path) -> list[dict]:
    with open(out / 'predictions.csv', newline='') as file:
        return list(csv.DictReader(file))


def errors(output: str) -> list[str]:
    return re.findall('^Error: (.*)', output, re.M)


def test_a_folder_of_pictures_of_every_kind(network, scene, tmp_path):
    folder, out = tmp_path / 'in', tmp_path / 'out'
    (folder / 'deeper').mkdir(parents=True)
    picture = Image.fromarray(scene[:, :, ::-1])
    picture.save(folder / 'a.png')
    picture.resize((50, 70)).save(folder / 'a.jpg')
    picture.convert('L').save(folder / 'deeper/grey.png')
    picture.convert('CMYK').save(folder / 'cmyk.jpg')
    Image.fromarray(scene[:, :, 1].astype(np.uint16) * 257).save(folder / 'deep.tif')
    turned = Image.Exif()
    turned[0x0112] = 6
    picture.crop((0, 0, 64, 48)).save(folder / 'turned.jpg', exif=turned)
    picture.save(folder / 'cut.bmp')
    truncate(folder / 'cut.bmp')
    (folder / 'text.jpg').write_text('no picture')
    (folder / 'notes.txt').write_text('not looked at')
    outcome = run_tool('predict', *network, folder, '--out', out)
    assert outcome.code == 1
    assert re.search(r'^6 pictures in [\d.]+ s, [\d.]+ images per second$', outcome.output, re.M)
    cut, text, last = errors(outcome.output)
    assert cut.startswith(f'{folder}/cut.bmp: cannot be decoded')
    assert text.startswith(f'{folder}/text.jpg: cannot be decoded')
    assert last == '2 of 8 could not be read, see above'

    sizes = {
        str(path.relative_to(out / 'masks')): Image.open(path).size
        for path in (out / 'masks').rglob('*.png')
    }
    assert sizes == {
        'a.png': (50, 70),
        'a.png.png': (64, 64),
        'cmyk.png': (64, 64),
        'deep.png': (64, 64),
        'deeper/grey.png': (64, 64),
        'turned.png': (48, 64),
    }
    predictor = mmca.Predictor(*network)
    with Image.open(out / 'masks/a.png.png') as mask:
        class_map = np.array(mask)
        assert mask.mode == 'P' and mask.getpalette()[3:6] == [128, 0, 0]
    np.testing.assert_array_equal(class_map, predictor(folder / 'a.png').class_map)
    rows = [row for row in table(out) if row['file'] == 'a.png']
    counted = {row['class']: int(row['pixels']) for row in rows}
    numbers, pixels = np.unique(class_map, return_counts=True)
    assert counted == {predictor.classes[n]: count for n, count in zip(numbers, pixels)}
    with Image.open(out / 'pictures/deeper/grey.jpg') as drawn:
        assert drawn.width > 64 + 100 and drawn.height >= 64

    # What was written is not predicted on again.
    again = run_tool('predict', *network, tmp_path, '--out', out)
    assert '2 of 8 could not be read' in again.output


def test_a_video_becomes_a_video_and_one_cut_off_is_told(network, scene, tmp_path):
    whole, cut = film(tmp_path / 'whole.avi', scene), film(tmp_path / 'cut.avi', scene)
    truncate(cut)
    (tmp_path / 'lost.mp4').write_bytes(b'\0' * 1000)
    out = tmp_path / 'out'
    outcome = run_tool('predict', *network, whole, cut, tmp_path / 'lost.mp4', '--out', out)
    assert outcome.code == 1
    ends, lost, last = errors(outcome.output)
    frames = int(re.fullmatch(rf'{cut}: ends after frame (\d+) of 30, damaged .* done', ends)[1])
    assert 10 < frames < 20
    assert lost.startswith(f'{tmp_path}/lost.mp4: not a readable video (1000 bytes)')
    assert last == f'2 of {32 + frames} could not be read, see above'
    assert len(list((out / 'masks/whole').iterdir())) == 30
    assert len({row['file'] for row in table(out) if row['file'].startswith('cut.avi#')}) == frames
    drawn = cv2.VideoCapture(str(out / 'pictures/whole.mp4'))
    assert drawn.get(cv2.CAP_PROP_FRAME_COUNT) == 30 and drawn.get(cv2.CAP_PROP_FPS) == 10

    few = run_tool('predict', *network, whole, '--out', out, '--frames', '3')
    assert few.code == 0 and '\n3 pictures in' in few.output


def test_globs_and_what_is_not_there(network, scene, tmp_path):
    cv2.imwrite(str(tmp_path / 'a1.png'), scene)
    cv2.imwrite(str(tmp_path / 'a2.png'), scene)
    (tmp_path / 'empty').mkdir()
    inputs = [tmp_path / 'a*.png', tmp_path / 'a1.png', tmp_path / 'b*', tmp_path / 'no.jpg']
    out = tmp_path / 'out'
    outcome = run_tool('predict', *network, *inputs, tmp_path / 'empty', 63, '--out', out)
    assert outcome.code == 1
    assert '\n2 pictures in' in outcome.output
    glob, file, empty, camera, _ = errors(outcome.output)
    assert glob == f'{tmp_path}/b*: no file matches'
    assert file == f'{tmp_path}/no.jpg: no such file or folder; check the path'
    assert empty.startswith(f'{tmp_path}/empty: holds no pictures or videos (.jpg, ')
    assert camera.startswith('camera 63: cannot be opened')
    assert {row['file'] for row in table(out)} == {'a1.png', 'a2.png'}


def test_boxes_are_written_as_coco_annotations(trained_detector, sample_voc, tmp_path):
    from pycocotools.coco import COCO

    [checkpoint] = trained_detector.work_dir.glob('epoch_*.pth')
    network = trained_detector.config, checkpoint
    scenes = sorted((sample_voc / 'JPEGImages').glob('*.jpg'))[:3]
    everything = ['--out', tmp_path, '--min-score', '0']
    outcome = run_tool('predict', *network, *scenes, *everything)
    assert outcome.code == 0, outcome.output
    coco = COCO(str(tmp_path / 'predictions.json'))
    assert [image['file_name'] for image in coco.dataset['images']] == [s.name for s in scenes]
    assert len(coco.anns) == 15 and coco.cats[0]['name'] == 'aeroplane'
    found = mmca.Predictor(*network)(scenes[1])
    annotations = coco.loadAnns(coco.getAnnIds(imgIds=[2]))
    corners = [[x, y, x + w, y + h] for x, y, w, h in (a['bbox'] for a in annotations)]
    np.testing.assert_allclose(corners, found.boxes, atol=0.02)
    rows = table(tmp_path)
    assert len(rows) == 15
    assert [float(r['score']) for r in rows[5:10]] == pytest.approx(found.scores.tolist(), abs=1e-5)

    outcome = run_tool('predict', *network, *scenes, '--out', tmp_path, '--min-score', '1.1')
    assert outcome.code == 0 and table(tmp_path) == []
    content = json.loads((tmp_path / 'predictions.json').read_text())
    assert len(content['images']) == 3 and content['annotations'] == []


def test_classes_of_pictures_are_a_table(trained_classifier, tmp_path):
    [checkpoint] = trained_classifier.work_dir.glob('epoch_*.pth')
    images = trained_classifier.config.parent / 'images'
    outcome = run_tool('predict', trained_classifier.config, checkpoint, images, '--out', tmp_path)
    assert outcome.code == 0, outcome.output
    rows = table(tmp_path)
    count = len(list(images.rglob('*.png')))
    assert [row['rank'] for row in rows] == ['1', '2'] * count
    assert sum(float(row['score']) for row in rows) == pytest.approx(count, abs=1e-3)
    assert not (tmp_path / 'masks').exists()


def test_a_folder_that_cannot_be_made_is_told(network, tmp_path):
    (tmp_path / 'file').write_text('')
    outcome = run_tool('predict', *network, tmp_path, '--out', tmp_path / 'file')
    assert outcome.code == 1 and errors(outcome.output)[0].startswith(f'--out {tmp_path}/file: ')
