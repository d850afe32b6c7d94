"""What one firmware accepts for one model: the part of its contract that a patch is judged by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tinymldelta.keys import Opener, Verifier
from tinymldelta.wire.constants import META_MAX, Decoder, SignatureKind


@dataclass(frozen=True, slots=True)
class OperatorRange:
    """What the firmware has of an operator: versions lowest to highest, bits of element types."""

    lowest: int
    highest: int
    types: int


@dataclass(frozen=True, slots=True)
class Accepts:
    """The right-hand side of every guardrail, and which formats and patches are taken at all.

    formats: numbers of the patch formats that the firmware reads, e.g. {FORMAT_1}
    decoder: how much of format 2 the firmware decodes
    flags: ACCEPT_* and COMPARE_* bits, the policies
    arena_bytes: size of the firmware's tensor arena in bytes
    tflm_abi: kernel build * 256 + schema version, 0 to 0xFFFF, for format 1
    opset_hash, io_hash: of the model that the firmware was built with, for format 1
    slot_bytes: how many bytes a slot holds
    lowest_version: lowest version of a model that is taken
    self_test: whether the firmware runs test vectors; without, a patch that has some is refused
    name: of the model
    kernels: identity of the kernel build
    operators: what is linked, by id (`container.operators`)
    tensors, quantisation, tensor_names: hashes of in and out tensors
    write_bytes: the slots' write unit; meta_kept: bytes of metadata that a slot keeps
    keys: who may sign, by kind and id; with some, unsigned patches are refused, without, signed
        ones; a secret that is not there raises LookupError in `verify`
    sealed_keys: to whom patches may be encrypted; of one that is not there, `agree` raises the same
    device_class: CRC-32 of its name, 0 if the firmware has none
    floor: lowest version by the newest record, which a signed patch may have leave to go below
    """

    formats: frozenset[int]
    decoder: Decoder
    flags: int
    arena_bytes: int
    tflm_abi: int
    opset_hash: int
    io_hash: int
    slot_bytes: int
    lowest_version: int = 0
    self_test: bool = False
    name: str = ""
    kernels: int = 0
    operators: Mapping[int, OperatorRange] = field(default_factory=dict)
    tensors: int = 0
    quantisation: int = 0
    tensor_names: int = 0
    write_bytes: int = 1
    meta_kept: int = META_MAX
    keys: Mapping[tuple[SignatureKind, bytes], Verifier] = field(default_factory=dict)
    sealed_keys: tuple[Opener, ...] = ()
    device_class: int = 0
    floor: int = 0

    def has(self, flag: int) -> bool:
        """Whether the policy bit `flag` is set."""
        return self.flags & flag != 0
