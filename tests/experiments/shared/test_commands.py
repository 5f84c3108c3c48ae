"""What commands do before they compute: help at once, one command a folder, no trace of a failed start. And the log."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments.boundaries import config as boundaries
from experiments.boundaries.config import settle as settle_boundaries
from experiments.depth import config as depth
from experiments.depth.settle import settle as settle_depth
from experiments.region import __main__ as region
from experiments.segmentation import config as segmentation
from experiments.segmentation import pictures, sweep
from experiments.segmentation.__main__ import main
from experiments.segmentation.activations import Options as Activations
from experiments.segmentation.activations import main as show_activations
from experiments.segmentation.config import Config, settle
from experiments.shared import console, report
from experiments.shared.console import Meter, UserError, log
from experiments.shared.lock import held
from experiments.shared.options import check_folders, common

REPOSITORY = Path(__file__).parents[3]
COMMANDS = (
    *("segmentation", "segmentation.sweep", "segmentation.activations", "segmentation.thresholds"),
    *("boundaries", "clouds", "depth", "region", "speed", "report", "evaluate"),
)


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(REPOSITORY)!r})\n{code}", *arguments]


def test_help_needs_no_torch() -> None:
    """torch takes seconds to import. All commands run in one process: none may import it."""
    code = f"""
import contextlib, io, runpy
for command in {COMMANDS}:
    sys.argv = [command, "--help"]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        runpy.run_module(f"experiments.{{command}}", run_name="__main__", alter_sys=True)
    assert "usage" in printed.getvalue().lower(), command
    assert not {{"torch", "scipy", "matplotlib"}} & sys.modules.keys(), command
"""
    ended = subprocess.run(python(code), capture_output=True, text=True, timeout=100)
    assert ended.returncode == 0, ended.stderr


# --- one command a folder


def test_a_folder_in_use_is_refused_and_the_holder_named(config: Config) -> None:
    with (
        held(config.folder),
        pytest.raises(UserError, match=rf"in use by process {os.getpid()} on \S+, .*another --name"),
    ):
        main(config)
    assert not (config.folder / "config.json").exists()
    with held(config.folder):  # the other one has ended
        pass


@pytest.mark.parametrize("resume", [False, True])
def test_a_sweep_is_kept_out_too(config: Config, resume: bool) -> None:
    tried = sweep.Sweep(**{field.name: getattr(config, field.name) for field in dataclasses.fields(config)})
    tried = dataclasses.replace(tried, resume=resume, arms=("none",))
    with held(tried.folder), pytest.raises(UserError, match="in use by"):
        sweep.main(tried)


def test_the_lock_of_a_killed_process_is_gone(tmp_path: Path) -> None:
    code = """
from pathlib import Path
import time
from experiments.shared.lock import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(100)
"""
    with subprocess.Popen(python(code, str(tmp_path)), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=f"process {process.pid} "), held(tmp_path):
            pass
        process.kill()
        process.wait()
    with held(tmp_path):
        pass


def test_the_first_of_several_processes_holds_the_folder_for_all(tmp_path: Path, monkeypatch: Any) -> None:
    with held(tmp_path):
        monkeypatch.setenv("RANK", "1")
        with held(tmp_path):
            pass
        monkeypatch.setenv("RANK", "0")
        with pytest.raises(UserError, match="in use"), held(tmp_path):
            pass


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot be written to .*--runs"), held(tmp_path / "file" / "below"):
        pass


# --- failed starts


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": "coco", "root": Path("nowhere")}, "there is no folder nowhere"),
        ({"seeds": ()}, "--seeds: expected at least one"),
        ({"arms": ()}, "--arms: expected at least one"),
        ({"train_images": 1}, "do not fill one batch"),
        ({"train_images": -4}, "--train-images must be a number from 0"),
        ({"threads": -1}, "--threads must be a number from 0"),
        ({"weights": "imagenet"}, "--weights and --encoder-share would be ignored"),
        ({"encoder": "small", "weights": "imagenet"}, "--encoder small has no weights"),
        ({"network": "vit", "encoder": "small"}, "--encoder small is for a U-Net"),
        ({"network": "vit", "layer": "dec4"}, "no such layer; the network has block1"),
        ({"network": "vit", "layer": "auto", "size": 30}, "multiples of 4"),
        ({"encoder": "small", "size": 80}, "both sides must be multiples of 32"),
        ({"encoder": "small", "layer": "enc4"}, "no such layer; the network has encoder.stage1"),
    ],
)
def test_a_failed_start_leaves_nothing_that_refuses_the_right_command(
    config: Config, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        main(dataclasses.replace(config, width=3, **changes))
    assert not config.folder.exists() or [path.name for path in config.folder.iterdir()] == [".lock"]


def test_a_run_without_a_checkpoint_binds_nobody(config: Config) -> None:
    """As after a first step for which the memory was too small."""
    run = config.folder / "seed0-none"
    run.mkdir(parents=True)
    noted = json.dumps(common(dataclasses.replace(config, batch_size=512)))
    (config.folder / "config.json").write_text(noted)
    (run / "config.json").write_text("{}")
    check_folders(config)
    (run / "checkpoint.pt").write_text("")
    with pytest.raises(UserError, match="batch_size 512 there, 2 here"):
        check_folders(config)


@pytest.mark.parametrize(
    "changes", [{"seeds": ()}, {"rates": ()}, {"side": 0}, {"k": -1}, {"steps": 0}, {"noise": -1.0}]
)
def test_the_descent_refuses_before_it_writes(changes: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"--{next(iter(changes))}"):
        region.main(dataclasses.replace(region.Config(out=tmp_path / "new"), **changes))
    assert not (tmp_path / "new").exists()


# --- options that would be ignored


@pytest.mark.parametrize(
    ("settled", "option"),
    [
        (lambda: settle(dataclasses.replace(segmentation.DEMO, root=Path("X"))), "--root X"),
        (lambda: settle(Config(crowd="exclude")), "--crowd exclude"),
        (lambda: settle_depth(dataclasses.replace(depth.DEMO, root=Path("X"))), "--root X"),
        (lambda: settle_depth(depth.Config(cache=Path("X"))), "--cache X"),
        (lambda: settle_depth(depth.Config(data="nyu", root=Path("X"), settings=("indoors",))), "--settings"),
        (lambda: settle(sweep.Sweep(root=Path("X"))), "--root X"),
        (lambda: settle_boundaries(boundaries.Config(folds=3)), "--folds 3"),
        (lambda: settle_boundaries(boundaries.Config(data="cracks", root=Path("X"), size=64)), "--size 64"),
    ],
)
def test_an_option_that_the_data_do_not_read_is_refused(settled: Callable[[], object], option: str) -> None:
    with pytest.raises(UserError, match=rf"^{option}.*would be ignored.*leave it out, or give --data"):
        settled()


@pytest.mark.parametrize("option", ["root", "run"])
def test_the_demo_of_the_layers_takes_no_run(option: str) -> None:
    with pytest.raises(UserError, match="leave --run and --root out"):
        show_activations(Activations(demo=True, **{option: Path("X")}))


def test_a_small_preset_on_photographs_is_honoured() -> None:
    found = settle(dataclasses.replace(segmentation.DEMO, data="coco", root=Path("X")))
    assert (found.data, found.root, found.epochs) == ("coco", Path("X"), segmentation.DEMO.epochs)


# --- the log


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    monkeypatch.setattr(log, "propagate", True)
    caplog.set_level(logging.INFO, "experiments")
    return lambda: [record.getMessage() for record in caplog.records]


def test_a_training_says_where_it_stands_and_a_second_one_that_it_trained_nothing(
    config: Config, logged: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "showcase", lambda *_, **__: None)
    monkeypatch.setattr(report, "write", lambda *_: None)
    config = dataclasses.replace(config, arms=("none", "topology"))
    main(config)
    lines = [line for line in logged() if line.startswith("run ")]
    left = r", (about \d+ (h|min)|less than a minute)( \d+ min)? left"
    patterns = [
        f"run {run} of 2, seed 0, {arm}: epoch {epoch} of 2"
        for run, arm in ((1, "none"), (2, "topology"))
        for epoch in (1, 2)
    ]
    assert len(lines) == 4
    for number, (line, pattern) in enumerate(zip(lines, patterns, strict=True)):
        assert re.fullmatch(pattern + left * (number < 3), line), line
    assert not any("nothing was trained" in line for line in logged())
    main(dataclasses.replace(config, arms=("none", "topology", "tv")))
    assert "2 of 3 runs were finished before and stay as they are" in logged()
    assert any(line.startswith("run 3 of 3, seed 0, tv: epoch 1 of 2") for line in logged())
    main(config)
    assert logged()[-1].startswith("nothing was trained: all 2 runs in ")


def test_time_left_is_that_of_the_steps_of_this_command(
    logged: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    meter = Meter(100)
    meter.run = "run 1 of 1"
    meter.tell("epoch 5 of 10")
    meter.skip(50)
    meter.advance(10)
    now[0] = 60.0
    meter.tell("epoch 6 of 10")
    meter.advance(40)
    meter.tell("epoch 10 of 10")
    assert logged() == [
        "run 1 of 1: epoch 5 of 10",
        "run 1 of 1: epoch 6 of 10, about 4 min left",
        "run 1 of 1: epoch 10 of 10",
    ]


def test_a_message_is_one_line_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setattr(log, "handlers", [])
    monkeypatch.setattr(log, "propagate", True)
    monkeypatch.setattr(log, "level", log.level)
    console.run(lambda: log.info("%s", "word " * 60))
    (line,) = capsys.readouterr().out.splitlines()
    assert re.match(r"\d\d:\d\d:\d\d word ", line) and len(line) > 300
