"""Files that a run leaves behind: written atomically, with a note of where and with what it was made."""

from __future__ import annotations

import csv
import importlib.metadata
import io
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Row = dict[str, float]
IMAGES = "images.csv"  # in the folder of a run: numbers of each validation image


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write beside the file and put it in its place: a reader, or a crash, never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    data = content.encode() if isinstance(content, str) else content
    with beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def write_json(path: Path, content: Any) -> None:
    write_atomically(path, json.dumps(content, indent=2) + "\n")


def read_csv(path: Path) -> list[Row]:
    with path.open(newline="") as file:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]


def write_csv(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue())


PACKAGES = ("torch", "topolayer", "lightning-fabric", "torchmetrics", "pycocotools", "numpy")


def environment(packages: Sequence[str] = PACKAGES) -> dict[str, Any]:
    """The command, the code and the machine, as far as they matter to the numbers."""
    import torch

    return {
        "command": sys.argv,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} processors",
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "threads": torch.get_num_threads(),
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
        "packages": {name: _version(name) for name in packages},
    }


def _commit() -> str:
    """The commit this file belongs to, marked "-dirty" where files were changed since."""
    describe = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude", "*"]
    try:
        ended = subprocess.run(describe, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
        described = ended.stdout.strip()
    except OSError:
        described = ""
    return described or "unknown"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
