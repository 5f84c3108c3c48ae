#!/usr/bin/env bash
# gudhi 3.13.0, CubicalComplex.persistence
#
# Behaviour: the default coefficients are Z/11, and even volumes of white noise with 20 voxels a side have other bars with
# them than with Z/2, the field of cripser and ripser, and of most papers: two loops swap their deaths. The bars of images,
# and of most volumes, are the same in both fields, so a comparison of programs on a few small volumes does not show it.
#
# Output seen: with 20 voxels a side and seed 2, two of the finite bars of dimension 1 differ: (3419, 6845) and (3504, 6862)
# with one field are (3419, 6862) and (3504, 6845) with the other.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check gudhi==3.13.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
from collections import Counter

import gudhi
import numpy as np

values = np.random.default_rng(2).permutation(20**3).reshape(20, 20, 20).astype(float)  # all different: no ties


def bars(**options):
    return Counter(gudhi.CubicalComplex(vertices=values).persistence(**options))


default, eleven, two = bars(), bars(homology_coeff_field=11), bars(homology_coeff_field=2)
print("default only:", sorted((default - two).elements()), "Z/2 only:", sorted((two - default).elements()))
assert default == eleven
assert {dim for dim, _ in default - two} == {1}
assert len(default - two) == len(two - default) == 2
PYTHON
