"""Import torchvision beside a CPU-only torch.

The torchvision wheel of the package index is built against a CUDA torch. Beside a CPU-only torch its C++ library
does not load, nothing declares the operators ``torchvision::nms`` and ``torchvision::qnms``, and the import fails
where it registers fake kernels for them (https://github.com/pytorch/vision/issues/9085). torchmetrics imports
torchvision where it finds it, and fails with it. Declaring the two schemas first is enough: nothing here calls them.

Call this before importing torchvision or torchmetrics. Where torchvision loads, this does nothing else.
"""

from __future__ import annotations

import importlib
import sys

import torch

_declared: list[torch.library.Library] = []  # a Library takes its declarations back when it is collected


def import_torchvision() -> None:
    """Import torchvision; where that fails for want of its operators, declare them and import it again."""
    try:
        importlib.import_module("torchvision")
    except ImportError:
        return  # not installed: who needs it says so
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
        _declared.append(library)
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]  # what the failed import left half done
        importlib.import_module("torchvision")
