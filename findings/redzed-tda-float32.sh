#!/usr/bin/env bash
# redzed-tda 0.1.1, redzed_tda.rips
#
# Behaviour: the distances are converted to float64 on the way in and the diagrams are float64, but the values in between are
# float32. Distances that differ by less than float32's rounding become equal, in silence: their bars vanish or change, and
# deaths are not entries of the matrix that was given.
#
# Output seen: two points at the distance 2**25 + 1 = 33554433 merge at 33554432.0; a square whose sides are 1 and whose
# diagonals are 1 + 1e-9 has no loop, and one whose diagonals are 1 + 1e-6 has one.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check redzed-tda==0.1.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
from redzed_tda import rips

pair = np.array([[0.0, 2.0**25 + 1], [2.0**25 + 1, 0.0]])
merged = rips(pair, maxdim=1)[0]


def loops(diagonal):
    square = np.array([[0, 1, diagonal, 1], [1, 0, 1, diagonal], [diagonal, 1, 0, 1], [1, diagonal, 1, 0]])
    return len(rips(square, maxdim=1)[1])


print("dtype of the diagram:", merged.dtype)
print("two points at the distance 33554433 merge at", merged[0, 1])
print("loops of a square with the diagonals 1 + 1e-9:", loops(1 + 1e-9), "and 1 + 1e-6:", loops(1 + 1e-6))
assert merged.dtype == np.float64 and merged[0, 1] == 2.0**25
assert loops(1 + 1e-9) == 0 and loops(1 + 1e-6) == 1
PYTHON
