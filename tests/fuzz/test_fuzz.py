"""A short run of the fuzzing campaign, and that it finds what is wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import campaign
import pytest

ROOT = Path(__file__).resolve().parents[2]
RUNS = 100_000
MISTAKE_RUNS = 2_000_000


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
    """Each harness: a minute in CI, elsewhere some seconds; as many at a time as processors."""
    bounds = ("--runs", str(RUNS))
    if os.environ.get("CI") == "true":
        bounds = ("--runs", "1000000000", "--seconds", "60")

    def run(harness: str) -> None:
        folder = tmp_path / harness
        folder.mkdir()
        out = folder / "fuzz.md"
        done = _campaign(folder, "--harness", harness, "--jobs", "1", *bounds, "--out", str(out))
        assert done.returncode == 0, done.stdout + done.stderr
        assert str(tmp_path) not in out.read_text()
        executions = campaign.totals_of(campaign.rows_in(out))
        assert list(executions) == [harness]
        assert executions[harness] > RUNS // 2

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        assert list(pool.map(run, campaign.HARNESSES)) == [None] * len(campaign.HARNESSES)


def test_rows_are_added_to_a_table(tmp_path: Path) -> None:
    out = tmp_path / "fuzz.md"
    for seed in ("1", "2"):
        done = _campaign(
            tmp_path, "--harness", "fuzz_models", "--runs", "500", "--seed", seed, "--jobs", "1",
            "--out", str(out),
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
    rows = campaign.rows_in(out)
    assert len(rows) == 2
    assert campaign.totals_of(rows) == {"fuzz_models": 1000}
    assert "Together 1,000 executions" in out.read_text()
    assert f"--out {out}" not in out.read_text()


def test_a_fault_of_the_python_is_left_as_a_file(tmp_path: Path) -> None:
    finding = tmp_path / "finding"
    program = tmp_path / "broken.py"
    program.write_text(
        "from mutate import Came, drive\n"
        "def run(data):\n"
        "    return Came([][data[0]])\n"
        "drive(run, lambda rng: b'\\x07')\n"
    )
    done = subprocess.run(
        [sys.executable, program, "10", "1", finding],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests" / "fuzz")},
    )
    assert done.returncode == 1
    assert "IndexError" in done.stderr
    assert finding.read_bytes() == b"\x07"


@pytest.mark.parametrize(
    ("harness", "file", "right", "wrong", "found"),
    [
        (
            "fuzz_patch",
            "core/body.c",
            "most = s->at <= patch->info.base_bytes;",
            "most = 1;",
            "a read outside of the base",
        ),
        (
            "fuzz_patch",
            "core/models.h",
            "&s->column[o->place % TMD_F2_COLUMNS];",
            "&s->column[o->place];",
            "runtime error: index",
        ),
        (
            "fuzz_head",
            "core/operators.c",
            "list->any && op->id >= IS_CUSTOM",
            "list->bytes > 9999u",
            "operators out of order",
        ),
        (
            "fuzz_head",
            "core/patch.c",
            "err = crypto->verify(crypto->ctx, key, digest, patch->scratch);",
            "err = TMD_OK;",
            "taken with a wrong byte",
        ),
        (
            "fuzz_store",
            "store/store.c",
            "TMD_ENTRY_DIGEST, active->sha256)) {",
            "0, active->sha256)) {",
            "an active model that nobody knows",
        ),
        (
            "fuzz_smp",
            "smp/group.c",
            "if (request->data_bytes > smp->bytes - smp->next) {",
            "if (request->data_bytes > 9999u) {",
            "more than the whole patch",
        ),
    ],
)
def test_a_mistake_is_found(
    tmp_path: Path, harness: str, file: str, right: str, wrong: str, found: str
) -> None:
    device = tmp_path / "zephyr_module"
    shutil.copytree(ROOT / "zephyr_module", device)
    source = device / file
    text = source.read_text()
    assert text.count(right) == 1
    source.write_text(text.replace(right, wrong))
    of = campaign.HARNESSES[harness]
    program = campaign.build(tmp_path, device, of)
    seeds = tmp_path / "seeds"
    seeds.mkdir()
    of.seeds(seeds, 1)
    campaign.unpack(of, seeds)
    command = [program, seeds, f"-runs={MISTAKE_RUNS}", "-seed=1", f"-max_len={of.input_max}"]
    done = subprocess.run(
        [*command, "-max_total_time=60"], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode != 0
    assert found in done.stderr
