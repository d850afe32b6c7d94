"""`tmd sim` through a device's life: trials, power cuts, staged patches, versions, test vectors."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clikit import asked, done, refused, tmd
from tinymldelta import native
from tinymldelta.contractfile import read_contract
from tinymldelta.interpreter import Interpreter, find_interpreter

INTERPRETERS = ("ai_edge_litert", "ai_edge_litert.interpreter", "tensorflow", "tflite_micro")


@dataclass(frozen=True)
class Bench:
    """A firmware's contract, its models, and the file of one device."""

    folder: Path
    contract: Path
    base: Path
    target: Path
    flash: Path

    def patch(self, name: str, base: Path, target: Path, *options: object) -> Path:
        out = self.folder / f"{name}.tmd"
        done("patch", base, target, "-o", out, "--contract", self.contract, *options)
        return out

    def init(self, *options: object) -> dict[str, Any]:
        return asked(
            "sim", "init", self.flash, "--contract", self.contract, "--base", self.base, *options
        )

    def sim(self, command: str, *arguments: object) -> dict[str, Any]:
        return asked("sim", command, self.flash, *arguments)

    def status(self) -> dict[str, Any]:
        return self.sim("status")

    def model(self) -> bytes:
        out = self.folder / "read"
        done("sim", "read", self.flash, "-o", out)
        return out.read_bytes()

    def refused(self, command: str, *arguments: object) -> str:
        return refused("sim", command, self.flash, *arguments)


@pytest.fixture
def bench(digits: Path, tmp_path: Path) -> Bench:
    base = digits / "base.tflite"
    done(
        "codegen", f"m={base}", "--out", tmp_path, "--slot", 16384, "--erase", 2048, "--write", 8,
        "--model-version", "1.0.0", "--lowest-version", "0.9.0",
    )  # fmt: skip
    return Bench(
        tmp_path, tmp_path / "contract.json", base, digits / "target.tflite", tmp_path / "d.sim"
    )


@pytest.fixture
def newer(bench: Bench) -> Path:
    return bench.patch("newer", bench.base, bench.target, "--model-version", "1.1.0")


def test_a_new_model_is_started_and_confirmed(bench: Bench, newer: Path) -> None:
    state = bench.init("--trial-starts", 2)
    assert (state["state"], state["trial"]["of"], state["active"]["version"]) == (
        "confirmed", 2, 0x01000000,
    )  # fmt: skip
    state = bench.sim("update", newer)
    assert (state["state"], state["trial"]) == (
        "on trial", {"starts": 0, "of": 2, "opened": False},
    )  # fmt: skip
    assert "not confirmed: there is no trial" in bench.refused("confirm")  # it was not opened
    assert bench.sim("boot")["trial"] == {"starts": 1, "of": 2, "opened": True}
    assert bench.sim("boot")["trial"]["starts"] == 2
    # The last start goes on from command to command, and can still be confirmed.
    assert bench.status()["trial"] == {"starts": 2, "of": 2, "opened": True}
    state = bench.sim("confirm")
    assert (state["state"], state["active"]["slot"], state["active"]["version"]) == (
        "confirmed", "slot 1", 0x01010000,
    )  # fmt: skip
    assert state["slots"][0]["state"] == state["slots"][1]["state"] == "complete"
    assert "not confirmed" in bench.refused("confirm")
    assert "not reverted" in bench.refused("revert")
    assert bench.sim("boot")["state"] == "confirmed"
    assert bench.model() == bench.target.read_bytes()
    assert (state["counts"]["illegal"], state["counts"]["rewrites"]) == (0, 0)


def test_a_model_that_is_never_confirmed_is_gone_and_not_taken_again(
    bench: Bench, newer: Path
) -> None:
    bench.init("--trial-starts", 2)
    bench.sim("update", newer)
    assert "refused with TRIAL" in bench.refused("update", newer)
    bench.sim("boot")
    bench.sim("boot")
    result = tmd("sim", "boot", bench.flash, "--json")
    assert result.exit_code == 1
    assert "reverted: its starts are used up" in result.stderr
    state = json.loads(result.stdout)
    assert (state["reverted"], state["active"]["slot"], state["slots"][1]["state"]) == (
        "its starts are used up", "slot 0", "reverted",
    )  # fmt: skip
    assert bench.model() == bench.base.read_bytes()
    for how in ((), ("--staged",)):
        assert "refused with REVERTED" in bench.refused("update", newer, *how)
    assert bench.sim("forget")["slots"][1]["state"] == "none"
    assert bench.sim("update", newer)["state"] == "on trial"


def test_revert_goes_back_at_once(bench: Bench, newer: Path) -> None:
    bench.init()
    bench.sim("update", newer)
    state = bench.sim("revert")
    assert (state["active"]["slot"], state["state"]) == ("slot 0", "confirmed")
    assert bench.sim("boot")["active"]["slot"] == "slot 0"


def test_without_trials_a_new_model_stays(bench: Bench, newer: Path) -> None:
    bench.init("--trial-starts", 0)
    assert bench.sim("update", newer)["state"] == "confirmed"
    assert "not confirmed" in bench.refused("confirm")


def test_what_ram_knew_is_gone_after_a_cut(bench: Bench, newer: Path) -> None:
    bench.init()
    bench.sim("update", newer)
    assert bench.sim("boot")["trial"]["opened"]
    bench.sim("cut", "--at", 1, "--shape", "subset")
    assert "the power failed during the confirmation" in bench.refused("confirm")
    assert "the power is off" in bench.refused("confirm")
    state = bench.sim("boot")
    assert (state["state"], state["trial"]["starts"]) == ("on trial", 2)
    assert bench.sim("confirm")["state"] == "confirmed"


def test_a_compiled_in_model_is_the_base(bench: Bench, newer: Path) -> None:
    state = bench.init("--compiled-in")
    assert (state["active"]["slot"], state["compiled_in"]) == ("compiled in", True)
    assert bench.sim("update", newer)["active"]["slot"] == "slot 0"
    assert bench.sim("revert")["active"]["slot"] == "compiled in"
    assert bench.model() == bench.base.read_bytes()
    other = bench.folder / "other"
    other.write_bytes(bench.base.read_bytes() + b"more")
    text = refused(
        "sim", "init", bench.flash, "--contract", bench.contract, "--base", other, "--compiled-in"
    )
    assert "the contract's model has 6432" in text


# ---- power cuts ----


@pytest.mark.parametrize("shape", [s.name.lower() for s in native.CutShape])
@pytest.mark.parametrize("at", [3, 9, 20])
def test_a_streamed_update_goes_on_after_a_cut(
    bench: Bench, newer: Path, shape: str, at: int
) -> None:
    bench.init("--progress", 1)
    bench.sim("cut", "--at", at, "--shape", shape, "--part", 1)
    assert "the power failed during the update" in bench.refused("update", newer)
    state = bench.sim("boot")
    assert state["active"]["slot"] == "slot 0"
    assert state["slots"][1]["state"] in ("none", "streamed")
    assert bench.sim("update", newer)["active"]["slot"] == "slot 1"
    assert bench.model() == bench.target.read_bytes()
    assert bench.sim("boot")["trial"]["starts"] == 1
    assert bench.sim("confirm")["counts"]["illegal"] == 0


def test_where_a_cut_hits_is_said_by_part(bench: Bench, newer: Path) -> None:
    flashes = {}
    for part in (0, 3, 3, 7):
        bench.init()
        bench.sim("cut", "--at", 4, "--shape", "prefix", "--part", part)
        bench.refused("update", newer)
        with native.Device.load(read_contract(bench.contract), 0, bench.flash) as device:
            written = device.flash[16384 : 2 * 16384]
            assert flashes.setdefault(part, written) == written
    assert len(set(flashes.values())) == 3


# ---- staged patches ----


def test_a_staged_patch_goes_on_where_it_broke_off(bench: Bench, newer: Path) -> None:
    size = newer.stat().st_size
    state = bench.init("--staging", 4096)
    assert state["staging"] == {"room": 4096, "patch_bytes": 0, "there": 0}
    assert "no patch is staged" in done("sim", "resume", bench.flash)
    bench.sim("cut", "--at", 5)
    assert "the power failed" in bench.refused("update", newer, "--stage")
    staging = bench.sim("boot")["staging"]
    assert staging["patch_bytes"] == size
    assert 0 < staging["there"] < size
    assert f"{staging['there']:,} of {size:,} bytes" in done("sim", "resume", bench.flash)
    assert f"{staging['there']:,} of {size:,} bytes" in done("sim", "status", bench.flash)
    state = bench.sim("update", newer, "--stage")
    assert state["sent"] == {"from": staging["there"], "bytes": size - staging["there"]}
    assert (state["active"]["slot"], state["state"]) == ("slot 1", "on trial")
    assert state["staging"]["patch_bytes"] == 0
    assert bench.model() == bench.target.read_bytes()


def test_boot_finishes_a_staged_patch_that_is_complete(bench: Bench, newer: Path) -> None:
    bench.init("--staging", 4096)
    finished = 0
    for at in range(4, 60):
        bench.init("--staging", 4096)
        bench.sim("cut", "--at", at, "--shape", "torn")
        result = tmd("sim", "update", bench.flash, newer, "--stage")
        if result.exit_code == 0:
            break
        state = bench.sim("boot")
        if state["resumed"]["applied"]:
            finished += 1
            assert (state["active"]["slot"], state["trial"]["starts"]) == ("slot 1", 1)
            assert bench.model() == bench.target.read_bytes()
        elif state["active"]["slot"] == "slot 0":
            assert state["staging"]["there"] < newer.stat().st_size
            assert bench.sim("update", newer, "--stage")["active"]["slot"] == "slot 1"
    assert finished > 3
    assert at < 59  # the last of them came through without a cut


def test_staging_needs_room(bench: Bench, newer: Path) -> None:
    bench.init()
    assert "refused with STAGING" in bench.refused("update", newer, "--stage")
    bench.init("--staging", 1)  # one erase unit, which is enough for this patch
    assert bench.sim("update", newer, "--stage")["state"] == "on trial"
    bench.sim("revert")
    bench.sim("forget")
    large = bench.patch(
        "large", bench.base, bench.target, "--model-version", "1.1.0", "--format", 1
    )
    assert large.stat().st_size > 2048
    assert "refused with STAGING" in bench.refused("update", large, "--stage")


# ---- versions ----


def test_a_version_that_is_too_low_is_refused(bench: Bench) -> None:
    old, out = bench.folder / "old.tmd", bench.folder / "out.tmd"
    options = ("--model-version", "0.8.9")
    text = refused(
        "patch", bench.base, bench.target, "-o", out, "--contract", bench.contract, *options
    )
    assert "refused with VERSION" in text
    assert not out.exists()
    done("patch", bench.base, bench.target, "-o", old, "--model", "m", *options)
    assert "VERSION" in refused("check", old, "--contract", bench.contract)
    assert "VERSION" in refused("check", old, "--contract", bench.contract, "--base", bench.base)
    bench.init()
    for how in ((), ("--staged",)):
        assert "refused with VERSION" in bench.refused("update", old, *how)


def test_a_confirmed_models_floor_counts(bench: Bench) -> None:
    first = bench.patch(
        "first", bench.base, bench.target, "--model-version", "2.0.0", "--version-floor", "1.5.0"
    )
    shown = json.loads(done("inspect", first, "--json"))["metadata"]
    assert (shown["model_version"], shown["version_floor"]) == (0x02000000, 0x01050000)
    assert "1.5.0" in done("inspect", first)
    back = bench.patch("back", bench.target, bench.base, "--model-version", "1.4.9")
    later = bench.patch("later", bench.target, bench.base, "--model-version", "1.5.0")
    bench.init()
    bench.sim("update", first)
    bench.sim("boot")
    state = bench.status()
    assert (state["floor"], state["lowest_version"]) == (0, 0x00090000)  # the contract's
    state = bench.sim("confirm")
    assert (state["floor"], state["lowest_version"]) == (0x01050000, 0x01050000)
    assert "refused with VERSION" in bench.refused("update", back)
    assert bench.sim("update", later)["state"] == "on trial"


def test_a_floor_above_the_models_own_version_is_refused(bench: Bench) -> None:
    out = bench.folder / "out.tmd"
    for options in (("--version-floor", "1.0.1", "--model-version", "1"), ("--version-floor", 1)):
        text = refused("patch", bench.base, bench.target, "-o", out, *options)
        assert "is above the model's own version" in text
    assert not out.exists()


def test_inspect_shows_a_contracts_versions(bench: Bench) -> None:
    text = done("inspect", bench.contract).replace("\n", " ")
    assert "version 1.0.0" in text
    (model,) = json.loads(done("inspect", bench.contract, "--json"))["models"]
    assert (model["version"], model["lowest_version"]) == (0x01000000, 0x00090000)


# ---- test vectors ----


@pytest.fixture
def interpreter() -> Interpreter:
    found = find_interpreter()
    if found is None:
        pytest.skip("no interpreter can be imported: pip install -r requirements/demo.txt")
    return found


@pytest.fixture
def vectors(bench: Bench, digits: Path) -> Callable[..., Path]:
    """Writes vectors of the target; `wrong`: by how much one output of the second is off."""

    def write(interpreter: Interpreter, wrong: int = 0) -> Path:
        loaded = interpreter.load(bench.target.read_bytes())
        inputs = np.load(digits / "eval.npz")["inputs"][:4]
        rows = [np.frombuffer(loaded.run(row.tobytes()), np.int8) for row in inputs]
        outputs = np.stack(rows).astype(np.int16)
        outputs[1, 0] += wrong if outputs[1, 0] < 0 else -wrong
        file, data = bench.folder / f"v{wrong}.npz", io.BytesIO()
        np.savez(data, input=inputs, output=outputs.astype(np.int8))
        file.write_bytes(data.getvalue())
        return file

    return write


def test_vectors_travel_with_the_model_and_are_run(
    bench: Bench, interpreter: Interpreter, vectors: Callable[..., Path]
) -> None:
    image = bench.folder / "t.img"
    file = vectors(interpreter)
    patch = bench.folder / "v.tmd"
    made = asked(
        "patch", bench.base, bench.target, "-o", patch, "--contract", bench.contract,
        "--test-vectors", file, "--image", image, "--model-version", "1.1.0",
    )  # fmt: skip
    assert made["test_vectors"] == {"vectors": 4, "tolerance": 0, "run_by": interpreter.name}
    length = bench.target.stat().st_size
    assert made["metadata"]["self_test"] == length
    assert made["target_bytes"] == image.stat().st_size == length + 16 + 4 * (64 + 10)
    assert f"test vectors from byte {length:,} on" in done("inspect", patch)
    assert asked("inspect", image)["bytes"] == image.stat().st_size
    done("check", patch, "--contract", bench.contract, "--base", bench.base)

    bench.init()
    bench.sim("update", patch)
    state = bench.sim("boot")
    assert (state["active"]["slot"], state["trial"]["starts"]) == ("slot 1", 1)
    assert state["slots"][1]["model_bytes"] == length
    assert bench.sim("confirm")["state"] == "confirmed"
    assert bench.model() == image.read_bytes()
    # And on from there.
    back = bench.patch("back", image, bench.base, "--model-version", "1.2.0")
    assert bench.sim("update", back)["active"]["slot"] == "slot 0"
    assert bench.model() == bench.base.read_bytes()


def test_a_failing_vector_is_refused_when_the_patch_is_made(
    bench: Bench, interpreter: Interpreter, vectors: Callable[..., Path]
) -> None:
    out = bench.folder / "out.tmd"
    file = vectors(interpreter, wrong=3)
    make = ("patch", bench.base, bench.target, "-o", out, "--test-vectors", file)
    text = refused(*make, "--tolerance", 2)
    assert "test vector 1 fails: output 0 is off by 3, at most 2 is allowed" in text
    assert not out.exists()
    assert "run by" in done(*make, "--tolerance", 3)


def without_interpreters(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in INTERPRETERS:
        monkeypatch.setitem(sys.modules, name, None)  # then importing it fails
    assert find_interpreter() is None


def test_a_device_reverts_a_model_that_fails_its_vectors(
    bench: Bench, interpreter: Interpreter, vectors: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    file = vectors(interpreter, wrong=3)
    out = bench.folder / "out.tmd"
    with monkeypatch.context() as patched:
        without_interpreters(patched)
        made = tmd(
            "patch", bench.base, bench.target, "-o", out, "--test-vectors", file,
            "--model-version", 0x01010000, "--model", "m",
        )  # fmt: skip
        assert made.exit_code == 0
        assert "the test vectors were not run: no interpreter can be imported" in made.stderr
    bench.init()
    bench.sim("update", out)
    result = tmd("sim", "boot", bench.flash, "--json")
    assert result.exit_code == 1
    assert "the model on trial was reverted: a test vector fails" in result.stderr
    assert json.loads(result.stdout)["active"]["slot"] == "slot 0"
    assert bench.status()["slots"][1]["state"] == "reverted"


def test_without_an_interpreter_a_trial_with_vectors_does_not_start(
    bench: Bench, digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_interpreters(monkeypatch)
    file, data = bench.folder / "v.npz", io.BytesIO()
    np.savez(data, input=np.zeros((1, 8, 8, 1), np.int8), output=np.zeros((1, 10), np.int8))
    file.write_bytes(data.getvalue())
    out = bench.patch(
        "v", bench.base, bench.target, "--test-vectors", file, "--tolerance", 255,
        "--model-version", "1.1.0",
    )  # fmt: skip
    bench.init()
    bench.sim("update", out)
    before = bench.flash.read_bytes()
    assert "there is no interpreter to run them" in bench.refused("boot")
    assert bench.flash.read_bytes() == before
    assert bench.status()["state"] == "on trial"
