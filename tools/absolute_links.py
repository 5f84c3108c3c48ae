"""Makes the relative links of a Markdown page absolute, in place: the page that PyPI shows has no files beside it.

python tools/absolute_links.py README.md --repository OWNER/NAME --ref v1.0
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path


def absolute(page: str, *, repository: str, ref: str) -> str:
    def replace(link: re.Match[str]) -> str:
        text, target = link["text"], link["target"]
        view = "raw" if text.startswith("!") else "blob"
        return f"{text}(https://github.com/{repository}/{view}/{ref}/{target})"

    return re.sub(r"(?P<text>!?\[[^\]]*\])\((?![a-z]+:|#)(?P<target>[^)]+)\)", replace, page)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("--repository", required=True)
    parser.add_argument("--ref", required=True)
    options = parser.parse_args()
    text = options.page.read_text(encoding="utf-8")
    options.page.write_text(absolute(text, repository=options.repository, ref=options.ref), encoding="utf-8")
