"""A parquet table that grows in parts: what was computed stays, wherever a computation ends."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

Row = tuple[str, Mapping[str, np.ndarray]]  # a path, and the columns: float64, without axes or with one

_OPTIONS = b"topolayer"  # the key under which a file says how its numbers were made


@dataclass(frozen=True)
class Table:
    """A file, and beside it a folder with parts until it is complete.

    A file appears under its name when it is whole. Several processes may add parts at the same time.

    Attributes:
        path: of the file.
        options: how the numbers are made, which is noted in the file.
    """

    path: Path
    options: Mapping[str, object]

    @property
    def folder(self) -> Path:
        return self.path.with_name(self.path.name + ".parts")

    def done(self) -> set[str]:
        """The paths that have a row.

        Raises:
            ValueError: the numbers of a file were made with other options, or it is no parquet.
        """
        return {path for part in self._files() for path in pq.read_table(part, columns=["path"])["path"].to_pylist()}

    def add(self, rows: Sequence[Row]) -> None:
        """Writes a part that has these rows."""
        if rows:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._write(self._of(rows), self.folder / f"{uuid.uuid4().hex}.parquet")

    def finish(self) -> None:
        """Puts all rows into the file, sorted by path, and removes the parts."""
        files = self._files()
        if self.folder.exists():
            every = pa.concat_tables(map(pq.read_table, files))
            # An interruption of what follows leaves rows in the file and in a part.
            place = {path: number for number, path in enumerate(every["path"].to_pylist())}
            self._write(every.take([place[path] for path in sorted(place)]), self.path)
            for part in self.folder.iterdir():
                part.unlink()
            self.folder.rmdir()

    def _files(self) -> list[Path]:
        files = [self.path] if self.path.exists() else []
        files += sorted(self.folder.glob("*.parquet"))
        for file in files:
            try:
                schema = pq.read_schema(file)
            except pa.ArrowInvalid as error:
                raise ValueError(
                    f"table: expected a new file or one in parquet, got {file}, which is neither; name another file"
                ) from error
            found = json.loads((schema.metadata or {}).get(_OPTIONS, b"null"))
            if found != json.loads(json.dumps(self.options)):
                raise ValueError(
                    f"table: expected a new file or one that was made with the options {json.dumps(self.options)}, got "
                    f"{file} with {json.dumps(found)}; repeat those options, or name another file"
                )
        return files

    def _metadata(self) -> dict[bytes, bytes]:
        return {_OPTIONS: json.dumps(self.options).encode()}

    def _of(self, rows: Sequence[Row]) -> Any:
        columns: dict[str, Any] = {"path": pa.array([path for path, _ in rows], pa.string())}
        for name in rows[0][1]:
            numbers = np.stack([found[name] for _, found in rows])
            flat = pa.array(numbers.ravel(), pa.float64())
            columns[name] = flat if numbers.ndim == 1 else pa.FixedSizeListArray.from_arrays(flat, numbers.shape[1])
        return pa.table(columns)

    def _write(self, table: Any, path: Path) -> None:
        unfinished = self.folder / f".{uuid.uuid4().hex}"  # which `finish` removes if the process dies here
        pq.write_table(table.replace_schema_metadata(self._metadata()), unfinished)
        unfinished.replace(path)
