"""What signatures cost, on emulated processors, and that MACs are compared in constant time."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from measure import tables, toolchain
from trust import command, report
from trust.kinds import BOARDS, SIGNATURES, Board
from trust.measuring import QEMU, Builds, Compared, Result, Weight, measure_kind
from trust.report import leaks

HMAC = next(kind for kind in SIGNATURES if kind.macro == "TRUST_HMAC")


@pytest.fixture(autouse=True)
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip without the tools; in CI, where nothing is to be skipped, fail. No libraries."""
    for there, hint in (
        (toolchain.is_installed(toolchain.ARM), toolchain.ARM.install_hint),
        (shutil.which(QEMU) is not None, "sudo apt install qemu-system-arm"),
    ):
        if not there:
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"needs: {hint}")
    for name in ("TMD_MONOCYPHER", "TMD_MBEDTLS", "ZEPHYR_BASE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.machine)
def test_macs_are_compared_in_constant_time(board: Board, tmp_path: Path) -> None:
    """Equal instructions for the right tag, for each bit of it flipped, and for random tags."""
    result = measure_kind(board, HMAC, Builds(tmp_path))
    assert not result.why_not
    equal = result.compared["compare_core"]
    assert equal.tags >= 1000
    assert equal.right == equal.fewest == equal.most > 0
    verify = result.compared["compare_verify"]
    assert verify.fewest == verify.most > 0
    # And a comparison that does stop early is seen: by far more than a tick.
    early = result.compared["compare_early"]
    assert early.most > 10 * early.fewest
    assert leaks({board: {HMAC: result}}) == []
    assert result.calls["head"].instructions > result.calls["verify"].instructions > 10_000


@pytest.mark.parametrize(
    ("name", "compared", "found"),
    [
        ("compare_core", Compared(100, 100, 100, 1024), 0),
        ("compare_core", Compared(100, 100, 101, 1024), 1),
        ("compare_core", Compared(101, 100, 100, 1024), 1),
        ("compare_library", Compared(99, 100, 100, 1024), 1),
        ("compare_verify", Compared(101, 100, 100, 1024), 0),  # whether it is right is told
        ("compare_verify", Compared(100, 100, 101, 1024), 1),
        ("compare_early", Compared(100, 1, 99, 1024), 0),
    ],
)
def test_what_counts_as_a_leak(name: str, compared: Compared, found: int) -> None:
    result = Result(compared={name: compared})
    assert len(leaks({BOARDS[0]: {HMAC: result}})) == found


def test_without_libraries_the_rest_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "BOARDS", BOARDS[:1])
    out = tmp_path / "trust.md"
    assert command.main(["--out", str(out)]) == 0
    text = out.read_text()
    assert (
        "- left out: Ed25519, Monocypher, on Cortex-M33: no Monocypher: set TMD_MONOCYPHER" in text
    )
    assert "- left out: ECDSA P-256, Mbed TLS, on Cortex-M33: no Mbed TLS: set TMD_MBEDTLS" in text
    assert "| + TMD_VERIFY |" in text
    assert "| HMAC-SHA-256 | none |" in text
    assert "| ECDSA P-256 | Mbed TLS | – |" in text
    assert "- comparing a MAC takes the same, wherever and whether it differs" in text
    assert "Cortex-M0" not in text.split("## ", 1)[1]
    assert str(tmp_path) not in text
    assert "| tmd_is_equal | HMAC-SHA-256, core |" in text
    assert "Instructions to compare a MAC" in capsys.readouterr().out


def test_a_comparison_that_leaks_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    leaky = Result(Weight(dict.fromkeys(("core", "port", "crypto", "library"), 0)))
    leaky.compared["compare_core"] = Compared(5, 4, 5, 1024)
    monkeypatch.setattr(command, "BOARDS", BOARDS[:1])
    monkeypatch.setattr(command, "measure_core", lambda *_: [])
    monkeypatch.setattr(report, "core_table", lambda *_: tables.Table("core", ("", "code")))
    monkeypatch.setattr(command, "measure_kind", lambda *_: leaky)
    assert command.main(["--out", str(tmp_path / "trust.md")]) == 1
    assert "depends on the MAC: tmd_is_equal of" in capsys.readouterr().err


def test_without_a_compiler_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert command.main(["--out", str(tmp_path / "trust.md")]) == 1
    assert toolchain.ARM.install_hint in capsys.readouterr().err
