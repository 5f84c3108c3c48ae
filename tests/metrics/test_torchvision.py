"""The import of torchvision beside a CPU-only torch."""

from __future__ import annotations

import pytest
import torch

from topolayer.metrics import torchvision as guard


def test_the_workaround_for_torchvision_leaves_it_importable() -> None:
    declared = len(guard._declared)
    guard.import_torchvision()  # the second time there is nothing to mend
    assert len(guard._declared) == declared
    torchvision = pytest.importorskip("torchvision")
    assert torchvision.ops.box_area(torch.tensor([[0.0, 0.0, 2.0, 3.0]])) == 6
