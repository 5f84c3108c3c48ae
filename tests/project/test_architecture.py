"""Which room imports which is what docs/architecture.md says."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import topolayer as tl

ROOT, PACKAGE = Path(__file__).parents[2], Path(tl.__file__).parent
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
SOURCES = sorted(PACKAGE.rglob("*.py"))


def _room(path: Path) -> str:
    """The first part below the package: `_backends` for each of its files."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imports(path: Path, package: tuple[str, ...]) -> Iterator[tuple[str, bool]]:
    """Names of imported modules, and whether the import is at the top of the file. `from a import b` is a.b."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node in tree.body
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            for alias in node.names:
                yield ".".join([*base, *([node.module] if node.module else []), alias.name]), node in tree.body


def _of_source(path: Path) -> Iterator[tuple[str, bool]]:
    return _imports(path, ("topolayer", *path.relative_to(PACKAGE).parts[:-1]))


def _real() -> dict[str, set[str]]:
    """What each module of the package imports of the others; "" is the package itself."""
    real: dict[str, set[str]] = {}
    for path in SOURCES:
        names = (name.split(".") for name, _ in _of_source(path))
        real.setdefault(_room(path), set()).update(
            parts[1] if len(parts) > 1 else "" for parts in names if parts[0] == "topolayer"
        )
    return {module: targets - {module} for module, targets in real.items()}


def _lines_of_the_diagram() -> list[set[str]]:
    """The rooms, top down."""
    (diagram,) = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    return [
        set(re.findall(r"(?<!\w)(_\w+|lightning|tables|plot|losses|metrics|nn)\b", line))
        for line in diagram.splitlines()
    ]


def test_imports_are_those_of_the_table() -> None:
    rows = [re.split(r" *\| *", line.strip("| ")) for line in PAGE.splitlines() if line.startswith("| `")]
    listed = {row[0].strip("`"): set(re.findall(r"`(\w+)`", row[2] if len(row) > 2 else "")) for row in rows}
    assert len(listed) == len(rows)
    real = _real()
    del real["__init__"]
    assert listed == real | {"_core": set()}


def test_imports_of_the_diagram_go_down() -> None:
    lines, real = _lines_of_the_diagram(), _real()
    height = {room: number for number, line in enumerate(lines) for room in line}
    assert sum(map(len, lines)) == len(height)  # each once
    assert set(height) == real.keys() | {"_core"}
    up = {(room, to) for room, targets in real.items() for to in targets if height[to] <= height[room]}
    assert not up


def test_layers_are_found_by_code_that_knows_nothing_of_topology() -> None:
    """The files that the page names import only torch, the standard library, `_tracing` and each other."""
    (sentence,) = re.findall(
        r"In `_layers`, the files that find and record layers, (.*?), know nothing", PAGE, re.DOTALL
    )
    files = re.findall(r"`(\w+)`", sentence)
    assert "regularizer" in files
    allowed = {"torch", *sys.stdlib_module_names}
    ours = {"topolayer._tracing", *(f"topolayer._layers.{file}" for file in files)}
    for file in files:
        for name, _ in _of_source(PACKAGE / f"_layers/{file}.py"):
            assert name.split(".")[0] in allowed or name.rpartition(".")[0] in ours, f"{file} -> {name}"


def _private_names_of_torch(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            name = ast.unparse(node)
            if (
                name.startswith("torch._")
                or ("torch." in name and "._" in name)
                or node.attr in ("_modules", "_version")
            ):
                yield name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            yield from (module for module in modules if module.startswith("torch") and "._" in module)


def test_private_names_of_torch_are_in_one_room() -> None:
    found = {path.name: list(_private_names_of_torch(path)) for path in SOURCES}
    assert {name for name, names in found.items() if names} == {"_tracing.py"}


def test_few_modules_lie_beside_the_rooms() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= 6
    assert not [path for path in (ROOT / "topolayer/csrc").glob("*") if path.is_file()]


def test_no_module_takes_a_private_name_of_another() -> None:
    """Modules carry an underscore, and so does what is theirs alone."""
    for path in SOURCES:
        for name, _ in _of_source(path):
            parts = name.split(".")
            if parts[0] == "topolayer":
                inner = parts[2:]
                assert not any(part.startswith("_") for part in inner), f"{path.name}: {name}"


# And the room that may import it.
HEAVY = dict.fromkeys(["ripser", "redzed_tda", "gudhi", "cripser", "sklearn", "torchvision"])
HEAVY |= {"matplotlib": "plot", "torchmetrics": "metrics", "lightning": "lightning"}
HEAVY |= dict.fromkeys(["pyarrow", "rich", "tyro"], "tables") | dict.fromkeys(["PIL", "nibabel", "zarr"])


def test_optional_and_heavy_libraries_are_not_imported_at_the_top() -> None:
    for path in SOURCES:
        for name, top in _of_source(path):
            if name.split(".")[0] in HEAVY:
                assert not top or HEAVY[name.split(".")[0]] == _room(path), f"{path.name}: {name}"


def test_the_package_does_not_import_experiments_or_tests() -> None:
    for path in SOURCES:
        assert not {name.split(".")[0] for name, _ in _of_source(path)} & {"experiments", "tests", "pytest"}


def test_experiments_use_public_names_only() -> None:
    sources = sorted((ROOT / "experiments").rglob("*.py"))
    assert sources
    for path in sources:
        for name, _ in _imports(path, path.relative_to(ROOT).parts[:-1]):
            parts = name.split(".")
            assert parts[0] != "topolayer" or not any(part.startswith("_") for part in parts), f"{path}: {name}"


EXPERIMENTS = ROOT / "experiments"
ROOMS = sorted(path.parent.name for path in EXPERIMENTS.glob("*/__init__.py"))


def test_experiments_know_nothing_of_each_other() -> None:
    """Each has a folder, and imports from it and from `shared` only."""
    assert {"shared", "segmentation", "depth"} < set(ROOMS)
    assert len(list(EXPERIMENTS.glob("*.py"))) <= 3
    for room in ROOMS:
        for path in (EXPERIMENTS / room).rglob("*.py"):
            imported = (name.split(".") for name, _ in _imports(path, path.relative_to(ROOT).parts[:-1]))
            taken = {parts[1] for parts in imported if parts[0] == "experiments"}
            assert taken <= {"shared", room}, f"{path}: {taken}"


def test_what_experiments_share_names_none_of_them() -> None:
    """Neither an experiment nor one of its arms or scores stands in `shared` as a string."""
    paths = [path for path in EXPERIMENTS.glob("*/experiment.py") if path.parent.name != "shared"]
    declared = [import_module(f"experiments.{path.parent.name}.experiment").EXPERIMENT for path in paths]
    assert [experiment.name for experiment in declared] == [path.parent.name for path in paths]
    names = {*ROOMS} - {"shared"}
    names |= {name for experiment in declared for name in (*experiment.arms, *experiment.titles)} - {"none"}
    for path in (EXPERIMENTS / "shared").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
        texts = {value for value in constants if isinstance(value, str)}
        assert not texts & names, f"{path}: {texts & names}"
        assert not any(re.search(r"experiments[./](?!shared)\w", text) for text in texts), path
