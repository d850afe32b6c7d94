"""Which TensorFlow Lite Micro a folder of sources is."""

from __future__ import annotations

import os
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from tinymldelta.errors import Refusal
from tinymldelta.tflm import REVISIONS
from tinymldelta.tflm.sources import detect_revision, digest_of, source_files

MICRO = "tensorflow/lite/micro"


@pytest.fixture(params=REVISIONS)
def checkout(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """A revision, and its sources."""
    if "TFLM_DIR" not in os.environ:
        pytest.skip("no sources: set TFLM_DIR to a clone of TFLM with its history")
    archive = ["archive", request.param, MICRO, "tensorflow/lite/kernels/internal"]
    done = subprocess.run(["git", "-C", os.environ["TFLM_DIR"], *archive], capture_output=True)
    if done.returncode:
        pytest.skip(f"the clone in TFLM_DIR does not have {request.param}")
    with tarfile.open(fileobj=BytesIO(done.stdout)) as tar:
        tar.extractall(tmp_path, filter="data")
    return request.param, tmp_path


def test_each_revision_is_recognised(checkout) -> None:
    revision, folder = checkout
    assert detect_revision(folder) == revision
    # What a platform replaces, tests, and how lines end do not count; a kernel does.
    (folder / MICRO / "debug_log.cc").write_text("of the platform\n")
    (folder / MICRO / "kernels" / "more_test.cc").write_text("a test\n")
    kernel = folder / MICRO / "kernels" / "fully_connected.cc"
    kernel.write_bytes(kernel.read_bytes().replace(b"\n", b"\r\n"))
    assert detect_revision(folder) == revision
    kernel.write_bytes(kernel.read_bytes() + b"// another line\n")
    with pytest.raises(Refusal, match="CONFIG_TMD_TFLM"):
        detect_revision(folder)


def tree(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / MICRO / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_names_contents_and_bounds_count(tmp_path) -> None:
    trees = (
        {"a.cc": "one", "b.h": "two"},
        {"a.cc": "one", "b.h": "other"},
        {"a.cc": "one", "b.cc": "two"},
        {"a.cc": "one", "kernels/b.h": "two"},
        {"a.cc": "on", "b.h": "etwo"},
        {"a.cc": "one"},
        {},
    )
    digests = {digest_of(tree(tmp_path / str(n), files)) for n, files in enumerate(trees)}
    assert len(digests) == len(trees)


def test_what_does_not_count(tmp_path) -> None:
    files = {"a.cc": "one", "kernels/b.h": "two"}
    more = {"a_test.cc": "", "BUILD": "", "debug_log.cc": "", "examples/c.cc": "", "tools/d.h": ""}
    few, many = tree(tmp_path / "few", files), tree(tmp_path / "many", files | more)
    assert digest_of(few) == digest_of(many)
    assert [path.name for path in source_files(many)] == ["a.cc", "b.h"]


def test_a_folder_that_is_none(tmp_path) -> None:
    with pytest.raises(Refusal, match="is no TensorFlow Lite Micro") as refusal:
        detect_revision(tmp_path / "none")
    assert all(revision in refusal.value.fix for revision in REVISIONS)
