"""The footprint benchmark: its limits hold, and its stack analysis cannot be fooled quietly."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from measure.stack import StackError, analyse
from measure.toolchain import CALLGRAPH_FLAGS, M33

ROOT = Path(__file__).resolve().parents[2]
COMPILER = M33.toolchain.tool("gcc")

pytestmark = pytest.mark.skipif(
    shutil.which(COMPILER) is None, reason="no Arm compiler: apt install gcc-arm-none-eabi"
)


def test_limits_hold_and_the_recorded_figures_are_those_of_this_code(tmp_path: Path) -> None:
    out = tmp_path / "footprint.md"
    script = ROOT / "benchmarks" / "footprint.py"
    done = subprocess.run(
        [sys.executable, script, "--out", out, "--limits", "--json"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)
    if shutil.which("riscv64-unknown-elf-gcc") is None:
        pytest.skip("no RISC-V compiler: apt install gcc-riscv64-unknown-elf")
    recorded = (ROOT / "benchmarks" / "footprint.md").read_text(encoding="utf-8")
    versions = [line for line in recorded.splitlines() if "gcc " in line]
    if all(line in out.read_text(encoding="utf-8") for line in versions):
        assert out.read_text(encoding="utf-8") == recorded, "run `./run bench` again"


def stack_of(source: str, folder: Path) -> int:
    file = folder / "snippet.c"
    file.write_text(source)
    subprocess.run(
        [COMPILER, *M33.flags, "-Os", *CALLGRAPH_FLAGS, "-c", file.name, "-o", "snippet.o"],
        cwd=folder,
        check=True,
    )
    graph = analyse(M33, [folder / "snippet.o"], folder, {"io->emit": ("known",)})
    return graph.deepest("entry").bytes


def test_the_deepest_path_counts(tmp_path: Path) -> None:
    leaf = "__attribute__((noinline)) int leaf(volatile char *p) { volatile char b[%d]; b[0] = *p;"
    leaf += " return b[0]; }\nint entry(volatile char *p) { return leaf(p) + 1; }\n"
    small, large = stack_of(leaf % 16, tmp_path), stack_of(leaf % 400, tmp_path)
    assert 380 <= large - small <= 388


def test_recursion_is_an_error(tmp_path: Path) -> None:
    source = (
        "int other(int n);\n__attribute__((noinline)) int entry(int n) { return n + other(n); }\n"
    )
    source += "__attribute__((noinline)) int other(int n) { return n * entry(n - 1); }\n"
    with pytest.raises(StackError, match="recursion"):
        stack_of(source, tmp_path)


def test_an_unresolved_indirect_call_is_an_error(tmp_path: Path) -> None:
    source = "struct s { int (*f)(int); };\nint entry(struct s *s) { return s->f(3) + 1; }\n"
    with pytest.raises(StackError, match="unresolved indirect call"):
        stack_of(source, tmp_path)


def test_a_frame_of_variable_size_is_an_error(tmp_path: Path) -> None:
    source = "void use(char *);\nint entry(int n) { char b[n]; use(b); return b[0]; }\n"
    with pytest.raises(StackError, match="not of fixed size"):
        stack_of(source, tmp_path)
