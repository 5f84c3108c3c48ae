#!/usr/bin/env bash
# topolosses 0.2.0, BettiMatchingLoss, superlevel (its default)
#
# Behaviour: the component that never dies is left out, in the prediction and in the target, and the documentation does not
# say so. Whatever is connected has no other bar: where the truth is one object, such as an organ, the loss and its gradient
# are 0 for an empty prediction, for the object at the wrong place and for a faint one, as for the right one. With
# two or more objects there are bars, but the first object still costs nothing.
#
# Output seen: loss 0.0 and gradient 0.0 for a right, an empty, a misplaced and a faint prediction of one square; loss 1.0
# where one of two squares is predicted.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check topolosses==0.2.0 torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import sys
from types import ModuleType

import torch

sys.modules["torchvision"] = ModuleType("torchvision")  # another loss imports it, and its wheel needs a torch with CUDA
from topolosses.losses import BettiMatchingLoss

loss = BettiMatchingLoss(use_base_loss=False, include_background=True)
left, right, empty = torch.zeros(3, 1, 1, 12, 12).unbind()
left[..., 2:6, 2:6] = 1
right[..., 6:10, 7:11] = 1


def found(prediction, target):
    prediction = prediction.clone().requires_grad_()
    value = loss(prediction, target)
    value.backward()
    return value.item(), prediction.grad.abs().max().item()


for name, prediction in {"right": left, "empty": empty, "misplaced": right, "faint": 0.3 * left}.items():
    print(f"{name} prediction of one square: loss and gradient", *found(prediction, left))
    assert found(prediction, left) == (0, 0)
value, _ = found(left, left + right)
print("one of two squares predicted: loss", value)
assert value == 1
PYTHON
