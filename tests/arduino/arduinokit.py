"""Builds the Arduino library's files and the sketches on a PC, and runs the sketches.

What stands for Arduino, for the RA4M1's flash and for ESP-IDF is our own, in standin/.
"""

from __future__ import annotations

import importlib.util
import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import pytest

IN_CI = os.environ.get("CI") == "true"
HERE = Path(__file__).resolve().parent
STANDIN = HERE / "standin"
ROOT = HERE.parents[1]
PORT = ROOT / "zephyr_module" / "ports" / "arduino"
SAMPLES = ROOT / "samples" / "arduino"
SEND = SAMPLES / "send.py"
TMD = (sys.executable, "-c", "from tinymldelta.cli.main import main; main()")
DIGITS = ROOT / "samples" / "host" / "models" / "digits"

# Between whoever reads the sketch's name from its output and a machine under load.
START_SECONDS = 30.0


def missing(what: str) -> None:
    (pytest.fail if IN_CI else pytest.skip)(what)


def need(*tools: str) -> None:
    packages = {
        "arm-none-eabi-gcc": "gcc-arm-none-eabi libnewlib-arm-none-eabi",
        "arm-none-eabi-g++": "gcc-arm-none-eabi libstdc++-arm-none-eabi-newlib",
        "riscv64-unknown-elf-gcc": "gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf",
    }
    for tool in tools:
        if shutil.which(tool) is None:
            missing(f"needs {tool}: apt install {packages.get(tool, tool)}")


def run(command: Sequence[str | Path], **options: object) -> str:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, **options
    )  # type: ignore[call-overload]
    assert done.returncode == 0, f"{command[0]}: {done.stdout}{done.stderr}"
    return str(done.stdout)


def load_program(name: str, path: Path) -> ModuleType:
    """A program that is in no package, as a module of this name."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


def load_bundle() -> ModuleType:
    return load_program("bundle", PORT / "bundle.py")


def load_send() -> ModuleType:
    return load_program("arduino_send", SEND)


def unpack(folder: Path, options: Mapping[str, str] | None = None) -> Path:
    """The library, as the IDE has it once its zip was added."""
    archive = folder / "library.zip"
    load_bundle().assemble(archive, dict(options or {}))
    with zipfile.ZipFile(archive) as file:
        file.extractall(folder)
    return folder / "TinyMLDelta"


def compile_all(
    files: Sequence[Path], folder: Path, compiler: Sequence[str], base: Path
) -> list[Path]:
    """Each file to an object, named by where it lies below `base`."""
    folder.mkdir(parents=True, exist_ok=True)
    objects = []
    for file in files:
        name = str(file.relative_to(base)).replace(os.sep, "_")
        objects.append(folder / f"{name}.o")
        run([*compiler, "-c", file, "-o", objects[-1]])
    return objects


def assert_stays_in_ram(made: Path) -> None:
    """What runs while flash cannot be read asks for nothing outside of its section."""
    listing = run(["arm-none-eabi-objdump", "-dr", "-j", ".code_in_ram", made])
    assert "<do_job>:" in listing
    assert "<announce_clock>:" in listing
    assert not re.search(r"\bR_ARM_\w+", listing), listing
    assert not re.search(r"\b(bl|blx)\b", listing), listing
    symbols = run(["arm-none-eabi-nm", "--undefined-only", made])
    assert set(re.findall(r"U (\S+)", symbols)) <= {
        "memcpy", "memset", "SystemCoreClock", "__etext", "__data_start__", "__data_end__",
    }  # fmt: skip


@dataclass(frozen=True)
class Board:
    """How a sketch is built to run on a PC."""

    name: str
    defines: tuple[str, ...]
    includes: tuple[Path, ...]
    standins: tuple[Path, ...]
    link: tuple[str, ...] = ()
    # Library files that have to be compiled as C++, because the stand-in's registers are.
    as_cpp: tuple[str, ...] = ()


BOARDS = {
    board.name: board
    for board in (
        Board(
            "uno_r4",
            ("-DARDUINO_ARCH_RENESAS_UNO",),
            (STANDIN,),
            (STANDIN / "sequencer.cpp", STANDIN / "uno_r4.cpp"),
            (
                "-no-pie",
                "-Wl,--defsym=__etext=0x12000",
                "-Wl,--defsym=__data_start__=0x20000000",
                "-Wl,--defsym=__data_end__=0x20000100",
            ),
            ("tmd_ra4m1.c",),
        ),
        Board(
            "esp32",
            ("-DARDUINO_ARCH_ESP32", "-DESP_PLATFORM"),
            (STANDIN, STANDIN / "esp"),
            (STANDIN / "esp" / "partitions.c", STANDIN / "esp" / "esp32.c"),
        ),
        Board(
            "uno_q",
            # The second is what its core gives every file of a sketch, out of Zephyr's autoconf.h.
            ("-DARDUINO_ARCH_ZEPHYR", "-DCONFIG_ARDUINO_API_SERIAL_BUFFER_SIZE=64"),
            (STANDIN,),
            (),
        ),
    )
}
C = ("gcc", "-std=gnu11", "-O1", "-g", "-fno-pie", "-Wall", "-Wextra", "-Werror")
CPP = ("g++", "-std=gnu++17", "-O1", "-g", "-fno-pie", "-Wall", "-Wextra", "-Werror")


def build_core(library: Path, folder: Path) -> list[Path]:
    """The files that are the same for every board: they read no name of one."""
    source = library / "src"
    files = [path for room in ("core", "store", "smp") for path in (source / room).glob("*.c")]
    return compile_all(sorted(files), folder, [*C, f"-I{source}"], source)


def build_sketch(board: Board, library: Path, core: list[Path], sketch: Path, folder: Path) -> Path:
    """The sketch with all of the library, as a program for this PC. `sketch`: its folder."""
    source = library / "src"
    flags = [*board.defines, f"-I{source}", *(f"-I{path}" for path in board.includes)]
    cpp = [*CPP, "-x", "c++", *flags]
    for_c = [file for file in source.glob("*.c") if file.name not in board.as_cpp]
    for_cpp = [source / name for name in board.as_cpp]
    objects = [*core]
    objects += compile_all(sorted(for_c), folder, [*C, *flags], source)
    objects += compile_all(sorted(source.glob("*.cpp")), folder, [*CPP, *flags], source)
    objects += compile_all(for_cpp, folder, [*cpp, "-Wno-attributes"], source)
    objects += compile_all(sorted(sketch.glob("*.c")), folder, [*C, *flags], sketch)
    ino = sketch / f"{board.name}.ino"
    objects += compile_all([ino], folder, [*cpp, "-include", "Arduino.h"], sketch)
    for standin in (STANDIN / "arduino.cpp", *board.standins):
        compiler = C if standin.suffix == ".c" else CPP
        objects += compile_all([standin], folder, [*compiler, *flags], STANDIN)
    program = folder / board.name
    run(["g++", *objects, *(board.link or ("-no-pie",)), "-o", program])
    return program


@dataclass
class Running:
    """A sketch that runs."""

    process: subprocess.Popen[str]
    port: str = field(init=False)

    def __post_init__(self) -> None:
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            assert selector.select(START_SECONDS), "the sketch does not start"
        self.port = self.process.stdout.readline().strip()
        assert self.port, "the sketch does not start"

    def send(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(SEND), self.port, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)

    def says(self, *arguments: str | Path) -> str:
        done = self.send(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refuses(self, *arguments: str | Path) -> str:
        done = self.send(*arguments)
        assert done.returncode == 1, done.stdout + done.stderr
        return done.stderr


@contextmanager
def running(program: Path, flash: Path, **environment: str) -> Iterator[Running]:
    """The sketch with its flash in a file, until the block ends: then the power goes."""
    variables = {**os.environ, "TMD_FLASH": str(flash), **environment}
    process = subprocess.Popen(
        [program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=variables
    )
    try:
        yield Running(process)
    finally:
        process.send_signal(signal.SIGKILL)
        _, said = process.communicate()
    # A rule of the flash that was broken.
    assert process.returncode in (-signal.SIGKILL, 9), said
