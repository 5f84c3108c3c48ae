"""The filtrations. To add one, write a file for it here, with its cells for the backends."""

from topolayer._filtrations.alpha import Alpha
from topolayer._filtrations.base import Filtration, outside_last, with_tensors
from topolayer._filtrations.grids import Cubical, Freudenthal, grid_of
from topolayer._filtrations.lower_star import LowerStar
from topolayer._filtrations.rips import Rips
from topolayer._filtrations.simplicial import Simplicial
from topolayer._filtrations.smoothing import smooth_gradient

__all__ = [
    "Alpha",
    "Cubical",
    "Filtration",
    "Freudenthal",
    "LowerStar",
    "Rips",
    "Simplicial",
    "grid_of",
    "outside_last",
    "smooth_gradient",
    "with_tensors",
]
