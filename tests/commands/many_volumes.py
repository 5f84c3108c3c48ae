"""Very many small volumes against GUDHI; `make verify`, a few in `make test`.

    python -m tests.commands.many_volumes --volumes 10000 --seed 0

They are larger than those of `many_grids`, which a slow reference has to get through: noise, the same smoothed, masks,
ties, ramps and thin volumes, in every connectivity, both directions and both dtypes. In a quarter of the rounds each
volume has a mask, with NaN and infinities outside. In dimension 1 alone, in 0 and 2, and in all of them the bars must
be those of GUDHI, the same multisets of index pairs, and in a quarter of the rounds two and four threads must give the
bars of one. What disagrees is printed, so that it can be pasted into a test, and `--only` runs its round again.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import tyro
from rich.progress import track
from scipy.ndimage import gaussian_filter

import topolayer as tl

from ..helpers.comparing import found
from ..helpers.families import Expected
from . import many_grids
from .many_grids import Disagreement, Rng, Round, Values

log = logging.getLogger(__name__)

PER_ROUND = 10
MOST_VOXELS = 250
MANY_THREADS = (2, 4)
WORTH_THREADS = 4 * 2**14  # values; the core starts a thread for every 2**14
DIMS = ((1,), (0, 2), (0, 1, 2))


@dataclass(frozen=True)
class Config:
    volumes: int = 10_000
    """How many volumes; rounded up to whole rounds of 10."""
    seed: int = 0
    """Round r of a seed is the same whatever the number of volumes."""
    backends: tuple[str, ...] = ("native",)
    """Backends to compare with GUDHI."""
    only: int | None = None
    """A single round, by its number: one that failed."""


# ---------------------------------------------------------------------------------------------------------------
# What is drawn


def draw_shape(rng: Rng) -> tuple[int, ...]:
    """Mostly a few voxels on each side; in a fifth of the cases one or two voxels on one of them."""
    while True:
        shape = [int(side) for side in rng.integers(2, 12, 3)]
        if rng.random() < 0.2:
            shape[rng.integers(3)] = int(rng.integers(1, 3))
        if math.prod(shape) <= MOST_VOXELS:
            return tuple(shape)


def _noise(rng: Rng, shape: tuple[int, ...], dtype: np.dtype) -> Values:
    return rng.standard_normal(shape)


def _smooth(rng: Rng, shape: tuple[int, ...], dtype: np.dtype) -> Values:
    return gaussian_filter(rng.standard_normal(shape), rng.uniform(0.5, 2))


def _mask_of_noise(rng: Rng, shape: tuple[int, ...], dtype: np.dtype) -> Values:
    return rng.random(shape) < rng.uniform(0.3, 0.7)


def _mask_of_blobs(rng: Rng, shape: tuple[int, ...], dtype: np.dtype) -> Values:
    return gaussian_filter(rng.standard_normal(shape), 1) > 0


STYLES: tuple[Callable[[Rng, tuple[int, ...], np.dtype], Values], ...] = (
    _noise, _smooth, _mask_of_noise, _mask_of_noise, _mask_of_blobs, *many_grids.STYLES
)  # fmt: skip


def draw(seed: int, number: int) -> Round:
    rng = np.random.default_rng((seed, number))
    shape, dtype = draw_shape(rng), np.dtype(rng.choice((np.float32, np.float64)))
    styles = rng.integers(len(STYLES), size=PER_ROUND)
    values = np.stack([STYLES[style](rng, shape, dtype).astype(dtype) for style in styles])
    kind, superlevel = str(rng.choice(list("FVT"))), bool(rng.random() < 0.5)
    if rng.random() >= 0.25:
        return Round(kind, superlevel, torch.from_numpy(values))
    mask = many_grids.draw_masks(rng, values.shape)
    values = np.where(mask, values, rng.choice(np.array([np.nan, np.inf, -np.inf, 0], dtype), values.shape))
    return Round(kind, superlevel, torch.from_numpy(values), torch.from_numpy(mask))


# ---------------------------------------------------------------------------------------------------------------
# What must hold


def bars(drawn: Round, dims: tuple[int, ...], backend: str, copies: int | None = None) -> Expected:
    values = drawn.values if copies is None else drawn.values.expand(copies, *drawn.values.shape)
    return found(tl.persistence(drawn.filtration(values, drawn.mask), dims, backend=backend))


def check(drawn: Round, backend: str, *, number: int, seed: int) -> None:
    """Raises Disagreement if the backend does not give the bars of GUDHI."""

    def compare(what: str, dims: tuple[int, ...], got: Expected, want: Expected) -> None:
        if got != want:
            values = str(drawn.values.tolist()).replace("nan", "math.nan").replace("inf", "math.inf")
            inside = "" if drawn.mask is None else f"mask = torch.tensor({drawn.mask.tolist()})\n"
            raise Disagreement(
                f"{what}: {drawn.kind} of shape {drawn.shape}, superlevel={drawn.superlevel}, dims={dims}\n"
                f"values = torch.tensor({values}, dtype={drawn.values.dtype})\n{inside}"
                f"got      {got}\nexpected {want}\n"
                f"again: python -m tests.commands.many_volumes --seed {seed} --only {number} --backends {backend}"
            )

    truth = bars(drawn, (0, 1, 2), "gudhi")
    for dims in DIMS:
        want = Expected(*([bar for bar in part if bar[1] in dims] for part in (truth.finite, truth.essential)))
        compare(f"{backend} and gudhi", dims, bars(drawn, dims, backend), want)
    if number % 4 == 0:
        copies = -(-WORTH_THREADS // drawn.values.numel())
        one = bars(drawn, (0, 1, 2), backend, copies)
        for threads in MANY_THREADS:
            torch.set_num_threads(threads)
            many = bars(drawn, (0, 1, 2), backend, copies)
            torch.set_num_threads(1)
            compare(f"{threads} threads and one, on {copies} copies", (0, 1, 2), many, one)


def verify(config: Config) -> int:
    """Checks all rounds, or the one that is asked for; the number of volumes."""
    unknown = set(config.backends) - set(tl.backends())
    if unknown:
        raise SystemExit(f"--backends: unknown {sorted(unknown)}, there are {sorted(tl.backends())}")
    rounds = range(-(-config.volumes // PER_ROUND)) if config.only is None else [config.only]
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for number in track(rounds, description="rounds of volumes"):
            for backend in config.backends:
                check(draw(config.seed, number), backend, number=number, seed=config.seed)
    finally:
        torch.set_num_threads(before)
    return PER_ROUND * len(rounds)


def main(config: Config) -> None:
    try:
        volumes = verify(config)
    except Disagreement as disagreement:
        raise SystemExit(str(disagreement)) from None
    log.info("%d volumes: all bars of %s are those of gudhi", volumes, " and ".join(config.backends))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main(tyro.cli(Config, description=__doc__))
