"""The flash regions of a model, as a firmware's devicetree has them.

`read_model_node` reads what Zephyr's build left in `zephyr/edt.pickle`; `model_node` takes the tree
itself. `check` refuses a layout that the store could not run on.
"""

from __future__ import annotations

import contextlib
import itertools
import pickle
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tinymldelta.errors import Refusal

COMPATIBLE: Final = "tinymldelta,model"

# CONFIG_TMD_WRITE_BUFFER as it is by default: write units have to divide it, and a staging region
# is a row of places of this size, of which one alone holds no patch.
_WRITE_BUFFER: Final = 256
_STAGING_MIN: Final = 2 * _WRITE_BUFFER
_RECORD_UNITS_MIN: Final = 2

_PARTITION: Final = "zephyr,mapped-partition"
_GROUPS: Final = ("fixed-partitions", "fixed-subpartitions")

# Flash of these controllers has a `reg` that counts from its own start and is no CPU address: the
# simulator's memory is wherever the linker puts it, the ESP32's is mapped page by page on demand.
_NOT_MAPPED: Final = ("zephyr,sim-flash", "espressif,esp32-flash-controller")


@dataclass(frozen=True, slots=True)
class Region:
    """A partition. `offset` counts from the start of its flash; `address`: where the CPU reads it,
    None if it cannot. The flash's size and units are None where the devicetree does not say them;
    `flash` is the path of its node. `enabled`: is neither partition nor flash disabled?
    """

    label: str
    path: str
    offset: int
    bytes: int
    flash: str
    flash_bytes: int | None
    address: int | None
    erase_bytes: int | None
    write_bytes: int | None
    enabled: bool = True

    @property
    def end(self) -> int:
        return self.offset + self.bytes

    def overlaps(self, other: Region) -> bool:
        return self.flash == other.flash and self.offset < other.end and other.offset < self.end


@dataclass(frozen=True, slots=True)
class ModelNode:
    """A node "tinymldelta,model". `others` are all other enabled partitions of the firmware, but
    not those that one of the regions lies in by the devicetree's own nesting.
    """

    label: str
    path: str
    slots: tuple[Region, ...]
    records: Region
    staging: Region | None
    others: tuple[Region, ...]

    @property
    def regions(self) -> tuple[Region, ...]:
        return (*self.slots, self.records, *((self.staging,) if self.staging else ()))


def read_model_node(edt_pickle: Path, zephyr_base: Path, label: str) -> ModelNode:
    """The node of that label in a build. Refuses if there is none, or its layout is at fault."""
    try:
        data = edt_pickle.read_bytes()
    except OSError as error:
        raise Refusal(
            str(edt_pickle), f"cannot be read: {error.strerror}", "build the firmware first"
        ) from error
    node = model_node(_unpickle(data, edt_pickle, zephyr_base), label)
    check(node)
    return node


def _unpickle(data: bytes, edt_pickle: Path, zephyr_base: Path) -> Any:
    """The tree, by the edtlib that wrote it: a pickle holds no code, and edtlib changes."""
    library = zephyr_base / "scripts" / "dts" / "python-devicetree" / "src"
    if not (library / "devicetree" / "edtlib.py").is_file():
        raise Refusal(
            str(zephyr_base), "is no Zephyr tree: it has no edtlib", "set ZEPHYR_BASE to the tree"
        )
    with _importing_from(library):
        try:
            return pickle.loads(data)
        except Exception as error:  # whatever a pickle of another edtlib leads to
            raise Refusal(
                str(edt_pickle),
                f"is not what this Zephyr's edtlib writes: {error}",
                "build again in an empty folder",
            ) from error


@contextlib.contextmanager
def _importing_from(library: Path) -> Iterator[None]:
    """Let `import devicetree` find this one, whichever was imported before, and forget it after."""
    before = {name: m for name, m in sys.modules.items() if name.split(".")[0] == "devicetree"}
    for name in before:
        del sys.modules[name]
    sys.path.insert(0, str(library))
    try:
        yield
    finally:
        sys.path.remove(str(library))
        for name in [name for name in sys.modules if name.split(".")[0] == "devicetree"]:
            del sys.modules[name]
        sys.modules.update(before)


def model_node(edt: Any, label: str) -> ModelNode:
    """The node of that label in an `edtlib.EDT`. Refuses if there is none; checks no layout."""
    node = edt.label2node.get(label)
    if node is None:
        known = sorted(la for la, n in edt.label2node.items() if COMPATIBLE in n.compats)
        raise Refusal(
            f"devicetree node {label}",
            "there is no such node",
            f"the models' nodes are {', '.join(known)}; name one as NODE"
            if known
            else "add an overlay with one: boards/README.md says how",
        )
    if COMPATIBLE not in node.compats:
        raise Refusal(
            f"devicetree node {label}",
            f"its compatible is not {COMPATIBLE}",
            f'give it compatible = "{COMPATIBLE}"',
        )
    properties = node.props
    for name in ("slots", "records"):
        if name not in properties:
            raise Refusal(
                f"devicetree node {label}",
                f"it has no {name}",
                "the binding tinymldelta,model says what belongs there",
            )
    slot_nodes = list(properties["slots"].val)
    records_node = properties["records"].val
    staging_node = properties["staging"].val if "staging" in properties else None
    own = [*slot_nodes, records_node, *([staging_node] if staging_node else [])]
    around = {parent.path for n in own for parent in _parents(n)}
    paths = {n.path for n in own}
    return ModelNode(
        label=label,
        path=node.path,
        slots=tuple(_own_region(n, label) for n in slot_nodes),
        records=_own_region(records_node, label),
        staging=_own_region(staging_node, label) if staging_node else None,
        others=tuple(
            region
            for n in edt.nodes
            if n.status == "okay" and n.path not in paths and n.path not in around
            if (region := _region(n)) is not None
        ),
    )


def check(node: ModelNode) -> None:
    """Refuse a layout that the store could not run on, or that another partition lies in."""
    where = f"devicetree node {node.label}"
    if len(node.slots) != 2:
        raise Refusal(
            where, f"it has {len(node.slots)} slots", "slots = <&a &b>, exactly two partitions"
        )
    for region in node.regions:
        _check_flash(where, region)
    first, second = node.slots
    if first.bytes != second.bytes:
        raise Refusal(
            where,
            f"the slots {first.label} and {second.label} have {first.bytes} and "
            f"{second.bytes} bytes",
            "make them as large as each other",
        )
    records = node.records
    if records.bytes < _RECORD_UNITS_MIN * (records.erase_bytes or 1):
        raise Refusal(
            where,
            f"the records {records.label} have {records.bytes} bytes, and an erase unit "
            f"{records.erase_bytes}",
            "give them two erase units or more",
        )
    if node.staging is not None:
        _check_staging(where, node.staging)
    for one, other in itertools.combinations(node.regions, 2):
        _check_apart(where, one, other)
    for one, other in itertools.product(node.regions, node.others):
        _check_apart(where, one, other)


def _check_flash(where: str, region: Region) -> None:
    what = f"{region.label} ({region.path})"
    unit, write = region.erase_bytes, region.write_bytes
    if not region.enabled:
        raise Refusal(
            where,
            f"{what} or the controller of {region.flash} is disabled",
            'set its status = "okay"',
        )
    if region.flash_bytes is not None and region.end > region.flash_bytes:
        raise Refusal(
            where,
            f"{what} ends at {region.end:#x}, behind the end of {region.flash} at "
            f"{region.flash_bytes:#x}",
            "move it into the flash",
        )
    if unit is not None:
        for name, value in (("begins at", region.offset), ("has", region.bytes)):
            if unit == 0 or value % unit:
                raise Refusal(
                    where,
                    f"{what} {name} {value:#x}, which is not whole erase units of {unit:#x}",
                    "round it to erase units",
                )
    if write is not None:
        if write == 0 or _WRITE_BUFFER % write:
            raise Refusal(
                where,
                f"{what}: the flash is written in units of {write} bytes",
                f"use flash whose write unit divides {_WRITE_BUFFER}",
            )
        if unit is not None and unit % write:
            raise Refusal(
                where,
                f"{what}: the write unit of {write} bytes does not divide the erase unit of {unit}",
                f"correct write-block-size or erase-block-size of {region.flash}",
            )


def _check_staging(where: str, staging: Region) -> None:
    if staging.bytes < _STAGING_MIN or staging.bytes % _WRITE_BUFFER:
        raise Refusal(
            where,
            f"the staging region {staging.label} has {staging.bytes} bytes",
            f"make it as large as the largest patch, in multiples of {_WRITE_BUFFER} bytes and at "
            f"least {_STAGING_MIN}; or leave it out",
        )


def _check_apart(where: str, one: Region, other: Region) -> None:
    if one.overlaps(other):
        raise Refusal(
            where,
            f"{one.label} [{one.offset:#x}, {one.end:#x}) and "
            f"{other.label} [{other.offset:#x}, {other.end:#x}) overlap in {one.flash}",
            "move or shrink one, or /delete-node/ a partition that the firmware does not use",
        )


def _parents(node: Any) -> Iterator[Any]:
    while node.parent is not None:
        node = node.parent
        yield node


def _is_group(node: Any) -> bool:
    return any(group in node.compats for group in _GROUPS)


def _is_partition(node: Any) -> bool:
    return _PARTITION in node.compats or (node.parent is not None and _is_group(node.parent))


def _own_region(node: Any, model: str) -> Region:
    region = _region(node)
    if region is None:
        raise Refusal(
            f"devicetree node {model}",
            f"{_name(node)} ({node.path}) is no flash partition",
            "name a child of fixed-partitions, or a zephyr,mapped-partition",
        )
    return region


def _name(node: Any) -> str:
    return str(node.labels[0] if node.labels else node.name)


def _region(node: Any) -> Region | None:
    """A partition's place in its flash, or None if the node is none."""
    # Between a partition and its flash are groups, which may have no compatible, and partitions.
    above = list(
        itertools.takewhile(
            lambda n: _is_group(n) or _is_partition(n) or not n.compats, _parents(node)
        )
    )
    flash = above[-1].parent if above else node.parent
    if not _is_partition(node) or flash is None or not flash.compats or not node.regs:
        return None
    base, flash_bytes = _extent(flash)
    # edtlib has put the address through each `ranges` above. A group of fixed partitions has none,
    # so that theirs is the offset; a mapped partition's went on to the CPU's address space.
    fixed = any("fixed-partitions" in n.compats for n in above)
    offset = node.regs[0].addr - (0 if fixed else base)
    mapped = (
        "soc-nv-flash" in flash.compats
        and flash.parent is not None
        and not any(controller in flash.parent.compats for controller in _NOT_MAPPED)
    )
    return Region(
        label=_name(node),
        path=node.path,
        offset=offset,
        bytes=node.regs[0].size,
        flash=flash.path,
        flash_bytes=flash_bytes,
        address=base + offset if mapped else None,
        erase_bytes=_number(flash, "erase-block-size"),
        write_bytes=_number(flash, "write-block-size"),
        enabled=all(n.status == "okay" for n in (node, flash, flash.parent) if n is not None),
    )


def _extent(flash: Any) -> tuple[int, int | None]:
    """Where a flash begins as the CPU sees it, and how large it is. On a serial bus `reg` is the
    chip select, and `size` the size in bits.
    """
    register = flash.regs[0] if flash.regs else None
    if register is None or register.size is None:
        bits = _number(flash, "size")
        return 0, None if bits is None else bits // 8
    return register.addr, register.size


def _number(node: Any, name: str) -> int | None:
    value = node.props[name].val if name in node.props else None
    return value if isinstance(value, int) else None
