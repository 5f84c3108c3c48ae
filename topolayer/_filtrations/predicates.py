"""Exact signs of polynomials in the coordinates of points: in doubles where these suffice, else in integers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]  # of float64, or of Python integers
Signs = NDArray[np.int8]
# Of coordinates (m, points, d) to values, and the same with all terms positive, which bounds what rounding does.
Polynomial: TypeAlias = Callable[[Array], tuple[Array, Array]]


@dataclass(frozen=True)
class Cloud:
    """Points (n, d) in doubles, and the same points in integers, with a common factor."""

    doubles: NDArray[np.float64]

    @cached_property
    def integers(self) -> Array:
        mantissa, exponent = np.frexp(self.doubles)
        shift = np.where(self.doubles == 0, 0, exponent - exponent[self.doubles != 0].min(initial=0))
        integers: Array = np.ldexp(mantissa, 53).astype(np.int64).astype(object) << shift.astype(object)
        return integers


def signs(polynomial: Polynomial, cloud: Cloud, rows: NDArray[np.int64]) -> Signs:
    """The exact signs of a polynomial of the points in each row."""
    values, bounds = _in_doubles(polynomial, cloud, rows)
    found = np.sign(values).astype(np.int8)
    unsure = np.flatnonzero((np.abs(values) <= bounds).reshape(len(rows), -1).any(axis=1))
    if len(unsure):
        found[unsure] = _in_integers(polynomial, cloud, rows[unsure])
    return found


def have_sign(polynomial: Polynomial, cloud: Cloud, rows: NDArray[np.int64], expected: Signs, *, or_zero: bool) -> bool:
    """Whether the polynomial (one value for each row) has the expected sign, 1 or -1, in all rows.

    `or_zero`: 0 will do as well. Of rows that doubles do not decide few are looked at if one of these is wrong.
    """
    values, bounds = _in_doubles(polynomial, cloud, rows)
    values = values * expected
    if (values < -bounds).any():
        return False
    unsure = np.flatnonzero(values <= bounds)
    start, least = 0, 0 if or_zero else 1
    while start < len(unsure):
        some = unsure[start : 2 * start + 32]
        if (_in_integers(polynomial, cloud, rows[some]) * expected[some] < least).any():
            return False
        start += len(some)
    return True


def _in_doubles(polynomial: Polynomial, cloud: Cloud, rows: NDArray[np.int64]) -> tuple[Array, Array]:
    """Values, and bounds of their rounding errors."""
    values, terms = polynomial(cloud.doubles[rows])
    size = rows.shape[1] + cloud.doubles.shape[1]
    # Each term is a product of up to 2 `size` sums of `size` numbers, and there are fewer than 2**size of them.
    return values, terms * (2 * size * size * np.finfo(np.float64).eps) + np.finfo(np.float64).tiny


def _in_integers(polynomial: Polynomial, cloud: Cloud, rows: NDArray[np.int64]) -> Signs:
    values, _ = polynomial(cloud.integers[rows])
    return np.sign(values).astype(np.int8)


def orientation(points: Array) -> tuple[Array, Array]:
    """Of d + 1 points: the determinant of their differences, (m,)."""
    edges, sizes = _edges(points)
    everything = tuple(range(len(edges)))
    return _minors(edges, -1)[everything], _minors(sizes, 1)[everything]


def in_sphere(points: Array) -> tuple[Array, Array]:
    """Of d + 2 points: the sign of `orientation` of the first d + 1 where the last is outside of their sphere, (m,)."""
    edges, sizes = _edges(points)
    return _lifted(edges, -1), _lifted(sizes, 1)


def _lifted(edges: list[list[Array]], sign: int) -> Array:
    rows = [[*edge, _dot(edge, edge)] for edge in edges]
    return _minors(rows, sign)[tuple(range(len(rows)))]


def center(points: Array) -> tuple[Array, Array]:
    """Of k + 1 points: barycentric coordinates of the center of their smallest circumsphere, times a positive number.

    (m, k + 1), of points that have a volume.
    """
    edges, sizes = _edges(points)
    values, terms = _coordinates(edges, -1), _coordinates(sizes, 1)
    return np.stack([2 * values[-1] - sum(values[:-1]), *values[:-1]], axis=1), np.stack(
        [2 * terms[-1] + sum(terms[:-1]), *terms[:-1]], axis=1
    )


def _coordinates(edges: list[list[Array]], sign: int) -> list[Array]:
    """Twice the coordinates of the center along the edges, times the last entry, a determinant that is not negative.

    The center c = sum x_j e_j has 2 c . e_i = e_i . e_i: Cramer's rule for the products of edges.
    """
    k = len(edges)
    rows = [[_dot(one, other) for other in edges] for one in edges]
    minors = _minors([[*row, row[i]] for i, row in enumerate(rows)], sign)
    found = []
    for left_out in range(k + 1):
        minor = minors[tuple(column for column in range(k + 1) if column != left_out)]
        found.append(-minor if sign < 0 and left_out < k and (k - left_out) % 2 == 0 else minor)
    return found


def _edges(points: Array) -> tuple[list[list[Array]], list[list[Array]]]:
    """From the first point to the others: coordinates, and their sizes."""
    edges = np.moveaxis(points[:, 1:] - points[:, :1], 0, -1)
    sizes = np.abs(edges)
    return [list(edge) for edge in edges], [list(edge) for edge in sizes]


def _dot(one: list[Array], other: list[Array]) -> Array:
    return sum((a * b for a, b in zip(one[1:], other[1:], strict=True)), one[0] * other[0])


def _minors(rows: list[list[Array]], sign: int) -> dict[tuple[int, ...], Array]:
    """Determinants of all rows and as many columns, by these; with sign=1 all terms are added up as they are."""
    minors: dict[tuple[int, ...], Array] = {(column,): entry for column, entry in enumerate(rows[0])}
    for number, row in enumerate(rows[1:], 1):
        larger: dict[tuple[int, ...], Array] = {}
        for columns in itertools.combinations(range(len(row)), number + 1):
            total: Any = 0
            for place, column in enumerate(columns):
                term = row[column] * minors[columns[:place] + columns[place + 1 :]]
                total = total - term if sign < 0 and (number + place) % 2 else total + term
            larger[columns] = total
        minors = larger
    return minors
