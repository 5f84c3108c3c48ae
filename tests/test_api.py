"""The public names, how modules import one another, and the conduct of the source."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import sys
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

import topolayer as tl
from topolayer import plot

PACKAGE = Path(tl.__file__).parent
SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if "build" not in path.parts)

# SemVer: a name that is added here is kept.
NAMES = [
    "Alpha",
    "Backend",
    "Barcode",
    "Cubical",
    "EssentialBars",
    "Filtration",
    "Freudenthal",
    "IndexPairs",
    "LayerTable",
    "LowerStar",
    "RankBackend",
    "Regularizer",
    "Rips",
    "algebraic",
    "backends",
    "betti_error",
    "betti_numbers",
    "bottleneck",
    "channel_norm",
    "few_maxima",
    "landscape",
    "longer_than",
    "longest",
    "matching_loss",
    "persistence",
    "persistence_image",
    "persistent_entropy",
    "probe",
    "register_backend",
    "silhouette",
    "simplify",
    "sliced_wasserstein",
    "tokens_to_grid",
    "total_persistence",
    "wasserstein",
]
PICTURES = [
    "activations",
    "barcode",
    "betti_curve",
    "diagram",
    "landscape",
    "pairs",
    "persistence_image",
    "superlevel_sets",
]
DRAWING = {"plot", "_drawing"}  # the modules that may need matplotlib, as nothing imports them

# Which module of the package may import which: one way.
BELOW: dict[str, set[str]] = {
    "_filtrations": set(),
    "_barcode": set(),
    "_backends": {"_filtrations"},
    "_persistence": {"_backends", "_filtrations", "_barcode"},
    "_penalties": {"_barcode"},
    "_distances": {"_persistence", "_filtrations", "_barcode"},
    "_vectorizations": {"_persistence", "_penalties", "_filtrations", "_barcode"},
    "_simplify": {"_persistence", "_backends", "_filtrations"},
    "_activations": {"_persistence", "_penalties", "_simplify", "_filtrations"},
    "_regularizer": set(),
    "_drawing": {"_activations", "_barcode"},
    "plot": {"_drawing", "_barcode", "_filtrations", "_persistence"},
    "_layers": {"_regularizer"},
    "_probe": {"_activations", "_persistence", "_filtrations", "_layers"},
}


def test_snapshot_of_the_public_names() -> None:
    assert sorted(tl.__all__) == NAMES
    assert sorted(plot.__all__) == PICTURES
    for name in NAMES:
        assert getattr(tl, name) is not None


def test_no_other_public_names() -> None:
    """What has no underscore is the API; private modules carry one, all but `plot`."""
    public = {name for name in vars(tl) if not name.startswith("_")}
    assert public - {"plot"} == set(NAMES)
    assert {module.name for module in pkgutil.iter_modules(tl.__path__) if module.name[0] != "_"} == {"plot"}


def test_version() -> None:
    assert tl.__version__ == version("topolayer")


def test_the_package_is_typed() -> None:
    assert (PACKAGE / "py.typed").exists()
    assert list(PACKAGE.glob("_core*.pyi"))


@pytest.mark.parametrize("name", NAMES)
def test_public_names_are_documented(name: str) -> None:
    thing = getattr(tl, name)
    assert inspect.getdoc(thing)
    if inspect.isclass(thing):
        for key, member in vars(thing).items():
            if not key.startswith("_") and (inspect.isfunction(member) or isinstance(member, property)):
                assert inspect.getdoc(getattr(thing, key)) or inspect.getdoc(member), key


# -- imports


def _module(path: Path) -> str:
    """The first part below the package: `_backends` for each of its files."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Names of imported modules, and whether the import is at the top of the file. `from a import b` is a.b."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = ("topolayer", *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node in tree.body
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            for alias in node.names:
                yield ".".join([*base, *([node.module] if node.module else []), alias.name]), node in tree.body


def test_imports_run_one_way() -> None:
    """As at the end of docs/explanation/contract.md. What is not listed there is a helper: it imports none of them."""
    modules = {_module(path) for path in SOURCES} | {"_core"}
    wrong = []
    for path in SOURCES:
        module = _module(path)
        if module == "__init__":
            continue
        for name, _ in _imports(path):
            parts = name.split(".")
            if parts[0] != "topolayer":
                continue
            target = parts[1] if len(parts) > 1 else ""
            if target not in modules:
                wrong.append(f"{module} -> the package itself, for {target!r}")
            elif target in BELOW and target != module and target not in BELOW.get(module, set()):
                wrong.append(f"{module} -> {target}")
    assert not wrong


def test_the_regularizer_knows_nothing_of_topology() -> None:
    """`_regularizer` imports torch, the standard library, and nothing else."""
    for name, _ in _imports(PACKAGE / "_regularizer.py"):
        assert name.split(".")[0] in {"torch", *sys.stdlib_module_names}


def test_optional_and_heavy_libraries_are_not_imported_at_the_top() -> None:
    for path in SOURCES:
        for name, top in _imports(path):
            if name.split(".")[0] in {"ripser", "gudhi", "cripser", "matplotlib", "sklearn", "torchvision"}:
                assert not top or (name.startswith("matplotlib") and _module(path) in DRAWING), f"{path.name}: {name}"


def test_the_package_does_not_import_experiments_or_tests() -> None:
    for path in SOURCES:
        assert not {name.split(".")[0] for name, _ in _imports(path)} & {"experiments", "tests", "pytest"}


def test_no_code_under_the_gpl() -> None:
    """GUDHI's modules that need CGAL, the alpha complex among them, are not used at run time."""
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        for name in (
            "AlphaComplex",
            "DelaunayComplex",
            "alpha_complex",
            "delaunay_complex",
            "TangentialComplex",
            "multipers",
            "gph",
        ):
            assert not any(
                isinstance(node, ast.Attribute | ast.Name)
                and name in (getattr(node, "attr", ""), getattr(node, "id", ""))
                for node in ast.walk(ast.parse(text))
            ), f"{path.name} uses {name}"


# -- conduct

_FORBIDDEN_CALLS = {
    "print", "manual_seed", "seed", "set_num_threads", "set_num_interop_threads", "set_default_dtype",
    "set_default_device", "set_rng_state", "simplefilter", "filterwarnings", "basicConfig", "seterr",
    "use_deterministic_algorithms", "eval", "exec",
}  # fmt: skip


def test_no_call_that_touches_what_is_global() -> None:
    """logging and warnings, never print; random state, threads and default dtype are left alone."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                if name == "eval" and isinstance(node.func, ast.Attribute):
                    continue  # a module's eval()
                assert name not in _FORBIDDEN_CALLS, f"{path.name}:{node.lineno} calls {name}"


def test_importing_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        importlib.reload(importlib.import_module("topolayer._penalties"))


@pytest.mark.parametrize(
    ("function", "expected"),
    {
        "persistence": ["filtration", "dims"],
        "simplify": ["filtration"],
        "algebraic": ["barcode"],
        "total_persistence": ["barcode"],
        "persistent_entropy": ["barcode"],
        "longer_than": ["barcode", "epsilon"],
        "longest": ["barcode", "k"],
        "landscape": ["barcode", "grid"],
        "silhouette": ["barcode", "grid"],
        "betti_numbers": ["barcode", "levels"],
        "persistence_image": ["barcode", "births", "lengths"],
        "betti_error": ["prediction", "mask"],
        "wasserstein": ["first", "second"],
        "bottleneck": ["first", "second"],
        "sliced_wasserstein": ["first", "second"],
        "matching_loss": ["prediction", "mask"],
        "few_maxima": ["h"],
    }.items(),
)
def test_everything_after_the_nouns_is_keyword_only(function: str, expected: list[str]) -> None:
    parameters = list(inspect.signature(getattr(tl, function)).parameters.values())
    assert [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD] == expected
    assert not any(p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL) for p in parameters)  # nothing is swallowed


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Freudenthal", ["values", "*", "ndim=2", "superlevel=False"]),
        ("Cubical", ["values", "*", "ndim=2", "construction='V'", "superlevel=False"]),
        ("LowerStar", ["values", "simplices", "*", "superlevel=False"]),
        ("Rips", ["distances", "*", "threshold=inf"]),
        ("Alpha", ["points"]),
        ("persistence", ["filtration", "dims=0", "*", "backend=None"]),
        ("simplify", ["filtration", "*", "k=None", "threshold=None", "backend=None"]),
    ],
)
def test_signatures_of_the_contract(name: str, expected: list[str]) -> None:
    shown, star = [], False
    for p in inspect.signature(getattr(tl, name)).parameters.values():
        if p.kind is p.KEYWORD_ONLY and not star:
            shown.append("*")
            star = True
        shown.append(p.name if p.default is p.empty else f"{p.name}={p.default!r}")
    assert shown == expected


def test_files_are_short() -> None:
    """Past 400 lines two ideas share a room."""
    for path in SOURCES:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, path.name
