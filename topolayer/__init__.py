"""Differentiable persistent homology for PyTorch.

A *filtration* says what is filtered, a *backend* how persistence is computed; the result is a *barcode*, on
which a *penalty* is a plain function; a *regularizer* applies penalties to named layers of a model.
"""

from importlib.metadata import version as _version

from topolayer._activations import channel_norm, few_maxima, tokens_to_grid
from topolayer._backends import Backend, IndexPairs, RankBackend, backends, register_backend
from topolayer._barcode import Barcode
from topolayer._bars import EssentialBars
from topolayer._distances import bottleneck, matching_loss, sliced_wasserstein, wasserstein
from topolayer._filtrations import Alpha, Cubical, Filtration, Freudenthal, LowerStar, Rips
from topolayer._layer_table import LayerTable
from topolayer._penalties import algebraic, longer_than, longest, persistent_entropy, total_persistence
from topolayer._persistence import persistence
from topolayer._probe import probe
from topolayer._regularizer import Regularizer
from topolayer._simplify import simplify
from topolayer._vectorizations import betti_error, betti_numbers, landscape, persistence_image, silhouette

__version__ = _version("topolayer")

__all__ = [
    "Alpha",
    "Backend",
    "Barcode",
    "Cubical",
    "EssentialBars",
    "Filtration",
    "Freudenthal",
    "IndexPairs",
    "LayerTable",
    "LowerStar",
    "RankBackend",
    "Regularizer",
    "Rips",
    "algebraic",
    "backends",
    "betti_error",
    "betti_numbers",
    "bottleneck",
    "channel_norm",
    "few_maxima",
    "landscape",
    "longer_than",
    "longest",
    "matching_loss",
    "persistence",
    "persistence_image",
    "persistent_entropy",
    "probe",
    "register_backend",
    "silhouette",
    "simplify",
    "sliced_wasserstein",
    "tokens_to_grid",
    "total_persistence",
    "wasserstein",
]
