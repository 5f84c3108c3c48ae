"""Barcodes of grids that do not fit into memory."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from topolayer._backends.slabs import Planes, SlabBars, bars_of_slabs, planes_of_slab
from topolayer._barcodes.barcode import Barcode
from topolayer._barcodes.bars import EssentialBars
from topolayer._checks import came, check_bool, check_integer, check_integers, check_word

_CONSTRUCTIONS = {"T": "pixels are cells", "V": "pixels are vertices", "freudenthal": "its triangulation"}
_VOXELS_AT_ONCE = 2**24  # the two planes between slabs cost little beside so many


def persistence_in_slabs(
    array: Any,
    dims: int | Sequence[int] = 0,
    *,
    construction: Literal["T", "V", "freudenthal"] = "T",
    superlevel: bool = False,
    slab: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Barcode:
    """Persistent homology of an image or volume that does not fit into memory: components, and the top dimension.

    The array is read once, slab by slab. Of each slab only extrema and saddles are kept, and the bars are exactly those
    of the whole, as Robins, Wood and Sheppard (2011) find them from the neighbourhood of each voxel alone.

    Args:
        array: a `numpy.memmap`, a zarr array, or anything else with a shape, a dtype and slices along its first axis:
            floating-point, bool, or integers of up to 16 bits. All of its one to three axes are the grid.
        dims: 0 for components, the number of axes less one for what they close off (loops of images, voids of volumes),
            or both.
        construction: "T" and "V" as in `Cubical`, or the triangulation of `Freudenthal`.
        superlevel: sweep from high values to low ones.
        slab: how many planes, or rows of an image, are read at once. None: about 2**24 values, in whole chunks.
        progress: called as ``progress(planes_read, planes)`` after each slab.

    Returns:
        The barcode that `persistence` has for the whole, on the CPU, without a gradient. Indices are flat into the
        array, also beyond 2**32.

    Raises:
        TypeError: the array is in memory already, or its numbers have no order that the library defines.
        ValueError: a dimension, such as loops of volumes, needs the whole; values are not finite; the file becomes
            another one on the way, or slices are not of the array's shape and dtype.
        MemoryError: the extrema and saddles do not fit into memory either.

    Example:
        >>> import tempfile, numpy as np, topolayer as tl
        >>> with tempfile.TemporaryFile() as file:
        ...     volume = np.memmap(file, np.uint8, "w+", shape=(32, 20, 20))
        ...     volume[3, 4, 5], volume[30, 7, 7] = 200, 90
        ...     barcode = tl.persistence_in_slabs(volume, superlevel=True, slab=8)
        >>> barcode.births, barcode.deaths, barcode.essential.births
        (tensor([90.]), tensor([0.]), tensor([200.]))
    """
    shape, dtype = _check_array(array)
    wanted = _check_dims(dims, shape)
    check_word("construction", construction, _CONSTRUCTIONS, remedy='"T" connects pixels with a corner in common')
    check_bool("superlevel", superlevel)
    slab = _check_slab(slab, shape, getattr(array, "chunks", None))
    if progress is not None and not callable(progress):
        raise TypeError(f"progress: expected a function of two ints, got {came(progress)}; print is one")
    mapping = _mapping_of(array)
    before = _file_of(mapping)
    read_so_far = 0

    def read(begin: int, end: int, planes: Planes) -> None:
        nonlocal read_so_far
        _check_file(mapping, before)
        part = array[begin:end]
        if np.ma.is_masked(part):
            raise ValueError(
                f"array: expected slices without masked values, got some in array[{begin}:{end}]; fill them in, with a "
                "number that enters last, in a copy of the file"
            )
        part = np.asarray(part)
        if part.shape != planes.shape or part.dtype.newbyteorder("=") != dtype:
            raise ValueError(
                f"array: expected array[{begin}:{end}] of shape {planes.shape} and dtype {dtype}, got {part.shape} and "
                f"{part.dtype}; slices must be of the array's shape and dtype, and not change while they are read"
            )
        planes[...] = part
        read_so_far = end
        if progress is not None:
            progress(end, shape[0])

    computed: type[np.float64 | np.float32] = np.float64 if dtype == np.float64 else np.float32
    try:
        found = bars_of_slabs(
            read,
            shape=shape,
            dtype=computed,
            connectivity="F" if construction == "freudenthal" else construction,
            superlevel=superlevel,
            top=tuple(dim > 0 for dim in sorted(wanted)),
            slab=slab,
        )
    except MemoryError as error:
        raise MemoryError(
            f"not enough memory for the extrema and saddles of an array of shape {shape}, of which {read_so_far} "
            f"planes were read with slab={slab}; a smaller slab leaves more, and smoother values have fewer of them"
        ) from error
    _check_file(mapping, before)
    return _barcode(found, wanted, shape, dtype, torch.from_numpy(np.empty(0, computed)).dtype, superlevel)


def _barcode(
    found: list[SlabBars],
    dims: tuple[int, ...],
    shape: tuple[int, ...],
    given: np.dtype[Any],
    computed: torch.dtype,
    superlevel: bool,
) -> Barcode:
    input_dtype = torch.float16 if given == np.float16 else computed
    of_grid: dict[str, Any] = {"computed_dims": dims, "batch_shape": (), "grid_shape": shape}

    def joined(parts: list[np.ndarray], dtype: torch.dtype = torch.int64) -> torch.Tensor:
        return torch.from_numpy(np.concatenate(parts)).to(dtype)

    def numbered(parts: list[np.ndarray]) -> torch.Tensor:
        return joined([np.full(len(part), dim) for part, dim in zip(parts, sorted(dims), strict=True)])

    pairs, born = [bars.pairs for bars in found], [bars.essential for bars in found]
    values = joined([bars.values for bars in found], computed)
    in_dim, never_in_dim = numbered(pairs), numbered(born)
    births = joined([bars.essential_values for bars in found], computed)
    never = EssentialBars(births, never_in_dim, torch.zeros_like(never_in_dim), indices=joined(born), **of_grid)
    return Barcode(
        births=values[::2],
        deaths=values[1::2],
        dims=in_dim,
        sample=torch.zeros_like(in_dim),
        pairs=joined(pairs),
        essential=never,
        superlevel=superlevel,
        entries=math.prod(shape),
        input_dtype=input_dtype,
        **of_grid,
    )


def _remedy_of_array(array: object) -> str:
    if isinstance(array, (str, os.PathLike)):
        return 'open the file first, with numpy.load(path, mmap_mode="r"), numpy.memmap or zarr.open_array'
    if hasattr(array, "dataobj"):
        return "an image of nibabel has its array in .dataobj"
    if hasattr(array, "keys"):
        return "choose one of the arrays in it"
    return "for what is in memory there is tl.persistence"


def _check_array(array: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """The shape and the dtype, in the order of bytes of this machine, if its numbers can be compared."""
    if isinstance(array, torch.Tensor) or not all(hasattr(array, name) for name in ("shape", "dtype", "__getitem__")):
        raise TypeError(
            "array: expected an array with a shape, a dtype and slices, such as a numpy.memmap or a zarr array, got "
            f"{came(array)}; {_remedy_of_array(array)}"
        )
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError("array: expected an array without a mask, got a MaskedArray; array.filled(...) has none")
    try:
        shape, dtype = tuple(map(int, array.shape)), np.dtype(array.dtype).newbyteorder("=")
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"array: expected a tuple of ints as shape and a dtype of NumPy, got {array.shape!r:.60} and "
            f"{array.dtype!r:.60}; wrap it in a class that has them"
        ) from error
    if not 1 <= len(shape) <= 3 or 0 in shape:
        raise ValueError(
            f"array: expected one to three axes, none of them empty, got shape {shape}; take one channel or "
            "sample of it"
        )
    if not (dtype.kind in "bui" and dtype.itemsize <= 2) and not (dtype.kind == "f" and dtype.itemsize <= 8):
        remedy = {"c": "store numpy.abs of it", "O": "store it as float64"}.get(dtype.kind, "store it as float64")
        raise TypeError(
            f"array: expected floating-point numbers of up to 64 bits, bool or integers of up to 16 bits, got {dtype}; "
            f"{remedy}, slab by slab"
        )
    return shape, dtype


def _check_dims(dims: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    kind = "an int, or a tuple or list of ints such as (0, 2)"
    wanted = check_integers("dims", dims, what=kind, remedy="0 stands for components")
    top = len(shape) - 1
    if not wanted or len(set(wanted)) < len(wanted) or not set(wanted) <= {0, top}:
        known = f"0, {top}, or both" if top else "0"
        remedy = "name each once" if set(wanted) <= {0, top} else "leave out the others"
        remedy = remedy if wanted else "0 stands for components"
        if top == 2 and 1 in wanted:
            needed = 12 * math.prod(shape) / 1e9
            remedy = (
                f"loops need the whole volume in memory, and 8 to 12 bytes a voxel or more, here {needed:.3g} GB: with "
                "so much, call tl.persistence of the whole"
            )
        raise ValueError(f"dims: expected {known} for an array of shape {shape}, got {dims!r}; {remedy}")
    return wanted


def _check_slab(slab: Any, shape: tuple[int, ...], chunks: Any) -> int:
    most = planes_of_slab(shape)
    if most < 1:
        raise ValueError(
            f"array: expected planes of which three have less than 2**32 entries, got shape {shape}; put a longer axis "
            "first"
        )
    if slab is not None:
        return check_integer("slab", slab, least=1, most=most, what="a number of planes", remedy="None chooses one")
    planes = _VOXELS_AT_ONCE // math.prod(shape[1:])
    if isinstance(chunks, tuple) and chunks and isinstance(chunks[0], int):  # a chunk is read as a whole
        planes = max(1, planes // chunks[0]) * chunks[0]
    return min(most, max(1, planes), shape[0])


def _mapping_of(array: Any) -> Any:
    """The `numpy.memmap` of a whole file that an array shares its memory with; None if there is none."""
    found = None
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap) and array.filename is not None:
            found = array
        array = array.base
    return found


def _file_of(mapping: Any) -> tuple[int, int] | None:
    """Size and time of the last change of a file that is mapped."""
    if mapping is None or not Path(mapping.filename).exists():
        return None
    status = Path(mapping.filename).stat()
    return status.st_size, status.st_mtime_ns


def _check_file(mapping: Any, before: tuple[int, int] | None) -> None:
    """Refuses a mapped file that is another one than before: reading behind its end would end the process."""
    now = _file_of(mapping)
    needed = mapping.offset + mapping.nbytes if now is not None else 0
    if now != before or (now is not None and now[0] < needed):
        raise ValueError(
            f"array: expected the file {mapping.filename} to stay as it is while it is read, with {needed} bytes or "
            f"more, got one that has changed{'' if now is None else f' and has {now[0]} bytes'}; map it again when it "
            "is complete"
        )
