"""What one firmware accepts for one model: the part of its contract that a patch is judged by."""

from __future__ import annotations

from dataclasses import dataclass

from tinymldelta.wire.constants import Decoder


@dataclass(frozen=True, slots=True)
class Accepts:
    """The right-hand side of every guardrail, and which formats and patches are taken at all.

    formats: numbers of the patch formats that the firmware reads, e.g. {FORMAT_1}
    decoder: how much of format 2 the firmware decodes
    flags: ACCEPT_* bits; each bit weakens a check
    arena_bytes: size of the firmware's tensor arena in bytes
    tflm_abi: kernel build * 256 + schema version, 0 to 0xFFFF
    opset_hash: hash of the operators that the firmware was built for, 0 to 0xFFFFFFFF
    io_hash: hash of the in and out tensors that the application was built for, 0 to 0xFFFFFFFF
    slot_bytes: how many bytes a slot holds for a model
    lowest_version: lowest version of a model that is taken
    self_test: whether the firmware runs test vectors; without, a patch that has some is refused
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

    def has(self, flag: int) -> bool:
        """Whether the ACCEPT_* bit `flag` is set."""
        return self.flags & flag != 0
