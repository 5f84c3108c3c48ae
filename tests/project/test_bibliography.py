"""Publications that docstrings and pages name are in the bibliography, and it shows all that it has."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pytest

import topolayer as tl

ROOT = Path(__file__).parents[2]
BIB = (ROOT / "docs/references.bib").read_text(encoding="utf-8")
PAGES = sorted((ROOT / "docs").rglob("*.md"))
SOURCES = sorted(Path(tl.__file__).parent.rglob("*.py"))


def plain(text: str) -> str:
    """Without accents, be they TeX's or Unicode's."""
    text = re.sub(r"\{?\\['`\"^~]\{?(\w)\}?\}?", r"\1", text).replace("{", "").replace("}", "")
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def entries() -> dict[str, dict[str, str]]:
    found = {}
    for key, body in re.findall(r"^@\w+\{(\w+),\n(.*?)^\}", BIB, re.MULTILINE | re.DOTALL):
        found[key] = dict(re.findall(r"^  (\w+) *= \{(.*)\},$", body, re.MULTILINE))
    return found


ENTRIES = entries()


def named(text: str) -> list[tuple[str, str]]:
    """(text before, year) of what is named in the manner of "Hu, Li, Samaras and Chen (2019)"."""
    return [(match[1], match[2]) for match in re.finditer(r"([A-Z][^.()`]{2,80}?),? \(?((?:19|20)\d\d)\)", text)]


@pytest.mark.parametrize("path", [*SOURCES, *PAGES], ids=lambda path: path.name)
def test_what_is_named_is_listed(path: Path) -> None:
    text = " ".join(plain(path.read_text(encoding="utf-8")).split())
    for before, year in named(text):
        surnames = [plain(entry["author"]).split(",")[0] for entry in ENTRIES.values() if entry.get("year") == year]
        assert any(surname in before for surname in surnames), f"{before} ({year})"


def test_something_is_named() -> None:
    docstrings = " ".join(" ".join(plain(path.read_text(encoding="utf-8")).split()) for path in SOURCES)
    assert len(named(docstrings)) >= 10


def test_every_entry_is_shown() -> None:
    page = (ROOT / "docs/bibliography.md").read_text(encoding="utf-8")
    groups = re.findall(r'keywords % "(\w+)"', page)
    assert sorted(groups) == sorted({entry["keywords"] for entry in ENTRIES.values()})


def test_every_citation_has_an_entry() -> None:
    cited = [key for page in PAGES for key in re.findall(r"\{cite:\w+\}`(\w+)`", page.read_text(encoding="utf-8"))]
    assert cited
    assert set(cited) <= set(ENTRIES)
