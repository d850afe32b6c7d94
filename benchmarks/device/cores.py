"""The cores that are measured, and the emulated boards that they are on."""

from __future__ import annotations

from dataclasses import dataclass, replace

from measure.boards import cortex_m0plus, emulated

# As much RAM as small parts have, so that painting the stack takes no time.
RAM_BYTES = 64 << 10
NVMC_PAGE = 1024  # erase unit of the nRF51 that the microbit has
# On the microbit, whose flash is all there is: the job's place behind the firmware.
MICROBIT_JOB = 0x8000
FLASH_UNITS_MAX = 4096  # UNITS_MAX of device_flash.c


@dataclass(frozen=True)
class Core:
    """A core with code compiled for it, and the board of QEMU that runs it.

    job, end: where the job begins, and where memory ends that it, the patch and flash may take;
    nvmc: flash is the board's own, behind its controller; else memory that counts.
    """

    key: str
    name: str
    board: emulated.Board
    job: int
    end: int
    nvmc: bool = False
    note: str = ""

    @property
    def flags(self) -> tuple[str, ...]:
        return (*self.board.compile_flags, *(("-DDEVICE_NVMC",) if self.nvmc else ()))


def _on(board: emulated.Board, note: str = "") -> Core:
    assert board.free is not None
    at, size = board.free
    ram = (board.ram[0], min(board.ram[1], RAM_BYTES))
    return Core(
        board.key, board.core, replace(board, ram=ram), at, at + size,
        note=note or f"`{board.name}`",
    )  # fmt: skip


def _m0() -> Core:
    board = emulated.board("microbit")
    return Core(
        board.key, board.core, board, MICROBIT_JOB, board.code[0] + board.code[1], nvmc=True,
        note="`microbit`, 16 KB of RAM, in its own flash (pages of 1 KB) behind its controller",
    )  # fmt: skip


CORES = (
    _m0(),
    _on(
        cortex_m0plus(),
        "its code on `mps2_an385`, whose Cortex-M3 has all instructions of Armv6-M",
    ),
    *(
        _on(emulated.board(name))
        for name in ("mps2_an385", "mps2_an386", "mps2_an500", "mps2_an505", "riscv32_virt")
    ),
)
BY_KEY = {core.key: core for core in CORES}
