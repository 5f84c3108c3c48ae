#!/usr/bin/env bash
# gudhi 3.13.0, gudhi.representations.SlicedWassersteinDistance (with scikit-learn 1.9.0)
#
# Behaviour: `num_directions=n` averages over n - 1 directions. The n angles are spaced without the end point already, and
# then the last of them is dropped. So the mean is not over equally spaced directions (a gap of 2*pi/n stays in one place),
# small n are far off (two directions give the value of one), and n = 1 averages over nothing and gives NaN.
#
# Output seen: num_directions=2 gives 1.5, the value of the direction -pi/2 alone; the mean of the directions -pi/2 and 0 is
# 1.0; num_directions=1 gives nan.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check gudhi==3.13.0 scikit-learn==1.9.0
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import math

import numpy as np
from gudhi.representations import SlicedWassersteinDistance

first, second = np.array([[0.0, 1.0]]), np.array([[0.0, 2.0]])


def on_a_line(angle):
    """The distance between the projections, each diagram completed by the diagonal points of the other."""
    line = np.array([math.cos(angle), math.sin(angle)])
    middle = lambda diagram: np.repeat(diagram.mean(axis=1, keepdims=True), 2, axis=1)
    one = np.sort(np.concatenate([first, middle(second)]) @ line)
    other = np.sort(np.concatenate([second, middle(first)]) @ line)
    return np.abs(one - other).sum()


def gudhi(directions):
    return SlicedWassersteinDistance(num_directions=directions).fit([first]).transform([second])[0, 0]


two = np.mean([on_a_line(-math.pi / 2), on_a_line(0)])
print("two directions:", gudhi(2), "expected", two, "one direction:", on_a_line(-math.pi / 2), "n = 1:", gudhi(1))
assert np.isclose(gudhi(2), on_a_line(-math.pi / 2)) and not np.isclose(gudhi(2), two)
assert np.isnan(gudhi(1))
PYTHON
