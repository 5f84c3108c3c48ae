"""Very many small distance matrices against GUDHI and Ripser; `make verify`, a few in `make test`.

    python -m tests.commands.many_metrics --metrics 2000 --seed 0

Every metric is a matrix of one of the kinds below, most of them full of ties, in a dtype and with a threshold. It comes
in a batch of two, with its points in the given and in the reversed order. In dimension 0, in dimension 1 and in both
together the bars must be those of the other backends, the same multisets of index pairs, and several threads must give
the bars of one. What disagrees is printed, so that it can be pasted into a test, and `--only` runs it again.
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
from torch import Tensor

import topolayer as tl

from ..helpers.comparing import found
from ..helpers.families import Expected

log = logging.getLogger(__name__)

MOST_POINTS = 24
MANY_THREADS = 4
WORTH_THREADS = 2 * 2**14  # values; the core starts a thread for every 2**14


@dataclass(frozen=True)
class Config:
    metrics: int = 2000
    """How many metrics."""
    seed: int = 0
    """Metric m of a seed is the same whatever their number."""
    backends: tuple[str, ...] = ("native",)
    """Backends to compare with the others."""
    only: int | None = None
    """A single metric, by its number: one that failed."""


class Disagreement(AssertionError):
    """Two backends differ. The message says on what, and how to see it again."""


# ---------------------------------------------------------------------------------------------------------------
# What is drawn

Rng = np.random.Generator


def _random(rng: Rng, n: int) -> np.ndarray:
    return rng.random((n, n))


def _integers(rng: Rng, n: int) -> np.ndarray:
    return rng.integers(0, rng.integers(2, 10), (n, n))


def _two_levels(rng: Rng, n: int) -> np.ndarray:
    """Graphs: edges at 1, everything else at 2."""
    return 1 + (rng.random((n, n)) < rng.random())


def _constant(rng: Rng, n: int) -> np.ndarray:
    return np.full((n, n), rng.integers(0, 2))


def _cloud(rng: Rng, n: int) -> np.ndarray:
    points = rng.standard_normal((n, rng.integers(1, 6)))
    return np.linalg.norm(points[:, None] - points, axis=-1)


def _lattice(rng: Rng, n: int) -> np.ndarray:
    """Few places, so that points coincide and distances tie."""
    points = rng.integers(0, 4, (n, rng.integers(1, 4)))
    return np.linalg.norm(points[:, None] - points, axis=-1)


def _circle(rng: Rng, n: int) -> np.ndarray:
    """Steps along a cycle: one loop that lives long."""
    place = rng.permutation(n)
    steps = np.abs(place[:, None] - place)
    return np.minimum(steps, n - steps)


def _halves(rng: Rng, n: int) -> np.ndarray:
    """1 between two parts and more within them: many loops, many components in a lune."""
    part = rng.random(n) < 0.5
    return np.where(part[:, None] == part, rng.integers(2, 4, (n, n)), 1)


def _hairs(rng: Rng, n: int) -> np.ndarray:
    return 1 + rng.integers(0, 4, (n, n)) * 2.0**-23


KINDS: tuple[Callable[[Rng, int], np.ndarray], ...] = (
    _random, _integers, _integers, _two_levels, _constant, _cloud, _cloud, _lattice, _circle, _halves, _hairs,
)  # fmt: skip


@dataclass(frozen=True)
class Metric:
    kind: str
    distances: Tensor  # (n, n)
    threshold: float


def draw(seed: int, number: int) -> Metric:
    """A metric, or what passes for one: triangle inequalities do not matter here."""
    rng = np.random.default_rng((seed, number))
    kind = KINDS[rng.integers(len(KINDS))]
    n = int(rng.integers(1, 4) if rng.random() < 0.1 else rng.integers(4, MOST_POINTS + 1))
    upper = torch.from_numpy(np.triu(kind(rng, n), 1)).to(torch.float32 if rng.random() < 0.5 else torch.float64)
    distances = upper + upper.mT
    some = float(distances[tuple(rng.integers(0, n, 2))])  # a distance: it is inclusive
    below = float(distances.max()) / 7
    return Metric(kind.__name__.strip("_"), distances, float(rng.choice((math.inf, math.inf, some, some, below, 0.0))))


# ---------------------------------------------------------------------------------------------------------------
# What must hold


def bars(metric: Metric, distances: Tensor, dims: tuple[int, ...], backend: str) -> Expected:
    return found(tl.persistence(tl.Rips(distances, threshold=metric.threshold), dims, backend=backend))


def check(metric: Metric, backend: str, again: str) -> None:
    """Raises Disagreement if the backend does not give the bars of GUDHI and Ripser."""

    def compare(what: str, dims: tuple[int, ...], got: Expected, want: Expected) -> None:
        if got != want:
            raise Disagreement(
                f"{what}: {metric.kind}, {len(metric.distances)} points, dims={dims}\n"
                f"distances = torch.tensor({metric.distances.tolist()}, dtype={metric.distances.dtype})\n"
                f"threshold = {metric.threshold}\ngot      {got}\nexpected {want}\nagain: {again} --backends {backend}"
            )

    both = torch.stack([metric.distances, metric.distances.flip(0, 1)])
    truth = bars(metric, both, (0, 1), "gudhi")
    compare("ripser and gudhi", (0, 1), bars(metric, both, (0, 1), "ripser"), truth)
    for dims in ((0,), (1,), (0, 1)):
        finite = [bar for bar in truth.finite if bar[1] in dims]
        want = Expected(finite, [bar for bar in truth.essential if bar[1] in dims])
        compare(f"{backend} and gudhi", dims, bars(metric, both, dims, backend), want)
    copies = both.expand(-(-WORTH_THREADS // both.numel()), *both.shape)
    one = bars(metric, copies, (0, 1), backend)
    torch.set_num_threads(MANY_THREADS)
    try:
        many = bars(metric, copies, (0, 1), backend)
    finally:
        torch.set_num_threads(1)
    compare(f"one thread and many, on {len(copies)} copies", (0, 1), many, one)


def verify(config: Config) -> int:
    """Checks all metrics, or the one that is asked for; their number."""
    unknown = set(config.backends) - set(tl.backends())
    if unknown:
        raise SystemExit(f"--backends: unknown {sorted(unknown)}, there are {sorted(tl.backends())}")
    numbers = range(config.metrics) if config.only is None else [config.only]
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for number in track(numbers, description="metrics"):
            again = f"python -m tests.commands.many_metrics --seed {config.seed} --only {number}"
            for backend in config.backends:
                check(draw(config.seed, number), backend, again)
    finally:
        torch.set_num_threads(before)
    return len(numbers)


def main(config: Config) -> None:
    try:
        metrics = verify(config)
    except Disagreement as disagreement:
        raise SystemExit(str(disagreement)) from None
    log.info("%d metrics: all bars of %s are those of gudhi and ripser", metrics, " and ".join(config.backends))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main(tyro.cli(Config, description=__doc__))
