"""What a release says of itself agrees, wherever it says so."""

from __future__ import annotations

import re
import tomllib
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

import topolayer as tl
from tools.absolute_links import absolute

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_version_is_that_of_pyproject() -> None:
    """Written there; the citations repeat it."""
    assert tl.__version__ == PROJECT["version"]
    for name, pattern in (("CITATION.cff", r'^version: "(.*)"$'), ("README.md", r"^  version = \{(.*)\},$")):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert re.findall(pattern, text, re.MULTILINE) == [PROJECT["version"]], name


def test_the_changelog_has_the_version() -> None:
    headings = re.findall(r"^## \[(.*?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert PROJECT["version"] in headings


def test_the_oldest_versions_are_those_of_the_requirements() -> None:
    """To the patch: the first release of a series need not have a wheel for every Python."""
    extras = PROJECT["optional-dependencies"]
    of_tests = (extras[name] for name in ("ripser", "redzed", "plot", "metrics", "tables"))
    required = [*PROJECT["dependencies"], *chain.from_iterable(of_tests)]
    text = (ROOT / "constraints-oldest.txt").read_text(encoding="utf-8")
    pinned = dict(re.findall(r"^([\w-]+)==(.*)$", text, re.MULTILINE))
    assert pinned.keys() == {requirement.split(">=")[0] for requirement in required}
    for requirement in required:
        name, least = requirement.split(">=")
        assert f"{pinned[name]}.".startswith(f"{least}."), name


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("[a b](docs/x.md)", "[a b](https://github.com/o/n/blob/v1/docs/x.md)"),
        ("![p](docs/p.png)", "![p](https://github.com/o/n/raw/v1/docs/p.png)"),
        ("![two\nlines](p.png) and [c](d.md#e)",
         "![two\nlines](https://github.com/o/n/raw/v1/p.png) and [c](https://github.com/o/n/blob/v1/d.md#e)"),
        ("[a](https://b.org/c) [d](#e) [f](mailto:g@h.org)", "[a](https://b.org/c) [d](#e) [f](mailto:g@h.org)"),
    ],
)  # fmt: skip
def test_links_become_absolute(link: str, expected: str) -> None:
    assert absolute(link, repository="o/n", ref="v1") == expected


def test_no_link_of_the_readme_stays_relative() -> None:
    page = absolute((ROOT / "README.md").read_text(encoding="utf-8"), repository="o/n", ref="v1")
    assert not re.findall(r"\]\((?!https?:)", page)
