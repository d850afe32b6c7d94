"""The models of the campaign, and the patches between them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tinymldelta.container import format1_writer, format2_writer
from tinymldelta.container.operators import OperatorNeed, encode_operators
from tinymldelta.container.patch import Metadata
from tinymldelta.delta.encode import encode
from tinymldelta.wire.constants import DigestKind

SAMPLES = Path(__file__).resolve().parents[2] / "samples" / "host" / "models"
FORMATS = (1, 2)

# What the patches ask for and the campaign's contract has: in format 2 the same numbers, and the
# name and the operator that setup.c has. The guardrails have tests of their own.
NEEDS = Metadata(req_arena_bytes=4096, tflm_abi=3, opset_hash=1, io_hash=2)
NEEDS_2 = Metadata(
    req_arena_bytes=NEEDS.req_arena_bytes,
    kernels=NEEDS.tflm_abi,
    tensors=NEEDS.io_hash,
    quantisation=NEEDS.opset_hash,
    model_name=b"campaign",
    operators=encode_operators([OperatorNeed(9, 2, 1)]),
)


@dataclass(frozen=True)
class Pair:
    """Files of models, and of the patches between them by format.

    `older` came before the base; `other` has a part of the target in it. A patch "again" is of base
    and target, and says something else of the target.
    """

    name: str
    models: dict[str, Path]
    patches: dict[tuple[str, str, int], Path]

    def files(self, patch_format: int) -> Sequence[str]:
        """In the order of struct pair in campaign.h; `-` stands for none."""
        return [
            *map(self._model, ("base", "target")),
            self._patch("base", "target", patch_format),
            self._patch("target", "base", patch_format),
            self._model("older"),
            self._patch("older", "base", patch_format),
            self._model("other"),
            self._patch("base", "other", patch_format),
            self._patch("other", "base", patch_format),
            self._patch("base", "again", patch_format),
        ]

    def _model(self, what: str) -> str:
        return str(self.models.get(what, "-"))

    def _patch(self, base: str, target: str, patch_format: int) -> str:
        return str(self.patches.get((base, target, patch_format), "-"))


def noise(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


def _patch(folder: Path, name: str, base: bytes, target: bytes, patch_format: int) -> Path:
    if patch_format == 1:
        data = format1_writer.write_patch(
            base, target, digest=DigestKind.SHA256, metadata=NEEDS, merge_gap=16
        )
    else:
        # As long for every patch, so that what one left could pass for another's.
        note = f"what is said in {name}".ljust(60, ".").encode()
        data = format2_writer.write_patch(
            base,
            target,
            metadata=replace(NEEDS_2, note=note),
            lean=False,
            body=encode(base, target, lean=False),
        )
    file = folder / f"{name}.{patch_format}.tmd"
    file.write_bytes(data)
    return file


def write_pair(
    folder: Path,
    name: str,
    base: bytes,
    target: bytes,
    older: bytes | None = None,
    other: bytes | None = None,
) -> Pair:
    """Make the patches of both formats, and write all files to `folder`."""
    given = {"base": base, "target": target, "older": older, "other": other}
    models = {what: data for what, data in given.items() if data is not None}
    ways = [("base", "target"), ("target", "base"), ("older", "base")]
    ways += [("base", "other"), ("other", "base")]
    files = {what: folder / f"{name}.{what}" for what in models}
    for what, file in files.items():
        file.write_bytes(models[what])
    patches = {
        (a, b, f): _patch(folder, f"{name}.{a}-{b}", models[a], models[b], f)
        for a, b in ways
        for f in FORMATS
        if a in models and b in models
    }
    patches["base", "again", 2] = _patch(folder, f"{name}.base-again", base, target, 2)
    return Pair(name, files, patches)


def last_layer(size: int, layer: int, seed: int) -> bytes:
    """A model of noise, for its size: the same for every seed but for the last `layer` bytes."""
    return noise(size - layer, 1) + noise(layer, seed)


def make_pairs(folder: Path) -> dict[str, Pair]:
    """
    Two real updates, of a dense and of a convolutional network; an update of the last layer, after
    one of the same kind, whose models end just before an erase unit of 4 and 8 KB does; and two for
    which second cuts can be made without exception: of 300 bytes, and of 507, which end before an
    erase unit of 128 and 256 bytes, so that metadata begin in the next one or reach into it.
    """
    pairs = {}
    for name in ("digits", "sst"):
        base, target = (
            (SAMPLES / name / f"{what}.tflite").read_bytes() for what in ("base", "target")
        )
        pairs[name] = write_pair(folder, name, base, target)
    older, base, target = (last_layer(8185, 500, seed) for seed in (2, 3, 4))
    pairs["layer"] = write_pair(folder, "layer", base, target, older)
    tiny = noise(300, 5)
    # Its first erase unit is one that an erase could leave, and that a cut erase may read as.
    changed = b"\xff" * 130 + tiny[130:200] + b"\x5a" * 40 + tiny[240:297]
    older = tiny[:290] + noise(10, 7)
    other = changed[:150] + tiny[150:290] + noise(8, 8)
    pairs["tiny"] = write_pair(folder, "tiny", tiny, changed, older, other)
    older, base, target, other = (last_layer(507, 200, seed) for seed in (2, 3, 4, 9))
    pairs["edge"] = write_pair(folder, "edge", base, target, older, other)
    return pairs
