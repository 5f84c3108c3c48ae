#!/usr/bin/env bash
# cripser 0.0.37, computePH
#
# Behaviour: the bar that never dies has the death 1.797e308, the largest double, and not infinity. np.isinf does not find
# it, its length is a finite number, and a sum of lengths is 1.797e308. A hole around a pixel of value +inf, as masks are
# often written, has the same death, so the two cannot be told apart by it.
#
# Output seen: deaths [2.0, 1.7976931348623157e+308] of a signal with two minima; with a pixel at +inf in a ring the loop's
# death is 1.7976931348623157e+308 too.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check cripser==0.0.37 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import cripser
import numpy as np

signal = np.array([0.0, 2.0, 1.0])
bars = cripser.computePH(signal, maxdim=0)
print("deaths of a signal:", bars[:, 2].tolist(), "sum of lengths:", (bars[:, 2] - bars[:, 1]).sum())
assert sorted(bars[:, 2].tolist()) == [2.0, sys.float_info.max]
assert not np.isinf(bars).any()

ring = np.ones((3, 3))
ring[1, 1] = np.inf
bars = cripser.computePH(ring, maxdim=1)
loops = bars[bars[:, 0] == 1]
print("death of a loop around +inf:", loops[:, 2].tolist())
assert loops[:, 2].tolist() == [sys.float_info.max]
PYTHON
