#!/usr/bin/env bash
# torch-topological 0.1.9, nn.CubicalComplex with gudhi 3.11.0
#
# Behaviour: the diagrams of an image that is not square are those of other pixels beside each other. The layer hands GUDHI
# the shape of the tensor and its values in C order, and GUDHI expects them in Fortran order. For a square image this is a
# transposition, which changes no diagram, so the usual tests do not show it. Coordinates of creators and destroyers are
# wrong in the same way.
#
# Output seen: a random image of 6 x 9 has 6 components and 3 loops by the layer, and 7 and 6 by GUDHI itself; one of 8 x 8
# has 8 and 7 by both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 torch-topological==0.1.9 gudhi==3.11.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import gudhi
import torch
from torch_topological.nn import CubicalComplex


def by_layer(image):
    return [len(part.diagram) for part in CubicalComplex(dim=2)(image)]


def by_gudhi(image):
    complex_ = gudhi.CubicalComplex(top_dimensional_cells=image.double().numpy())
    complex_.compute_persistence()
    return [len(complex_.persistence_intervals_in_dimension(dim)) for dim in (0, 1)]


torch.manual_seed(0)
square, oblong = torch.rand(8, 8), torch.rand(6, 9)
print("square:", by_layer(square), by_gudhi(square), "6 x 9:", by_layer(oblong), by_gudhi(oblong))
assert by_layer(square) == by_gudhi(square) == [8, 7]
assert by_layer(oblong) == [6, 3]
assert by_gudhi(oblong) == [7, 6]
PYTHON
