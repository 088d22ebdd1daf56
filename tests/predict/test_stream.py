"""Many pictures through a network: what comes back, and how much is in memory at once."""

import threading
from pathlib import Path

import numpy as np
import pytest
import torch

import mmca
from mmca.predict.sources import Frame, find_sources, frames_of
from mmca.predict.stream import predict_frames


@pytest.fixture
def predictor(trained, tiny_config) -> mmca.Predictor:
    return mmca.Predictor(tiny_config, trained.work_dir / 'iter_12.pth', device='cpu')


def frames_in(folder: Path, predictor: mmca.Predictor) -> list[Frame]:
    sources = find_sources([str(folder)], folder / 'out')
    return [frame for source in sources for frame in frames_of(source, predictor.read)]


@pytest.mark.parametrize('batch_size', [1, 3])
def test_side_by_side_gives_what_one_by_one_gives(predictor, sample_voc, batch_size):
    predictor.batch_size = batch_size
    predictor.network.calls = 3
    threads = torch.get_num_threads()
    frames = frames_in(sample_voc / 'JPEGImages', predictor)
    assert len(frames) > 10
    seen = set()

    def finish(frame, image, prediction):
        seen.add(threading.get_ident())
        return predictor(image).class_map

    outcomes = list(predict_frames(predictor, frames, finish))
    assert [outcome.frame.label for outcome in outcomes] == [frame.label for frame in frames]
    for outcome in outcomes:
        np.testing.assert_array_equal(outcome.prediction.class_map, outcome.product)
    assert seen and threading.get_ident() not in seen
    assert torch.get_num_threads() == threads


def test_calls_side_by_side_share_the_limit_of_pixels(predictor, sample_voc):
    """Pictures of 64 x 64, of which two fit the limit."""
    network, running, most = predictor.network, [], []
    network.calls, predictor.max_pixels = 4, 2 * 64 * 64
    plain = network.predict

    def counted(batch):
        running.append(len(batch))
        most.append(sum(running))
        predictions = plain(batch)
        running.remove(len(batch))
        return predictions

    network.predict = counted
    frames = frames_in(sample_voc / 'JPEGImages', predictor)
    outcomes = list(predict_frames(predictor, frames, lambda *_: None))
    assert len(outcomes) == len(frames)
    assert max(most) <= 2
