"""The compilers, and the cores that each compiles for."""

from __future__ import annotations

import functools
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from measure import toolchain
from measure.toolchain import ARM, RISCV, Toolchain

STRICT = ("-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")
# Sections as firmware is built with; nothing that only a debugger or a PC's loader reads.
SHAPE = (
    "-ffunction-sections", "-fdata-sections", "-fno-pie", "-fno-unwind-tables",
    "-fno-asynchronous-unwind-tables",
)  # fmt: skip
LEVELS = ("-Os", "-O2")


@dataclass(frozen=True)
class Core:
    """A processor. gcc, clang: what each needs to be told; toolchain: whose C library is used, None
    on the PC.
    """

    key: str
    name: str
    gcc: tuple[str, ...]
    clang: tuple[str, ...]
    toolchain: Toolchain | None


def _arm(key: str, name: str, cpu: str, *flags: str) -> Core:
    cpu_flags = (f"-mcpu={cpu}", "-mthumb", *flags)
    soft = () if flags else ("-mfloat-abi=soft",)
    return Core(key, name, cpu_flags, ("--target=arm-none-eabi", *cpu_flags, *soft), ARM)


_RV32 = ("-march=rv32imc", "-mabi=ilp32")
CORES = (
    _arm("m0plus", "Cortex-M0+", "cortex-m0plus"),
    _arm("m3", "Cortex-M3", "cortex-m3"),
    _arm("m4f", "Cortex-M4F", "cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"),
    _arm("m7", "Cortex-M7", "cortex-m7", "-mfloat-abi=hard", "-mfpu=fpv5-sp-d16"),
    _arm("m33", "Cortex-M33", "cortex-m33"),
    Core("rv32", "RV32IMC", _RV32, ("--target=riscv32-unknown-elf", *_RV32), RISCV),
    Core("x86_64", "x86-64", ("-m64",), ("--target=x86_64-linux-gnu",), None),
)
PC = CORES[-1]
M33 = next(core for core in CORES if core.key == "m33")


@dataclass(frozen=True)
class Compiler:
    """One of the two, for one core."""

    family: str  # gcc or clang
    core: Core

    @property
    def program(self) -> str:
        if self.family == "gcc" and self.core.toolchain is not None:
            return self.core.toolchain.tool("gcc")
        return self.family

    @property
    def install_hint(self) -> str:
        """What brings it: clang has the C library of gcc for the same core."""
        packages = () if self.core.toolchain is None else self.core.toolchain.packages
        needed = packages if self.family == "gcc" and packages else (self.family, *packages)
        return f"sudo apt install {' '.join(needed)}"

    def is_there(self) -> bool:
        if shutil.which(self.program) is None:
            return False
        try:
            probe = (*self.command, "-fsyntax-only", "-x", "c", "-")
            toolchain.run(probe, Path.cwd(), "#include <string.h>\n#include <stdint.h>\n")
        except toolchain.ToolError:
            return False
        return True

    @property
    def command(self) -> tuple[str, ...]:
        """The program, and what it has to be told of the core and of its C library."""
        chain = self.core.toolchain
        if self.family == "clang":
            headers = () if chain is None else ("-isystem", library_headers(chain))
            return (self.program, *self.core.clang, *headers)
        specs = () if chain is None else (f"--specs={chain.specs}",)
        return (self.program, *self.core.gcc, *specs)

    @property
    def version(self) -> str:
        """Program with its release, as in "arm-none-eabi-gcc 12.2.1"."""
        return version_of(self.program)


@functools.cache
def version_of(program: str) -> str:
    said = toolchain.run([program, "--version"], Path.cwd()).splitlines()[0]
    found = re.search(r"\d+\.\d+\.\d+", said)
    return f"{program} {found[0] if found else said}"


@functools.cache
def library_headers(chain: Toolchain) -> str:
    """The folder of the C library's headers, as gcc finds them. ToolError without gcc."""
    command = (chain.tool("gcc"), f"--specs={chain.specs}", "-M", "-x", "c", "-")
    rule = toolchain.run(command, Path.cwd(), "#include <string.h>\n")
    found = re.search(r"(\S+)/string\.h\b", rule)
    if found is None:
        raise toolchain.ToolError(f"{chain.tool('gcc')} does not say where string.h is")
    return found[1]


def compilers(cores: Sequence[Core] = CORES) -> list[Compiler]:
    """All, those of one core side by side."""
    return [Compiler(family, core) for core in cores for family in ("gcc", "clang")]
