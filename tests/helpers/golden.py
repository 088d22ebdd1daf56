"""Weights and inputs of the golden values, drawn as their makers drew them.

The values come from the CA authors' public code, run in float64 (`tests/data/*.npz`).
"""

import json
from pathlib import Path

import numpy as np
import torch

DATA = Path(__file__).parents[1] / 'data'


def draw(name: str) -> tuple[dict[str, torch.Tensor], np.random.Generator, list[int]]:
    """Weights by the authors' names, the generator after them, and the input's shape."""
    spec = json.loads((DATA / f'{name}.json').read_text())
    rng = np.random.default_rng(spec['seed'])
    shapes = dict(spec['keys'])
    weights = {}
    for key, shape in spec['keys']:
        n = rng.standard_normal(shape, dtype=np.float32)
        owner, kind = key.rsplit('.', 1)
        if kind == 'running_var':
            n = 1 + 0.1 * np.abs(n)
        elif kind == 'running_mean':
            n = 0.1 * n
        elif kind == 'bias':
            n = 1 + n if len(shapes[f'{owner}.weight']) == 4 else 0.1 * n
        elif len(shape) == 1:
            n = 1 + 0.1 * n
        else:
            # Rounded first: so NumPy 1 did, of whatever version runs this.
            n = n * np.float32(np.sqrt(2 / np.prod(shape[1:])))
        weights[key] = torch.from_numpy(np.asarray(n, np.float32))
    return weights, rng, spec['input']


def draw_tensor(rng: np.random.Generator, shape: list[int], dtype: torch.dtype) -> torch.Tensor:
    """The next standard normal float32 tensor, as ``dtype``."""
    return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)).to(dtype)
