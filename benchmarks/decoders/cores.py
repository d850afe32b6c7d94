"""The processors that decoders are measured on, and the emulated boards that run their code."""

from __future__ import annotations

from dataclasses import dataclass

from measure.boards import cortex_m0plus, emulated

JOB_BYTES = 4 << 20  # of the free memory, for base, target and patch; the rest is the heap


@dataclass(frozen=True)
class Core:
    """board: that runs its code; where that has another processor, every instruction is in both."""

    board: emulated.Board

    @property
    def key(self) -> str:
        return self.board.key

    @property
    def name(self) -> str:
        return self.board.core

    @property
    def job(self) -> int:
        return self._free[0]

    @property
    def heap(self) -> tuple[int, int]:
        """Address and bytes."""
        at, count = self._free
        return at + JOB_BYTES, count - JOB_BYTES

    @property
    def _free(self) -> tuple[int, int]:
        if self.board.free is None:
            raise ValueError(f"{self.board.name} has no memory for models")
        return self.board.free


# The last two have almost the figures of the first one, and are measured only when asked for.
CORES = (
    Core(emulated.board("mps2_an505")),
    Core(cortex_m0plus()),
    Core(emulated.board("riscv32_virt")),
    Core(emulated.board("mps2_an386")),
    Core(emulated.board("mps2_an500")),
)
RECORDED = CORES[:3]
