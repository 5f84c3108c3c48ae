#!/usr/bin/env bash
# topolosses 0.2.0, CLDiceLoss, HutopoLoss and BettiMatchingLoss (by the source, the other losses with a base loss too)
#
# Behaviour: the documentation gives the total as base_loss + alpha * topological loss. From alpha = 1 on, the base loss is
# left out, in silence, the default one as well as one that was passed. So a sweep over alpha compares two kinds of
# losses, the total falls where alpha rises past 1, and at alpha = 1, where the formula is a plain sum, Dice or cross
# entropy have no gradient. use_base_loss=False is there for that.
#
# Output seen: with clDice the total is 1.13 for alpha = 0.999 and 0.57 for alpha = 1, by the formula 1.13 for both; a base
# loss that was passed is called for alpha = 0.999 only.
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
from topolosses.losses import BettiMatchingLoss, CLDiceLoss, HutopoLoss

torch.manual_seed(0)
prediction = torch.rand(1, 1, 8, 8)
target = (torch.rand(1, 1, 8, 8) > 0.5).float()


class Squares(torch.nn.modules.loss._Loss):
    calls = 0

    def forward(self, input, target):
        self.calls += 1
        return ((input - target) ** 2).mean()


def total(loss, **options):
    return loss(include_background=True, **options)(prediction, target).item()


for loss in (CLDiceLoss, HutopoLoss, BettiMatchingLoss):
    base, topological = total(loss, alpha=0), total(loss, use_base_loss=False)
    for alpha in (0.5, 0.999, 1, 2):
        found, expected = total(loss, alpha=alpha), base + alpha * topological
        print(f"{loss.__name__}, alpha = {alpha}: {found:.3f}, by the formula {expected:.3f}")
        assert abs(found - (expected if alpha < 1 else alpha * topological)) < 1e-4
        squares = Squares()
        total(loss, alpha=alpha, base_loss=squares)
        assert squares.calls == (alpha < 1)
    assert base > 0.5
PYTHON
