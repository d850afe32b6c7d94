"""What a Zephyr build leaves for patches: contract, base models and where they lie in flash.

`tmd_add_model` writes it to BUILD/tinymldelta. Everything here is read with checks, and what is
wrong with it is a Refusal that says how to come by a better build folder.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tinymldelta.contract import Contract, read_contract
from tinymldelta.errors import Refusal
from tinymldelta.facts import io_hash, opset_hash
from tinymldelta.firmware import MODELS_VERSION
from tinymldelta.generate import read_facts

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

    Its arena is not asked: whether a lower need was measured and given by hand cannot be seen here.
    """
    model, facts = contract.models[index], read_facts(base, str(path))
    differs = None
    if len(base) > model.slot_bytes:
        differs = f"it is {len(base)} bytes, and a slot holds {model.slot_bytes}"
    elif io_hash(facts) != model.io_hash:
        differs = "its in and out tensors are others"
    elif opset_hash(facts) != model.opset_hash:
        differs = "its operators are others"
    elif facts.schema_version != contract.tflm_abi & 0xFF:
        differs = f"its schema version is {facts.schema_version}"
    if differs is not None:
        raise Refusal(
            str(path),
            f"no model {model.name} that this firmware runs: {differs}",
            "give the model that is on the device",
        )


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


class _Object:
    """A JSON object of models.json; every fault names the place in the document."""

    def __init__(self, where: Path, value: Any, place: str = "") -> None:
        self._where, self._value, self._place = where, value, place
        if not isinstance(value, dict):
            raise self.fault("is no object")

    def fault(self, what: str, key: str = "") -> Refusal:
        place = ".".join(part for part in (self._place, key) if part) or "the document"
        return Refusal(str(self._where), f"{place} {what}", _BUILD_AGAIN)

    def _get(self, key: str, kind: type, name: str) -> Any:
        value = self._value.get(key)
        if type(value) is not kind:  # a bool is an int to isinstance
            raise self.fault(f"is not {name}", key)
        return value

    def text(self, key: str) -> str:
        value: str = self._get(key, str, "a text")
        return value

    def boolean(self, key: str) -> bool:
        value: bool = self._get(key, bool, "true or false")
        return value

    def number(self, key: str, low: int = 0) -> int:
        value: int = self._get(key, int, "a whole number")
        if not low <= value <= _U32_MAX:
            raise self.fault(f"is not from {low} to {_U32_MAX}", key)
        return value

    def objects(self, key: str) -> list[_Object]:
        values: list[Any] = self._get(key, list, "a list")
        place = f"{self._place}.{key}".lstrip(".")
        return [_Object(self._where, v, f"{place}[{i}]") for i, v in enumerate(values)]

    def object(self, key: str) -> _Object:
        return _Object(self._where, self._value.get(key), f"{self._place}.{key}".lstrip("."))

    def is_null(self, key: str) -> bool:
        return key in self._value and self._value[key] is None


def _read_region(o: _Object) -> Region:
    return Region(
        label=o.text("label"),
        address=None if o.is_null("address") else o.number("address"),
        offset=o.number("offset"),
        bytes=o.number("bytes", low=1),
    )


def _read_model(o: _Object, ours: Path) -> BuiltModel:
    base = o.text("base")
    if base in ("", ".", "..") or Path(base).name != base:
        raise o.fault("is no name of a file beside models.json", "base")
    slots = tuple(_read_region(slot) for slot in o.objects("slots"))
    if len(slots) != 2:
        raise o.fault("are not two", "slots")
    return BuiltModel(
        name=o.text("name"),
        base=ours / base,
        compiled_in=o.boolean("compiled_in"),
        node=o.text("node"),
        slots=slots,
        records=_read_region(o.object("records")),
        staging=None if o.is_null("staging") else _read_region(o.object("staging")),
    )


def _read_models(ours: Path, contract: Contract) -> tuple[BuiltModel, ...]:
    """The models of models.json in the contract's order. Both files are of one build."""
    path = ours / "models.json"
    try:
        document = json.loads(_read(path, _BUILD_AGAIN))
    except (ValueError, RecursionError) as error:
        raise Refusal(str(path), f"not JSON: {error}", _BUILD_AGAIN) from error
    root = _Object(path, document)
    version = root.number("version")
    if version != MODELS_VERSION:
        raise Refusal(
            str(path),
            f"it is of version {version}, this tool knows {MODELS_VERSION}",
            "use the tool of the same release as the firmware",
        )
    models = [_read_model(o, ours) for o in root.objects("models")]
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
