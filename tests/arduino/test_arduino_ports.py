"""The ports of RA4M1 and ESP32 on a PC, each against a stand-in that knows its flash's rules."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from arduinokit import BOARDS, CPP, DIGITS, PORT, ROOT, STANDIN, TMD, C, missing, need, run

INCLUDES = [f"-I{ROOT / 'zephyr_module' / 'include'}", f"-I{PORT / 'src'}", f"-I{STANDIN}"]
ESP_PORT = ROOT / "zephyr_module" / "ports" / "esp_idf" / "tinymldelta"


def ask_ra4m1(source: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Build the questions with this source of the port, and ask them."""
    need("g++")
    port = folder / "tmd_ra4m1.cpp"
    port.write_text(source, encoding="utf-8")
    flags = [*INCLUDES, *BOARDS["uno_r4"].defines, "-Wno-attributes", "-Wno-unused"]
    files = [STANDIN / "sequencer.cpp", STANDIN / "ask_ra4m1.cpp", port]
    program = folder / "ask"
    run([*CPP, *flags, *files, *BOARDS["uno_r4"].link, "-o", program])
    return subprocess.run([program], capture_output=True, text=True)


def ra4m1_source() -> str:
    return (PORT / "src" / "tmd_ra4m1.c").read_text(encoding="utf-8")


def test_ra4m1_port_keeps_the_flashs_rules(tmp_path: Path) -> None:
    done = ask_ra4m1(ra4m1_source(), tmp_path)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


@pytest.mark.parametrize(
    ("what", "instead", "said"),
    [
        ("\tR_FCACHE->FCACHEIV = 1u;\n", "", "what flash held before"),
        ("\tR_FCACHE->FCACHEE = 0u;\n", "", "the cache is on"),
        ("\t__disable_irq();\n", "", "interrupts are on"),
        ("\tset_mode(MODE_DISCHARGE_1);\n\twait(job, WAIT_DISCHARGE);\n", "", "P/E mode"),
        ("\tset_mode(MODE_DISCHARGE_1);\n\tleave(job);", "\tleave(job);", "another order"),
        ("(uint8_t)~mode", "(uint8_t)mode", "inverse"),
        ("job->flash_mhz - 1u", "job->flash_mhz", "another clock"),
        ("R_FACI_LP->FISR & ~(uint32_t)CLOCK_MASK", "0u", "other bits"),
        ("\tif (R_FACI_LP->DFLCTL != 1u) {", "\tif (0) {", "data flash P/E mode"),
        ("\tR_FACI_LP->FWBH1 = two_bytes(data + 6);\n", "", "memcmp"),
        ("\t\tR_FACI_LP->FRESETR = 1u;\n", "", "without a reset"),
        (" || (R_FACI_LP->FSTATR2 & failed) != 0u", "", "== reported"),
        ("job->address + job->bytes - 1u", "job->address + job->bytes", "one block"),
        ("(R_FACI_LP->FENTRYR & ENTRY_ANY) == 0u", "1", "entered twice"),
        ("(uintptr_t)buf < BSP_ROM_SIZE_BYTES", "0", ""),
        ("first < tmd_ra4m1_sketch_end()", "0", ""),
        ("bytes > BSP_ROM_SIZE_BYTES - first", "first + bytes > BSP_ROM_SIZE_BYTES", ""),
        ("? 0u : MODE_LOW_VOLTAGE", "? 0u : 0u", "P/E mode"),
    ],
)  # fmt: skip
def test_a_port_that_does_not_is_found_out(
    what: str, instead: str, said: str, tmp_path: Path
) -> None:
    source = ra4m1_source()
    assert what in source
    done = ask_ra4m1(source.replace(what, instead), tmp_path)
    assert done.returncode != 0
    assert said in done.stderr


STRICT = (
    "-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror", "-O2",
)  # fmt: skip


@pytest.mark.parametrize("compiler", ["gcc", "gcc -m32", "gcc -fanalyzer", "clang"])
def test_files_for_every_board_keep_to_the_rules(compiler: str, tmp_path: Path) -> None:
    command = compiler.split()
    need(command[0])
    if command[-1] == "-m32":
        probe = subprocess.run(
            [*command, "-x", "c", "-", "-o", tmp_path / "probe"],
            input="#include <string.h>\nint main(void) { return 0; }\n", text=True,
            capture_output=True,
        )  # fmt: skip
        if probe.returncode != 0:
            missing("needs gcc -m32: apt install gcc-multilib")
    for name in ("tmd_serial", "tmd_ram", "tmd_library"):
        source = PORT / "src" / f"{name}.c"
        run([*command, *STRICT, *INCLUDES, "-c", source, "-o", tmp_path / f"{name}.o"])


def test_hostile_bytes(tmp_path: Path) -> None:
    """60,000 frames, under sanitizers."""
    need("gcc")
    models = f"digits={DIGITS / 'base.tflite'}"
    sizes = ["--slot", "8192", "--erase", "1024", "--write", "4"]
    run([*TMD, "codegen", models, "--out", tmp_path, *sizes])
    module = ROOT / "zephyr_module"
    files = [path for room in ("core", "store", "smp") for path in (module / room).glob("*.c")]
    files += [PORT / "src" / name for name in ("tmd_serial.c", "tmd_ram.c")]
    files += [STANDIN / "ask_serial.c", tmp_path / "tmd_model_digits.c"]
    sanitize = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    program = tmp_path / "ask"
    flags = ["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", f"-I{tmp_path}"]
    run(["gcc", *flags, *sanitize, *INCLUDES, *sorted(files), "-o", program])
    assert run([program]) == "done\n"


def test_how_long_a_poll_stays(tmp_path: Path) -> None:
    need("gcc", "g++")
    models = f"digits={DIGITS / 'base.tflite'}"
    sizes = ["--slot", "8192", "--erase", "1024", "--write", "4"]
    run([*TMD, "codegen", models, "--out", tmp_path, *sizes])
    module, source = ROOT / "zephyr_module", PORT / "src"
    files = [path for room in ("core", "store", "smp") for path in (module / room).glob("*.c")]
    files += [source / f"{name}.c" for name in ("tmd_serial", "tmd_ram", "tmd_library")]
    files.append(tmp_path / "tmd_model_digits.c")
    run([*C, *INCLUDES, "-c", *sorted(files)], cwd=tmp_path)
    cpp = [STANDIN / "ask_poll.cpp", source / "TinyMLDeltaSerial.cpp"]
    program = tmp_path / "ask"
    run([*CPP, *INCLUDES, f"-I{tmp_path}", *cpp, *tmp_path.glob("*.o"), "-no-pie", "-o", program])
    assert run([program]) == "done\n"


TABLE = """# Name, Type, SubType, Offset, Size, Flags
app,     app,  ota_0, 0x10000,  0x100000
good,    data, 0x40,  0x200000, 0x4000
secret,  data, 0x40,  0x204000, 0x4000, encrypted
fixed,   data, 0x40,  0x208000, 0x4000, readonly
crooked, data, 0x40,  0x20c000, 0x4800
"""


def test_esp_port(tmp_path: Path) -> None:
    need("gcc")
    table = tmp_path / "table.csv"
    table.write_text(TABLE, encoding="utf-8")
    flags = [*INCLUDES, f"-I{STANDIN / 'esp'}", f"-I{ESP_PORT}", "-DESP_PLATFORM"]
    files = [ESP_PORT / "tmd_esp_partition.c"]
    files += [STANDIN / "esp" / name for name in ("partitions.c", "ask_esp.c")]
    program = tmp_path / "ask"
    run([*C, "-Wconversion", "-Wshadow", *flags, *files, "-no-pie", "-o", program])
    assert run([program, table]) == "done\n"


@pytest.mark.parametrize("sample", ["arduino/esp32", "esp_idf"])
def test_partition_table(sample: str) -> None:
    """As gen_esp32part.py of ESP-IDF wants it, in 4 MB; and with all that the sample opens."""
    text = (ROOT / "samples" / sample / "partitions.csv").read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.split(",")]
        for line in text.splitlines()
        if line and not line.startswith("#")
    ]
    end = 0x9000  # behind boot loader and table
    for name, kind, _, offset, size in rows:
        assert 0 < len(name) <= 16
        assert int(offset, 0) >= end, name
        assert int(offset, 0) % (0x10000 if kind == "app" else 0x1000) == 0, name
        assert int(size, 0) % 0x1000 == 0
        end = int(offset, 0) + int(size, 0)
    assert end <= 0x400000
    assert len({row[0] for row in rows}) == len(rows)
    slots = {row[0]: int(row[4], 0) for row in rows if row[0].startswith("tmd_")}
    assert slots.keys() == {"tmd_slot0", "tmd_slot1", "tmd_staging", "tmd_records"}
    assert slots["tmd_slot0"] == slots["tmd_slot1"]
    assert slots["tmd_records"] >= 2 * 0x1000
    sources = [
        path.read_text(encoding="utf-8")
        for path in (ROOT / "samples" / sample).rglob("*")
        if path.suffix in (".ino", ".c")
    ]
    assert all(f'"{name}"' in "".join(sources) for name in slots)
