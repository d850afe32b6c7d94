"""Time and energy on named parts, and the time to send: what of device.md is reckoned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from measure import tables

from . import sending
from .cores import BY_KEY
from .parts import Cost, Part, cost
from .running import Run, Way

FORMULAS = (
    "`time = instructions · CPI / clock + erases · t_erase + writes · t_write`",
    "`energy = V · (I_run · t_processor + I_flash · t_flash)`",
)

# Looked for; what is missing was found in no source.
NOT_FOUND = (
    "Left out, as no source was found for their numbers: STM32U585, RA4M1 and ESP32-C3 (flash"
    " times), STM32H743 (time to program)."
)


def of_way(part: Part, way: Way) -> Cost:
    return cost(part, *(way.total(name) for name in ("instructions", "erases", "written")))


def span(pair: tuple[float, float] | None, scale: float = 1.0) -> str:
    """Typical and most; once if they show the same."""
    if pair is None:
        return "–"
    low, high = (_short(value * scale) for value in pair)
    return low if low == high else f"{low} – {high}"


def _short(value: float) -> str:
    """Two or three digits that count."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def build_tables(
    parts: Sequence[Part], pairs: Sequence[str], runs: Mapping[tuple[str, str], Run]
) -> Iterator[tables.Table]:
    if not parts:
        return
    yield part_table(parts)
    for title, note, show in (
        (
            "Time of an update on named parts",
            "Seconds from mounting the store to the confirmed new model, streamed, default decoder,"
            " typical and most, without the time in which the patch comes. Flash operations were"
            " counted in each part's own geometry. The whole model, sent as it is, would take"
            " about the same erases and writes: what a patch saves is sending.",
            lambda part, way: span(of_way(part, way).seconds),
        ),
        (
            "Of that, the processor's time",
            "Seconds; the rest is flash.",
            lambda part, way: span(of_way(part, way).processor),
        ),
        (
            "Time of a staged update on named parts",
            "The same; the patch is kept in flash until it is all there, then checked and applied.",
            None,
        ),
    ):
        table = tables.Table(title, ("pair", *(part.name for part in parts)), note=note)
        for pair in pairs:
            cells = []
            for part in parts:
                run = runs.get((part.name, pair))
                if show is not None:
                    cells.append("–" if run is None else show(part, run.streamed))
                else:
                    staged = run.staged if run else None
                    cells.append("–" if staged is None else span(of_way(part, staged).seconds))
            table.add(pair, *cells)
        yield table
    known = [part for part in parts if part.run_ma is not None]
    if known:
        yield energy_table(known, pairs, runs)


def energy_table(
    parts: Sequence[Part], pairs: Sequence[str], runs: Mapping[tuple[str, str], Run]
) -> tables.Table:
    columns = []
    for part in parts:
        columns += [f"{part.name}: processor", f"{part.name}: flash"]
        if part.radio_ma is not None:
            columns += [f"{part.name}: patch by BLE", f"{part.name}: model by BLE"]
    table = tables.Table(
        "Energy of an update on named parts",
        ("pair", *columns),
        note="Millijoules, streamed, default decoder, typical and most. Flash: by the current that"
        " the data sheet gives for erasing and programming; what a processor that waits draws"
        " beside it is in no figure. By BLE: the radio while the packets of the table below come,"
        " where the current of receiving was found. A dash is not known, and is not nothing.",
    )
    for pair in pairs:
        cells = []
        for part in parts:
            run = runs.get((part.name, pair))
            cells += _energies(part, run) if run else ["–"] * (4 if part.radio_ma else 2)
        table.add(pair, *cells)
    return table


def _energies(part: Part, run: Run) -> list[str]:
    found = of_way(part, run.streamed)
    cells = [span(found.processor_mj), span(found.flash_mj)]
    if part.radio_ma is not None and part.volts is not None:
        for size in (run.patch_bytes, run.target_bytes):
            cells.append(_short(part.volts * part.radio_ma * sending.ble_radio_seconds(size)))
    return cells


def part_table(parts: Sequence[Part]) -> tables.Table:
    table = tables.Table(
        "Parts",
        ("part", "core", "MHz", "CPI", "erase unit", "ms", "write unit", "µs", "mA running",
         "mA flash", "V"),
        note="The numbers are those of data sheets, typical and most; sources below. CPI, cycles"
        " per instruction, is an assumption, and a range: QEMU counts instructions, not cycles.\n\n"
        + "\n".join(f"- {formula}" for formula in FORMULAS)
        + "\n\n"
        + "\n".join(
            f"- {part.name}: {part.source}. Seen: {part.seen}. CPI: {part.cpi_why}."
            for part in parts
        )
        + f"\n- {NOT_FOUND}",
    )  # fmt: skip
    for part in parts:
        table.add(
            part.name, BY_KEY[part.core].name, f"{part.clock_mhz:g}",
            f"{part.cpi[0]:g} – {part.cpi[1]:g}", part.erase, span(part.erase_ms),
            part.write, span(part.write_us),
            *("–" if value is None else f"{value:g}"
              for value in (part.run_ma, part.flash_ma, part.volts)),
        )  # fmt: skip
    return table


def clock(seconds: float) -> str:
    if seconds < 120:
        return f"{_short(seconds)} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


SENDING_NOTE = (
    "The patch for the default decoder, and the whole model. Nothing is lost, and nothing of a"
    " management protocol comes on top.\n\n"
    f"- Serial line: {sending.UART_BAUD} baud, {sending.UART_BITS} bits a byte.\n"
    f"- Bluetooth LE: 1M PHY, ATT MTU 247, {sending.BLE_ATT_BYTES} bytes of the application in a"
    f" packet of {sending.BLE_PAYLOAD}, answered by an empty one, T_IFS 150 µs: one every"
    f" {sending.ble_exchange(sending.BLE_PAYLOAD) * 1e6:,.0f} µs; an assumed connection interval of"
    f" {sending.BLE_INTERVAL * 1e3:.0f} ms, with as many packets as fit"
    f" ({sending.ble_packets_most()}), or {sending.BLE_PACKETS_FEW}, which phones may keep to"
    " (Bluetooth Core Specification, vol. 6 part B).\n"
    "- LoRaWAN in EU868, 125 kHz, coding rate 4/5, downlinks: time on air by Semtech AN1200.13"
    " (SX1276 data sheet, 4.1.1.7); at most 222 bytes a frame at SF7 and 51 at SF12, and"
    f" {sending.LORAWAN_AROUND} around them (Regional Parameters RP002); on air"
    f" {sending.LORAWAN_DUTY:.0%} of the time (ETSI EN 300 220), as in the first receive window."
    f" In the second, at 869.525 MHz, {sending.LORAWAN_DUTY_RX2:.0%} are allowed: about"
    f" {sending.LORAWAN_DUTY / sending.LORAWAN_DUTY_RX2:g} of these times. The gateway sends to no"
    " other device meanwhile. A device of class A sends an uplink for each frame, which is not"
    " counted."
)


def sending_table(runs: Sequence[Run]) -> tables.Table:
    links = {
        "115200 baud": sending.uart_seconds,
        f"BLE, {sending.ble_packets_most()} packets": sending.ble_seconds,
        f"BLE, {sending.BLE_PACKETS_FEW} packets": lambda size: sending.ble_seconds(
            size, sending.BLE_PACKETS_FEW
        ),
        "LoRaWAN SF7": lambda size: sending.lorawan(size, 7).total,
        "LoRaWAN SF12": lambda size: sending.lorawan(size, 12).total,
    }
    columns = [f"{link}: {what}" for link in links for what in ("patch", "model")]
    table = tables.Table("Time to send", ("pair", *columns), note=SENDING_NOTE)
    for run in runs:
        cells = [
            clock(seconds(size))
            for seconds in links.values()
            for size in (run.patch_bytes, run.target_bytes)
        ]
        table.add(run.pair, *cells)
    return table
