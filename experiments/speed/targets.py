"""The targets, and what was measured of them.

Where a target speaks of several inputs (sizes, kinds) it is the worst that counts, unless it is a geometric mean. Kinds
are the natural ones: noise, smooth noise, and a photograph where there is one.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from experiments.speed.config import NATURAL, VolumeKind
from experiments.speed.measure import Times
from experiments.speed.step import PAPER, Share

LARGE = 384 * 512  # pixels of an image from which on the ratios to GUDHI are asked for
TOPOLOGYLAYER = 1.5  # seconds; what the factors of few_maxima refer to where TopologyLayer is not there to be timed


# How many times as fast all dimensions of a volume are to be.
LOOPS: tuple[tuple[str, VolumeKind, float], ...] = (
    ("32x32x32", "noise", 7),
    ("64x64x64", "noise", 15),
    ("128x128x128", "noise", 18),
    ("32x32x32", "smooth 2", 12),
    ("64x64x64", "smooth 2", 20),
    ("128x128x128", "smooth 2", 36),
    ("32x32x32", "smooth 4", 16),
    ("64x64x64", "smooth 4", 28),
    ("128x128x128", "smooth 4", 45),
    ("64x64x64", "mask", 10),
    ("128x128x128", "mask", 10),
)


# How many times as fast many samples in one call are to be.
TOGETHER = (
    ("clouds", "64x128", "points", "redzed", 4),
    ("graphs", "128", "noise", "backend gudhi", 40),
    ("matrices", "64x128", "points", "persist0", 1),
    ("matrices", "16x512", "points", "persist0", 1),
)
_CALLED = {
    "clouds": "`Rips.from_points` of a list, H0 and H1, forward + backward, clouds times points: ",
    "graphs": "`LowerStar` with `batch`, H0 and H1, graphs: ",
    "matrices": "`Rips`, H0, matrices times points: ",
    "redzed": "a loop over `redzed_tda.rips`",
    "backend gudhi": "a loop over the backend that computed loops of graphs before",
    "persist0": "`persist0.h0_persistence`",
}


# How many times as fast as GUDHI alpha complexes are to be: four times as fast as before they were native, when GUDHI
# took 14 of our 62 ms in the plane and 111 of 400 in space; components alone eight times.
ALPHAS = (("2000x2", 0.9, 1.8), ("2000x3", 1.1, 2.2))


# How many times as fast the Betti matching loss is to be, forward and backward.
MATCHINGS = (
    ("8x1x64x64", "mask", 8),
    ("256x256", "mask", 12),
    ("512x512", "mask", 18),
    ("512x512", "noise", 12),
    ("48x48x48", "mask", 15),
    ("96x96x96", "mask", 40),
)


# Whose memory is measured on all kinds of images and of volumes.
MEASURED = {"image": "topolayer H0", "volume": "topolayer V"}


@dataclass(frozen=True)
class Verdict:
    """A row of the table. `met` is None where nothing was measured, and `measured` says why."""

    what: str
    against: str
    target: str
    measured: str
    met: bool | None


@dataclass(frozen=True)
class Results:
    """All that was measured. `peaks`: bytes per pixel, by (size, kind, contender)."""

    times: Times
    peaks: Mapping[tuple[str, str, str], float]
    shares: Sequence[Share]


def verdicts(results: Results) -> list[Verdict]:
    """All targets, in the order in which they were set."""
    times = results.times
    large = [size for size in sizes(times, "image") if pixels(size) >= LARGE]
    spans = " to ".join(dict.fromkeys((large[0], large[-1]))) if large else "384x512 and up"
    both = ("topolayer H0+H1", "topolayer H0+H1 V", "topolayer H0+H1 T")
    share = "hook, penalty and its backward in a step of the U-Net of"
    shares = {s.name: s.share for s in results.shares}
    return [
        _means(times, ["topolayer H0"], large, f"`tl.persistence`, H0, {spans}", at_least=4, none_below=3),
        _means(times, ["topolayer H0"], ["96x128"], "the same at 96x128", at_least=2.5),
        _means(times, both, large, f"H0 + H1, each connectivity, {spans}", at_least=2.5),
        _penalty(times, "16x1x96x128", "noise", 6e-3),
        _penalty(times, "16x1x96x128", "smooth", 3e-3),
        _most(
            {kind: times.median("image", "24x32", kind, "topolayer H0") for kind in NATURAL},
            "`tl.persistence`, H0, one 24x32 image", "fixed cost", 100e-6, microseconds,
        ),
        _most(
            {kind: times.median("penalty", "1x1x24x32", kind, "few_maxima") for kind in NATURAL},
            "`few_maxima` forward + backward on it", "fixed cost", 600e-6, microseconds,
        ),
        _least(_threads(times, "batch", "16x96x128"), "two cores, (16, 96, 128)", f"one; {_free(times)}", 1.8),
        _most(_growth(times), "time per pixel at 4096x4096", "at 512x512", 2, times_),
        _most(_beyond(results, "image"), "peak memory beyond the input, H0, per pixel", "the input", 24, bytes_),
        _most({"": shares.get(PAPER.name)}, f"{share} {PAPER.name}", "the step", 0.01, percent),
        _least(
            dict(_ratios(times, "volume", ["128x128x128"], "topolayer H0 V", "cripser H0")),
            "H0, 128x128x128, Cubical V", "`cripser.computePH(maxdim=0)`", 5,
        ),
        *(
            _least(
                dict(_ratios(times, "volume", [size], "topolayer V", "cripser", [kind])),
                f"H0, H1 and H2, {size}, {kind}, Cubical V", "`cripser.computePH(maxdim=2)`", least,
            )
            for size, kind, least in LOOPS
        ),
        *(
            _least(
                dict(_ratios(times, "matching", [size], "betti_matching_loss", "topolosses", [kind])),
                f"`betti_matching_loss` forward + backward, all dimensions, {size}, {kind}",
                "topolosses' `BettiMatchingLoss`", least,
            )
            for size, kind, least in MATCHINGS
        ),
        _most(
            dict(_ratios(times, "matching", sizes(times, "matching"), "three barcodes", "induced_matching", ["mask"])),
            "`induced_matching`, masks", "the barcodes of both and of their union", 1.6, times_,
        ),
        _least(_threads(times, "batch", "1x2048x2048", ["noise"]), "two cores, one image of 2048x2048", "one", 1.5),
        _least(_threads(times, "batch", "1x128x128x128", ["noise"]), "two cores, a volume of 128x128x128", "one", 1.7),
        _least(
            dict(_ratios(times, "image", ["2048x2048"], "topolayer H0", "gudhi 2D", ["spiral"])),
            "H0, 2048x2048, a spiral", "`gudhi.sklearn.CubicalPersistence`", 1,
        ),
        _most(
            _beyond(results, "volume", ["smooth", "smooth 2", "smooth 4"]),
            "peak memory beyond the input, all dimensions, smooth volumes, per voxel", "the input", 12, bytes_,
        ),
        _most(_beyond(results, "volume", ["noise"]), "the same, noise", "the input", 45, bytes_),
        *(
            _least(
                dict(_ratios(times, job, [size], "1 thread", peer, [kind])),
                f"{_CALLED[job]}{size}", _CALLED[peer], least,
            )
            for job, size, kind, peer, least in TOGETHER
        ),
        *(
            _least(_threads(times, job, size, [kind]), f"two cores, {job}, {size}", f"one; {_free(times)}", 1.6)
            for job, size, kind, _, _ in TOGETHER
        ),
        _least(
            dict(_ratios(times, "bars", ["64x1000"], "PersLay", "torchperslay", ["random"])),
            "PersLay forward + backward, 64 barcodes of 1,000 bars", "torchperslay", 3,
        ),
        _least(
            dict(_ratios(times, "representations", ["256"], "rtd_lite", "SciPy", ["random"])),
            "`rtd_lite` forward + backward, 256 points", "SciPy's `minimum_spanning_tree`", 4,
        ),
        _most(
            dict(_ratios(times, "cloud", ["2000"], "plain", "smooth_gradient", ["random"])),
            "a gradient of 2,000 points with `smooth_gradient`", "the plain one", 2, times_,
        ),
        *(
            _least(
                dict(_ratios(times, "alpha", [size], name, "gudhi", ["points"])),
                f"`Alpha`, {dimensions}, {size}", "`gudhi.AlphaComplex`, all dimensions", least,
            )
            for size, *both in ALPHAS
            for (name, dimensions), least in zip(
                (("topolayer", "all dimensions"), ("topolayer H0", "H0 alone")), both, strict=True
            )
        ),
    ]  # fmt: skip


# --- rows -----------------------------------------------------------------------------------------------------------


def _means(
    times: Times,
    ours: Sequence[str],
    sizes: Sequence[str],
    what: str,
    *,
    at_least: float,
    none_below: float = 0,
) -> Verdict:
    """Geometric means of GUDHI's time over ours: that of each contender has to be large enough."""
    against = "`gudhi.sklearn.CubicalPersistence`"
    target = f"{at_least:g}x geometric mean" + (f", none below {none_below:g}x" if none_below else "")
    found = {name: dict(_ratios(times, "image", sizes, name, "gudhi 2D")) for name in ours}
    if not all(found.values()):
        return Verdict(what, against, target, NOT_MEASURED, None)
    means = {name: statistics.geometric_mean(ratios.values()) for name, ratios in found.items()}
    worst, where = min((ratio, where) for ratios in found.values() for where, ratio in ratios.items())
    texts = [
        f"{mean:.2f}x" + (f" ({name.removeprefix('topolayer ')})" * (len(ours) > 1)) for name, mean in means.items()
    ]
    inputs = min(len(ratios) for ratios in found.values())  # fewer where one of the two was over the limit
    measured = f"{', '.join(texts)} over {inputs} inputs; lowest {worst:.2f}x ({where})"
    return Verdict(what, against, target, measured, min(means.values()) >= at_least and worst >= none_below)


def _penalty(times: Times, size: str, kind: str, most: float) -> Verdict:
    what = f"`few_maxima` forward + backward, ({size.replace('x', ', ')}), {kind}"
    target = f"at most {1e3 * most:g} ms ({TOPOLOGYLAYER / most:.0f}x)"
    against = "TopologyLayer's `LevelSetLayer2D`, 1,500 ms when the target was set"
    seconds = times.median("penalty", size, kind, "few_maxima")
    if seconds is None:
        return Verdict(what, against, target, NOT_MEASURED, None)
    timed = times.median("penalty", size, kind, "TopologyLayer")
    factor = f"{(timed or TOPOLOGYLAYER) / seconds:.0f}x" + (" with its time in this run" if timed else "")
    return Verdict(what, against, target, f"{1e3 * seconds:.2f} ms, {factor}", seconds <= most)


def _most(
    values: Mapping[str, float | None], what: str, against: str, limit: float, text: Callable[[float], str]
) -> Verdict:
    """The largest of several values must not exceed the limit; None was not measured."""
    known = {where: value for where, value in values.items() if value is not None}
    met = all(value <= limit for value in known.values()) if known else None
    return Verdict(what, against, f"at most {text(limit)}", _listed(known, text), met)


def _least(values: Mapping[str, float], what: str, against: str, limit: float) -> Verdict:
    met = all(value >= limit for value in values.values()) if values else None
    return Verdict(what, against, f"{limit:g}x", _listed(values, times_), met)


NOT_MEASURED = "not measured"


def _listed(values: Mapping[str, float], text: Callable[[float], str]) -> str:
    return ", ".join(f"{text(value)} {where}".rstrip() for where, value in values.items()) or NOT_MEASURED


def microseconds(seconds: float) -> str:
    return f"{1e6 * seconds:.0f} µs"


def times_(ratio: float) -> str:
    return f"{ratio:.2f}x"


def bytes_(number: float) -> str:
    return f"{number:.1f} bytes"


def percent(part: float) -> str:
    return f"{100 * part:.2g} %"


# --- from the times -------------------------------------------------------------------------------------------------


def pixels(size: str) -> int:
    """The number of pixels of a size such as 384x512."""
    return math.prod(map(int, size.split("x")))


def sizes(times: Times, job: str) -> list[str]:
    """The sizes at which something was measured, small ones first."""
    return sorted({key.size for key in times.measured if key.job == job}, key=pixels)


def _ratios(
    times: Times, job: str, sizes: Iterable[str], ours: str, peer: str, kinds: Sequence[str] = NATURAL
) -> Iterator[tuple[str, float]]:
    """How many times as long the peer takes, on each input that both were measured on."""
    for size in sizes:
        for kind in kinds:
            mine, theirs = (times.median(job, size, kind, name) for name in (ours, peer))
            if mine is not None and theirs is not None:
                yield f"{size} {kind}", theirs / mine


def _growth(times: Times) -> dict[str, float]:
    """Time per pixel at 4096x4096 over that at 512x512."""
    found: dict[str, float] = {}
    for kind in NATURAL:
        small, big = (times.median("image", size, kind, "topolayer H0") for size in ("512x512", "4096x4096"))
        if small is not None and big is not None:
            found[kind] = big / small / (4096 / 512) ** 2
    return found


def _threads(times: Times, job: str, size: str, kinds: Sequence[str] = NATURAL) -> dict[str, float]:
    """How many times as fast two threads are."""
    ratios = ((kind, [times.median(job, size, kind, name) for name in THREADS]) for kind in kinds)
    return {kind: one / two for kind, (one, two) in ratios if one is not None and two is not None}


THREADS = ("1 thread", "2 threads")


def _free(times: Times) -> str:
    """How far two cores were there for us, by a computation that shares nothing."""
    one, two = (
        [t.median for key, t in times.measured.items() if (key.job, key.contender) == ("hashing", name)]
        for name in THREADS
    )
    if not one or not two:
        return "there is only one"
    return f"of hashing, which shares nothing, they do {max(one) / max(two):.2f}x"


def _beyond(results: Results, job: str, kinds: Sequence[str] | None = None) -> dict[str, float]:
    """Our peaks, by kind, of images or of volumes."""
    axes = {"image": 2, "volume": 3}[job]
    return {
        kind: peak
        for (size, kind, name), peak in results.peaks.items()
        if name == MEASURED[job] and size.count("x") + 1 == axes and (kinds is None or kind in kinds)
    }
