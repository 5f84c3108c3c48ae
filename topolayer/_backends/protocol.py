"""What a backend is: a map from a filtration to indices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from topolayer._filtrations import Filtration


@dataclass(frozen=True, eq=False)
class IndexPairs:
    """Which entry of the filtration values gives birth to each bar, and which one kills it.

    Indices are flat into all of `filtration.values`, batch included, in C order. All tensors are int64, on
    any one device. The order of bars is free, and bars of length zero may be among them, unless `canonical`
    says that `persistence` need not look.

    Attributes:
        finite: (n, 2) birth and death of the bars that die.
        finite_dims: (n,) their homology dimensions.
        finite_samples: (n,) their flat batch indices.
        essential: (m,) birth of the bars that do not.
        essential_dims: (m,) their homology dimensions.
        essential_samples: (m,) their flat batch indices.
        canonical: bars are already as in a `Barcode`: by sample, dimension, death, birth, none of length
            zero.

    Raises:
        TypeError, ValueError: a tensor has another dtype or shape.

    Example:
        >>> import torch, topolayer as tl
        >>> none = torch.empty(0, dtype=torch.int64)
        >>> zero = torch.zeros(1, dtype=torch.int64)
        >>> one_bar = tl.IndexPairs(torch.tensor([[3, 2]]), zero, zero, none, none, none)  # from values[3] to values[2]
    """

    finite: Tensor
    finite_dims: Tensor
    finite_samples: Tensor
    essential: Tensor
    essential_dims: Tensor
    essential_samples: Tensor
    canonical: bool = False

    def __post_init__(self) -> None:
        for kind in ("finite", "essential"):
            bars = None
            for name in (kind, f"{kind}_dims", f"{kind}_samples"):
                tensor = getattr(self, name)
                if not isinstance(tensor, Tensor) or tensor.dtype != torch.int64:
                    got = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
                    raise TypeError(f"IndexPairs.{name}: expected an int64 tensor, got {got}; convert it with .long()")
                shape = tensor.shape
                if bars is None:  # the first of the three says how many there are
                    bars = shape[0] if shape else 0
                if shape != ((bars, 2) if name == "finite" else (bars,)):
                    expected = "(bars, 2)" if name == "finite" else f"({bars},)"
                    raise ValueError(
                        f"IndexPairs.{name}: expected shape {expected}, got {tuple(shape)}; the three tensors of "
                        f"{kind} bars have an entry for each of them"
                    )


@runtime_checkable
class Backend(Protocol):
    """A way to compute persistence. It sees filtrations off the autograd graph, and returns nothing but indices.

    `persistence` has checked that all values are finite before it calls `pairs`. A backend that finds out by
    itself, and then calls `filtration.check_finite()`, may say so by a class attribute `checks_finite = True`
    and save the time.

    A third method is optional: `simplified(filtration, k, threshold)` returns an integer tensor shaped like
    `filtration.values`, for each of them the flat index of the one whose value it takes in `simplify`. What is
    kept are the essential bars of dimension 0 and, of the finite ones, as many of the longest as make up k with
    them (ties as in `Barcode.ranks`), those that are shorter than `threshold` left out. It is called if
    `unsupported(filtration, (0,))` is None.

    Example:
        >>> import torch, topolayer as tl
        >>> native = tl.backends()["native"]
        >>> native.unsupported(tl.Rips(torch.zeros(3, 3)), (1,))
        'it computes dimension 0 only'
        >>> native.pairs(tl.Freudenthal(torch.tensor([0.0, 3.0, 1.0, 2.0]), ndim=1), (0,)).finite
        tensor([[2, 1]])
    """

    name: str

    def unsupported(self, filtration: Filtration, dims: tuple[int, ...]) -> str | None:
        """Why this backend cannot compute these dimensions of this filtration; None if it can.

        Args:
            filtration: what `persistence` was asked about; it may still be on the autograd graph.
            dims: the homology dimensions asked for, one or more.

        Returns:
            The reason, which goes into the error message; None if there is none.
        """
        ...

    def pairs(self, filtration: Filtration, dims: tuple[int, ...]) -> IndexPairs:
        """The index pairs of all samples in these dimensions.

        Args:
            filtration: off the autograd graph, not empty, with finite values.
            dims: the homology dimensions asked for; bars of others are an error.

        Returns:
            The pairs, on any one device.
        """
        ...
