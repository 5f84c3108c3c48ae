#!/usr/bin/env bash
# scikit-image 0.26.0, skimage.morphology.max_tree
#
# Behaviour: images with an axis of length 1 or 2, such as strips, signals as one row, and thin volumes, are refused by a
# ValueError about internal arrays ("index 4 is out of bounds for array with size 4", "invalid entry in coordinates array"),
# although the documentation promises any array. The rule is not even that simple: (3, 2) works with connectivity 1.
#
# Output seen: (2, 2), (2, 5), (1, 5) and (2, 2, 2) raise, (3, 5) works.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check scikit-image==0.26.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
from skimage.morphology import max_tree


def works(*shape):
    image = np.random.default_rng(0).permutation(int(np.prod(shape))).reshape(shape).astype(np.uint8)
    try:
        max_tree(image, connectivity=1)
    except ValueError as error:
        print(shape, "ValueError:", error)
        return False
    print(shape, "works")
    return True


assert works(3, 5)
assert not any([works(2, 2), works(2, 5), works(1, 5), works(2, 2, 2)])
PYTHON
