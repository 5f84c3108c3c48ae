"""Scores of predictions and their masks as `torchmetrics.Metric` (the extra `metrics`).

They are updated batch by batch, and their states are added up over the processes. To add one, write a class in a file
of its own, which says what one image costs.
"""

from topolayer.metrics.torchvision import import_torchvision as _import_torchvision

_import_torchvision()
try:
    import torchmetrics as _torchmetrics  # noqa: F401
except ModuleNotFoundError as error:
    raise ImportError('topolayer.metrics needs torchmetrics: pip install "topolayer[metrics]"') from error

from topolayer.metrics.betti import BettiError, BettiMatchingError  # noqa: E402  (torchmetrics has to be importable)

__all__ = ["BettiError", "BettiMatchingError"]
