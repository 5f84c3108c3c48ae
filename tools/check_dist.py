"""Looks at what was built: whether the sdist has all that is needed to build and test, and the wheel all to run.

python tools/check_dist.py dist
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

IN_SDIST = [
    "CHANGELOG.md", "CITATION.cff", "CMakeLists.txt", "LICENSE", "Makefile", "PKG-INFO", "README.md", "constraints.txt",
    "docs/conf.py", "docs/figures/first_picture.png", "experiments/__init__.py", "pyproject.toml", "tests/conftest.py",
    "tests/fuzz/fuzz_core.cpp", "topolayer/__init__.py", "topolayer/_core.pyi", "topolayer/csrc/bindings/module.cpp",
    "topolayer/py.typed",
]  # fmt: skip
NOT_IN_SDIST = r"runs/|build/|\.github/|\.ci/|\.pre-commit|.*\.(so|pyd|o)$|.*__pycache__"
IN_WHEEL = (
    r"topolayer/([a-z_]+/)?\w+\.py$|topolayer/(_core\.pyi|py\.typed)$|topolayer/_core\..*(so|pyd)$"
    r"|topolayer-.*\.dist-info/"
)


def problems_of_sdist(names: set[str], tracked: set[str]) -> list[str]:
    missing = [name for name in IN_SDIST if name not in names]
    missing += sorted(name for name in tracked - names if name.startswith(("topolayer/", "tests/", "experiments/")))
    return [f"not in the sdist: {name}" for name in missing] + [
        f"in the sdist: {name}" for name in sorted(names) if re.match(NOT_IN_SDIST, name)
    ]


def problems_of_wheel(file: str, names: set[str], sources: set[str], metadata: dict[str, list[str]]) -> list[str]:
    problems = [f"in the wheel: {name}" for name in sorted(names) if not re.match(IN_WHEEL, name)]
    wanted = sources | {"topolayer/py.typed", "topolayer/_core.pyi"}
    problems += [f"not in the wheel: {name}" for name in sorted(wanted - names)]
    for part in (r"topolayer/_core\..*(so|pyd)$", r".*\.dist-info/licenses/LICENSE$"):
        if not any(re.match(part, name) for name in names):
            problems.append(f"not in the wheel: {part}")
    python, abi = file.split("-")[2:4]
    if (abi == "abi3") != (int(python[3:]) >= 12):
        problems.append(f"{python} with {abi}: the stable ABI is for Python 3.12 and later")
    if metadata.get("License-Expression") != ["MIT"]:
        problems.append(f"licence: {metadata.get('License-Expression')}")
    return problems


def main(folder: Path) -> None:
    (sdist,) = folder.glob("*.tar.gz")
    (wheel,) = folder.glob("*.whl")
    with tarfile.open(sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    listed = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=False)  # no clone: none
    problems = problems_of_sdist(names, set(listed.stdout.split()))
    sources = {name for name in names if re.match(r"topolayer/.*\.py$", name)}
    with zipfile.ZipFile(wheel) as zipped:
        inside = set(zipped.namelist())
        (path,) = (name for name in inside if name.endswith(".dist-info/METADATA"))
        message = message_from_bytes(zipped.read(path))
    metadata = {key: message.get_all(key) or [] for key in message}
    problems += problems_of_wheel(wheel.name, inside, sources, metadata)
    for problem in problems:
        print(problem)
    print(f"{sdist.name}: {len(names)} files, {wheel.name}: {len(inside)} files")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
