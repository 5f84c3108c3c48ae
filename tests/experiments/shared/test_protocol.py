"""Protocols: older than their runs, binding, and answered in the report."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments import report as command
from experiments.segmentation import pictures
from experiments.segmentation.__main__ import main
from experiments.segmentation.config import DEMO, Config, settle
from experiments.segmentation.experiment import EXPERIMENT
from experiments.shared import conclusions, console, protocol, report
from experiments.shared.console import UserError
from experiments.shared.files import write_csv
from experiments.shared.options import parse

TEXT = """
title = "Does it help?"
experiment = "segmentation"
arms = ["none", "topology"]
seeds = 4
most_seeds = 6
questions = "Does it?"
stopping = "After four seeds."

[options]
epochs = 2
layer = "dec2"

[[endpoints]]
name = "topology"
score = "miou"
plus = ["topology"]
minus = ["none"]
margin = 3
deviation = 1.0
primary = true

[[endpoints]]
name = "components"
score = "betti_error"
plus = ["topology"]
minus = ["none"]
margin = 0.5
deviation = 0.1
"""


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "plan.toml"
    path.write_text(TEXT)
    return path


def test_a_protocol_says_what_is_asked(written: Path) -> None:
    plan = protocol.read(written)
    assert (plan.arms, plan.seeds, plan.most_seeds) == (("none", "topology"), 4, 6)
    assert plan.options == {"epochs": 2, "layer": "dec2"} and plan.texts["stopping"] == "After four seeds."
    first, second = plan.endpoints
    assert (first.plus, first.minus, first.margin, first.primary) == (("topology",), ("none",), 3, True)
    assert not second.primary


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("title", "titel", "does not say 'title'"),
        ("stopping = ", "stop = ", "does not say 'stopping'"),
        ("primary = true", "", "none of its endpoints is primary"),
        ("margin = 3", "margins = 3", "an endpoint in it has other entries.*margins"),
        ('plus = ["topology"]', 'plus = ["tv"]', "compares tv, which is none of its arms"),
        ("seeds = 4", "seeds = 4\nbudget = 30", "budget is neither text"),
        ("[options]", "[options", "no TOML file"),
    ],
)
def test_what_is_no_protocol_is_refused(written: Path, old: str, new: str, message: str) -> None:
    written.write_text(TEXT.replace(old, new, 1))
    with pytest.raises(UserError, match=message):
        protocol.read(written)


def test_a_protocol_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--protocol .*none\.toml: it cannot be read"):
        protocol.read(tmp_path / "none.toml")


# --- it binds


def test_arms_seeds_and_options_are_the_protocols(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["command", "--protocol", str(written), "--width", "3"])
    config = parse(Config, DEMO, "")
    assert (config.arms, config.seeds) == (("none", "topology"), (0, 1, 2, 3))
    assert (config.epochs, config.layer, config.width, config.protocol) == (2, "dec2", 3, written)
    monkeypatch.setattr(sys, "argv", ["command", f"--protocol={written}", "--arms", "none", "--seeds", "5"])
    assert parse(Config, DEMO, "").seeds == (5,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "3"], "--epochs 3: the protocol .* says 2; leave it out"),
        (["--arms", "none", "tv"], "--arms tv: the protocol .* has none, topology only"),
        (["--seeds", "6"], "--seeds: the protocol .* has 0 to 5 only"),
    ],
)
def test_what_the_protocol_does_not_allow_is_refused(
    written: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["command", "--protocol", str(written), *arguments])
    with pytest.raises(UserError, match=message):
        parse(Config, DEMO, "")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"segmentation"', '"depth"', "is one of experiments.depth, not of segmentation"),
        ("layer =", "layers =", "sets 'layers', which is no option"),
    ],
)
def test_a_protocol_of_something_else_is_refused(
    written: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, message: str
) -> None:
    written.write_text(TEXT.replace(old, new))
    monkeypatch.setattr(sys, "argv", ["command", "--protocol", str(written)])
    with pytest.raises(UserError, match=message):
        parse(Config, DEMO, "")


def test_a_protocol_that_was_changed_after_the_first_run_is_refused(
    config: Config, written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "showcase", lambda *_, **__: None)
    config = dataclasses.replace(config, arms=("none",), protocol=written)
    main(config)
    assert (config.folder / protocol.NAME).read_text() == TEXT
    noted = json.loads((config.folder / "seed0-none" / "config.json").read_text())
    assert noted["protocol"] == protocol.digest(written) and noted["ran"]["time"]
    assert "## Does it help?" in (config.folder / "results.md").read_text()
    main(config)
    with pytest.raises(UserError, match=r"under the protocol \w{12}, which is not no protocol"):
        main(dataclasses.replace(config, protocol=None))
    written.write_text(TEXT.replace("margin = 3", "margin = 5"))
    with pytest.raises(UserError, match="a protocol stays as it was at the first run"):
        main(config)
    (config.folder / protocol.NAME).write_text(written.read_text())
    with pytest.raises(UserError, match="was changed after the first run"):
        report.write(config.folder, EXPERIMENT)


def test_a_protocol_is_committed_before_its_runs(config: Config, written: Path) -> None:
    def git(*arguments: str) -> None:
        who = ("-c", "user.name=N", "-c", "user.email=e@x.org")
        subprocess.run(["git", *who, *arguments], cwd=written.parent, check=True, capture_output=True)

    assert protocol.committed(written) == ""  # in no repository
    git("init")
    with pytest.raises(UserError, match="is not committed as it is: commit it first"):
        main(settle(dataclasses.replace(config, protocol=written)))
    git("add", written.name)
    git("commit", "-m", "protocol")
    assert " of 20" in protocol.committed(written)
    written.write_text(TEXT + "# later\n")
    with pytest.raises(UserError, match="is not committed as it is"):
        protocol.committed(written)


# --- it is answered


@pytest.fixture
def folder(tmp_path: Path, written: Path) -> Path:
    """Four pairs whose differences are 1, 2, 1, 0 points, and -0.1 components but for the last."""
    runs = tmp_path / "runs"
    for seed, difference in enumerate((1.0, 2.0, 1.0, 0.0)):
        for arm, shift in (("none", 0.0), ("topology", 1.0)):
            row = {"epoch": 2.0, "miou": 50 + shift * difference, "person_iou": 1.0, "val_mse": 1.0, "val_speckle": 1.0}
            row["betti_error"] = 2 - 0.1 * shift * (seed < 3)
            run = runs / f"seed{seed}-{arm}"
            run.mkdir(parents=True)
            write_csv(run / "metrics.csv", [row])
            summary = {"experiment": "segmentation", "arm": arm, "seed": seed, "final": row, "images_per_second": 1.0}
            (run / "summary.json").write_text(json.dumps(summary))
    (runs / protocol.NAME).write_text(TEXT)
    noted = {"protocol": protocol.digest(written), "protocol_commit": "abc of 2026-12-01"}
    (runs / "config.json").write_text(json.dumps(noted))
    return runs


def test_the_report_answers_the_questions(folder: Path) -> None:
    report.write(folder, EXPERIMENT)
    text = (folder / "results.md").read_text()
    assert "commit abc of 2026-12-01" in text and "### Stopping\n\nAfter four seeds." in text
    # Differences 1, 2, 1, 0: mean 1, deviation 0.8165; the 97.5 % point with 3 degrees of freedom is 3.1824.
    (line,) = [line for line in text.splitlines() if line.startswith("| **topology**")]
    assert "| 4 of 4 | +1.00 [-0.30, +2.30] |  | 0.092 | ±3 | 0.0081 | smaller than 3 |" in line
    (line,) = [line for line in text.splitlines() if line.startswith("| components")]
    assert "| below zero, smaller than 0.5 |" not in line and "smaller than 0.5" in line
    assert "`epochs = 2`" in text and '`layer = "dec2"`' in text


def test_the_images_are_a_sample_too(folder: Path, written: Path) -> None:
    """Of eight images half are covered by people; the arm finds all of them, or all but those of a quarter."""
    end = protocol.read(written).endpoints[0]
    assert conclusions.over_images(folder, end, EXPERIMENT) is None
    rng = np.random.default_rng(0)
    for seed in range(4):
        for arm in ("none", "topology"):
            missed = rng.permutation([5] * 2 + [0] * 6) if arm == "none" else np.zeros(8)
            rows = [
                {"image": i, "both": 50 - m, "missed": m, "predicted": 0, "neither": 50, "betti_error": m}
                for i, m in enumerate(missed.tolist())
            ]
            write_csv(folder / f"seed{seed}-{arm}" / "images.csv", rows)
    low, high = conclusions.over_images(folder, end, EXPERIMENT) or (0, 0)
    wanted = 100 - 100 * (390 / 400 + 400 / 410) / 2  # of all counts together
    assert 0 < low < wanted < high < 3 * wanted
    found = conclusions.over_images(folder, protocol.read(written).endpoints[1], EXPERIMENT)
    assert found is not None and found[0] < -10 / 8 < found[1]  # a mean over the images
    report.write(folder, EXPERIMENT)
    assert f"[+{low:.2f}, +{high:.2f}]" in (folder / "results.md").read_text()
    for arm in ("none", "topology"):  # who cross-validates has other images for another seed
        file = folder / f"seed3-{arm}" / "images.csv"
        file.write_text(file.read_text().replace("\n0,", "\n9,"))
    assert conclusions.over_images(folder, end, EXPERIMENT) is None


def test_runs_without_a_protocol_answer_nothing(folder: Path) -> None:
    (folder / "config.json").write_text("{}")
    assert conclusions.section(folder, report.finished_runs(folder), EXPERIMENT) == ""
    with pytest.raises(UserError, match="runs without a protocol"):
        command.show_variances([folder])


def test_a_blinded_look_shows_no_effect(folder: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console.log, "handlers", [])
    console.run(lambda: command.show_variances([folder]))
    said = capsys.readouterr().out
    assert "topology: standard deviation 0.816 of 4 pairs (1 in the pilot); with 4 pairs power" in said
    assert "pairs are needed for 90 %" in said and "+1.00" not in said


def test_secondary_endpoints_are_adjusted_together(folder: Path, written: Path) -> None:
    third = TEXT[TEXT.rindex("[[endpoints]]") :].replace("components", "again")
    written.write_text(TEXT + third)
    first, second, third_answer = conclusions.answers(protocol.read(written), report.finished_runs(folder))
    assert first.endpoint.primary and first.p == first.effect.p
    assert second.p == pytest.approx(2 * second.effect.p) == third_answer.p
