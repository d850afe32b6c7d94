"""The tensor arenas of many models: measured on an emulated Cortex-M, and predicted.

    python benchmarks/arena.py table [--out benchmarks/arena.md]
    python benchmarks/arena.py measure --tflm REV --clones DIR [--files DIR] [--only NAME...]
    python benchmarks/arena.py skeletons --clones DIR [--files DIR] [--out FILE]

table: measured against predicted, of tests/arena/measured.tsv. Exit status 1 if a prediction falls
short. measure: adds rows to that file (tests/arena/README.md says how it was made).
skeletons: the models without their weights, so that the planner is checked where models are not.

Where a model of tests/arena/models.tsv is found: OWNER/NAME@COMMIT:PATH in the git repository
CLONES/OWNER/NAME, files/PATH in FILES, other paths in this repository.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import lzma
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
import tflite

from measure import tables
from tinymldelta.arena import predict_arena
from tinymldelta.errors import Refusal
from tinymldelta.measuring import (
    BOARDS,
    EmulatedModel,
    build_firmware,
    default_folder,
    find_minimum,
    find_workspace,
)
from tinymldelta.model import read_model
from tinymldelta.tflm import KernelBuild

REPOSITORY = Path(__file__).resolve().parent.parent
DATA = REPOSITORY / "tests" / "arena"
MEASURED = DATA / "measured.tsv"
MODELS = DATA / "models.tsv"
SKELETONS = DATA / "skeletons.tar.xz"

# What the planner reads of constants: shapes, axes, paddings and the like, and the offline plan.
SMALL_INTEGERS = {tflite.TensorType.INT32, tflite.TensorType.INT64}
SMALL_BYTES = 64
OFFLINE_PLAN = b"OfflineMemoryAllocation"
NAME_SLOT = 10  # of a Tensor's name, in its vtable: the fourth field
WORDS = {"lc": 0, "lp": 2, "pb": 2}  # for LZMA: the archive is of words of four bytes

CLOSE = 64  # bytes that nine of ten predictions may be over


@dataclass(frozen=True)
class Row:
    """A model measured with one build of TFLM. Sizes in bytes; operators as in the schema."""

    name: str
    source: str
    sha256: str
    tflm: str
    kernels: str
    board: str
    operators: str
    minimum: int
    arena_used_bytes: int

    @property
    def build(self) -> KernelBuild:
        return KernelBuild(self.tflm, self.kernels)

    @property
    def set_aside(self) -> bool:
        """Whether nobody looked at it while the planner was written."""
        return int(self.sha256, 16) % 3 == 0


def read_rows(path: Path = MEASURED) -> list[Row]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as lines:
        return [
            Row(
                **{
                    **row,
                    "minimum": int(row["minimum"]),
                    "arena_used_bytes": int(row["arena_used_bytes"]),
                }
            )
            for row in csv.DictReader(lines, delimiter="\t")
        ]


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, delimiter="\t", lineterminator="\n")
        writer.writerow(field.name for field in fields(Row))
        writer.writerows(astuple(row) for row in rows)


def read_sources() -> dict[str, str]:
    """Name of each model -> where it is from."""
    with MODELS.open(encoding="utf-8", newline="") as lines:
        return {row["name"]: row["source"] for row in csv.DictReader(lines, delimiter="\t")}


def load(source: str, clones: Path | None, files: Path | None) -> bytes | None:
    """A model's bytes, or None if it is not here."""
    repository, at, place = source.partition("@")
    if at:
        clone = (clones or Path()) / repository
        if clones is None or not clone.is_dir():
            return None
        command = ["git", "-C", str(clone), "show", place]
        return subprocess.run(command, check=True, capture_output=True).stdout
    if source.startswith("files/"):
        path = (files or Path()) / source.removeprefix("files/")
        return path.read_bytes() if files and path.exists() else None
    path = REPOSITORY / source
    return path.read_bytes() if path.exists() else None


def operators_of(data: bytes) -> str:
    """Read without tinymldelta.model, which refuses some of the models that TFLM runs."""
    names = {code: name for name, code in vars(tflite.BuiltinOperator).items() if name[0] != "_"}
    model = tflite.Model.GetRootAsModel(data, 0)
    found = set()
    for i in range(model.OperatorCodesLength()):
        code = model.OperatorCodes(i)
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        custom = code.CustomCode()
        found.add(custom.decode() if custom else names[number])
    return " ".join(sorted(found))


def measure(options: argparse.Namespace) -> int:
    board, base = BOARDS[options.processor], find_workspace(None)
    folder = options.build_dir or default_folder(board, base)
    firmware = build_firmware(board, base, folder, options.cmake_arg)
    for name, source in read_sources().items():
        rows = read_rows(options.out)
        build = KernelBuild(options.tflm, options.kernels)
        if options.only and name not in options.only:
            continue
        if any(row.name == name and row.build == build for row in rows):
            continue
        data = load(source, options.clones, options.files)
        if data is None:
            print(f"{name}: not here: {source}")
            continue
        try:
            found = find_minimum(EmulatedModel(board, firmware, data), name)
        except Refusal as refusal:
            print(refusal, flush=True)
            continue
        rows.append(
            Row(
                name,
                source,
                hashlib.sha256(data).hexdigest(),
                build.revision,
                build.kernels,
                board.name,
                operators_of(data),
                found.bytes,
                found.used,
            )
        )
        write_rows(options.out, rows)
        print(f"{name}: {found.bytes:,} ({found.trials} trials)", flush=True)
    return 0


def _overwrite(vector: np.ndarray | int, value: float) -> None:
    """Change a flatbuffer's vector in place. An empty vector is read as the number 0."""
    if isinstance(vector, np.ndarray):
        vector[:] = value


def skeleton(data: bytes) -> bytes:
    """The model with what no arena depends on overwritten, in as many bytes.

    Weights become 0, letters of tensor names "x", and all channels get their tensor's first scale.
    Small integers and offline plans are left. TFLM runs it as it runs the model.
    """
    out = bytearray(data)
    model = tflite.Model.GetRootAsModel(out, 0)
    kept = {
        model.Metadata(i).Buffer()
        for i in range(model.MetadataLength())
        if model.Metadata(i).Name() == OFFLINE_PLAN
    }
    for tensor in _tensors(model):
        size = model.Buffers(tensor.Buffer()).DataLength()
        if tensor.Type() in SMALL_INTEGERS and size <= SMALL_BYTES:
            kept.add(tensor.Buffer())
        _overwrite_name(tensor, out)
        quantisation = tensor.Quantization()
        if quantisation is not None:
            _overwrite(quantisation.ScaleAsNumpy(), quantisation.Scale(0))
            _overwrite(quantisation.MinAsNumpy(), 0)
            _overwrite(quantisation.MaxAsNumpy(), 0)
    for i in range(model.BuffersLength()):
        if i not in kept:
            _overwrite(model.Buffers(i).DataAsNumpy(), 0)
    return bytes(out)


def _overwrite_name(tensor: tflite.Tensor, model: bytearray) -> None:
    name = tensor.Name()
    if name:
        slot = tensor._tab.Offset(NAME_SLOT) + tensor._tab.Pos
        start = tensor._tab.Indirect(slot) + 4  # behind the length
        model[start : start + len(name)] = b"x" * len(name)


def _tensors(model: tflite.Model) -> Iterator[tflite.Tensor]:
    for i in range(model.SubgraphsLength()):
        graph = model.Subgraphs(i)
        for j in range(graph.TensorsLength()):
            yield graph.Tensors(j)


def write_archive(path: Path, contents: dict[str, bytes]) -> None:
    """The same contents make the same bytes."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, **WORDS}]
    with (
        lzma.open(path, "w", filters=filters) as stream,
        tarfile.open(fileobj=stream, mode="w|", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name, data in sorted(contents.items()):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))


def read_archive(path: Path = SKELETONS) -> dict[str, bytes]:
    """Name of a model -> its skeleton."""
    with tarfile.open(path) as archive:
        members = [(m.name, archive.extractfile(m)) for m in archive.getmembers()]
        return {name.removesuffix(".tflite"): file.read() for name, file in members if file}


def make_skeletons(options: argparse.Namespace) -> int:
    contents = {}
    for name, source in {row.name: row.source for row in read_rows(options.rows)}.items():
        data = load(source, options.clones, options.files)
        if data is None:
            print(f"{name}: not here: {source}", file=sys.stderr)
            return 1
        contents[f"{name}.tflite"] = skeleton(data)
    write_archive(options.out, contents)
    print(f"wrote {options.out}: {len(contents)} models, {options.out.stat().st_size:,} bytes")
    return 0


@dataclass(frozen=True)
class Compared:
    """A measured minimum and its prediction; None if the planner refuses the model."""

    row: Row
    predicted: int | None

    @property
    def more(self) -> int | None:
        return None if self.predicted is None else self.predicted - self.row.minimum


def compare(rows: Sequence[Row], models: dict[str, bytes]) -> list[Compared]:
    def predict(row: Row) -> int | None:
        try:
            return predict_arena(read_model(models[row.name], row.name), row.build).bytes
        except Refusal:
            return None

    return [Compared(row, predict(row)) for row in rows]


def summary(what: str, compared: Sequence[Compared]) -> str:
    """One line: how many of these are short, exact, close; the farthest."""
    known = [(c.more, c.row.minimum) for c in compared if c.more is not None]
    if not known:
        return f"{what}: {len(compared)}, none predicted"
    short = sum(more < 0 for more, _ in known)
    exact = sum(more == 0 for more, _ in known)
    close = sum(0 <= more <= CLOSE for more, _ in known)
    farthest = max(more / minimum for more, minimum in known)
    return (
        f"{what}: {len(compared)}, predicted {len(known)}; short {short}, exact {exact}, "
        f"at most {CLOSE} bytes over {close} ({close / len(known):.0%}), "
        f"at most {farthest:.2%} over"
    )


def table(options: argparse.Namespace) -> int:
    rows, models = read_rows(), read_archive()
    shown, lines, wrong = [], [], False
    for build in dict.fromkeys(row.build for row in rows):
        compared = compare([row for row in rows if row.build == build], models)
        title = f"TFLM {build.revision}, {build.kernels} kernels"
        lines.append(summary(title, compared))
        lines.append(
            summary(
                "of these, set aside until the planner was done",
                [c for c in compared if c.row.set_aside],
            )
        )
        shown.append(as_table(title, compared))
        wrong = wrong or any(c.more is not None and c.more < 0 for c in compared)
    tables.print_all(shown, lines)
    if options.out:
        options.out.write_text(markdown(shown, lines), encoding="utf-8")
    return int(wrong)


def as_table(title: str, compared: Sequence[Compared]) -> tables.Table:
    result = tables.Table(
        title, ["model", "measured", "predicted", "difference", "of the arena", "set aside"]
    )
    for c in compared:
        share = None if c.more is None else f"{c.more / c.row.minimum:.2%}"
        aside = "yes" if c.row.set_aside else ""
        result.add(c.row.name, c.row.minimum, c.predicted, c.more, share, aside)
    return result


def markdown(shown: Sequence[tables.Table], lines: Sequence[str]) -> str:
    return "\n".join(
        [
            "# Tensor arena",
            "",
            "Written by `python benchmarks/arena.py table --out benchmarks/arena.md`: the smallest",
            "arena that each model runs with on an emulated Cortex-M, in bytes, against what",
            "`tmd arena` predicts. A dash: the planner refuses to predict. `tests/arena/README.md`",
            "says how the minima were measured, `tests/arena/measured.tsv` where models are from.",
            "",
            *(f"- {line}" for line in lines),
            "",
            *(tables.markdown(t).rstrip("\n") + "\n" for t in shown),
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    shown = commands.add_parser("table")
    shown.add_argument("--out", type=Path)
    shown.set_defaults(run=table)
    measured = commands.add_parser("measure")
    measured.add_argument("--tflm", required=True, metavar="REV")
    measured.add_argument("--kernels", default="reference")
    measured.add_argument("--processor", choices=BOARDS, default="cortex-m3")
    measured.add_argument("--only", nargs="+", metavar="NAME")
    measured.add_argument("--build-dir", type=Path)
    measured.add_argument("--cmake-arg", action="append", default=[])
    measured.add_argument("--out", type=Path, default=MEASURED)
    measured.set_defaults(run=measure)
    skeletons = commands.add_parser("skeletons")
    skeletons.add_argument("--rows", type=Path, default=MEASURED)
    skeletons.add_argument("--out", type=Path, default=SKELETONS)
    skeletons.set_defaults(run=make_skeletons)
    for command in (measured, skeletons):
        command.add_argument("--clones", type=Path)
        command.add_argument("--files", type=Path)
    options = parser.parse_args(arguments)
    return int(options.run(options))


if __name__ == "__main__":
    sys.exit(main())
