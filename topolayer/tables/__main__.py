"""The command: `python -m topolayer.tables FOLDER TABLE`, alone or in each process of torchrun."""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from topolayer.tables import Vectors, tabulate


@dataclass(frozen=True)
class Command:
    """Write a parquet table with the persistence of every image, volume or signal in a folder.

    After an interruption the same command goes on. With torchrun several processes share the files:
    torchrun --nproc-per-node 4 -m topolayer.tables FOLDER TABLE
    """

    folder: tyro.conf.Positional[Path]
    """where the files are: .png, .jpg, .tif, .bmp, .npy, .nii, .nii.gz, .zarr"""
    table: tyro.conf.Positional[Path]
    """the file to write, such as bars.parquet"""
    vectors: Annotated[Vectors, tyro.conf.arg(name="")] = field(default_factory=Vectors)
    color: Literal["luminance", "red", "green", "blue"] | None = None
    """which part of color images is computed; without it color images are refused"""
    workers: int = 0
    """how many processes read and compute, beside the one that writes"""
    seconds: float = 30.0
    """how often to write what was computed"""


def main() -> None:
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that finished rows are written
    command = tyro.cli(Command, prog="python -m topolayer.tables")
    try:
        tabulate(
            command.folder,
            command.table,
            command.vectors,
            color=command.color,
            workers=command.workers,
            seconds=command.seconds,
        )
    except (TypeError, ValueError, RuntimeError, OSError) as error:
        sys.exit("\n".join([f"error: {error}", *getattr(error, "__notes__", ())]))


if __name__ == "__main__":
    main()
