"""`python -m tinymldelta.firmware`, as tmd_add_model() runs it, without Zephyr."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import modelkit
import tinymldelta
from firmwarekit import (
    DIGITS,
    SECOND_MODEL,
    SST,
    Zephyr,
    contents,
    make_python,
    make_zephyr,
    model,
    request,
    write_request,
)
from publickeys import ED25519, P256, X25519
from tinymldelta import firmware
from tinymldelta.builds import Region, read_build
from tinymldelta.contract import ContractKey, SealedKey
from tinymldelta.contractfile import read_contract
from tinymldelta.devicetree import read_model_node
from tinymldelta.errors import Refusal
from tinymldelta.limits import Limits
from tinymldelta.request import Request, parse_request, read_request
from tinymldelta.tflm import KernelBuild, sources
from tinymldelta.versions import version_text
from tinymldelta.wire import constants as wire

ONE_MODEL = {
    "contract.json",
    "digits.tflite",
    "models.json",
    "tmd_contract.h",
    "tmd_model_digits.c",
    "tmd_model_digits.h",
    "tmd_models.c",
    "tmd_models.h",
    "tmd_op_resolver.h",
}
OF_A_RUN = {"request.json", "codegen.d", "codegen.stamp"}

DIGITS_MODEL = model("digits", DIGITS / "base.tflite")
SST_MODEL = model("sst", SST / "base.tflite", node="sst_model")


@pytest.fixture(scope="session")
def zephyr(tmp_path_factory: pytest.TempPathFactory) -> Zephyr:
    return make_zephyr(tmp_path_factory.mktemp("devicetree"))


def run(folder: Path, *models: dict[str, str], zephyr: Zephyr, **options: object) -> int:
    return firmware.main([str(write_request(folder, request(zephyr, *models, **options)))])


# ---- what is written ----


def test_one_model(tmp_path, zephyr, capsys) -> None:
    assert run(tmp_path, DIGITS_MODEL, zephyr=zephyr) == 0
    made = contents(tmp_path)
    assert set(made) == ONE_MODEL | OF_A_RUN
    assert made["digits.tflite"] == (DIGITS / "base.tflite").read_bytes()
    said = capsys.readouterr()
    need = read_contract(tmp_path / "contract.json").models[0].arena_need.bytes
    assert said.out == (
        "TinyMLDelta: tflm-8d404de7 reference (assumed: Zephyr links none)\n"
        "  digits  slot   6,432 of 262,144 bytes,   2%, 255,712 left\n"
        f"  digits  arena  {need:,} of   {need:,} bytes, 100%,       0 left (predicted)\n"
    )
    assert said.err == ""


def test_two_models_each_in_its_node(tmp_path, zephyr) -> None:
    thousand = model("digits", DIGITS / "base.tflite", arena="0x2000", version="1.2.3")
    factory = {**SST_MODEL, "factory": "ON", "arena_need": "3000", "lowest_version": "7"}
    assert run(tmp_path / "tinymldelta", thousand, factory, zephyr=zephyr) == 0
    made = contents(tmp_path / "tinymldelta")
    assert set(made) == ONE_MODEL | OF_A_RUN | {"sst.tflite"}

    build = read_build(tmp_path)
    digits, sst = build.models
    assert (digits.name, digits.node, digits.compiled_in) == ("digits", "tmd_model", True)
    assert (sst.name, sst.node, sst.compiled_in) == ("sst", "sst_model", False)
    assert digits.slots == (
        Region("tmd_slot0", 0x08100000, 0x100000, 0x40000),
        Region("tmd_slot1", 0x08140000, 0x140000, 0x40000),
    )
    assert digits.staging == Region("tmd_staging", 0x08180000, 0x180000, 0x40000)
    assert sst.records == Region("sst_records", 0x081D4000, 0x1D4000, 0x4000)
    assert sst.staging is None
    for index in range(2):
        assert build.base(index) == build.models[index].base

    first, second = build.contract.models
    assert (first.arena_bytes, first.version, first.lowest_version) == (0x2000, 0x01020003, 0)
    assert (second.arena_bytes, second.version, second.lowest_version) == (3000, 0, 7)
    assert (first.slot_bytes, second.slot_bytes) == (0x40000, 0x2000)
    assert (build.contract.erase_bytes, build.contract.write_bytes) == (8192, 16)

    source = made["tmd_models.c"].decode()
    for line in (
        "{(const void *)0x08100000u, 262144u, TMD_PARTITION_ID(tmd_slot0)},",
        "{(const void *)0x08180000u, 262144u, TMD_PARTITION_ID(tmd_staging)},",
        "{(const void *)0x081d4000u, 16384u, TMD_PARTITION_ID(sst_records)},",
        "tmd_digits_partitions, tmd_model_digits);",
        "tmd_sst_partitions, NULL);",
    ):
        assert line in source
    assert "tmd_model_sst" not in source


def test_what_kconfig_says_goes_into_the_contract(tmp_path, zephyr) -> None:
    assert run(tmp_path / "default", DIGITS_MODEL, zephyr=zephyr) == 0
    contract = read_contract(tmp_path / "default" / "contract.json")
    assert (contract.formats, contract.decoder) == ((2,), wire.Decoder.DEFAULT)
    assert (contract.accept, contract.meta_kept) == (0, 192)
    assert contract.kernels == KernelBuild("8d404de7", "reference")

    said = {
        "format_1": "y",
        "decoder": "NONE",
        "accept_unguarded": "y",
        "accept_no_digest": "y",
        "tflm": "90b983c2/cmsis_nn",
        "meta_kept": "255",
        "erase_bytes": "16384",
        "write_bytes": "32",
    }
    given = {**DIGITS_MODEL, "arena_need": "3000"}
    assert run(tmp_path / "other", given, zephyr=zephyr, **said) == 0
    contract = read_contract(tmp_path / "other" / "contract.json")
    assert (contract.formats, contract.decoder) == ((1,), wire.Decoder.NONE)
    assert contract.accept == wire.ACCEPT_UNGUARDED | wire.ACCEPT_NO_DIGEST
    assert contract.kernels == KernelBuild("90b983c2", "cmsis_nn")
    assert contract.meta_kept == 255
    assert (contract.erase_bytes, contract.write_bytes) == (16384, 32)


@pytest.mark.parametrize(
    ("option", "flag"),
    [
        ("accept_unguarded", wire.ACCEPT_UNGUARDED),
        ("accept_no_digest", wire.ACCEPT_NO_DIGEST),
        ("other_kernels_warn", wire.ACCEPT_KERNELS_WARNED),
        ("other_kernels_take", wire.ACCEPT_KERNELS),
        ("free_quantisation", wire.ACCEPT_QUANTISATION),
        ("compare_tensor_names", wire.COMPARE_NAMES),
        ("anti_rollback", wire.ANTI_ROLLBACK),
    ],
)
def test_policies(option, flag, zephyr) -> None:
    asked = parse_request(request(zephyr, DIGITS_MODEL, **{option: "y"}))
    assert limits_of(asked).accept == flag


def limits_of(asked: Request) -> Limits:
    nodes = [read_model_node(asked.edt, asked.zephyr_base, m.node) for m in asked.models]
    return firmware.limits_of(asked, nodes)


def test_operators_for_models_to_come(tmp_path, zephyr) -> None:
    """Of each model once, in the contract and in the resolver."""
    first = {**DIGITS_MODEL, "extra_ops": "TANH LOGISTIC"}
    second = {**SST_MODEL, "extra_ops": "TANH CONV_2D"}
    assert run(tmp_path, first, second, zephyr=zephyr) == 0
    linked = [op.name for op in read_contract(tmp_path / "contract.json").operators]
    assert len(linked) == len(set(linked))
    assert {"CONV_2D", "TANH", "LOGISTIC", "SOFTMAX"} <= set(linked)
    resolver = (tmp_path / "tmd_op_resolver.h").read_text()
    assert [resolver.count(f"Add{name}()") for name in ("Tanh", "Logistic", "Conv2D")] == [1, 1, 1]


def test_what_the_device_tells(tmp_path, zephyr) -> None:
    labels = tmp_path / "labels #1.txt"
    labels.write_bytes("nought\r\n\u00e9in\n".encode())
    told = {**DIGITS_MODEL, "note": 'run "7"; C:\\', "labels": str(labels)}
    assert run(tmp_path / "out", told, SST_MODEL, zephyr=zephyr) == 0
    digits, sst = read_contract(tmp_path / "out" / "contract.json").models
    assert (digits.note, digits.labels) == ('run "7"; C:\\', ("nought", "\u00e9in"))
    assert (sst.note, sst.labels) == ("", ())
    _, files = depends_on(tmp_path / "out" / "codegen.d")
    assert labels in files


# ---- keys ----


@pytest.fixture
def pem(tmp_path) -> dict[str, str]:
    """Files of public keys."""
    files = {}
    for name, key in (("ed", ED25519), ("p256", P256), ("x", X25519)):
        path = tmp_path / f"{name} #1.pem"
        path.write_bytes(key.pem())
        files[name] = str(path)
    return files


def test_keys_go_into_the_contract_and_into_the_header(tmp_path, zephyr, pem) -> None:
    said = {
        **{"verify": "y", "public_keys": [pem["ed"], pem["p256"]]},
        **{"mac_keys": "hmac-sha256:1  aes-cmac", "anti_rollback": "y"},
        **{"decrypt": "y", "decryption_keys": [pem["x"]], "device_class": "a_board"},
    }
    assert run(tmp_path / "out", DIGITS_MODEL, zephyr=zephyr, **said) == 0
    contract = read_contract(tmp_path / "out" / "contract.json")
    assert contract.keys == (
        ContractKey(wire.SignatureKind.ED25519, ED25519.id, ED25519.data),
        ContractKey(wire.SignatureKind.ECDSA_P256, P256.id, P256.data),
        ContractKey(wire.SignatureKind.HMAC_SHA256, bytes((1, 0, 0, 0))),
        ContractKey(wire.SignatureKind.AES_CMAC, bytes(4)),
    )
    assert contract.sealed_keys == (SealedKey(wire.AgreementKind.X25519, X25519.id, X25519.data),)
    assert (contract.formats, contract.accept) == ((2,), wire.ANTI_ROLLBACK)
    assert contract.device_class == "a_board"
    header = (tmp_path / "out" / "tmd_contract.h").read_text()
    assert "#if !TMD_VERIFY\n#error" in header and "#if !TMD_DECRYPT\n#error" in header
    _, files = depends_on(tmp_path / "out" / "codegen.d")
    assert {Path(path) for path in pem.values()} <= set(files)


def test_a_firmware_that_verifies_nothing_has_no_keys(tmp_path, zephyr, pem) -> None:
    """What Kconfig has of keys then has no meaning."""
    assert run(tmp_path / "out", DIGITS_MODEL, zephyr=zephyr, mac_keys="aes-cmac") == 0
    contract = read_contract(tmp_path / "out" / "contract.json")
    assert (contract.keys, contract.sealed_keys, contract.device_class) == ((), (), "")
    header = (tmp_path / "out" / "tmd_contract.h").read_text()
    assert "TMD_VERIFY" not in header and "TMD_DECRYPT" not in header


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "CONFIG_TMD_VERIFY: the firmware checks signatures, and there is no key "),
        ({"mac_keys": "md5:1"}, "CONFIG_TMD_MAC_KEYS: 'md5' is no kind of MAC "),
        ({"mac_keys": "aes-cmac:x"}, "CONFIG_TMD_MAC_KEYS: 'x' is no number of a key "),
        ({"mac_keys": "aes-cmac:"}, "CONFIG_TMD_MAC_KEYS: '' is no number of a key "),
        ({"mac_keys": "aes-cmac:4294967296"}, "CONFIG_TMD_MAC_KEYS: the number 4294967296 "),
        (
            {"mac_keys": "aes-cmac aes-cmac:0"},
            "CONFIG_TMD_PUBLIC_KEYS or CONFIG_TMD_MAC_KEYS: aes-cmac key number 0 is there twice ",
        ),
        (
            {"mac_keys": "aes-cmac", "decrypt": "y"},
            "CONFIG_TMD_DECRYPT: the firmware decrypts patches, and there is no key ",
        ),
        (
            {"mac_keys": "aes-cmac", "format_1": "y"},
            "CONFIG_TMD_FORMAT_1: patches of format 1 are not signed, ",
        ),
        (
            {"mac_keys": "aes-cmac", "decoder": "NONE"},
            "the choice TMD_DECODER: without format 2 nothing can be signed ",
        ),
        (
            {"mac_keys": "aes-cmac", "device_class": "a board"},
            "CONFIG_TMD_DEVICE_CLASS: 'a board' is no name for a class of devices ",
        ),
    ],
)
def test_keys_that_no_firmware_can_have(options, said, tmp_path, zephyr, capsys) -> None:
    line = refused(tmp_path, capsys, DIGITS_MODEL, zephyr=zephyr, verify="y", **options)
    assert line.startswith(said)


def test_files_that_hold_no_such_key(tmp_path, zephyr, capsys, pem) -> None:
    none = tmp_path / "none.pem"
    verifying = {"zephyr": zephyr, "verify": "y"}
    for path, said in ((none, "cannot be read"), (Path(pem["x"]), "not for signing")):
        line = firmware_error(
            tmp_path / "a", capsys, DIGITS_MODEL, public_keys=[str(path)], **verifying
        )
        assert said in line and str(path) in line
    line = firmware_error(
        tmp_path / "b",
        capsys,
        DIGITS_MODEL,
        **{**verifying, "mac_keys": "aes-cmac", "decrypt": "y", "decryption_keys": [pem["ed"]]},
    )
    assert "not for encrypting" in line


# ---- the kernels ----


@pytest.fixture
def tflm(tmp_path, monkeypatch) -> Path:
    """A folder that is taken for one of the revisions."""
    kernels = tmp_path / "t f l m" / "tensorflow" / "lite" / "micro" / "kernels"
    kernels.mkdir(parents=True)
    (kernels / "conv.cc").write_text("one line\nanother\n")
    folder = tmp_path / "t f l m"
    monkeypatch.setattr(sources, "_REVISIONS", {sources.digest_of(folder): "8d404de7"})
    return folder


@pytest.mark.parametrize(
    ("said", "cmsis_nn", "expected"),
    [
        ("", "", "8d404de7 reference"),
        ("", "y", "8d404de7 cmsis_nn"),
        ("9156d050", "", "9156d050 reference"),
        ("9156d050", "y", "9156d050 cmsis_nn"),
        ("9156d050/reference", "y", "9156d050 reference"),
        ("8d404de7/cmsis_nn", "", "8d404de7 cmsis_nn"),
    ],
)
def test_kernels_as_they_are_found_or_said(said, cmsis_nn, expected, tflm, zephyr) -> None:
    options = {"tflm": said, "cmsis_nn": cmsis_nn, "tflm_folder": str(tflm)}
    asked = parse_request(request(zephyr, DIGITS_MODEL, **options))
    assert firmware.kernels_of(asked).text == f"tflm-{expected}"


def test_tensorflow_lite_micro_is_recognised_by_its_sources(tmp_path, tflm, zephyr, capsys) -> None:
    folder = {"tflm_folder": str(tflm)}
    assert run(tmp_path / "out", DIGITS_MODEL, zephyr=zephyr, **folder) == 0
    assert "tflm-8d404de7 reference (found)" in capsys.readouterr().out
    kernel = tflm / "tensorflow" / "lite" / "micro" / "kernels" / "conv.cc"
    assert kernel in depends_on(tmp_path / "out" / "codegen.d")[1]
    kernel.write_text("one line\nanother one\n")
    line = refused(tmp_path / "no", capsys, DIGITS_MODEL, zephyr=zephyr, **folder)
    assert line == (
        f"{tflm}: is no TensorFlow Lite Micro that there are tables for, or a changed one "
        "(say by CONFIG_TMD_TFLM which of 8d404de7 it is like)"
    )
    assert run(tmp_path / "out", DIGITS_MODEL, zephyr=zephyr, **folder, tflm="8d404de7") == 0
    assert "(as CONFIG_TMD_TFLM says)" in capsys.readouterr().out
    assert kernel not in depends_on(tmp_path / "out" / "codegen.d")[1]


@pytest.mark.parametrize("said", ["8d404de", "HEAD", "8d404de7/neon", "8d404de7/", "/cmsis_nn"])
def test_kernels_without_tables(said, tmp_path, zephyr, capsys) -> None:
    line = refused(tmp_path, capsys, DIGITS_MODEL, zephyr=zephyr, tflm=said)
    assert line.startswith(f"CONFIG_TMD_TFLM={said}: there are no tables for this ")


def test_an_operator_that_the_kernels_do_not_have(tmp_path, zephyr, capsys) -> None:
    extra = {**DIGITS_MODEL, "arena_need": "3000", "extra_ops": "BATCH_MATMUL"}
    assert run(tmp_path / "new", extra, zephyr=zephyr) == 0
    capsys.readouterr()
    line = refused(tmp_path / "old", capsys, extra, zephyr=zephyr, tflm="9156d050")
    assert line.startswith("EXTRA_OPS BATCH_MATMUL: tflm-9156d050 reference has no operator ")


def test_an_arena_that_cannot_be_predicted(tmp_path, zephyr, capsys, monkeypatch) -> None:
    """CMake has to say the need; without it, nothing is guessed."""

    def unpredictable(*_: object) -> NoReturn:
        raise Refusal("CONV_2D", "nobody knows", "an option of the command line, like --measure")

    monkeypatch.setattr("tinymldelta.facts.predict_arena", unpredictable)
    line = firmware_error(tmp_path, capsys, DIGITS_MODEL, zephyr=zephyr)
    assert line == (
        "tmd_add_model(digits): its arena cannot be predicted: CONV_2D: nobody knows (find it with "
        f"`tmd arena {DIGITS / 'base.tflite'} --measure`, and give it as ARENA_NEED)"
    )
    given = {**DIGITS_MODEL, "arena_need": "3000"}
    assert run(tmp_path, given, zephyr=zephyr) == 0
    assert "3,000 bytes, 100%" in capsys.readouterr().out


# ---- budgets ----


def test_budgets(tmp_path, zephyr, capsys) -> None:
    full = {**SST_MODEL, "arena": "3000", "arena_need": "2701"}
    wide = {**DIGITS_MODEL, "arena": "8192", "arena_need": "2701"}
    options = {"sram_size": "12", "warn_percent": "90"}
    assert run(tmp_path, wide, full, zephyr=zephyr, **options) == 0
    said = capsys.readouterr()
    *_, first, ram = said.out.splitlines()
    assert " ".join(first.split()) == "sst arena 2,701 of 3,000 bytes, 90%, 299 left (given)"
    assert " ".join(ram.split()) == (
        "all models RAM 11,192 of 12,288 bytes, 91%, 1,096 left (arenas)"
    )
    assert [line.split(" uses ")[0] for line in said.err.splitlines()] == [
        "warning: sst",
        "warning: all models",
    ]
    for percent, warnings in (("91", 1), ("100", 0), ("1", 5)):
        path = tmp_path / percent
        assert run(path, wide, full, zephyr=zephyr, sram_size="12", warn_percent=percent) == 0
        assert capsys.readouterr().err.count("warning: ") == warnings


def test_without_staging_the_firmware_has_no_such_partition(tmp_path, zephyr) -> None:
    assert run(tmp_path, DIGITS_MODEL, zephyr=zephyr, staging="") == 0
    assert b"tmd_staging" not in (tmp_path / "tmd_models.c").read_bytes()
    assert json.loads((tmp_path / "models.json").read_text())["models"][0]["staging"] is None


def test_the_same_in_any_folder(tmp_path, zephyr) -> None:
    """What is compiled holds no path: builds are reproducible, and caches of compilers hit."""
    elsewhere = make_zephyr(tmp_path / "else where")
    copy = tmp_path / "else where" / "other name.tflite"
    copy.write_bytes((DIGITS / "base.tflite").read_bytes())
    there = {**DIGITS_MODEL, "file": str(copy)}
    assert run(tmp_path / "one", DIGITS_MODEL, SST_MODEL, zephyr=zephyr) == 0
    assert run(tmp_path / "an other", there, SST_MODEL, zephyr=elsewhere) == 0
    one, other = contents(tmp_path / "one"), contents(tmp_path / "an other")
    assert one.keys() == other.keys()
    assert {name for name in one if one[name] != other[name]} == {"request.json", "codegen.d"}
    for name in one.keys() - {"request.json", "codegen.d"}:
        assert str(tmp_path).encode() not in one[name]
        assert DIGITS.as_posix().encode() not in one[name]


def test_a_second_run_writes_nothing_but_the_stamp(tmp_path, zephyr) -> None:
    def times() -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}

    assert run(tmp_path, DIGITS_MODEL, SST_MODEL, zephyr=zephyr) == 0
    before = times()
    assert firmware.main([str(tmp_path / "request.json")]) == 0
    assert {name for name, time in times().items() if time != before[name]} == {"codegen.stamp"}


def depends_on(depfile: Path) -> tuple[str, list[Path]]:
    """Target and dependencies, as make reads them."""
    names = re.split(r"(?<!\\)\s+", depfile.read_text().replace("\\\n", " ").strip())
    target, *files = [re.sub(r"\\([ #])", r"\1", name).replace("$$", "$") for name in names]
    assert target.endswith(":")
    return target[:-1], [Path(file) for file in files]


def test_the_build_is_told_what_it_was_made_from(tmp_path, zephyr) -> None:
    """In a process of its own: what this one has imported is no matter of the generator."""
    own = tmp_path / "own #1 re$olver.cpp"
    own.write_text(" ".join(f"r.Add{op}();" for op in (*DIGITS_CALLS, "Logistic")))
    path = write_request(
        tmp_path / "out put for $",
        request(zephyr, {**DIGITS_MODEL, "resolver": str(own)}, SST_MODEL),
    )
    package = Path(firmware.__file__).resolve().parent
    make_python(tmp_path / "python")
    done = subprocess.run(
        [tmp_path / "python", "-m", "tinymldelta.firmware", path],
        env={**os.environ, "PYTHONPATH": str(package.parent)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    target, files = depends_on(path.with_name("codegen.d"))
    assert Path(target) == path.with_name("codegen.stamp")
    assert len(files) == len(set(files))
    assert all(file.is_file() for file in files)
    models = {DIGITS / "base.tflite", SST / "base.tflite"}
    assert models | {path, zephyr.edt, own} <= set(files)
    ours = {file.relative_to(package).as_posix() for file in files if package in file.parents}
    assert ours >= {
        "firmware.py",
        "devicetree.py",
        "contract.py",
        "model/reader.py",
        "tflm/operators.yaml",
        *(f"templates/tmd_{name}.j2" for name in ("contract.h", "model.c", "models.c", "models.h")),
    }
    assert not any(name.startswith(("cli/", "smp/", "delta/")) for name in ours)


# ---- what is refused ----


def refused(
    folder: Path, capsys, *models: dict[str, str], zephyr: Zephyr, **options: object
) -> str:
    """The one line on stderr, which names no option of the command line, as CMake has none."""
    line = firmware_error(folder, capsys, *models, zephyr=zephyr, **options)
    assert "--" not in line
    return line


def firmware_error(
    folder: Path, capsys, *models: dict[str, str], zephyr: Zephyr, **options: object
) -> str:
    """The one line on stderr. Nothing is written."""
    assert run(folder, *models, zephyr=zephyr, **options) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert set(contents(folder)) == {"request.json"}
    return said.err.removeprefix("error: ").rstrip("\n")


DIGITS_CALLS = ("Conv2D", "MaxPool2D", "Reshape", "FullyConnected", "Softmax")


def test_an_arena_that_is_too_small(tmp_path, zephyr, capsys) -> None:
    line = refused(tmp_path, capsys, {**DIGITS_MODEL, "arena": "64"}, zephyr=zephyr)
    assert line.startswith("digits: an arena of 64 bytes is too small: the model needs ")
    assert "raise ARENA to " in line
    assert line.endswith("or give what you measured with ARENA_NEED)")


@pytest.mark.parametrize("option", ["ARENA", "ARENA_NEED"])
@pytest.mark.parametrize("text", ["-1", "8k", "1.5", "0x"])
def test_no_size(option, text, tmp_path, zephyr, capsys) -> None:
    line = refused(tmp_path, capsys, {**DIGITS_MODEL, option.lower(): text}, zephyr=zephyr)
    assert line == f"tmd_add_model(digits): {option} {text} is no size (give whole bytes)"


@pytest.mark.parametrize("option", ["VERSION", "LOWEST_VERSION"])
def test_no_version(option, tmp_path, zephyr, capsys) -> None:
    line = refused(tmp_path, capsys, {**DIGITS_MODEL, option.lower(): "1.2"}, zephyr=zephyr)
    assert line.startswith(f"tmd_add_model(digits): {option}: '1.2' is no version: give one like ")


def test_a_model_larger_than_its_slot(tmp_path, zephyr, capsys) -> None:
    large = modelkit.with_tensor(
        modelkit.default_spec(), 6, shape=(4, 4096), data=bytes(16384), name="weights"
    )
    file = tmp_path / "large.tflite"
    file.write_bytes(modelkit.build(large))
    line = refused(tmp_path / "out", capsys, model("sst", file, node="sst_model"), zephyr=zephyr)
    assert line == (
        f"sst: the model is {file.stat().st_size} bytes, a slot 8192 "
        "(raise the partitions of the slots or use a smaller model)"
    )


def test_no_such_node(tmp_path, zephyr, capsys) -> None:
    line = refused(tmp_path, capsys, {**DIGITS_MODEL, "node": "thermo"}, zephyr=zephyr)
    assert line == (
        "devicetree node thermo: there is no such node "
        "(the models' nodes are sst_model, tmd_model; name one as NODE)"
    )


def test_two_models_in_one_node(tmp_path, zephyr, capsys) -> None:
    second = {**SST_MODEL, "node": "tmd_model"}
    line = refused(tmp_path, capsys, DIGITS_MODEL, second, zephyr=zephyr)
    assert line == (
        "tmd_add_model(sst): the devicetree node tmd_model belongs to another model "
        "(add a node with partitions of its own and name it as NODE)"
    )


@pytest.mark.parametrize(
    ("shared", "region"),
    [
        ("slots = <&tmd_slot0 &tmd_slot1>", "tmd_slot0"),
        ("records = <&tmd_records>", "tmd_records"),
        ("staging = <&tmd_staging>", "tmd_staging"),
    ],
)
def test_two_nodes_with_one_partition(shared, region, tmp_path, capsys) -> None:
    """They would write over each other as if they were one node."""
    tree = make_zephyr(tmp_path / "tree", f"{SECOND_MODEL}\n&sst_model {{ {shared}; }};")
    line = refused(tmp_path / "out", capsys, DIGITS_MODEL, SST_MODEL, zephyr=tree)
    assert line.startswith("tmd_add_model(sst): ")
    assert region in line


@pytest.mark.parametrize("unit", ["write_bytes", "erase_bytes"])
def test_slots_in_flash_of_two_kinds(unit, zephyr) -> None:
    """The device wants each slot's units to be the contract's; of other regions it does not."""
    base = Path(tinymldelta.__file__).parents[1]
    document = request(zephyr, DIGITS_MODEL, SST_MODEL)
    asked = parse_request(document)
    nodes = [read_model_node(asked.edt, asked.zephyr_base, m.node) for m in asked.models]
    assert base == asked.package
    other = [replace(slot, **{unit: 2 * getattr(slot, unit)}) for slot in nodes[1].slots]
    with pytest.raises(Refusal, match="put the slots of all models into flash of one kind"):
        firmware.limits_of(asked, [nodes[0], replace(nodes[1], slots=tuple(other))])
    records = replace(nodes[1].records, **{unit: 2 * getattr(nodes[1].records, unit)})
    limits = firmware.limits_of(asked, [nodes[0], replace(nodes[1], records=records)])
    assert (limits.erase_bytes, limits.write_bytes) == (8192, 16)


def test_two_models_of_one_name(tmp_path, zephyr, capsys) -> None:
    second = {**SST_MODEL, "name": "digits"}
    line = refused(tmp_path, capsys, DIGITS_MODEL, second, zephyr=zephyr)
    assert "two models have one name" in line
    assert "NAME=FILE" not in line  # how the command line names models


@pytest.mark.parametrize("name", ["Digits", "1st", "../escape", "a-b", "a" * 32])
def test_no_name(name, tmp_path, zephyr, capsys) -> None:
    line = refused(tmp_path / "out", capsys, {**DIGITS_MODEL, "name": name}, zephyr=zephyr)
    assert line.startswith(f"{name}: not a name for a model (use a to z, 0 to 9 and _")
    assert {path.name for path in tmp_path.iterdir()} == {"out"}


def test_names_that_the_generated_code_has_taken(tmp_path, zephyr, capsys) -> None:
    line = refused(tmp_path, capsys, {**DIGITS_MODEL, "name": "contract"}, zephyr=zephyr)
    assert line.startswith("tmd_add_model(contract): tmd_contract is ")
    size_of_digits = {**SST_MODEL, "name": "digits_bytes"}
    for models in ((DIGITS_MODEL, size_of_digits), (size_of_digits, DIGITS_MODEL)):
        line = refused(tmp_path, capsys, *models, zephyr=zephyr)
        assert line.startswith("digits_bytes: TMD_MODEL_DIGITS_BYTES is ")


def test_a_broken_model_file(tmp_path, zephyr, capsys) -> None:
    file = tmp_path / "broken.tflite"
    file.write_bytes((DIGITS / "base.tflite").read_bytes()[:1000])
    line = refused(tmp_path / "out", capsys, model("digits", file), zephyr=zephyr)
    assert line.startswith(f"{file}: ")
    file.write_bytes(b"not a model")
    line = refused(tmp_path / "out", capsys, model("digits", file), zephyr=zephyr)
    assert line.startswith(f"{file}: ")


def test_a_missing_file(tmp_path, zephyr, capsys) -> None:
    missing = tmp_path / "missing"
    for said in ({"file": str(missing)}, {"resolver": str(missing)}, {"labels": str(missing)}):
        line = refused(tmp_path / "out", capsys, {**DIGITS_MODEL, **said}, zephyr=zephyr)
        assert line == (
            f"tmd_add_model(digits): {missing} cannot be read: No such file or directory "
            "(correct its path)"
        )


def test_an_own_resolver_that_lacks_an_operator(tmp_path, zephyr, capsys) -> None:
    own = tmp_path / "inference.cpp"
    with_own = {**DIGITS_MODEL, "resolver": str(own)}
    own.write_text("r.AddConv2D();\nr.AddMaxPool2D();\nr.AddReshape();\n// r.AddSoftmax();\n")
    line = refused(tmp_path / "out", capsys, with_own, zephyr=zephyr)
    assert line == (
        f"{own}: the resolver lacks what the contract says is linked: "
        "AddFullyConnected, AddSoftmax "
        "(add the calls, or use tmd::RegisterOperators() of the generated tmd_op_resolver.h)"
    )
    own.write_text("".join(f"r.Add{name}();\n" for name in DIGITS_CALLS))
    assert run(tmp_path / "out", with_own, zephyr=zephyr) == 0
    capsys.readouterr()
    extra = {**with_own, "extra_ops": "TANH"}
    line = refused(tmp_path / "extra", capsys, extra, zephyr=zephyr)
    assert "is linked: AddTanh (" in line


def test_text_that_no_device_has_room_for(tmp_path, zephyr, capsys) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("l" * 200)
    told = {**DIGITS_MODEL, "labels": str(labels)}
    line = refused(tmp_path / "kept", capsys, told, zephyr=zephyr)
    assert line == (
        "digits: note and labels take 202 bytes, 192 stay with a model "
        "(shorten them, or raise CONFIG_TMD_META_KEPT)"
    )
    assert run(tmp_path / "raised", told, zephyr=zephyr, meta_kept="202") == 0
    capsys.readouterr()
    labels.write_text("l" * 251)
    line = refused(tmp_path / "labels", capsys, told, zephyr=zephyr, meta_kept="255")
    assert line == "digits: its list of labels needs 251 bytes, 250 are the most (shorten it)"
    line = refused(tmp_path / "note", capsys, {**DIGITS_MODEL, "note": "n" * 97}, zephyr=zephyr)
    assert line == "digits: its note needs 97 bytes, 96 are the most (shorten it)"
    labels.write_bytes(b"\xff")
    line = refused(tmp_path / "three", capsys, told, zephyr=zephyr)
    assert line == f"{labels}: not UTF-8 text (give names of classes, one a line)"


@pytest.mark.parametrize("buffer", ["200", "130"])
def test_a_write_buffer_that_holds_no_whole_write_units(buffer, tmp_path, zephyr, capsys) -> None:
    line = refused(tmp_path, capsys, DIGITS_MODEL, zephyr=zephyr, write_buffer=buffer)
    assert line == (
        f"CONFIG_TMD_WRITE_BUFFER={buffer}: is no multiple of the write unit of 16 bytes (use 256)"
    )


@pytest.mark.parametrize("buffer", ["144", "192"])
def test_a_write_buffer_that_divides_no_erase_unit_of_the_staging_region(
    buffer, tmp_path, zephyr, capsys
) -> None:
    """A staging region is a row of places of this size, none of which lies in two erase units."""
    line = refused(tmp_path / "out", capsys, DIGITS_MODEL, zephyr=zephyr, write_buffer=buffer)
    assert line.startswith(f"CONFIG_TMD_WRITE_BUFFER={buffer}: ")
    assert run(tmp_path / "off", DIGITS_MODEL, zephyr=zephyr, write_buffer=buffer, staging="") == 0
    assert run(tmp_path / "none", SST_MODEL, zephyr=zephyr, write_buffer=buffer) == 0
    assert run(tmp_path / "half", DIGITS_MODEL, zephyr=zephyr, write_buffer="128") == 0


@pytest.mark.parametrize(
    ("silent", "option"),
    [("erase-block-size", "ERASE_BYTES"), ("write-block-size", "WRITE_BYTES")],
)
def test_flash_that_does_not_say_its_units(silent, option, tmp_path, capsys) -> None:
    tree = make_zephyr(tmp_path / "tree", f"&flash0 {{ /delete-property/ {silent}; }};")
    line = refused(tmp_path / "out", capsys, DIGITS_MODEL, zephyr=tree)
    assert line == (
        f"devicetree node /soc/flash-controller@40022000/flash@8000000: does not say its {silent} "
        f"(set CONFIG_TMD_{option} to what the flash has)"
    )
    unit = {option.lower(): "256"}
    assert run(tmp_path / "out", DIGITS_MODEL, zephyr=tree, **unit) == 0


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"write_bytes": "3", "write_buffer": "255"}, "CONFIG_TMD_WRITE_BYTES"),
        ({"erase_bytes": "100"}, "CONFIG_TMD_ERASE_BYTES"),
    ],
)
def test_units_that_no_flash_has(options, option, tmp_path, zephyr, capsys) -> None:
    line = refused(tmp_path, capsys, SST_MODEL, zephyr=zephyr, **options)
    assert line.startswith(f"{option}: ")


def test_a_tree_without_edtlib(tmp_path, zephyr, capsys) -> None:
    line = refused(tmp_path, capsys, DIGITS_MODEL, zephyr=replace(zephyr, base=tmp_path))
    assert line == f"{tmp_path}: is no Zephyr tree: it has no edtlib (set ZEPHYR_BASE to the tree)"


def test_another_installation_comes_first(tmp_path, zephyr, capsys) -> None:
    line = refused(tmp_path, capsys, DIGITS_MODEL, zephyr=zephyr, package=str(tmp_path))
    assert f"is imported instead of the module's in {tmp_path}" in line


def test_what_was_written_stays_as_it_was_when_a_later_run_is_refused(
    tmp_path, zephyr, capsys
) -> None:
    assert run(tmp_path, DIGITS_MODEL, zephyr=zephyr) == 0
    before = contents(tmp_path)
    capsys.readouterr()
    assert run(tmp_path, {**DIGITS_MODEL, "arena": "1"}, zephyr=zephyr) == 1
    assert {**contents(tmp_path), "request.json": before["request.json"]} == before


# ---- whatever is asked for ----

TEXT = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=12)
NUMBER = st.integers(0, 2**33).map(lambda n: str(n)) | st.integers(0, 2**33).map(hex)
SETTINGS = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@SETTINGS
@given(
    option=st.sampled_from(
        ["arena", "arena_need", "version", "lowest_version", "name", "node", "extra_ops", "note"]
    ),
    text=TEXT | NUMBER,
)
def test_any_text_is_taken_or_refused_in_one_line(option, text, tmp_path, zephyr, capsys) -> None:
    status = run(tmp_path, {**DIGITS_MODEL, option: text}, zephyr=zephyr)
    said = capsys.readouterr()
    assert status in (0, 1)
    assert said.err.count("\n") == status
    if status == 0:
        (made,) = read_contract(tmp_path / "contract.json").models
        if option.startswith("arena") and text:
            assert made.arena_bytes == int(text, 0)


@SETTINGS
@given(version=st.integers(0, 2**32 - 1), lowest=st.integers(0, 2**32 - 1))
def test_versions_by_text_and_by_number_are_the_same(version, lowest, tmp_path, zephyr) -> None:
    said = {"version": version_text(version), "lowest_version": str(lowest)}
    path = write_request(tmp_path, request(zephyr, {**DIGITS_MODEL, **said}))
    (read,) = read_request(path).models
    assert (read.version, read.lowest_version) == (version, lowest)


def test_models_json_is_json_of_its_version(tmp_path, zephyr) -> None:
    assert run(tmp_path, DIGITS_MODEL, zephyr=zephyr) == 0
    document = json.loads((tmp_path / "models.json").read_text())
    assert (document["version"], len(document["models"])) == (firmware.MODELS_VERSION, 1)
