"""Code generation inside a Zephyr build: `python -m tinymldelta.firmware REQUEST.json`.

CMake's tmd_add_model() writes the request: the models of the application, and what Kconfig says.
The flash comes from the devicetree of the same build. Everything is written next to the request,
and only where it changed; a file of dependencies tells the build what it was made from. Works
without the native part, with the Python that builds Zephyr.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tinymldelta.budget import Budget, budget_warnings, budgets
from tinymldelta.contract import Contract, ContractKey, SealedKey
from tinymldelta.contractbuild import build_contract
from tinymldelta.contractkeys import parse_mac_key, read_contract_key, read_sealed_key
from tinymldelta.devicetree import ModelNode, Region, read_model_node
from tinymldelta.errors import Refusal
from tinymldelta.facts import Facts, facts_of
from tinymldelta.generate import ModelSource, render_files
from tinymldelta.limits import Limits, OptionNames
from tinymldelta.model import read_model
from tinymldelta.output import environment, write_atomically, write_if_changed
from tinymldelta.request import ModelRequest, Request, read_request
from tinymldelta.resolver import check_resolver
from tinymldelta.tflm import DEFAULT_KERNELS, KernelBuild, parse_kernels
from tinymldelta.tflm.sources import detect_revision, source_files
from tinymldelta.words import parse_labels

MODELS_VERSION = 1  # of models.json

_NAMES = OptionNames(
    slot="the partitions of the slots",
    arena="ARENA",
    arena_need="ARENA_NEED",
    version="VERSION",
    lowest_version="LOWEST_VERSION",
    erase="CONFIG_TMD_ERASE_BYTES",
    write="CONFIG_TMD_WRITE_BYTES",
    extra_operators="EXTRA_OPS",
    labels="LABELS",
    meta_kept="CONFIG_TMD_META_KEPT",
    keys="CONFIG_TMD_PUBLIC_KEYS or CONFIG_TMD_MAC_KEYS",
    sealed_keys="CONFIG_TMD_DECRYPTION_KEYS",
    device_class="CONFIG_TMD_DEVICE_CLASS",
    format_1="CONFIG_TMD_FORMAT_1",
    decoder="the choice TMD_DECODER",
)


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


def kernels_of(request: Request) -> KernelBuild:
    """TensorFlow Lite Micro as it is said to be, or recognised; else what Zephyr has nowadays."""
    kernels = "cmsis_nn" if request.cmsis_nn else DEFAULT_KERNELS.kernels
    if request.tflm:
        said = request.tflm if "/" in request.tflm else f"{request.tflm}/{kernels}"
        try:
            return parse_kernels(said)
        except Refusal as refusal:
            raise Refusal(f"CONFIG_TMD_TFLM={request.tflm}", refusal.what, refusal.fix) from refusal
    if request.tflm_folder is None:
        return DEFAULT_KERNELS
    return KernelBuild(detect_revision(request.tflm_folder), kernels)


def _kernels_origin(request: Request) -> str:
    if request.tflm:
        return "as CONFIG_TMD_TFLM says"
    return "found" if request.tflm_folder else "assumed: Zephyr links none"


def keys_of(request: Request) -> tuple[ContractKey, ...]:
    """Who may sign patches. Refuses a firmware that would take none, or keys that nobody asks."""
    if not request.verify:
        return ()
    keys = (
        *(
            read_contract_key(_read(path, "CONFIG_TMD_PUBLIC_KEYS"), str(path))
            for path in request.public_keys
        ),
        *(parse_mac_key(text, "CONFIG_TMD_MAC_KEYS") for text in request.mac_keys),
    )
    if not keys:
        raise Refusal(
            "CONFIG_TMD_VERIFY",
            "the firmware checks signatures, and there is no key to check them with",
            "make a key with `tmd keygen`, and name its public part in CONFIG_TMD_PUBLIC_KEYS, "
            "or a secret of the devices in CONFIG_TMD_MAC_KEYS",
        )
    return keys


def sealed_keys_of(request: Request) -> tuple[SealedKey, ...]:
    """To whom patches may be encrypted. Refuses a firmware that decrypts with no key."""
    if not request.decrypt:
        return ()
    if not request.decryption_keys:
        raise Refusal(
            "CONFIG_TMD_DECRYPT",
            "the firmware decrypts patches, and there is no key that they are encrypted to",
            "make a key with `tmd keygen`, and name its public part in CONFIG_TMD_DECRYPTION_KEYS",
        )
    return tuple(
        read_sealed_key(_read(path, "CONFIG_TMD_DECRYPTION_KEYS"), str(path))
        for path in request.decryption_keys
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
        kernels=kernels_of(request),
        extra_operators=tuple(dict.fromkeys(op for m in models for op in m.extra_operators)),
        meta_kept=request.meta_kept,
        accept=request.accept,
        formats=request.formats,
        decoder=request.decoder,
        version={m.name: m.version for m in models},
        lowest_version={m.name: m.lowest_version for m in models},
        note={m.name: m.note for m in models},
        labels={
            m.name: parse_labels(_read(m.labels, f"tmd_add_model({m.name})"), str(m.labels))
            for m in models
            if m.labels is not None
        },
        keys=keys_of(request),
        sealed_keys=sealed_keys_of(request),
        device_class=request.device_class,
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
    data = sorted([*(package / "templates").glob("tmd_*.j2"), *package.rglob("*.yaml")])
    paths = [_in_make(p) for p in (*sources, *loaded, *data)]
    return f"{_in_make(stamp)}: " + " \\\n  ".join(paths) + "\n"


def _read(path: Path, where: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Refusal(
            where, f"{path} cannot be read: {error.strerror}", "correct its path"
        ) from error


def _facts(source: ModelSource, limits: Limits) -> Facts:
    """The facts of a model. If its arena cannot be predicted, CMake has to say how large it is."""
    model, need = read_model(source.data, source.where), limits.arena_need.get(source.name)
    try:
        return facts_of(model, need, limits.kernels)
    except Refusal as refusal:
        raise Refusal(
            f"tmd_add_model({source.name})",
            f"its arena cannot be predicted: {refusal.where}: {refusal.what}",
            f"find it with `tmd arena {source.where} --measure`, and give it as ARENA_NEED",
        ) from refusal


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
    contract = build_contract([(s.name, _facts(s, limits)) for s in sources], limits)
    for m in models:
        if m.resolver is not None:
            text = _read(m.resolver, f"tmd_add_model({m.name})").decode("utf-8", "replace")
            check_resolver(text, str(m.resolver), contract)
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


def _table(rows: Sequence[Budget]) -> list[str]:
    """A line for each budget, in columns."""
    cells = [
        (r.model, r.what, f"{r.used:,}", f"{r.room:,}", f"{r.share:.0%}", f"{r.left:,}")
        for r in rows
    ]
    model, what, used, room, share, left = (
        max(map(len, column)) for column in zip(*cells, strict=True)
    )
    return [
        f"  {c[0]:{model}}  {c[1]:{what}}  {c[2]:>{used}} of {c[3]:>{room}} bytes, "
        f"{c[4]:>{share}}, {c[5]:>{left}} left" + (f" ({r.note})" if r.note else "")
        for c, r in zip(cells, rows, strict=True)
    ]


def _report(request: Request, contract: Contract) -> None:
    """What the models take: for people, since a build prints what its steps say."""
    rows = budgets(contract, request.ram_bytes)
    print(f"TinyMLDelta: {contract.kernels.text} ({_kernels_origin(request)})")
    print("\n".join(_table(rows)))
    for warning in budget_warnings(rows, request.warn_percent):
        print(f"warning: {warning}", file=sys.stderr)


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
    sources = [path, request.edt, *request.public_keys, *request.decryption_keys]
    for m in request.models:
        sources += [file for file in (m.file, m.resolver, m.labels) if file is not None]
    if request.tflm_folder is not None and not request.tflm:
        sources += source_files(request.tflm_folder)
    write_if_changed(path.with_name("codegen.d"), _depfile(stamp, sources))
    write_atomically(stamp, b"")
    _report(request, contract)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
