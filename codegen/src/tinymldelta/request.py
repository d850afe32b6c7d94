"""What a Zephyr build asks the generator for: `request.json`, written by tmd_add_model.cmake.

Every value in it is a text, as CMake has them, or a list of texts; an option that is off is empty.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinymldelta.errors import Refusal
from tinymldelta.versions import parse_version
from tinymldelta.wire import constants as wire

# Options of Kconfig that are bits of the contract.
_ACCEPT = {
    "accept_unguarded": wire.ACCEPT_UNGUARDED,
    "accept_no_digest": wire.ACCEPT_NO_DIGEST,
    "other_kernels_warn": wire.ACCEPT_KERNELS_WARNED,
    "other_kernels_take": wire.ACCEPT_KERNELS,
    "free_quantisation": wire.ACCEPT_QUANTISATION,
    "compare_tensor_names": wire.COMPARE_NAMES,
    "anti_rollback": wire.ANTI_ROLLBACK,
}


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One tmd_add_model(). Sizes in bytes; None: not given."""

    name: str
    file: Path
    node: str
    compiled_in: bool
    arena: int | None
    arena_need: int | None
    version: int
    lowest_version: int
    resolver: Path | None
    extra_operators: tuple[str, ...]
    note: str
    labels: Path | None


@dataclass(frozen=True, slots=True)
class Request:
    """What a firmware build asks for. erase_bytes, write_bytes: 0 takes the devicetree's.

    tflm: what CONFIG_TMD_TFLM says, may be empty; tflm_folder: its sources, None if Zephyr links
    none; ram_bytes: None if Zephyr does not know. verify, decrypt: does the firmware check
    signatures, and open encrypted patches; public_keys, decryption_keys: files of public keys;
    mac_keys: as CONFIG_TMD_MAC_KEYS has them; device_class: may be empty.
    """

    models: tuple[ModelRequest, ...]
    package: Path  # the folder that the generator has to come from
    edt: Path
    zephyr_base: Path
    formats: tuple[int, ...]
    decoder: wire.Decoder
    tflm: str
    tflm_folder: Path | None
    cmsis_nn: bool
    accept: int
    meta_kept: int
    warn_percent: int
    ram_bytes: int | None
    erase_bytes: int
    write_bytes: int
    write_buffer: int
    staging: bool
    verify: bool
    public_keys: tuple[Path, ...]
    mac_keys: tuple[str, ...]
    decrypt: bool
    decryption_keys: tuple[Path, ...]
    device_class: str


def _whole(name: str, option: str, text: str) -> int:
    try:
        value = int(text, 0)
    except ValueError:
        value = -1
    if value < 0:
        raise Refusal(f"tmd_add_model({name})", f"{option} {text} is no size", "give whole bytes")
    return value


def _version(name: str, option: str, text: str) -> int:
    try:
        return parse_version(text)
    except ValueError as error:
        raise Refusal(f"tmd_add_model({name})", f"{option}: {error}") from error


def _model_request(m: Mapping[str, str]) -> ModelRequest:
    name = m["name"]
    if name == "contract":
        raise Refusal(
            "tmd_add_model(contract)", "tmd_contract is the firmware's contract", "use another NAME"
        )
    return ModelRequest(
        name=name,
        file=Path(m["file"]),
        node=m["node"],
        compiled_in=m["factory"] != "ON",
        arena=_whole(name, "ARENA", m["arena"]) if m["arena"] else None,
        arena_need=_whole(name, "ARENA_NEED", m["arena_need"]) if m["arena_need"] else None,
        version=_version(name, "VERSION", m["version"] or "0"),
        lowest_version=_version(name, "LOWEST_VERSION", m["lowest_version"] or "0"),
        resolver=Path(m["resolver"]) if m["resolver"] else None,
        extra_operators=tuple(m["extra_ops"].split()),
        note=m["note"],
        labels=Path(m["labels"]) if m["labels"] else None,
    )


def read_request(path: Path) -> Request:
    """The request that CMake wrote."""
    return parse_request(json.loads(path.read_text(encoding="utf-8")))


def parse_request(document: Mapping[str, Any]) -> Request:
    """The same, of its document."""
    decoder = wire.Decoder[document["decoder"]]
    formats = ((wire.FORMAT_1,) if document["format_1"] == "y" else ()) + (
        (wire.FORMAT_2,) if decoder is not wire.Decoder.NONE else ()
    )
    # Zephyr's unit; boards without such a memory say 0, or nothing.
    ram_kib = int(document["sram_size"] or "0")
    return Request(
        models=tuple(_model_request(m) for m in document["models"]),
        package=Path(document["package"]),
        edt=Path(document["edt"]),
        zephyr_base=Path(document["zephyr_base"]),
        formats=formats,
        decoder=decoder,
        tflm=document["tflm"],
        tflm_folder=Path(document["tflm_folder"]) if document["tflm_folder"] else None,
        cmsis_nn=document["cmsis_nn"] == "y",
        accept=sum(bit for option, bit in _ACCEPT.items() if document[option] == "y"),
        meta_kept=int(document["meta_kept"]),
        warn_percent=int(document["warn_percent"]),
        ram_bytes=ram_kib * 1024 or None,
        erase_bytes=int(document["erase_bytes"]),
        write_bytes=int(document["write_bytes"]),
        write_buffer=int(document["write_buffer"]),
        staging=document["staging"] == "y",
        verify=document["verify"] == "y",
        public_keys=tuple(map(Path, document["public_keys"])),
        mac_keys=tuple(document["mac_keys"].split()),
        decrypt=document["decrypt"] == "y",
        decryption_keys=tuple(map(Path, document["decryption_keys"])),
        device_class=document["device_class"],
    )
