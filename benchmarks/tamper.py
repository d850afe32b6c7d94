"""Signed patches that somebody tampered with, given to `tmd apply` and to a device.

    python benchmarks/tamper.py [--step N] [--jobs N] [--out benchmarks/tamper.md]

For real model pairs, both kinds of public key: every bit flipped, every truncation, every byte put
behind the end, every pair of TLVs swapped, every TLV moved out of the protected area to where the
signature stands; and those that leave the head's CRC-32 wrong once more with it set right. `tmd
apply` must exit with 1 and leave no output. A device, staged and streamed, must do nothing to its
flash; but for the body of a streamed patch, where it must still run the base, with the same
records. --step N takes every N-th change only, and writes no report. Exit status: 0; 1 if a change
was taken; 2 if called wrongly.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import io
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

import rich.console
import rich.progress

from measure import tables
from tinymldelta import native
from tinymldelta.cli.main import main as tmd
from tinymldelta.container.metadata import TLV_HEAD_BYTES
from tinymldelta.container.patch import head_crc
from tinymldelta.container.reader import read_patch
from tinymldelta.container.signed import signed_parts
from tinymldelta.contract import Contract
from tinymldelta.contractfile import read_contract
from tinymldelta.wire.constants import F2_CRC_BYTES, Status

REPOSITORY = Path(__file__).resolve().parent.parent
OUT = REPOSITORY / "benchmarks" / "tamper.md"
PAIRS = {
    "digits": REPOSITORY / "samples" / "host" / "models" / "digits",
    "sst": REPOSITORY / "samples" / "host" / "models" / "sst",
    "thermo": REPOSITORY / "samples" / "thermo" / "models",
}
KINDS = ("ed25519", "ecdsa-p256")
PIECE = 64  # bytes of a streamed patch that come at once
CHUNK = 400  # changes that a process takes at a time


@dataclass(frozen=True)
class Change:
    """A patch that was tampered with. body: only the body was, so a streamed one is found late."""

    what: str
    data: bytes
    body: bool = False


@dataclass(frozen=True)
class Signed:
    """A signed patch, what it was made from, and where the files are that `tmd` takes."""

    pair: str
    kind: str
    folder: Path
    base: bytes
    patch: bytes

    @property
    def public_key(self) -> Path:
        return self.folder / f"{self.kind}.pub.pem"

    @property
    def contract(self) -> Contract:
        return read_contract(self.folder / f"{self.pair}-{self.kind}" / "contract.json")


@dataclass
class Tally:
    """What came of changes: how many, and what a command or a device did that it must not."""

    changes: int = 0
    late: int = 0  # streamed, refused after the slot had been written
    statuses: dict[str, int] = field(default_factory=dict)
    taken: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.changes += other.changes
        self.late += other.late
        self.taken += other.taken
        for status, n in other.statuses.items():
            self.statuses[status] = self.statuses.get(status, 0) + n


def repaired(patch: bytes, head_end: int) -> bytes:
    """The patch with the CRC-32 of its head set right. head_end: where the CRC ends."""
    at = head_end - F2_CRC_BYTES
    crc = head_crc(patch[:at]).to_bytes(F2_CRC_BYTES, "little")
    return patch[:at] + crc + patch[head_end:]


def _tlvs(patch: bytes, start: int, end: int) -> list[bytes]:
    found = []
    while start < end:
        stop = start + TLV_HEAD_BYTES + patch[start + 1]
        found.append(patch[start:stop])
        start = stop
    return found


def changes_of(patch: bytes) -> Iterator[Change]:
    """Every change of a signed patch of format 2, in an order that is always the same."""
    head_end = signed_parts(patch).signature_at
    body_at = len(patch) - read_patch(patch, None).sizes["body"]
    for bit in range(8 * len(patch)):
        flipped = bytearray(patch)
        flipped[bit // 8] ^= 1 << bit % 8
        yield Change("bits", bytes(flipped), body=bit // 8 >= body_at)
        if bit // 8 < head_end - F2_CRC_BYTES:
            yield Change("bits, CRC right", repaired(bytes(flipped), head_end))
    for n in range(len(patch)):
        yield Change("truncations", patch[:n], body=n >= body_at)
    for byte in range(256):
        yield Change("trailing bytes", patch + bytes((byte,)), body=True)
    tlvs_end = head_end - F2_CRC_BYTES
    tlvs_at = tlvs_end - read_patch(patch, None).header.meta_bytes
    tlvs = _tlvs(patch, tlvs_at, tlvs_end)
    for i in range(len(tlvs)):
        for k in range(i + 1, len(tlvs)):
            order = list(tlvs)
            order[i], order[k] = order[k], order[i]
            swapped = patch[:tlvs_at] + b"".join(order) + patch[tlvs_end:]
            yield Change("swapped TLVs", swapped)
            yield Change("swapped TLVs, CRC right", repaired(swapped, head_end))
    for i, tlv in enumerate(tlvs):
        left = b"".join(tlvs[:i] + tlvs[i + 1 :])
        # A head without the TLV, with and without its length and CRC-32 right.
        for length in (len(left), len(left) + len(tlv)):
            head = patch[: tlvs_at - (2 if len(left) + len(tlv) > 127 else 1)]
            head += _number(length) + left
            crc = head_crc(head).to_bytes(F2_CRC_BYTES, "little")
            signature, body = patch[head_end:body_at], patch[body_at:]
            for outside in (tlv + signature, signature + tlv, tlv + signature[len(tlv) :]):
                yield Change("TLVs moved out", head + crc + outside + body)
    # And something of the unprotected area into the protected one.
    piece = patch[head_end:body_at][: 8 + TLV_HEAD_BYTES]
    vendor = bytes((0x80, len(piece))) + piece
    head = patch[: tlvs_at - (2 if tlvs_end - tlvs_at > 127 else 1)]
    head += _number(tlvs_end - tlvs_at + len(vendor)) + patch[tlvs_at:tlvs_end] + vendor
    crc = head_crc(head).to_bytes(F2_CRC_BYTES, "little")
    yield Change("TLVs moved in", head + crc + patch[head_end:])


def _number(value: int) -> bytes:
    return bytes((value,)) if value < 128 else bytes((value & 127 | 128, value >> 7))


def run(*arguments: object) -> int:
    """`tmd` in this process, silent: what it exits with."""
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        try:
            tmd([str(a) for a in arguments], standalone_mode=True)
        except SystemExit as done:
            return done.code if isinstance(done.code, int) else 1
    return 0


def prepare(folder: Path) -> list[Signed]:
    """Keys, contracts and signed patches, made by the commands that a user has."""
    made = []
    for kind in KINDS:
        key, public = folder / f"{kind}.pem", folder / f"{kind}.pub.pem"
        _must(run("keygen", "--type", kind, "-o", key, "--public", public))
        for pair, models in PAIRS.items():
            base, out = models / "base.tflite", folder / f"{pair}-{kind}"
            flash = ("--slot", 16384, "--erase", 8192, "--write", 16)
            _must(run("codegen", f"{pair}={base}", "--out", out, *flash, "--public-key", public,
                      "--device-class", "bench"))  # fmt: skip
            patch = out / "update.tmd"
            _must(run("patch", base, models / "target.tflite", "-o", patch, "--contract",
                      out / "contract.json", "--key", key, "--model-version", "1.2.0",
                      "--version-floor", "1.1.0", "--note", "night run 7"))  # fmt: skip
            _must(run("apply", base, patch, "-o", out / "applied", "--public-key", public))
            if (out / "applied").read_bytes() != (models / "target.tflite").read_bytes():
                raise SystemExit("tamper: the patch does not make the target")
            made.append(Signed(pair, kind, folder, base.read_bytes(), patch.read_bytes()))
    return made


def _must(code: int) -> None:
    if code != 0:
        raise SystemExit(f"tamper: a command exited with {code}; run it by hand to see why")


def give_to_tmd(signed: Signed, change: Change, scratch: Path) -> str:
    """Empty if `tmd apply` refuses the change as it must."""
    patch, out = scratch / "changed.tmd", scratch / "out"
    patch.write_bytes(change.data)
    base = PAIRS[signed.pair] / "base.tflite"
    code = run("apply", base, patch, "-o", out, "--public-key", signed.public_key)
    left = sorted(p.name for p in scratch.iterdir())
    if code != 1 or left != ["changed.tmd"]:
        return f"tmd apply exits with {code} and leaves {', '.join(left)}"
    return ""


def give_to_device(device: native.Device, change: Change, base: bytes) -> tuple[str, str, bool]:
    """What is wrong if anything; the status, staged; and was a streamed one refused late?"""
    before = device.counts
    info = device.info
    staged = device.staged(change.data)
    if staged is Status.OK or device.counts.operations != before.operations:
        return f"staged: {staged.name}, and flash was touched", staged.name, False
    streamed = device.stream(change.data, piece=PIECE)
    late = device.counts.operations != before.operations
    if streamed is Status.OK or device.read_active() != base:
        return "streamed: another model runs", staged.name, late
    if late and not change.body:
        return "streamed: flash was touched before the head was refused", staged.name, late
    if device.info.slots[0] != info.slots[0] or device.info.updates != info.updates:
        return "streamed: the records say otherwise", staged.name, late
    return "", staged.name, late


def try_changes(signed: Signed, numbers: Sequence[int]) -> Tally:
    """Those changes with these numbers."""
    tally = Tally()
    wanted = set(numbers)
    contract = signed.contract
    geometry = native.geometry_of(contract)
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        device = _device(stack, contract, geometry, signed.base)
        for number, change in enumerate(changes_of(signed.patch)):
            if number not in wanted or change.data == signed.patch:
                continue
            wrong = give_to_tmd(signed, change, Path(name))
            found, status, late = give_to_device(device, change, signed.base)
            if late or found:  # the slot is not erased any more: a fresh device for the next one
                device = _device(stack, contract, geometry, signed.base)
            tally.changes += 1
            tally.late += late
            tally.statuses[status] = tally.statuses.get(status, 0) + 1
            if wrong or found:
                tally.taken.append(f"{signed.pair}, {signed.kind}, {change.what}: {wrong or found}")
    return tally


def _device(
    stack: contextlib.ExitStack, contract: Contract, geometry: native.Geometry, base: bytes
) -> native.Device:
    stack.close()
    device = stack.enter_context(native.Device.create(contract, 0, geometry))
    device.factory(base)
    if device.boot() is not Status.OK:
        raise SystemExit("tamper: the device does not start")
    return device


def campaign(
    made: Sequence[Signed], step: int, jobs: int
) -> tuple[dict[tuple[str, str], Tally], dict[str, int]]:
    """Tallies by pair and kind, and how many changes of each sort were made."""
    tallies = {(s.pair, s.kind): Tally() for s in made}
    sorts: dict[str, int] = {}
    work = []
    for signed in made:
        numbers = []
        for number, change in enumerate(changes_of(signed.patch)):
            if number % step == 0 and change.data != signed.patch:
                numbers.append(number)
                sorts[change.what] = sorts.get(change.what, 0) + 1
        work += [(signed, numbers[i : i + CHUNK]) for i in range(0, len(numbers), CHUNK)]
    progress = rich.progress.Progress(
        *rich.progress.Progress.get_default_columns(),
        rich.progress.TimeElapsedColumn(),
        console=rich.console.Console(stderr=True),
        transient=True,
    )
    with progress, ProcessPoolExecutor(jobs) as pool:
        bar = progress.add_task("tampering", total=len(work))
        futures = {pool.submit(try_changes, s, n): (s.pair, s.kind) for s, n in work}
        for future in as_completed(futures):
            tallies[futures[future]].add(future.result())
            progress.advance(bar)
    return tallies, sorts


def report(
    made: Sequence[Signed], tallies: dict[tuple[str, str], Tally], sorts: dict[str, int]
) -> list[tables.Table]:
    by_patch = tables.Table(
        "By patch",
        ("pair", "signature", "bytes", "changes", "taken", "streamed: found in the body"),
    )
    for signed in made:
        t = tallies[signed.pair, signed.kind]
        by_patch.add(signed.pair, signed.kind, len(signed.patch), t.changes, len(t.taken), t.late)
    by_sort = tables.Table("By sort of change", ("change", "how many"))
    for sort, n in sorts.items():
        by_sort.add(sort, n)
    by_status = tables.Table("Refused, staged, with", ("status", "how often"))
    statuses: dict[str, int] = {}
    for t in tallies.values():
        for status, n in t.statuses.items():
            statuses[status] = statuses.get(status, 0) + n
    for status, n in sorted(statuses.items(), key=lambda item: -item[1]):
        by_status.add(status, n)
    return [by_patch, by_sort, by_status]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="./run bench tamper", description=__doc__.splitlines()[0])
    parser.add_argument("--step", type=int, default=1, help="every N-th change only (1: all)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--out", type=Path, default=OUT, help="Markdown file of the whole campaign")
    given = parser.parse_args(arguments)
    if given.step < 1 or given.jobs < 1:
        parser.error("--step and --jobs are 1 or more")
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        made = prepare(Path(name))
        tallies, sorts = campaign(made, given.step, given.jobs)
    shown = report(made, tallies, sorts)
    total = sum(t.changes for t in tallies.values())
    taken = [line for t in tallies.values() for line in t.taken]
    seconds = time.monotonic() - started
    tables.print_all(shown, [f"{total:,} changes, {len(taken)} taken, {seconds:,.0f} s"])
    for line in taken[:20]:
        print(f"tamper: {line}", file=sys.stderr)
    if taken:
        return 1
    if given.step == 1:
        today = datetime.date.today().isoformat()
        given.out.write_text(
            "# Signed patches that were tampered with\n\n"
            f"Written by `./run bench tamper` on {today}, in {seconds:,.0f} s with {given.jobs} "
            f"processes: {total:,} changes, each given to `tmd apply` and, staged and streamed, to "
            "a device; none was taken. benchmarks/tamper.py says what each change is.\n\n"
            + "".join(map(tables.markdown, shown)),
            encoding="utf-8",
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
