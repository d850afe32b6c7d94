"""The workflow that users copy (samples/ci): what it says, and each of its `run:` lines, run.

`Pipeline` below plays GitHub: a fresh copy of the repository for each job, its environment files,
the shell that it takes, and artefacts as the only way from job to job. One step alone is replaced:
the one that installs TinyMLDelta, since its address is for the user to fill in and the package is
here already. Everything else is run as it stands in the file.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from tinymldelta.cli.main import main
from tinymldelta.interpreter import find_interpreter

ROOT = Path(__file__).resolve().parents[2]
CI = ROOT / "samples" / "ci"
MODELS = ROOT / "samples" / "host" / "models" / "digits"
WORKFLOW = yaml.safe_load((CI / "model-update.yml").read_text(encoding="utf-8"))
IN_CI = os.environ.get("CI") == "true"
INSTALL = "Install TinyMLDelta"
MAIN, PULL_REQUEST = "refs/heads/main", "refs/pull/7/merge"
KEPT = {"base.tflite", "check.json", "contract.json", "image.tflite", "inspect.json", "patch.json"}
REPORT = {"SHA256SUMS", "result.json", "summary.md"}


# --- GitHub, as far as the workflow uses it -----------------------------------------------------


@dataclass
class Ran:
    """What came of one job. result: "success", "failure", "skipped"."""

    result: str
    log: str = ""
    summary: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    steps: list[str] = field(default_factory=list)


@dataclass
class Pipeline:
    """Runs the jobs of the workflow for one event on a repository."""

    repository: Path
    work: Path
    ref: str
    secrets: Mapping[str, str] = field(default_factory=dict)
    artefacts: dict[str, Path] = field(default_factory=dict)
    jobs: dict[str, Ran] = field(default_factory=dict)

    def run(self) -> None:
        for name in WORKFLOW["jobs"]:
            self.job(name)

    def job(self, name: str) -> Ran:
        job = dict(WORKFLOW["jobs"][name])
        steps, outputs = job.pop("steps"), job.pop("outputs", {})
        needs, condition = job.pop("needs", None), job.pop("if", None)
        assert set(job) <= {"runs-on", "timeout-minutes", "environment"}, "teach Pipeline"
        values = {"github.ref": self.ref}
        values |= {f"secrets.{key}": value for key, value in self.secrets.items()}
        if needs is not None:
            before = self.jobs[needs]
            values |= {f"needs.{needs}.outputs.{k}": v for k, v in before.outputs.items()}
        ready = needs is None or self.jobs[needs].result == "success"
        if not ready or (condition is not None and not true(condition, values)):
            self.jobs[name] = Ran("skipped")
            return self.jobs[name]
        self.jobs[name] = ran = Ran("success")
        folder = self.work / name
        shutil.rmtree(folder, ignore_errors=True)
        for each in ("home", "temp"):
            (folder / each).mkdir(parents=True)
        for step in steps:
            condition = step.get("if")
            if condition is None and ran.result == "failure":
                continue
            if condition is not None and not true(condition, values):
                continue
            ran.steps.append(step.get("name") or step["uses"].partition("@")[0])
            self.step(step, folder, values, ran)
        ran.outputs = {key: filled(value, values) for key, value in outputs.items()}
        return ran

    def step(self, step: dict[str, Any], folder: Path, values: dict[str, str], ran: Ran) -> None:
        assert set(step) <= {"name", "id", "if", "uses", "with", "run", "env"}, "teach Pipeline"
        workspace = folder / "workspace"
        if "uses" in step:
            self.action(step["uses"].partition("@")[0], step.get("with", {}), workspace, ran)
            return
        if step["name"] == INSTALL:  # the one step that is replaced: the package is here
            return
        files = {
            key: folder / key for key in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_ENV")
        }
        for file in files.values():
            file.write_text("")
        script = folder / "script.sh"
        script.write_text(filled(step["run"], values))
        assert WORKFLOW["defaults"]["run"]["shell"] == "bash"
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", script],
            cwd=workspace,
            env={
                "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
                "HOME": str(folder / "home"),
                "LANG": "C.UTF-8",
                "CI": "true",
                "GITHUB_ACTIONS": "true",
                "GITHUB_REF": self.ref,
                "GITHUB_WORKSPACE": str(workspace),
                "RUNNER_TEMP": str(folder / "temp"),
                **{key: str(file) for key, file in files.items()},
                **{key: filled(value, values) for key, value in step.get("env", {}).items()},
            },
            capture_output=True,
            text=True,
            timeout=300,
        )
        ran.log += done.stdout + done.stderr
        ran.summary += files["GITHUB_STEP_SUMMARY"].read_text()
        assert files["GITHUB_ENV"].read_text() == "", "teach Pipeline"
        for line in files["GITHUB_OUTPUT"].read_text().splitlines():
            key, _, value = line.partition("=")
            values[f"steps.{step['id']}.outputs.{key}"] = value
        if done.returncode != 0:
            ran.result = "failure"

    def action(self, name: str, given: dict[str, Any], workspace: Path, ran: Ran) -> None:
        if name == "actions/checkout":
            shutil.copytree(self.repository, workspace)
        elif name == "actions/upload-artifact":
            kept, found = self.work / "artefacts" / given["name"], workspace / given["path"]
            if not found.exists():
                assert given["if-no-files-found"] == "error"
                ran.log += f"nothing to upload at {given['path']}\n"
                ran.result = "failure"
                return
            assert given["name"] not in self.artefacts, "an artefact is uploaded once"
            shutil.copytree(found, kept, dirs_exist_ok=True)
            self.artefacts[given["name"]] = kept
        elif name == "actions/download-artifact":
            shutil.copytree(self.artefacts[given["name"]], workspace / given["path"])
        else:
            assert name == "actions/setup-python", f"teach Pipeline {name}"


def value_of(name: str, values: Mapping[str, str]) -> str:
    """What is unset of these is empty there; a name that GitHub does not have is a mistake."""
    if name not in values:
        assert name.startswith(("secrets.", "steps.", "needs.")), name
    return values.get(name, "")


def filled(text: str, values: Mapping[str, str]) -> str:
    return re.sub(r"\$\{\{ ([\w.-]+) \}\}", lambda m: value_of(m[1], values), str(text))


def true(condition: str, values: Mapping[str, str]) -> bool:
    """The expressions that the workflow has: `!cancelled()`, and comparisons with an && between."""
    found = re.fullmatch(r"\$\{\{ (.*) \}\}", condition)
    assert found is not None, condition
    terms = [term.strip() for term in found[1].split("&&")]
    if terms == ["!cancelled()"]:
        return True
    comparisons = [re.fullmatch(r"([\w.-]+) == '([^']*)'", term) for term in terms]
    return all(c is not None and value_of(c[1], values) == c[2] for c in comparisons)


# --- A user's repository ------------------------------------------------------------------------


def tmd(*words: str | Path) -> str:
    """In this process: it is what the jobs have made that is looked at, not how `tmd` starts."""
    done = CliRunner().invoke(main, list(map(str, words)))
    assert done.exit_code == 0, done.output
    return done.stdout


def load_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("model_update", CI / "model_update.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look for their module there
    spec.loader.exec_module(module)
    return module


model_update = load_script()


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Contracts of firmwares by their builds' options, labelled data, and keys."""
    if find_interpreter() is None:
        (pytest.fail if IN_CI else pytest.skip)("no interpreter: requirements/demo.txt")
    folder = tmp_path_factory.mktemp("material")
    tmd("keygen", "--type", "ed25519", "-o", folder / "key.pem", "--public", folder / "pub.pem")
    tmd("keygen", "--type", "ed25519", "-o", folder / "other.pem")
    builds = {
        "0.9": ("--decoder", "none"),  # format 1 alone
        "1.0": (),
        "1.1": ("--decoder", "lean", "--extra-op", "AVERAGE_POOL_2D"),
        "2.0": ("--public-key", folder / "pub.pem", "--model-version", "1.0.0"),
    }
    for name, options in builds.items():
        generated = folder / name
        flash = ("--slot", "16384", "--erase", "4096", "--write", "4")
        tmd("codegen", f"digits={MODELS / 'base.tflite'}", "--out", generated, *flash, *options)
    with np.load(MODELS / "eval.npz") as data:
        np.savez(folder / "validation.npz", x=data["inputs"], y=data["labels"])
    return folder


NewRepository = Callable[..., Path]


@pytest.fixture(scope="module")
def new_repository(material: Path, tmp_path_factory: pytest.TempPathFactory) -> NewRepository:
    """A repository laid out as docs/ci.md says, with these firmwares in the field."""

    def make(*firmwares: str, base: str = "base", target: str = "target") -> Path:
        folder = tmp_path_factory.mktemp("repository")
        for each in ("ci", "models", "fleet"):
            (folder / each).mkdir()
        shutil.copy(CI / "model_update.py", folder / "ci")
        shutil.copy(CI / "requirements.txt", folder / "ci")
        shutil.copy(MODELS / f"{base}.tflite", folder / "models" / "base.tflite")
        shutil.copy(MODELS / f"{target}.tflite", folder / "models" / "target.tflite")
        shutil.copy(material / "validation.npz", folder / "models")
        (folder / "models" / "version.txt").write_text("1.1.0\n")
        for name in firmwares:
            (folder / "fleet" / name).mkdir()
            shutil.copy(material / name / "contract.json", folder / "fleet" / name)
        if "2.0" in firmwares:
            shutil.copy(material / "pub.pem", folder / "fleet" / "signer.pub.pem")
        return folder

    return make


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def check_sums(folder: Path) -> None:
    """SHA256SUMS is right, and about all that is there."""
    sums = dict(line.split()[::-1] for line in (folder / "SHA256SUMS").read_text().splitlines())
    assert set(sums) == names(folder) - {"SHA256SUMS"}
    for name, digest in sums.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def applied(base: Path, patch: Path, contract: Path, out: Path) -> bytes:
    tmd("apply", base, patch, "-o", out, "--contract", contract)
    return out.read_bytes()


def no_update(pipeline: Pipeline, *words: str) -> None:
    """The job failed, says why where people look, and nothing that could be sent comes out."""
    ran = pipeline.jobs["patch"]
    assert ran.result == "failure"
    for word in words:
        assert word in ran.log
        assert word in ran.summary
    kept = pipeline.artefacts["model-update"]
    assert (kept / "summary.md").read_text() == ran.summary
    assert names(kept) <= REPORT
    assert pipeline.jobs["sign"].result == "skipped"


# --- What the file says -------------------------------------------------------------------------


def test_actions_are_pinned_by_commit_and_say_their_version() -> None:
    text = (CI / "model-update.yml").read_text(encoding="utf-8")
    uses = re.findall(r"^ *- uses: (.+)$", text, re.MULTILINE)
    pinned = [re.fullmatch(r"(actions/[\w-]+)@[0-9a-f]{40} # v\d+\.\d+\.\d+", use) for use in uses]
    assert None not in pinned
    assert len(uses) == sum(
        "uses" in step for j in WORKFLOW["jobs"].values() for step in j["steps"]
    )
    assert len({use for use in uses if use is not None}) == len({p[1] for p in pinned if p})
    assert {p[1] for p in pinned if p} == {
        f"actions/{name}"
        for name in ("checkout", "setup-python", "upload-artifact", "download-artifact")
    }


def test_the_workflow_may_read_and_nothing_else() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert all("permissions" not in job for job in WORKFLOW["jobs"].values())
    events = WORKFLOW[True]  # YAML 1.1 takes `on` for true
    assert set(events) == {"pull_request", "push"}, "pull_request_target would have secrets"
    assert events["push"]["branches"] == ["main"]
    for job in WORKFLOW["jobs"].values():
        checkouts = [s for s in job["steps"] if s.get("uses", "").startswith("actions/checkout")]
        assert [step["with"]["persist-credentials"] for step in checkouts] == [False]


def test_only_the_step_that_signs_sees_the_secret() -> None:
    text = (CI / "model-update.yml").read_text(encoding="utf-8")
    assert text.count("secrets.") == 1
    for name, job in WORKFLOW["jobs"].items():
        for step in job["steps"]:
            if "secrets." in json.dumps(step):
                assert (name, step["name"]) == ("sign", "Sign and check")
                assert "${{" not in step["run"]  # by the environment, never by the script's text
    sign = WORKFLOW["jobs"]["sign"]
    assert "github.ref == 'refs/heads/main'" in sign["if"]
    assert sign["environment"]


def test_the_step_that_this_test_replaces_installs_what_is_tested_here() -> None:
    for job in WORKFLOW["jobs"].values():
        (install,) = [step for step in job["steps"] if step.get("name") == INSTALL]
        assert install == {"name": INSTALL, "run": "python -m pip install -r ci/requirements.txt"}
    lines = (CI / "requirements.txt").read_text(encoding="utf-8").splitlines()
    wanted = [line for line in lines if not line.startswith("#")]
    assert wanted[0] == "tinymldelta @ git+URL-OF-THIS-REPOSITORY@REVISION"
    tested = (ROOT / "requirements" / "demo.txt").read_text(encoding="utf-8").splitlines()
    assert wanted[1:] == [line.partition(";")[0] for line in tested if line.startswith("tflite")]


def gitlab() -> dict[str, Any]:
    """The jobs in the guide."""
    guide = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```yaml\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    jobs: dict[str, Any] = yaml.safe_load(block)
    return jobs


def test_the_guide_has_the_same_lines_for_gitlab() -> None:
    for name, job in gitlab().items():
        runs = [step["run"] for step in WORKFLOW["jobs"][name]["steps"] if "run" in step]
        here = " ".join(" ".join(run.replace("\\\n", " ").split()) for run in runs)
        for line in job["script"]:
            # GitLab gives a secret as a file of its own, and has no summary to write to.
            wanted = line.replace('"$MODEL_SIGNING_KEY"', '"$key"')
            assert f"{wanted} " in f"{here} ", line
        assert sum("model_update.py" in line for line in job["script"]) == 1


# --- What it does -------------------------------------------------------------------------------


def test_a_fleet_that_takes_it(
    new_repository: NewRepository, material: Path, tmp_path: Path
) -> None:
    repository = new_repository("0.9", "1.0", "1.1")
    pipeline = Pipeline(repository, tmp_path, PULL_REQUEST)
    pipeline.run()
    ran = pipeline.jobs["patch"]
    assert ran.result == "success", ran.log
    assert pipeline.jobs["sign"].result == "skipped"
    assert set(pipeline.artefacts) == {"model-update"}

    kept = pipeline.artefacts["model-update"]
    fleet = ("0.9", "1.0", "1.1")
    files = {f"{n}/{f}" for n in fleet for f in {*KEPT, f"{n}.tmd", f"{n}.rollback.tmd"}}
    assert names(kept) == REPORT | files
    check_sums(kept)
    base, target = (MODELS / f"{name}.tflite" for name in ("base", "target"))
    rows = {}
    for line in ran.summary.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] in fleet and cells[1] == "taken":
            rows[cells[0]] = cells
    for name in fleet:
        contract, folder = material / name / "contract.json", kept / name
        patch, back = folder / f"{name}.tmd", folder / f"{name}.rollback.tmd"
        out = tmp_path / "out.tflite"
        assert applied(base, patch, contract, out) == target.read_bytes()
        assert (folder / "image.tflite").read_bytes() == target.read_bytes()
        assert applied(folder / "image.tflite", back, contract, out) == base.read_bytes()
        assert (folder / "base.tflite").read_bytes() == base.read_bytes()
        assert (folder / "contract.json").read_bytes() == contract.read_bytes()
        inspected = json.loads((folder / "inspect.json").read_text())
        assert inspected == json.loads(tmd("inspect", patch, "--json"))
        assert inspected["sizes"]["total"] == len(patch.read_bytes())
        assert inspected["format"] == (1 if name == "0.9" else 2)
        assert inspected["decoder"] == {"0.9": None, "1.0": "default", "1.1": "lean"}[name]
        checked = json.loads((folder / "check.json").read_text())
        assert checked["taken"] and checked["base_checked"]
        assert rows[name][2] == f"{len(patch.read_bytes()):,}"
        assert rows[name][4] == f"{len(back.read_bytes()):,}"
        accuracy = json.loads((folder / "patch.json").read_text())["accuracy"]
        assert (accuracy["base"], accuracy["target"]) == (0.86, 0.925)
        assert accuracy["in_patch"] == (name != "0.9")  # format 1 has no place for it
        assert (inspected["metadata"]["accuracy"] is not None) == accuracy["in_patch"]
        assert f"| {name} | accuracy | 0.86 | 0.925 | -6.50 percentage points |" in ran.summary
    assert "**3 of 3 firmwares take it.**" in ran.summary


def test_a_model_that_is_worse(new_repository: NewRepository, tmp_path: Path) -> None:
    repository = new_repository("0.9", "1.0", base="target", target="base")
    pipeline = Pipeline(repository, tmp_path, PULL_REQUEST)
    pipeline.run()
    worse = "its accuracy is 86.00 %, the base's 92.50 %: worse by 6.5 percentage points"
    no_update(pipeline, f"0.9: on 200 samples of models/validation.npz {worse}", "1.0: on 200 sam")
    # A reviewer sees by how much, as of a model that passes.
    for name in ("0.9", "1.0"):
        row = f"| {name} | accuracy | 0.925 | 0.86 | 6.50 percentage points | "
        assert row in pipeline.jobs["patch"].summary


def test_a_firmware_that_does_not_take_it(new_repository: NewRepository, tmp_path: Path) -> None:
    repository = new_repository("1.0", "1.1", target="refused_new_operator")
    pipeline = Pipeline(repository, tmp_path, PULL_REQUEST)
    pipeline.run()
    why = "OPERATORS: needs AVERAGE_POOL_2D v2, firmware has not linked it"
    no_update(pipeline, f"1.0 does not take it, by {why}")
    assert re.search(rf"^\| 1\.0 \| REFUSED by {why} ", pipeline.jobs["patch"].summary, re.M)
    assert re.search(r"^\| 1\.1 \| taken \|", pipeline.jobs["patch"].summary, re.M)
    assert "| new operators |  | AVERAGE_POOL_2D v2 |" in pipeline.jobs["patch"].summary


def test_a_firmware_that_is_left_behind(new_repository: NewRepository, tmp_path: Path) -> None:
    repository = new_repository("1.0", "1.1", target="refused_new_operator")
    listed = repository / "fleet" / "left-behind.txt"
    listed.write_text("# firmware rule reason\n1.0 OPERATORS replaced in May, ticket 12\n")
    pipeline = Pipeline(repository, tmp_path, PULL_REQUEST)
    pipeline.run()
    assert pipeline.jobs["patch"].result == "success", pipeline.jobs["patch"].log
    kept = pipeline.artefacts["model-update"]
    assert {name.split("/")[0] for name in names(kept)} == {"1.1", *REPORT}
    summary = pipeline.jobs["patch"].summary
    assert "**1 of 2 firmwares take it.**" in summary
    assert re.search(r"^\| 1\.0 \| left behind by OPERATORS: .*; replaced in May", summary, re.M)


@pytest.mark.parametrize(
    ("answers", "allowed", "problems"),
    [
        (("taken", "refused OPERATORS"), {}, ["b does not take it, by OPERATORS: why"]),
        (("taken", "refused OPERATORS"), {"b": "OPERATORS"}, []),
        (("taken", "refused ARENA"), {"b": "OPERATORS"}, ["b does not take it, by ARENA: why"]),
        (("taken", "taken"), {"b": "ARENA"}, ["b does not refuse by ARENA"]),
        (("taken", "has it"), {"b": "ARENA"}, ["b is left behind, so it does not have"]),
        (("taken", "not made"), {"b": "ARENA"}, ["b: why"]),
        (("refused ARENA", "refused ARENA"), {"a": "ARENA", "b": "ARENA"}, ["no firmware takes"]),
        (("has it", "refused ARENA"), {"b": "ARENA"}, []),
        (("has it", "to sign"), {}, []),
    ],
)
def test_the_list_of_those_left_behind_is_kept_true(
    answers: tuple[str, ...], allowed: dict[str, str], problems: list[str]
) -> None:
    outcomes = []
    for name, said in zip("ab", answers, strict=True):
        answer, rule = said.split() if said.startswith("refused") else (said, "")
        outcomes.append(model_update.Outcome(name, "", "", "", answer, rule, "why"))
    found = model_update.judge(outcomes, {name: (rule, "ok") for name, rule in allowed.items()})
    assert len(found) == len(problems)
    for each, wanted in zip(found, problems, strict=True):
        assert each.startswith(wanted)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1.0 ARENA\n", "left-behind.txt:1: write FIRMWARE RULE REASON"),
        ("1.0 ARENA # in May\n", "left-behind.txt:1: write FIRMWARE RULE REASON"),
        ("\n1.O ARENA in May\n", "left-behind.txt:2: 1.O is no folder of the fleet"),
        ("1.0 ARENA in May\n1.0 IO in May\n", "left-behind.txt:2: 1.0 is twice in it"),
    ],
)
def test_a_list_that_says_too_little(
    new_repository: NewRepository, tmp_path: Path, text: str, says: str
) -> None:
    repository = new_repository("1.0")
    (repository / "fleet" / "left-behind.txt").write_text(text)
    with pytest.raises(model_update.NoUpdateError, match=re.escape(says)):
        model_update.read_left_behind(
            repository / "fleet" / "left-behind.txt",
            [model_update.Firmware("1.0", Path(), Path(), None, False, ())],
        )


def test_after_the_rollout_there_is_nothing_to_do(
    new_repository: NewRepository, tmp_path: Path
) -> None:
    repository = new_repository("1.0", "2.0", base="target")
    pipeline = Pipeline(repository, tmp_path, MAIN)
    pipeline.run()
    assert pipeline.jobs["patch"].result == "success", pipeline.jobs["patch"].log
    assert pipeline.jobs["sign"].result == "skipped"
    assert names(pipeline.artefacts["model-update"]) == REPORT
    assert "Nothing to do" in pipeline.jobs["patch"].summary


@pytest.mark.parametrize(
    ("gone", "says"),
    [
        ("models/base.tflite", "models/base.tflite is missing"),
        ("models/target.tflite", "models/target.tflite is missing"),
        ("models/validation.npz", "models/validation.npz is missing"),
        ("models/version.txt", "models/version.txt is missing"),
        ("fleet/1.0/contract.json", "fleet/1.0/contract.json is missing"),
        ("fleet/1.0", "fleet/*/contract.json: there is none, so no device is known"),
    ],
)
def test_a_file_that_is_missing(
    new_repository: NewRepository, tmp_path: Path, gone: str, says: str
) -> None:
    repository = new_repository("1.0")
    path = repository / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    pipeline = Pipeline(repository, tmp_path, PULL_REQUEST)
    pipeline.run()
    assert pipeline.jobs["patch"].result == "failure"
    assert says in pipeline.jobs["patch"].log
    assert says.replace("*", r"\*") in pipeline.jobs["patch"].summary
    assert names(pipeline.artefacts["model-update"]) == {"summary.md"}


def test_what_is_left_of_another_run_is_not_taken_for_this_one(
    new_repository: NewRepository, tmp_path: Path
) -> None:
    repository = new_repository("1.0")
    (repository / "model-update" / "1.0").mkdir(parents=True)
    (repository / "model-update" / "1.0" / "1.0.tmd").write_bytes(b"old")
    pipeline = Pipeline(repository, tmp_path, PULL_REQUEST)
    assert pipeline.job("patch").result == "failure"
    assert "model-update is not empty" in pipeline.jobs["patch"].log


def test_test_vectors_go_along(
    new_repository: NewRepository, material: Path, tmp_path: Path
) -> None:
    """The options behind a --; and then the image is what the next update starts from."""
    repository = new_repository("1.0")
    command = [sys.executable, "ci/model_update.py", "build"]
    files = {"base": "base.tflite", "target": "target.tflite", "verify-data": "validation.npz"}
    for option, name in (files | {"version-file": "version.txt"}).items():
        command += [f"--{option}", f"models/{name}"]
    command += ["--fleet", "fleet", "--out", "out", "--", "--vectors-from-data", "3"]
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run(command, cwd=repository, env=environment, check=True, capture_output=True)
    made, contract = repository / "out" / "1.0", material / "1.0" / "contract.json"
    image, out = (made / "image.tflite").read_bytes(), tmp_path / "out.tflite"
    target = (MODELS / "target.tflite").read_bytes()
    assert image.startswith(target) and len(image) > len(target)
    assert applied(MODELS / "base.tflite", made / "1.0.tmd", contract, out) == image
    assert (
        applied(made / "image.tflite", made / "1.0.rollback.tmd", contract, out)
        == (MODELS / "base.tflite").read_bytes()
    )
    # The device holds the image now: the same model is no news to it.
    firmware = model_update.Firmware("1.0", contract, made / "image.tflite", None, False, ())
    wanted = model_update.Wanted(MODELS / "target.tflite", tmp_path, (), "1.1.0", (), ())
    assert model_update.make(firmware, wanted, tmp_path / "none").answer == "has it"
    assert not (tmp_path / "none").exists()


# --- Signing ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(new_repository: NewRepository, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """The first job for a fleet of which one firmware takes signed patches only."""
    repository = new_repository("1.0", "2.0")
    pipeline = Pipeline(repository, tmp_path_factory.mktemp("built"), MAIN)
    assert pipeline.job("patch").result == "success", pipeline.jobs["patch"].log
    return pipeline


def then(built: Pipeline, work: Path, key: str, ref: str = MAIN) -> Pipeline:
    """A pipeline that stands where `built` ended, with artefacts of its own."""
    kept = work / "artefacts" / "model-update"
    shutil.copytree(built.artefacts["model-update"], kept)
    secrets = {"MODEL_SIGNING_KEY": key} if key else {}
    artefacts = {"model-update": kept}
    return Pipeline(built.repository, work, ref, secrets, artefacts, dict(built.jobs))


def test_without_the_key_a_patch_waits_for_its_signature(built: Pipeline) -> None:
    kept = built.artefacts["model-update"]
    assert names(kept / "2.0") == {
        *KEPT,
        "2.0.unsigned.tmd",
        "2.0.rollback.unsigned.tmd",
    }
    assert "1.0.tmd" in names(kept / "1.0")
    checked = json.loads((kept / "2.0" / "check.json").read_text())
    assert (checked["taken"], checked["once_signed"]["taken"]) == (False, True)
    assert checked["base_checked"] and {rule["verdict"] for rule in checked["rules"]} >= {"PASS"}
    assert "| 2.0 | taken once it is signed |" in built.jobs["patch"].summary
    assert built.jobs["patch"].outputs == {"to_sign": "yes"}


def test_signed(built: Pipeline, material: Path, tmp_path: Path) -> None:
    secret = (material / "key.pem").read_text()
    pipeline = then(built, tmp_path, secret)
    ran = pipeline.job("sign")
    assert ran.result == "success", ran.log
    kept = pipeline.artefacts["model-update-signed"]
    assert names(kept / "2.0") == {*KEPT, "2.0.tmd", "2.0.rollback.unsigned.tmd"}
    check_sums(kept)
    base, target = (MODELS / f"{name}.tflite" for name in ("base", "target"))
    for name in ("1.0", "2.0"):
        contract, patch = material / name / "contract.json", kept / name / f"{name}.tmd"
        assert applied(base, patch, contract, tmp_path / "out") == target.read_bytes()
        inspected = json.loads((kept / name / "inspect.json").read_text())
        assert inspected == json.loads(tmd("inspect", patch, "--json"))
    tmd("verify", kept / "2.0" / "2.0.tmd", "--public-key", material / "pub.pem")
    assert json.loads((kept / "2.0" / "check.json").read_text())["taken"]
    key_id = inspected["signer"]["key_id"]
    assert f"| 2.0 | taken, signed with ed25519 {key_id} |" in ran.summary

    # The way back is not signed before somebody wants it, and then it can be.
    back = kept / "2.0" / "2.0.rollback.unsigned.tmd"
    tmd("sign", back, "--key", material / "key.pem", "--target", base, "-o", tmp_path / "back.tmd")
    image, contract = kept / "2.0" / "image.tflite", material / "2.0" / "contract.json"
    assert applied(image, tmp_path / "back.tmd", contract, tmp_path / "out") == base.read_bytes()

    # The key is nowhere but where it came from.
    (line,) = [line for line in secret.splitlines() if not line.startswith("-----")]
    assert line not in ran.log + ran.summary
    assert list((tmp_path / "sign" / "temp").iterdir()) == []
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or line.encode() not in path.read_bytes(), path


def test_gitlab_s_lines_sign_too(built: Pipeline, material: Path, tmp_path: Path) -> None:
    """All lines of a job in one shell, as there."""
    workspace = tmp_path / "workspace"
    shutil.copytree(built.repository, workspace)
    (kept,) = gitlab()["patch"]["artifacts"]["paths"]
    shutil.copytree(built.artefacts["model-update"], workspace / kept)
    install, *lines = gitlab()["sign"]["script"]
    assert install.startswith("python -m pip install ")
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", "\n".join(lines)],
        cwd=workspace,
        env={
            "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "MODEL_SIGNING_KEY": str(material / "key.pem"),
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    made = workspace / kept / "2.0" / "2.0.tmd"
    tmd("verify", made, "--public-key", material / "pub.pem")
    check_sums(workspace / kept)


def test_a_pull_request_is_not_signed(built: Pipeline, material: Path, tmp_path: Path) -> None:
    pipeline = then(built, tmp_path, (material / "key.pem").read_text(), PULL_REQUEST)
    assert pipeline.job("sign").result == "skipped"


def refused_to_sign(pipeline: Pipeline, *words: str) -> None:
    ran = pipeline.job("sign")
    assert ran.result == "failure"
    for word in words:
        assert word in ran.log
    assert "model-update-signed" not in pipeline.artefacts
    assert list((pipeline.work / "sign" / "temp").iterdir()) == []


def test_a_secret_that_is_missing(built: Pipeline, tmp_path: Path) -> None:
    refused_to_sign(then(built, tmp_path, ""), "has no secret MODEL_SIGNING_KEY")


def test_a_key_that_the_firmware_does_not_have(
    built: Pipeline, material: Path, tmp_path: Path
) -> None:
    pipeline = then(built, tmp_path, (material / "other.pem").read_text())
    refused_to_sign(pipeline, "ed25519 key")


def test_an_artefact_that_is_not_there(built: Pipeline, material: Path, tmp_path: Path) -> None:
    """Signed by hand, with the wrong folder or before `build`."""
    files = {"base": "models/base.tflite", "target": "models/target.tflite", "fleet": "fleet"}
    words = [f"--{name}={built.repository / path}" for name, path in files.items()]
    words += ["--key", str(material / "key.pem"), "--out", str(tmp_path / "none")]
    done = subprocess.run(
        [sys.executable, CI / "model_update.py", "sign", *words], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (
        1,
        f"model_update: {tmp_path / 'none' / 'result.json'} is missing: give the folder that "
        "`build` wrote\n",
    )
    assert not (tmp_path / "none").exists()


def test_a_key_that_is_none(built: Pipeline, tmp_path: Path) -> None:
    pipeline = then(built, tmp_path, "no-key-at-all")
    refused_to_sign(pipeline)
    assert "no-key-at-all" not in pipeline.jobs["sign"].log


def test_an_artefact_that_was_changed(built: Pipeline, material: Path, tmp_path: Path) -> None:
    pipeline = then(built, tmp_path, (material / "key.pem").read_text())
    patch = pipeline.artefacts["model-update"] / "2.0" / "2.0.unsigned.tmd"
    patch.write_bytes(patch.read_bytes()[:-1] + b"\0")
    refused_to_sign(pipeline, "2.0/2.0.unsigned.tmd: FAILED")
    assert "Sign and check" not in pipeline.jobs["sign"].steps


def test_a_patch_to_a_model_that_is_not_the_repository_s(
    built: Pipeline, material: Path, tmp_path: Path
) -> None:
    """Another model in a whole artefact, sums and all: what is signed is what was committed."""
    pipeline = then(built, tmp_path, (material / "key.pem").read_text())
    kept = pipeline.artefacts["model-update"]
    words = ["patch", MODELS / "base.tflite", MODELS / "base.tflite"]  # the firmware takes it
    words += ["-o", kept / "2.0" / "2.0.unsigned.tmd", "--model", "digits"]
    words += ["--signer", material / "pub.pem", "--model-version", "1.1.0"]
    tmd(*words)
    sums = sorted(names(kept) - {"SHA256SUMS"})
    (kept / "SHA256SUMS").write_text(
        "".join(f"{hashlib.sha256((kept / n).read_bytes()).hexdigest()}  {n}\n" for n in sums)
    )
    refused_to_sign(pipeline, "is another")


def test_a_firmware_with_keys_and_nobody_to_sign_for_it(
    new_repository: NewRepository, tmp_path: Path
) -> None:
    repository = new_repository("2.0")
    (repository / "fleet" / "signer.pub.pem").unlink()
    pipeline = Pipeline(repository, tmp_path, PULL_REQUEST)
    pipeline.run()
    no_update(pipeline, "fleet/2.0/signer.pub.pem")
