"""A firmware with patches, and devices of it that answer SMP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from clikit import done
from smpkit import STAGED, Firmware, Serve, Served


@pytest.fixture(scope="session")
def firmware(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Firmware:
    folder = tmp_path_factory.mktemp("firmware")
    base, target = digits / "base.tflite", digits / "target.tflite"
    done(
        "codegen", f"m={base}", "--out", folder, "--slot", 16384, "--erase", 2048, "--write", 8,
        "--model-version", "1.0.0", "--lowest-version", "0.9.0", "--note", "of the firmware",
    )  # fmt: skip
    (folder / "labels").write_text("nought\n\u00e9in\n")

    def make(name: str, old: Path, new: Path, version: str, *options: object) -> Path:
        out = folder / f"{name}.tmd"
        done("patch", old, new, "-o", out, "--model-version", version, *options)
        return out

    contract = folder / "contract.json"
    told = ("--note", "run 7", "--labels", folder / "labels")
    return Firmware(
        contract,
        base,
        target,
        make("patch", base, target, "1.1.0", "--contract", contract, "--format", 1),
        make("small", base, target, "1.1.0", "--contract", contract, *told),
        make("onwards", target, base, "1.2.0", "--model", "m"),
        make("too_large", base, digits / "refused_larger_arena.tflite", "1.1.0", "--model", "m"),
        make("elsewhere", target, digits / "refused_larger_arena.tflite", "1.1.0", "--model", "m"),
        make("low", base, target, "0.1.0", "--model", "m"),
    )


@pytest.fixture
def serve(firmware: Firmware, tmp_path: Path) -> Iterator[Serve]:
    """Makes a device with these options of `tmd sim init`, and serves it."""
    served: list[Served] = []

    def make(*options: object) -> Served:
        flash = tmp_path / f"{len(served)}.sim"
        done(
            "sim", "init", flash, "--contract", firmware.contract, "--base", firmware.base, *options
        )
        served.append(Served(flash))
        return served[-1]

    yield make
    for each in served:
        if each.runs:
            each.stop()


@pytest.fixture(params=[STAGED, ()], ids=["staged", "streamed"])
def device(serve: Serve, request: pytest.FixtureRequest) -> Served:
    return serve(*request.param)
