"""The ztest suites, built and run by twister in the west workspace around ZEPHYR_BASE.

The toolchain is the one that the environment names for Zephyr; boards whose toolchain is not there
are left out, and said so.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BASE = Path(os.environ.get("ZEPHYR_BASE", "/nowhere"))
ARM = ("qemu_cortex_m3", "mps2_an521")

pytestmark = pytest.mark.skipif(
    not (BASE / "scripts" / "twister").is_file(),
    reason="needs a Zephyr tree: set ZEPHYR_BASE, in a west workspace",
)


def environment(board: str) -> dict[str, str]:
    """Zephyr's own, or the host's compiler and Debian's for Arm."""
    found = dict(os.environ)
    if "ZEPHYR_TOOLCHAIN_VARIANT" in found or "ZEPHYR_SDK_INSTALL_DIR" in found:
        return found
    if board not in ARM:
        return found | {"ZEPHYR_TOOLCHAIN_VARIANT": "host"}
    compiler = shutil.which("arm-none-eabi-gcc")
    if compiler is None or shutil.which("qemu-system-arm") is None:
        pytest.skip("needs gcc-arm-none-eabi and qemu-system-arm")
    toolchain = str(Path(compiler).parents[1])
    return found | {
        "ZEPHYR_TOOLCHAIN_VARIANT": "gnuarmemb",
        "GNUARMEMB_TOOLCHAIN_PATH": toolchain,
    }


@pytest.mark.parametrize("board", ["native_sim", *ARM])
def test_twister(board: str, tmp_path: Path) -> None:
    python = shutil.which("python3") or sys.executable
    run = subprocess.run(
        [
            python, str(BASE / "scripts" / "twister"), "-T", str(ROOT / "tests" / "zephyr"),
            "-p", board, "--outdir", str(tmp_path / "out"), "--inline-logs", "-v",
            f"-x=ZEPHYR_EXTRA_MODULES={ROOT}",
        ],
        env=environment(board), cwd=BASE.parent, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    report = json.loads((tmp_path / "out" / "twister.json").read_text(encoding="utf-8"))
    statuses = {s["name"]: s["status"] for s in report["testsuites"]}
    assert "passed" in statuses.values(), statuses
    assert set(statuses.values()) <= {"passed", "skipped", "filtered"}, statuses
