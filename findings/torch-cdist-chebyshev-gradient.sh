#!/usr/bin/env bash
# torch 2.13.0, torch.cdist(..., p=inf), backward on the CPU
#
# Behaviour: where several coordinates differ by the same largest amount, each of them gets the full gradient. The
# result is not a subgradient of the maximum norm, whose entries add up to 1 in absolute value: a step along it changes
# the distance twice as fast as it says, or k times with k equal coordinates. Points on a lattice, pixels among them, are
# of this kind.
# torch.linalg.vector_norm(x - y, ord=inf) spreads the gradient evenly over the equal coordinates instead.
#
# Output seen: for (0, 0) and (1, 1) the gradient of cdist is (-1, -1) and (1, 1), that of vector_norm half of it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import math

import torch

points = torch.tensor([[0.0, 0.0], [1.0, 1.0]], requires_grad=True)
(of_cdist,) = torch.autograd.grad(torch.cdist(points, points, p=math.inf)[0, 1], points)
(of_norm,) = torch.autograd.grad(torch.linalg.vector_norm(points[0] - points[1], ord=math.inf), points)
print("cdist:", of_cdist.tolist(), "vector_norm:", of_norm.tolist())
assert of_cdist.tolist() == [[-1, -1], [1, 1]]
assert of_norm.tolist() == [[-0.5, -0.5], [0.5, 0.5]]
PYTHON
