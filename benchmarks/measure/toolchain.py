"""The cross compilers and the processors that they compile for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


class ToolError(Exception):
    """A compiler or a binutil failed; the message is its own."""


@dataclass(frozen=True)
class Toolchain:
    """A compiler with its C library, and the packages of Debian and Ubuntu that bring them."""

    prefix: str
    specs: str
    packages: tuple[str, ...]
    library: str
    library_version: tuple[str, str]  # header, macro

    @property
    def install_hint(self) -> str:
        return f"sudo apt install {' '.join(self.packages)}"

    def tool(self, name: str) -> str:
        return f"{self.prefix}-{name}"


@dataclass(frozen=True)
class Target:
    key: str
    name: str
    flags: tuple[str, ...]
    toolchain: Toolchain


ARM = Toolchain(
    prefix="arm-none-eabi",
    specs="nano.specs",
    packages=("gcc-arm-none-eabi", "libnewlib-arm-none-eabi"),
    library="newlib-nano",
    library_version=("newlib.h", "_NEWLIB_VERSION"),
)
RISCV = Toolchain(
    prefix="riscv64-unknown-elf",
    specs="picolibc.specs",
    packages=("gcc-riscv64-unknown-elf", "picolibc-riscv64-unknown-elf"),
    library="picolibc",
    library_version=("picolibc.h", "_PICOLIBC_VERSION"),
)

M33 = Target("m33", "Cortex-M33", ("-mcpu=cortex-m33", "-mthumb"), ARM)
TARGETS = (
    Target("m0plus", "Cortex-M0+", ("-mcpu=cortex-m0plus", "-mthumb"), ARM),
    Target("m4", "Cortex-M4", ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=soft"), ARM),
    M33,
    Target("rv32", "RV32IMC", ("-march=rv32imc", "-mabi=ilp32"), RISCV),
)

# -fcallgraph-info writes a .ci file beside the object; measure.stack reads it.
COMPILE_FLAGS = ("-std=c11", "-Os", "-ffunction-sections", "-fdata-sections")
CALLGRAPH_FLAGS = ("-fcallgraph-info=su",)


def run(command: Sequence[str | Path], cwd: Path, stdin: str | None = None) -> str:
    """Run a tool, in the C locale, and return what it printed."""
    words = [str(word) for word in command]
    done = subprocess.run(
        words,
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    )
    if done.returncode != 0:
        raise ToolError(f"{words[0]} failed:\n{done.stderr.strip()}")
    return done.stdout


def is_installed(toolchain: Toolchain) -> bool:
    """Are compiler, binutils and C library there, and new enough to tell the call graph?"""
    if any(shutil.which(toolchain.tool(name)) is None for name in ("gcc", "nm", "objdump", "size")):
        return False
    probe = [toolchain.tool("gcc"), f"--specs={toolchain.specs}", *CALLGRAPH_FLAGS]
    try:
        run(
            [*probe, "-E", "-x", "c", "-"], Path.cwd(), "#include <string.h>\n#include <stdint.h>\n"
        )
    except ToolError:
        return False
    return True


def describe(toolchain: Toolchain) -> str:
    """Compiler and library with their versions: what the figures depend on."""
    gcc = toolchain.tool("gcc")
    version = run([gcc, "-dumpfullversion"], Path.cwd()).strip()
    header, macro = toolchain.library_version
    macros = run(
        [gcc, f"--specs={toolchain.specs}", "-dM", "-E", "-x", "c", "-"],
        Path.cwd(),
        f"#include <string.h>\n#include <{header}>\n",
    )
    found = re.search(rf'#define {macro} "([^"]+)"', macros)
    library = f"{toolchain.library} {found[1]}" if found else toolchain.library
    return f"{gcc} {version}, {library}"


def compile_c(
    target: Target, source: Path, out: Path, cwd: Path, extra: Sequence[str] = ()
) -> None:
    """Compile one file. Paths in the call graph are as `source` is given, relative to `cwd`."""
    out.parent.mkdir(parents=True, exist_ok=True)
    gcc = target.toolchain.tool("gcc")
    specs = f"--specs={target.toolchain.specs}"
    flags = (*target.flags, specs, *COMPILE_FLAGS, *CALLGRAPH_FLAGS, *extra)
    run([gcc, *flags, "-c", source, "-o", out], cwd)


def link(target: Target, script: Path, objects: Sequence[Path], out: Path) -> str:
    """Link, in the folder of `out`, drop what is not used, and return the link map."""
    gcc = target.toolchain.tool("gcc")
    specs = f"--specs={target.toolchain.specs}"
    map_file = out.with_suffix(".map")
    options = (
        "-nostartfiles",
        "-Wl,--gc-sections",
        "-Wl,--fatal-warnings",
        f"-Wl,-Map={map_file.name}",
    )
    run([gcc, *target.flags, specs, *options, "-T", script, *objects, "-o", out], out.parent)
    return map_file.read_text(encoding="utf-8")


def symbols(target: Target, binary: Path, cwd: Path) -> dict[str, tuple[int, int]]:
    """Address and size of each symbol that `nm` lists."""
    out: dict[str, tuple[int, int]] = {}
    for line in run([target.toolchain.tool("nm"), "-S", binary], cwd).splitlines():
        words = line.split()
        if len(words) == 4:
            out[words[3]] = (int(words[0], 16), int(words[1], 16))
        elif len(words) == 3:
            out[words[2]] = (int(words[0], 16), 0)
    return out
