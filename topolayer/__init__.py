"""Differentiable persistent homology for PyTorch.

A *filtration* says what is filtered, a *backend* how persistence is computed; the result is a *barcode*, on
which a *penalty* is a plain function; a *regularizer* applies penalties to named layers of a model.
"""

from importlib.metadata import version as _version
from pathlib import Path as _Path

try:
    from topolayer import _core as _core
except ImportError as error:
    _folder = _Path(__file__).parent
    if any(_folder.glob("_core.*.so")) or any(_folder.glob("_core*.pyd")):
        raise
    raise ImportError(
        f"topolayer was imported from {_folder}, where its C++ core is not compiled. Is this the folder of a clone? "
        "Run Python in another one, or install with `pip install -e .` there"
    ) from error
from topolayer._backends import (
    Backend,
    BarIndices,
    Capabilities,
    IndexPairs,
    RankBackend,
    backends,
    register_backend,
)
from topolayer._barcodes.barcode import Barcode
from topolayer._barcodes.bars import EssentialBars
from topolayer._barcodes.distances import bottleneck, sliced_wasserstein, wasserstein, wasserstein_matching
from topolayer._barcodes.extended import ExtendedBarcode, extended_persistence
from topolayer._barcodes.extrema import few_extrema
from topolayer._barcodes.matching import InducedMatching, induced_matching
from topolayer._barcodes.persistence import persistence
from topolayer._barcodes.representatives import representatives
from topolayer._barcodes.simplify import simplify
from topolayer._barcodes.slabs import persistence_in_slabs
from topolayer._barcodes.sums import algebraic, length_weights, longest_lengths, persistent_entropy, total_persistence
from topolayer._barcodes.vectors import betti_numbers, landscape, persistence_image, silhouette
from topolayer._filtrations import Alpha, Cubical, Filtration, Freudenthal, LowerStar, Rips, Simplicial, smooth_gradient
from topolayer._layers.magnitude import channel_norm, few_maxima
from topolayer._layers.probe import probe
from topolayer._layers.ratio import gradient_ratio
from topolayer._layers.regularizer import Regularizer
from topolayer._layers.table import LayerTable
from topolayer._layers.tokens import tokens_to_grid
from topolayer.losses import betti_error, betti_matching_error, betti_matching_loss, wasserstein_matching_loss

__version__ = _version("topolayer")

__all__ = [
    "Alpha",
    "Backend",
    "BarIndices",
    "Barcode",
    "Capabilities",
    "Cubical",
    "EssentialBars",
    "ExtendedBarcode",
    "Filtration",
    "Freudenthal",
    "IndexPairs",
    "InducedMatching",
    "LayerTable",
    "LowerStar",
    "RankBackend",
    "Regularizer",
    "Rips",
    "Simplicial",
    "algebraic",
    "backends",
    "betti_error",
    "betti_matching_error",
    "betti_matching_loss",
    "betti_numbers",
    "bottleneck",
    "channel_norm",
    "extended_persistence",
    "few_extrema",
    "few_maxima",
    "gradient_ratio",
    "induced_matching",
    "landscape",
    "length_weights",
    "longest_lengths",
    "persistence",
    "persistence_image",
    "persistence_in_slabs",
    "persistent_entropy",
    "probe",
    "register_backend",
    "representatives",
    "silhouette",
    "simplify",
    "sliced_wasserstein",
    "smooth_gradient",
    "tokens_to_grid",
    "total_persistence",
    "wasserstein",
    "wasserstein_matching",
    "wasserstein_matching_loss",
]
