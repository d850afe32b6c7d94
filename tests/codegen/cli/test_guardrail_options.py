"""What a user sets of the guardrails, and what comes of it: policies, names, notes, budgets."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from clikit import asked, done, refused, tmd
from modelkit import ModelSpec, NodeSpec, build, default_spec, with_operator, with_tensor
from tinymldelta.container.operators import custom_id
from tinymldelta.contractfile import read_contract
from tinymldelta.wire import constants as wire

ROOM = ("--slot", 16384, "--erase", 1024, "--write", 4, "--arena", 16384)
SPEC = default_spec()
FEWER = replace(SPEC, nodes=(*SPEC.nodes[:2], NodeSpec(2, (5, 6, -1), (8,))))  # no SOFTMAX
RETRAINED = with_tensor(SPEC, 6, data=bytes(range(128, 256)))


class Bench:
    """A folder with the base, targets, and a firmware's contract."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.base = self.model("base", SPEC)
        self.contract = folder / "contract.json"

    def model(self, name: str, spec: ModelSpec) -> Path:
        file = self.folder / f"{name}.tflite"
        file.write_bytes(build(spec))
        return file

    def firmware(self, *options: object) -> str:
        return done("codegen", f"m={self.base}", "--out", self.folder, *ROOM, *options)

    def make(self, target: Path, *options: object) -> Path:
        """A patch that knows of no contract."""
        out = self.folder / f"{target.stem}.tmd"
        done("patch", self.base, target, "-o", out, "--model", "m", *options)
        return out

    def check(self, patch: Path, *options: object) -> tuple[str, dict[str, str], dict[str, str]]:
        """The status; verdicts and explanations by rule."""
        how = ("--contract", self.contract, "--base", self.base, *options, "--json")
        said = json.loads(tmd("check", patch, *how).stdout)
        verdicts = {r["rule"]: r["verdict"] for r in said["rules"]}
        return said["status"], verdicts, {r["rule"]: r["explain"] for r in said["rules"]}

    def refused(self, target: Path, *options: object) -> str:
        """What `tmd patch` says of a target that the firmware would not take."""
        out = self.folder / "refused.tmd"
        how = ("-o", out, "--contract", self.contract, *options)
        said = refused("patch", self.base, target, *how)
        assert not out.exists()
        return said

    def taken(self, target: Path, *options: object) -> str:
        out = self.folder / "taken.tmd"
        return done("patch", self.base, target, "-o", out, "--contract", self.contract, *options)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


# ---- operators ----


def test_fewer_operators_are_taken_and_one_more_is_refused_by_name(bench: Bench) -> None:
    bench.firmware()
    assert "needs 3 operators, firmware has all of them among its 4" in bench.taken(
        bench.model("fewer", FEWER)
    )
    more = bench.model("more", with_operator(SPEC, "RELU"))
    said = bench.refused(more)
    assert "refused with OPERATORS: needs RELU v1, firmware has not linked it" in said
    bench.firmware("--extra-op", "TANH", "--extra-op", "RELU")
    assert "PASS    OPERATORS" in bench.taken(more)


def test_a_custom_operator_is_shown_by_its_id(bench: Bench) -> None:
    target = bench.model("custom", with_operator(SPEC, "mine", 2))
    patch = bench.make(target, "--req-arena", 4096)
    shown = f"custom operator {custom_id('mine'):#010x}"
    operators = asked("inspect", patch)["metadata"]["operators"]
    assert operators[-1] == {"name": shown, "version": 2, "types": 0}
    assert f"{shown} v2" in " ".join(done("inspect", patch).replace("│", " ").split())
    bench.firmware()
    assert f"needs {shown} v2, firmware has not linked it" in bench.refused(
        target, "--req-arena", 4096
    )


def test_a_newer_version_is_refused_with_both_versions(bench: Bench) -> None:
    bench.firmware()
    document = json.loads(bench.contract.read_text())
    for op in document["operators"]:
        if op["name"] == "CONV_2D":
            op["highest"] = 2
    bench.contract.write_text(json.dumps(document))
    target = bench.model("target", RETRAINED)
    assert "needs CONV_2D v3, firmware has ≤ v2" in bench.refused(target)
    status, verdicts, words = bench.check(bench.make(target))
    assert (status, verdicts["OPERATORS"]) == ("OPERATORS", "FAIL")
    assert words["OPERATORS"] == "needs CONV_2D v3, firmware has ≤ v2"


# ---- kernels ----


def test_kernels_that_a_patch_was_proven_on(bench: Bench) -> None:
    target = bench.model("target", RETRAINED)
    other = bench.make(target, "--proven-on", "90b983c2")
    for policy, status, verdict in (
        ("refuse", "ABI", "FAIL"),
        ("warn", "OK", "WARNED"),
        ("take", "OK", "FREE"),
    ):
        bench.firmware("--other-kernels", policy)
        found, verdicts, words = bench.check(other)
        assert (found, verdicts["ABI"]) == (status, verdict)
        assert "proven on tflm-90b983c2 reference, firmware has tflm-8d404de7" in words["ABI"]
    bench.firmware("--kernels", "90b983c2")
    assert bench.check(other)[0] == "OK"
    # With a contract it is the contract's kernels, unless something else is said.
    assert "proven on tflm-90b983c2 reference" in bench.taken(target)
    said = bench.refused(target, "--proven-on", "8d404de7")
    assert "refused with ABI: proven on tflm-8d404de7 reference" in said
    assert read_contract(bench.contract).kernels.text == "tflm-90b983c2 reference"


def test_an_arena_that_cannot_be_predicted_for_these_kernels_has_to_be_given(bench: Bench) -> None:
    how = ("codegen", f"m={bench.base}", "--out", bench.folder, *ROOM, "--kernels")
    assert "--arena-need" in refused(*how, "8d404de7/cmsis_nn")
    done(*how, "8d404de7/cmsis_nn", "--arena-need", 5000)
    assert read_contract(bench.contract).models[0].arena_need.origin == "given"


# ---- in and out tensors ----


def test_quantisation_and_names_by_policy(bench: Bench) -> None:
    scaled = bench.model("scaled", with_tensor(SPEC, 0, scale=(0.75,)))
    renamed = bench.model("renamed", with_tensor(SPEC, 8, name="scores"))
    bench.firmware()
    assert "refused with QUANTISATION: scales and zero points" in bench.refused(scaled)
    assert "FREE    TENSOR_NAMES not compared by this firmware" in bench.taken(renamed)
    bench.firmware("--free-quantisation", "--compare-names")
    assert "which this firmware leaves free" in bench.taken(scaled)
    assert "refused with TENSOR_NAMES: names of in and out" in bench.refused(renamed)
    # Names are only said to a firmware that compares them.
    assert "refused with UNGUARDED" in refused(
        "check", bench.make(scaled), "--contract", bench.contract
    )


# ---- names of models ----


def test_a_patch_is_for_the_model_that_it_names(bench: Bench) -> None:
    done(
        "codegen", f"m={bench.base}", f"other={bench.base}", "--out", bench.folder,
        *ROOM[:6], "--arena", "m=16384", "--arena", "other=16384",
    )  # fmt: skip
    target = bench.model("target", RETRAINED)
    patch = bench.make(target)
    assert bench.check(patch, "--model", "m")[0] == "OK"
    status, verdicts, words = bench.check(patch, "--model", "other")
    assert (status, verdicts["NAME"]) == ("NAME", "FAIL")
    assert words["NAME"] == "made for the model m, this is other"
    # With a contract the name is that of the model in it.
    assert "made for the model other, this is other" in bench.taken(target, "--model", "other")


def test_without_a_name_the_models_file_gives_it(bench: Bench, tmp_path: Path) -> None:
    out, base = tmp_path / "p.tmd", tmp_path / "Wake Word-2.tflite"
    base.write_bytes(build(SPEC))
    done("patch", base, bench.model("target", RETRAINED), "-o", out)
    assert asked("inspect", out)["metadata"]["model_name"] == "wake_word_2"


# ---- notes and labels ----


def test_notes_and_labels_of_patches_and_firmware(bench: Bench) -> None:
    labels = bench.folder / "labels.txt"
    labels.write_text("cat\nGroßer Hund\n", encoding="utf-8")
    bench.firmware("--note", "a=b, run 6", "--labels", labels)
    model = read_contract(bench.contract).models[0]
    assert (model.note, model.labels) == ("a=b, run 6", ("cat", "Großer Hund"))
    target = bench.model("target", RETRAINED)
    patch = bench.make(target, "--note", "run 7", "--labels", labels)
    metadata = asked("inspect", patch)["metadata"]
    assert (metadata["note"], metadata["labels"]) == ("run 7", ["cat", "Großer Hund"])
    shown = done("inspect", patch)
    assert "run 7" in shown
    assert "cat, Großer Hund" in shown


def test_what_is_too_long_or_no_text_is_refused(bench: Bench) -> None:
    long, binary, empty = (bench.folder / name for name in ("long", "binary", "empty"))
    long.write_text("x" * 251)
    binary.write_bytes(b"\xff\xfe")
    empty.write_text("a\n\nb\n")
    target = bench.model("target", RETRAINED)
    bench.firmware()
    for options, text in (
        (("--note", "x" * 97), "its note needs 97 bytes, 96 are the most"),
        (("--labels", long), "251 bytes, 250 are the most"),
        (("--labels", binary), "not UTF-8 text"),
        (("--labels", empty), "'' is no label"),
        (("--labels", bench.folder / "missing"), "cannot be read"),
        (("--note", "x", "--format", "1"), "format 1 has no note and no labels"),
    ):
        assert text in bench.refused(target, *options)
        if "--format" not in options:
            how = ("--out", bench.folder / "x", *ROOM, *options)
            assert text in refused("codegen", f"m={bench.base}", *how)
    assert not (bench.folder / "x").exists()


def test_what_a_firmware_keeps_bounds_what_a_patch_says(bench: Bench) -> None:
    labels = bench.folder / "labels"
    labels.write_text("\n".join(f"class {n:02}" for n in range(20)))  # 179 bytes
    target = bench.model("target", RETRAINED)
    bench.firmware()
    said = bench.refused(target, "--labels", labels)
    assert "and 192 stay with a model on the device" in said
    bench.firmware("--meta-kept", 255)
    out = bench.folder / "kept.tmd"
    how = ("--contract", bench.contract, "--labels", labels)
    done("patch", bench.base, target, "-o", out, *how)
    assert bench.check(out)[0] == "OK"
    assert len(asked("inspect", out)["metadata"]["labels"]) == 20


# ---- budgets ----


def test_budgets_and_their_warnings(bench: Bench) -> None:
    size = bench.base.stat().st_size
    room = size + 3 & ~3
    how = ("codegen", f"m={bench.base}", "--out", bench.folder, "--slot", room, "--write", 4)
    sizes = ("--erase", 1024, "--arena", 3000, "--ram", 3100)
    document = asked(*how, *sizes)
    need = asked("inspect", bench.base)["arena"]
    assert document["budgets"] == [
        {"model": "m", "what": "slot", "used": size, "room": room, "note": ""},
        {"model": "m", "what": "arena", "used": need["bytes"], "room": 3000,
         "note": need["origin"]},
        {"model": "all models", "what": "RAM", "used": 3000, "room": 3100, "note": "arenas"},
    ]  # fmt: skip
    slot, ram = document["warnings"]
    assert slot.startswith("m uses 100% of its slot")
    assert ram.startswith("all models uses 97% of its RAM (3,000 of 3,100 bytes, 100 left)")
    assert len(asked(*how, *sizes, "--warn-above", 98)["warnings"]) == 1
    assert asked(*how, *sizes, "--warn-above", 100)["warnings"] == []
    result = tmd(*how, *sizes)
    assert result.stderr.count("tmd: warning: ") == 2
    assert "origin" in result.stdout
    # An arena that nobody set is as large as the need: nothing to warn of.
    (only,) = asked(*how, "--erase", 1024)["warnings"]
    assert "slot" in only


def test_a_small_part_of_a_budget_can_be_asked_to_warn(bench: Bench) -> None:
    document = asked("codegen", f"m={bench.base}", "--out", bench.folder, *ROOM, "--warn-above", 5)
    assert [text.split(" of its ")[1].split()[0] for text in document["warnings"]] == [
        "slot",
        "arena",
    ]


# ---- all of it ----


def test_every_policy_stands_in_the_contract(bench: Bench) -> None:
    for options, flags in (
        ((), 0),
        (("--accept-unguarded",), wire.ACCEPT_UNGUARDED),
        (("--accept-no-digest",), wire.ACCEPT_NO_DIGEST),
        (("--other-kernels", "refuse"), 0),
        (("--other-kernels", "warn"), wire.ACCEPT_KERNELS_WARNED),
        (("--other-kernels", "take"), wire.ACCEPT_KERNELS),
        (("--free-quantisation",), wire.ACCEPT_QUANTISATION),
        (("--compare-names",), wire.COMPARE_NAMES),
        (("--anti-rollback",), wire.ANTI_ROLLBACK),
        (("--mac-key", "aes-cmac"), wire.ANTI_ROLLBACK),
        (("--mac-key", "aes-cmac", "--no-anti-rollback"), 0),
    ):
        bench.firmware(*options)
        assert read_contract(bench.contract).accept == flags
    bench.firmware("--extra-op", "TANH", "--other-kernels", "warn")
    shown = done("inspect", bench.contract)
    assert "TANH ≤ v" in shown
    assert "taken with a warning" in shown


@pytest.mark.parametrize(
    "options",
    [
        ("--kernels", "8d404de"),
        ("--kernels", "8d404de7/xtensa"),
        ("--other-kernels", "maybe"),
        ("--meta-kept", "256"),
        ("--warn-above", "101"),
        ("--ram", "many"),
        ("--note", "n=1", "--note", "n=2"),
        ("--labels", "n=a", "--labels", "n=b"),
    ],
)
def test_wrong_options_of_codegen_exit_2(bench: Bench, options: tuple[str, ...]) -> None:
    out = bench.folder / "x"
    result = tmd("codegen", f"n={bench.base}", "--out", out, *ROOM, *options)
    assert result.exit_code == 2, result.output
    assert not out.exists()


def test_with_several_models_a_note_says_whose_it_is(bench: Bench) -> None:
    how = ("codegen", f"a={bench.base}", f"b={bench.base}", "--out", bench.folder, *ROOM[:6])
    result = tmd(*how, "--note", "whose?")
    assert result.exit_code == 2
    assert "NAME=whose?" in result.output
    done(*how, "--note", "b=c=d")
    assert [m.note for m in read_contract(bench.contract).models] == ["", "c=d"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--extra-op", "NOPE"), "--extra-op NOPE: tflm-8d404de7 reference has no operator"),
        (("--meta-kept", "63"), "--meta-kept: 63 bytes of metadata cannot be kept"),
    ],
)
def test_what_cannot_work_is_refused(bench: Bench, options: tuple[str, ...], text: str) -> None:
    said = refused("codegen", f"m={bench.base}", "--out", bench.folder / "x", *ROOM, *options)
    assert text in said
