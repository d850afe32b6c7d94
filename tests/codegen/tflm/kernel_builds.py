"""Builds the reference kernels of a revision for this machine, from a clone of Zephyr's TFLM.

That fork has in `third_party_static` what upstream downloads when it builds.
"""

from __future__ import annotations

import re
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

from node_cases import CASES

HEADER = "tensorflow/lite/micro/micro_mutable_op_resolver.h"
_PARTS = ("tensorflow/lite", "tensorflow/compiler", "signal", "third_party_static")
_FOLDERS = (
    "tensorflow/compiler/mlir/lite/core/api",
    "tensorflow/compiler/mlir/lite/schema",
    "tensorflow/lite",
    "tensorflow/lite/core",
    "tensorflow/lite/core/api",
    "tensorflow/lite/core/c",
    "tensorflow/lite/c",
    "tensorflow/lite/kernels",
    "tensorflow/lite/kernels/internal",
    "tensorflow/lite/kernels/internal/reference",
    "tensorflow/lite/micro",
    "tensorflow/lite/micro/arena_allocator",
    "tensorflow/lite/micro/kernels",
    "tensorflow/lite/micro/memory_planner",
    "tensorflow/lite/micro/tflite_bridge",
    "tensorflow/lite/schema",
)
_NO_SOURCES = re.compile(r"test|mock|fake|recording|kernel_runner|op_resolver_hack")
_INCLUDES = ("flatbuffers/include", "gemmlowp", "ruy")
_MAKEFILE = """\
CXX := g++ -std=c++17 -O1 -w -fno-rtti -DNDEBUG -I. {includes}
OBJECTS := {objects}
runner: $(OBJECTS) {runner} generated.h
\t$(CXX) {runner} $(OBJECTS) -o $@
%.o: %.cc
\t$(CXX) -c $< -o $@
%.o: %.c
\t$(CXX) -x c++ -c $< -o $@
"""


def git(repository: Path, *arguments: str) -> bytes:
    command = ["git", "-C", str(repository), *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout


def has_revision(repository: Path, revision: str) -> bool:
    command = ["git", "-C", str(repository), "cat-file", "-e", f"{revision}^{{commit}}"]
    return subprocess.run(command, capture_output=True).returncode == 0


def resolver_methods(header: str) -> dict[str, str]:
    """Operator -> method, read off `micro_mutable_op_resolver.h`."""
    found = {}
    of_class = header[header.index("class MicroMutableOpResolver") :]
    for method, body in re.findall(r"TfLiteStatus (Add\w+)\((.*?)\n  }", of_class, re.DOTALL):
        builtin = re.search(r"BuiltinOperator_(\w+)", body)
        custom = re.search(r'AddCustom\(\s*"([^"]+)"', body)
        if method in ("AddBuiltin", "AddCustom"):  # what all others call
            continue
        if builtin:
            found[builtin[1]] = method
        elif custom:
            found[custom[1]] = method
        elif "GetString_ETHOSU" in body:  # the string is the accelerator's own
            found["ethos-u"] = method
    return found


def _generated(methods: dict[str, str], old: bool) -> str:
    calls = " ".join(f"r.{method}();" for name, method in methods.items() if name in CASES)
    lines = [f"#define REGISTER_ALL(r) {calls}"]
    if old:  # until 2022 the interpreter took an error reporter
        lines += [
            '#include "tensorflow/lite/micro/micro_error_reporter.h"',
            "static tflite::MicroErrorReporter reporter;",
            "#define REPORTER , &reporter",
        ]
    else:
        lines.append("#define REPORTER")
    return "\n".join(lines) + "\n"


def build_runner(repository: Path, revision: str, folder: Path) -> Path:
    """The program, made in `folder`. Takes minutes the first time."""
    if not folder.is_dir():
        present = [part for part in _PARTS if git(repository, "ls-tree", revision, part).strip()]
        with tarfile.open(fileobj=BytesIO(git(repository, "archive", revision, *present))) as tar:
            tar.extractall(folder, filter="data")
    sources = [
        path.relative_to(folder)
        for part in _FOLDERS
        for path in sorted((folder / part).glob("*.c*"))
        if not _NO_SOURCES.search(path.name)
    ]
    methods = resolver_methods((folder / HEADER).read_text(encoding="utf-8"))
    old = not (folder / "tensorflow/lite/micro/tflite_bridge").is_dir()
    (folder / "generated.h").write_text(_generated(methods, old), encoding="utf-8")
    makefile = _MAKEFILE.format(
        includes=" ".join(f"-Ithird_party_static/{part}" for part in _INCLUDES),
        objects=" ".join(str(source.with_suffix(".o")) for source in sources),
        runner=Path(__file__).with_name("runner.cc"),
    )
    (folder / "Makefile.kernels").write_text(makefile, encoding="utf-8")
    command = ["make", "-s", "-j2", "-f", "Makefile.kernels", "runner"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "runner"
