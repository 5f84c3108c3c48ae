"""How each package is asked for the same thing: components of the superlevel filtration of a grid, and their loss.

Batches of clouds, graphs and matrices are in `samples`. All are given float32 tensors, and whatever they need beyond
them (a negated copy, float64) is theirs to make and is timed with them. They differ in connectivity and in what they
give back, as `returns` says. A package that is not installed, or does not run with the others' versions, is left out by
name.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor

import topolayer as tl
from experiments.speed import samples
from experiments.speed.contender import Contender, backward, finite, hash_rows, one_and_two, squares_beyond
from experiments.speed.inputs import Graphs, Job, distances, gaussian, graphs, make, prediction_and_target
from experiments.speed.learners import learners, scipy_, tiny_inputs, torchperslay_

PATIENCE = 8  # with packages that targets compare with


# --- this library ---------------------------------------------------------------------------------------------------


def topolayer_() -> list[Contender]:
    def h0(barcode: tl.Barcode) -> int:
        return int((barcode.dims == 0).sum())

    def freudenthal(image: Tensor) -> tl.Barcode:
        return tl.persistence(tl.Freudenthal(image, superlevel=True))

    def both(image: Tensor) -> tl.Barcode:
        return tl.persistence(tl.Freudenthal(image, superlevel=True), (0, 1))

    def cubical(image: Tensor, *, construction: str) -> tl.Barcode:
        return tl.persistence(tl.Cubical(image, construction=construction, superlevel=True), (0, 1))  # type: ignore[arg-type]

    def volume(values: Tensor, *, dims: tuple[int, ...]) -> tl.Barcode:
        return tl.persistence(tl.Freudenthal(values, ndim=3, superlevel=True), dims)

    def volume_v(values: Tensor, *, dims: tuple[int, ...]) -> tl.Barcode:
        return tl.persistence(tl.Cubical(values, ndim=3, superlevel=True), dims)

    def batch(values: Tensor) -> tl.Barcode:
        return volume_v(values, dims=(0, 1, 2)) if values.ndim == 4 else freudenthal(values)

    def rips(matrix: Tensor) -> tl.Barcode:
        return tl.persistence(tl.Rips(matrix))

    def loops(matrix: Tensor) -> tl.Barcode:
        return tl.persistence(tl.Rips(matrix), (0, 1))

    def alpha(points: Tensor, *, all_of_them: bool) -> tl.Barcode:
        return tl.persistence(tl.Alpha(points), range(points.shape[1]) if all_of_them else 0)

    def penalty(activation: Tensor) -> Tensor:
        return backward(tl.few_maxima, activation)

    pixels = "births and deaths, differentiable, with their pixels"
    v, t = (functools.partial(cubical, construction=construction) for construction in "VT")
    v0, v2, f0, f2 = (functools.partial(f, dims=dims) for f in (volume_v, volume) for dims in ((0,), (0, 1, 2)))
    found = [
        Contender("topolayer H0", "image", freudenthal, h0, "Freudenthal", f"dimension 0: {pixels}"),
        Contender("topolayer H0+H1", "image", both, h0, "Freudenthal", f"dimensions 0 and 1: {pixels}"),
        Contender("topolayer H0+H1 V", "image", v, h0, "V", "the same in the cubical grid V", True),
        Contender("topolayer H0+H1 T", "image", t, h0, "T", "the same in the cubical grid T", True),
        Contender("topolayer H0 V", "volume", v0, h0, "V", f"dimension 0: {pixels}"),
        Contender("topolayer H0", "volume", f0, h0, "Freudenthal", f"dimension 0: {pixels}"),
        Contender("topolayer V", "volume", v2, h0, "V", f"all dimensions: {pixels}", True),
        Contender("topolayer", "volume", f2, h0, "Freudenthal", f"all dimensions: {pixels}", True),
        Contender(
            "topolayer H0", "distances", rips, h0, "Rips", "dimension 0: deaths, differentiable, with their edges"
        ),
        Contender("topolayer H0+H1", "distances", loops, h0, "Rips", "dimensions 0 and 1: the same"),
        *(
            Contender(name, "alpha", functools.partial(alpha, all_of_them=every), h0, "Alpha", returns)
            for name, every, returns in (
                ("topolayer H0", False, "dimension 0: squared radii, differentiable, with their simplices"),
                ("topolayer", True, "all dimensions: the same"),
            )
        ),
        Contender("few_maxima", "penalty", penalty, float, "Freudenthal", "the penalty and its gradient"),
    ]
    for name, threads in one_and_two():
        returns = "dimension 0 of images, Freudenthal; all dimensions of volumes, V"
        found.append(Contender(name, "batch", batch, h0, "none", f"{returns}: {pixels}", threads=threads))
        sums = functools.partial(hash_rows, threads=threads)
        found.append(Contender(name, "hashing", sums, len, "none", "SHA-256 of every row", threads=threads))
    return found


def matchings() -> list[Contender]:
    """The parts of Betti matching, in the grid V and all dimensions."""

    def grids(both: Tensor) -> tuple[tuple[int, ...], list[tl.Cubical]]:
        ndim = both.ndim - 3
        return tuple(range(ndim)), [tl.Cubical(values, ndim=ndim, superlevel=True) for values in (*both, both.amax(0))]

    def three(both: Tensor) -> list[tl.Barcode]:
        dims, filtrations = grids(both)
        return [tl.persistence(filtration, dims) for filtration in filtrations]

    def matching(both: Tensor) -> tl.InducedMatching:
        dims, (first, second, _) = grids(both)
        return tl.induced_matching(first, second, dims)

    def loss(both: Tensor) -> Tensor:
        function = functools.partial(tl.betti_matching_loss, construction="V", ndim=both.ndim - 3)
        return backward(lambda prediction: function(prediction, both[1]), both[0].clone())

    parts = "of prediction, target and the larger of both"
    return [
        Contender("betti_matching_loss", "matching", loss, float, "V", "the loss and its gradient"),
        Contender("induced_matching", "matching", matching, lambda m: m.pairs.shape[1], "V", "barcodes and matching"),
        Contender("three barcodes", "matching", three, lambda b: len(b[0]), "V", f"`persistence` {parts}"),
    ]


# --- its peers ------------------------------------------------------------------------------------------------------


def gudhi_() -> list[Contender]:
    gudhi = import_module("gudhi")
    fast = import_module("gudhi.sklearn").CubicalPersistence([0, 1]).fit([])

    def image(values: Tensor) -> Any:
        return fast.transform([-values.numpy()])[0]

    def general(values: Tensor, *, corners: bool) -> Any:
        grid: Any = -values.numpy()
        if corners:
            complex_ = gudhi.CubicalComplex(vertices=grid)
            complex_.compute_persistence()
            return complex_.vertices_of_persistence_pairs()
        complex_ = gudhi.CubicalComplex(top_dimensional_cells=grid)
        complex_.compute_persistence()
        return complex_.cofaces_of_persistence_pairs()

    def rips(matrix: Tensor) -> Any:
        tree = gudhi.RipsComplex(distance_matrix=matrix.numpy()).create_simplex_tree(max_dimension=1)
        tree.compute_persistence()
        return tree.persistence_intervals_in_dimension(0)

    def alpha(points: Tensor) -> Any:
        tree = gudhi.AlphaComplex(points=points.numpy()).create_simplex_tree()
        tree.compute_persistence(homology_coeff_field=2)
        return tree.persistence_intervals_in_dimension(0)

    def pairs(found: Any) -> int:
        return len(found[0][0]) if found[0] else 0

    top, corner = (functools.partial(general, corners=corners) for corners in (False, True))
    return [
        Contender("gudhi 2D", "image", image, lambda found: finite(found[0]), "T", FAST_GUDHI),
        Contender("gudhi", "image", top, pairs, "T", f"{GENERAL_GUDHI}, dimensions 0 and 1: pairs of pixels"),
        Contender("gudhi", "volume", corner, pairs, "V", f"{GENERAL_GUDHI}, all dimensions: pairs of voxels"),
        Contender("gudhi", "alpha", alpha, finite, "Alpha", f"{ALPHA}, all dimensions: values"),
        Contender("gudhi", "distances", rips, finite, "Rips", "RipsComplex and its simplex tree, dimension 0: values"),
    ]


FAST_GUDHI = (
    "gudhi.sklearn.CubicalPersistence, always both dimensions: values without pixels, so no gradient can be derived"
)
ALPHA = "AlphaComplex, under the GPL, which rounds its exact values"
GENERAL_GUDHI = "CubicalComplex, persistence pairs and their cofaces"


def cripser_() -> list[Contender]:
    cripser = import_module("cripser")

    def call(values: Tensor, *, maxdim: int) -> Any:
        return cripser.computePH(-values.numpy(), maxdim=maxdim)

    def bars(found: Any) -> int:
        return finite(found[found[:, 0] == 0, 1:3])

    h0, h1, h2 = (functools.partial(call, maxdim=maxdim) for maxdim in (0, 1, 2))
    returns = "computePH(maxdim=0): births and deaths with their pixels"
    return [
        Contender("cripser H0", "image", h0, bars, "V", returns),
        Contender("cripser H0+H1", "image", h1, bars, "V", "computePH(maxdim=1): the same of both dimensions"),
        Contender("cripser H0", "volume", h0, bars, "V", returns),
        Contender(
            "cripser", "volume", h2, bars, "V", "computePH(maxdim=2): the same of all dimensions", patience=PATIENCE
        ),
    ]


def oineus_() -> list[Contender]:
    oineus = import_module("oineus")
    one_thread = oineus.ReductionParams()
    one_thread.n_threads = 1

    def call(values: Tensor, *, max_dim: int) -> Any:
        # Its float64 path is several times as fast as that for float32.
        grid = values.numpy().astype(np.float64)
        return oineus.compute_diagrams_ls(grid, negate=True, max_dim=max_dim, params=one_thread, dualize=True)

    def bars(found: Any) -> int:
        return finite(found.in_dimension(0))

    h0, h2 = (functools.partial(call, max_dim=max_dim) for max_dim in (0, 2))
    returns = "compute_diagrams_ls, dimension 0: births and deaths with their simplices"
    return [
        Contender("oineus H0", "image", h0, bars, "Freudenthal", returns),
        Contender("oineus H0", "volume", h0, bars, "Freudenthal", returns),
        Contender("oineus", "volume", h2, bars, "Freudenthal", "compute_diagrams_ls: the same of all dimensions"),
    ]


def ripser_() -> list[Contender]:
    ripser = import_module("ripser")

    def call(matrix: Tensor, *, maxdim: int) -> Any:
        return ripser.ripser(matrix.numpy(), maxdim=maxdim, distance_matrix=True)["dgms"][0]

    h0, h1 = (functools.partial(call, maxdim=maxdim) for maxdim in (0, 1))
    return [
        Contender("ripser", "distances", h0, finite, "Rips", "ripser(maxdim=0): values"),
        Contender("ripser H0+H1", "distances", h1, finite, "Rips", "ripser(maxdim=1): values"),
    ]


def redzed_() -> list[Contender]:
    redzed = import_module("redzed_tda")

    def call(matrix: Tensor) -> Any:
        return redzed.rips(matrix.numpy(), maxdim=1, simplex_pairs=True)[0][0]

    returns = "rips(maxdim=1, simplex_pairs=True): values and simplices"
    return [Contender("redzed H0+H1", "distances", call, finite, "Rips", returns)]


def persist0_() -> list[Contender]:
    persist0 = import_module("persist0")

    def call(matrix: Tensor) -> Any:
        return persist0.h0_persistence(matrix[None])[1]

    returns = "h0_persistence: deaths, differentiable, with their edges"
    return [Contender("persist0 H0", "distances", call, lambda deaths: int((deaths > 0).sum()), "Rips", returns)]


def torch_topological_() -> list[Contender]:
    layer = import_module("torch_topological.nn").CubicalComplex(superlevel=True, dim=2)

    def lengths(sample: Any) -> Tensor:
        diagram: Tensor = sample[0].diagram  # of dimension 0; the essential bar is the last
        return diagram.diff(dim=1).abs()[:, 0]

    def penalty(activation: Tensor) -> Tensor:
        return torch.stack([squares_beyond(lengths(sample), 8) for sample in layer(activation.norm(dim=1))])

    def bars(sample: Any) -> int:
        return int((lengths(sample)[:-1] > 0).sum())

    loss = functools.partial(backward, penalty)
    # It hands its rows to GUDHI as columns, so that only the diagrams of square images are right.
    returns = "CubicalComplex, dimensions 0 and 1: diagrams (right for square images), differentiable"
    return [
        Contender("pytorch-topological", "image", layer, bars, "T", returns),
        Contender("pytorch-topological", "penalty", loss, float, "T", "the same penalty and its gradient"),
    ]


def topolosses_() -> list[Contender]:
    import_module("topolayer.metrics.torchvision").import_torchvision()  # which it imports
    make_loss = import_module("topolosses.losses").BettiMatchingLoss
    criterion = make_loss(use_base_loss=False, alpha=1.0, include_background=True)

    def loss(both: Tensor) -> Tensor:
        return backward(lambda prediction: criterion(prediction, both[1]), both[0].clone())

    returns = "BettiMatchingLoss and its gradient; bars that never die are left out"
    return [Contender("topolosses", "matching", loss, float, "V", returns, patience=PATIENCE)]


def topologylayer_() -> list[Contender]:
    make_layer = import_module("topologylayer.nn").LevelSetLayer2D

    @functools.cache
    def layer(height: int, width: int) -> Any:  # the complex is built once, as a network would
        return make_layer((width, height), maxdim=0, sublevel=False)

    def call(image: Tensor) -> Tensor:
        diagrams, _ = layer(*image.shape)(image.flatten())
        bars: Tensor = diagrams[0]
        return bars

    def penalty(activation: Tensor) -> Tensor:
        diagrams = [call(image) for image in activation.norm(dim=1)]
        return torch.stack([squares_beyond((d[:, 0] - d[:, 1])[d[:, 1].isfinite()], 7) for d in diagrams])

    loss = functools.partial(backward, penalty)
    returns = "LevelSetLayer2D, dimension 0: births and deaths, differentiable"
    return [
        Contender("TopologyLayer", "image", call, lambda bars: finite(bars.numpy()), "Freudenthal", returns),
        Contender("TopologyLayer", "penalty", loss, float, "Freudenthal", "the same penalty and its gradient"),
    ]


# --- who is there ---------------------------------------------------------------------------------------------------

# By the name of the distribution that a version is asked of.
LOADERS: dict[str, Callable[[], list[Contender]]] = {
    "topolayer": lambda: [*topolayer_(), *matchings(), *samples.topolayer_(), *learners()],
    "gudhi": lambda: [*gudhi_(), *samples.gudhi_()],
    "cripser": cripser_,
    "oineus": oineus_,
    "ripser": ripser_,
    "redzed-tda": lambda: [*redzed_(), *samples.redzed_()],
    "persist0-tda": lambda: [*persist0_(), *samples.persist0_()],
    "torchperslay": torchperslay_,
    "scipy": scipy_,
    "topolosses": topolosses_,
    "torch-topological": torch_topological_,
    "topologylayer": topologylayer_,
}


def tiny(job: Job) -> Tensor | Graphs:
    """An input on which any contender is done in no time."""
    match job:
        case "distances":
            return distances(8)
        case "matrices":
            return distances(8, matrices=2)
        case "clouds":
            return gaussian((2, 8, 3))
        case "graphs":
            return graphs(2)
        case "alpha":
            return gaussian((1, 8, 2))[0]
        case "matching":
            return prediction_and_target("mask", "9x10")
        case "bars" | "representations" | "cloud":
            return tiny_inputs()[job]
    shapes = {"image": (8, 9), "volume": (8, 8, 8), "penalty": (2, 1, 8, 9), "batch": (2, 8, 9), "hashing": (2, 8)}
    return make("noise", shapes[job], ndim=3 if job == "volume" else 2)


def find(job: str, name: str) -> Contender:
    """One contender; packages that come after its own are not imported."""
    for load in LOADERS.values():
        with suppress(ImportError):
            for contender in load():
                if (contender.job, contender.name) == (job, name):
                    return contender
    raise ValueError(f"no contender {name!r} for the job {job!r}")


def assemble() -> tuple[list[Contender], dict[str, str]]:
    """Everyone who is there, this library first; and why the others are not, by name."""
    found: list[Contender] = []
    absent: dict[str, str] = {}
    for name, load in LOADERS.items():
        try:
            contenders = load()
            for contender in contenders:
                contender.outcome(contender.run(tiny(contender.job)))
        except ImportError as error:
            absent[name] = f"not installed ({error})"
        except Exception as error:
            if name == "topolayer":
                raise
            absent[name] = f"installed, but does not run here ({type(error).__name__}: {str(error).splitlines()[0]})"
        else:
            found += contenders
    return found, absent
