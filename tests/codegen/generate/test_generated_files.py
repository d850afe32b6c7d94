"""The generated files: the same bytes each time, rewritten only when changed, and they compile."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from test_contract import LIMITS, source

from modelkit import build, default_spec, with_operator
from tinymldelta.errors import Refusal
from tinymldelta.generate import ModelSource, generate
from tinymldelta.tflm import BUILTINS, KernelBuild, resolver_method
from tinymldelta.wire.constants import WIRE_VERSION

STRICT = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")


@pytest.fixture
def models(digits: Path, sst: Path) -> list[ModelSource]:
    return [source(digits / "base.tflite", "digits"), source(sst / "base.tflite", "sst")]


def test_two_folders_get_the_same_bytes(models: list[ModelSource], tmp_path: Path) -> None:
    generate(models, LIMITS, tmp_path / "a b")
    generate(models, LIMITS, tmp_path / "c")
    names = sorted(p.name for p in (tmp_path / "c").iterdir())
    assert names == [
        "contract.json",
        "tmd_contract.h",
        "tmd_model_digits.c",
        "tmd_model_digits.h",
        "tmd_model_sst.c",
        "tmd_model_sst.h",
        "tmd_op_resolver.h",
    ]
    for name in names:
        content = (tmp_path / "c" / name).read_bytes()
        assert (tmp_path / "a b" / name).read_bytes() == content
        assert str(tmp_path).encode() not in content


def test_only_what_changed_is_written(models: list[ModelSource], tmp_path: Path) -> None:
    generate(models, LIMITS, tmp_path)
    for path in tmp_path.iterdir():
        os.utime(path, (1, 1))
    assert generate(models, LIMITS, tmp_path)[1] == []
    assert {p.stat().st_mtime for p in tmp_path.iterdir()} == {1}
    other = replace(
        LIMITS,
        kernels=KernelBuild(kernels="cmsis_nn"),
        arena_need={"digits": 8192, "sst": 8192},
        note={"digits": "another"},
    )
    assert sorted(generate(models, other, tmp_path)[1]) == ["contract.json", "tmd_contract.h"]


def test_a_refused_model_leaves_the_folder_alone(models: list[ModelSource], tmp_path: Path) -> None:
    bad = ModelSource("bad", b"not a model", "bad.tflite")
    with pytest.raises(Refusal):
        generate([*models, bad], LIMITS, tmp_path / "out")
    assert not (tmp_path / "out").exists()


USER_C = """
#include "tmd_contract.h"
#include "tmd_model_digits.h"
#include <stdio.h>
_Static_assert(TMD_MODEL_SST == 1, "");
int main(void) {
    const struct tmd_model_contract *m = &tmd_contract.models[TMD_MODEL_DIGITS];
    printf("%x %x %x\\n", (unsigned)m->id, (unsigned)m->version, (unsigned)m->lowest_version);
    printf("%s %u %u %u %02x%02x %u %u\\n", m->name, (unsigned)m->model_bytes,
           (unsigned)sizeof(tmd_model_digits), (unsigned)(((uintptr_t)tmd_model_digits) % 16),
           m->model_sha256[0], m->model_sha256[31], (unsigned)tmd_contract.models_n,
           (unsigned)tmd_contract.erase_bytes);
    return 0;
}
"""


def test_header_and_model_compile_and_say_what_the_contract_says(
    root: Path, models: list[ModelSource], tmp_path: Path
) -> None:
    limits = replace(
        LIMITS, version={"digits": 0xFF020003}, lowest_version={"digits": 0x01000000, "sst": 1}
    )
    contract, _ = generate(models, limits, tmp_path)
    (tmp_path / "main.c").write_text(USER_C)
    program = tmp_path / "main"
    subprocess.run(
        [
            "cc",
            "-std=c11",
            *STRICT,
            f"-I{root / 'zephyr_module' / 'include'}",
            f"-I{tmp_path}",
            str(tmp_path / "main.c"),
            str(tmp_path / "tmd_model_digits.c"),
            "-o",
            str(program),
        ],
        check=True,
    )
    printed = subprocess.run([program], check=True, capture_output=True, text=True).stdout.split()
    model = contract.models[0]
    sha = model.model_sha256
    assert printed == [
        f"{zlib.crc32(b'digits'):x}",
        "ff020003",
        "1000000",
        "digits",
        str(model.model_bytes),
        str(model.model_bytes),
        "0",
        f"{sha[0]:02x}{sha[31]:02x}",
        "2",
        "8192",
    ]


def test_header_compiles_as_cpp17(root: Path, models: list[ModelSource], tmp_path: Path) -> None:
    if shutil.which("c++") is None:
        pytest.skip("no C++ compiler: apt install g++")
    generate(models, LIMITS, tmp_path)
    user = tmp_path / "user.cpp"
    user.write_text(
        '#include "tmd_contract.h"\n#include "tmd_model_sst.h"\n'
        "unsigned f() { return tmd_contract.models_n + tmd_model_sst[0]; }\n"
    )
    subprocess.run(
        [
            "c++",
            "-std=c++17",
            *STRICT,
            f"-I{root / 'zephyr_module' / 'include'}",
            "-c",
            str(user),
            "-o",
            str(tmp_path / "user.o"),
        ],
        check=True,
    )


def test_header_of_another_wire_version_does_not_compile(
    root: Path, models: list[ModelSource], tmp_path: Path
) -> None:
    generate(models, LIMITS, tmp_path)
    header = tmp_path / "tmd_contract.h"
    own, other = (f"TMD_WIRE_VERSION != {version}" for version in (WIRE_VERSION, WIRE_VERSION + 1))
    assert own in header.read_text()
    header.write_text(header.read_text().replace(own, other))
    result = subprocess.run(
        [
            "cc",
            "-std=c11",
            f"-I{root / 'zephyr_module' / 'include'}",
            "-x",
            "c",
            "-c",
            str(header),
            "-o",
            "/dev/null",
        ],
        capture_output=True,
        text=True,
    )
    assert result.returncode != 0
    assert "generate it again" in result.stderr


def test_resolver_registers_exactly_the_operators(
    models: list[ModelSource], tmp_path: Path
) -> None:
    limits = replace(LIMITS, extra_operators=("TANH", "GATHER_ND"))
    contract, _ = generate(models, limits, tmp_path)
    text = (tmp_path / "tmd_op_resolver.h").read_text()
    assert {"AddTanh", "AddGatherNd"} <= set(re.findall(r"resolver\.(\w+)", text))
    wanted = {resolver_method(op.name, custom=False) for op in contract.operators}
    registered = {
        line.split("resolver.")[1].split("(")[0]
        for line in text.splitlines()
        if "resolver.Add" in line
    }
    assert registered == wanted
    assert f"MicroMutableOpResolver<{len(wanted)}>" in text


# A resolver with the methods of TFLM's: what codegen writes must compile against their names.
FAKE_TFLM = """
#pragma once
struct TFLMRegistration {};
enum TfLiteStatus { kTfLiteOk, kTfLiteError };
#define TF_LITE_ENSURE_STATUS(a) \\
    do { TfLiteStatus s = (a); if (s != kTfLiteOk) return s; } while (0)
namespace tflite { template <unsigned N> struct MicroMutableOpResolver {
TfLiteStatus AddCustom(const char *, const TFLMRegistration *) { return kTfLiteOk; }
%s
}; }
"""


def test_resolver_with_custom_operators_compiles(tmp_path: Path) -> None:
    if shutil.which("c++") is None:
        pytest.skip("no C++ compiler: apt install g++")
    spec = with_operator(with_operator(default_spec(), "my op*/"), "SignalWindow")
    limits = replace(LIMITS, arena_need={"m": 4096})
    generate([ModelSource("m", build(spec), "m.tflite")], limits, tmp_path)
    folder = tmp_path / "tensorflow" / "lite" / "micro"
    folder.mkdir(parents=True)
    methods = [resolver_method(name, custom=False) for name in sorted(BUILTINS)] + ["AddWindow"]
    (folder / "micro_mutable_op_resolver.h").write_text(
        FAKE_TFLM % "\n".join(f"TfLiteStatus {m}() {{ return kTfLiteOk; }}" for m in methods)
    )
    user = tmp_path / "user.cpp"
    user.write_text(
        '#include "tmd_op_resolver.h"\n'
        "TfLiteStatus f(tmd::OpResolver &r) { return tmd::RegisterOperators(r); }\n"
    )
    subprocess.run(
        [
            "c++",
            "-std=c++17",
            *STRICT,
            f"-I{tmp_path}",
            "-c",
            str(user),
            "-o",
            str(tmp_path / "user.o"),
        ],
        check=True,
    )
    text = (tmp_path / "tmd_op_resolver.h").read_text()
    assert "resolver.AddWindow()" in text
    assert 'AddCustom("my op*/", tmd_custom_my_op__())' in text


def test_an_operator_without_a_kernel_is_refused() -> None:
    assert resolver_method("CONV_3D", custom=False) is None
    assert resolver_method("CONV_2D", custom=False) == "AddConv2D"
    assert resolver_method("UNIDIRECTIONAL_SEQUENCE_LSTM", custom=False) == (
        "AddUnidirectionalSequenceLSTM"
    )
