#!/usr/bin/env bash
# gudhi 3.13.0, AlphaComplex
#
# Behaviour: with the default precision, "safe", a turned lattice has voids that are not there. All of its 64 points lie in
# a ball whose squared radius is 6.75, so nothing can live longer than that. Yet voids have squared radii of 1e14, and
# differences of a million between birth and death. Tetrahedra that are flat up to rounding have huge spheres; these are
# found exactly, then rounded, and a tetrahedron and its face with nearly the same radius get values that are apart.
# precision="exact" has the right bars, and takes six times as long on 2,000 points in space; "fast" has wrong ones too.
#
# Output seen: voids up to a squared radius of 6.02e+14, the longest with 1.11e+06, by "safe"; of 0.75 and 0.25 by "exact".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check gudhi==3.13.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import gudhi
import numpy as np

angle = np.deg2rad(20)
turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
lattice = np.stack(np.meshgrid(*[np.arange(4)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) @ turn.T
points = lattice.astype(np.float32).astype(np.float64)
ball = ((points - points.mean(0)) ** 2).sum(1).max()


def voids(precision):
    """The largest death and the longest bar of dimension 2."""
    tree = gudhi.AlphaComplex(points=points, precision=precision).create_simplex_tree()
    tree.compute_persistence(homology_coeff_field=2)
    bars = tree.persistence_intervals_in_dimension(2)
    return bars[:, 1].max(), np.diff(bars).max()


(death, longest), (true_death, true_longest) = voids("safe"), voids("exact")
print(f"all points within {ball:.2f}; safe: {death:.2e}, {longest:.2e}; exact: {true_death:.2f}, {true_longest:.2f}")
assert death > 1e12 > ball > true_death
assert longest > 1e5
assert true_longest < 0.26
PYTHON
