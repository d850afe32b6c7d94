"""`tmd` as a user meets it: what it prints, what it exits with, what it leaves on disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from patchkit import NAMED_FAULTS
from tinymldelta import native
from tinymldelta.cli.main import main
from tinymldelta.container.accepts import Accepts
from tinymldelta.container.reader import apply_patch
from tinymldelta.contractfile import read_contract
from tinymldelta.interpreter import find_interpreter
from tinymldelta.wire.constants import Rule

Tmd = Callable[..., Result]


@pytest.fixture
def tmd() -> Tmd:
    def run(*arguments: object) -> Result:
        result = CliRunner().invoke(main, [str(a) for a in arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), (
            result.exception
        )
        return result

    return run


@pytest.fixture
def contract(tmd: Tmd, digits: Path, tmp_path: Path) -> Path:
    out = tmp_path / "generated"
    result = tmd(
        "codegen",
        f"digits={digits / 'base.tflite'}",
        "--out",
        out,
        "--slot",
        16384,
        "--erase",
        8192,
        "--write",
        16,
    )
    assert result.exit_code == 0, result.output
    return out / "contract.json"


@pytest.fixture
def patch(tmd: Tmd, digits: Path, contract: Path, tmp_path: Path) -> Path:
    out = tmp_path / "p.tmd"
    result = tmd(
        "patch", digits / "base.tflite", digits / "target.tflite", "-o", out, "--contract", contract
    )
    assert result.exit_code == 0, result.output
    return out


@pytest.fixture
def flash(tmd: Tmd, digits: Path, contract: Path, tmp_path: Path) -> Path:
    out = tmp_path / "device.sim"
    result = tmd("sim", "init", out, "--contract", contract, "--base", digits / "base.tflite")
    assert result.exit_code == 0, result.output
    return out


def test_help_of_every_command_exits_0(tmd: Tmd) -> None:
    for command in (
        (),
        ("inspect",),
        ("codegen",),
        ("patch",),
        ("check",),
        ("apply",),
        ("sim",),
        ("sim", "init"),
        ("sim", "update"),
        ("sim", "cut"),
        ("sim", "boot"),
        ("sim", "status"),
        ("sim", "read"),
        ("sim", "confirm"),
        ("sim", "revert"),
        ("sim", "forget"),
        ("sim", "resume"),
    ):
        result = tmd(*command, "--help")
        assert result.exit_code == 0
        assert "Usage" in result.output


def test_wrong_calls_exit_2(tmd: Tmd, digits: Path, contract: Path, tmp_path: Path) -> None:
    base = digits / "base.tflite"
    for arguments in (
        ("nonsense",),
        ("patch", base),
        ("patch", base, base, "-o", tmp_path / "x", "--opset-hash", "0x1FFFFFFFF"),
        ("patch", base, base, "-o", tmp_path / "x", "--algo", "md5"),
        ("patch", base, base, "-o", tmp_path / "x", "--unguarded", "--req-arena", "1"),
        ("codegen", base, "--out", tmp_path / "o"),
        (
            "codegen",
            f"a={base}",
            f"b={base}",
            "--out",
            tmp_path / "o",
            "--slot",
            16384,
            "--arena",
            "9000",
        ),
        ("codegen", f"a={base}", "--out", tmp_path / "o", "--slot", 16384, "--arena", "x"),
        ("sim", "update", tmp_path / "f", tmp_path / "p", "--piece", "0"),
        ("sim", "update", tmp_path / "f", tmp_path / "p", "--staged", "--stage"),
        ("patch", base, base, "-o", tmp_path / "x", "--model-version", "1.2"),
        ("patch", base, base, "-o", tmp_path / "x", "--tolerance", "1"),
        ("codegen", f"a={base}", "--out", tmp_path / "o", "--slot", 16384, "--model-version", "v1"),
        (
            "codegen",
            f"a={base}",
            "--out",
            tmp_path / "o",
            "--slot",
            16384,
            "--lowest-version",
            "256.0.0",
        ),
    ):
        result = tmd(*arguments)
        assert result.exit_code == 2, (arguments, result.output)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("named", ["app=", ""])
def test_codegen_takes_a_path_with_an_equals_sign(
    tmd: Tmd, digits: Path, tmp_path: Path, named: str
) -> None:
    model = tmp_path / "a=b" / "app.tflite"
    model.parent.mkdir()
    model.write_bytes((digits / "base.tflite").read_bytes())
    options = ("--out", tmp_path / "o", "--slot", 16384)
    assert tmd("codegen", f"{named}{model}", *options).exit_code == 0
    assert (tmp_path / "o" / "tmd_model_app.c").is_file()


def test_codegen_says_what_fits_and_that_nothing_changed(
    tmd: Tmd, digits: Path, contract: Path
) -> None:
    result = tmd(
        "codegen",
        f"digits={digits / 'base.tflite'}",
        "--out",
        contract.parent,
        "--slot",
        16384,
        "--erase",
        8192,
    )
    assert result.exit_code == 0
    assert "nothing changed" in result.output
    assert "6,432" in result.output


def test_patch_then_apply_gives_the_target(
    tmd: Tmd, digits: Path, contract: Path, patch: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.tflite"
    for extra in ((), ("--contract", contract)):
        result = tmd("apply", digits / "base.tflite", patch, "-o", out, *extra)
        assert result.exit_code == 0, result.output
        assert out.read_bytes() == (digits / "target.tflite").read_bytes()
        out.unlink()
        assert ("guardrails not checked" in result.output) == (not extra)


@pytest.mark.parametrize("algo", ["sha256", "crc32"])
@pytest.mark.parametrize("gap", [0, 16, 300])
def test_the_plain_python_reader_agrees(
    tmd: Tmd, digits: Path, contract: Path, tmp_path: Path, algo: str, gap: int
) -> None:
    out = tmp_path / "p.tmd"
    base, target = digits / "base.tflite", digits / "target.tflite"
    result = tmd(
        "patch",
        base,
        target,
        "-o",
        out,
        "--contract",
        contract,
        "--format",
        "1",
        "--algo",
        algo,
        "--merge-gap",
        gap,
    )
    assert result.exit_code == 0, result.output
    accepts: Accepts = read_contract(contract).accepts(0)
    assert apply_patch(base.read_bytes(), out.read_bytes(), accepts).target == target.read_bytes()


def test_the_same_inputs_give_the_same_patch(
    tmd: Tmd, digits: Path, contract: Path, patch: Path, tmp_path: Path
) -> None:
    again = tmp_path / "other" / "again.tmd"
    again.parent.mkdir()
    tmd(
        "patch",
        digits / "base.tflite",
        digits / "target.tflite",
        "-o",
        again,
        "--contract",
        contract,
    )
    assert again.read_bytes() == patch.read_bytes()


def test_inspect_gives_bytes_by_part(tmd: Tmd, patch: Path) -> None:
    document = json.loads(tmd("inspect", patch, "--json").stdout)
    sizes = document["sizes"]
    assert set(sizes) == {"header", "metadata", "digests", "signature", "body", "total"}
    assert sizes["total"] == len(patch.read_bytes())
    assert sum(sizes.values()) == 2 * sizes["total"]
    assert document["metadata"]["req_arena_bytes"] > 0
    shown = tmd("inspect", patch).output
    assert "OPERATORS" in shown
    assert "CONV_2D v3 (INT8)" in " ".join(shown.replace("│", " ").split())
    assert "digits" in shown


def test_inspect_reads_models_and_contracts(tmd: Tmd, digits: Path, contract: Path) -> None:
    model = json.loads(tmd("inspect", digits / "base.tflite", "--json").stdout)
    assert model["kind"] == "model"
    assert {op["name"] for op in model["operators"]} >= {"CONV_2D", "SOFTMAX"}
    assert json.loads(tmd("inspect", contract, "--json").stdout)["kind"] == "contract"
    assert "CONV_2D ≤ v" in tmd("inspect", contract).output
    assert "int8" in tmd("inspect", digits / "base.tflite").output.lower()


def test_inspect_refuses_what_it_does_not_know(tmd: Tmd, tmp_path: Path) -> None:
    for content in (b"", b"hello, world", b"\x01short", b"{", b"\x00" * 100):
        file = tmp_path / "file"
        file.write_bytes(content)
        for extra in ((), ("--json",)):
            result = tmd("inspect", file, *extra)
            assert result.exit_code == 1
            assert str(file) in result.stderr
    assert tmd("inspect", tmp_path / "missing").exit_code == 1


@pytest.mark.parametrize(
    ("file", "rule"),
    [
        ("refused_new_operator", "OPERATORS"),
        ("refused_larger_arena", "ARENA"),
        ("refused_input_shape", "IO"),
    ],
)
def test_a_refused_target_names_its_rule_and_leaves_no_file(
    tmd: Tmd, digits: Path, contract: Path, flash: Path, tmp_path: Path, file: str, rule: str
) -> None:
    base, target, out = digits / "base.tflite", digits / f"{file}.tflite", tmp_path / "r.tmd"
    result = tmd("patch", base, target, "-o", out, "--contract", contract)
    assert result.exit_code == 1
    assert f"refused with {rule}" in result.stderr
    assert not out.exists()

    assert tmd("patch", base, target, "-o", out, "--model", "digits").exit_code == 0
    checked = tmd("check", out, "--contract", contract, "--base", base, "--json")
    assert checked.exit_code == 1
    verdict = json.loads(checked.stdout)
    assert verdict["status"] == rule
    assert [r["rule"] for r in verdict["rules"] if r["verdict"] == "FAIL"] == [rule]

    with native.Device.load(read_contract(contract), 0, flash) as device:
        content, operations = device.flash, device.counts.operations
    for how in ((), ("--staged",)):
        assert f"refused with {rule}" in tmd("sim", "update", flash, out, *how).stderr
        with native.Device.load(read_contract(contract), 0, flash) as device:
            assert (device.flash, device.counts.operations) == (content, operations)


def test_check_without_a_base_says_so(tmd: Tmd, contract: Path, patch: Path, digits: Path) -> None:
    result = tmd("check", patch, "--contract", contract)
    assert result.exit_code == 0
    assert "give --base" in result.output
    result = tmd("check", patch, "--contract", contract, "--base", digits / "base.tflite")
    assert "base and body checked" in result.output
    assert result.output.count("PASS") == len(Rule) - 2  # neither names nor classes
    assert "FREE    TENSOR_NAMES not compared by this firmware" in result.output
    wrong = tmd("check", patch, "--contract", contract, "--base", digits / "target.tflite")
    assert wrong.exit_code == 1
    assert "BASE" in wrong.stderr


def test_apply_leaves_no_file_for_any_single_bit_flip_of_the_head_or_truncation(
    tmd: Tmd, digits: Path, contract: Path, patch: Path, tmp_path: Path
) -> None:
    whole = patch.read_bytes()
    target = (digits / "target.tflite").read_bytes()
    damaged = [whole[:n] for n in range(0, len(whole), 97)] + [whole + b"\0"]
    damaged += [
        bytes([*whole[:i], whole[i] ^ 1 << b, *whole[i + 1 :]])
        for i in range(0, 110, 3)
        for b in (0, 7)
    ]
    bad, out = tmp_path / "bad.tmd", tmp_path / "out"
    for data in damaged:
        bad.write_bytes(data)
        result = tmd("apply", digits / "base.tflite", bad, "-o", out, "--contract", contract)
        if result.exit_code == 0:  # a flip that format 1 cannot see does no harm
            assert out.read_bytes() == target
            out.unlink()
        else:
            assert result.exit_code == 1
            assert "refused with" in result.stderr
            assert not out.exists()


def test_manual_metadata_makes_a_patch_for_any_binary(tmd: Tmd, tmp_path: Path) -> None:
    base, target, out = tmp_path / "a.bin", tmp_path / "b.bin", tmp_path / "p.tmd"
    base.write_bytes(bytes(range(256)) * 4)
    target.write_bytes(bytes(range(256)) * 3 + bytes(300))
    result = tmd("patch", base, target, "-o", out)
    assert result.exit_code == 1
    assert "b.bin" in result.stderr
    some = ("--req-arena", "2048", "--tflm-abi", "0x103", "--opset-hash", "0x1234abcd")
    of_format_1 = tmd("patch", base, target, "-o", out, *some)
    assert of_format_1.exit_code == 1
    assert "format 2 has no place for --tflm-abi, --opset-hash" in of_format_1.stderr
    some = (*some, "--format", "1")
    assert tmd("patch", base, target, "-o", out, *some).exit_code == 1
    result = tmd("patch", base, target, "-o", out, *some, "--io-hash", "77")
    assert result.exit_code == 0, result.output
    metadata = json.loads(tmd("inspect", out, "--json").stdout)["metadata"]
    assert {key: value for key, value in metadata.items() if value is not None} == {
        "req_arena_bytes": 2048,
        "tflm_abi": 0x103,
        "opset_hash": 0x1234ABCD,
        "io_hash": 77,
        "vendor": [],
    }
    assert (
        tmd(
            "patch", base, target, "-o", out, "--unguarded", "--format", "1", "--algo", "none"
        ).exit_code
        == 0
    )
    applied = tmp_path / "out"
    assert tmd("apply", base, out, "-o", applied).exit_code == 0
    assert applied.read_bytes() == target.read_bytes()


def test_an_unguarded_patch_needs_a_firmware_that_takes_it(
    tmd: Tmd, digits: Path, contract: Path, tmp_path: Path
) -> None:
    base, target, out = digits / "base.tflite", digits / "target.tflite", tmp_path / "p.tmd"
    refused = tmd("patch", base, target, "-o", out, "--unguarded", "--contract", contract)
    assert refused.exit_code == 1
    assert "UNGUARDED" in refused.stderr
    open_ = tmp_path / "open"
    tmd(
        "codegen",
        f"digits={base}",
        "--out",
        open_,
        "--slot",
        16384,
        "--accept-unguarded",
        "--accept-no-digest",
    )
    for algo in ("sha256", "none"):
        taken = tmd(
            "patch",
            base,
            target,
            "-o",
            out,
            "--unguarded",
            "--format",
            "1",
            "--algo",
            algo,
            "--contract",
            open_ / "contract.json",
        )
        assert taken.exit_code == 0, taken.output
        assert "WAIVED" in taken.output


def _state(tmd: Tmd, flash: Path) -> dict[str, object]:
    result = tmd("sim", "status", flash, "--json")
    assert result.exit_code == 0, result.output
    state: dict[str, object] = json.loads(result.stdout)
    return state


def test_sim_update_switches_the_model(
    tmd: Tmd, digits: Path, flash: Path, patch: Path, tmp_path: Path
) -> None:
    assert _state(tmd, flash)["active"]["slot"] == "slot 0"
    assert tmd("sim", "update", flash, patch, "--piece", "7").exit_code == 0
    state = _state(tmd, flash)
    # One record says that slot 1 is being written, one that it is active.
    assert (state["active"]["slot"], state["record"], state["counts"]["illegal"]) == (
        "slot 1",
        2,
        0,
    )
    out = tmp_path / "model"
    assert tmd("sim", "read", flash, "-o", out).exit_code == 0
    assert out.read_bytes() == (digits / "target.tflite").read_bytes()
    again = tmd("sim", "update", flash, patch)
    assert again.exit_code == 1
    assert "refused with TRIAL" in again.stderr
    assert tmd("sim", "boot", flash).exit_code == 0
    assert tmd("sim", "confirm", flash).exit_code == 0
    again = tmd("sim", "update", flash, patch)
    assert again.exit_code == 1
    assert "refused with BASE" in again.stderr


@pytest.mark.parametrize("shape", ["before", "prefix", "torn", "subset", "after"])
def test_sim_cut_boot_and_update_again(
    tmd: Tmd, digits: Path, flash: Path, patch: Path, tmp_path: Path, shape: str
) -> None:
    result = tmd("sim", "cut", flash, "--at", "9", "--shape", shape)
    assert result.exit_code == 0
    assert "at write or erase 9" in result.output
    failed = tmd("sim", "update", flash, patch)
    assert failed.exit_code == 1
    assert "the power failed" in failed.stderr
    off = tmd("sim", "status", flash)
    assert off.exit_code == 1
    assert "tmd sim boot" in off.stderr
    assert tmd("sim", "boot", flash).exit_code == 0
    assert _state(tmd, flash)["active"]["slot"] == "slot 0"
    assert tmd("sim", "update", flash, patch).exit_code == 0
    assert _state(tmd, flash)["active"]["slot"] == "slot 1"


@pytest.fixture
def other_files(tmp_path: Path) -> Iterator[list[Path]]:
    files = [tmp_path / name for name in ("empty", "text", "patchlike")]
    for file, content in zip(files, (b"", b"TMDSIM01", b"TMDSIM01" + bytes(4000)), strict=True):
        file.write_bytes(content)
    yield files


def test_sim_refuses_files_that_are_no_device(tmd: Tmd, other_files: list[Path]) -> None:
    for file in [*other_files, other_files[0].with_name("missing")]:
        for command in (("status",), ("boot",), ("cut", "--at", "1")):
            result = tmd("sim", command[0], file, *command[1:])
            assert result.exit_code == 1
            assert str(file) in result.stderr


def test_every_kind_of_flash_takes_an_update(tmd: Tmd, digits: Path, tmp_path: Path) -> None:
    base, target = digits / "base.tflite", digits / "target.tflite"
    for geometry in native.geometries():
        out = tmp_path / geometry.name
        slot = max(16384, geometry.erase_bytes)
        assert (
            tmd(
                "codegen",
                f"m={base}",
                "--out",
                out,
                "--slot",
                slot,
                "--erase",
                geometry.erase_bytes,
                "--write",
                geometry.write_bytes,
            ).exit_code
            == 0
        )
        contract, patch, flash = out / "contract.json", out / "p.tmd", out / "f.sim"
        assert tmd("patch", base, target, "-o", patch, "--contract", contract).exit_code == 0
        assert (
            tmd(
                "sim",
                "init",
                flash,
                "--contract",
                contract,
                "--base",
                base,
                "--geometry",
                geometry.name,
            ).exit_code
            == 0
        )
        assert tmd("sim", "update", flash, patch).exit_code == 0
        state = _state(tmd, flash)
        assert state["active"]["slot"] == "slot 1", geometry
        assert (state["counts"]["illegal"], state["counts"]["rewrites"]) == (0, 0)


def test_every_named_fault_is_refused_at_the_command_line(
    tmd: Tmd, digits: Path, tmp_path: Path
) -> None:
    base, target = digits / "base.tflite", (digits / "target.tflite").read_bytes()
    bad, out = tmp_path / "bad.tmd", tmp_path / "out"
    for fault in NAMED_FAULTS:
        bad.write_bytes(fault.make(base.read_bytes(), target))
        result = tmd("apply", base, bad, "-o", out)
        assert result.exit_code in (0, 1), fault.name
        if result.exit_code == 0:
            # Without a contract only its part is not looked at.
            assert fault.expected.name in (
                "OK",
                "UNGUARDED",
                "ARENA",
                "ABI",
                "OPERATORS",
                "IO",
                "SLOT",
                "VERSION",
                "SELF_TEST",
                "DIGEST_KIND",
                "FORMAT",
            ), fault.name
            out.unlink()
        assert not out.exists()


# ---- what machines are told ----


def test_patch_tells_machines_every_rule_as_check_does(
    tmd: Tmd, digits: Path, contract: Path, tmp_path: Path
) -> None:
    out, base = tmp_path / "p.tmd", digits / "base.tflite"
    words = ("-o", out, "--contract", contract, "--json")
    made = json.loads(tmd("patch", base, digits / "target.tflite", *words).stdout)
    checked = json.loads(tmd("check", out, "--contract", contract, "--json").stdout)
    assert made["rules"] == checked["rules"]
    assert {rule["rule"] for rule in made["rules"]} == {rule.name for rule in Rule}


def test_a_refused_patch_tells_machines_every_rule_too(
    tmd: Tmd, digits: Path, contract: Path, tmp_path: Path
) -> None:
    out, base = tmp_path / "p.tmd", digits / "base.tflite"
    target = digits / "refused_new_operator.tflite"
    words = ("-o", out, "--contract", contract, "--json")
    refused = json.loads(tmd("patch", base, target, *words).stdout)
    assert tmd("patch", base, target, "-o", out, "--model", "digits").exit_code == 0
    checked = json.loads(tmd("check", out, "--contract", contract, "--json").stdout)
    assert refused["refused"]["status"] == "OPERATORS"
    assert refused["rules"] == checked["rules"]
    applied = tmd("apply", base, out, "-o", tmp_path / "a", "--contract", contract, "--json")
    assert json.loads(applied.stdout)["rules"] == checked["rules"]
    # What no rule was asked about has none.
    missing = tmd("patch", base, tmp_path / "none", "-o", out, "--json")
    assert set(json.loads(missing.stdout)) == {"refused"}


@pytest.fixture
def awaiting(tmd: Tmd, digits: Path, tmp_path: Path) -> Callable[[str], tuple[Path, Path]]:
    """Contract of a firmware with a key, and a patch that its signature is still missing from."""
    base, key, public = digits / "base.tflite", tmp_path / "key.pem", tmp_path / "pub.pem"
    assert tmd("keygen", "--type", "ed25519", "-o", key, "--public", public).exit_code == 0
    shape = ("--slot", 16384, "--erase", 8192, "--write", 16)
    words = (*shape, "--public-key", public)
    assert tmd("codegen", f"digits={base}", "--out", tmp_path / "keyed", *words).exit_code == 0

    def make(target: str) -> tuple[Path, Path]:
        out = tmp_path / f"{target}.tmd"
        words = ("-o", out, "--model", "digits", "--signer", public)
        result = tmd("patch", base, digits / f"{target}.tflite", *words)
        assert result.exit_code == 0, result.output
        return tmp_path / "keyed" / "contract.json", out

    return make


def test_a_patch_that_awaits_its_signature_is_judged_by_every_rule(
    tmd: Tmd, digits: Path, awaiting: Callable[[str], tuple[Path, Path]], tmp_path: Path
) -> None:
    contract, patch = awaiting("target")
    base, words = digits / "base.tflite", (patch, "--contract", contract)
    result = tmd("check", *words, "--base", base, "--json")
    said = json.loads(result.stdout)
    assert (result.exit_code, said["taken"], said["status"]) == (1, False, "SIGNATURE")
    assert said["base_checked"]
    assert said["once_signed"] == {"taken": True, "status": "OK", "text": "done"}
    shown = tmd("check", *words)
    assert shown.exit_code == 1
    assert "PASS    OPERATORS" in shown.stdout
    assert "taken once it is signed with the ed25519 key " in shown.stdout
    assert "base and body not checked: give --base" in shown.stdout
    assert "refused with SIGNATURE: it is not signed yet (sign it with `tmd sign`)" in shown.stderr
    assert json.loads(tmd("inspect", patch, "--json").stdout)["signer"]["awaited"] is True

    other = tmd("check", *words, "--base", digits / "target.tflite", "--json")
    assert json.loads(other.stdout)["once_signed"]["status"] == "BASE"

    assert tmd("sign", patch, "--key", tmp_path / "key.pem").exit_code == 0
    signed = json.loads(tmd("check", *words, "--base", base, "--json").stdout)
    assert signed["taken"] and signed["once_signed"] is None
    assert signed["rules"] == said["rules"]
    assert json.loads(tmd("inspect", patch, "--json").stdout)["signer"]["awaited"] is False


def test_a_patch_that_awaits_its_signature_and_would_be_refused_with_it(
    tmd: Tmd, digits: Path, awaiting: Callable[[str], tuple[Path, Path]]
) -> None:
    contract, patch = awaiting("refused_new_operator")
    said = json.loads(tmd("check", patch, "--contract", contract, "--json").stdout)
    assert (said["status"], said["once_signed"]["status"]) == ("SIGNATURE", "OPERATORS")
    assert [r["rule"] for r in said["rules"] if r["verdict"] == "FAIL"] == ["OPERATORS"]
    shown = tmd("check", patch, "--contract", contract)
    assert shown.exit_code == 1
    assert "FAIL    OPERATORS    needs AVERAGE_POOL_2D v2" in shown.stdout
    assert "once it is signed, refused with OPERATORS: " in shown.stderr


def test_rules_of_a_patch_that_was_signed_wrongly_are_not_judged(
    tmd: Tmd, awaiting: Callable[[str], tuple[Path, Path]], tmp_path: Path
) -> None:
    """Nothing in it is known to be by who has the key."""
    contract, patch = awaiting("target")
    assert tmd("sign", patch, "--key", tmp_path / "key.pem").exit_code == 0
    data = bytearray(patch.read_bytes())
    at = data.index(
        bytes.fromhex(json.loads(tmd("inspect", patch, "--json").stdout)["signer"]["signature"])
    )
    data[at] ^= 1
    patch.write_bytes(data)
    said = json.loads(tmd("check", patch, "--contract", contract, "--json").stdout)
    assert (said["status"], said["rules"], said["once_signed"]) == ("SIGNATURE", [], None)


@pytest.fixture
def labelled(digits: Path, tmp_path: Path) -> Path:
    """The digits with their labels. Skips where nothing can run a model on them."""
    if find_interpreter() is None:
        pytest.skip("no interpreter can be imported: pip install -r requirements/demo.txt")
    path = tmp_path / "labelled.npz"
    with np.load(digits / "eval.npz") as data:
        np.savez(path, x=data["inputs"], y=data["labels"])
    return path


def test_a_target_that_is_worse_is_refused_with_its_figures(
    tmd: Tmd, digits: Path, contract: Path, labelled: Path, tmp_path: Path
) -> None:
    out, better, worse = tmp_path / "p", digits / "target.tflite", digits / "base.tflite"
    words = ("-o", out, "--contract", contract, "--verify-data", labelled, "--json")
    taken = json.loads(tmd("patch", worse, better, *words).stdout)["accuracy"]
    assert taken["in_patch"] is True
    out.unlink()
    for more in (("--max-drop", 6.4), ("--max-drop", 6.5, "--confident")):
        result = tmd("patch", better, worse, *words, *more)
        said = json.loads(result.stdout)
        assert result.exit_code == 1 and not out.exists()
        assert said["refused"]["status"] is None
        figures = said["accuracy"]
        assert set(figures) == set(taken)
        assert (figures["base"], figures["target"]) == (taken["target"], taken["base"])
        assert round(figures["worse_by"], 6) == 6.5
        assert figures["at_most"] > 6.5
        assert figures["max_drop"] == more[1]
        assert figures["in_patch"] is False


@pytest.fixture
def format_1_only(tmd: Tmd, digits: Path, tmp_path: Path) -> Path:
    out = tmp_path / "old"
    words = ("--slot", 16384, "--decoder", "none")
    result = tmd("codegen", f"digits={digits / 'base.tflite'}", "--out", out, *words)
    assert result.exit_code == 0, result.output
    return out / "contract.json"


def test_the_gate_judges_for_firmware_that_takes_format_1_only(
    tmd: Tmd, digits: Path, format_1_only: Path, labelled: Path, tmp_path: Path
) -> None:
    """Format 1 has no place for what came of it; that is said, and keeps nobody from the gate."""
    out, better, worse = tmp_path / "p", digits / "target.tflite", digits / "base.tflite"
    words = ("-o", out, "--contract", format_1_only, "--verify-data", labelled)
    result = tmd("patch", worse, better, *words)
    assert result.exit_code == 0, result.output
    assert "92.50 %" in result.stdout
    assert "format 1 has no place for the accuracy: the patch does not say it" in result.stderr
    said = json.loads(tmd("patch", worse, better, *words, "--json").stdout)
    assert said["format"] == 1
    assert said["accuracy"]["in_patch"] is False
    assert said["accuracy"]["worse_by"] == pytest.approx(-6.5)
    assert said["metadata"]["accuracy"] is None
    assert tmd("apply", worse, out, "-o", tmp_path / "a").exit_code == 0
    assert (tmp_path / "a").read_bytes() == better.read_bytes()
    out.unlink()
    refused = tmd("patch", better, worse, *words)
    assert refused.exit_code == 1 and "worse by 6.5 percentage points" in refused.stderr
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            ("--slim", "--calibration", "c", "--validation", "v", "--max-drop", "1"),
            "the firmware takes patches of format 1 only, and --slim makes those of format 2 "
            "(`tmd slim` first, then patch to what it wrote)",
        ),
        (
            ("--decoder", "lean"),
            "the firmware takes patches of format 1 only, which need no decoder (leave out "
            "--decoder)",
        ),
    ],
)
def test_what_such_firmware_cannot_be_given_is_refused(
    tmd: Tmd, digits: Path, format_1_only: Path, tmp_path: Path, options: tuple[str, ...], says: str
) -> None:
    """Nothing was called wrongly: it is the contract that does not allow it."""
    base, target, out = digits / "base.tflite", digits / "target.tflite", tmp_path / "p"
    result = tmd("patch", base, target, "-o", out, "--contract", format_1_only, *options)
    assert (result.exit_code, result.stderr) == (1, f"tmd: {out}: {says}\n")
    assert not out.exists()
