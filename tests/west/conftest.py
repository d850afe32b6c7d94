"""A west workspace of this repository, without a network: every project is a small local one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from tinymldelta.contract import ContractKey
from tinymldelta.firmware import models_json
from tinymldelta.generate import ModelSource, generate
from tinymldelta.limits import Limits
from westkit import ADDRESS, OPTIONAL, ROOT, SLOT, UNWANTED, WANTED, MakeBuild, Run, West


@pytest.fixture(scope="session")
def digits() -> Path:
    """Folder of the digits CNN: base, target, and targets that its firmware must refuse."""
    return ROOT / "samples" / "host" / "models" / "digits"


@pytest.fixture(scope="session")
def remotes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of git repositories: Zephyr, its modules, and this one as `tinymldelta`."""
    folder = tmp_path_factory.mktemp("remotes")
    manifest = yaml.safe_load((ROOT / "west.yml").read_text())["manifest"]
    (revision,) = {p["revision"] for p in manifest["projects"] if p["name"] == "zephyr"}

    def commit(name: str, files: Mapping[str, str]) -> None:
        for file, content in files.items():
            path = folder / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        git = ("git", "-C", folder / name, "-c", "user.name=test", "-c", "user.email=test@test")
        for command in (
            ("init", "-q", "-b", "main"),
            ("add", "-A"),
            ("commit", "-qm", "All"),
            ("tag", revision),
        ):
            subprocess.run((*git, *command), check=True)

    def projects(names: tuple[str, ...], **more: object) -> list[dict[str, object]]:
        return [{"name": n, "remote": "up", "revision": "main", **more} for n in names]

    remote = {"remotes": [{"name": "up", "url-base": "https://github.com/zephyrproject-rtos"}]}
    zephyr = {
        **remote,
        "group-filter": ["-optional"],
        "projects": projects((*WANTED, *UNWANTED)),
        "self": {"path": "zephyr", "import": "submanifests"},
    }
    optional = {**remote, "projects": projects(OPTIONAL, groups=["optional"])}
    commit(
        "zephyr",
        {
            "west.yml": yaml.safe_dump({"manifest": zephyr}),
            "submanifests/optional.yaml": yaml.safe_dump({"manifest": optional}),
        },
    )
    for name in (*WANTED, *UNWANTED, *OPTIONAL):
        commit(name, {"README": name})
    ours = ("west.yml", "codegen/west/west-commands.yml", "codegen/west/tmd_commands.py")
    commit("tinymldelta", {file: (ROOT / file).read_text() for file in ours})
    (folder / "gitconfig").write_text(
        f'[url "file://{folder}/"]\n\tinsteadOf = https://github.com/zephyrproject-rtos/\n'
    )
    return folder


@pytest.fixture(scope="session")
def west(remotes: Path) -> West:
    """Run the real west, with no configuration but the workspace's."""
    nowhere = str(remotes / "nowhere")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ZEPHYR", "WEST_", "GIT_"))}
    isolated = {
        **kept,
        "GIT_CONFIG_GLOBAL": str(remotes / "gitconfig"),
        "GIT_CONFIG_SYSTEM": os.devnull,
        "WEST_CONFIG_GLOBAL": nowhere,
        "WEST_CONFIG_SYSTEM": nowhere,
    }

    def run(*arguments: object, cwd: Path, env: Mapping[str, str] | None = None) -> Run:
        return subprocess.run(
            [sys.executable, "-m", "west", *map(str, arguments)],
            cwd=cwd,
            env={**isolated, **(env or {})},
            capture_output=True,
            text=True,
        )

    return run


@pytest.fixture(scope="session")
def workspace(remotes: Path, west: West, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose manifest is this repository, made as the README says."""
    topdir = tmp_path_factory.mktemp("west") / "workspace"
    made = west("init", "-m", f"file://{remotes}/tinymldelta", topdir, cwd=topdir.parent)
    assert made.returncode == 0, made.stderr
    updated = west("update", cwd=topdir)
    assert updated.returncode == 0, updated.stderr
    return topdir


@pytest.fixture
def application(workspace: Path, tmp_path: Path) -> Path:
    """A folder in the workspace for one test."""
    folder = workspace / tmp_path.name
    folder.mkdir()
    return folder


def region(label: str, place: int, mapped: bool) -> SimpleNamespace:
    offset = 0x10_0000 + place * SLOT
    address = ADDRESS + place * SLOT if mapped else None
    return SimpleNamespace(label=label, address=address, offset=offset, bytes=SLOT)


@pytest.fixture
def make_build(digits: Path) -> MakeBuild:
    """Make what a Zephyr build of a firmware with the digits model leaves for patches."""

    def make(
        folder: Path,
        names: tuple[str, ...] = ("digits",),
        compiled_in: bool = True,
        mapped: bool = True,
        keys: tuple[ContractKey, ...] = (),
    ) -> Path:
        ours = folder / "tinymldelta"
        base = digits / "base.tflite"
        sources = [ModelSource(name, base.read_bytes(), base.name) for name in names]
        generate(
            sources, Limits(SLOT, 8192, 16, {}, {}, formats=(1, 2)[bool(keys) :], keys=keys), ours
        )
        requests, nodes = [], []
        for i, name in enumerate(names):
            shutil.copy(base, ours / f"{name}.tflite")
            *slots, records = (
                region(f"{name}_{label}", 3 * i + n, mapped)
                for n, label in enumerate(("slot0", "slot1", "records"))
            )
            requests.append(SimpleNamespace(name=name, compiled_in=compiled_in))
            nodes.append(
                SimpleNamespace(label=f"{name}_model", slots=slots, records=records, staging=None)
            )
        (ours / "models.json").write_text(models_json(requests, nodes))
        return folder

    return make
