"""The patches that the ztest suites are built with are what `tmd patch` makes.

`python tests/zephyr/test_patches.py` writes them again.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from tinymldelta.cli import main

HERE = Path(__file__).parent
PATCHES = HERE / "patches"
MODELS = HERE.parents[1] / "samples" / "host" / "models" / "digits"


def tmd(*arguments: object) -> None:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output


def make_patches(out: Path, scratch: Path) -> None:
    """update.tmd, as the suites' firmware takes it, and refused.tmd, which asks for an operator.

    Both say the kernels that are assumed where Zephyr links none, as in the suites.
    """
    base = MODELS / "base.tflite"
    flash = ("--slot", 16384, "--erase", 4096, "--write", 8)
    tmd("codegen", f"digits={base}", "--out", scratch, "--model-version", "digits=1.0.0", *flash)
    contract = scratch / "contract.json"
    tmd("patch", base, MODELS / "target.tflite", "-o", out / "update.tmd",
        "--contract", contract, "--model-version", "1.1.0", "--note", "run 7")  # fmt: skip
    tmd("patch", base, MODELS / "refused_new_operator.tflite", "-o", out / "refused.tmd",
        "--model", "digits")  # fmt: skip


@pytest.mark.parametrize("name", ["update.tmd", "refused.tmd"])
def test_the_suites_patches_are_those_of_tmd_patch(tmp_path: Path, name: str) -> None:
    make_patches(tmp_path, tmp_path / "generated")
    assert (tmp_path / name).read_bytes() == (PATCHES / name).read_bytes()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        make_patches(PATCHES, Path(folder))
