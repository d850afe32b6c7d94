"""A contract as the C core sees it, and the core's verdicts on a patch by its rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tinymldelta.container.metadata import write_metadata
from tinymldelta.contract import Contract, ContractKey, SealedKey
from tinymldelta.native.binding import ffi, lib
from tinymldelta.native.crypto import Crypto
from tinymldelta.wire.constants import FORMAT_2, WIRE_VERSION, Rule, Status, Verdict


@dataclass(frozen=True, slots=True)
class RuleResult:
    """What came of one guardrail: the verdict, and the two numbers that were compared."""

    rule: Rule
    verdict: Verdict
    need: int
    have: int
    status: Status


class NativeContract:
    """A contract as the C core sees it. Keeps alive the memory that the C struct points to."""

    def __init__(self, contract: Contract) -> None:
        self._keep: list[Any] = []
        models = ffi.new("struct tmd_model_contract[]", len(contract.models))
        for c_model, model in zip(models, contract.models, strict=True):
            name = ffi.new("char[]", model.name.encode())
            self._keep.append(name)
            c_model.name = name
            c_model.id = model.id
            c_model.arena_bytes = model.arena_bytes
            c_model.opset_hash = model.opset_hash
            c_model.io_hash = model.io_hash
            c_model.slot_bytes = model.slot_bytes
            c_model.version = model.version
            c_model.lowest_version = model.lowest_version
            c_model.model_bytes = model.model_bytes
            c_model.tensors = model.tensors
            c_model.quantisation = model.quantisation
            c_model.tensor_names = model.tensor_names
            ffi.memmove(c_model.model_sha256, model.model_sha256, 32)
            said = write_metadata(model.said, FORMAT_2)
            c_model.meta = self._bytes(said)
            c_model.meta_bytes = len(said)
        self._keep.append(models)
        operators = ffi.new("struct tmd_operator[]", max(len(contract.operators), 1))
        for c_operator, op in zip(operators, contract.operators, strict=False):
            c_operator.id = op.id
            c_operator.lowest, c_operator.highest = op.lowest, op.highest
            c_operator.types = op.types
        self._keep.append(operators)
        self.pointer = ffi.new("struct tmd_contract *")
        self.pointer.wire_version = WIRE_VERSION
        self.pointer.accept = contract.accept
        self.pointer.formats = sum(1 << f for f in contract.formats)
        self.pointer.decoder = contract.decoder
        self.pointer.kernels = contract.kernels.identity
        self.pointer.tflm_abi = contract.tflm_abi
        self.pointer.meta_kept = contract.meta_kept
        self.pointer.operators = operators
        self.pointer.operators_n = len(contract.operators)
        self.pointer.erase_bytes = contract.erase_bytes
        self.pointer.write_bytes = contract.write_bytes
        self.pointer.models_n = len(contract.models)
        self.pointer.models = models
        self.pointer.device_class = contract.class_id
        self.pointer.keys = self._keys(contract.keys)
        self.pointer.keys_n = len(contract.keys)
        self.pointer.sealed_keys = self._keys(contract.sealed_keys)
        self.pointer.sealed_keys_n = len(contract.sealed_keys)

    def _keys(self, keys: Sequence[ContractKey | SealedKey]) -> Any:
        c_keys = ffi.new("struct tmd_key[]", max(len(keys), 1))
        for c_key, key in zip(c_keys, keys, strict=False):
            c_key.bytes = self._bytes(key.public) if key.public else ffi.NULL
            c_key.kind = key.kind
            c_key.id = list(key.id)
        self._keep.append(c_keys)
        return c_keys

    def _bytes(self, data: bytes) -> Any:
        """A copy that lives as long as the contract."""
        copy = ffi.new("uint8_t[]", data or bytes(1))
        self._keep.append(copy)
        return copy


def _opened(native: NativeContract, patch: bytes, crypto: Crypto) -> tuple[Status, bytes]:
    """What is in an envelope up to its first fault, by the C core; another patch as it is."""
    sealed = ffi.new("struct tmd_sealed *")
    if not patch or lib.tmd_sealed_is_plain(sealed, native.pointer, patch[0]):
        return Status.OK, patch
    start = ffi.from_buffer(patch)
    data, left = ffi.new("uint8_t **", ffi.cast("uint8_t *", start)), ffi.new("size_t *")
    plain, count = ffi.new("uint8_t **"), ffi.new("size_t *")
    left[0] = len(patch)
    out, err = b"", int(Status.OK)
    while left[0] and err == Status.OK:
        err = lib.tmd_sealed_open(
            sealed, native.pointer, crypto.pointer, ffi.cast("const uint8_t **", data), left,
            ffi.cast("const uint8_t **", plain), count,
        )  # fmt: skip
        if err == Status.OK and count[0]:
            out += bytes(ffi.buffer(plain[0], count[0]))
    return Status(err), out


def check_rules(
    contract: Contract, index: int, patch: bytes, crypto: Crypto | None = None
) -> tuple[Status, list[RuleResult]]:
    """Read a patch's head with the C core and evaluate its format's guardrails for model `index`.

    crypto: what checks its signature; None: what a device without secrets has. The status is that
    of head and signature; with one other than OK there are no rules to show.
    """
    native, crypto = NativeContract(contract), crypto or Crypto()
    opened, patch = _opened(native, patch, crypto)
    state = ffi.new("struct tmd_patch *")
    lib.tmd_patch_init(state)
    used = ffi.new("size_t *")
    err = lib.tmd_patch_head(state, native.pointer, ffi.from_buffer(patch), len(patch), used)
    if err != Status.OK:
        return Status(err), []
    if not lib.tmd_patch_head_complete(state):
        return Status.TRUNCATED if opened is Status.OK else opened, []
    err = lib.tmd_patch_verify(state, native.pointer, crypto.pointer)
    if err != Status.OK:
        return Status(err), []
    if opened is not Status.OK:
        return opened, []
    info = ffi.addressof(state, "info")
    results = []
    for rule in Rule:
        if not lib.tmd_guard_applies(info, int(rule)):
            continue
        r = lib.tmd_guard_rule(native.pointer, index, info, int(rule))
        results.append(RuleResult(rule, Verdict(r.verdict), r.need, r.have, Status(r.status)))
    return Status.OK, results


def sha256(data: bytes) -> bytes:
    """SHA-256 by the C core."""
    state = ffi.new("struct tmd_sha256 *")
    out = ffi.new("uint8_t[32]")
    lib.tmd_sha256_init(state)
    lib.tmd_sha256_update(state, ffi.from_buffer(data), len(data))
    lib.tmd_sha256_final(state, out)
    return bytes(out)
