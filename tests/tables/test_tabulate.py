"""A table in one process and in two: the same rows; what was done stays, whatever interrupts it."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("pyarrow", reason="needs the extra `tables`")
import pyarrow.parquet

from topolayer.tables import Vectors, files, tabulate

pytestmark = pytest.mark.timeout(240)

VECTORS = Vectors(levels=(0, 1, 4), lengths=(0, 1, 3))
OPTIONS = ["--levels", "0", "1", "4", "--lengths", "0", "1", "3"]


def fill(folder: Path, count: int = 12) -> Path:
    (folder / "deep").mkdir(parents=True)
    for number, image in enumerate(np.random.default_rng(0).random((count, 6, 7))):
        np.save(folder / ("deep" if number % 3 else "") / f"{number:02}.npy", image.astype(np.float32))
    return folder


def rows(table: Path) -> list[dict[str, Any]]:
    return pyarrow.parquet.read_table(table).to_pylist()


def parts(table: Path) -> list[Path]:
    return sorted(table.with_name(f"{table.name}.parts").glob("*.parquet"))


def by_hand(folder: Path) -> list[dict[str, Any]]:
    expected = []
    for path in sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.npy")):
        columns = VECTORS(torch.from_numpy(np.load(folder / path)))
        expected.append({"path": path} | {name: column.tolist() for name, column in columns.items()})
    return expected


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return fill(tmp_path / "images")


@pytest.mark.parametrize("workers", [0, 2])
def test_a_row_for_each_file(images: Path, tmp_path: Path, workers: int) -> None:
    table = tmp_path / "new" / "bars.parquet"
    tabulate(images, table, VECTORS, workers=workers)
    assert rows(table) == by_hand(images)
    assert list(table.parent.iterdir()) == [table], "nothing half-written is left"


def test_new_files_are_added_and_others_are_not_read_again(images: Path, tmp_path: Path) -> None:
    table, last = tmp_path / "bars.parquet", images / "deep" / "11.npy"
    expected = by_hand(images)
    kept = last.read_bytes()
    last.unlink()
    tabulate(images, table, VECTORS)
    assert len(rows(table)) == 11
    for path in images.rglob("*.npy"):
        path.write_bytes(b"")
    last.write_bytes(kept)
    tabulate(images, table, VECTORS)
    assert rows(table) == expected
    before = table.stat().st_mtime_ns
    tabulate(images, table, VECTORS)
    assert table.stat().st_mtime_ns == before


@pytest.mark.parametrize("workers", [0, 2])
def test_a_file_that_cannot_be_computed_is_named_and_what_was_done_stays(
    images: Path, tmp_path: Path, workers: int
) -> None:
    table, bad = tmp_path / "bars.parquet", images / "deep" / "07.npy"
    expected = by_hand(images)
    good = bad.read_bytes()
    np.save(bad, np.full((3, 3), np.nan))
    with pytest.raises(ValueError, match=re.escape(f"{bad}: NonFiniteError: values: expected finite numbers")):
        tabulate(images, table, VECTORS, workers=workers)
    assert not table.exists() and len(parts(table)) == 1
    bad.write_bytes(good)
    for path in images.glob("*.npy"):  # the first ones, which are done
        path.write_bytes(b"")
    tabulate(images, table, VECTORS, workers=workers)
    assert rows(table) == expected


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="the worker is to see what is replaced"
)
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # Python 3.12 and later
def test_a_worker_that_dies_is_noticed_and_what_was_done_stays(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, plain = tmp_path / "bars.parquet", files.READERS[".npy"]

    def deadly(path: Path, color: Any) -> Any:
        return os._exit(1) if path.name == "07.npy" else plain(path, color)

    monkeypatch.setitem(files.READERS, ".npy", deadly)
    with pytest.raises(RuntimeError, match="worker") as raised:
        tabulate(images, table, VECTORS, workers=1)
    (note,) = raised.value.__notes__
    assert re.fullmatch(rf"the next file was {images}/.*\.npy", note)
    assert not table.exists()
    monkeypatch.undo()
    tabulate(images, table, VECTORS, workers=1)
    assert rows(table) == by_hand(images)


def test_other_files_are_left_out_with_a_warning(images: Path, tmp_path: Path) -> None:
    (images / "deep" / "notes.txt").touch()
    with pytest.warns(UserWarning, match="^1 other file in the folder is left out, such as deep/notes.txt$"):
        tabulate(images, tmp_path / "bars.parquet", VECTORS)
    assert rows(tmp_path / "bars.parquet") == by_hand(images)


def test_links_to_folders_are_left_out_with_a_warning(images: Path, tmp_path: Path) -> None:
    """They may lead in circles, and not without a word to whoever meant them to be read."""
    (images / "deep" / "circle").symlink_to(images)
    with pytest.warns(UserWarning, match="^1 other file in the folder is left out, such as deep/circle$"):
        tabulate(images, tmp_path / "bars.parquet", VECTORS)
    assert rows(tmp_path / "bars.parquet") == by_hand(images)


def test_a_name_that_parquet_cannot_hold(images: Path, tmp_path: Path) -> None:
    """It is refused before anything is computed, which could not be written."""
    next(images.glob("*.npy")).rename(images / os.fsdecode(b"\xff.npy"))
    with pytest.raises(ValueError, match=r"^folder: expected names of files in UTF-8, got '\\udcff\.npy' in "):
        tabulate(images, tmp_path / "bars.parquet", VECTORS)
    assert not (tmp_path / "bars.parquet.parts").exists()


def test_rows_that_are_in_the_table_and_in_a_part_count_once(images: Path, tmp_path: Path) -> None:
    """As after an interruption between the table and the removal of its parts."""
    table, folder = tmp_path / "bars.parquet", tmp_path / "bars.parquet.parts"
    tabulate(images, table, VECTORS)
    folder.mkdir()
    (folder / "a.parquet").write_bytes(table.read_bytes())
    (folder / ".unfinished").write_bytes(b"PAR1")
    tabulate(images, table, VECTORS)
    assert rows(table) == by_hand(images) and not folder.exists()


def test_other_options_are_refused_and_change_nothing(images: Path, tmp_path: Path) -> None:
    table = tmp_path / "bars.parquet"
    tabulate(images, table, VECTORS)
    before = table.read_bytes()
    with pytest.raises(ValueError, match=r'^table: expected a new file .*"levels": null.*got .*\[0\.0, 1\.0, 4\]'):
        tabulate(images, table)
    assert table.read_bytes() == before


@pytest.mark.parametrize(
    ("folder", "options", "message"),
    [
        ("absent", {}, r"^folder: expected a folder with files, got .*absent; name one"),
        ("text", {}, r"^folder: expected files that can be read, got .*text with 1 of other kinds; known are \.png"),
        ("images", {"color": "grey"}, r'^color: expected "luminance" or "red".*got \'grey\'; None is'),
        ("images", {"workers": -1}, r"^workers: expected an int >= 0, got -1; 0 computes in this process"),
        ("images", {"seconds": -1}, r"^seconds: expected a finite number >= 0, got -1; 30"),
    ],
)
def test_bad_arguments_are_refused(images: Path, tmp_path: Path, folder: str, options: Any, message: str) -> None:
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.txt").touch()
    with pytest.raises(ValueError, match=message):
        tabulate(tmp_path / folder, tmp_path / "bars.parquet", **options)


def test_what_is_no_table_is_refused_and_left_alone(images: Path, tmp_path: Path) -> None:
    text = tmp_path / "notes"
    text.write_text("no numbers")
    with pytest.raises(ValueError, match=r"^table: expected .* in parquet, got .*notes, .*; name another file"):
        tabulate(images, text)
    assert text.read_text() == "no numbers"
    with pytest.raises(ValueError, match=r"^table: expected a file to write, got the folder .*; .*bars\.parquet is"):
        tabulate(images, images)
    with pytest.raises(
        ValueError, match=r"^table: expected the name of a parquet file, got .*bars\.csv; name it .*\.parquet"
    ):
        tabulate(images, tmp_path / "bars.csv")
    assert not (tmp_path / "bars.csv").exists()
    for arguments, message in {
        (None, text): r"^folder: expected a path, got NoneType; write it as a str",
        (images, 3): r"^table: expected a path, got int 3; write it as a str",
        (images, text, None): r"^vectors: expected Vectors, got NoneType; Vectors\(dims=",
    }.items():
        with pytest.raises(TypeError, match=message):
            tabulate(*arguments)


# -- the command, in two processes


def command(
    images: Path, table: Path, *options: str, starter: Sequence[str] = (), **environment: object
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *starter, "-m", "topolayer.tables", str(images), str(table), *OPTIONS, *options],
        env=os.environ | {"OMP_NUM_THREADS": "1"} | {name: str(value) for name, value in environment.items()},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a named pipe holds the computation up")
def test_two_processes_that_are_killed_and_resumed(images: Path, tmp_path: Path) -> None:
    table, pipe = tmp_path / "bars.parquet", images / "deep" / "10.npy"
    expected = by_hand(images)
    last = pipe.read_bytes()
    pipe.unlink()
    os.mkfifo(pipe)  # who reads it waits
    torchrun = {"WORLD_SIZE": 2, "MASTER_ADDR": "localhost", "MASTER_PORT": free_port()}  # whose ranks are killed here
    processes = [command(images, table, "--seconds", "0", RANK=rank, **torchrun) for rank in range(2)]
    try:
        until = time.monotonic() + 120
        while len(parts(table)) < 9 and time.monotonic() < until:
            time.sleep(0.05)
    finally:
        for process in processes:
            process.kill()
        outputs = [process.communicate()[0] for process in processes]
    assert len(parts(table)) >= 9 and not table.exists(), outputs
    for path in {row["path"] for part in parts(table) for row in rows(part)}:
        (images / path).write_bytes(b"")  # so that it cannot be computed again
    pipe.unlink()
    pipe.write_bytes(last)
    resumed = command(images, table, starter=("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"))
    output, _ = resumed.communicate(timeout=120)
    assert resumed.returncode == 0, output
    assert rows(table) == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bars.parquet", "images"]


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Commands get SIGINT, even where these tests run in the background of a shell that has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a named pipe holds the computation up")
@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_is_asked_to_end_writes_what_is_done(images: Path, tmp_path: Path, number: signal.Signals) -> None:
    table, pipe = tmp_path / "bars.parquet", images / "deep" / "10.npy"
    pipe.unlink()
    os.mkfifo(pipe)
    process = command(images, table, "--seconds", "1000")
    try:
        with pipe.open("wb"):  # waits until somebody reads it
            process.send_signal(number)
            output, _ = process.communicate(timeout=120)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode != 0 and not table.exists()
    assert len(parts(table)) == 1, output
    before = sorted(path.relative_to(images).as_posix() for path in images.rglob("*.npy"))
    assert [row["path"] for row in rows(*parts(table))] == before[: before.index("deep/10.npy")]


def test_the_command_names_a_bad_file_in_one_line(images: Path, tmp_path: Path) -> None:
    (images / "00.npy").write_bytes(b"nothing")
    process = command(images, tmp_path / "bars.parquet")
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert f"error: {images}/00.npy: " in output and "Traceback" not in output
