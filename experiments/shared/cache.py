"""Images read from files once, by several threads, what cannot be read left out; in memory, or in files of a cache.

Arrays of a cache are mapped: a data set may be larger than the memory, and several processes share what is in it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import UnidentifiedImageError

from experiments.shared.console import UserError, log
from experiments.shared.files import write_json

INDEX = "index.json"

Array = np.ndarray
Layout = Mapping[str, tuple[tuple[int, ...], type]]
"""Shape and dtype of what is read of one image, by name."""


def read_all(
    names: Sequence[str],
    read: Callable[[int], tuple[Array, ...]],
    layout: Layout,
    *,
    what: str,
    threads: int = 2,
    cache: Path | None = None,
    version: str = "",
    notes: Mapping[str, Any] | None = None,
) -> tuple[list[Array], list[int]]:
    """``read(i)`` for all `names`, in one array for each entry of `layout`, and which of them could be read.

    What cannot be read is named, counted and left out. With `cache` the arrays live in files of this folder, which
    are used again as long as they were made from the same names with the same layout and `version`; `what` says what
    is read. `notes` are kept beside them, for `noted`.
    """
    made_of: dict[str, Any] = {
        "what": what,
        "version": version,
        "layout": {name: [list(shape), np.dtype(dtype).name] for name, (shape, dtype) in layout.items()},
        "names": list(names),
    }
    if cache is not None:
        cache.mkdir(parents=True, exist_ok=True)
        index = cache / INDEX
        if index.exists():
            found = json.loads(index.read_text())
            if found | made_of == found:
                # Copy on write, as torch takes no array that cannot be written to; nothing is.
                arrays = [np.load(_file(cache, name), mmap_mode="c", allow_pickle=False) for name in layout]
                return arrays, found["kept"]
            index.unlink()
    arrays = [_array(cache and _file(cache, name), (len(names), *layout[name][0]), layout[name][1]) for name in layout]

    def load(i: int) -> str | None:
        try:
            for array, part in zip(arrays, read(i), strict=True):
                array[i] = part
        except (OSError, UnidentifiedImageError, SyntaxError, ValueError, EOFError) as error:
            return f"{names[i]}: {error}"
        return None

    with ThreadPoolExecutor(threads) as pool:
        problems = list(pool.map(load, range(len(names))))
    for problem in filter(None, problems):
        log.warning("skipped: %s", problem)
    kept = [i for i, problem in enumerate(problems) if problem is None]
    if len(kept) < len(names):
        log.warning("%d of %d images of %s skipped", len(names) - len(kept), len(names), what)
    if not kept:
        raise UserError(f"none of the {len(names)} images of {what} could be read")
    if cache is not None:
        write_json(cache / INDEX, made_of | {"kept": kept, "notes": dict(notes or {})})
    return arrays, kept


def noted(cache: Path | None, version: str) -> dict[str, Any] | None:
    """The notes in a cache of this version, if it is one."""
    if cache is None or not (cache / INDEX).exists():
        return None
    found = json.loads((cache / INDEX).read_text())
    return dict(found["notes"]) if found.get("version") == version else None


def _file(cache: Path, name: str) -> Path:
    return cache / f"{name}.npy"


def _array(path: Path | None, shape: tuple[int, ...], dtype: type) -> Array:
    """A new array, in memory or in a file."""
    if path is None:
        return np.empty(shape, dtype)
    return np.asarray(np.lib.format.open_memmap(path, "w+", np.dtype(dtype), shape))
