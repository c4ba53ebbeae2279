"""The committed goldens are what the reference gives today: they are remade elsewhere and compared."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_goldens_are_remade(tmp_path):
    command = [sys.executable, ROOT / "tools/make_goldens.py", "--out", tmp_path, "--check", ROOT / "tests/golden"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    print(result.stdout.splitlines()[-1])
