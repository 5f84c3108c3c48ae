"""Persistence of grids in PyTorch's own operations, on the device of the values: H0, and by duality the top dimension.

The idea is that of the C++ core. From any pixel, earlier and earlier neighbours lead to an extremum, where a component
is born. A pixel with neighbours that lead to several extrema may join their components: it makes *arcs*. Extrema and
arcs are *events*, of which there are much fewer than pixels. Rounds reduce them until one extremum per sample is left,
whose component never dies.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import pad

from topolayer._backends.protocol import BarIndices, Capabilities, IndexPairs
from topolayer._filtrations import Filtration
from topolayer._filtrations.cells import Grid
from topolayer._per_sample import counts, lexsort

_Offset: TypeAlias = tuple[int, ...]

_MOST_CANDIDATES = 2**31 - 1  # Tensor.nonzero on CUDA counts in 32 bits


class TorchBackend:
    """Whole-tensor operations on `values.device`, over all samples at once. Only sizes are copied to the host.

    The host waits for the device once per dimension (how many events there are), once per round (how many are
    left), and once at the end (how many bars there are). Samples and dimensions share the rounds; n extrema in
    a sample take at most log2(n) of them.
    """

    name = "torch"
    capabilities = Capabilities(simplifies=True, checks_finite=True, devices=None)

    def unsupported(self, filtration: Filtration, dims: tuple[int, ...]) -> str | None:
        grid = filtration.cells
        if not isinstance(grid, Grid):
            return f"it computes grids only, no {type(filtration).__name__} filtrations"
        if not set(dims) <= {0, filtration.top_dimension}:
            return 'of grids it computes dimension 0 and the top one; "native" computes all of them'
        most = _MOST_CANDIDATES // 3 ** len(grid.shape)  # neighbours, and the pixel itself
        pixels = filtration.samples * math.prod(length + 2 for length in grid.shape)
        if pixels > most:
            return (
                f"it takes batches of at most {most} pixels, a border of one around each sample included, got {pixels}"
            )
        return None

    def pairs(self, filtration: Filtration, dims: tuple[int, ...]) -> IndexPairs:
        ascending = sorted(dims)
        finite = filtration.values.isfinite().all()
        events = _joined([_events(filtration, dim, valid=finite)[0] for dim in ascending])
        if len(events.key) == 0:
            filtration.check_finite()
        death, _, alive = _deaths(events, filtration.samples * len(dims))
        return _bars(events, death, alive, ascending)

    def simplified(self, filtration: Filtration, k: int, threshold: float) -> Tensor:
        events, extremum = _events(filtration, 0, valid=filtration.values.isfinite().all())
        if len(events.key) == 0:
            filtration.check_finite()
        death, met, alive = _deaths(events, filtration.samples)
        kept = _kept(events, death, alive, k, threshold)
        cut = _cuts(death, met, kept)[extremum].reshape(filtration.values.shape)
        key = -filtration.values if filtration.superlevel else filtration.values
        entry = torch.arange(key.numel(), device=key.device).reshape(key.shape)
        return torch.where(key < events.key[cut], events.entry[cut], entry)

    def __repr__(self) -> str:
        return "<torch: grids in dimension 0 and the top one, on the device of the values>"


class _Events(NamedTuple):
    """Extrema and arcs in filtration order, (m,) tensors with an entry each. An event's number is its age or time."""

    key: Tensor  # value, ascending
    entry: Tensor  # index, flat into all of the filtration values
    pixel: Tensor  # the first event at the same pixel
    one: Tensor  # the extrema that an arc joins; an extremum itself
    other: Tensor
    group: Tensor  # sample; of several dimensions, sample and dimension


def _events(filtration: Filtration, dim: int, valid: Tensor) -> tuple[_Events, Tensor]:
    """The events of all samples in one dimension, and for each pixel the extremum to which earlier neighbours lead.

    There are none unless `valid`, so the host need not wait to look at it.
    """
    grid = filtration.cells
    assert isinstance(grid, Grid)  # nothing else is supported
    values = filtration.values.reshape(filtration.samples, *grid.shape)
    # The keys ascend in filtration order, and none is -0.0.
    keys = 0.0 - values if filtration.superlevel != (dim > 0) else values + 0.0
    axes, border = tuple(range(1, values.ndim)), (1, 1) * len(grid.shape)
    if dim > 0:  # the reversed order, with the outside of the grid before all
        keys = pad(keys.flip(axes), border, value=-math.inf)
    around, neighbours = _surroundings(grid, dim)
    earlier, towards = _compare(keys, around, neighbours)
    sample_size = keys[0].numel()
    extremum = _follow(towards.flatten(), sample_size)
    candidates = _candidates(earlier, extremum.reshape(keys.shape), around, neighbours)
    pixel, column = candidates.logical_and_(valid).nonzero().unbind(1)  # the host waits
    key, order = keys.flatten()[pixel].sort(stable=True)
    pixel, column = pixel[order], column[order]
    number = torch.arange(len(pixel), device=pixel.device)
    first_at = torch.empty_like(extremum).scatter_reduce_(0, pixel, number, "amin", include_self=False)
    steps = torch.cat([pixel.new_full((1,), step) for step in (*_steps(keys, neighbours), 0)])
    entry = pixel
    if dim > 0:
        entries = torch.arange(values.numel(), device=pixel.device).reshape(values.shape)
        entry = pad(entries.flip(axes), border).flatten()[pixel]
    events = _Events(
        key=key,
        entry=entry,
        pixel=first_at[pixel],
        one=first_at[extremum[pixel]],
        other=first_at[extremum[pixel + steps[column]]],
        group=pixel // sample_size,
    )
    return events, first_at[extremum]


def _surroundings(grid: Grid, dim: int) -> tuple[list[_Offset], list[_Offset]]:
    """Offsets of the pixels around a pixel that are looked at, and of its neighbours among them, both in C order.

    The others only tell whether two neighbours are joined around a corner. In the top dimension the connectivity is the
    dual one.
    """
    cube = [offset for offset in itertools.product((-1, 0, 1), repeat=len(grid.shape)) if any(offset)]
    if grid.connectivity == "F":
        along = [offset for offset in cube if abs(sum(offset)) == _length(offset)]
        return along, along
    if (grid.connectivity == "V") == (dim == 0):
        return [offset for offset in cube if _length(offset) <= 2], [offset for offset in cube if _length(offset) == 1]
    return cube, cube


def _length(offset: _Offset) -> int:
    return sum(map(abs, offset))


def _steps(keys: Tensor, offsets: Sequence[_Offset]) -> list[int]:
    """The change of the flat index for this offset, whatever the strides are."""
    lengths = [math.prod(keys.shape[axis:]) for axis in range(2, keys.ndim + 1)]
    return [sum(map(operator.mul, offset, lengths)) for offset in offsets]


def _overlap(offset: _Offset) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """The pixels of the grid with another one at this offset, and those others."""
    here = tuple(slice(max(-d, 0), min(-d, 0) or None) for d in offset)
    there = tuple(slice(max(d, 0), min(d, 0) or None) for d in offset)
    return (slice(None), *here), (slice(None), *there)


def _compare(keys: Tensor, around: Sequence[_Offset], neighbours: Sequence[_Offset]) -> tuple[Tensor, Tensor]:
    """A bit for each earlier pixel around, and the index of the first earlier neighbour; without one, of the pixel."""
    earlier = torch.zeros_like(keys, dtype=torch.int32)
    step = torch.zeros_like(keys, dtype=torch.int64)
    half = len(around) // 2  # of the second half each is opposite to one of the first, which precedes the pixel
    for i, step_back in reversed(list(enumerate(_steps(keys, around[:half])))):
        here, there = _overlap(around[i])
        is_earlier = keys[there] <= keys[here]
        is_later = ~is_earlier
        earlier[here].bitwise_or_(is_earlier.int() << i)
        earlier[there].bitwise_or_(is_later.int() << (len(around) - 1 - i))
        if around[i] in neighbours:
            step[here].masked_fill_(is_earlier, step_back)
            step[there].masked_fill_(is_later & (step[there] == 0), -step_back)
    return earlier, torch.arange(keys.numel(), device=keys.device).reshape(keys.shape) + step


def _follow(towards: Tensor, longest: int) -> Tensor:
    """The last element on the path from each one. Testing whether it is reached would make the host wait."""
    for _ in range(longest.bit_length()):  # each doubles how far one has got
        towards = towards[towards]
    return towards


def _candidates(earlier: Tensor, extremum: Tensor, around: Sequence[_Offset], neighbours: Sequence[_Offset]) -> Tensor:
    """(pixels, neighbours + 1) bool: which neighbours an arc goes to, and which pixels are extrema.

    An arc goes to an earlier neighbour that leads to another extremum than the first one does, unless this is already
    joined to a neighbour before it: next to it, or next to an earlier pixel that is next to it.
    """
    place = {offset: i for i, offset in enumerate(around)}
    adjacent = {a: [b for b in around if tuple(map(operator.sub, a, b)) in neighbours] for a in around}
    candidates = earlier.new_zeros((*earlier.shape, len(neighbours) + 1), dtype=torch.bool)
    for column, offset in enumerate(neighbours):
        here, there = _overlap(offset)
        is_earlier = earlier[here]
        before = [a for a in adjacent[offset] if a in neighbours[:column]]
        goes = is_earlier & _bits(place, [offset, *before]) == _bits(place, [offset])
        for between in adjacent[offset]:
            joined = [a for a in adjacent[between] if a in neighbours[:column] and a not in before]
            if between not in before and joined:
                goes &= (is_earlier & _bits(place, [between]) == 0) | (is_earlier & _bits(place, joined) == 0)
        candidates[..., column][here] = goes & (extremum[here] != extremum[there])
    candidates[..., -1] = extremum == torch.arange(extremum.numel(), device=extremum.device).reshape(extremum.shape)
    return candidates.flatten(0, -2)


def _bits(place: dict[_Offset, int], offsets: Sequence[_Offset]) -> int:
    return sum(1 << place[offset] for offset in offsets)


def _joined(parts: Sequence[_Events]) -> _Events:
    """The events of several dimensions in one list: they need to be in order only within each dimension."""
    shifted, start = [], 0
    for i, part in enumerate(parts):
        numbers = (part.pixel + start, part.one + start, part.other + start)
        shifted.append(_Events(part.key, part.entry, *numbers, part.group * len(parts) + i))
        start += len(part.key)
    return shifted[0] if len(shifted) == 1 else _Events(*map(torch.cat, zip(*shifted, strict=True)))


def _deaths(events: _Events, groups: int) -> tuple[Tensor, Tensor, Tensor]:
    """(m,) the arc at which the component of each extremum dies, m if it does not; (m,) an extremum of the component
    that it meets there; and (groups,) the extrema whose components do not die.

    A round looks at the first arc of every component. These arcs make trees of the components: *clusters*. First arcs
    lead to earlier ones, so a cluster grows from its earliest arc, and the others join it one by one, each at its own
    first arc. Hence two components of a cluster meet at the later of their first arcs, and a component dies where it
    first meets an older one. That is certain if it is its own first arc, or comes before the first arc that leaves the
    cluster, from where an older component may have come. All components that certainly die are merged into the oldest
    component that the cluster has until then. Its first arc, in the next round, is the one that leaves the cluster. So
    clusters become parts of larger ones, and after at most log2(n) rounds no arc leaves the only one.
    """
    m = len(events.key)
    death = torch.full_like(events.one, m)
    alive, one, other = torch.arange(m, device=death.device), events.one, events.other
    met = alive.clone()
    while len(alive) > groups:  # events of the round are numbered anew, in the same order
        n = len(alive)
        number = torch.arange(n, device=death.device)
        never = torch.full_like(number, n)
        first = _earliest(torch.where(one != other, number, never), (one, other), never)
        arc = first.clamp(max=n - 1)
        across = torch.where(first < n, one[arc] + other[arc] - number, number)
        is_root = (across[across] == number) & (number < across)  # of the two that have the earliest arc
        cluster = _follow(torch.where(is_root, number, across), n)
        in_between = torch.where(cluster[one] != cluster[other], number, never)
        leaving = _earliest(in_between, (cluster[one], cluster[other]), never)[cluster]
        meeting = torch.maximum(first, _earliest_of_older(first, cluster))
        dies = (meeting < leaving) | ((meeting == first) & (first < n))
        oldest = _earliest(torch.where(first < leaving, number, never), (cluster,), never)
        death.scatter_(0, alive, torch.where(dies, alive[meeting.clamp(max=n - 1)], m))
        joining = pad(number, (0, 1)).scatter(0, first, number)  # the component that has this arc as its first
        met.scatter_(0, alive, alive[torch.where(meeting == first, across, joining[meeting])])
        merged = torch.where(dies, oldest[cluster], number)
        one, other = merged[one], merged[other]
        kept = ((one != other) | (one == number)).nonzero()[:, 0]  # the host waits
        renumbered = never.scatter(0, kept, number[: len(kept)])
        alive, one, other = alive[kept], renumbered[one[kept]], renumbered[other[kept]]
    return death, met, alive


def _kept(events: _Events, death: Tensor, alive: Tensor, k: int, threshold: float) -> Tensor:
    """(m,) bool: the extrema of the bars that are kept, one that never dies and the longest others of each sample."""
    m = len(death)
    length = (events.key[death.clamp(max=m - 1)] - events.key).masked_fill(death == m, -1)  # -1: an arc
    length = length.scatter(0, alive, math.inf)
    never_dies = torch.zeros_like(length, dtype=torch.bool).index_fill(0, alive, True)
    order = lexsort([events.group, ~never_dies, -length])
    sizes = counts(events.group, len(alive))
    start = (sizes.cumsum(0) - sizes)[events.group[order]]
    place = torch.empty_like(order).scatter(0, order, torch.arange(m, device=order.device) - start)
    return never_dies | ((place < k) & (length >= threshold))


def _cuts(death: Tensor, met: Tensor, kept: Tensor) -> Tensor:
    """(m,) the arc at which the component of each extremum first meets a kept one; a kept extremum itself.

    The bar of an extremum that dies into another is not longer than that of the other, so a component has a kept
    extremum if its oldest one is kept. Hence an extremum first meets a kept one where it dies. If the extremum that it
    meets there has not met a kept one by then, it is where that one does: the later of the two. The extremum that it
    meets was in another component until then, so the path does not lead in a circle.
    """
    number = torch.arange(len(death), device=death.device)
    latest = torch.where(kept, -1, death)
    way = torch.where(kept, number, met)
    for _ in range(len(death).bit_length()):  # each doubles how far one has got
        latest, way = torch.maximum(latest, latest[way]), way[way]
    return torch.where(kept, number, latest)


def _earliest(times: Tensor, places: Sequence[Tensor], never: Tensor) -> Tensor:
    """The least of the times at each place, `never` where there is none."""
    for place in places:
        never = never.scatter_reduce(0, place, times, "amin")
    return never


def _earliest_of_older(times: Tensor, cluster: Tensor) -> Tensor:
    """The least of the times of those with a smaller number in the same cluster, n if there are none."""
    n = len(times)
    cluster, order = cluster.sort(stable=True)
    lowered = times[order] - cluster * (n + 1)  # below all times in clusters before
    least = torch.cat([lowered.new_full((1,), n), _running_minimum(lowered)[:-1]]) + cluster * (n + 1)
    return torch.empty_like(times).scatter(0, order, least.clamp(max=n))


def _running_minimum(values: Tensor) -> Tensor:
    """torch.cummin, in the rows of a square: a GPU computes these at once, but not a single row."""
    side = math.isqrt(len(values) - 1) + 1
    rows = pad(values, (0, side * side - len(values))).reshape(side, side).cummin(dim=1).values
    rows_before = rows[:-1, -1:].cummin(dim=0).values
    return torch.cat([rows[:1], torch.minimum(rows[1:], rows_before)]).flatten()[: len(values)]


def _bars(events: _Events, death: Tensor, alive: Tensor, dims: Sequence[int]) -> IndexPairs:
    """The bars of length > 0 in the order of a `Barcode`, and the essential ones of dimension 0."""
    count, m = len(dims), len(death)
    has_length = (death < m) & (events.key[death.clamp(max=m - 1)] != events.key)
    birth = has_length.nonzero()[:, 0]  # the host waits
    death, group = death[birth], events.group[birth]
    dim = dims[0] + group % count * (dims[-1] - dims[0])
    dual = dim > 0  # births there are deaths here, and the last death comes first
    order = torch.where(dual, -birth, events.pixel[death] * m + birth).argsort()
    order = order[group[order].argsort(stable=True)]
    pairs = torch.where(dual[:, None], torch.stack([death, birth], dim=1), torch.stack([birth, death], dim=1))
    oldest = torch.empty_like(alive).scatter(0, events.group[alive], events.entry[alive]).reshape(-1, count)
    essential = oldest[:, 0] if dims[0] == 0 else alive[:0]  # of the dual it is the outside
    return IndexPairs(
        finite=BarIndices(events.entry[pairs[order]], dim[order], group[order] // count),
        essential=BarIndices(
            essential, torch.zeros_like(essential), torch.arange(len(essential), device=essential.device)
        ),
        canonical=True,
    )
