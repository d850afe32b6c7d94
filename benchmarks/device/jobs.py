"""What a firmware of the bench is given: a real patch, the contract that takes it, a geometry."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from measure.pairs import Pair
from speed import PIECE
from tinymldelta import patching
from tinymldelta.container.reader import read_patch
from tinymldelta.contract import Contract
from tinymldelta.errors import Refusal
from tinymldelta.generate import ModelSource, model_contracts
from tinymldelta.limits import META_KEPT, Limits
from tinymldelta.said import Said
from tinymldelta.wire import constants as wire

from .build import Decoder
from .cores import FLASH_UNITS_MAX, Core

NAME = "model"
# More than the largest slot here, for the contract that patches are made against.
ANY_SLOT = 1 << 24
HEAD = struct.Struct("<25I32s32s")
STAGING_PLACE, STAGING_PAYLOAD = 256, 252  # store/staging.c with the default write buffer


@dataclass(frozen=True)
class Geometry:
    """Flash: bytes of an erase unit and of a write unit."""

    erase: int
    write: int


# What most parts with pages of their own have: nRF52, ESP32.
USUAL = Geometry(4096, 4)


@dataclass(frozen=True)
class Patch:
    """contract: that it was made against; None: the target has what no contract here can say."""

    data: bytes
    metadata_bytes: int
    contract: Contract | None


def contract_of(pair: Pair, decoder: Decoder) -> Contract:
    """That of a firmware which runs the target, and was built with the base."""
    limits = Limits(
        ANY_SLOT, USUAL.erase, USUAL.write, {}, {}, decoder=wire.Decoder(decoder.number),
        formats=(decoder.format,),
    )  # fmt: skip
    contract = model_contracts([ModelSource(NAME, pair.target, f"{pair.name}: target")], limits)
    return replace(contract, models=(replace(contract.models[0], model_bytes=len(pair.base)),))


def make_patch(pair: Pair, decoder: Decoder) -> Patch:
    """The patch of a pair, with guardrails if there can be any. Raises Refusal."""
    options = patching.PatchOptions(
        format=decoder.format, lean=decoder.number == wire.Decoder.LEAN, said=Said(NAME)
    )
    try:
        contract = contract_of(pair, decoder)
    except Refusal:
        contract = None
        options = replace(options, unguarded=True)
    made = patching.make_patch(
        pair.base, pair.target, where=f"{pair.name}: patch", target_where=f"{pair.name}: target",
        options=options, contract=contract, index=0,
    )  # fmt: skip
    return Patch(made.data, read_patch(made.data, None).sizes["metadata"], contract)


def _up(size: int, unit: int) -> int:
    return -(-size // unit) * unit


@dataclass(frozen=True)
class Job:
    """files: contents and addresses for QEMU's loader; staged: is there room to stage it?"""

    files: tuple[tuple[bytes, int], ...]
    staged: bool


def layout(core: Core, pair: Pair, patch: Patch, geometry: Geometry) -> tuple[dict[str, int], bool]:
    """Where things lie, and whether a staging region fits. Raises ValueError if nothing does."""
    erase = geometry.erase
    target = max(len(pair.base), _up(len(pair.target), geometry.write) + META_KEPT)
    sizes = {
        "slot": _up(_up(target, geometry.write), erase),
        "records": max(2 * erase, _up(1024, erase)),
        "staging": _up(
            (-(-len(patch.data) // STAGING_PAYLOAD) + 1) * STAGING_PLACE, max(erase, STAGING_PLACE)
        ),
    }
    operators = len(patch.contract.operators) if patch.contract else 0
    at = {"job": core.job, "operators": core.job + _up(HEAD.size, 8)}
    at["patch"] = at["operators"] + 8 * operators
    at["flash"] = _up(at["patch"] + len(patch.data), max(erase, 1024))
    room = core.end - at["flash"] - 2 * sizes["slot"] - sizes["records"]
    units = (2 * sizes["slot"] + sizes["records"] + sizes["staging"]) // erase
    if room < 0 or units > FLASH_UNITS_MAX or core.nvmc and erase % 1024:
        raise ValueError(f"{pair.name} does not fit {core.name}")
    return {**at, **{f"{name}_bytes": size for name, size in sizes.items()}}, (
        room >= sizes["staging"]
    )


def make_job(core: Core, pair: Pair, patch: Patch, decoder: Decoder, geometry: Geometry) -> Job:
    """What QEMU loads. Raises ValueError if it does not fit."""
    at, staged = layout(core, pair, patch, geometry)
    contract = patch.contract
    if contract is None:
        accept, abi, kernels, facts = (
            wire.ACCEPT_UNGUARDED | wire.ACCEPT_QUANTISATION,
            0,
            0,
            [0] * 6,
        )
        operators: Sequence[bytes] = ()
    else:
        model = contract.models[0]
        accept, abi, kernels = contract.accept, contract.tflm_abi, contract.kernels.identity
        facts = [
            model.arena_bytes, model.opset_hash, model.io_hash, model.tensors, model.quantisation,
            model.tensor_names,
        ]  # fmt: skip
        operators = [
            struct.pack("<IBBBx", op.id, op.lowest, op.highest, op.types)
            for op in contract.operators
        ]
    head = HEAD.pack(
        at["patch"], len(patch.data), len(pair.base), len(pair.target), at["flash"],
        at["slot_bytes"], at["records_bytes"], at["staging_bytes"] if staged else 0,
        geometry.erase, geometry.write, PIECE, accept, 1 << decoder.format, decoder.number, abi,
        kernels, META_KEPT, *facts, at["operators"], len(operators),
        hashlib.sha256(pair.base).digest(), NAME.encode(),
    )  # fmt: skip
    table = b"".join(operators)
    front = head.ljust(at["operators"] - at["job"], b"\0") + table + patch.data
    return Job(((front, at["job"]), (pair.base, at["flash"])), staged)


def write_files(job: Job, folder: Path) -> list[tuple[Path, int]]:
    """The job as files below `folder`, each with its address."""
    out = []
    for number, (data, address) in enumerate(job.files):
        file = folder / f"load{number}.bin"
        file.write_bytes(data)
        out.append((file, address))
    return out
