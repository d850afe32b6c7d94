"""What a firmware sets aside and takes, as whoever builds it states it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tinymldelta.contract import ContractKey, SealedKey
from tinymldelta.tflm import DEFAULT_KERNELS, KernelBuild
from tinymldelta.wire import constants as wire

# Bytes of metadata that stay with a model: config.h's default, and its limits.
META_KEPT = 192
META_KEPT_MIN, META_KEPT_MAX = 64, 255


@dataclass(frozen=True, slots=True)
class OptionNames:
    """What whoever states the limits calls them, for messages: here, `tmd codegen`'s options."""

    slot: str = "--slot"
    arena: str = "--arena"
    arena_need: str = "--arena-need"
    version: str = "--model-version"
    lowest_version: str = "--lowest-version"
    erase: str = "--erase"
    write: str = "--write"
    extra_operators: str = "--extra-op"
    labels: str = "--labels"
    meta_kept: str = "--meta-kept"
    keys: str = "--public-key or --mac-key"
    sealed_keys: str = "--decryption-key"
    device_class: str = "--device-class"
    format_1: str = "--format-1"
    decoder: str = "--decoder"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a firmware sets aside, in bytes, and takes. Per model by name; those left out have an
    arena as they need it, slots of slot_bytes, versions of 0, and nothing is said of them.
    extra_operators: names of the schema, of operators that no model needs yet.
    """

    slot_bytes: int
    erase_bytes: int
    write_bytes: int
    arena_bytes: Mapping[str, int]
    arena_need: Mapping[str, int]
    kernels: KernelBuild = DEFAULT_KERNELS
    extra_operators: tuple[str, ...] = ()
    meta_kept: int = META_KEPT
    accept: int = 0
    formats: tuple[int, ...] = (wire.FORMAT_1, wire.FORMAT_2)
    decoder: wire.Decoder = wire.Decoder.DEFAULT
    version: Mapping[str, int] = field(default_factory=dict)
    lowest_version: Mapping[str, int] = field(default_factory=dict)
    slots: Mapping[str, int] = field(default_factory=dict)
    note: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    keys: tuple[ContractKey, ...] = ()
    sealed_keys: tuple[SealedKey, ...] = ()
    device_class: str = ""
    names: OptionNames = OptionNames()

    def slot_of(self, name: str) -> int:
        """Bytes of each of a model's slots."""
        return self.slots.get(name, self.slot_bytes)
