"""`tmd push` and `tmd device`, by the real smpclient, against `tmd sim serve`."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from clikit import asked, done, refused, tmd
from smpkit import STAGED, TMD, Firmware, Serve, Served, bad_line
from tinymldelta.accuracy.record import AccuracyRecord, MetricKind
from tinymldelta.contractfile import read_contract
from tinymldelta.generate import read_facts
from tinymldelta.interpreter import find_interpreter
from tinymldelta.patching import PatchOptions, make_patch
from tinymldelta.said import Said
from tinymldelta.smp import messages


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_patch_over_both_transports(device: Served, firmware: Firmware) -> None:
    before = asked("device", "status", *device.over_udp)
    assert before["active"]["sha256"] == sha(firmware.base)
    assert (before["model"], before["models"], before["state"]) == ("m", ["m"], "confirmed")
    text = done("push", firmware.patch, *device.over_serial)
    length = firmware.patch.stat().st_size
    assert text.splitlines()[:2] == [
        f"sent {length:,} of {length:,} bytes",
        "m: slot 1, 6,432 bytes, version 1.1.0, on trial, started 1 of 3 times",
    ]
    assert "`tmd device confirm` keeps it" in text
    after = asked("device", "confirm", *device.over_udp)
    assert (after["active"]["sha256"], after["state"]) == (sha(firmware.target), "confirmed")
    assert after["trial"] == {"starts": 1, "of": 3}
    # And the way back, in the other format and over the other transport.
    state = asked("push", firmware.onwards, *device.over_udp, "--confirm")
    assert state["active"]["sha256"] == sha(firmware.base)
    assert (state["state"], state["updates"]) == ("confirmed", 2)
    assert device.stop(signal.SIGINT) == ""
    # What it did is in its file.
    kept = asked("sim", "status", device.flash)
    assert kept["active"]["sha256"] == sha(firmware.base)
    assert (kept["counts"]["illegal"], kept["counts"]["rewrites"]) == (0, 0)


def test_what_is_said_of_the_model(device: Served, firmware: Firmware) -> None:
    """By the firmware, by a patch of format 2, and by one that says nothing."""

    def told() -> tuple[object, ...]:
        said = asked("device", "status", *device.over_udp)["metadata"]
        return (said["model_name"], said["model_version"], said["note"], said["labels"])

    assert told() == (None, None, "of the firmware", None)
    done("push", firmware.small, *device.over_udp, "--confirm")
    assert told() == ("m", 0x01010000, "run 7", ["nought", "\u00e9in"])
    text = done("device", "status", *device.over_serial)
    assert "run 7" in text and "nought, \u00e9in" in text
    # It is in flash.
    device.kill()
    device.start()
    assert told()[2] == "run 7"
    done("push", firmware.onwards, *device.over_udp)
    assert told() == ("m", 0x01020000, None, None)


def test_how_accurate_a_model_was_found(device: Served, firmware: Firmware, tmp_path: Path) -> None:
    record = AccuracyRecord(MetricKind.ACCURACY, "", 100, 0.5, 0.75, b"\1\2\3\4")
    patch = tmp_path / "gated.tmd"
    made = make_patch(
        firmware.base.read_bytes(),
        firmware.target.read_bytes(),
        where="patch",
        target_where="target",
        options=PatchOptions(said=Said("m", 0x01010000), accuracy=record.encode()),
        contract=read_contract(firmware.contract),
        index=0,
    )
    patch.write_bytes(made.data)
    done("push", patch, *device.over_udp)
    text = done("device", "status", *device.over_udp)
    assert "accuracy 50.00 % -> 75.00 % on 100 samples, data 01020304" in text
    state = asked("device", "status", *device.over_udp)
    assert state["metadata"]["accuracy"] == record.encode().hex()


def test_firmware_that_does_not_tell(device: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages.Metadata, "_COMMAND_ID", 99)
    assert asked("device", "status", *device.over_udp)["metadata"] is None
    assert "of the firmware" not in done("device", "status", *device.over_udp)


def test_the_target_is_there_already(device: Served, firmware: Firmware) -> None:
    done("push", firmware.patch, *device.over_udp)
    flash = device.flash.read_bytes()
    text = done("push", firmware.small, *device.over_udp)
    assert "the device already has the target of" in text
    assert asked("push", firmware.patch, *device.over_udp)["sent"]["already"]
    assert device.flash.read_bytes() == flash
    assert asked("push", firmware.patch, *device.over_udp, "--confirm")["state"] == "confirmed"


def test_a_trial_that_is_reverted(device: Served, firmware: Firmware) -> None:
    done("push", firmware.small, *device.over_udp)
    state = asked("device", "revert", *device.over_serial)
    assert (state["active"]["sha256"], state["slots"][1]) == (sha(firmware.base), "reverted")
    assert "refused with REVERTED" in refused("push", firmware.small, *device.over_udp)
    assert "refused with STATE" in refused("device", "revert", *device.over_udp)
    assert "refused with STATE" in refused("device", "confirm", *device.over_udp)
    assert asked("device", "erase", *device.over_udp)["slots"][1] == "none"
    assert asked("push", firmware.small, *device.over_udp)["state"] == "on trial"
    assert "refused with TRIAL" in refused("device", "erase", *device.over_udp)
    # Three starts, and it has not been confirmed.
    for _ in range(2):
        device.stop()
        device.start()
    assert asked("device", "status", *device.over_udp)["trial"] == {"starts": 3, "of": 3}
    device.kill()
    device.start()
    assert asked("device", "status", *device.over_udp)["active"]["sha256"] == sha(firmware.base)
    assert "reverted: its starts are used up" in device.stop()


def test_a_model_that_fails_its_test_vectors(
    device: Served, firmware: Firmware, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if find_interpreter() is None:
        pytest.skip("needs an interpreter: pip install -r requirements/demo.txt")
    # `tmd patch` would find out, where it has an interpreter.
    monkeypatch.setattr("tinymldelta.cli.patch.find_interpreter", lambda: None)
    vectors, patch = tmp_path / "wrong.npz", tmp_path / "wrong.tmd"
    (image,) = read_facts(firmware.target.read_bytes(), "target").inputs
    (scores,) = read_facts(firmware.target.read_bytes(), "target").outputs
    np.savez(
        vectors,
        input=np.zeros((1, *image.shape[1:]), np.int8),
        output=np.full((1, *scores.shape[1:]), 77, np.int8),
    )
    done("patch", firmware.base, firmware.target, "-o", patch, "--contract", firmware.contract,
         "--model-version", "2.0.0", "--test-vectors", vectors)  # fmt: skip
    assert "back at its old model: the new one failed its trial" in refused(
        "push", patch, *device.over_udp
    )
    assert asked("device", "status", *device.over_udp)["slots"][1] == "reverted"


@pytest.mark.parametrize(
    ("patch", "status", "words"),
    [
        ("too_large", "ARENA", "update the firmware with a larger arena"),
        ("low", "VERSION", "with a higher `--model-version`"),
        ("elsewhere", "BASE", "made for another base than the device has (6,432 bytes, SHA-256"),
    ],
)
def test_refusals(device: Served, firmware: Firmware, patch: str, status: str, words: str) -> None:
    path = getattr(firmware, patch)
    before = asked("sim", "status", device.flash)
    message = refused("push", path, *device.over_udp)
    assert f"refused with {status}: " in message
    assert words in message
    assert str(path) in message
    result = tmd("push", path, *device.over_serial, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["refused"]["status"] == status
    after = asked("sim", "status", device.flash)
    assert (after["active"], after["slots"]) == (before["active"], before["slots"])
    if not before["staging"]["room"]:
        # Refused by the head of the patch: no byte of flash was touched.
        assert after["counts"]["writes"] == before["counts"]["writes"]
        assert after["counts"]["erases"] == before["counts"]["erases"]


def test_no_patch_at_all(device: Served, firmware: Firmware, tmp_path: Path) -> None:
    flash = device.flash.read_bytes()
    assert "refused with FORMAT" in refused("push", firmware.base, *device.over_udp)
    torn = tmp_path / "torn.tmd"
    torn.write_bytes(firmware.patch.read_bytes()[:-1])
    assert "refused with TRUNCATED" in refused("push", torn, *device.over_udp)
    assert "cannot be read" in refused("push", tmp_path / "none.tmd", *device.over_udp)
    assert device.flash.read_bytes() == flash


def test_no_such_model(device: Served, firmware: Firmware) -> None:
    done("push", firmware.patch, *device.over_udp, "--model", "m")
    assert "refused with MODEL" in refused("push", firmware.patch, *device.over_udp, "--model", "n")
    message = refused("device", "status", *device.over_serial, "--group", 99)
    assert "has no management group 99" in message


def test_another_group_number(serve: Serve, firmware: Firmware) -> None:
    served = serve()
    served.stop()
    process = subprocess.Popen(
        [*TMD, "sim", "serve", str(served.flash), "--udp", "127.0.0.1:0", "--group", "300"],
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        where = process.stdout.readline().split()[1]
        state = asked("push", firmware.small, "--udp", where, "--group", 300, "--confirm")
        assert state["state"] == "confirmed"
        assert "refused with STATE" in refused("device", "revert", "--udp", where, "--group", 300)
        assert "group 84" in refused("device", "status", "--udp", where)
        process.terminate()
    assert process.returncode == 0


def test_nobody_is_there(firmware: Firmware, tmp_path: Path) -> None:
    nobody = ("--udp", "127.0.0.1:9", "--timeout", 0.05)
    assert "127.0.0.1: does not answer" in refused("push", firmware.patch, *nobody)
    assert "does not answer" in refused("device", "status", *nobody)
    port = tmp_path / "ttyNONE"
    message = refused("device", "status", "--port", port, "--timeout", 0.05)
    assert f"{port}: cannot be reached" in message


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--udp", "localhost", "--port", "/dev/null"),
        ("--udp", "localhost:x"),
        ("--udp", ":1337"),
        ("--udp", "localhost:99999"),
        ("--udp", "localhost", "--timeout", 0),
        ("--udp", "localhost", "--group", 70000),
        ("--port", "/dev/null", "--baud", 0),
    ],
)
def test_called_wrongly(options: tuple[object, ...], firmware: Firmware) -> None:
    assert tmd("push", firmware.patch, *options).exit_code == 2
    assert tmd("device", "status", *options).exit_code == 2


def test_serve_called_wrongly(serve: Serve) -> None:
    served = serve()
    assert tmd("sim", "serve", served.flash).exit_code == 2
    for address in ("1337", ":1", "localhost:", "localhost:70000"):
        assert tmd("sim", "serve", served.flash, "--udp", address).exit_code == 2
    assert "cannot be listened on" in refused(
        "sim", "serve", served.flash, "--udp", f"127.0.0.1:{served.udp}"
    )


def test_without_the_libraries(monkeypatch: pytest.MonkeyPatch, serve: Serve) -> None:
    served = serve()
    for name in ("tinymldelta.smp.client", "tinymldelta.smp.server", "tinymldelta.smp.messages"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    for name in ("cbor2", "smpclient"):
        monkeypatch.setitem(sys.modules, name, None)
    hint = "pip install 'tinymldelta[push]'"
    assert hint in refused("device", "status", *served.over_udp)
    assert hint in refused("sim", "serve", served.flash, "--pty")


def test_a_bad_line(device: Served, firmware: Firmware) -> None:
    with bad_line(device.udp, loses=0.25, doubles=0.25) as line:
        state = asked("push", firmware.patch, *line.options, "--confirm")
        assert line.lost > 0
    assert (state["active"]["sha256"], state["state"]) == (sha(firmware.target), "confirmed")
    assert state["updates"] == 1


def test_the_client_gives_up_and_comes_again(device: Served, firmware: Firmware) -> None:
    with bad_line(device.udp) as line:
        line.limit = 8
        message = refused("push", firmware.patch, *line.options, "--timeout", 0.05)
        assert "does not answer (data)" in message
        there = asked("device", "status", *device.over_serial)["transfer"]
        assert 0 < there["there"] < there["bytes"] == firmware.patch.stat().st_size
        line.limit = None
        state = asked("push", firmware.patch, *line.options)
    assert state["sent"] == {
        "already": False,
        "from": there["there"],
        "bytes": there["bytes"] - there["there"],
    }
    assert state["active"]["sha256"] == sha(firmware.target)


def test_the_client_is_killed_and_comes_again(device: Served, firmware: Firmware) -> None:
    with bad_line(device.udp) as line:
        line.limit = 8
        client = subprocess.Popen([*TMD, "push", *map(str, (firmware.patch, *line.options))])
        assert line.blocked.wait(30)
        client.kill()
        client.wait()
        line.limit = None
        state = asked("push", firmware.patch, *line.options)
    assert state["sent"]["from"] > 0
    assert state["active"]["sha256"] == sha(firmware.target)


def test_the_device_loses_power_in_the_middle(device: Served, firmware: Firmware) -> None:
    with bad_line(device.udp) as line:
        line.limit = 8
        client = subprocess.Popen(
            [*TMD, "push", *map(str, (firmware.patch, *line.options)), "--timeout", "1", "--json"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert line.blocked.wait(30)
        device.kill()
        device.start()
        line.limit = None
        text, _ = client.communicate(timeout=60)
    assert client.returncode == 0
    assert json.loads(text)["active"]["sha256"] == sha(firmware.target)
    # The serial port's client is as good as the UDP one.
    assert asked("device", "confirm", *device.over_serial)["state"] == "confirmed"


def test_power_fails_between_client_and_client(serve: Serve, firmware: Firmware) -> None:
    for options in (STAGED, ()):
        device = serve(*options)
        with bad_line(device.udp) as line:
            line.limit = 8
            refused("push", firmware.patch, *line.options, "--timeout", 0.05)
        device.kill()
        device.start()
        state = asked("push", firmware.patch, *device.over_udp)
        assert (state["sent"]["from"] > 0) == bool(options)
        assert state["active"]["sha256"] == sha(firmware.target)


def test_two_clients_at_once(device: Served, firmware: Firmware) -> None:
    """The second displaces the first, which notices; whoever is last gets through."""
    with bad_line(device.udp) as line:
        line.limit = 6
        first = subprocess.Popen(
            [*TMD, "push", *map(str, (firmware.patch, *line.options)), "--timeout", "1"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert line.blocked.wait(30)
        state = asked("push", firmware.small, *device.over_serial)
        assert state["active"]["sha256"] == sha(firmware.target)
        line.limit = None
        _, errors = first.communicate(timeout=60)
    # Both had the same target: the first finds it there, and that is no error.
    assert (first.returncode, errors) == (0, "")
    assert asked("device", "status", *device.over_udp)["updates"] == 1
