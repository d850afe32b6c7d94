"""Code generation inside a Zephyr build: `python -m tinymldelta.firmware REQUEST.json`.

CMake's tmd_add_model() writes the request: the models of the application, and what Kconfig says.
The flash comes from the devicetree of the same build. Everything is written next to the request,
and only where it changed; a file of dependencies tells the build what it was made from. Works
without the native part, with the Python that builds Zephyr.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tinymldelta.contract import Contract, Limits, OptionNames, build_contract
from tinymldelta.devicetree import ModelNode, Region, read_model_node
from tinymldelta.errors import Refusal
from tinymldelta.generate import ModelSource, read_facts, render_files
from tinymldelta.output import environment, write_atomically, write_if_changed
from tinymldelta.resolver import check_resolver
from tinymldelta.versions import parse_version
from tinymldelta.wire import constants as wire

MODELS_VERSION = 1  # of models.json

_NAMES = OptionNames(
    slot="the partitions of the slots",
    arena="ARENA",
    arena_need="ARENA_NEED",
    version="VERSION",
    lowest_version="LOWEST_VERSION",
    erase="CONFIG_TMD_ERASE_BYTES",
    write="CONFIG_TMD_WRITE_BYTES",
)


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


@dataclass(frozen=True, slots=True)
class Request:
    """What a firmware build asks for. erase_bytes, write_bytes: 0 takes the devicetree's."""

    models: tuple[ModelRequest, ...]
    package: Path  # the folder that this very module has to come from
    edt: Path
    zephyr_base: Path
    formats: tuple[int, ...]
    decoder: wire.Decoder
    kernel_build: int
    accept: int
    erase_bytes: int
    write_bytes: int
    write_buffer: int
    staging: bool


@dataclass(frozen=True, slots=True)
class PartitionView:
    address: str
    bytes: int
    label: str


@dataclass(frozen=True, slots=True)
class ModelView:
    name: str
    node: str
    compiled_in: bool
    partitions: tuple[PartitionView, ...]


# ---- the request ----


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
    )


def read_request(path: Path) -> Request:
    """The request that CMake wrote. Every value in it is a text, as CMake has them."""
    return parse_request(json.loads(path.read_text(encoding="utf-8")))


def parse_request(document: Mapping[str, Any]) -> Request:
    """The same, of its document."""
    accept = (wire.ACCEPT_UNGUARDED if document["accept_unguarded"] == "y" else 0) | (
        wire.ACCEPT_NO_DIGEST if document["accept_no_digest"] == "y" else 0
    )
    decoder = wire.Decoder[document["decoder"]]
    formats = ((wire.FORMAT_1,) if document["format_1"] == "y" else ()) + (
        (wire.FORMAT_2,) if decoder is not wire.Decoder.NONE else ()
    )
    return Request(
        models=tuple(_model_request(m) for m in document["models"]),
        package=Path(document["package"]),
        edt=Path(document["edt"]),
        zephyr_base=Path(document["zephyr_base"]),
        formats=formats,
        decoder=decoder,
        kernel_build=int(document["kernel_build"]),
        accept=accept,
        erase_bytes=int(document["erase_bytes"]),
        write_bytes=int(document["write_bytes"]),
        write_buffer=int(document["write_buffer"]),
        staging=document["staging"] == "y",
    )


# ---- from devicetree to limits ----


def _unit(regions: Sequence[Region], said: int, attribute: str, option: str, what: str) -> int:
    """The largest unit of the regions, or the one that Kconfig says."""
    units = [getattr(region, attribute) for region in regions]
    if said:
        return said
    for region, unit in zip(regions, units, strict=True):
        if unit is None:
            raise Refusal(
                f"devicetree node {region.flash}",
                f"does not say its {what}",
                f"set {option} to what the flash has",
            )
    return int(max(units))


def _check_places(write_buffer: int, staging: Region | None) -> None:
    """A staging region is a row of places as large as the write buffer; none lies in two erase
    units. On the device, a store with another one does not mount.
    """
    if staging is None:
        return
    unit = staging.erase_bytes or staging.bytes
    if unit % write_buffer or staging.bytes % write_buffer:
        raise Refusal(
            f"CONFIG_TMD_WRITE_BUFFER={write_buffer}",
            f"does not divide the erase unit of {unit} bytes of the staging region {staging.label}",
            "use 128 or 256",
        )


def limits_of(request: Request, nodes: Sequence[ModelNode]) -> Limits:
    """What CMake, Kconfig and the devicetree allow. Refuses what no device would mount."""
    slots = [region for node in nodes for region in node.slots]
    write = _unit(
        slots, request.write_bytes, "write_bytes", "CONFIG_TMD_WRITE_BYTES", "write-block-size"
    )
    # Records and staging may lie in other flash: their units only have to divide the buffer.
    units = {write}
    if not request.write_bytes:
        units |= {r.write_bytes or 1 for node in nodes for r in node.regions}
    for unit in sorted(units):
        if request.write_buffer % unit:
            raise Refusal(
                f"CONFIG_TMD_WRITE_BUFFER={request.write_buffer}",
                f"is no multiple of the write unit of {unit} bytes",
                "use 256",
            )
    if request.staging:
        for node in nodes:
            _check_places(request.write_buffer, node.staging)
    erase = _unit(
        slots, request.erase_bytes, "erase_bytes", "CONFIG_TMD_ERASE_BYTES", "erase-block-size"
    )
    # A firmware has one contract, and a store whose slots have other units does not mount.
    for region in slots:
        for what, own, one, said in (
            ("write", region.write_bytes, write, request.write_bytes),
            ("erase", region.erase_bytes, erase, request.erase_bytes),
        ):
            if not said and own != one:
                raise Refusal(
                    f"the slot {region.label}",
                    f"its flash has {what} units of {own} bytes, that of another slot {one}",
                    "put the slots of all models into flash of one kind",
                )
    models = request.models
    return Limits(
        slot_bytes=slots[0].bytes,
        slots={m.name: n.slots[0].bytes for m, n in zip(models, nodes, strict=True)},
        erase_bytes=erase,
        write_bytes=write,
        arena_bytes={m.name: m.arena for m in models if m.arena is not None},
        arena_need={m.name: m.arena_need for m in models if m.arena_need is not None},
        kernel_build=request.kernel_build,
        accept=request.accept,
        formats=request.formats,
        decoder=request.decoder,
        version={m.name: m.version for m in models},
        lowest_version={m.name: m.lowest_version for m in models},
        names=_NAMES,
    )


def _check_package(package: Path) -> None:
    """An editable installation goes before PYTHONPATH, and may be of another release."""
    own = Path(__file__).resolve().parents[1]
    if own != package.resolve():
        raise Refusal(
            str(own),
            f"this installed tinymldelta is imported instead of the module's in {package}",
            "uninstall it from the Python that builds Zephyr, or install that one",
        )


def _check_apart(models: Sequence[ModelRequest], nodes: Sequence[ModelNode]) -> None:
    """Models with a partition in common would write over each other. Partitions that overlap are
    seen with each node by itself.
    """
    for i, node in enumerate(nodes):
        for other in nodes[:i]:
            if node.path == other.path:
                raise Refusal(
                    f"tmd_add_model({models[i].name})",
                    f"the devicetree node {node.label} belongs to another model",
                    "add a node with partitions of its own and name it as NODE",
                )
            paths = {region.path for region in other.regions}
            for region in node.regions:
                if region.path in paths:
                    raise Refusal(
                        f"tmd_add_model({models[i].name})",
                        f"the devicetree nodes {other.label} and {node.label} both have the "
                        f"partition {region.label}",
                        "give each model partitions of its own",
                    )


# ---- what is written ----


def _partition_view(region: Region | None) -> PartitionView | None:
    if region is None:
        return None
    address = "NULL" if region.address is None else f"(const void *)0x{region.address:08x}u"
    return PartitionView(address, region.bytes, region.label)


def _model_view(request: ModelRequest, node: ModelNode, staging: bool) -> ModelView:
    regions = [*node.slots, node.records, node.staging if staging else None]
    return ModelView(
        name=request.name,
        node=node.label,
        compiled_in=request.compiled_in,
        partitions=tuple(v for v in map(_partition_view, regions) if v is not None),
    )


def _region_json(region: Region | None) -> dict[str, Any] | None:
    if region is None:
        return None
    return {
        "label": region.label,
        "address": region.address,
        "offset": region.offset,
        "bytes": region.bytes,
    }


def models_json(
    models: Sequence[ModelRequest], nodes: Sequence[ModelNode], staging: bool = True
) -> str:
    """What tools need to know of a build, beside the contract: bases, and where slots are.

    staging: does the firmware use its staging regions?
    """
    document = {
        "version": MODELS_VERSION,
        "models": [
            {
                "name": m.name,
                "base": f"{m.name}.tflite",
                "compiled_in": m.compiled_in,
                "node": n.label,
                "slots": [_region_json(slot) for slot in n.slots],
                "records": _region_json(n.records),
                "staging": _region_json(n.staging if staging else None),
            }
            for m, n in zip(models, nodes, strict=True)
        ],
    }
    return json.dumps(document, indent=2) + "\n"


def _in_make(path: Path) -> str:
    """A path as make's syntax has it."""
    return path.as_posix().replace("$", "$$").replace("#", "\\#").replace(" ", "\\ ")


def _depfile(stamp: Path, sources: Sequence[Path]) -> str:
    """In make's syntax: the stamp, and what it was made from."""
    package = Path(__file__).resolve().parent
    files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    resolved = {Path(file).resolve() for file in files if file}
    loaded = sorted(file for file in resolved if file.is_relative_to(package))
    templates = sorted((package / "templates").glob("tmd_*.j2"))
    paths = [_in_make(p) for p in (*sources, *loaded, *templates)]
    return f"{_in_make(stamp)}: " + " \\\n  ".join(paths) + "\n"


def _read(path: Path, where: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Refusal(
            where, f"{path} cannot be read: {error.strerror}", "correct its path"
        ) from error


def generate_firmware(request: Request, out: Path) -> Contract:
    """Write all that a firmware is built with to `out`, where it changed. Refuses before that."""
    _check_package(request.package)
    models = request.models
    sources = [
        ModelSource(m.name, _read(m.file, f"tmd_add_model({m.name})"), str(m.file)) for m in models
    ]
    nodes = [read_model_node(request.edt, request.zephyr_base, m.node) for m in models]
    _check_apart(models, nodes)
    limits = limits_of(request, nodes)
    contract = build_contract(
        [(s.name, read_facts(s.data, s.where, limits.arena_need.get(s.name))) for s in sources],
        limits,
    )
    for m, described in zip(models, contract.models, strict=True):
        if m.resolver is not None:
            text = _read(m.resolver, f"tmd_add_model({m.name})").decode("utf-8", "replace")
            check_resolver(text, str(m.resolver), described)
    arrays = [s for s, m in zip(sources, models, strict=True) if m.compiled_in]
    files: dict[str, str | bytes] = dict(render_files(contract, arrays))
    views = [_model_view(m, n, request.staging) for m, n in zip(models, nodes, strict=True)]
    for name in ("tmd_models.h", "tmd_models.c"):
        files[name] = (
            environment().get_template(f"{name}.j2").render(models=[asdict(view) for view in views])
        )
    files["models.json"] = models_json(models, nodes, request.staging)
    for source in sources:
        files[f"{source.name}.tflite"] = source.data
    for name, content in files.items():
        write_if_changed(out / name, content)
    return contract


def _budget(contract: Contract) -> str:
    return "\n".join(
        f"TinyMLDelta: {m.name} takes {m.model_bytes:,} of {m.slot_bytes:,} bytes of a slot, and "
        f"{m.arena_need.bytes:,} of {m.arena_bytes:,} of the arena ({m.arena_need.origin})"
        for m in contract.models
    )


def main(arguments: Sequence[str]) -> int:
    """Exit status: 0; 1 if the models do not fit the firmware, with the reason on stderr."""
    path = Path(arguments[0])
    stamp = path.with_name("codegen.stamp")
    try:
        request = read_request(path)
        contract = generate_firmware(request, path.parent)
    except Refusal as refusal:
        print(f"error: {refusal}", file=sys.stderr)
        return 1
    sources = [m.file for m in request.models]
    sources += [m.resolver for m in request.models if m.resolver is not None]
    write_if_changed(path.with_name("codegen.d"), _depfile(stamp, [path, request.edt, *sources]))
    write_atomically(stamp, b"")
    print(_budget(contract))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
