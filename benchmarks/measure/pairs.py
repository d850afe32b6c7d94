"""Pairs of models in folders: what the benches take, and how they say which they took."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SAMPLES = REPOSITORY / "samples" / "host" / "models"


@dataclass(frozen=True)
class Pair:
    """The models that a patch leads from and to."""

    name: str
    base: bytes
    target: bytes

    @classmethod
    def read(cls, folder: Path) -> Pair:
        """base.tflite and target.tflite of a folder; its name is the pair's. Raises OSError."""
        files = (folder / f"{name}.tflite" for name in ("base", "target"))
        return cls(folder.name, *(file.read_bytes() for file in files))


def find_pairs(folder: Path) -> list[Path]:
    """The folders in `folder` with base.tflite and target.tflite, by name; none if it is none."""
    return sorted(
        path
        for path in (folder.iterdir() if folder.is_dir() else ())
        if (path / "base.tflite").is_file() and (path / "target.tflite").is_file()
    )


def command_of(bench: str, folder: Path) -> str:
    """`./run bench` as a reader can give it again: without where this machine keeps the folder."""
    folder = folder.resolve()
    if folder == SAMPLES:
        return f"./run bench {bench}"
    inside = folder.is_relative_to(REPOSITORY)
    shown = folder.relative_to(REPOSITORY).as_posix() if inside else folder.name
    return f"./run bench {bench} {shown}"
