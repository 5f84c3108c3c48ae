"""Without Lightning the room says what to install."""

from __future__ import annotations

import subprocess
import sys


def test_a_missing_lightning_is_said() -> None:
    code = "import sys; sys.modules['lightning'] = None; import topolayer.lightning"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    last = 'ImportError: topolayer.lightning needs lightning: pip install "topolayer[lightning]"'
    assert run.stderr.splitlines()[-1] == last
