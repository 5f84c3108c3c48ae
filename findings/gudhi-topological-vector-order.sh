#!/usr/bin/env bash
# gudhi 3.13.0, gudhi.representations.TopologicalVector (with scikit-learn 1.9.0)
#
# Behaviour: the vector depends on the order in which the points of a diagram are listed. In the paper that is cited, the
# entry of two points is the smallest of three numbers: their distance, and the distance of each to the diagonal. The class
# transposes an array of one axis, which changes nothing, so the third number is missing: only the point that is listed
# later is asked for its distance to the diagonal. So noise is as large as a feature, if it is listed first. A diagram is a
# multiset, and the documentation prescribes no order.
#
# Output seen: {(0, 0.1), (5, 9)} has the entry 2.0, and 0.05 if the points are listed the other way round. The smallest of
# the three numbers is 0.05 for both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check gudhi==3.13.0 scikit-learn==1.9.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
from gudhi.representations import TopologicalVector

noise_first = np.array([[0.0, 0.1], [5.0, 9.0]])


def found(diagram):
    return float(TopologicalVector(threshold=1)(diagram)[0])


def expected(diagram):
    """The entry of two points: the smallest of their distance and their distances to the diagonal."""
    return min(np.abs(diagram[0] - diagram[1]).max(), *(diagram[:, 1] - diagram[:, 0]) / 2)


for name, diagram in {"noise first": noise_first, "noise last": noise_first[::-1]}.items():
    print(name, found(diagram), "by definition:", expected(diagram))
    assert np.isclose(expected(diagram), 0.05)
assert np.isclose(found(noise_first), 2)
assert np.isclose(found(noise_first[::-1]), 0.05)
PYTHON
