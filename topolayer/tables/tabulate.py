"""From a folder to its table: workers of torch.utils.data read and compute, processes of torchrun share the files."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track
from torch.utils.data import DataLoader, Dataset

from topolayer._checks import came, check_integer, check_number, check_word
from topolayer.tables.files import READERS, Color, find, read
from topolayer.tables.parts import Row, Table
from topolayer.tables.vectors import Vectors

_OTHER_TABLES = (".csv", ".tsv", ".txt", ".xlsx", ".json", ".feather")  # a parquet file is not called so
_COLORS = dict.fromkeys(("luminance", "red", "green", "blue"), "")


def tabulate(
    folder: str | Path,
    table: str | Path,
    vectors: Vectors = Vectors(),  # noqa: B008  (it is frozen)
    *,
    color: Color | None = None,
    workers: int = 0,
    seconds: float = 30.0,
) -> int:
    """Writes a parquet table with a row for each image, volume or signal in a folder and the folders below it.

    The rows are sorted by path. Files are .png, .jpg, .tif, .bmp, .npy, .nii, .nii.gz and arrays of .zarr; others are
    left out, with a warning, and so are links to folders. Each file is computed on its own, in its own units.

    What was computed is written every half a minute, into a folder beside the table. After an interruption the same
    call goes on from there. It also adds new files to a table that is complete. A file that has a row is not read
    again. Several processes share the files: those that `torchrun` has started, or those of a process group that is
    there already, such as Lightning Fabric's.

    Args:
        folder: where the files are.
        table: the file to write.
        vectors: what to compute.
        color: of which part of a color image: "luminance", "red", "green" or "blue". With None there may be none.
        workers: how many processes each read and compute one file after another, beside the one that writes.
        seconds: how often to write what was computed.

    Returns:
        How many files this process has computed.

    Raises:
        TypeError, ValueError: an argument is out of its range, there are no files, or `table` was made with other
            options; a file cannot be read or computed, and the error names it.

    Example:
        >>> import numpy, pathlib, tempfile
        >>> from topolayer.tables import Vectors, tabulate
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> for name in "ab":
        ...     numpy.save(folder / f"{name}.npy", numpy.random.rand(16, 16))
        >>> tabulate(folder, folder / "bars.parquet", Vectors(dims=(0,), superlevel=True))
        2
        >>> import pyarrow.parquet
        >>> pyarrow.parquet.read_table(folder / "bars.parquet")["path"].to_pylist()
        ['a.npy', 'b.npy']
    """
    folder, table = (_path(*named) for named in (("folder", folder), ("table", table)))
    if table.is_dir():
        raise ValueError(f"table: expected a file to write, got the folder {table}; {table / 'bars.parquet'} is a file")
    if table.suffix.lower() in _OTHER_TABLES:
        raise ValueError(
            f"table: expected the name of a parquet file, got {table}; name it {table.with_suffix('.parquet')}, and "
            "convert it later, for instance with pandas.read_parquet"
        )
    if not isinstance(vectors, Vectors):
        raise TypeError(f"vectors: expected Vectors, got {came(vectors)}; Vectors(dims=(0,)), for instance, are some")
    if color is not None:
        check_word("color", color, _COLORS, remedy="None is for files with one number for each pixel")
    workers = check_integer("workers", workers, least=0, remedy="0 computes in this process")
    seconds = check_number("seconds", seconds, least=0, remedy="30 is the default")
    if not folder.is_dir():
        raise ValueError(f"folder: expected a folder with files, got {folder}; name one that there is")
    files, others = find(folder)
    if not files:
        raise ValueError(
            f"folder: expected files that can be read, got {folder} with {len(others)} of other kinds; known are "
            f"{', '.join(READERS)}"
        )
    for path in files:
        if os.fsencode(path).decode(errors="replace") != path:  # parquet has no other names
            raise ValueError(f"folder: expected names of files in UTF-8, got {path!r} in {folder}; rename it")
    rank, processes = _place()
    if others and rank == 0:
        are = "file in the folder is" if len(others) == 1 else "files in the folder are"
        warnings.warn(f"{len(others)} other {are} left out, such as {others[0]}", stacklevel=2)
    growing = Table(table, {**asdict(vectors), "color": color})
    done = growing.done()
    mine = [path for path in files[rank::processes] if path not in done]
    with _together(processes):
        rows = _computed(folder, mine, vectors, color, workers)
        try:
            _collect(track(rows, "files", len(mine), console=Console(stderr=True), disable=rank > 0), growing, seconds)
        except (RuntimeError, OSError) as error:  # a worker has died, which interrupts whatever is done here
            done = growing.done()
            for path in [path for path in mine if path not in done][:1]:
                error.add_note(f"the next file was {folder / path}")
            raise
    if rank == 0:
        growing.finish()
    return len(mine)


def _path(name: str, given: object) -> Path:
    if not isinstance(given, (str, os.PathLike)):
        raise TypeError(f"{name}: expected a path, got {came(given)}; write it as a str or a pathlib.Path")
    return Path(given)


def _place() -> tuple[int, int]:
    """Which of how many processes this is."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


@contextmanager
def _together(processes: int) -> Iterator[None]:
    """Ends when all processes have come to the end."""
    if processes == 1:
        yield
        return
    group = torch.distributed
    ours = not group.is_initialized()
    if ours:  # the slowest process may take days longer than the fastest
        group.init_process_group("gloo", timeout=timedelta(days=365))
    try:
        yield
        group.barrier()
    finally:
        if ours:
            group.destroy_process_group()


@dataclass(frozen=True)
class _Files(Dataset[Row | str]):
    """The rows of files, computed when they are asked for, or what an error says: not every error can be pickled."""

    folder: Path
    paths: list[str]
    vectors: Vectors
    color: Color | None

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> Row | str:
        path = self.paths[number]
        try:
            columns = self.vectors(read(self.folder / path, self.color))
            return path, {name: column.double().numpy() for name, column in columns.items()}
        except Exception as error:
            return f"{self.folder / path}: {type(error).__name__}: {error}"


def _as_it_is(row: Any) -> Any:
    """Arrays come through a pipe; tensors would each take a file descriptor."""
    return row


def _computed(folder: Path, paths: list[str], vectors: Vectors, color: Color | None, workers: int) -> Iterator[Row]:
    rows = DataLoader(_Files(folder, paths, vectors, color), batch_size=None, num_workers=workers, collate_fn=_as_it_is)
    for found in rows:
        if isinstance(found, str):
            raise ValueError(found)
        yield found


def _collect(rows: Iterable[Row], table: Table, seconds: float) -> None:
    """Writes the rows in parts, and those that are there when an error comes."""
    waiting: list[Row] = []
    written = time.monotonic()
    try:
        for row in rows:
            waiting.append(row)
            if time.monotonic() - written >= seconds:
                table.add(waiting)
                waiting = []
                written = time.monotonic()
    finally:
        table.add(waiting)
