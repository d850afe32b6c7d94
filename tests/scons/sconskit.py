"""Projects in a temporary folder that SCons builds with the tool."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
MODELS = ROOT / "samples" / "host" / "models"
DIGITS = MODELS / "digits"
SST = MODELS / "sst"
IN_CI = os.environ.get("CI") == "true"

# `import platformio` stays PyPI's: ours of that name comes last.
sys.path.append(str(ROOT / "codegen" / "scons"))


def has_scons() -> bool:
    return find_spec("SCons") is not None


needs_scons = pytest.mark.skipif(
    not IN_CI and not has_scons(),
    reason="needs SCons: pip install -r requirements/scons.txt",
)
needs_gcc = pytest.mark.skipif(
    not IN_CI and shutil.which("gcc") is None, reason="needs gcc: apt install gcc"
)


@dataclass
class Done:
    status: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err

    def steps(self, word: str) -> int:
        """Lines of what was done that begin with a word."""
        return sum(line.startswith(f"{word} ") for line in self.out.splitlines())


@dataclass
class Project:
    """A folder with a SConstruct. `variables` are set in what SCons runs in."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def copy(self, source: Path, name: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, path)
        return path

    def scons(self, *arguments: str) -> Done:
        done = subprocess.run(
            [sys.executable, "-m", "SCons", "-Q", *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **self.variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def built(self, *arguments: str) -> Done:
        done = self.scons(*arguments)
        assert done.status == 0, done.text
        return done

    def run(self, program: str, *arguments: str | Path) -> str:
        done = subprocess.run(
            [self.folder / program, *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode in (0, 1), done.stderr
        return done.stdout.strip()


def tmd(*arguments: str | Path) -> Done:
    """The command of the installed package."""
    program = "from tinymldelta.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False
    )
    return Done(done.returncode, done.stdout, done.stderr)


def copy_tree(folder: Path) -> Path:
    """What the tool is and uses of this repository, to be changed."""
    for part in ("codegen/src", "codegen/scons", "zephyr_module/include", "zephyr_module/core",
                 "zephyr_module/store", "zephyr_module/smp", "requirements"):  # fmt: skip
        shutil.copytree(
            ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__", "*.so")
        )
    shutil.copyfile(ROOT / "codegen" / "wire.yaml", folder / "codegen" / "wire.yaml")
    return folder
