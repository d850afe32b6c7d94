"""Workspaces: of this repository, and of a user's own manifest."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import yaml

from westkit import OPTIONAL, ROOT, WANTED, West

pytest.importorskip("west", reason="pip install -r requirements/west.txt")

COMMANDS = {
    command["name"]: command
    for file in yaml.safe_load((ROOT / "codegen/west/west-commands.yml").read_text())[
        "west-commands"
    ]
    for command in file["commands"]
}


def projects(west: West, topdir: Path) -> set[str]:
    listed = west("list", "-f", "{name}", cwd=topdir)
    assert listed.returncode == 0, listed.stderr
    return set(listed.stdout.split())


def test_the_workspace_has_what_the_samples_need_and_no_more(west: West, workspace: Path) -> None:
    assert (workspace / "tinymldelta" / "west.yml").is_file()
    assert projects(west, workspace) == {"manifest", "zephyr", *WANTED, "tflite-micro"}


def test_every_name_of_the_allowlist_is_one_that_zephyr_has() -> None:
    manifest = yaml.safe_load((ROOT / "west.yml").read_text())["manifest"]
    (zephyr,) = manifest["projects"]
    names = zephyr["import"]["name-allowlist"]
    assert names == sorted(names)
    assert set(names) <= {*WANTED, *OPTIONAL}


def own_workspace(west: West, tmp_path: Path, manifest: dict[str, object]) -> Path:
    """A user's workspace: the manifest repository is the application."""
    application = tmp_path / "ws" / "application"
    application.mkdir(parents=True)
    (application / "west.yml").write_text(yaml.safe_dump({"manifest": manifest}))
    for command in (("init", "-l", application), ("update",)):
        done = west(*command, cwd=application)
        assert done.returncode == 0, done.stderr
    return application


def test_an_own_manifest_imports_this_one(west: West, remotes: Path, tmp_path: Path) -> None:
    ours = {"name": "tinymldelta", "url": f"file://{remotes}/tinymldelta", "revision": "main"}
    application = own_workspace(west, tmp_path, {"projects": [{**ours, "import": True}]})
    everything = {"manifest", "tinymldelta", "zephyr", *WANTED, "tflite-micro"}
    assert projects(west, application) == everything
    assert "TARGET" in west("tmd-patch", "--help", cwd=application).stdout


def test_an_own_manifest_takes_the_commands_alone(
    west: West, remotes: Path, tmp_path: Path
) -> None:
    zephyr = {"name": "zephyr", "url": f"file://{remotes}/zephyr", "revision": "main"}
    ours = {
        "name": "tinymldelta",
        "url": f"file://{remotes}/tinymldelta",
        "revision": "main",
        "west-commands": "codegen/west/west-commands.yml",
    }
    application = own_workspace(west, tmp_path, {"projects": [zephyr, ours]})
    assert projects(west, application) == {"manifest", "tinymldelta", "zephyr"}
    assert "TARGET" in west("tmd-patch", "--help", cwd=application).stdout


def test_west_lists_every_command_with_the_help_of_its_class(west: West, workspace: Path) -> None:
    listed = " ".join(west("--help", cwd=workspace).stdout.split())
    path = ROOT / "codegen" / "west" / "tmd_commands.py"
    spec = importlib.util.spec_from_file_location("tmd_commands", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, command in COMMANDS.items():
        made = getattr(module, command["class"])()
        assert (made.name, made.help) == (name, command["help"])
        assert f"{name}: {command['help']}" in listed


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_without_the_package(
    west: West, workspace: Path, tmp_path: Path, name: str
) -> None:
    """Help and completion are for people who have installed nothing yet."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['tinymldelta'] = None\n")
    without = {"PYTHONPATH": str(tmp_path)}
    shown = west(name, "--help", cwd=workspace, env=without)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith(f"usage: west {name} ")
    # A completion script reads long options; an abbreviation would hide a typing error.
    assert "--build-dir BUILD" in shown.stdout

    arguments = ["-o", "x"] if name == "tmd-factory" else ["x"]
    failed = west(name, *arguments, cwd=workspace, env=without)
    assert failed.returncode == 1
    assert failed.stderr.count("\n") == 1
    assert f"-m pip install {workspace / 'tinymldelta'}" in failed.stderr
