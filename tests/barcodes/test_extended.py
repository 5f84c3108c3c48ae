"""Extended persistence of graphs: the definition, GUDHI, laws, gradients, and what a barcode of it goes through."""

from __future__ import annotations

import copy
import io
import math
import pickle
import re
from collections import Counter

import gudhi
import pytest
import torch
from torch import Tensor

import topolayer as tl

from ..helpers.extended import EXTENDED, ORDINARY, RELATIVE, Bar, extended

pytestmark = pytest.mark.native
RING = torch.tensor([[0, 1], [1, 2], [2, 3], [3, 0], [3, 4]])  # with a tail


def draw(seed: int, samples: int = 1) -> tuple[Tensor, Tensor]:
    """(samples, vertices) values, tied in every other graph, and edges, some of them given twice."""
    rng = torch.Generator().manual_seed(seed)
    vertices = int(torch.randint(1, 16, (1,), generator=rng))
    edges = torch.randint(vertices, (int(torch.randint(0, 30, (1,), generator=rng)), 2), generator=rng)
    edges = edges[edges[:, 0] != edges[:, 1]]
    values = torch.randn(samples, vertices, generator=rng, dtype=torch.float64)
    return (values.round() if seed % 2 else values), torch.cat([edges, edges[::3].flip(1)])


def graph(values: Tensor, edges: Tensor, superlevel: bool = False) -> tl.LowerStar:
    return tl.LowerStar(values, [edges], superlevel=superlevel)


def bars(barcode: tl.ExtendedBarcode) -> list[Bar]:
    columns = torch.stack([barcode.dims, barcode.kind, *barcode.pairs.unbind(1)], dim=1)
    return sorted(tuple(row) for row in columns.tolist())


@pytest.mark.parametrize("superlevel", [False, True])
def test_the_definition(superlevel: bool) -> None:
    for seed in range(500):
        values, edges = draw(seed)
        expected = extended(values[0].tolist(), edges.tolist(), superlevel)
        assert bars(tl.extended_persistence(graph(values[0], edges, superlevel))) == expected, seed


def test_gudhi() -> None:
    """It rounds: 0.3 comes back as 0.29999999999999993."""
    kinds = [(0, ORDINARY), (1, RELATIVE), (0, EXTENDED), (1, EXTENDED)]
    for seed in range(1000):
        values, edges = draw(seed)
        barcode = tl.extended_persistence(graph(values[0], edges))
        tree = gudhi.SimplexTree()
        for vertex, value in enumerate(values[0].tolist()):
            tree.insert([vertex], value)
        for edge in edges.tolist():
            tree.insert(edge, float(values[0, edge].max()))
        tree.extend_filtration()
        for (dim, kind), found in zip(kinds, tree.extended_persistence(min_persistence=-1), strict=True):
            expected = [(b, d) for of_dim, (b, d) in found if of_dim == dim and abs(b - d) > 1e-9]
            assert len(expected) == sum(of_dim == dim and abs(b - d) > 1e-9 for of_dim, (b, d) in found)
            chosen = (barcode.dims == dim) & (barcode.kind == kind)
            mine = torch.stack([barcode.births[chosen], barcode.deaths[chosen]], dim=1)
            theirs = torch.tensor(sorted(expected), dtype=torch.float64).reshape(-1, 2)
            assert torch.allclose(torch.tensor(sorted(mine.tolist())).double().reshape(-1, 2), theirs, atol=1e-6), seed


@pytest.mark.parametrize("superlevel", [False, True])
def test_ordinary_and_relative_bars_are_components_of_both_directions(superlevel: bool) -> None:
    for seed in range(100):
        values, edges = draw(seed, samples=3)
        barcode = tl.extended_persistence(graph(values, edges, superlevel))
        for kind, direction in ((ORDINARY, superlevel), (RELATIVE, not superlevel)):
            components = tl.persistence(graph(values, edges, direction))
            assert torch.equal(barcode.pairs[barcode.kind == kind], components.pairs)


def test_every_component_and_every_loop_has_a_death() -> None:
    for seed in range(0, 100, 2):  # without ties there is no loop of length zero
        values, edges = draw(seed, samples=3)
        barcode = tl.extended_persistence(graph(values, edges))
        never = tl.persistence(graph(values, edges), (0, 1)).essential
        stays = barcode.kind == EXTENDED
        assert Counter(barcode.pairs[stays & (barcode.dims == 1), 0].tolist()) == Counter(
            never.indices[never.dims == 1].tolist()
        )
        isolated = set(range(values.shape[1])) - set(edges.flatten().tolist())
        births = {int(i) for i in never.indices[never.dims == 0] if int(i) % values.shape[1] not in isolated}
        assert set(barcode.pairs[stays & (barcode.dims == 0), 0].tolist()) == births
        assert len(barcode.essential) == 0


def test_a_large_graph_against_its_union_of_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A union has the bars of its parts; neither threads nor the batch change anything."""
    rng = torch.Generator().manual_seed(0)
    parts = [torch.randint(2000, (6000, 2), generator=rng) for _ in range(3)]
    parts = [part[part[:, 0] != part[:, 1]] for part in parts]
    values = torch.rand(5, 6000, generator=rng)
    union = torch.cat([part + 2000 * i for i, part in enumerate(parts)])
    found = []
    for threads in (1, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        found.append(tl.extended_persistence(graph(values, union)))
    assert torch.equal(found[0].pairs, found[1].pairs)
    apart = [tl.extended_persistence(graph(values[:, 2000 * i :][:, :2000], part)) for i, part in enumerate(parts)]
    for name in ("births", "deaths"):
        of_parts = torch.cat([getattr(barcode, name) for barcode in apart])
        assert torch.equal(getattr(found[0], name).sort().values, of_parts.sort().values)
    for sample in range(5):
        alone = tl.extended_persistence(graph(values[sample], union))
        assert torch.equal(found[0].select(sample=sample).pairs, alone.pairs + 6000 * sample)


def test_order() -> None:
    values, edges = draw(8, samples=4)
    for superlevel in (False, True):
        barcode = tl.extended_persistence(graph(values, edges, superlevel))
        groups = (barcode.sample * 2 + barcode.dims) * 3 + barcode.kind
        assert bool((groups.diff() >= 0).all())
        falls = (barcode.kind == ORDINARY) == superlevel
        steps = (barcode.deaths * torch.where(falls, -1, 1)).diff()
        assert bool((steps[groups.diff() == 0] >= 0).all())


@pytest.mark.parametrize("superlevel", [False, True])
def test_gradients(superlevel: bool) -> None:
    values, edges = draw(4, samples=2)

    def squares(values: Tensor) -> Tensor:
        barcode = tl.extended_persistence(graph(values, edges, superlevel))
        return barcode.sum(barcode.lengths**2)

    assert torch.autograd.gradcheck(squares, values.requires_grad_())
    expected = torch.autograd.grad(squares(values).sum(), values)[0]
    assert torch.equal(torch.func.grad(lambda values: squares(values).sum())(values.detach()), expected)


@pytest.mark.parametrize("superlevel", [False, True])
def test_lengths_are_positive_and_functions_of_lengths_take_them(superlevel: bool) -> None:
    values, edges = draw(6, samples=3)
    barcode = tl.extended_persistence(graph(values, edges, superlevel))
    assert bool((barcode.lengths > 0).all()) and {0, 1, 2} == set(barcode.kind.tolist())
    ends = torch.stack([barcode.births, barcode.deaths])
    assert torch.equal(barcode.lengths, ends.amax(0) - ends.amin(0))
    total = tl.total_persistence(barcode, p=1)
    torch.testing.assert_close(total, barcode.sum(barcode.lengths))
    assert bool((tl.persistent_entropy(barcode) >= 0).all())
    of_loops = barcode.select(dim=1)
    assert torch.equal(tl.longest_lengths(of_loops, 1)[:, 0], of_loops.padded(of_loops.lengths)[0].amax(1))
    grid = torch.linspace(-4, 4, 4001, dtype=torch.float64)
    tents = tl.landscape(of_loops, grid, k=40).sum(dim=(1, 2)) * 8 / 4000  # a tent has the area length ** 2 / 4
    torch.testing.assert_close(tents, of_loops.sum(of_loops.lengths**2) / 4, rtol=1e-3, atol=1e-3)
    assert torch.equal(tl.bottleneck(barcode, barcode, dim=1), torch.zeros(3, dtype=torch.float64))


def test_kind_goes_where_the_bars_go() -> None:
    values, edges = draw(6, samples=3)
    barcode = tl.extended_persistence(graph(values, edges))
    loops = barcode.select(barcode.kind == EXTENDED, dim=1)
    assert isinstance(loops, tl.ExtendedBarcode) and len(loops) and set(loops.kind.tolist()) == {EXTENDED}
    assert torch.equal(loops.kind, barcode.select(dim=1).select(barcode.select(dim=1).kind == EXTENDED).kind)
    file = io.BytesIO()
    torch.save(barcode, file)
    file.seek(0)
    for same in (
        pickle.loads(pickle.dumps(barcode)),
        pickle.loads(pickle.dumps(barcode.select(barcode.kind < 9))),
        torch.load(file, weights_only=True),
        copy.deepcopy(barcode),
        barcode.detach(),
        barcode.cpu(),
        barcode.to("cpu"),
        tl.Barcode.cat([barcode.select(sample=0), barcode.select(sample=1), barcode.select(sample=2)]),
    ):
        assert isinstance(same, tl.ExtendedBarcode)
        if same.batch_shape == barcode.batch_shape:
            assert torch.equal(same.pairs, barcode.pairs)
        assert torch.equal(same.kind, barcode.kind) and torch.equal(same.lengths, barcode.lengths)
    alone = [tl.extended_persistence(graph(row, edges)) for row in values]
    stacked = tl.Barcode.stack(alone)
    assert isinstance(stacked, tl.ExtendedBarcode) and torch.equal(stacked.kind, barcode.kind)
    assert torch.equal(stacked.pairs, barcode.pairs)
    assert repr(barcode).startswith("ExtendedBarcode(finite:")


def test_half_precision_and_empty_batches() -> None:
    values = torch.tensor([[1.0, 2.0, 4.0, 3.0, 0.0]], dtype=torch.bfloat16)
    barcode = tl.extended_persistence(tl.LowerStar(values, RING))
    assert barcode.births.dtype == torch.float32 and barcode.input_dtype == torch.bfloat16
    empty = tl.extended_persistence(tl.LowerStar(torch.empty(0, 5), RING))
    assert len(empty) == 0 and empty.batch_shape == (0,) and empty.sum(empty.lengths).shape == (0,)
    constant = tl.extended_persistence(tl.LowerStar(torch.zeros(5), RING))
    assert len(constant) == 0


def test_the_compiler_breaks_its_graph() -> None:
    def longest(values: Tensor) -> Tensor:
        return tl.extended_persistence(tl.LowerStar(values, RING)).lengths.max()

    values = torch.tensor([1.0, 2.0, 4.0, 3.0, 0.0])
    assert torch.compile(longest, backend="eager")(values) == longest(values) == 4


@pytest.mark.parametrize(
    ("filtration", "error", "words"),
    [
        (torch.rand(4), TypeError, ["filtration: expected a LowerStar filtration of a graph", "make one with"]),
        (
            tl.Freudenthal(torch.rand(4, 4)),
            ValueError,
            ["filtration: expected a LowerStar", "Freudenthal", "persistence"],
        ),
        (tl.Rips(torch.zeros(3, 3)), ValueError, ["filtration: expected a LowerStar", "Rips", "use persistence"]),
        (
            tl.LowerStar(torch.rand(4), [torch.tensor([[0, 1, 2]])]),
            ValueError,
            ["filtration: expected a LowerStar", "got simplices of 3 vertices", "give the edges alone"],
        ),
        (tl.LowerStar(torch.tensor([0.0, math.nan]), torch.tensor([[0, 1]])), ValueError, ["values: "]),
    ],
)
def test_what_is_no_graph_is_refused(filtration: object, error: type[Exception], words: list[str]) -> None:
    with pytest.raises(error, match=".*".join(map(re.escape, words))):
        tl.extended_persistence(filtration)  # type: ignore[arg-type]


def test_what_needs_an_ordinary_barcode_says_so() -> None:
    filtration = tl.LowerStar(torch.tensor([1.0, 2.0, 4.0, 3.0, 0.0]), RING)
    barcode, ordinary = tl.extended_persistence(filtration), tl.persistence(filtration, (0, 1))
    with pytest.raises(TypeError, match=r"barcode: expected one of persistence.*take tl\.persistence"):
        tl.betti_numbers(barcode, 1.0, dim=1)
    with pytest.raises(TypeError, match=r"second: expected ExtendedBarcode, .* got Barcode; compute both"):
        tl.wasserstein(barcode, ordinary, dim=0)
    with pytest.raises(ValueError, match="barcodes: expected class ExtendedBarcode of all"):
        tl.Barcode.stack([barcode, ordinary])
