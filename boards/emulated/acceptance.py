"""What a firmware of samples/bare_metal has to show on an emulated board.

    python acceptance.py BOARD --firmware ELF --conform ELF --patches FOLDER --out FOLDER
                         [--all-cuts]

Patches: <model>.<format>.tmd from base to target, <model>.back.<format>.tmd from there to the base
again, and larger.<format>.tmd, which the contract of the firmware refuses. Writes what was done
into run.log and figures into run.json; with --all-cuts, into cuts.log and cuts.json. Exit status 1
if something was not as it has to be, which is the log's last line.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import emulated

ROOT = emulated.HERE.parent.parent
STARTS = 3  # trial starts, as main.c has them
TAKEN_IN = {"sst": "stage", "thermo": "apply", "digits": "update"}


@dataclass(frozen=True)
class Pair:
    """A model of the firmware, and what it becomes."""

    name: str
    base: Path
    target: Path


def pairs() -> tuple[Pair, ...]:
    """The models of samples/bare_metal, in the order of its contract."""
    folders = {
        "digits": ROOT / "samples" / "host" / "models" / "digits",
        "sst": ROOT / "samples" / "host" / "models" / "sst",
        "thermo": ROOT / "samples" / "thermo" / "models",
    }
    return tuple(
        Pair(name, folder / "base.tflite", folder / "target.tflite")
        for name, folder in folders.items()
    )


class Failed(Exception):  # noqa: N818 - it is no error of a program
    """The board did not do what it has to; the message says what, and when."""


def require(holds: bool, message: str) -> None:
    if not holds:
        raise Failed(message)


@dataclass(frozen=True)
class Operation:
    """A flash operation of a power-on, as `trace` prints it."""

    number: int
    kind: str  # write or erase
    offset: int
    bytes: int


@dataclass(frozen=True)
class Boot:
    """One power-on: what the firmware was told to do, and what it reported."""

    words: tuple[str, ...]
    status: int
    output: str

    def _lines(self, what: str) -> list[dict[str, str]]:
        lines = (line.split() for line in self.output.splitlines())
        return [dict(w.split("=", 1) for w in words[1:] if "=" in w) for words in lines
                if words and words[0] == what]  # fmt: skip

    def said(self, what: str) -> dict[str, str]:
        """The values of the last line that begins with this word; empty if there is none."""
        return (self._lines(what) or [{}])[-1]

    def first(self, what: str) -> dict[str, str]:
        """Likewise of the first one."""
        return (self._lines(what) or [{}])[0]

    @property
    def operations(self) -> list[Operation]:
        lines = (line.split() for line in self.output.splitlines())
        return [Operation(int(n), kind, int(at), int(size)) for _, n, kind, at, size in
                (line for line in lines if line and line[0] == "op")]  # fmt: skip


@dataclass
class Figures:
    """What a run comes to."""

    board: str
    core: str
    flash: str
    erase: int
    write: int
    image: int = 0  # code, constants, initial values
    models: int = 0  # of it: models that are compiled in
    ram: int = 0  # static
    stack: int = 0  # deepest that was seen
    boots: int = 0
    patches: int = 0  # taken, to the last byte of the target
    refused: int = 0
    cuts: int = 0
    on_base: int = 0  # of these, the device came up on base, with the patch to be sent again
    operations: int = 0


class Device:
    """A board with its flash, in a folder of its own."""

    def __init__(self, board: emulated.Board, elf: Path, patches: Path, folder: Path) -> None:
        self.board = board
        self.elf = elf.resolve()
        self.folder = folder
        self.log: list[str] = []
        self.timeout = 60  # seconds of a power-on
        flash = board.flash
        self.figures = Figures(board.name, board.core, flash.like, flash.erase, flash.write)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for patch in sorted(patches.glob("*.tmd")):
            shutil.copy(patch, folder)
        self.fresh = self._as_made()

    def _as_made(self) -> bytes:
        """The flash of a device that was never updated."""
        emulated.new_flash(self.board, self.folder)
        for pair in pairs():
            if self.boot(f"model={pair.name}", "status", expect=None).status == 0:
                continue
            # It has no model compiled in: production puts it into slot 0.
            shutil.copy(pair.base, self.folder / "factory.bin")
            self.boot(f"model={pair.name}", "factory", "factory.bin")
            self.boot(f"model={pair.name}", "status")
        return self.cells

    # ---- flash ----

    @property
    def _kept(self) -> int:
        """Bytes of the file that the firmware can have changed."""
        flash = self.board.flash
        return flash.bytes if flash.drive else flash.file_bytes

    @property
    def cells(self) -> bytes:
        with (self.folder / emulated.FLASH_FILE).open("rb") as file:
            return file.read(self._kept)

    @cells.setter
    def cells(self, content: bytes) -> None:
        with (self.folder / emulated.FLASH_FILE).open("r+b") as file:
            file.write(content)

    def is_torn(self, offset: int, size: int) -> bool:
        """Is a unit of the range half-written? Known where the flash is flash_ram.c alone."""
        flash = self.board.flash
        states = self.cells[flash.bytes :]
        units = states[offset // flash.write : -(-(offset + size) // flash.write)]
        return flash.states and emulated.TORN in units

    # ---- power ----

    def boot(self, *words: str, expect: int | None = 0) -> Boot:
        """Power on, in a new process of QEMU. `expect`: exit status; None: done or refused."""
        try:
            ended = emulated.run(
                self.board, self.elf, words, folder=self.folder, flash=True, counted=False,
                timeout=self.timeout,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise Failed(f"{' '.join(words)}: QEMU did not end within {self.timeout} s") from None
        boot = Boot(words, ended.status, ended.output)
        self.log += [f"$ {' '.join(words)}", *boot.output.splitlines(), f"exit {boot.status}"]
        good = boot.status in (0, 1) if expect is None else boot.status == expect
        require(good, f"{' '.join(words)}: exit {boot.status}, not {expect}: {boot.output}")
        figures = self.figures
        figures.boots += 1
        figures.operations += int(boot.said("flash").get("operations", 0))
        figures.stack = max(figures.stack, int(boot.said("memory").get("stack", 0)))
        return boot

    def note(self, text: str) -> None:
        self.log.append(f"# {text}")

    def opened(self, boot: Boot, name: str = "out.bin") -> bytes:
        """What the boot's `open` gave out."""
        file = self.folder / name
        content = file.read_bytes()
        file.unlink()
        digest = hashlib.sha256(content).hexdigest()
        require(f"sha256={digest}" in boot.output, f"{boot.words}: the file is not what was read")
        return content


# ---- what is shown ----


def take(device: Device, pair: Pair, patch: str, way: str, target: bytes) -> None:
    """A patch is taken, its model started, confirmed, and there after that; a boot for each."""
    model = f"model={pair.name}"
    device.note(f"{patch} by {way}")
    device.boot(model, "stack", way, patch)
    boot = device.boot(model, "stack", "status", "open", "out.bin", "confirm")
    said = boot.said("store")
    require((said["trial"], said["starts"]) == ("1", "0"), f"{patch}: not on trial: {said}")
    require(device.opened(boot) == target, f"{patch}: what is opened is not the target")
    boot = device.boot(model, "status", "open", "out.bin")
    require(boot.said("store")["trial"] == "0", f"{patch}: still on trial")
    require(device.opened(boot) == target, f"{patch}: what is opened again is not the target")
    device.figures.patches += 1


def show_updates(device: Device) -> None:
    """Each pair, in each format; the first one also back again."""
    for number in (1, 2):
        device.cells = device.fresh
        for pair in pairs():
            name, target = f"{pair.name}.{number}.tmd", pair.target.read_bytes()
            take(device, pair, name, TAKEN_IN[pair.name], target)
        first = pairs()[0]
        name = f"{first.name}.back.{number}.tmd"
        take(device, first, name, "update", first.base.read_bytes())


def damaged(device: Device, patch: str, place: int) -> str:
    """The name of a copy with one wrong bit, `place` bytes from the start."""
    content = bytearray((device.folder / patch).read_bytes())
    content[place] ^= 1
    name = f"damaged.{place}.{patch}"
    (device.folder / name).write_bytes(content)
    return name


def with_wrong_chunk_crc(device: Device, patch: str) -> str:
    """The name of a copy of a patch of format 1 whose first chunk has a CRC-32, which is wrong."""
    content = bytearray((device.folder / patch).read_bytes())
    chunk = 80 + int.from_bytes(content[76:78], "little")  # behind header and metadata (SPEC.md)
    payload = chunk + 8
    size = int.from_bytes(content[chunk + 4 : chunk + 6], "little")
    crc = zlib.crc32(content[payload : payload + size]) ^ 1
    require(content[chunk + 7] == 0, f"{patch}: the chunk has a CRC-32 already")
    content[chunk + 7] = 1
    content[payload:payload] = crc.to_bytes(4, "little")
    name = f"crc.{patch}"
    (device.folder / name).write_bytes(content)
    return name


def refuse(device: Device, way: str, patch: str, *statuses: str) -> None:
    """It is refused with one of these, and no cell changes."""
    before = device.cells
    boot = device.boot(way, patch, expect=1)
    status = boot.said(way).get("status")
    require(status in statuses, f"{patch} by {way}: {status}, not {' or '.join(statuses)}")
    require(device.cells == before, f"{patch}: refused, and flash has changed")
    device.note(f"{patch} by {way} is refused, and flash is as it was: {status}")
    device.figures.refused += 1


def show_refusals(device: Device) -> None:
    """Wrong base, too large an arena, damage: before anything is written."""
    device.cells = device.fresh
    for number in (1, 2):
        for way in ("update", "apply"):
            refuse(device, way, f"digits.back.{number}.tmd", "BASE")
            refuse(device, way, f"larger.{number}.tmd", "ARENA")
    # Of a damaged head nothing is believed; of a damaged body, if the patch can be read twice.
    refuse(device, "update", damaged(device, "digits.2.tmd", 8), "METADATA")
    refuse(device, "apply", damaged(device, "digits.2.tmd", 800), "BODY", "TARGET", "TRUNCATED")
    refuse(device, "apply", with_wrong_chunk_crc(device, "digits.1.tmd"), "CHUNK_CRC")
    refuse(device, "apply", damaged(device, "digits.1.tmd", 800), "TARGET")


def show_trial(device: Device) -> None:
    """A model that nobody confirms is gone after its starts, and one that is reverted at once."""
    base, target = pairs()[0].base.read_bytes(), pairs()[0].target.read_bytes()
    device.cells = device.fresh
    device.note("a trial that nobody ends")
    device.boot("update", "digits.2.tmd")
    for start in range(1, STARTS + 1):
        boot = device.boot("open", "out.bin", "status")
        require(device.opened(boot) == target, f"start {start} is not of the target")
        require(boot.said("store")["starts"] == str(start), f"start {start} is not counted")
    require(device.opened(device.boot("open", "out.bin")) == base, "after its starts, it is there")
    # What has failed is not taken again.
    boot = device.boot("update", "digits.2.tmd", expect=1)
    require(boot.said("update")["status"] == "REVERTED", boot.output)
    device.cells = device.fresh
    device.note("revert")
    device.boot("stage", "digits.1.tmd")
    require(device.opened(device.boot("open", "out.bin", "revert")) == target, "before revert")
    require(device.opened(device.boot("open", "out.bin")) == base, "reverted, and still there")


# ---- power cuts ----


def region_of(device: Device, boot: Boot, operation: Operation) -> str:
    """Which part of the store an operation is in, by what `status` said."""
    said = {name: int(value) for name, value in boot.said("store").items()}
    at = operation.offset - (said["slots"] - device.board.flash.at)
    for name, size in (
        ("slot", 2 * said["slot_bytes"]),
        ("records", said["records_bytes"]),
        ("staging", said["staging_bytes"]),
    ):
        if at < size:
            return name
        at -= size
    raise Failed(f"{operation}: outside of the store")


@dataclass(frozen=True)
class Script:
    """An update that is cut: what happens in the power-on that ends early."""

    pair: Pair
    patch: str
    way: str

    @property
    def words(self) -> tuple[str, ...]:
        return (f"model={self.pair.name}", self.way, self.patch, "open", "ignored.bin", "confirm")


def traced(device: Device, script: Script) -> list[tuple[Operation, str]]:
    """The flash operations of the script when nothing happens, each with its region."""
    device.cells = device.fresh
    boot = device.boot(*script.words[:1], "trace", *script.words[1:], "status")
    return [(operation, region_of(device, boot, operation)) for operation in boot.operations]


def choose(operations: Sequence[tuple[Operation, str]]) -> list[tuple[int, int]]:
    """Operation and percent: inside a write and an erase of each region, and at the switch."""

    def of(kind: str, region: str) -> list[int]:
        return [o.number for o, where in operations if (o.kind, where) == (kind, region)]

    # Behind the last write of a model come the switch, the start and the confirmation.
    switch = next(n for n in of("write", "records") if n > of("write", "slot")[-1])
    chosen = [(switch, 50), (switch, 100)]
    for region in ("slot", "staging"):
        for kind in ("write", "erase"):
            numbers = of(kind, region)
            chosen += [(numbers[len(numbers) // 2], 50)] if numbers else []
    return chosen


def recover(device: Device, script: Script) -> str:
    """After a cut: base or target, then the target. What the device came up on."""
    base, target = script.pair.base.read_bytes(), script.pair.target.read_bytes()
    model = f"model={script.pair.name}"
    again = ("status", "open", "again.bin", "confirm")
    boot = device.boot(
        model, "stack", "open", "out.bin", "status", script.way, script.patch, *again, expect=None
    )
    found, said = device.opened(boot), boot.first("store")
    require(found in (base, target), "neither base nor target after a power cut")
    slot = int(boot.first("model")["slot"])
    if slot < 2:
        size = int(said["slot_bytes"])
        at = int(said["slots"]) - device.board.flash.at + slot * size
        require(not device.is_torn(at, len(found)), "the model stands on half-written cells")
    if found == base:
        require(boot.status == 0, f"sent again: {boot.output}")
        require(device.opened(boot, "again.bin") == target, "sent again: not the target")
    else:
        # On trial, it is not sent again; confirmed, the patch is for another base.
        want = "TRIAL" if said["trial"] == "1" else "BASE"
        require(boot.said(script.way).get("status") == want, f"sent again: {boot.output}")
    if said["trial"] == "1":
        device.boot(model, "confirm")
    boot = device.boot(model, "open", "out.bin", "status")
    require(device.opened(boot) == target, "in the end: not the target")
    require(boot.said("store")["trial"] == "0", "in the end: still on trial")
    device.figures.patches += 1
    return "base" if found == base else "target"


def cut(device: Device, script: Script, number: int, percent: int, where: str) -> str:
    """One cut, and the way back."""
    device.cells = device.fresh
    what = f"{script.patch} by {script.way}, cut at operation {number} ({where}), {percent} %"
    try:
        device.boot(f"cut={number}:{percent}", *script.words, expect=emulated.STATUS_CUT)
        found = recover(device, script)
    except Failed as failed:
        raise Failed(f"{what}: {failed}") from None
    device.note(f"{what}: up on {found}, then target")
    device.figures.cuts += 1
    device.figures.on_base += found == "base"
    return found


def scripts() -> Iterator[Script]:
    digits, sst, _ = pairs()
    for number in (1, 2):
        yield Script(digits, f"digits.{number}.tmd", "update")
        yield Script(sst, f"sst.{number}.tmd", "stage")


def show_cuts(device: Device) -> None:
    """A few cuts of each format, streamed and staged: where it matters most."""
    for script in scripts():
        operations = traced(device, script)
        for number, percent in choose(operations):
            operation, region = operations[number - 1]
            cut(device, script, number, percent, f"{operation.kind}, {region}")


def show_all_cuts(device: Device) -> None:
    """Each operation, in the middle and behind its end, of each script to its confirmation."""
    for script in scripts():
        operations = traced(device, script)
        found = [
            cut(device, script, operation.number, percent, f"{operation.kind}, {region}")
            for operation, region in operations
            for percent in (50, 100)
        ]
        device.note(
            f"{script.patch} by {script.way}: {len(operations)} operations, {len(found)} cuts, "
            f"up on base {found.count('base')} times, on target {found.count('target')} times"
        )


def measure(device: Device) -> None:
    """Sizes of the firmware as it is linked."""
    size = device.board.compiler.replace("gcc", "size")
    output = subprocess.run(
        [size, str(device.elf)], capture_output=True, text=True, check=True
    ).stdout
    text, data, bss = (int(word) for word in output.splitlines()[1].split()[:3])
    device.figures.image = text + data
    device.figures.ram = data + bss
    image = device.elf.read_bytes()
    contents = [pair.base.read_bytes() for pair in pairs()]
    device.figures.models = sum(len(content) for content in contents if content in image)


def show_port(device: Device, conform: Path) -> None:
    """The flash port passes ports/conformance, with a power-on between its phases."""
    device.note("ports/conformance")
    firmware, device.timeout = device.elf, 900
    device.elf = conform.resolve()
    device.cells = device.fresh
    for phase in ("1", "2"):
        boot = device.boot(phase)
        require("\nPASSED" in f"\n{boot.output}", f"conform {phase}: {boot.output}")
    device.elf, device.timeout = firmware, 60


def run_all(device: Device, conform: Path, *, all_cuts: bool) -> None:
    """All that is to be shown. Raises Failed."""
    measure(device)
    # QEMU takes a millisecond for each command of its CFI flash, and minutes for blocks of 256 KB.
    if all_cuts == device.board.flash.drive:
        show_port(device, conform)
    if all_cuts:
        show_all_cuts(device)
        return
    show_updates(device)
    show_refusals(device)
    show_trial(device)
    show_cuts(device)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="what a board has to show")
    parser.add_argument("board", choices=[board.name for board in emulated.BOARDS])
    parser.add_argument("--firmware", type=Path, required=True)
    parser.add_argument("--conform", type=Path, required=True)
    parser.add_argument("--patches", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--all-cuts", action="store_true")
    given = parser.parse_args(arguments)
    name = "cuts" if given.all_cuts else "run"
    started = time.monotonic()
    board = emulated.board(given.board)
    log: list[str] = []
    problem = None
    try:
        device = Device(board, given.firmware, given.patches, given.out / name)
        log = device.log
        run_all(device, given.conform, all_cuts=given.all_cuts)
    except Failed as failed:
        problem = str(failed)
        log.append(f"FAILED: {problem}")
    (given.out / f"{name}.log").write_text("\n".join(log) + "\n", encoding="utf-8")
    if problem is not None:
        print(f"{board.name}: {problem}", file=sys.stderr)
        return 1
    figures = device.figures
    (given.out / f"{name}.json").write_text(json.dumps(asdict(figures), indent=1) + "\n")
    print(
        f"{board.name}: {figures.patches} patches taken, {figures.refused} refused, {figures.cuts} "
        f"power cuts, {figures.boots} power-ons, {figures.operations} flash operations, "
        f"{time.monotonic() - started:.0f} s"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
