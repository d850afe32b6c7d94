"""What an update costs on emulated cores: counted, repeatable, limited; and what is reckoned."""

from __future__ import annotations

import dataclasses
import io
import os
import re
from pathlib import Path

import pytest
import rich.console

from device import command, limits, parts, report, report_parts, rivals, running, sending
from device.build import DECODER, Built, build
from device.cores import BY_KEY
from device.jobs import USUAL, Geometry, make_patch
from device.running import Phase, Run, RunError, Way, read_run, run
from measure import tables
from measure.pairs import SAMPLES, Pair, command_of, find_pairs

QUICK = ("m0", "m33", "rv32")
HEADER = "\t".join(
    ("pair", "core", "tool", "version", "options", "patch_bytes", "instructions", "code_bytes",
     "ram_bytes", "stack_bytes", "note")
)  # fmt: skip


@pytest.fixture(scope="module")
def tools() -> None:
    """Skip without the tools; in CI, where nothing is to be skipped, fail."""
    if hint := command.hints(list(BY_KEY.values())):
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"needs: {hint}")


@pytest.fixture(scope="module")
def pair() -> Pair:
    return Pair.read(SAMPLES / "sst")


@pytest.fixture(scope="module")
def built(tools: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Built]:
    """The firmware with the default decoder, for the cores of QUICK and the Cortex-M0+."""
    folder = tmp_path_factory.mktemp("device")
    return {key: build(BY_KEY[key], DECODER["default"], folder) for key in (*QUICK, "m0plus")}


def run_on(key: str, built: dict[str, Built], pair: Pair, folder: Path, geometry: Geometry) -> Run:
    decoder = DECODER["default"]
    patch = make_patch(pair, decoder)
    return run(BY_KEY[key], built[key], decoder, pair, patch, geometry, folder)


@pytest.mark.parametrize("key", QUICK)
def test_an_update_is_counted_the_same_on_every_run(
    key: str, built: dict[str, Built], pair: Pair, tmp_path: Path
) -> None:
    geometry = command.geometry_of(BY_KEY[key])
    first = run_on(key, built, pair, tmp_path, geometry)
    assert run_on(key, built, pair, tmp_path, geometry) == first
    assert first.guarded
    assert first.staged is not None
    assert 100 < first.decode_per_byte < 1000
    # The store does more than to decode, and decodes twice what is staged.
    assert first.streamed.total("instructions") > first.decode + 2 * len(pair.target) * 100
    assert first.staged.phases["apply"].instructions > 2 * first.decode
    # A write of all of it, in units of 4 bytes, and records; each erase unit once.
    assert first.streamed.total("written") >= len(pair.target)
    units = -(-(len(pair.target) + 192) // geometry.erase)
    assert first.streamed.phases["stream"].erases in (units, units + 1)  # and of the records
    assert first.staged.total("written") > first.streamed.total("written")
    assert first.structs["patch"] < first.structs["update"] < first.ram
    assert 0 < first.stack < 1024
    assert built[key].static == 0
    assert min(built[key].code.values()) > 0


def test_the_cortex_m0_takes_what_its_code_takes_elsewhere(
    built: dict[str, Built], pair: Pair, tmp_path: Path
) -> None:
    """The Cortex-M0+'s code runs on a Cortex-M3, instruction for instruction."""
    there = run_on("m0plus", built, pair, tmp_path, Geometry(1024, 4))
    here = run_on("m0", built, pair, tmp_path, Geometry(1024, 4))
    ticks = 2 * 63
    for name in ("head", "decode", "digest"):
        assert abs(there.alone[name].instructions - here.alone[name].instructions) < ticks
    for what in ("erases", "writes", "written", "reads", "read"):
        assert there.streamed.total(what) == here.streamed.total(what)


def test_flash_of_a_part_is_counted_in_its_own_units(
    built: dict[str, Built], pair: Pair, tmp_path: Path
) -> None:
    part = next(part for part in parts.read_parts() if part.core == "m33")
    coarse = run_on("m33", built, pair, tmp_path, part.geometry)
    fine = run_on("m33", built, pair, tmp_path, Geometry(256, 16))
    assert coarse.streamed.total("written") % part.write == 0
    assert fine.streamed.total("erases") > len(pair.target) // 256
    assert coarse.streamed.total("erases") < fine.streamed.total("erases")


def told(run: Run) -> list[int]:
    """Instructions of each phase."""
    assert run.staged is not None
    phases = [*run.staged.phases.values(), *run.streamed.phases.values(), *run.alone.values()]
    return [phase.instructions for phase in phases]


def test_a_counter_that_went_round_too_often_is_found(
    built: dict[str, Built], pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With smaller counters: one has room for each phase, if not for all, the other one has not."""
    usual = told(run_on("m33", built, pair, tmp_path, USUAL))
    core, decoder = BY_KEY["m33"], DECODER["default"]
    patch = make_patch(pair, decoder)

    def run_with(bits: int) -> Run:
        monkeypatch.setattr(running, "ROUND", 1 << bits)
        cpu = (*core.board.cpu, f"-DSYST_MAX={(1 << bits) - 1:#x}u")
        smaller = dataclasses.replace(core, board=dataclasses.replace(core.board, cpu=cpu))
        folder = tmp_path / str(bits)
        folder.mkdir()
        firmware = build(smaller, decoder, folder)
        return run(smaller, firmware, decoder, pair, patch, USUAL, folder)

    assert max(usual) < 50 << 17 < sum(usual)
    for now, then in zip(told(run_with(17)), usual, strict=True):
        assert abs(now - then) <= 50  # a tick, as counting the round takes some
    assert max(usual) > 50 << 16
    with pytest.raises(ValueError, match="sst takes more instructions on Cortex-M33 than its"):
        run_with(16)


def test_what_a_part_has_no_room_for_is_left_out(
    tools: None, built: dict[str, Built], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And named, instead of ending the bench with nothing."""
    monkeypatch.setattr(command, "DECODERS", (DECODER["default"],))
    monkeypatch.setattr(command, "build", lambda core, decoder, folder: built[core.key])
    monkeypatch.setattr(limits, "TARGETS", {})
    part = next(part for part in parts.read_parts() if part.core == "m33")
    tiny = dataclasses.replace(part, name="tiny", erase=2, write=2)
    pairs = [Pair.read(SAMPLES / "sst")]
    console = rich.console.Console(file=io.StringIO())
    found = command.measure([BY_KEY["m33"]], pairs, [part, tiny], tmp_path, console)
    assert list(found.on_parts) == [(part.name, "sst")]
    assert found.left_out == ["sst does not fit Cortex-M33, in the units of tiny"]


def test_a_wrong_target_is_found(built: dict[str, Built], pair: Pair, tmp_path: Path) -> None:
    decoder, core = DECODER["default"], BY_KEY["m33"]
    patch = make_patch(pair, decoder)
    other = dataclasses.replace(patch, data=patch.data[:-9])
    with pytest.raises(RunError, match="sst, default, on Cortex-M33: apply ended with status -"):
        run(core, built["m33"], decoder, pair, other, USUAL, tmp_path)
    wrong = Pair(pair.name, pair.base, pair.target[:-1] + b"\xff")
    with pytest.raises(RunError, match="slot, bytes and CRC-32 are"):
        run(core, built["m33"], decoder, wrong, patch, USUAL, tmp_path)
    with pytest.raises(ValueError, match="does not fit Cortex-M0"):
        large = Pair("large", bytes(1 << 17), bytes(1 << 17))
        run(BY_KEY["m0"], built["m0"], decoder, large, patch, Geometry(1024, 4), tmp_path)


def test_output_that_is_not_whole_is_refused(pair: Pair) -> None:
    decoder, core = DECODER["default"], BY_KEY["m33"]
    patch = make_patch(pair, decoder)
    for output, status, message in (
        ("", 1, "no result"),
        ("processor fault\n", 99, "processor fault"),
        ("sizes 1 2 3 4\nmount 0 1 2 3 4 5 6 7\n", 0, "said .*mount.*, not"),
        ("sizes 1 2 3 4\nmount 14 1 2 3 4 5 6 7\n", 1, "mount ended with status -14"),
    ):
        with pytest.raises(RunError, match=message):
            read_run(core, decoder, pair, patch, status, output, staged=False)


# ---- limits ----


def a_run(core: str, instructions: int, pair: str = "a", patch: int = 400) -> Run:
    """A run of 1,000 bytes of which the decoder alone took so many instructions."""
    phase = Phase(0, instructions, 100, 1, 1, 1000, 1, 1000)
    none = dataclasses.replace(phase, instructions=0)
    alone = {"head": none, "guard": none, "decode": phase, "digest": phase}
    structs = {"store": 10, "update": 20, "staging": 5, "patch": 15}
    way = Way({"mount": phase, "stream": phase, "start": phase})
    return Run(core, "default", pair, 1000, 1000, patch, patch, True, way, None, alone, structs)


def test_limits_are_those_of_the_other_benches() -> None:
    runs = [a_run("m33", 1_000_001), a_run("m33", 59_000, "b", 5), a_run("m0plus", 1_500_000)]
    found = {limit.what: limit for limit in limits._instructions("m33", runs)}
    tuned, unchanged = found.values()
    assert (tuned.most, tuned.holds, unchanged.most, unchanged.holds) == (1000, False, 60, True)
    assert "EXCEEDED" in str(tuned)
    (smaller,) = limits._instructions("m0plus", runs)
    assert (smaller.value, smaller.most, smaller.holds) == (1500, 1400, False)


def test_an_exceeded_limit_ends_the_command_with_1(
    built: dict[str, Built], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """The whole command, on one core with one decoder: the report's rows, and the exit status."""
    for module in (command, report, limits):
        monkeypatch.setattr(module, "DECODERS", (DECODER["default"],))
    monkeypatch.setattr(command, "build", lambda core, decoder, folder: built[core.key])
    monkeypatch.setattr(limits, "WHOLE", {"default": limits.WHOLE["default"]})
    monkeypatch.setattr(limits.speed, "MOST_FINE_TUNE", 10)
    out = tmp_path / "device.md"
    assert command.main(["--board", "mps2_an505", "--out", str(out)]) == 1
    assert "fine-tune: 840.2 of 10, EXCEEDED" in capsys.readouterr().err
    text = out.read_text()
    assert text.startswith("# What an update costs on a device\n\nWritten by `./run bench device")
    assert "- code on Cortex-M33, streamed, with store, bytes: " in text
    for heading in (
        "Pairs", "The cores side by side", "Instructions per byte on Cortex-M33",
        "What an update consists of, on Cortex-M33", "Code by function group", "RAM",
        "Flash operations", "Parts", "Time of an update on named parts", "Time to send",
    ):  # fmt: skip
        assert f"\n## {heading}\n" in text
    assert "| digits | 6,432 | 6,432 |" in text
    assert "| default: guardrails |" in text
    assert "Cortex-M0" not in text.split("## Pairs")[1].split("## Flash")[0]
    assert str(tmp_path) not in text
    assert (tmp_path / "device" / "device.svg").read_text().count("<svg") == 1


def test_wrong_calls(tmp_path: Path, capsys: pytest.CaptureFixture[str], tools: None) -> None:
    with pytest.raises(SystemExit, match="2"):
        command.main(["--board", "mps3"])
    assert "no core or board is called 'mps3'; choose from m0, microbit" in capsys.readouterr().err
    for folder in (tmp_path, tmp_path / "none"):
        assert command.main([str(folder), "--out", str(tmp_path / "device.md")]) == 1
        assert "no folder with base.tflite" in capsys.readouterr().err
    assert not (tmp_path / "device.md").exists()


def test_a_command_names_no_folder_of_this_machine(tmp_path: Path) -> None:
    assert command_of("speed", SAMPLES) == "./run bench speed"
    assert command_of("speed", Path(os.path.relpath(SAMPLES))) == "./run bench speed"
    inside = SAMPLES / "digits"
    assert command_of("device", inside) == "./run bench device samples/host/models/digits"
    assert command_of("device", tmp_path / "corpus") == "./run bench device corpus"
    assert [pair.name for pair in find_pairs(SAMPLES)] == ["digits", "sst"]
    assert find_pairs(tmp_path / "corpus") == []


# ---- parts ----

GOOD = """[[part]]
name = "A part"
core = "m33"
clock_mhz = 100
erase = 4096
write = 4
erase_ms = [10, 20]
write_us = [50, 100]
cpi = [1.0, 1.5]
cpi_why = "said"
run_ma = 5
flash_ma = 2
volts = 3
source = "a data sheet"
seen = "there"
"""


def test_time_and_energy_are_as_the_formulas_have_it(tmp_path: Path) -> None:
    file = tmp_path / "parts.toml"
    file.write_text(GOOD)
    (part,) = parts.read_parts(file)
    found = parts.cost(part, instructions=100_000_000, erases=3, written=1001)
    assert found.processor == pytest.approx((1.0, 1.5))
    # 251 units of 4 bytes
    assert found.flash == pytest.approx((0.03 + 251 * 50e-6, 0.06 + 251 * 100e-6))
    assert found.seconds == pytest.approx((1.04255, 1.5851))
    assert found.processor_mj == pytest.approx((15.0, 22.5))
    assert found.flash_mj == pytest.approx((6 * 0.04255, 6 * 0.0851))
    file.write_text("".join(line for line in GOOD.splitlines(True) if "_ma" not in line
                            and "volts" not in line))  # fmt: skip
    (silent,) = parts.read_parts(file)
    none = parts.cost(silent, 1, 1, 1)
    assert (none.processor_mj, none.flash_mj) == (None, None)


@pytest.mark.parametrize(
    ("line", "instead", "message"),
    [
        ('name = "A part"\n', "", r"part 1: name is missing; give it"),
        ('core = "m33"\n', 'core = "z80"\n', r"part 1 \(A part\): no core is called 'z80'; choose"),
        ("write = 4\n", "write = 12\n", "units of 12 bytes do not make up"),
        ("erase = 4096\n", "erase = 0\n", "erase is 0; give a number above 0"),
        ("erase = 4096\n", "erase = 0.5\n", "erase is 0.5; give whole bytes"),
        ("erase_ms = [10, 20]\n", "erase_ms = 10\n", r"erase_ms is 10; give \[typical, most\]"),
        ("erase_ms = [10, 20]\n", "erase_ms = [20, 10]\n", "the most stands second"),
        ("cpi = [1.0, 1.5]\n", 'cpi = ["1", 2]\n', "cpi is '1'; give a number above 0"),
        ("volts = 3\n", "", "volts and run_ma stand together"),
        ("volts = 3\n", "volts = true\n", "volts is True; give a number above 0"),
        ('source = "a data sheet"\n', 'source = ""\n', "source is not a text"),
        ("run_ma = 5\n", "run_mA = 5\n", "run_mA is not known; known are"),
        ("[[part]]\n", "[part]\n", "no parts; give each a table"),
        ("clock_mhz = 100\n", "clock_mhz = \n", "cannot be read"),
        ('seen = "there"\n', 'seen = "there"\n' + GOOD, "A part is there twice"),
    ],
)
def test_a_wrong_part_is_refused(line: str, instead: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "parts.toml"
    assert GOOD.count(line) == 1
    file.write_text(GOOD.replace(line, instead))
    with pytest.raises(parts.PartsError, match=f"^parts.toml: .*{message}"):
        parts.read_parts(file)


def test_every_part_has_sources() -> None:
    found = parts.read_parts()
    assert {part.core for part in found} >= {"m0plus", "m33", "rv32"}
    for part in found:
        assert len(part.source) > 20
        assert len(part.seen) > 10


# ---- sending ----


@pytest.mark.parametrize(
    ("size", "sf", "milliseconds"),
    [
        # rfwireless-world.com, LoRaWAN airtime calculator: examples 1 and 2, and its table
        (10, 7, 41.216),
        (10, 11, 577.536),
        (10, 12, 991.232),
        (10, 8, 72.192),
        # The spreadsheet by the formulas of AN1200.13 that The Things Network links to
        (13, 9, 164.864),
    ],
)
def test_time_on_air_of_published_examples(size: int, sf: int, milliseconds: float) -> None:
    assert sending.lora_airtime(size, sf) * 1e3 == pytest.approx(milliseconds, abs=1e-3)


def test_lorawan_fills_frames_and_keeps_to_the_duty_cycle() -> None:
    one = sending.lorawan(222, 7)
    assert one.frames == 1
    assert one.total == one.air == pytest.approx(sending.lora_airtime(235, 7, crc=False))
    two = sending.lorawan(223, 7)
    assert two.frames == 2
    # A frame, 99 times as long silent, and the short one.
    assert two.total == pytest.approx(100 * one.air + sending.lora_airtime(14, 7, crc=False))
    assert sending.lorawan(102, 12).frames == 2
    assert sending.lorawan(102, 12).total == pytest.approx(
        101 * sending.lora_airtime(64, 12, crc=False)
    )


def test_bluetooth_and_the_serial_line() -> None:
    # punchthrough.com, BLE throughput part 3: without extension, 27 bytes every 496 us at 2M
    assert sending.ble_exchange(27, megabits=2) == pytest.approx(496e-6)
    # 251 + 10 bytes, an empty packet of 10, twice 150 us
    assert sending.ble_exchange(251) == pytest.approx(2468e-6)
    assert sending.ble_packets_most() == 12
    assert sending.ble_seconds(244) == pytest.approx(2468e-6)
    assert sending.ble_seconds(12 * 244) == pytest.approx(30e-3)
    assert sending.ble_seconds(5 * 244, 4) == pytest.approx(30e-3 + 2468e-6)
    # What is called about 800 kbit/s
    assert 244 * 8 / sending.ble_exchange(251) == pytest.approx(791e3, rel=1e-3)
    assert sending.uart_seconds(11_520) == 1.0


def committed(heading: str) -> str:
    """A section of device.md."""
    text = command.DEFAULT_OUT.read_text(encoding="utf-8")
    return text.split(f"## {heading}\n")[1].split("\n## ")[0]


def rows_under(heading: str) -> list[list[str]]:
    """The cells of its table, without the two lines of the head."""
    lines = [line for line in committed(heading).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_committed_tables_are_what_formulas_and_parts_have() -> None:
    """What is reckoned from the sizes alone, and the parts with their sources and notes."""
    sizes = {
        row[0].removesuffix(" *"): tuple(int(cell.replace(",", "")) for cell in row[1:])
        for row in rows_under("Pairs")
    }
    of_parts = parts.read_parts()
    assert tables.markdown(report_parts.part_table(of_parts)).strip() == (
        f"## Parts\n{committed('Parts')}".strip()
    )
    runs = []
    for pair, (base, target, *_, patch) in sizes.items():
        run = a_run("m33", 1, pair)
        runs.append(
            dataclasses.replace(run, base_bytes=base, target_bytes=target, patch_bytes=patch)
        )
    assert len(runs) == 17
    assert tables.markdown(report_parts.sending_table(runs)).strip() == (
        f"## Time to send\n{committed('Time to send')}".strip()
    )
    found = report_parts.energy_table(of_parts, [], {})
    assert found.note in committed("Energy of an update on named parts")
    radio = next(part for part in of_parts if part.radio_ma is not None)
    assert radio.volts is not None and radio.radio_ma is not None
    for row, run in zip(rows_under("Energy of an update on named parts"), runs, strict=True):
        # V * mA * s is mJ: packets of 244 bytes, 2,468 us each.
        for cell, size in zip(row[-2:], (run.patch_bytes, run.target_bytes), strict=True):
            millijoules = radio.volts * radio.radio_ma * -(-size // 244) * 2468e-6
            assert float(cell) == pytest.approx(millijoules, rel=0.01), row[0]


def test_the_committed_times_follow_from_the_committed_counts() -> None:
    """On the nRF52840, whose flash has the units of "Flash operations", from its core's table."""
    part = next(part for part in parts.read_parts() if part.name == "nRF52840")
    assert part.geometry == USUAL
    targets = {
        row[0].removesuffix(" *"): int(row[2].replace(",", "")) for row in rows_under("Pairs")
    }
    per_byte = {row[0]: float(row[8].replace(",", "")) for row in
                rows_under("Instructions per byte on Cortex-M4F")}  # fmt: skip
    flash = {row[0]: (int(row[1]), int(row[3].replace(",", ""))) for row in
             rows_under("Flash operations")}  # fmt: skip
    times = {row[0]: row[4] for row in rows_under("Time of an update on named parts")}
    energies = {row[0]: row[3] for row in rows_under("Energy of an update on named parts")}
    for pair, target in targets.items():
        erases, written = flash[pair]
        processor = per_byte[pair] * target / 64e6
        in_flash = erases * 85e-3 + written / 4 * 41e-6
        for cell, least in ((times[pair], processor + in_flash), (energies[pair], processor * 9.9)):
            assert float(cell.split(" – ")[0]) == pytest.approx(least, rel=0.02), pair
        assert float(times[pair].split(" – ")[-1]) == pytest.approx(
            1.5 * processor + in_flash, rel=0.02
        )


def test_the_readme_has_the_figures_of_the_committed_tables() -> None:
    """All of them of the same pairs."""
    text = committed("Decoders side by side, on Cortex-M33")
    figures = {}
    for name in ("default", "lean"):
        line = re.search(
            rf"^- Ours, format 2, {name} decoder, against HPatchLite, .*, which sends least of the"
            r" others: bytes sent ([\d.]+) ×, instructions ([\d.]+) ×, .*code ([\d.]+) ×\.$",
            text, re.MULTILINE,
        )  # fmt: skip
        assert line is not None
        figures[name] = [float(number) for number in line.groups()]
    (sent, instructions, code), (lean_sent, lean_instructions, _) = figures.values()
    summary = {(row[0], row[1]): row[3:] for row in rows_under("The cores side by side")}
    alone, _, streamed, most, *_ = summary["Cortex-M33", "default"]
    readme = (SAMPLES.parents[2] / "README.md").read_text(encoding="utf-8")
    for words in (
        f"a streamed update takes {float(streamed):.0f} instructions per byte of the model (median"
        f" of 17 pairs, at most {float(most.replace(',', '')):,.0f}), of which decoding is"
        f" {float(alone):.0f}.",
        f"have {sent:.2f} of the size of the best other tool's for microcontrollers (HPatchLite),"
        f" and it takes {instructions:.1f} times its instructions, {code:.1f} times its code,",
        f"the lean decoder's have {lean_sent:.2f}, for {lean_instructions:.1f} times its",
    ):
        assert words in readme, words


def test_times_are_told_in_units_that_fit() -> None:
    assert report_parts.clock(0.0123) == "0.012 s"
    assert report_parts.clock(119) == "119 s"
    assert report_parts.clock(240) == "4.0 min"
    assert report_parts.clock(36_000) == "10.0 h"
    assert report_parts.span((1.0, 1.0)) == "1.00"
    assert report_parts.span((0.0456, 12.34)) == "0.046 – 12.3"
    assert report_parts.span(None) == "–"


# ---- others ----


def rows_of(*lines: tuple[str, str, int, int, int, int], folder: Path) -> list[rivals.Row]:
    file = folder / "decoders.tsv"
    text = [HEADER]
    for tool, pair, sent, instructions, code, ram in lines:
        text.append(f"{pair}\tm33\t{tool}\t1\t\t{sent}\t{instructions}\t{code}\t{ram}\t100\t")
    file.write_text("\n".join(text) + "\n")
    return rivals.read_rows(file)


def test_sentences_on_others_come_from_the_data(tmp_path: Path) -> None:
    rows = rows_of(
        ("copy", "a", 1000, 1000, 10, 10), ("copy", "b", 1000, 1000, 10, 10),
        ("tinymldelta", "a", 100, 8000, 9000, 6000), ("tinymldelta", "b", 200, 8000, 9000, 6000),
        ("theirs", "a", 200, 2000, 3000, 1000), ("theirs", "b", 100, 2000, 3000, 1000),
        folder=tmp_path,
    )  # fmt: skip
    best, against = rivals.verdicts(rows, "m33")
    assert best == (
        "Ours, tinymldelta, against the best of the others in each: Behind: bytes sent, 1.00 ×"
        " theirs, ahead of all on 1 of 2 pairs; instructions, 4.00 × theirs, ahead of all on 0 of 2"
        " pairs; RAM with stack, 5.55 × theirs; code, 3.00 × theirs."
    )
    assert against.startswith("Ours, tinymldelta, against theirs, which sends least of the others:")
    assert against.endswith(
        "bytes sent 1.00 ×, instructions 4.00 ×, RAM with stack 5.55 ×, code 3.00 ×."
    )
    table = rivals.table(rows, "m33", "M33", {"a": 1000, "b": 1000})
    assert table is not None
    text = tables.markdown(table)
    assert "| tinymldelta | 0.141 | 8.0 | 8.0 | 6,000 | 100 | 9,000 |" in text
    assert "\n- theirs: 1\n" in text
    assert "copy" not in text
    assert list(rivals.verdicts(rows, "m0plus")) == []
    assert rivals.table(rows, "m0plus", "M0+", {"a": 1000, "b": 1000}) is None
    better = [
        dataclasses.replace(r, patch_bytes=50) if r.tool == "tinymldelta" else r for r in rows
    ]
    best, _ = rivals.verdicts(better, "m33")
    assert "Ahead: bytes sent, 0.35 × theirs, ahead of all on 2 of 2 pairs. Behind: inst" in best


def test_without_others_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert rivals.read_rows(tmp_path / "decoders.tsv") == []
    (tmp_path / "decoders.tsv").write_text("pair\tcore\n")
    with pytest.raises(ValueError, match=r"decoders\.tsv"):
        rivals.read_rows(tmp_path / "decoders.tsv")


def test_cores_that_treat_flash_differently_are_found() -> None:
    results = report.Results([BY_KEY["m33"], BY_KEY["rv32"]], ["a"])
    results.runs["m33", "default", "a"] = a_run("m33", 1000)
    results.runs["rv32", "default", "a"] = a_run("rv32", 2000)
    assert report.flash_differs(results) == []
    other = a_run("rv32", 2000)
    other.streamed.phases["stream"] = dataclasses.replace(other.streamed.phases["stream"], erases=2)
    results.runs["rv32", "default", "a"] = other
    assert report.flash_differs(results) == ["a, default"]
