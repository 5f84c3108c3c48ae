"""The protocols of the repository: what they name is there, and their primary endpoints have power."""

from __future__ import annotations

import dataclasses
import sys
from importlib import import_module
from pathlib import Path

import pytest

import experiments
from experiments.shared import effects, protocol
from experiments.shared.options import parse

FILES = sorted((Path(experiments.__file__).parent / "protocols").glob("*.toml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_protocol_goes_with_its_experiment(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = protocol.read(path)
    declared = import_module(f"experiments.{plan.experiment}.experiment").EXPERIMENT
    config = import_module(f"experiments.{plan.experiment}.config")
    assert set(plan.arms) <= set(declared.arms)
    assert {endpoint.score for endpoint in plan.endpoints} <= set(declared.titles)
    monkeypatch.setattr(sys, "argv", ["command", "--protocol", str(path), "--root", "nowhere"])
    options = parse(config.Config, config.DEMO, "")
    assert options.arms == plan.arms and options.seeds == tuple(range(plan.seeds))
    assert dataclasses.asdict(options).items() >= plan.options.items()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_primary_endpoint_has_the_power_to_be_answered(path: Path) -> None:
    plan = protocol.read(path)
    for endpoint in (endpoint for endpoint in plan.endpoints if endpoint.primary):
        assert effects.power(endpoint.deviation, plan.seeds, endpoint.margin) > 0.8
        assert effects.equivalence_power(endpoint.deviation, plan.seeds, endpoint.margin) > 0.8


def test_there_are_some() -> None:
    assert {"membranes", "people", "rooms"} <= {path.stem for path in FILES}
