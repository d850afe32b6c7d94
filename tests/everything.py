"""Runs everything that is checked, step by step: `./run test`.

A step whose tool is missing is skipped, and said so with the package that brings it; with CI=true
in the environment it fails instead, so that there nothing is skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
IN_CI = os.environ.get("CI") == "true"
JOBS = str(os.cpu_count() or 1)


@dataclass(frozen=True)
class Tool:
    """A program that a step needs, and what brings it on Debian and Ubuntu."""

    name: str
    package: str
    works: Callable[[], bool] | None = None

    def is_there(self) -> bool:
        return shutil.which(self.name) is not None and (self.works is None or self.works())


def _compiles(*command: str) -> Callable[[], bool]:
    def works() -> bool:
        run = subprocess.run(
            [*command, "-x", "c", "-", "-o", "/dev/null"],
            capture_output=True,
            input=b"#include <stdlib.h>\nint main(void) { return 0; }\n",
        )
        return run.returncode == 0

    return works


CMAKE = Tool("cmake", "cmake")
GCC = Tool("gcc", "gcc")
CLANG = Tool("clang", "clang")
GCC_32 = Tool("gcc", "gcc-multilib", _compiles("gcc", "-m32"))
GCC_SANITIZERS = Tool("gcc", "libasan8 libubsan1", _compiles("gcc", "-fsanitize=address,undefined"))
CLANG_SANITIZERS = Tool(
    "clang", "clang libclang-rt-14-dev", _compiles("clang", "-fsanitize=address,undefined")
)
CPPCHECK = Tool("cppcheck", "cppcheck")
ARM_GCC = Tool("arm-none-eabi-gcc", "gcc-arm-none-eabi libnewlib-arm-none-eabi")
RISCV_GCC = Tool("riscv64-unknown-elf-gcc", "gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf")
QEMU_ARM = Tool("qemu-system-arm", "qemu-system-arm")
QEMU_RISCV = Tool("qemu-system-riscv32", "qemu-system-misc")

# One configuration of the C tests per row: name, compiler, CMake options, tools.
C_MATRIX = (
    ("gcc", "gcc", (), (CMAKE, GCC)),
    ("clang", "clang", (), (CMAKE, CLANG)),
    ("gcc-m32", "gcc", ("-DTMD_M32=ON",), (CMAKE, GCC_32)),
    ("gcc-sanitized", "gcc", ("-DTMD_SANITIZE=ON",), (CMAKE, GCC_SANITIZERS)),
    ("clang-sanitized", "clang", ("-DTMD_SANITIZE=ON",), (CMAKE, CLANG_SANITIZERS)),
)
DEVICE_SOURCES = tuple(
    str(path.relative_to(ROOT))
    for room in ("core", "store", "smp", "ports/conformance", "ports/posix", "ports/sim")
    for path in sorted((ROOT / "zephyr_module" / room).glob("*.c"))
) + (
    *(f"zephyr_module/ports/arduino/src/{name}.c" for name in ("tmd_ram", "tmd_serial")),
    *(f"zephyr_module/ports/template/{name}.c" for name in ("port", "hardware")),
    *(f"samples/thermo/src/{name}.c" for name in ("mcp9600", "welford", "window")),
)
# Off by default, and looked at here. tests/ports does ports/crypto, which needs libraries.
ALL = ("-DTMD_VERIFY=1", "-DTMD_DECRYPT=1")
INCLUDES = ("-Izephyr_module/include", "-Izephyr_module/ports")
STRICT = ("-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")


@dataclass(frozen=True)
class Step:
    name: str
    commands: tuple[tuple[str, ...], ...]
    tools: tuple[Tool, ...] = ()


def _c_step(name: str, compiler: str, options: tuple[str, ...], tools: tuple[Tool, ...]) -> Step:
    folder = str(BUILD / f"c-{name}")
    return Step(
        f"C tests, {name}",
        (
            ("cmake", "-S", ".", "-B", folder, f"-DCMAKE_C_COMPILER={compiler}", *options),
            ("cmake", "--build", folder, "--parallel", JOBS),
            ("ctest", "--test-dir", folder, "--output-on-failure", "--parallel", JOBS),
        ),
        tools,
    )


def steps() -> tuple[Step, ...]:
    python = sys.executable
    return (
        Step(
            "lint",
            (
                (python, "-m", "ruff", "check", "."),
                (python, "-m", "ruff", "format", "--check", "."),
            ),
        ),
        Step("types", ((python, "-m", "mypy"),)),
        Step("wire format is rendered", ((python, "-m", "tinymldelta.wire.render", "--check"),)),
        *(_c_step(*row) for row in C_MATRIX),
        Step(
            "gcc -fanalyzer",
            tuple(
                (
                    "gcc",
                    *STRICT,
                    *ALL,
                    "-O2",
                    "-fanalyzer",
                    *INCLUDES,
                    "-c",
                    source,
                    "-o",
                    "/dev/null",
                )
                for source in DEVICE_SOURCES
            ),
            (GCC,),
        ),
        Step(
            "cppcheck",
            (
                (
                    "cppcheck",
                    "--quiet",
                    "--std=c11",
                    "--error-exitcode=1",
                    "--inline-suppr",
                    "--enable=warning,performance,portability",
                    "-UTMD_CONFIG_FILE",
                    *ALL,
                    *INCLUDES,
                    *DEVICE_SOURCES,
                ),
            ),
            (CPPCHECK,),
        ),
        Step(
            "emulated boards",
            ((python, "-m", "SCons", "-Q", "-j", JOBS),),
            (ARM_GCC, RISCV_GCC, QEMU_ARM, QEMU_RISCV),
        ),
        Step(
            "compilers and options, a sample",
            ((python, "-m", "SCons", "-Q", "-j", JOBS, "matrix", "SAMPLE=1"),),
            (GCC, CLANG, ARM_GCC, RISCV_GCC),
        ),
        # By file, so that what a file builds for its tests is built once; tests/conftest.py has the
        # order.
        Step(
            "Python tests",
            (
                (
                    python,
                    "-m",
                    "pytest",
                    "-n",
                    JOBS,
                    "--dist",
                    "loadfile",
                    "--no-loadscope-reorder",
                    *sys.argv[1:],
                ),
            ),
        ),
    )


def _run(step: Step) -> str:
    """ "passed", "failed", or "skipped"."""
    for tool in step.tools:
        if not tool.is_there():
            print(f"--- {step.name}: needs {tool.name}: apt install {tool.package}", flush=True)
            return "failed" if IN_CI else "skipped"
    print(f"--- {step.name}", flush=True)
    last = step.name == "Python tests"
    for command in step.commands:
        result = subprocess.run(command, cwd=ROOT, capture_output=not last, text=True)
        if result.returncode != 0:
            if not last:
                print(" ".join(command), result.stdout, result.stderr, sep="\n")
            return "failed"
    return "passed"


def main() -> int:
    results: list[tuple[str, str, float]] = []
    for step in steps():
        begin = time.monotonic()
        outcome = _run(step)
        results.append((step.name, outcome, time.monotonic() - begin))
    print("\nstep" + " " * 26 + "result     seconds")
    for name, outcome, seconds in results:
        print(f"{name:30}{outcome:10} {seconds:8.1f}")
    outcomes = [outcome for _, outcome, _ in results]
    print(
        f"{outcomes.count('passed')} passed, {outcomes.count('failed')} failed, "
        f"{outcomes.count('skipped')} skipped"
    )
    return 1 if "failed" in outcomes else 0


if __name__ == "__main__":
    sys.exit(main())
