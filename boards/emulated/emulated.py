"""The boards that QEMU emulates, as SCons, the tests and the benches need them.

A firmware for one is compiled with `Board.compile_flags`, linked with `Board.link_flags`, together
with `Board.sources` of this folder, and run by `run`. Every start of QEMU is a power-on.

One that keeps models in flash has `Board.flash_flags`, `Board.flash_sources` and
`Board.flash_link_flags` besides: flash.h, and the part behind it. The cells outlive QEMU in the
file that `new_flash` makes.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCRIPT = HERE / "emulated.ld"
FLASH_FILE = "flash.bin"  # flash.h has the same
ERASED = 0xFF

# Exit statuses of firmware: flash.h and the starts have the same.
STATUS_CUT = 88
STATUS_ILLEGAL = 97
STATUS_FAULT = 99

ARM_COMPILER = "arm-none-eabi-gcc"
RISCV_COMPILER = "riscv64-unknown-elf-gcc"
PACKAGES = {
    ARM_COMPILER: "gcc-arm-none-eabi libnewlib-arm-none-eabi",
    RISCV_COMPILER: "gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf",
    "qemu-system-arm": "qemu-system-arm",
    "qemu-system-riscv32": "qemu-system-misc",
}


@dataclass(frozen=True)
class Flash:
    """The flash for models.

    source: its part, in boards/; like: whose geometry it has; at, bytes: where it is; erase, write:
    its units; ecc: half-written units fault on reading; mapped: models are read as memory;
    file_bytes: length of the file that keeps it; drive: QEMU takes and writes the file itself.
    """

    source: str
    like: str
    at: int
    bytes: int
    erase: int
    write: int
    ecc: bool
    mapped: bool
    file_bytes: int
    drive: bool

    @property
    def states(self) -> bool:
        """Has the file a byte for each write unit behind the contents (flash_ram.c)?"""
        return self.source == RAM_PART


RAM_PART = "emulated/flash_ram.c"
TORN = 2  # what flash_ram.c says of a half-written unit


@dataclass(frozen=True)
class Board:
    """One machine of QEMU.

    code, ram: address and bytes; free: memory that the firmware leaves to whoever loads something
    there with QEMU's loader, or None; tick: instructions that one step of board_instructions() is.
    """

    name: str
    core: str  # as a reader knows it
    key: str  # as tables have it
    machine: str
    compiler: str
    cpu: tuple[str, ...]
    code: tuple[int, int]
    ram: tuple[int, int]
    free: tuple[int, int] | None
    tick: Fraction
    flash: Flash

    @property
    def is_arm(self) -> bool:
        return self.compiler == ARM_COMPILER

    @property
    def qemu(self) -> str:
        return "qemu-system-arm" if self.is_arm else "qemu-system-riscv32"

    @property
    def specs(self) -> str:
        return "nano.specs" if self.is_arm else "picolibc.specs"

    @property
    def compile_flags(self) -> tuple[str, ...]:
        """What the processor asks for; how strict and how optimised, the caller says."""
        tick = (f"-DBOARD_TICK_HALVES={int(self.tick * 2)}u",) if self.is_arm else ()
        return (*self.cpu, f"--specs={self.specs}", *tick, f"-I{HERE}")

    @property
    def link_flags(self) -> tuple[str, ...]:
        places = {
            "CODE_AT": self.code[0], "CODE_BYTES": self.code[1],
            "RAM_AT": self.ram[0], "RAM_BYTES": self.ram[1],
        }  # fmt: skip
        return (
            *self.cpu, f"--specs={self.specs}", "-nostartfiles", "-Wl,--gc-sections",
            "-Wl,--fatal-warnings", f"-Wl,-e,{'reset' if self.is_arm else 'enter'}",
            *(f"-Wl,--defsym={name}={value:#x}" for name, value in places.items()),
            "-T", str(SCRIPT),
        )  # fmt: skip

    @property
    def flash_flags(self) -> tuple[str, ...]:
        """Compiler's flags for what includes flash.h."""
        flash = self.flash
        numbers = {
            "AT": flash.at, "BYTES": flash.bytes, "ERASE": flash.erase, "WRITE": flash.write,
            "ERASED": ERASED,
        }  # fmt: skip
        return (
            *(f"-DFLASH_{name}={value:#x}u" for name, value in numbers.items()),
            f"-DFLASH_ECC={int(flash.ecc)}",
            f"-DFLASH_MAPPED={int(flash.mapped)}",
        )

    @property
    def flash_link_flags(self) -> tuple[str, ...]:
        """Linker's flags that keep a firmware out of flash which begins behind it."""
        start, size = self.code
        inside = start <= self.flash.at < start + size
        return (f"-Wl,--defsym=CODE_BYTES={self.flash.at - start:#x}",) if inside else ()

    @property
    def flash_sources(self) -> tuple[Path, ...]:
        return (HERE / "flash.c", HERE.parent / self.flash.source)

    @property
    def sources(self) -> tuple[Path, ...]:
        start = "arm.c" if self.is_arm else "riscv.c"
        return (HERE / start, HERE / "semihosting.c", HERE / "stack.c")

    def missing(self) -> dict[str, str]:
        """Programs that are not there, and the packages of Debian and Ubuntu that bring them."""
        return {p: PACKAGES[p] for p in (self.compiler, self.qemu) if shutil.which(p) is None}


def _ram_flash(
    at: int, like: str, kib: int, erase: int, write: int, *, ecc: bool = False, mapped: bool = True
) -> Flash:
    """In RAM, with a byte behind it for each write unit."""
    size = kib << 10
    return Flash(RAM_PART, like, at, size, erase, write, ecc, mapped, size + size // write, False)


PSRAM = 0x2100_0000
PSRAM_AN500 = 0x6000_0000
PSRAM_V8M = 0x8000_0000

STM32F103 = _ram_flash(PSRAM, "STM32F103", 128, 1024, 2)
NRF52840 = _ram_flash(PSRAM, "nRF52840", 256, 4096, 4)
STM32H743 = _ram_flash(PSRAM_AN500, "STM32H743", 2048, 128 << 10, 32, ecc=True)
STM32U585 = _ram_flash(PSRAM_V8M, "STM32U585", 256, 8192, 16, ecc=True)
SPI_NOR = _ram_flash(PSRAM_V8M, "SPI NOR (W25Q)", 256, 4096, 256, mapped=False)
# Behind the firmware, which has the first half.
NVMC = Flash(
    "microbit/flash.c", "nRF51822", at=128 << 10, bytes=128 << 10, erase=1024, write=4, ecc=False,
    mapped=True, file_bytes=128 << 10, drive=False,
)  # fmt: skip
# The first blocks of the second bank; QEMU wants a file as long as the bank.
CFI = Flash(
    "riscv32_virt/flash.c", "NOR, Intel commands", at=0x2200_0000, bytes=4 << 20, erase=256 << 10,
    write=4, ecc=False, mapped=True, file_bytes=32 << 20, drive=True,
)  # fmt: skip


def _mps2(name: str, key: str, core: str, cpu: str, flash: Flash, *flags: str) -> Board:
    """The MPS2 boards with an FPGA image of a Cortex-M of the 7-M line, at 25 MHz."""
    psram = PSRAM_AN500 if name == "mps2_an500" else PSRAM
    return Board(
        name, core, key, name.replace("_", "-"), ARM_COMPILER,
        (f"-mcpu={cpu}", "-mthumb", *flags),
        code=(0, 4 << 20), ram=(0x2000_0000, 4 << 20), free=(psram, 16 << 20),
        tick=Fraction(40), flash=flash,
    )  # fmt: skip


def _v8m(name: str, cpu: str, flash: Flash) -> Board:
    """Those with an Armv8-M one, at 20 MHz: SSRAM as the secure world sees it, and PSRAM."""
    return Board(
        name, "Cortex-M33", "m33", name.replace("_", "-"), ARM_COMPILER,
        (f"-mcpu={cpu}", "-mthumb"),
        code=(0x1000_0000, 4 << 20), ram=(0x3800_0000, 256 << 10), free=(PSRAM_V8M, 16 << 20),
        tick=Fraction(50), flash=flash,
    )  # fmt: skip


BOARDS = (
    Board(
        "microbit", "Cortex-M0", "m0", "microbit", ARM_COMPILER, ("-mcpu=cortex-m0", "-mthumb"),
        code=(0, 256 << 10), ram=(0x2000_0000, 16 << 10), free=None, tick=Fraction(125, 2),
        flash=NVMC,
    ),
    _mps2("mps2_an385", "m3", "Cortex-M3", "cortex-m3", STM32F103),
    _mps2("mps2_an386", "m4f", "Cortex-M4F", "cortex-m4", NRF52840, "-mfloat-abi=hard",
          "-mfpu=fpv4-sp-d16"),
    _mps2("mps2_an500", "m7", "Cortex-M7", "cortex-m7", STM32H743, "-mfloat-abi=hard",
          "-mfpu=fpv5-sp-d16"),
    _v8m("mps2_an505", "cortex-m33", STM32U585),
    # The first of its two processors has no DSP instructions, which the compiler would use.
    _v8m("mps2_an521", "cortex-m33+nodsp", SPI_NOR),
    Board(
        "riscv32_virt", "RV32IMAC", "rv32", "virt", RISCV_COMPILER,
        ("-march=rv32imac", "-mabi=ilp32"),
        code=(0x8000_0000, 1 << 20), ram=(0x8010_0000, 1 << 20), free=(0x8100_0000, 16 << 20),
        tick=Fraction(1), flash=CFI,
    ),
)  # fmt: skip


def board(name: str) -> Board:
    """The board of that name. KeyError if there is none."""
    return {b.name: b for b in BOARDS}[name]


@dataclass(frozen=True)
class Ended:
    """How a run of QEMU ended: the firmware's exit status, and what it printed."""

    status: int
    output: str


def new_flash(board: Board, folder: Path) -> Path:
    """Make the flash of a board that was never used: all erased. What QEMU asks for beyond is 0."""
    file = folder / FLASH_FILE
    with file.open("wb") as out:
        out.write(bytes([ERASED]) * board.flash.bytes)
        out.truncate(board.flash.file_bytes)
    return file


def command(
    board: Board,
    elf: Path,
    arguments: Sequence[str] = (),
    *,
    load: Sequence[tuple[Path, int]] = (),
    flash: bool = False,
    counted: bool = True,
) -> list[str]:
    """What starts QEMU; see run."""
    config = ["enable=on", "target=native", "arg=firmware", *(f"arg={a}" for a in arguments)]
    words = [
        board.qemu, "-M", board.machine, "-display", "none", "-serial", "none", "-monitor", "none",
        *(("-icount", "shift=0") if counted else ()),
        "-semihosting-config", ",".join(config),
    ]  # fmt: skip
    if board.is_arm:
        words += ["-kernel", str(elf)]
    else:
        # As what starts first: a kernel would be left to a boot loader, if there is a flash bank.
        words += ["-bios", str(elf)]
    if flash and board.flash.drive:
        words += ["-drive", f"if=pflash,unit=1,format=raw,file={FLASH_FILE}"]
    elif flash:
        load = [*load, (Path(FLASH_FILE), board.flash.at)]
    for file, address in load:
        words += ["-device", f"loader,file={file},addr={address:#x},force-raw=on"]
    return words


def run(
    board: Board,
    elf: Path,
    arguments: Sequence[str] = (),
    *,
    folder: Path,
    load: Sequence[tuple[Path, int]] = (),
    extra: Sequence[str] = (),
    flash: bool = False,
    counted: bool = True,
    timeout: float = 300,
) -> Ended:
    """Power on, with files of `load` at their addresses, until the firmware exits.

    folder: where the firmware's files on the host are; arguments: its command line, no word with a
    space or comma; flash: with the cells of `new_flash` there; counted: with `-icount shift=0`, so
    that board_instructions() counts.
    Raises subprocess.TimeoutExpired.
    """
    words = command(board, elf, arguments, load=load, flash=flash, counted=counted)
    done = subprocess.run(
        [*words, *extra], cwd=folder, capture_output=True, text=True, check=False,
        stdin=subprocess.DEVNULL, timeout=timeout,
    )  # fmt: skip
    return Ended(done.returncode, done.stdout + done.stderr)
