"""Pages of the documentation: code that fits its column, and nothing from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
# A fence, and what it holds: the pattern ends at the first fence of the same length.
BLOCK = re.compile(r"^(?P<fence>```+)(?P<kind>[^\n`]*)\n(?P<body>.*?)^(?P=fence)$", re.MULTILINE | re.DOTALL)
DIRECTIVES = ("{code-cell}", "{literalinclude}")  # of the many in braces, those that show code
COLUMN = 88  # characters; a longer line is cut on the site


def lines_of_code(page: Path) -> list[str]:
    found = []
    for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
        kind = block["kind"].strip()
        if not kind.startswith("{") or kind.startswith(DIRECTIVES):
            found += block["body"].splitlines()
        if kind.startswith("{literalinclude}"):
            found += (page.parent / kind.split()[1]).read_text(encoding="utf-8").splitlines()
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_fits_its_column(page: Path) -> None:
    assert not [line for line in lines_of_code(page) if len(line) > COLUMN]


def test_code_is_found() -> None:
    tutorials = [page for page in PAGES if page.parent.name == "tutorials"]
    assert all(lines_of_code(page) for page in tutorials)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_nothing_is_loaded_from_elsewhere(page: Path) -> None:
    """Links lead to other hosts; pictures, scripts and styles come with the page."""
    text = page.read_text(encoding="utf-8")
    assert not re.findall(r"!\[[^\]]*\]\(\s*(?:https?:)?//[^)]*\)", text)
    assert not re.findall(r"^```+\{(?:image|figure)\} +(?:https?:)?//.*$", text, re.MULTILINE)
    assert not re.findall(r"<(?:img|script|link|iframe|video|source)\b[^>]*>", text)


@pytest.mark.parametrize("path", sorted((ROOT / "docs/_static").iterdir()), ids=lambda path: path.name)
def test_styles_load_nothing_from_elsewhere(path: Path) -> None:
    assert not re.findall(r"(?:@import|url\()[^;)]*//[^;)]*", path.read_text(encoding="utf-8"))


def test_the_site_is_configured_without_other_hosts() -> None:
    """Scripts and styles in conf.py are files of the site."""
    code = (ROOT / "docs/conf.py").read_text(encoding="utf-8")
    assert not re.findall(r"https?://[^\s\"']+", code)
    assert 'html_math_renderer = "mathml"' in code
