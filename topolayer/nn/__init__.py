"""Layers with parameters over barcodes: PersLay, and the transformations of single bars that it is made of.

Enter here to add a layer; to add a transformation, write a class in `bars`.
"""

from topolayer.nn.bars import Flat, Gaussian, Grid, Line, Power, Tent
from topolayer.nn.perslay import PersLay

__all__ = ["Flat", "Gaussian", "Grid", "Line", "PersLay", "Power", "Tent"]
