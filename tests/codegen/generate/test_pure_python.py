"""Codegen inside a firmware build needs neither the native part nor what patches are made with."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from publickeys import ED25519

SCRIPT = """
import sys
for name in ("tinymldelta._native", "cffi", "click", "rich", "cryptography"):
    sys.modules[name] = None  # importing it is then an ImportError
from pathlib import Path
from tinymldelta.limits import Limits
from tinymldelta.contractfile import read_contract
from tinymldelta.contractkeys import read_contract_key
from tinymldelta.generate import ModelSource, generate
model = Path(sys.argv[1]).read_bytes()
key = read_contract_key(Path(sys.argv[3]).read_bytes(), "key")
limits = Limits(16384, 4096, 4, {}, {}, keys=(key,), formats=(2,), device_class="board")
generate([ModelSource("m", model, "m")], limits, Path(sys.argv[2]))
assert read_contract(Path(sys.argv[2]) / "contract.json").keys == (key,)
# NumPy is flatbuffers' to use if it is there; ours that need it are for making patches.
assert "tinymldelta.container.format1_writer" not in sys.modules
"""


def test_generate_is_pure_python(digits: Path, tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_bytes(ED25519.pem())
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, digits / "base.tflite", tmp_path, key],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "tmd_contract.h").is_file()
