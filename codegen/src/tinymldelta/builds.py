"""What a Zephyr build leaves for patches: contract, base models and where they lie in flash.

`tmd_add_model` writes it to BUILD/tinymldelta. Everything here is read with checks, and what is
wrong with it is a Refusal that says how to come by a better build folder.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import yaml

from tinymldelta.container.guardrails import evaluate, first_refusal
from tinymldelta.contract import Contract
from tinymldelta.contractfile import read_contract
from tinymldelta.errors import Refusal
from tinymldelta.explain import explain
from tinymldelta.firmware import MODELS_VERSION
from tinymldelta.generate import read_facts
from tinymldelta.jsonread import Reader, parse_json
from tinymldelta.said import Said, fact_metadata, head_of
from tinymldelta.wire.constants import FORMAT_2, Rule

FOLDER = "tinymldelta"
_U32_MAX = 0xFFFFFFFF
_BUILD_AGAIN = "run `west build` again"


@dataclass(frozen=True, slots=True)
class Region:
    """A flash partition, by its devicetree label. Offset and size in bytes.

    address: where the processor reads it; None if the flash is not memory mapped.
    """

    label: str
    address: int | None
    offset: int
    bytes: int


@dataclass(frozen=True, slots=True)
class BuiltModel:
    """A model of the firmware: its base, and the flash that updates of it use."""

    name: str
    base: Path
    compiled_in: bool
    node: str
    slots: tuple[Region, Region]
    records: Region
    staging: Region | None

    @property
    def regions(self) -> tuple[Region, ...]:
        return (*self.slots, self.records, *((self.staging,) if self.staging else ()))


@dataclass(frozen=True, slots=True)
class Build:
    """An application's build folder. `models` are in the order of the contract's."""

    folder: Path
    contract: Contract
    models: tuple[BuiltModel, ...]

    @property
    def contract_path(self) -> Path:
        return self.folder / FOLDER / "contract.json"

    def model(self, name: str | None) -> tuple[int, BuiltModel]:
        """Index and model of that name; with None, of the only one. Refuses otherwise."""
        index = self.contract.model_index(name)
        return index, self.models[index]

    def base(self, index: int, given: Path | None = None) -> Path:
        """The file with the model that is on the device: `given`, or what was built in.

        Refuses a file that cannot be what the device has.
        """
        model = self.contract.models[index]
        path = given or self.models[index].base
        data = _read(path, "check the name" if given else _BUILD_AGAIN)
        if hashlib.sha256(data).digest() == model.model_sha256:
            return path
        if given is None:
            raise Refusal(
                str(path), f"not the model {model.name} that contract.json describes", _BUILD_AGAIN
            )
        _check_runs_on(self.contract, index, data, path)
        return path


def _check_runs_on(contract: Contract, index: int, base: bytes, path: Path) -> None:
    """Could the device be running this model, some updates past the one in the build folder?

    By the firmware's own rules, but for its arena, because whether a lower need was measured and
    given by hand cannot be seen here, and its kernels, because the model came with no patch.
    """
    model = contract.models[index]
    fix = "give the model that is on the device"
    where = f"no model {model.name} that this firmware runs"
    if len(base) > model.slot_bytes:
        found = f"it is {len(base)} bytes, and a slot holds {model.slot_bytes}"
        raise Refusal(str(path), f"{where}: {found}", fix)
    facts = read_facts(base, str(path), model.arena_bytes)
    said = Said(model.name, device_class=contract.device_class)
    metadata = fact_metadata(facts, said, contract.kernels, FORMAT_2, names=True)
    refused = first_refusal(evaluate(metadata, head_of(base), contract.accepts(index)))
    if refused is not None and refused.rule is not Rule.SLOT:
        words = explain(refused, FORMAT_2, metadata, contract.accepts(index))
        raise Refusal(str(path), f"{where}: {words}", fix)


def _read(path: Path, fix: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Refusal(str(path), f"cannot be read: {error.strerror}", fix) from error


# ---- reading a build folder ----


def read_build(folder: Path) -> Build:
    """Read a build folder, of one application or of sysbuild. Refuses one without models."""
    if not folder.is_dir():
        raise Refusal(
            str(folder),
            "there is no such build folder",
            "run `west build` first, or name another folder with -d BUILD",
        )
    application = _default_domain(folder)
    ours = application / FOLDER
    missing = [name for name in ("contract.json", "models.json") if not (ours / name).is_file()]
    if len(missing) == 2:
        raise Refusal(
            str(application),
            "no build folder with a model of TinyMLDelta",
            "name another one with -d BUILD, or call tmd_add_model() in the application's "
            "CMakeLists.txt and build it",
        )
    if missing:
        raise Refusal(str(ours), f"{missing[0]} is missing", _BUILD_AGAIN)
    contract = read_contract(ours / "contract.json")
    return Build(application, contract, _read_models(ours, contract))


def _default_domain(folder: Path) -> Path:
    """The application's folder: with sysbuild that of the default domain, else `folder`."""
    path = folder / "domains.yaml"
    if not path.is_file():
        return folder
    try:
        document = yaml.safe_load(_read(path, _BUILD_AGAIN))
        folders = {domain["name"]: domain["build_dir"] for domain in document["domains"]}
        return folder / str(folders[document["default"]])
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise Refusal(
            str(path), "it names no default domain with a folder", _BUILD_AGAIN
        ) from error


def _read_region(r: Reader) -> Region:
    return Region(
        label=r.get("label").text(),
        address=None if r.get("address").is_null() else r.get("address").integer(0, _U32_MAX),
        offset=r.get("offset").integer(0, _U32_MAX),
        bytes=r.get("bytes").integer(1, _U32_MAX),
    )


def _read_model(r: Reader, ours: Path) -> BuiltModel:
    base = r.get("base").text()
    if base in ("", ".", "..") or Path(base).name != base:
        raise r.get("base").fault("is no name of a file beside models.json")
    slots = tuple(_read_region(slot) for slot in r.get("slots").items())
    if len(slots) != 2:
        raise r.get("slots").fault("are not two")
    return BuiltModel(
        name=r.get("name").text(),
        base=ours / base,
        compiled_in=r.get("compiled_in").boolean(),
        node=r.get("node").text(),
        slots=slots,
        records=_read_region(r.get("records")),
        staging=None if r.get("staging").is_null() else _read_region(r.get("staging")),
    )


def _read_models(ours: Path, contract: Contract) -> tuple[BuiltModel, ...]:
    """The models of models.json in the contract's order. Both files are of one build."""
    path = ours / "models.json"
    document = parse_json(_read(path, _BUILD_AGAIN), str(path), _BUILD_AGAIN)
    root = Reader(str(path), document, _BUILD_AGAIN)
    version = root.get("version").integer(0, _U32_MAX)
    if version != MODELS_VERSION:
        raise Refusal(
            str(path),
            f"it is of version {version}, this tool knows {MODELS_VERSION}",
            "use the tool of the same release as the firmware",
        )
    models = [_read_model(r, ours) for r in root.get("models").items()]
    by_name = {model.name: model for model in models}
    if len(by_name) != len(models) or set(by_name) != {m.name for m in contract.models}:
        raise Refusal(str(path), "its models are not those of contract.json", _BUILD_AGAIN)
    for described in contract.models:
        for slot in by_name[described.name].slots:
            if slot.bytes < described.slot_bytes:
                raise Refusal(
                    str(path),
                    f"{slot.label} has {slot.bytes} bytes, the contract {described.slot_bytes}",
                    _BUILD_AGAIN,
                )
    return tuple(by_name[m.name] for m in contract.models)


# ---- what leaves the factory ----


@dataclass(frozen=True, slots=True)
class FactoryImage:
    """Firmware and first models as one Intel hex file; `placed` are the models in slots."""

    hex: bytes
    placed: tuple[BuiltModel, ...]


def firmware_hex(build: Build) -> Path:
    """The Intel hex file that `west flash` takes; signed, where MCUboot wants it so."""
    zephyr = build.folder / "zephyr"
    try:
        runners = yaml.safe_load((zephyr / "runners.yaml").read_bytes())
        return zephyr / str(runners["config"]["hex_file"])
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        return zephyr / "zephyr.hex"  # a board without runners still has one


def factory_image(build: Build, firmware: Path) -> FactoryImage:
    """The firmware, and in slot 0 each model that is not compiled in.

    Refuses a firmware that reaches into the flash of a model: the first update would erase it.
    """
    try:
        from intelhex import AddressOverlapError, IntelHex, IntelHexError
    except ImportError as error:
        raise Refusal(
            "intelhex", "this Python package is missing", "`pip install intelhex`"
        ) from error
    if not firmware.is_file():
        raise Refusal(
            str(firmware),
            "there is no such firmware",
            "set CONFIG_BUILD_OUTPUT_HEX=y and build, or name a file with --firmware",
        )
    try:
        text = _read(firmware, "check the file").decode("ascii")
        image = IntelHex(io.StringIO(text))
    except (UnicodeDecodeError, IntelHexError) as error:
        raise Refusal(str(firmware), "not an Intel hex file", "give the firmware's") from error
    if not image.segments():
        raise Refusal(str(firmware), "an Intel hex file without a byte", "give the firmware's")
    for model in build.models:
        for region in model.regions:
            _check_apart(firmware, image.segments(), region)
    placed = []
    for index, model in enumerate(build.models):
        if model.compiled_in:
            continue
        slot = model.slots[0]
        if slot.address is None:
            raise Refusal(
                slot.label,
                f"{model.name} lies in flash that is not memory mapped, which a hex file cannot "
                "reach",
                f"write {model.base.name} to byte {slot.offset:#x} of that flash by its own tool",
            )
        first = IntelHex()
        first.frombytes(build.base(index).read_bytes(), offset=slot.address)
        try:
            image.merge(first, overlap="error")
        except AddressOverlapError as error:
            raise Refusal(
                slot.label,
                f"{model.name} and another model lie at the same address {slot.address:#x}",
                "give each model slots of its own in the devicetree",
            ) from error
        placed.append(model)
    out = io.StringIO()
    image.write_hex_file(out)
    return FactoryImage(out.getvalue().encode("ascii"), tuple(placed))


def _check_apart(firmware: Path, segments: list[tuple[int, int]], region: Region) -> None:
    if region.address is None:
        return
    for start, stop in segments:
        if start < region.address + region.bytes and region.address < stop:
            raise Refusal(
                str(firmware),
                f"its bytes from {start:#x} to {stop - 1:#x} reach into {region.label}",
                "give the models partitions that the firmware does not use",
            )
