"""What the differential tests share: the program that puts cases through the C core."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def replay(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The replay program, built with the sanitizers."""
    if shutil.which("cmake") is None:
        pytest.skip("no CMake: apt install cmake")
    if shutil.which(os.environ.get("CC", "cc")) is None:
        pytest.skip("no C compiler: apt install gcc, or name one in CC")
    folder = tmp_path_factory.mktemp("replay")
    for command in (
        ["cmake", "-S", root, "-B", folder, "-DTMD_SANITIZE=ON", "-DCMAKE_BUILD_TYPE=Release"],
        ["cmake", "--build", folder, "--target", "replay"],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    (program,) = folder.rglob("replay/replay")
    return program
