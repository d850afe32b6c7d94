"""A short run of the fuzzing campaign, and that it finds what is wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import campaign
import pytest

ROOT = Path(__file__).resolve().parents[2]
RUNS = 60_000


def _has_libfuzzer(folder: Path) -> bool:
    probe = folder / "probe.c"
    probe.write_text(
        "#include <stddef.h>\n#include <stdint.h>\n"
        "int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);\n"
        "int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)\n"
        "{ (void)data; (void)bytes; return 0; }\n"
    )
    command = ["clang", "-fsanitize=fuzzer,address", probe, "-o", folder / "probe"]
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture(autouse=True)
def libfuzzer(tmp_path: Path) -> None:
    """Skip without it; in CI, where nothing is to be skipped, fail."""
    if not _has_libfuzzer(tmp_path):
        text = "needs libFuzzer: apt install clang libclang-rt-14-dev"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(text)


def _campaign(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "tests" / "fuzz" / "campaign.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder)


def test_a_short_campaign_finds_nothing(tmp_path: Path) -> None:
    out = tmp_path / "fuzz.md"
    done = _campaign(tmp_path, "--runs", str(RUNS), "--out", str(out))
    assert done.returncode == 0, done.stdout + done.stderr
    text = out.read_text()
    assert text.count("- failed: 0\n") == len(campaign.HARNESSES)
    assert str(tmp_path) not in text
    for part in text.split("executions: ")[1:]:
        assert int(part.split("\n")[0].replace(",", "")) > RUNS // 2


@pytest.mark.parametrize(
    ("file", "right", "wrong", "found"),
    [
        (
            "body.c",
            "most = s->at <= patch->info.base_bytes;",
            "most = 1;",
            "a read outside of the base",
        ),
        (
            "models.h",
            "&s->column[o->place % TMD_F2_COLUMNS];",
            "&s->column[o->place];",
            "runtime error: index",
        ),
        (
            "operators.c",
            "list->any && op->id >= IS_CUSTOM",
            "list->bytes > 9999u",
            "operators out of order",
        ),
    ],
)
def test_a_mistake_is_found(tmp_path: Path, file: str, right: str, wrong: str, found: str) -> None:
    device = tmp_path / "zephyr_module"
    shutil.copytree(ROOT / "zephyr_module", device)
    source = device / "core" / file
    text = source.read_text()
    assert text.count(right) == 1
    source.write_text(text.replace(right, wrong))
    harness = campaign.HEAD if file == "operators.c" else campaign.BODY
    program = campaign.build(tmp_path, device, harness)
    campaign.HARNESSES[harness](tmp_path / "seeds", 1)
    command = [program, tmp_path / "seeds", "-runs=2000000", "-seed=1", "-max_total_time=60"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode != 0
    assert found in done.stderr
