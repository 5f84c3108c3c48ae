#!/usr/bin/env bash
# topolosses 0.2.0, TopographLoss(sigmoid=True) of predictions with one channel
#
# Behaviour: the loss is 0 and has no gradient, for every prediction and target. The documentation calls sigmoid the usual
# choice for binary segmentation, and the forward has a case for one channel, with a warning about the background only. Yet
# the class of a pixel is the argmax over the channels, which is class 0 wherever there is one channel, so prediction and
# target look the same. Beside the base loss that is added by default nothing hints at it. The same segmentation as two
# channels, background and object, has a loss and a gradient.
#
# Output seen: where two bars are bridged, one channel gives loss 0.0 without a gradient, and two channels give 2.7 with one;
# random predictions of one channel give 0.0 too.
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
from topolosses.losses import TopographLoss

bars = torch.zeros(1, 1, 12, 12)
bars[..., 2:10, 2:4] = bars[..., 2:10, 7:9] = 1
bridged = bars.clone()
bridged[..., 5, :] = 1
probabilities = 0.1 + 0.8 * bridged


def found(prediction, target, **activation):
    """The loss, and whether a gradient comes back."""
    prediction = prediction.clone().requires_grad_()
    loss = TopographLoss(use_base_loss=False, include_background=True, **activation)(prediction, target)
    if loss.requires_grad:
        loss.backward()
    return loss.item(), prediction.grad is not None and bool(prediction.grad.any())


def as_two(foreground):
    return torch.cat([1 - foreground, foreground], dim=1)


one = found(torch.logit(probabilities), bars, sigmoid=True)
two = found(as_two(probabilities), as_two(bars))
print("two bars are bridged; loss and gradient of one channel:", *one, "| of two:", *two)
assert one == (0, False)
assert two[0] > 1 and two[1]

torch.manual_seed(0)
for _ in range(5):
    prediction, target = torch.randn(1, 1, 12, 12), (torch.rand(1, 1, 12, 12) > 0.5).float()
    assert found(prediction, target, sigmoid=True) == (0, False)
    assert found(as_two(prediction.sigmoid()), as_two(target))[0] > 0
PYTHON
