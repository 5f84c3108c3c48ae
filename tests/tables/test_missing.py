"""Without pyarrow the room says what to install."""

from __future__ import annotations

import subprocess
import sys


def test_a_missing_pyarrow_is_said() -> None:
    code = "import sys; sys.modules['pyarrow'] = None; import topolayer.tables"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    last = 'ImportError: topolayer.tables needs pyarrow, rich and tyro: pip install "topolayer[tables]"'
    assert run.stderr.splitlines()[-1] == last
