"""The scripts in findings/ have the head that CONTRIBUTING describes; their page shows it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

FINDINGS = sorted((Path(__file__).parents[2] / "findings").glob("*.sh"))


@pytest.mark.parametrize("path", FINDINGS, ids=lambda path: path.stem)
def test_the_head_says_what_behaviour_and_output(path: Path) -> None:
    shebang, *lines = path.read_text(encoding="utf-8").splitlines()
    head = lines[: lines.index("set -euo pipefail")]
    assert shebang == "#!/usr/bin/env bash"
    assert all(line.startswith("# ") or line == "#" for line in head)
    what, behaviour, *others = "\n".join(line[2:] for line in head).split("\n\n")
    assert re.match(r"[\w.-]+ \d[\w.]*, ", what)  # a package, its version, a name in it
    assert behaviour.startswith("Behaviour: ") and others[-1].startswith("Output seen: ")
    assert "topolayer" not in "\n".join(lines[len(head) :])
