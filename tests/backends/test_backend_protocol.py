"""The protocol, the registry, the rank adapter, and a backend of a user's."""

from __future__ import annotations

import importlib
import itertools
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import topolayer as tl

from ..helpers import reference
from ..helpers.comparing import OF_RIPS, Cripser, found
from ..helpers.families import FAMILIES, GRAPH, grid_family
from ..helpers.problems import CYCLE, SQUARE

HILLS = torch.tensor([[0.0, 2, 1, 3, 0.5]])


@pytest.fixture(autouse=True)
def _registry_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test registers is gone after it."""
    module = importlib.import_module("topolayer._backends")
    monkeypatch.setattr(module, "_registry", dict(module._registry))
    yield


class Slow:
    """The protocol and no more, without the rank adapter: dimension 0 of grids, by the tests' union-find."""

    name = "slow"
    calls = 0

    def unsupported(self, filtration: Any, dims: tuple[int, ...]) -> str | None:
        if not isinstance(filtration, tl.Cubical | tl.Freudenthal):
            return "it takes grids only"
        return None if dims == (0,) else "it computes dimension 0 only"

    def pairs(self, filtration: Any, dims: tuple[int, ...]) -> tl.IndexPairs:
        self.calls += 1
        assert not filtration.values.requires_grad  # a backend never sees gradients
        kind = getattr(filtration, "construction", "F")
        edges = reference.neighbours(filtration.grid_shape, kind)
        size = int(np.prod(filtration.grid_shape))
        finite, essential = [], []
        for sample, values in enumerate(filtration.values.reshape(-1, size).tolist()):
            bars = reference.components(values, edges, filtration.superlevel)
            finite += [(sample * size + b, sample * size + d, sample) for _, b, d in bars.finite]
            essential += [(sample * size + b, sample) for _, b in bars.essential]
            finite.append((sample * size, sample * size, sample))  # a bar of length zero
        finite.reverse()  # any order
        pairs = torch.tensor(finite).reshape(-1, 3)
        points = torch.tensor(essential).reshape(-1, 2)
        return tl.IndexPairs(
            finite=tl.BarIndices(pairs[:, :2], torch.zeros(len(pairs), dtype=torch.int64), pairs[:, 2]),
            essential=tl.BarIndices(points[:, 0], torch.zeros(len(points), dtype=torch.int64), points[:, 1]),
        )


def _same(a: tl.Barcode, b: tl.Barcode) -> None:
    for name in ("pairs", "dims", "sample", "ranks", "births", "deaths"):
        assert torch.equal(getattr(a, name), getattr(b, name))
    for name in ("indices", "dims", "sample", "births"):
        assert torch.equal(getattr(a.essential, name), getattr(b.essential, name))


# -- the table


def test_the_table() -> None:
    """Contract: in the order of preference; a copy."""
    table = tl.backends()
    names = list(table)
    ours = ["native", "torch", "redzed", "ripser", "gudhi"]
    assert [name for name in names if name in ours] == ours
    for name, backend in table.items():
        assert backend.name == name
        assert isinstance(backend, tl.Backend)
    table.clear()
    assert list(tl.backends()) == names


def test_promised_support() -> None:
    """native: grids, graphs, H0 of LowerStar, H0 and H1 of Rips. torch: grids. redzed, ripser: Rips. gudhi: all."""
    native, of_torch, gudhi = (tl.backends()[name] for name in ("native", "torch", "gudhi"))
    for family in FAMILIES:
        for superlevel in family.signs:
            filtration = family.make(family.random((2,)), superlevel)
            assert native.unsupported(filtration, (0,)) is None
            if family.kind in "FVT" or family is GRAPH:
                assert native.unsupported(filtration, family.dims) is None
            assert family.kind != "rips" or native.unsupported(filtration, (0, 1)) is None
            assert (of_torch.unsupported(filtration, (0,)) is None) == (family.kind in "FVT")
            assert gudhi.unsupported(filtration, family.dims) is None
            for name in OF_RIPS[1:-1]:
                assert (tl.backends()[name].unsupported(filtration, family.dims) is None) == (family.kind == "rips")
            for few in (native, of_torch):
                assert isinstance(few.unsupported(filtration, (5,)), str)
    for d in (1, 2, 3):
        points = torch.rand(6, d, generator=torch.Generator().manual_seed(0))
        assert gudhi.unsupported(tl.Alpha(points), tuple(range(d))) is None


def test_the_default_is_the_first_that_can(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    registry = importlib.import_module("topolayer._backends")._registry
    for name, backend in list(registry.items()):

        class Spy:
            def __init__(self, name: str, inner: Any) -> None:
                self.name, self.inner = name, inner

            def unsupported(self, filtration: Any, dims: tuple[int, ...]) -> str | None:
                return self.inner.unsupported(filtration, dims)

            def pairs(self, filtration: Any, dims: tuple[int, ...]) -> tl.IndexPairs:
                asked.append(self.name)
                return self.inner.pairs(filtration, dims)

        monkeypatch.setitem(registry, name, Spy(name, backend))
    tl.persistence(tl.Freudenthal(HILLS))
    tl.persistence(tl.Rips(torch.tensor(SQUARE)))
    tl.persistence(tl.Rips(torch.tensor(SQUARE)), 1)
    tl.persistence(tl.Rips(torch.tensor(SQUARE)), 2)
    tl.persistence(tl.LowerStar(torch.rand(4), torch.tensor(CYCLE)), 1)
    tl.persistence(tl.LowerStar(torch.rand(4), [torch.tensor([[0, 1, 2], [0, 2, 3]])]), 1)
    assert asked == ["native", "native", "native", OF_RIPS[1], "native", "native"]


# -- passing and registering


def test_passing_an_object_and_registering_it_are_equivalent() -> None:
    for batch, kind, superlevel in itertools.product(((), (2, 3)), "VTF", (False, True)):
        family = grid_family(kind, 4, 5)
        filtration = family.make(family.random(batch), superlevel)
        expected = tl.persistence(filtration, backend="native")
        passed = tl.persistence(filtration, backend=Slow())
        _same(passed, expected)
    tl.register_backend(Slow())
    registered = tl.persistence(filtration, backend="slow")
    _same(registered, passed)
    assert list(tl.backends())[-1] == "slow"


def test_cripser_as_a_user_would_add_it() -> None:
    """A dozen lines, by object and by name, V and T, every dimension, sub- and superlevel, batches."""
    tl.register_backend(Cripser())
    for kind, superlevel, shape in itertools.product("VT", (False, True), ((9,), (5, 6), (3, 4, 3))):
        family = grid_family(kind, *shape)
        values = family.random((2,))
        filtration = family.make(values, superlevel)
        passed = tl.persistence(filtration, family.dims, backend=Cripser())
        _same(passed, tl.persistence(filtration, family.dims, backend="cripser"))
        _same(passed, tl.persistence(filtration, family.dims, backend="gudhi"))
        assert found(passed) == family.expected(values, superlevel)


def test_a_registered_backend_is_asked_last_without_a_name() -> None:
    """The first that supports what is asked for; a user's own comes after those of the library."""
    slow = Slow()
    tl.register_backend(slow)
    tl.persistence(tl.Freudenthal(HILLS))
    assert slow.calls == 0
    tl.persistence(tl.Freudenthal(HILLS), backend="slow")
    assert slow.calls == 1


def test_zero_length_bars_of_a_backend_are_dropped_and_bars_ordered() -> None:
    barcode = tl.persistence(tl.Freudenthal(HILLS, ndim=1), backend=Slow())
    assert barcode.pairs.tolist() == [[2, 1], [4, 3]]


# -- errors


def test_a_name_that_is_taken() -> None:
    for name in ("native", "torch", "gudhi", "redzed", "ripser"):
        backend = Slow()
        backend.name = name
        with pytest.raises(ValueError, match=rf"backend.*{name}.*taken"):
            tl.register_backend(backend)
    tl.register_backend(Slow())
    with pytest.raises(ValueError, match="slow"):
        tl.register_backend(Slow())
    assert isinstance(tl.backends()["slow"], Slow)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("nativ", "native"), ("Torch", "torch"), ("Gudhi", "gudhi"), ("rispser", "ripser"), ("", None)],
)
def test_an_unknown_name(name: str, nearest: str | None) -> None:
    """Contract 9: with the nearest, and all that are valid."""
    with pytest.raises(ValueError, match=r"^backend\b") as raised:
        tl.persistence(tl.Freudenthal(HILLS), backend=name)
    message = str(raised.value)
    assert repr(name) in message
    for valid in tl.backends():
        assert valid in message
    if nearest:
        assert f"did you mean '{nearest}'" in message


def test_a_backend_that_cannot() -> None:
    """Contract 9: the reason, and the names of those that can."""
    with pytest.raises(ValueError, match=r"^backend\b.*ripser.*Rips.*native.*torch.*gudhi"):
        tl.persistence(tl.Freudenthal(HILLS), backend="ripser")
    with pytest.raises(ValueError, match=r"^backend\b.*slow.*it takes grids only.*native"):
        tl.persistence(tl.Rips(torch.tensor(SQUARE)), backend=Slow())
    with pytest.raises(ValueError, match=r"^backend\b.*slow.*dimension 0 only.*gudhi"):
        tl.persistence(tl.Freudenthal(HILLS), (0, 1), backend=Slow())


def test_absent_libraries_for_rips(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the extra, and everything else goes on."""
    rips = tl.Rips(torch.tensor(SQUARE))
    for name, module in (("redzed", "redzed_tda"), ("ripser", "ripser")):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(ValueError, match=rf'{name}.*pip install "topolayer\[{name}\]".*gudhi'):
            tl.persistence(rips, 1, backend=name)
        assert f"topolayer[{name}]" in tl.backends()[name].unsupported(rips, (1,))
    assert tl.persistence(rips, 2).pairs.tolist() == tl.persistence(rips, 2, backend="gudhi").pairs.tolist()


def test_libraries_are_imported_when_first_used() -> None:
    """Importing topolayer imports none of those that it may do without, nor anything that draws."""
    code = (
        "import sys, topolayer\n"
        "rare = {'ripser', 'redzed_tda', 'matplotlib', 'torchvision', 'cripser', 'sklearn', 'skimage'}\n"
        "print(sorted(rare & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=True)
    assert run.stdout.strip() == "[]"
    assert run.stderr == ""


NOT_BACKENDS: dict[str, Any] = {
    "number": 3,
    "bool": True,
    "class": Slow,
    "module": np,
    "nothing in it": object(),
    "no name": SimpleNamespace(unsupported=lambda f, d: None, pairs=lambda f, d: None),
    "no unsupported": SimpleNamespace(name="x", pairs=lambda f, d: None),
    "no pairs": SimpleNamespace(name="x", unsupported=lambda f, d: None),
    "name no string": SimpleNamespace(name=7, unsupported=lambda f, d: None, pairs=lambda f, d: None),
    "pairs no function": SimpleNamespace(name="x", unsupported=lambda f, d: None, pairs=7),
    "unsupported no function": SimpleNamespace(name="x", unsupported=None, pairs=lambda f, d: None),
    "list": ["native"],
}


@pytest.mark.parametrize("thing", NOT_BACKENDS.values(), ids=NOT_BACKENDS.keys())
def test_what_is_no_backend(thing: Any) -> None:
    """Contract 9: a TypeError that says what the protocol is, from both ways in."""
    before = list(tl.backends())
    with pytest.raises(TypeError, match=r"^backend\b.*unsupported.*pairs"):
        tl.persistence(tl.Freudenthal(HILLS), backend=thing)
    with pytest.raises(TypeError, match=r"^backend\b.*unsupported.*pairs"):
        tl.register_backend(thing)
    assert list(tl.backends()) == before


@pytest.mark.parametrize("name", [None, "native"])
def test_a_name_cannot_be_registered(name: Any) -> None:
    with pytest.raises(TypeError, match=r"^backend\b"):
        tl.register_backend(name)


def _index_pairs(**changes: Any) -> tl.IndexPairs:
    whole = {
        "finite": torch.tensor([[2, 1]]),
        "finite_dims": torch.tensor([0]),
        "finite_samples": torch.tensor([0]),
        "essential": torch.tensor([0]),
        "essential_dims": torch.tensor([0]),
        "essential_samples": torch.tensor([0]),
    }
    fields = whole | changes
    finite, essential = (
        tl.BarIndices(fields[part], fields[f"{part}_dims"], fields[f"{part}_samples"])
        for part in ("finite", "essential")
    )
    return tl.IndexPairs(finite, essential)


WRONG_FIELDS: dict[str, dict[str, Any]] = {
    "floats": {"finite": torch.tensor([[2.0, 1.0]])},
    "int32": {"finite": torch.tensor([[2, 1]], dtype=torch.int32)},
    "flat": {"finite": torch.tensor([2, 1])},
    "triples": {"finite": torch.tensor([[0, 2, 1]])},
    "numpy": {"finite": np.array([[2, 1]])},
    "list": {"essential": [0]},
    "more dims than bars": {"finite_dims": torch.tensor([0, 0])},
    "fewer samples than bars": {"finite_samples": torch.empty(0, dtype=torch.int64)},
    "dims of two axes": {"essential_dims": torch.tensor([[0]])},
}


@pytest.mark.parametrize("changes", WRONG_FIELDS.values(), ids=WRONG_FIELDS.keys())
def test_index_pairs_of_the_wrong_form(changes: dict[str, Any]) -> None:
    (field,) = changes
    wrong = field.partition("_")[2] or "indices"
    with pytest.raises(
        (TypeError, ValueError), match=rf"(BarIndices\.({wrong}|dims)|IndexPairs\.{field})\b.*expected.*got"
    ):
        _index_pairs(**changes)


WRONG_RESULTS: dict[str, Any] = {
    "nothing": None,
    "a tuple": (torch.tensor([[2, 1]]),),
    "birth beyond the values": {"finite": torch.tensor([[99, 1]])},
    "death beyond the values": {"finite": torch.tensor([[2, 5]])},
    "negative index": {"finite": torch.tensor([[2, -1]])},
    "essential beyond the values": {"essential": torch.tensor([5])},
    "a sample that is not there": {"finite_samples": torch.tensor([1])},
    "a negative sample": {"essential_samples": torch.tensor([-1])},
    "a dimension that was not asked for": {"finite_dims": torch.tensor([1])},
    "an essential bar of another dimension": {"essential_dims": torch.tensor([1])},
}


@pytest.mark.parametrize("result", WRONG_RESULTS.values(), ids=WRONG_RESULTS.keys())
def test_a_backend_that_gives_nonsense_is_named(result: Any) -> None:
    """Nothing is silently reinterpreted: a wrong index of a user's backend is an error with the backend's name."""

    class Wrong:
        name = "wrong"

        def unsupported(self, filtration: Any, dims: tuple[int, ...]) -> str | None:
            return None

        def pairs(self, filtration: Any, dims: tuple[int, ...]) -> Any:
            return _index_pairs(**result) if isinstance(result, dict) else result

    with pytest.raises((TypeError, ValueError), match="wrong"):
        tl.persistence(tl.Freudenthal(HILLS, ndim=2), backend=Wrong())


def test_an_exception_of_a_backend_comes_through() -> None:
    class Broken(Slow):
        def pairs(self, filtration: Any, dims: tuple[int, ...]) -> tl.IndexPairs:
            raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        tl.persistence(tl.Freudenthal(HILLS), backend=Broken())


def test_a_custom_backend_never_sees_nan() -> None:
    """Contract 9: the same message whatever the backend."""
    slow = Slow()
    bad = HILLS.clone()
    bad[0, 3] = float("nan")
    with pytest.raises(ValueError, match=r"values\b.*NaN"):
        tl.persistence(tl.Freudenthal(bad), backend=slow)
    assert slow.calls == 0


def test_backends_in_print() -> None:
    """The table is looked at."""
    for name, backend in tl.backends().items():
        assert name in repr(backend)
