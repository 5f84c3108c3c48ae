"""Threads share one large image, or a batch, and change nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

import topolayer as tl

pytestmark = pytest.mark.native
SHAPES = [(400, 401), (64, 4000), (3, 70_001), (70_001, 3), (60, 61, 62), (2, 300, 301), (300_000,)]


def _values(kind: str, shape: tuple[int, ...]) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    size = int(np.prod(shape))
    if kind == "noise":
        return torch.randn(size, generator=generator, dtype=torch.float64).reshape(shape)
    if kind == "ties":
        return torch.randint(0, 4, (size,), generator=generator).float().reshape(shape)
    if kind == "smooth":  # few saddles
        noise = np.random.default_rng(0).standard_normal(shape)
        return torch.from_numpy(gaussian_filter(noise, [3 if length > 9 else 0 for length in shape]).round(3))
    # Corridors whose ascents cross all parts of the image, with saddles between them.
    along = torch.arange(shape[0], dtype=torch.float32).reshape(-1, *(1,) * (len(shape) - 1)).expand(shape)
    return along + 1.5 * torch.randint(0, 3, (size,), generator=generator).reshape(shape)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", ["noise", "ties", "smooth", "corridors"])
def test_threads_within_an_image(kind: str, shape: tuple[int, ...]) -> None:
    """In parts of the image: exactly the bars, and the order of bars, of one thread."""
    values = _values(kind, shape)
    ndim = len(shape)
    grids = [tl.Freudenthal(values, ndim=ndim, superlevel=True)]
    grids += [tl.Cubical(values, ndim=ndim, construction=construction) for construction in ("V", "T")]  # type: ignore[arg-type]
    for grid in grids if ndim < 3 else grids[:2]:
        dims = (0, ndim - 1) if ndim > 1 else 0
        found = []
        for threads in (1, 2, 3, 7):
            torch.set_num_threads(threads)
            found.append(tl.persistence(grid, dims, backend="native"))
        torch.set_num_threads(1)
        assert len(found[0]) > 0
        for barcode in found[1:]:
            assert torch.equal(barcode.pairs, found[0].pairs)
            assert torch.equal(barcode.essential.indices, found[0].essential.indices)


def test_few_samples_have_several_threads_each() -> None:
    values = torch.randn(2, 500, 501, generator=torch.Generator().manual_seed(0))
    grid = tl.Freudenthal(values)
    expected = tl.persistence(grid, (0, 1), backend="native")
    torch.set_num_threads(5)
    found = tl.persistence(grid, (0, 1), backend="native")
    torch.set_num_threads(1)
    assert torch.equal(found.pairs, expected.pairs)
