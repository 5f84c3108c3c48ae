"""The benchmark: contenders agree, rounds are interleaved, and files are written once."""

from __future__ import annotations

import csv
import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from experiments.shared.console import Interrupted, UserError, log
from experiments.speed import contenders, measure, memory
from experiments.speed.bench import main
from experiments.speed.config import EXTREME, KINDS, Config
from experiments.speed.contender import Contender
from experiments.speed.contenders import LOADERS, assemble
from experiments.speed.inputs import Input, distances, make, parse, spiral
from experiments.speed.measure import Effort, Key, Times
from tests.helpers import reference

LETTERS = {"Freudenthal": "F", "V": "V", "T": "T"}


@pytest.fixture(scope="module")
def everyone() -> tuple[list[Contender], dict[str, str]]:
    return assemble()


# Options that, without any value, leave nothing to measure.
INPUTS = ("kinds", "volumes", "points", "matrices", "clouds", "graphs", "alphas", "batches", "matchings", "learning")


def there(everyone: tuple[list[Contender], dict[str, str]], package: str, job: str) -> list[Contender]:
    """What a package does for this job, or a skipped test."""
    found, absent = everyone
    if package in absent:
        pytest.skip(f"{package}: {absent[package]}")
    names = {(contender.job, contender.name) for contender in LOADERS[package]() if contender.job == job}
    return [contender for contender in found if (contender.job, contender.name) in names]


def lengths(values: torch.Tensor, connectivity: str) -> list[float]:
    """Lengths of the finite superlevel bars in dimension 0, the longest first, by the slow reference."""
    flat = values.flatten().tolist()
    bars = reference.components(flat, reference.neighbours(values.shape, LETTERS[connectivity]), superlevel=True)
    return sorted((flat[birth] - flat[death] for _, birth, death in bars.finite), reverse=True)


IMAGES = ("topolayer", "gudhi", "cripser", "oineus", "torch-topological", "topologylayer")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("package", IMAGES)
def test_everyone_finds_the_same_components_in_an_image(everyone: Any, package: str, kind: Any) -> None:
    image = make(kind, (10, 10))
    found = there(everyone, package, "image")
    assert found
    for contender in found:
        assert contender.outcome(contender.run(image)) == len(lengths(image, contender.connectivity)), contender.name


@pytest.mark.parametrize("package", ["topolayer", "gudhi", "cripser", "oineus"])
def test_everyone_finds_the_same_components_in_a_volume(everyone: Any, package: str) -> None:
    volume = make("noise", (8, 9, 8), ndim=3)
    found = there(everyone, package, "volume")
    assert found
    for contender in found:
        assert contender.outcome(contender.run(volume)) == len(lengths(volume, contender.connectivity)), contender.name


@pytest.mark.parametrize("package", ["topolayer", "gudhi", "ripser", "redzed-tda", "persist0-tda"])
def test_everyone_finds_the_same_components_of_points(everyone: Any, package: str) -> None:
    found = there(everyone, package, "distances")
    assert found
    assert {contender.outcome(contender.run(distances(20))) for contender in found} == {19}


@pytest.mark.parametrize("package", ["topolayer", "torch-topological", "topologylayer"])
def test_everyone_computes_the_same_penalty(everyone: Any, package: str) -> None:
    """Squares of all lengths but the longest seven, beside the component that never dies; the mean of two samples."""
    activation = make("noise", (2, 1, 12, 12))
    for contender in there(everyone, package, "penalty"):
        beyond = [lengths(sample, contender.connectivity)[7:] for sample in activation[:, 0].abs()]
        expected = sum(length**2 for sample in beyond for length in sample) / 2
        assert expected > 0
        assert contender.outcome(contender.run(activation.clone())) == pytest.approx(expected, rel=1e-5)


def test_who_is_absent_is_left_out_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(values: torch.Tensor) -> object:
        raise TypeError("the old way to call\nis gone")

    broken = Contender("broken", "image", fail, float, "V", "nothing")
    ours = LOADERS["topolayer"]
    loaders: dict[str, Callable[[], list[Contender]]] = {
        "topolayer": ours,
        "nowhere": lambda: __import__("a_package_that_nobody_wrote"),  # type: ignore[return-value]
        "broken": lambda: [broken],
    }
    monkeypatch.setattr(contenders, "LOADERS", loaders)
    found, absent = assemble()
    assert [(c.job, c.name) for c in found] == [(c.job, c.name) for c in ours()]
    assert list(absent) == ["nowhere", "broken"]
    assert "not installed" in absent["nowhere"] and "a_package_that_nobody_wrote" in absent["nowhere"]
    assert absent["broken"].endswith("(TypeError: the old way to call)")
    monkeypatch.setitem(loaders, "topolayer", lambda: [broken])
    with pytest.raises(TypeError):  # ours has to run
        assemble()


# --- inputs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(8, 8), (8, 11), (24, 32), (33, 12)])
def test_a_spiral_is_one_long_ascent(shape: tuple[int, int]) -> None:
    values = spiral(shape)
    way = np.argwhere(values >= 0)[np.argsort(values[values >= 0])]
    assert (values[values < 0] == -1).all() and len(way) > 0.45 * values.size
    assert sorted(values[values >= 0]) == list(range(len(way)))
    assert (np.abs(np.diff(way, axis=0)).sum(1) == 1).all()  # every step leads to the pixel beside
    # Outside of its centre the way touches itself nowhere, not even across a corner: whoever climbs takes all of it.
    order = {pixel: number for number, pixel in enumerate(map(tuple, way.tolist())) if depth(pixel, shape) > 2}
    assert len(order) > 8
    for (i, j), number in order.items():
        beside = [order[i + di, j + dj] for di in (-1, 0, 1) for dj in (-1, 0, 1) if (i + di, j + dj) in order]
        assert max(abs(number - other) for other in beside) <= 2


def depth(pixel: tuple[int, ...], shape: tuple[int, int]) -> int:
    """How many rings of pixels lie further inside."""
    i, j = pixel
    height, width = shape
    return (min(shape) - 1) // 2 - min(i, j, height - 1 - i, width - 1 - j)


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_are_the_same_in_every_run(kind: Any) -> None:
    image = make(kind, (12, 16))
    assert image.shape == (12, 16) and image.dtype == torch.float32 and image.isfinite().all()
    assert torch.equal(image, make(kind, (12, 16)))
    batch = make(kind, (3, 2, 12, 16))
    assert batch.shape == (3, 2, 12, 16)
    assert torch.equal(batch[0], batch[1]) == (kind not in ("noise", "smooth"))


@pytest.mark.parametrize("size", ["384", "384x", "7x8", "axb", "8x8x8", ""])
def test_what_is_no_size_is_refused(size: str) -> None:
    with pytest.raises(UserError, match="is no size: expected 2 numbers such as 128x128"):
        parse(size, 2)


# --- times ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, int]]:
    """What is timed, in order; a contender called "3 slow" takes 3 s for a pixel."""
    noted: list[tuple[str, str, int]] = []

    def timed(contender: Contender, given: Input, burst: int = 1) -> float:
        contender.run(given.values)
        noted.append((contender.name, given.size, burst))
        return float(contender.name.split()[0]) * given.values.numel()

    monkeypatch.setattr(measure, "timed", timed)
    return noted


def take(names: list[str], sizes: list[int], effort: Effort, run: Callable[[Any], Any] = len) -> Times:
    given = [Input("image", f"{size}x1", "noise", torch.zeros(size, 1)) for size in sizes]
    found = [Contender(name, "image", run, float, "V", "nothing") for name in names]
    return measure.measure(given, found, effort, stop=lambda: False)


def test_every_round_runs_everyone_once_and_they_take_turns(calls: list[tuple[str, str, int]]) -> None:
    names = ["1 a", "1 b", "1 c"]
    times = take(names, [2, 1], Effort(rounds=4, limit=10, budget=100))
    first_calls, rounds = calls[:-24], calls[-24:]
    assert [size for _, size, _ in first_calls] == sorted(size for _, size, _ in first_calls)  # small ones first
    for number in range(4):
        turn = names[number % 3 :] + names[: number % 3]
        assert rounds[6 * number : 6 * number + 6] == [(name, size, 1) for size in ("1x1", "2x1") for name in turn]
    assert all(len(timing.seconds) == 4 for timing in times.measured.values())
    assert times.median("image", "2x1", "noise", "1 b") == 2
    assert times.median("image", "2x1", "noise", "1 d") is None


def test_short_calls_come_in_bursts_and_long_ones_in_fewer_rounds(calls: list[tuple[str, str, int]]) -> None:
    take(["0.001 short", "0.5 long", "2 longer"], [1], Effort(rounds=9, limit=4, budget=3))
    rounds = calls[-9 - 6 - 3 :]
    assert rounds.count(("0.001 short", "1x1", 5)) == 9
    assert rounds.count(("0.5 long", "1x1", 1)) == 6
    assert rounds.count(("2 longer", "1x1", 1)) == 3


def test_who_would_take_too_long_is_left_out_there(calls: list[tuple[str, str, int]]) -> None:
    times = take(["0.1 fast", "1 slow", "9 too slow"], [1, 3, 9], Effort(rounds=3, limit=4, budget=1))
    assert times.left_out == {
        Key("image", "9x1", "noise", "1 slow"): "> 4 s",
        **{Key("image", size, "noise", "9 too slow"): "> 4 s" for size in ("1x1", "3x1", "9x1")},
    }
    assert sum(name == "9 too slow" for name, _, _ in calls) == 1  # to know that it is


def test_targets_wait_longer_for_whom_they_compare_with(calls: list[tuple[str, str, int]]) -> None:
    given = [Input("image", f"{size}x1", "noise", torch.zeros(size, 1)) for size in (1, 3, 9)]
    patient = Contender("1 slow", "image", len, float, "V", "nothing", patience=2)
    times = measure.measure(given, [patient], Effort(rounds=3, limit=4, budget=1), stop=lambda: False)
    assert times.left_out == {Key("image", "9x1", "noise", "1 slow"): "> 8 s"}
    times = measure.measure(given, [patient], Effort(rounds=3, limit=5, budget=1), stop=lambda: False)
    assert not times.left_out


def test_who_fails_is_left_out_and_the_others_go_on(
    calls: list[tuple[str, str, int]], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(values: torch.Tensor) -> None:
        if len(values) == 2:
            raise MemoryError

    monkeypatch.setattr(log, "propagate", True)
    with caplog.at_level(logging.WARNING, "experiments"):
        times = take(["1 a"], [1, 2, 3], Effort(rounds=3, limit=4, budget=1), run)
    assert times.left_out == {Key("image", "2x1", "noise", "1 a"): "fails (MemoryError)"}
    assert [key.size for key in times.measured] == ["1x1", "3x1"]
    assert "1 a fails on 2x1 noise" in caplog.text


def test_a_request_to_stop_ends_it() -> None:
    contender = Contender("a", "image", len, float, "V", "nothing")
    with pytest.raises(Interrupted, match="nothing was written"):
        given = [Input("image", "8x8", "noise", torch.zeros(8, 8))]
        measure.measure(given, [contender], Effort(3, 1, 1), stop=lambda: True)


def test_threads_are_those_of_the_contender() -> None:
    seen: list[int] = []
    contender = Contender("a", "batch", lambda values: seen.append(torch.get_num_threads()), float, "V", "", threads=2)
    assert measure.timed(contender, Input("batch", "1x1", "noise", torch.zeros(1, 1)), burst=3) > 0
    assert seen == [2, 2, 2]


# --- memory and the training step -----------------------------------------------------------------------------------


needs_proc = pytest.mark.skipif(not memory.RESET.exists(), reason="the peak of memory can be reset on Linux only")


@needs_proc
def test_the_peak_is_that_of_the_run_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "input.npy", np.zeros((512, 512), dtype=np.float32))
    before = np.ones(1 << 24)  # does not count: it is given back before the run
    # More than 32 MB, which glibc always takes from the system: less may come from a hole that other tests left behind.
    contender = Contender("a", "image", lambda values: np.ones(values.numel() * 256, dtype=np.uint8), float, "V", "")
    monkeypatch.setattr(memory, "find", lambda job, name: contender)
    del before
    assert memory.peak("image", "a", str(tmp_path / "input.npy")) == pytest.approx(256 * 512 * 512, rel=0.1)


@needs_proc
def test_peaks_are_measured_in_a_process_of_their_own() -> None:
    """A seventh of the pixels of noise are maxima, and each gives at least a birth, a death and two indices."""
    noise = Input("image", "512x512", "noise", make("noise", (512, 512)))
    peak = memory.peak_per_pixel(noise, "topolayer H0")
    assert peak is not None and 24 / 7 < peak < 200


# --- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture
def tiny(tmp_path: Path) -> Config:
    return Config(
        sizes=("8x9", "16x16"),
        kinds=("noise", *EXTREME),
        volumes=("8x8x8",),
        points=(8,),
        matrices=("2x8",),
        clouds=("2x8",),
        graphs=(2,),
        batches=("2x8x9", "1x8x8x9"),
        activations=("1x1x8x9",),
        matchings=("2x1x8x9", "8x8x8"),
        memory=(),
        steps=1,
        quick=True,
        rounds=3,
        budget=0.0,
        out=tmp_path / "out",
    )


def test_the_benchmark_writes_its_files_once(tiny: Config) -> None:
    assert tiny.out is not None
    main(tiny)
    table = (tiny.out / "speed.md").read_text()
    for title in ("Targets", "Images", "Volumes", "Rips, from distances", "A training step", "Machine"):
        assert f"\n## {title}\n" in f"\n{table}", title
    assert "* Left out: topologylayer, not installed" in table or "topologylayer 0" in table
    assert (tiny.out / "speed.png").read_bytes().startswith(b"\x89PNG")
    with (tiny.out / "speed.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    ours = [row for row in rows if (row["job"], row["contender"]) == ("image", "topolayer H0")]
    assert [(row["size"], row["kind"]) for row in ours] == [(s, k) for s in tiny.sizes for k in tiny.kinds]
    assert all(0 < float(row["fastest_ms"]) <= float(row["median_ms"]) <= float(row["slowest_ms"]) for row in ours)
    with pytest.raises(UserError, match="holds a benchmark already"):
        main(tiny)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sizes": ("8",)}, "is no size"),
        ({"volumes": ("8x8",)}, "expected 3 numbers"),
        ({"activations": ("0x1x8x8",)}, "expected 4 numbers such as 16x16x128x128"),
        ({"memory": ("9",)}, "is no size"),
        ({"rounds": 0}, "--rounds must be at least 1"),
        ({"steps": -1}, "--steps must be at least 0"),
        ({"limit": float("nan")}, "--limit must be"),
        ({"points": (1,)}, "--points must be at least 2"),
        ({"clouds": ("64",)}, "expected 2 numbers such as 16x128"),
        ({"graphs": (0,)}, "--graphs must be at least 1"),
        ({"alphas": ("2000x4",)}, "is no size of a cloud"),
        ({"alphas": ("3x2",)}, "is no size of a cloud"),
        (
            dict.fromkeys(INPUTS, ()),
            "nothing to measure",
        ),
    ],
)
def test_options_that_cannot_work_are_refused(tiny: Config, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        main(dataclasses.replace(tiny, **changes))
    assert tiny.out is not None and not tiny.out.exists()
