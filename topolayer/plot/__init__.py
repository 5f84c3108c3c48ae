"""Pictures of barcodes and of what they come from, with matplotlib (the extra `plot`).

A function draws on `ax`, or on the current axes if it gets none (those of `matplotlib.pyplot.gca()`), and returns the
axes. A row or grid of pictures makes a figure of its own unless it gets `axes`. Tensors may be on any device and on
the autograd graph. No setting of matplotlib is changed.

Colours are those of Okabe and Ito. Whatever a colour says, a marker, a place or a label says too.
"""

try:
    import matplotlib as _matplotlib  # noqa: F401
except ModuleNotFoundError as error:
    raise ImportError('topolayer.plot needs matplotlib: pip install "topolayer[plot]"') from error

from topolayer.plot.barcodes import barcode, diagram
from topolayer.plot.curves import betti_curve, landscape, persistence_image
from topolayer.plot.images import activations, pairs, representatives, superlevel_sets
from topolayer.plot.matchings import matching

__all__ = [
    "activations",
    "barcode",
    "betti_curve",
    "diagram",
    "landscape",
    "matching",
    "pairs",
    "persistence_image",
    "representatives",
    "superlevel_sets",
]
