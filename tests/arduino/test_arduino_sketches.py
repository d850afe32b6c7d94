"""The sketches on a PC: their own code, the library's, and send.py over a pseudo-terminal.

Arduino's API, the RA4M1's flash and ESP-IDF's partitions are stand-ins (standin/), which end the
program when something is done that the flash could not do.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import time
import tty
import zlib
from dataclasses import dataclass
from pathlib import Path

import pytest

from arduinokit import (
    BOARDS,
    DIGITS,
    ROOT,
    SAMPLES,
    TMD,
    build_core,
    build_sketch,
    load_send,
    need,
    running,
    unpack,
)
from tinymldelta.wire.constants import Status

send = load_send()
NAMES = list(BOARDS)
KEEPING = ["uno_r4", "esp32"]
BASE = hashlib.sha256((DIGITS / "base.tflite").read_bytes()).hexdigest()
TARGET = hashlib.sha256((DIGITS / "target.tflite").read_bytes()).hexdigest()


@dataclass(frozen=True)
class Built:
    """A sketch, made by the commands of its README."""

    program: Path
    folder: Path
    """Where the commands ran: a folder as that of TinyMLDelta."""
    patch: Path
    sends: list[list[str]]
    """Arguments of send.py, without the port."""


def commands_of(name: str) -> list[list[str]]:
    text = (SAMPLES / name / "README.md").read_text(encoding="utf-8")
    [block] = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return [shlex.split(line) for line in block.splitlines() if line and not line.startswith("#")]


def build(name: str, folder: Path, library: Path, core: list[Path]) -> Built:
    (folder / "samples" / "arduino").mkdir(parents=True)
    (folder / "samples" / "host").symlink_to(ROOT / "samples" / "host")
    (folder / "zephyr_module").symlink_to(ROOT / "zephyr_module")
    sketch = folder / "samples" / "arduino" / name
    ignore = shutil.ignore_patterns("tmd_*", "contract.json")
    shutil.copytree(SAMPLES / name, sketch, ignore=ignore)
    (folder / "build" / "arduino").mkdir(parents=True)
    sends = []
    for command in commands_of(name):
        if command[1:2] == ["samples/arduino/send.py"]:
            assert command[2].startswith("/dev/")
            sends.append(command[3:])
            continue
        program = {"python": [sys.executable], "tmd": TMD}
        command = [*program[command[0]], *command[1:]]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    binary = build_sketch(BOARDS[name], library, core, sketch, folder / "build" / "objects")
    return Built(binary, folder, folder / "build" / "arduino" / f"{name}.tmd", sends)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Built]:
    """Each sketch, once: filled as they are asked for."""
    need("gcc", "g++")
    library = unpack(tmp_path_factory.mktemp("library"))
    core = build_core(library, library / "objects")

    class Sketches(dict[str, Built]):
        def __missing__(self, name: str) -> Built:
            self[name] = build(name, tmp_path_factory.mktemp(name), library, core)
            return self[name]

    return Sketches()


def environment(name: str) -> dict[str, str]:
    return {"TMD_PARTITIONS": str(SAMPLES / "esp32" / "partitions.csv")} if name == "esp32" else {}


@pytest.mark.parametrize("name", NAMES)
def test_as_the_readme_says(name: str, built: dict[str, Built], tmp_path: Path) -> None:
    sketch = built[name]
    assert [arguments[0] for arguments in sketch.sends] == ["send", "open", "confirm", "status"]
    with running(sketch.program, tmp_path / "flash", **environment(name)) as board:
        assert f"model of the sketch, 6432 bytes, version 0.0.0, sha256 {BASE}\n" in board.says(
            "status"
        )
        told = [
            board.says(*[sketch.folder / a if a.startswith("build/") else a for a in arguments])
            for arguments in sketch.sends
        ]
        slot = f"model in slot 0, 6432 bytes, version 0.0.0, sha256 {TARGET}"
        assert told[0].endswith(f"{slot}, on trial: 0 of 3 starts used\n")
        assert told[1] == f"{slot}, on trial: 1 of 3 starts used\n"
        assert told[2] == told[3] == f"{slot}\n"
    with running(sketch.program, tmp_path / "flash", **environment(name)) as board:
        kept = TARGET if name in KEEPING else BASE  # the README says so
        assert f"sha256 {kept}\n" in board.says("status")


@pytest.mark.parametrize("name", NAMES)
def test_broken_transfer_goes_on(name: str, built: dict[str, Built], tmp_path: Path) -> None:
    """While the board stays on; the sender has died."""
    patch = built[name].patch
    with running(built[name].program, tmp_path / "flash", **environment(name)) as board:
        assert "stopped after" in board.refuses("send", patch, "--drop-after", 600)
        told = board.says("send", patch, "--confirm")
        had = int(re.match(r"the device has (\d+) of", told)[1])  # type: ignore[index]
        assert had >= 600
        assert told.endswith(f"sha256 {TARGET}\n")


@pytest.mark.parametrize("name", KEEPING)
def test_transfer_goes_on_after_a_reset(name: str, built: dict[str, Built], tmp_path: Path) -> None:
    patch = built[name].patch
    with running(built[name].program, tmp_path / "flash", **environment(name)) as board:
        board.refuses("send", patch, "--drop-after", 900)
    with running(built[name].program, tmp_path / "flash", **environment(name)) as board:
        assert BASE in board.says("status")
        told = board.says("send", patch)
        had = int(re.match(r"the device has (\d+) of", told)[1])  # type: ignore[index]
        assert 900 - 252 <= had <= 1024  # a block of 252 may be sent again
        assert TARGET in told


def test_transfer_to_ram_begins_again_after_a_reset(
    built: dict[str, Built], tmp_path: Path
) -> None:
    patch = built["uno_q"].patch
    with running(built["uno_q"].program, tmp_path / "flash") as board:
        board.refuses("send", patch, "--drop-after", 900)
    with running(built["uno_q"].program, tmp_path / "flash") as board:
        told = board.says("send", patch)
        assert "the device has" not in told
        assert TARGET in told


@pytest.mark.parametrize("name", KEEPING)
def test_power_cut_anywhere(name: str, built: dict[str, Built], tmp_path: Path) -> None:
    """In the middle of an operation of flash; then again, until the new model is confirmed."""
    patch = built[name].patch
    cuts = (1, 2, 20, 90, 300, 777, 1030) if name == "uno_r4" else (1, 2, 5, 9, 14, 23, 40)
    for cut in cuts:
        flash = tmp_path / f"flash{cut}"
        with running(built[name].program, flash, **environment(name), TMD_CUT_AT=str(cut)) as board:
            first = board.send("send", patch, "--confirm")
        with running(built[name].program, flash, **environment(name)) as board:
            state = board.says("status")
            assert BASE in state or TARGET in state
            if TARGET not in state:
                assert first.returncode == 1
                state = board.says("send", patch)
            if "on trial" in state:
                board.says("open")
                state = board.says("confirm")
            assert TARGET in state


@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_patch_for_it_is_refused(
    name: str, built: dict[str, Built], tmp_path: Path
) -> None:
    sketch = built[name]
    good = sketch.patch.read_bytes()
    wrong = tmp_path / "wrong.tmd"
    with running(sketch.program, tmp_path / "flash", **environment(name)) as board:
        for content, word in (
            (bytes(range(256)) * 3, "FORMAT: not a patch"),
            (good[:-9], "TRUNCATED"),
            (good[:-4] + bytes([good[-4] ^ 1]) + good[-3:], "BODY"),
            (good[:-2] + bytes([good[-2] ^ 1]) + good[-1:], "TARGET"),
        ):
            wrong.write_bytes(content)
            said = board.refuses("send", wrong)
            assert said.startswith("send.py: the device refused: ")
            assert word in said
            assert BASE in board.says("status")
        # And the right one is taken after all that.
        assert TARGET in board.says("send", sketch.patch, "--confirm")
        # Sent again, as by who has not heard that it was applied, it changes nothing.
        assert TARGET in board.says("send", sketch.patch)
        wrong.write_bytes(good[:-9])
        assert "BASE: the patch was made for another base" in board.refuses("send", wrong)
        assert TARGET in board.says("status")


def test_wrong_base(built: dict[str, Built], tmp_path: Path) -> None:
    """A patch from the target back, on a board that has the base."""
    sketch = built["uno_r4"]
    back = tmp_path / "back.tmd"
    command = [
        *TMD, "patch", DIGITS / "target.tflite",
        DIGITS / "base.tflite", "-o", back, "--contract",
        sketch.folder / "samples/arduino/uno_r4/contract.json",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with running(sketch.program, tmp_path / "flash") as board:
        assert "BASE: the patch was made for another base" in board.refuses("send", back)
        assert "TRIAL" not in board.says("send", sketch.patch, "--confirm")
        assert BASE in board.says("send", back, "--open")
        assert TARGET in board.says("revert")


def test_bytes_that_are_lost(built: dict[str, Built], tmp_path: Path) -> None:
    """In both directions. The sketch prints between its answers, too."""
    sketch = built["uno_r4"]
    with running(sketch.program, tmp_path / "flash", TMD_LOSE="499") as board:
        told = board.says("send", sketch.patch, "--confirm")
        assert told.endswith(f"sha256 {TARGET}\n")


@pytest.mark.parametrize("name", NAMES)
def test_inference_longer_than_a_frame_may_pause(
    name: str, built: dict[str, Built], tmp_path: Path
) -> None:
    """Bytes come as on a wire, so a turn of the loop finds the beginning of a frame alone."""
    wire = {"TMD_DRIP": "4", "TMD_BUSY": "600"}
    with running(built[name].program, tmp_path / "flash", **environment(name), **wire) as board:
        assert BASE in board.says("status")
        assert "stopped after" in board.refuses("send", built[name].patch, "--drop-after", 200)


# Bytes that a core keeps while a sketch does something else: SERIAL_BUFFER_SIZE of that for UNO R4,
# what setRxBufferSize changes for ESP32, CONFIG_ARDUINO_API_SERIAL_BUFFER_SIZE of that for UNO Q.
ROOM = {"uno_r4": 512, "esp32": 256, "uno_q": 64}


@pytest.mark.parametrize("name", NAMES)
def test_a_frame_fits_what_the_core_keeps(
    name: str, built: dict[str, Built], tmp_path: Path
) -> None:
    busy = {"TMD_BUSY": "40", "TMD_ROOM": str(ROOM[name])}
    with running(built[name].program, tmp_path / "flash", **environment(name), **busy) as board:
        assert TARGET in board.says("send", built[name].patch)


def test_commands_out_of_order(built: dict[str, Built], tmp_path: Path) -> None:
    sketch = built["uno_q"]
    with running(sketch.program, tmp_path / "flash") as board:
        assert "STATE" in board.refuses("confirm")
        assert "STATE" in board.refuses("revert")
        board.refuses("send", sketch.patch, "--drop-after", 300)
        board.says("erase")
        assert "the device has" not in board.says("send", sketch.patch)
        other = tmp_path / "other.tmd"
        other.write_bytes(sketch.patch.read_bytes() + b"x")
        assert "TRIAL" in board.refuses("send", other)
        assert "STATE" in board.refuses("confirm")  # not opened
        board.says("open")
        assert BASE in board.says("revert")


def test_a_trial_that_nobody_confirms_ends(built: dict[str, Built], tmp_path: Path) -> None:
    """The sketch opens the model at each start: after three of them the old one is back."""
    sketch = built["uno_r4"]
    with running(sketch.program, tmp_path / "flash") as board:
        board.says("send", sketch.patch)
    for starts in (1, 2, 3):
        with running(sketch.program, tmp_path / "flash") as board:
            assert f"on trial: {starts} of 3" in board.says("status")
    with running(sketch.program, tmp_path / "flash") as board:
        assert BASE in board.says("status")


def test_asked_twice_with_one_sequence(built: dict[str, Built], tmp_path: Path) -> None:
    """Two runs of send.py begin with the same number by chance. The board hears both."""
    program = (
        "import random, runpy, sys; random.randrange = lambda below: 7; "
        "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    with running(built["uno_q"].program, tmp_path / "flash") as board:
        board.says("send", built["uno_q"].patch)
        for starts in (1, 2):
            command = [sys.executable, "-c", program, SAMPLES / "send.py", board.port, "open"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60)
            assert f"{starts} of 3 starts used" in done.stdout, done.stderr


class ResetBoard:
    """Takes a patch; restarts before it has said that it was applied, and has applied it or not."""

    def __init__(self, applies: bool) -> None:
        self.applies = applies
        self.bytes = self.next = 0
        self.sha256 = b"b" * 32
        self.answers = b""

    def write(self, data: bytes) -> None:
        command, sequence, length = struct.unpack_from("<BBH", data, 1)
        payload, status, rest = data[5 : 5 + length], 0, b""
        if command == send.BEGIN:
            self.bytes = struct.unpack_from("<I", payload)[0]
        elif command == send.DATA:
            self.next += length - 4
        elif command == send.FINISH:
            status, rest = int(Status.TRANSFER), b"TRANSFER: no transfer is open"
            self.sha256 = b"t" * 32 if self.applies else self.sha256
        if status == 0 and command not in (send.BEGIN, send.DATA):
            state = (send.PROTOCOL, 0, 1, 0, 3, 128, 6432, 0, self.sha256)
            rest = struct.pack("<BBBBBHII32s", *state)
        body = struct.pack("<BBHhI", command | 0x80, sequence, 6 + len(rest), status, self.next)
        body += rest
        self.answers += bytes([send.START]) + body + struct.pack("<I", zlib.crc32(body))

    def read(self, seconds: float) -> bytes:
        data, self.answers = self.answers, b""
        return data


@pytest.mark.parametrize("applies", [True, False])
def test_a_board_that_restarts_while_it_applies(applies: bool) -> None:
    board = ResetBoard(applies)
    assert int(Status.TRANSFER) == send.NO_TRANSFER
    if applies:
        assert send.send(send.Device(board), bytes(300), None).sha256 == b"t" * 32
        return
    with pytest.raises(send.SendError, match="TRANSFER"):
        send.send(send.Device(board), bytes(300), None)


def test_a_port_that_takes_nothing(tmp_path: Path) -> None:
    """Such as that of a board whose sketch hangs: its adapter keeps what nobody fetches."""
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    os.set_blocking(theirs, False)
    refused = 0
    while refused < 10:  # full for half a second: the kernel moves what it has in its own time
        try:
            os.write(theirs, bytes(64))
            refused = 0
        except BlockingIOError:
            refused += 1
            time.sleep(0.05)
    command = [sys.executable, SAMPLES / "send.py", os.ttyname(theirs), "status"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (
        1, f"send.py: {os.ttyname(theirs)}: it takes no bytes: does the sketch hang?\n"
    )  # fmt: skip
    os.close(ours)
    os.close(theirs)


def test_a_port_that_vanishes() -> None:
    ours, theirs = os.openpty()
    command = [sys.executable, SAMPLES / "send.py", os.ttyname(theirs), "status"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert os.read(ours, 1)  # it asks
        os.close(theirs)
        os.close(ours)
        assert process.stderr is not None
        said = process.stderr.read()
    assert process.returncode == 1
    assert said.startswith("send.py: /dev/") and said.count("\n") == 1


def test_ctrl_c() -> None:
    ours, theirs = os.openpty()
    command = [sys.executable, SAMPLES / "send.py", os.ttyname(theirs), "status"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert os.read(ours, 1)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert process.stderr.read() == "send.py: stopped\n"
    assert process.returncode == 130
    os.close(ours)
    os.close(theirs)


def test_pyserial(built: dict[str, Built], tmp_path: Path) -> None:
    """Where there is no termios."""
    pytest.importorskip("serial")
    sketch = built["uno_q"]
    with running(sketch.program, tmp_path / "flash") as board:
        command = [sys.executable, SAMPLES / "send.py", "--pyserial", board.port, "send"]
        done = subprocess.run([*command, sketch.patch], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert TARGET in done.stdout


def test_send_says_what_is_wrong_with_the_port(tmp_path: Path) -> None:
    def said(*arguments: str | Path) -> tuple[int, str]:
        command = [sys.executable, SAMPLES / "send.py", *arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        return done.returncode, done.stderr

    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    assert said(tmp_path / "none", "status") == (
        1,
        f"send.py: {tmp_path / 'none'} cannot be opened: No such file or directory\n",
    )
    assert said(plain, "status") == (1, f"send.py: {plain} is no serial port\n")
    assert said(plain, "send", plain) == (1, f"send.py: {plain} is empty\n")
    assert said(plain, "send", tmp_path / "none.tmd")[0] == 1
    assert said(plain)[0] == 2
    assert said(plain, "upload")[0] == 2
