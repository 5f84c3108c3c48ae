"""Protocols: what is asked, and how it will be answered, written down and committed before any run.

A protocol is a TOML file. Text of any name is printed into the report; what a program has to know is::

    title = "..."
    experiment = "NAME"                # the folder of the experiment
    arms = ["none", ...]
    seeds = 16                         # pairs that are planned: seeds 0 to 15
    most_seeds = 24                    # if their number may be estimated again from the variance alone
    questions = "..."
    stopping = "..."

    [options]                          # those of the experiment's command, which may not be given otherwise
    epochs = 80

    [[endpoints]]
    name = "main effect of B"
    score = "..."                      # a column of the metrics
    plus = ["b", "a+b"]                # the contrast: the mean of these arms
    minus = ["none", "a"]              # less that of these
    margin = 0.01                      # the smallest effect that matters
    deviation = 0.007                  # of the contrast between seeds, in a pilot
    primary = true                     # otherwise secondary; each kind is adjusted by Holm's method
"""

from __future__ import annotations

import hashlib
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.shared.console import UserError

NAME = "protocol.toml"  # the copy beside the runs


@dataclass(frozen=True)
class Endpoint:
    """What is concluded from: a contrast of arms in a score, and the smallest effect that matters."""

    name: str
    score: str
    plus: tuple[str, ...]
    minus: tuple[str, ...]
    margin: float
    deviation: float
    primary: bool = False


@dataclass(frozen=True)
class Protocol:
    """A protocol as read from a file; `digest` is that of its bytes, `texts` are its sections to be printed."""

    path: Path
    digest: str
    title: str
    experiment: str
    arms: tuple[str, ...]
    seeds: int
    most_seeds: int
    options: dict[str, Any]
    endpoints: tuple[Endpoint, ...]
    texts: dict[str, str]


def digest(path: Path) -> str:
    """A fingerprint of the file."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"--protocol {path}: it cannot be read ({error.strerror})") from error


def read(path: Path) -> Protocol:
    """The protocol in a file, if it says all that it has to."""
    mark = digest(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        endpoints = tuple(_endpoint(entry) for entry in content.pop("endpoints"))
        options = {name: _plain(value) for name, value in content.pop("options", {}).items()}
        title, experiment, seeds = content.pop("title"), content.pop("experiment"), content.pop("seeds")
        arms, most = tuple(content.pop("arms")), content.pop("most_seeds", seeds)
        for section in ("questions", "stopping"):
            if section not in content:
                raise KeyError(section)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no TOML file: {error}") from error
    except KeyError as error:
        raise UserError(f"{path} is no protocol: it does not say {error.args[0]!r}") from error
    except TypeError as error:
        raise UserError(f"{path} is no protocol: an endpoint in it has other entries ({error})") from error
    strangers = sorted({arm for end in endpoints for arm in (*end.plus, *end.minus)} - set(arms))
    if strangers:
        raise UserError(f"{path}: an endpoint compares {', '.join(strangers)}, which is none of its arms")
    if not any(endpoint.primary for endpoint in endpoints):
        raise UserError(f"{path}: none of its endpoints is primary; say which one the answer is taken from")
    odd = sorted(name for name, value in content.items() if not isinstance(value, str))
    if odd:
        raise UserError(f"{path}: {', '.join(odd)} is neither text nor anything that a protocol holds")
    return Protocol(path, mark, title, experiment, arms, seeds, most, options, endpoints, content)


def _endpoint(entry: dict[str, Any]) -> Endpoint:
    return Endpoint(**{name: _plain(value) for name, value in entry.items()})


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def check(protocol: Protocol, options: Any) -> None:
    """Refuse options that the protocol does not allow."""
    if options.experiment.name != protocol.experiment:
        raise UserError(
            f"--protocol {protocol.path} is one of experiments.{protocol.experiment}, not of {options.experiment.name}"
        )
    for name, value in protocol.options.items():
        if not hasattr(options, name):
            raise UserError(f"{protocol.path} sets {name!r}, which is no option of experiments.{protocol.experiment}")
        given = getattr(options, name)
        if given != (Path(value) if isinstance(given, Path) else value):
            raise UserError(
                f"--{name.replace('_', '-')} {given}: the protocol {protocol.path} says {value}; leave it out"
            )
    others = [str(arm) for arm in options.arms if arm not in protocol.arms]
    if others:
        raise UserError(f"--arms {' '.join(others)}: the protocol {protocol.path} has {', '.join(protocol.arms)} only")
    if not set(options.seeds) <= set(range(protocol.most_seeds)):
        raise UserError(f"--seeds: the protocol {protocol.path} has 0 to {protocol.most_seeds - 1} only")


def committed(path: Path) -> str:
    """The commit that holds the protocol as it is, with its date. It is refused before it is committed.

    Empty where nobody can tell, which is where the file is in no repository of git.
    """
    if _git(path, "rev-parse", "--is-inside-work-tree") != "true":
        return ""
    if _git(path, "status", "--porcelain", "--ignored", "--", path.name):
        raise UserError(
            f"--protocol {path} is not committed as it is: commit it first, so that it is older than its runs"
        )
    return _git(path, "log", "-1", "--format=%h of %cs", "--", path.name)


def _git(path: Path, *arguments: str) -> str:
    try:
        ended = subprocess.run(
            ["git", *arguments], cwd=path.resolve().parent, capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return ended.stdout.strip()
