"""Bad inputs to what learns from barcodes and explains them: layers, losses of representations, representatives."""

from __future__ import annotations

import math

import torch

import topolayer as tl
from topolayer import nn
from topolayer.losses import RTDLiteLoss, SignatureLoss, rtd_lite, signature_loss

from .bad_inputs import (
    A_TENSOR,
    AS_TENSOR,
    BARS,
    CLOUD,
    FOUR,
    GRID,
    H0,
    IMAGE,
    MAKE_ONE,
    NAN,
    ROWS,
    UPPER,
    Bad,
    T,
    V,
)

TENT, HALVES = nn.Tent(GRID), {"births": (0, 1), "lengths": (0, 1)}
FLAT_ROW = nn.PersLay(lambda births, deaths: births)
LEARNING = [
    Bad("PersLay", lambda: nn.PersLay(3), T, "transform", "a module or function", "int 3", "nn.Power()"),
    Bad("PersLay", lambda: nn.PersLay(None), T, "transform", "a module or function", "NoneType", "nn.Power()"),
    Bad("PersLay", lambda: nn.PersLay(nn.Line), T, "transform", "a module or function", "class Line", "Line(...)"),
    Bad("PersLay", lambda: nn.PersLay(TENT, weight=GRID), T, "weight", "a module or function", "Tensor", "nn.Power()"),
    Bad("PersLay", lambda: nn.PersLay(TENT, pooling="topk"), V, "pooling", '"mean"', "'topk'", "an int k"),
    Bad("PersLay", lambda: nn.PersLay(TENT, pooling=0), V, "pooling", ">= 1", "0", "an int k"),
    Bad("PersLay", lambda: nn.PersLay(TENT, dim=1.0), T, "dim", "an int", "float 1.0", "int(...)"),
    Bad("PersLay", lambda: nn.PersLay(TENT)(IMAGE), T, "barcode", "a Barcode", "Tensor", MAKE_ONE),
    Bad("PersLay", lambda: nn.PersLay(TENT)(BARS), V, "dim", "(0, 1)", "None", "pass dim=..."),
    Bad("PersLay", lambda: nn.PersLay(TENT, dim=2)(BARS), V, "dim", "(0, 1)", "2", "dims=..."),
    Bad("PersLay", lambda: FLAT_ROW(UPPER), V, "transform", "a row for each bar", f"({len(UPPER)},)", "[:, None]"),
    Bad("PersLay", lambda: nn.PersLay(nn.Line(2).to("meta"))(H0), V, "barcode", "on meta", "on cpu", "to('cpu')"),
    Bad("Gaussian", lambda: nn.Gaussian(GRID, sigma=1), V, "centers", "(channels, 2)", "(5,)", "cartesian_prod"),
    Bad("Gaussian", lambda: nn.Gaussian(NAN, sigma=1), V, "centers", "finite", "4 that are", "torch.where"),
    Bad("Gaussian", lambda: nn.Gaussian(ROWS, sigma=0), V, "sigma", "> 0", "0", "distance of neighbouring"),
    Bad("Gaussian", lambda: nn.Gaussian(ROWS, sigma=(1, 2, 3)), V, "sigma", "a number, or two", "3", "share"),
    Bad("Tent", lambda: nn.Tent([1.0]), T, "levels", A_TENSOR, "list", AS_TENSOR),
    Bad("Tent", lambda: nn.Tent(GRID[:0]), V, "levels", "(channels,)", "(0,)", "linspace"),
    Bad("Flat", lambda: nn.Flat(GRID / 0, softness=1), V, "levels", "finite", "5 that are", "torch.where"),
    Bad("Flat", lambda: nn.Flat(GRID, softness=-1), V, "softness", ">= 0", "-1", "distance of neighbouring"),
    Bad("Line", lambda: nn.Line(0), V, "channels", ">= 1", "0", "features"),
    Bad("Line", lambda: nn.Line(2.0), T, "channels", "an int", "float 2.0", "int(...)"),
    Bad("Power", lambda: nn.Power(-1), V, "p", ">= 0", "-1", "p=1 the length"),
    Bad("Power", lambda: nn.Power(scale=math.inf), V, "scale", "finite", "inf", "1 leaves"),
    Bad("Grid", lambda: nn.Grid(GRID, **HALVES), V, "weights", "(m, n)", "(5,)", "torch.ones(10, 10)"),
    Bad("Grid", lambda: nn.Grid(ROWS, births=(1, 0), lengths=(0, 1)), V, "births", "second", "1 and 0", "limits"),
    Bad("Grid", lambda: nn.Grid(ROWS, births=(0, 1), lengths=1), T, "lengths", "two numbers", "int", "limits"),
]  # fmt: skip

DATA, CODES = torch.rand(2, 5, 7, generator=torch.Generator().manual_seed(0)).unbind(0)
FEWER, ONE, NEAR = CODES[:4], torch.ones(5, 2), tl.Rips.from_points(CODES, threshold=1)
RAGGED = tl.Rips.from_points([CODES, FEWER])
LEARNING += [
    Bad("signature_loss", lambda: signature_loss([CODES], DATA), T, "first", "a tensor", "list", "each cloud"),
    Bad("signature_loss", lambda: signature_loss("codes", DATA), T, "first", "a tensor of points", "str", "tl.Rips("),
    Bad("signature_loss", lambda: signature_loss(CODES, DATA.numpy()), T, "second", "a tensor", "ndarray", AS_TENSOR),
    Bad("rtd_lite", lambda: rtd_lite(RAGGED, DATA), V, "first", "equally many points", "2 samples", "each cloud"),
    Bad("signature_loss", lambda: signature_loss(CODES, DATA[0]), V, "second", "(*batch, n, d)", "(7,)", "[:, None]"),
    Bad("signature_loss", lambda: signature_loss(FEWER, DATA), V, "second", "(4, 4)", "(5, 5)", "same points"),
    Bad("signature_loss", lambda: signature_loss(NEAR, DATA), V, "first", "connects all", "threshold 1", "leave the"),
    Bad("rtd_lite", lambda: rtd_lite(CODES, DATA.double()), V, "second", "float32", "float64", "second.to(first)"),
    Bad("rtd_lite", lambda: rtd_lite(CODES, DATA.int()), T, "second", "floating-point", "int32", "second.float()"),
    Bad("rtd_lite", lambda: rtd_lite(CODES, ONE), V, "second", "fewer are equal", "a quantile of 0", "quantile=None"),
    Bad("rtd_lite", lambda: rtd_lite(CODES, DATA, quantile=2), V, "quantile", "from 0 to 1", "2", "None leaves"),
    Bad("SignatureLoss", lambda: SignatureLoss(reduction="max"), V, "reduction", '"none"', "'max'", "over batches"),
    Bad("SignatureLoss", lambda: SignatureLoss()(DATA / 0, DATA), V, "input", "finite", "NaN or", "torch.where"),
    Bad("SignatureLoss", lambda: SignatureLoss().to("meta")(CODES, DATA), V, "input", "on meta", "on cpu", "to('cpu')"),
    Bad("SignatureLoss", lambda: SignatureLoss()(CODES, FOUR), V, "target", "(5, 5)", "(2, 1, 6, 6)", "flatten(1)"),
    Bad("RTDLiteLoss", lambda: RTDLiteLoss(quantile="a"), T, "quantile", "a finite number", "str 'a'", "None leaves"),
    Bad("RTDLiteLoss", lambda: RTDLiteLoss()(CODES, None), T, "target", "a tensor of points", "NoneType", "tl.Rips("),
]  # fmt: skip

PIXELS, DOUBLED = tl.Freudenthal(IMAGE), tl.Freudenthal(2 * IMAGE)
RING = torch.nn.functional.pad(torch.tensor([[1.0, 1, 1], [1, 0, 1], [1, 1, 1]])[None], (1, 296, 1, 296, 1, 1))
LARGE = tl.Freudenthal(RING, ndim=3, superlevel=True)
SPHERE = tl.Rips.from_points(torch.cat([torch.eye(3), -torch.eye(3)]))
OTHERS, LOWER = tl.Cubical(IMAGE), tl.Freudenthal(IMAGE, ndim=1)  # with the same values
FLAT, LOOPS = tl.Cubical(torch.zeros(3, 3)), tl.persistence(PIXELS, 1)
NO_BARS = tl.persistence(FLAT)
INNER, SHELL, REPRESENT = tl.persistence(LARGE, 1), tl.persistence(SPHERE, 2), "representatives"
FIRST = torch.tensor([0])
LINE = tl.LowerStar(torch.tensor([0.0, 3, 1, 2, 0]), torch.tensor([[0, 1], [1, 2], [2, 3], [3, 4]]))
BRANCHES = tl.extended_persistence(LINE).select(dim=1)
LEARNING += [
    Bad(REPRESENT, lambda: tl.representatives(IMAGE, BARS, FIRST), T, "filtration", "Rips", "Tensor", "wrap"),
    Bad(REPRESENT, lambda: tl.representatives(PIXELS, IMAGE, FIRST), T, "barcode", "a Barcode", "Tensor", MAKE_ONE),
    Bad(REPRESENT, lambda: tl.representatives(PIXELS, UPPER, FIRST), V, "barcode", "the one", "level=True", "make it"),
    Bad(REPRESENT, lambda: tl.representatives(PIXELS, CLOUD, FIRST), V, "barcode", "the one", "of 7 values", "make it"),
    Bad(REPRESENT, lambda: tl.representatives(DOUBLED, BARS, FIRST), V, "barcode", "the one", "other births", "make"),
    Bad(REPRESENT, lambda: tl.representatives(OTHERS, BARS, FIRST), V, "barcode", "the one", "other pairs", "make"),
    Bad(REPRESENT, lambda: tl.representatives(LOWER, LOOPS, FIRST), V, "barcode", "the one", "of dimension 1", "make"),
    Bad(REPRESENT, lambda: tl.representatives(FLAT, NO_BARS, FIRST), V, "which", "no indices", "0", "never die"),
    Bad(REPRESENT, lambda: tl.representatives(PIXELS, BARS, [0]), T, "which", A_TENSOR, "list", AS_TENSOR),
    Bad(REPRESENT, lambda: tl.representatives(PIXELS, BARS, GRID), T, "which", "integers", "float32", "> 0.5"),
    Bad(REPRESENT, lambda: tl.representatives(PIXELS, BARS, GRID > 0), V, "which", "a mask", "(5,)", "> 0.5"),
    Bad(REPRESENT, lambda: tl.representatives(PIXELS, BARS, FIRST - 1), V, "which", "from 0", "-1", "never die"),
    Bad(REPRESENT, lambda: tl.representatives(SPHERE, SHELL, FIRST), V, "which", "0 or 1", "dimension 2", "Alpha"),
    Bad(REPRESENT, lambda: tl.representatives(LINE, BRANCHES, FIRST), V, "which", "ordinary or ex", "relative", "kind"),
    Bad(REPRESENT, lambda: tl.representatives(LARGE, INNER, FIRST), V, "filtration", "4194304", "7020", "avg_pool3d"),
]  # fmt: skip
