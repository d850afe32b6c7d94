"""Signed and encrypted patches over SMP, to devices that take nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from clikit import asked, done, refused
from smpkit import STAGED, Served


@dataclass(frozen=True)
class Fleet:
    """A firmware with a key to verify and one to decrypt with, and patches for it."""

    contract: Path
    base: Path
    target: Path
    decryption_key: Path
    signed: Path
    sealed: Path
    unsigned: Path


@pytest.fixture(scope="module")
def fleet(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    folder = tmp_path_factory.mktemp("fleet")
    base, target = digits / "base.tflite", digits / "target.tflite"
    for kind, name in (("ed25519", "sign"), ("x25519", "open")):
        done("keygen", "--type", kind, "-o", folder / name, "--public", folder / f"{name}.pub")
    done(
        *("codegen", f"m={base}", "--out", folder, "--slot", 16384, "--erase", 2048),
        *("--write", 8, "--public-key", folder / "sign.pub"),
        *("--decryption-key", folder / "open.pub", "--device-class", "meter-3"),
    )
    contract = folder / "contract.json"
    patch = ("patch", base, target, "--contract", contract, "--key", folder / "sign")
    done(*patch, "-o", folder / "signed.tmd")
    done(*patch, "-o", folder / "sealed.tmd", "--encrypt")
    done("patch", base, target, "--model", "m", "-o", folder / "unsigned.tmd")
    return Fleet(
        *(contract, base, target, folder / "open"),
        *(folder / f"{name}.tmd" for name in ("signed", "sealed", "unsigned")),
    )


@pytest.fixture(params=[STAGED, ()], ids=["staged", "streamed"])
def device(fleet: Fleet, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Served]:
    flash = tmp_path / "device.sim"
    done(
        *("sim", "init", flash, "--contract", fleet.contract, "--base", fleet.base),
        *("--decryption-key", fleet.decryption_key, *request.param),
    )
    served = Served(flash)
    yield served
    if served.runs:
        served.stop()


def test_what_is_signed_is_taken(fleet: Fleet, device: Served) -> None:
    assert "UNSIGNED" in refused("push", fleet.unsigned, *device.over_udp)
    changed = bytearray(fleet.signed.read_bytes())
    changed[-1] ^= 1
    wrong = device.flash.with_name("wrong.tmd")
    wrong.write_bytes(changed)
    assert "refused with" in refused("push", wrong, *device.over_udp)
    before = asked("device", "status", *device.over_udp)
    assert before["active"]["bytes"] == fleet.base.stat().st_size
    done("push", fleet.signed, *device.over_udp, "--confirm")
    again = done("push", fleet.signed, *device.over_udp)
    assert "already has the target" in again


def test_what_is_encrypted_is_taken(fleet: Fleet, device: Served) -> None:
    """From here nothing can be told of base and target: the device says what came of it."""
    length = fleet.sealed.stat().st_size
    signed = fleet.signed.stat().st_size
    assert length == signed + 41 + 8 * -(-signed // 256)  # a head, and a tag for each chunk
    text = done("push", fleet.sealed, *device.over_udp, "--confirm")
    assert text.startswith(f"sent {length:,} of {length:,} bytes")
    status = asked("device", "status", *device.over_udp)
    assert (status["state"], status["updates"]) == ("confirmed", 1)
    assert "already has the target" in done("push", fleet.sealed, *device.over_udp)
    device.kill()
    device.start()
    assert "BASE" in refused("push", fleet.sealed, *device.over_udp)
    damaged = device.flash.with_name("damaged.tmd")
    damaged.write_bytes(fleet.sealed.read_bytes()[:9])
    assert "TRUNCATED" in refused("push", damaged, *device.over_udp)
