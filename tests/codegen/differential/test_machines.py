"""The same cases on other machines: 32-bit x86, and under QEMU an Arm and a big-endian one.

With TMD_PAIRS=FOLDER the pairs FOLDER/<pair>/{base,target}.tflite are decoded too.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from casefile import CaseFile
from cases2 import ACCEPTS, METADATA, in_envelope, mutate2, random_case2, with_trust

from tinymldelta.container.format2 import read_patch
from tinymldelta.container.format2_writer import write_patch
from tinymldelta.delta.encode import encode
from tinymldelta.wire.constants import Decoder, Status

VALID = 300
MUTATIONS_EACH = 3


@dataclass(frozen=True)
class Machine:
    """A compiler, what runs its programs, and the packages of Debian and Ubuntu that bring both."""

    name: str
    compiler: tuple[str, ...]
    runner: tuple[str, ...]
    packages: str


def _cross(name: str, triple: str, runner: str, debian: str) -> Machine:
    """By clang, because gcc's cross compilers cannot be installed beside gcc-multilib."""
    packages = (
        "clang", f"binutils-{triple}", f"libc6-dev-{debian}-cross", f"libgcc-12-dev-{debian}-cross",
        "qemu-user",
    )  # fmt: skip
    compiler = ("clang", f"--target={triple}", "-static", "-isystem", f"/usr/{triple}/include")
    return Machine(name, compiler, (runner,), " ".join(packages))


MACHINES = (
    Machine("x86-64", ("gcc",), (), "gcc"),
    Machine("x86, 32 bits", ("gcc", "-m32"), (), "gcc-multilib"),
    _cross("Arm", "arm-linux-gnueabihf", "qemu-arm", "armhf"),
    _cross("s390x, big-endian", "s390x-linux-gnu", "qemu-s390x", "s390x"),
)


def _require(machine: Machine, folder: Path) -> None:
    """Skip without the machine's tools; in CI, where nothing is to be skipped, fail."""
    probe = folder / "probe.c"
    probe.write_text("#include <stdlib.h>\nint main(void) { return 0; }\n")
    program = folder / "probe"
    there = all(shutil.which(tool[0]) for tool in (machine.compiler, machine.runner) if tool)
    if there:
        built = subprocess.run([*machine.compiler, probe, "-o", program], capture_output=True)
        there = built.returncode == 0 and subprocess.run([*machine.runner, program]).returncode == 0
    if not there:
        text = f"nothing to build for {machine.name}: apt install {machine.packages}"
        if os.environ.get("CI") == "true":
            pytest.fail(text)
        pytest.skip(text)


def _build(root: Path, machine: Machine, folder: Path) -> Path:
    device = root / "zephyr_module"
    sources = [
        *sorted((device / "core").glob("*.c")),
        *sorted((device / "store").glob("*.c")),
        *sorted((device / "ports" / "sim").glob("*.c")),
        root / "tests" / "core" / "replay" / "replay.c",
    ]
    program = folder / "replay"
    include = [f"-I{device / 'include'}", f"-I{device / 'ports'}"]
    flags = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-DTMD_TAKES_LEAN=1")
    flags += ("-DTMD_VERIFY=1", "-DTMD_DECRYPT=1")
    command = [*machine.compiler, *flags, *include, *sources, "-o", program]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return program


def _pairs(root: Path) -> list[tuple[bytes, bytes]]:
    folders = list((root / "samples" / "host" / "models").iterdir())
    if more := os.environ.get("TMD_PAIRS"):
        folders += Path(more).iterdir()
    return [
        ((f / "base.tflite").read_bytes(), (f / "target.tflite").read_bytes())
        for f in sorted(folders)
        if (f / "base.tflite").is_file() and (f / "target.tflite").is_file()
    ]


@pytest.fixture(scope="module")
def cases(root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """A file of cases, and how many are in it."""
    rng = random.Random(7)
    count, cases = 0, CaseFile()
    for _ in range(VALID):
        case = random_case2(rng)
        body_bytes = read_patch(case.patch, None).sizes["body"]
        mutated = [mutate2(rng, case.patch, body_bytes) for _ in range(MUTATIONS_EACH)]
        for patch in (case.patch, *mutated):
            cases.add(case.base, patch, case.accepts)
            count += 1
        signed = with_trust(rng, case)
        for patch in (signed.patch, in_envelope(rng, signed.patch)):
            assert cases.add(case.base, patch, signed.accepts) is Status.OK
            count += 1
    for base, target in _pairs(root):
        for lean in (False, True):
            body = encode(base, target, lean=lean)
            patch = write_patch(base, target, metadata=METADATA, lean=lean, body=body)
            accepts = replace(
                ACCEPTS,
                decoder=Decoder.LEAN if lean else Decoder.DEFAULT,
                slot_bytes=max(len(base), len(target)) + 512,  # and metadata, in their write units
            )
            assert cases.add(base, patch, accepts) is Status.OK
            count += 1
    file = tmp_path_factory.mktemp("machines") / "cases"
    file.write_bytes(cases.content)
    return file, count


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_other_machines_come_to_the_same(
    root: Path, tmp_path: Path, cases: tuple[Path, int], machine: Machine
) -> None:
    _require(machine, tmp_path)
    program = _build(root, machine, tmp_path)
    file, count = cases
    done = subprocess.run([*machine.runner, program, file], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"cases {count}\n" in done.stdout
