#!/usr/bin/env bash
# torch-topological 0.1.9, nn.CubicalComplex with gudhi 3.13.0
#
# Behaviour: pip installs the newest GUDHI beside torch-topological, and the cubical layer then fails for every input.
# GUDHI 3.13.0 no longer takes a torch.Size for the dimensions of a complex, nor a tensor for its cells; 3.11.0 did.
#
# Output seen: TypeError, "incompatible function arguments".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 torch-topological==0.1.9 gudhi==3.13.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from torch_topological.nn import CubicalComplex

try:
    CubicalComplex(dim=2)(torch.rand(8, 8))
except TypeError as error:
    print("TypeError:", str(error).splitlines()[0])
    assert "incompatible function arguments" in str(error)
else:
    raise SystemExit("it works")
PYTHON
