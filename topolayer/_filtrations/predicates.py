"""Exact signs of polynomials in the coordinates of points: in doubles where these suffice, otherwise in integers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from topolayer._filtrations.simplices import Indices

Array: TypeAlias = NDArray[Any]  # of float64, or of Python integers
Signs = NDArray[np.int8]
# A function of edges (d, k, m), from the first to the others of k + 1 points, m times. It returns values (m,) or
# (several, m), of how many products of edges' coordinates each is the sum at most, and the number of factors in each.
Polynomial: TypeAlias = Callable[[Array], tuple[Array, int, int]]


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


def signs(polynomial: Polynomial, cloud: Cloud, rows: Indices) -> Signs:
    """The exact signs of a polynomial of the points in each row."""
    values, bounds = _in_doubles(polynomial, cloud, rows)
    found = np.sign(values).astype(np.int8)
    is_unsure = np.abs(values) <= bounds
    unsure = np.flatnonzero(is_unsure if is_unsure.ndim == 1 else is_unsure.any(axis=0))
    if len(unsure):
        found[..., unsure] = _in_integers(polynomial, cloud, rows[unsure])
    return found.T


def have_sign(polynomial: Polynomial, cloud: Cloud, rows: Indices, expected: Signs, *, or_zero: bool) -> bool:
    """Whether the polynomial (one value for each row) has the expected sign, 1 or -1, in all rows.

    `or_zero`: 0 is accepted as well. Where doubles do not decide, rows are looked at in blocks, and one wrong row ends
    the test.
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


def _in_doubles(polynomial: Polynomial, cloud: Cloud, rows: Indices) -> tuple[Array, Array]:
    """Values, and bounds of their rounding errors."""
    edges = _edges(cloud.doubles, rows)
    values, products, factors = polynomial(edges)
    longest = np.abs(edges).max(axis=(0, 1))
    # Fewer than 8 (d + k) roundings are on the way of a product into the sum.
    each = 8 * (rows.shape[1] + edges.shape[0]) * np.finfo(np.float64).eps
    return values, (products * each) * longest**factors + np.finfo(np.float64).tiny


def _in_integers(polynomial: Polynomial, cloud: Cloud, rows: Indices) -> Signs:
    return np.sign(polynomial(_edges(cloud.integers, rows))[0]).astype(np.int8)


def _edges(points: Array, rows: Indices) -> Array:
    corners = np.take(np.ascontiguousarray(points.T), np.ascontiguousarray(rows.T), axis=1)
    return np.asarray(corners[:, 1:] - corners[:, :1])


def orientation(edges: Array) -> tuple[Array, int, int]:
    """The determinant of the differences of d + 1 points."""
    d = len(edges)
    return _minors(list(edges.swapaxes(0, 1)))[tuple(range(d))], math.factorial(d), d


def in_sphere(edges: Array) -> tuple[Array, int, int]:
    """A number with the sign of `orientation` of the first d + 1 points where the last is outside their sphere."""
    d = len(edges)
    rows = [[*edge, _dot(edge, edge)] for edge in edges.swapaxes(0, 1)]
    return _minors(rows)[tuple(range(d + 1))], d * math.factorial(d + 1), d + 2


def center(edges: Array) -> tuple[Array, int, int]:
    """Barycentric coordinates of the center of the smallest circumsphere of k + 1 points, times a positive number.

    The center c = sum x_j e_j has 2 c . e_i = e_i . e_i: Cramer's rule for the products of edges. The result is
    (k + 1, m); the points have a volume.
    """
    d, k, _ = edges.shape
    along = edges.swapaxes(0, 1)
    products = {(i, j): _dot(along[i], along[j]) for i in range(k) for j in range(i + 1)}
    rows = [[*(products[max(i, j), min(i, j)] for j in range(k)), products[i, i]] for i in range(k)]
    minors = _minors(rows)
    *found, volume = (minors[tuple(column for column in range(k + 1) if column != j)] for j in range(k + 1))
    found = [-minor if (k - j) % 2 == 0 else minor for j, minor in enumerate(found)]
    return np.stack([2 * volume - sum(found), *found]), (k + 2) * math.factorial(k) * d**k, 2 * k


def _dot(one: Array, other: Array) -> Array:
    total: Array = one[0] * other[0]
    for a, b in zip(one[1:], other[1:], strict=True):
        total = total + a * b
    return total


def _minors(rows: list[Any]) -> dict[tuple[int, ...], Array]:
    """The determinants of all rows and as many columns, keyed by the columns."""
    minors: dict[tuple[int, ...], Array] = {(column,): entry for column, entry in enumerate(rows[0])}
    for number, row in enumerate(rows[1:], 1):
        larger: dict[tuple[int, ...], Array] = {}
        for columns in itertools.combinations(range(len(row)), number + 1):
            terms = [row[column] * minors[columns[:i] + columns[i + 1 :]] for i, column in enumerate(columns)]
            total = terms[-1]  # the entry on the diagonal has the sign +
            for distance, term in enumerate(terms[-2::-1], 1):
                total = total - term if distance % 2 else total + term
            larger[columns] = total
        minors = larger
    return minors
