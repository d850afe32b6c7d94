"""Every single change of the matrix: of operators, of in and out tensors, of sizes, of TLVs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from headkit import HeadParts, take_head_apart
from matrixkit import (
    ARENA_BYTES,
    BASE,
    IN,
    KERNELS,
    LOWEST_VERSION,
    OUT,
    READS,
    SAID,
    SIGNER,
    SLOT_BYTES,
    SMALL_SLOT,
    SPEC,
    Change,
    change_of,
    patches_to,
    signed_to,
    slot_need,
)
from modelkit import ModelSpec, NodeSpec, OperatorSpec, with_tensor
from patchkit import tlv
from tinymldelta.tflm import KERNEL_SETS, REVISIONS, KernelBuild, supported
from tinymldelta.wire import constants as wire


def _replaced(index: int, operator: OperatorSpec) -> ModelSpec:
    operators = list(SPEC.operators)
    operators[index] = operator
    return replace(SPEC, operators=tuple(operators))


def _added(name: str, version: int = 1) -> ModelSpec:
    """One more operator before the output, which stays as it is."""
    inner = replace(SPEC.tensors[OUT], name="inner")
    n = len(SPEC.tensors)
    last = replace(SPEC.nodes[-1], outputs=(n,))
    return replace(
        SPEC,
        tensors=(*SPEC.tensors, inner),
        operators=(*SPEC.operators, OperatorSpec(name, version)),
        nodes=(*SPEC.nodes[:-1], last, NodeSpec(len(SPEC.operators), (n,), (OUT,))),
    )


def _dropped(node: int) -> ModelSpec:
    """The chain without one node: what took its output takes its input."""
    nodes = list(SPEC.nodes)
    gone = nodes.pop(node)
    if node == len(nodes):
        nodes[-1] = replace(nodes[-1], outputs=gone.outputs)
    else:
        nodes[node] = replace(nodes[node], inputs=(gone.inputs[0], *nodes[node].inputs[1:]))
    return replace(SPEC, nodes=tuple(nodes))


def _typed(code: int, *tensors: int) -> ModelSpec:
    spec = SPEC
    for index in tensors:
        spec = with_tensor(spec, index, type=code)
    return spec


def operator_changes() -> Iterator[Change]:
    for node, gone in enumerate(SPEC.nodes):
        name = SPEC.operators[gone.operator].name
        yield change_of(f"without {name}", _dropped(node), "OPERATORS")
    for index, op in enumerate(SPEC.operators):
        highest = supported(KERNELS.revision)[op.name].highest
        for version in sorted({1, highest, highest + 1, 63}):
            old = "" if version == op.version else "OPERATORS"
            new = "OPERATORS" if version > highest else ""
            yield change_of(
                f"{op.name} v{version}", _replaced(index, OperatorSpec(op.name, version)), old, new
            )
    for name in ("RELU", "TANH", "LOGISTIC", "ABS", "GELU", "mine"):
        yield change_of(f"and {name}", _added(name), "OPERATORS", "OPERATORS", adds=name)
    too_new = supported(KERNELS.revision)["RELU"].highest + 1
    # Linked or not, no firmware has that version.
    yield change_of(f"and RELU v{too_new}", _added("RELU", too_new), "OPERATORS", "OPERATORS")
    # The hashes of format 1 do not see element types within the model.
    yield change_of("a dense layer of UINT8", _typed(3, 5, 7), "", "OPERATORS")
    yield change_of("all layers of INT16", _typed(7, 9, 3, 5, 7, OUT), "IO", "IO")


def interface_changes() -> Iterator[Change]:
    for index in (IN, OUT):
        tensor = SPEC.tensors[index]
        role = tensor.name

        def changed(what: str, old: str, new: str, index: int = index, **values: Any) -> Change:
            return change_of(what, with_tensor(SPEC, index, **values), old, new)

        for at, size in enumerate(tensor.shape):
            for other in (size + 1, size + 6):
                shape = (*tensor.shape[:at], other, *tensor.shape[at + 1 :])
                yield changed(f"{role} {shape}", "IO", "IO", shape=shape)
        for shape in ((*tensor.shape, 1), tensor.shape[1:]):
            yield changed(f"{role} of rank {len(shape)}", "IO", "IO", shape=shape)
        quantisations: dict[str, dict[str, Any]] = {
            "scale": {"scale": (tensor.scale[0] * 1.0001,)},
            "half the scale": {"scale": (tensor.scale[0] / 2,)},
            "zero point": {"zero_point": (tensor.zero_point[0] + 1,)},
            "no quantisation": {"scale": (), "zero_point": ()},
            "scale by channel": {
                "scale": tensor.scale * 4,
                "zero_point": tensor.zero_point * 4,
                "axis": 1,
            },
            "quantised dimension": {"axis": 1},
        }
        for what, values in quantisations.items():
            yield changed(f"{role}: {what}", "IO", "QUANTISATION", **values)
        for name in ("other", tensor.name.upper(), tensor.name + "_1", ""):
            yield changed(f"{role} is called {name!r}", "", "TENSOR_NAMES", name=name)
    # The kernels of QUANTIZE take all of these, so that only the rule on the interface is broken.
    for code, type_name in ((0, "FLOAT32"), (2, "INT32"), (3, "UINT8"), (7, "INT16")):
        spec = with_tensor(SPEC, IN, type=code)
        yield change_of(f"in as {type_name}", spec, "IO", "IO")
    yield change_of("in as BOOL", with_tensor(SPEC, IN, type=6), "IO", "OPERATORS IO")
    yield change_of("out as INT16", with_tensor(SPEC, OUT, type=7), "IO", "IO")
    yield change_of("out as UINT8", with_tensor(SPEC, OUT, type=3), "IO", "OPERATORS IO")
    every = "IO QUANTISATION TENSOR_NAMES"
    yield change_of("one more input", replace(SPEC, inputs=(IN, 3)), "IO", every)
    yield change_of("one more output", replace(SPEC, outputs=(OUT, 7)), "IO", every)
    # That one is as the output is, but for scale and name.
    yield change_of(
        "another output", replace(SPEC, outputs=(7,)), "IO", "QUANTISATION TENSOR_NAMES"
    )


def size_changes() -> Iterator[Change]:
    yield change_of("nothing", SPEC)
    yield change_of("new weights", with_tensor(SPEC, 6, data=bytes(range(128, 256))))
    yield change_of("a smaller arena", with_tensor(SPEC, 3, shape=(1, 2, 2, 2)))
    for side in (20, 40, 100):  # of what the convolution gives
        yield change_of(f"{side} x {side}", with_tensor(SPEC, 3, shape=(1, side, side, 2)))
    for size in (0, 300, 700, SLOT_BYTES - 3000, SLOT_BYTES, 2 * SLOT_BYTES):
        spec = replace(SPEC, description="x" * size)
        yield change_of(f"a description of {size} bytes", spec)
    same = change_of("", SPEC)
    for offset in (-1, 0, 1):
        arena = ARENA_BYTES + offset
        value = arena.to_bytes(4, "little")
        yield replace(_with_tlv(same, 1, value), name=f"{arena} bytes of arena", arena=arena)
    # Up to the last byte of the small slot: the note makes up what is left.
    room = SMALL_SLOT - slot_need(same, 2)
    note = take_head_apart(same.patches[2]).find(wire.Tlv.NOTE) or b""
    for size in (len(note) + room - 1, len(note) + room, len(note) + room + 1):
        yield replace(_with_tlv(same, wire.Tlv.NOTE, b"n" * size), name=f"a note of {size}")


def _with_tlv(change: Change, tag: int, value: bytes) -> Change:
    parts = {f: take_head_apart(patch) for f, patch in change.patches.items()}
    return replace(
        change,
        patches={
            f: p.with_value(tag, value).join(repaired=True)
            for f, p in parts.items()
            if p.find(tag) is not None
        },
    )


def said_changes() -> Iterator[Change]:
    for revision in REVISIONS:
        for kernels in KERNEL_SETS:
            build_ = KernelBuild(revision, kernels)
            abi = "" if build_ == KERNELS else "ABI"
            patches, arena = patches_to(BASE, kernels=build_)
            breaks = {1: frozenset(abi.split()), 2: frozenset(abi.split())}
            yield Change(f"proven on {build_.text}", BASE, patches, breaks, arena=arena)
    for name in ("n", "mm", "m_1", "other"):
        patches, arena = patches_to(BASE, replace(SAID, name=name))
        yield Change(f"for {name}", BASE, patches, {2: frozenset({"NAME"})}, arena=arena)
    for version in (None, 0, LOWEST_VERSION - 1, LOWEST_VERSION, 0xFFFFFFFF):
        for floor in (None, LOWEST_VERSION):
            said = replace(SAID, version=version, version_floor=floor)
            patches, arena = patches_to(BASE, said)
            name = f"version {version}, floor {floor}"
            yield Change(name, BASE, patches, version=version or 0, floor=floor or 0, arena=arena)


def tlv_changes() -> Iterator[Change]:
    """Each TLV away, twice, shorter, longer and with another bit; each with and without the CRC."""
    patches, arena = patches_to(BASE, replace(SAID, version_floor=1))
    for format_, patch in patches.items():
        tested = take_head_apart(patch).with_more(tlv(wire.Tlv.SELF_TEST, b"\x10\0\0\0"))
        parts = take_head_apart(tested.join(repaired=True))
        whole = Change("", BASE, {format_: b""}, arena=arena, floor=1)
        for one in parts.tlvs:
            for name, changed, result in _changes_of(parts, one[0], one[2:], format_, whole):
                name = f"{wire.Tlv(one[0]).name} of format {format_} {name}"
                yield replace(result, name=name, patches={format_: changed.join(repaired=True)})
                if format_ == 2:
                    damaged = {2: changed.join(repaired=False)}
                    yield replace(
                        whole, name=f"{name}, as damage", patches=damaged, head="METADATA"
                    )


def _changes_of(
    parts: HeadParts, tag: int, value: bytes, format_: int, whole: Change
) -> Iterator[tuple[str, HeadParts, Change]]:
    """What was done to the TLV, the patch with it, and what comes of that with the CRC repaired."""
    refused = replace(whole, head="METADATA")
    rule = next((r for r, t in READS[format_].items() if t == tag), None)
    removed = whole
    if rule is not None:
        removed = replace(whole, missing={format_: frozenset({rule})})
    if rule == "ARENA":
        removed = replace(removed, arena=0)
    if tag == wire.Tlv.MODEL_VERSION:
        removed = replace(removed, version=0)
    if tag == wire.Tlv.VERSION_FLOOR:
        removed = replace(removed, floor=0)
    yield "removed", parts.without(tag), removed
    yield "twice", parts.with_more(tlv(tag, value)), refused
    text = wire.TLVS[wire.Tlv(tag)]
    other_name = replace(whole, breaks={2: frozenset({"NAME"})})
    for name, new in (("shortened", value[:-1]), ("lengthened", value + b"\0")):
        if tag == wire.Tlv.MODEL_NAME and new:
            result = other_name
        elif tag in (wire.Tlv.NOTE, wire.Tlv.LABELS):
            result = whole
        else:  # numbers have one length; and a list of operators does not end in the midst of one
            result = refused
        yield name, parts.with_value(tag, new), result
    yield "empty", parts.with_value(tag, b""), _empty(whole, refused, tag, text.least)
    yield "far too long", parts.with_value(tag, bytes(text.most + 1)), refused


def _empty(whole: Change, refused: Change, tag: int, least: int) -> Change:
    """An empty list of operators needs nothing; nothing else may be empty."""
    return whole if tag == wire.Tlv.OPERATORS and least == 0 else refused


def other_tlvs() -> Iterator[Change]:
    """TLVs that nobody asked for."""
    patches, arena = patches_to(BASE)
    whole = Change("", BASE, {}, arena=arena)
    for format_, patch in patches.items():
        parts = take_head_apart(patch)
        for tag in (0, 0x13, 0x7F, *(t for t in wire.Tlv if format_ not in wire.TLVS[t].formats)):
            size = wire.TLVS[wire.Tlv(tag)].most if tag in wire.TLVS else 0
            more = parts.with_more(tlv(tag, bytes(size)))
            yield replace(
                whole, name=f"tag {tag:#x} in format {format_}", head="METADATA",
                patches={format_: more.join(repaired=True)},
            )  # fmt: skip
        if format_ == 2:
            downgrade = parts.with_more(tlv(wire.Tlv.DOWNGRADE, bytes(4)))
            yield replace(
                whole, name="a downgrade that nobody signed", head="METADATA",
                patches={2: downgrade.join(repaired=True)},
            )  # fmt: skip
        for tag in (0x80, 0xFF):
            more = parts.with_more(tlv(tag, bytes(255))).with_more(tlv(tag, b""))
            yield replace(
                whole, name=f"a vendor's tag {tag:#x} in format {format_}",
                patches={format_: more.join(repaired=True)},
            )  # fmt: skip


def class_changes() -> Iterator[Change]:
    for name in ("", "other", "board2", "Board"):
        patches, arena = patches_to(BASE, replace(SAID, device_class=name))
        yield Change(
            f"for the class {name!r}", BASE, {2: patches[2]}, arena=arena, device_class=name
        )


def signed_changes() -> Iterator[Change]:
    """What is signed is judged as ever; what was changed since is not."""
    whole = signed_to(BASE)
    yield whole
    yield replace(signed_to(BASE, replace(SAID, device_class="other")), device_class="other")
    yield replace(signed_to(BASE, replace(SAID, device_class="")), device_class="")
    yield replace(
        signed_to(BASE, replace(SAID, name="n")), breaks={2: frozenset({"NAME"})}, name="and NAME"
    )
    yield replace(signed_to(BASE, replace(SAID, downgrade=99)), name="signed, with a downgrade")
    parts = take_head_apart(whole.patches[2])
    wrong = replace(whole, signature="SIGNATURE")
    none = replace(parts, signature=bytes(len(parts.signature)))
    yield replace(wrong, name="not signed yet", patches={2: none.join(repaired=True)})
    for one in parts.tlvs:
        name = wire.Tlv(one[0]).name
        for what, changed in (
            ("removed", parts.without(one[0])),
            ("moved behind", parts.without(one[0]).with_more(one)),
        ):
            if changed == parts:  # it was the last
                continue
            joined = changed.join(repaired=True)
            yield replace(wrong, name=f"signed, {name} {what}", patches={2: joined})
    moved = replace(parts, tlvs=parts.tlvs[::-1])
    yield replace(
        whole,
        name="signed, in another order",
        patches={2: moved.join(repaired=True, signer=SIGNER)},
    )


CHANGES: tuple[Callable[[], Iterator[Change]], ...] = (
    operator_changes,
    interface_changes,
    size_changes,
    said_changes,
    tlv_changes,
    other_tlvs,
    class_changes,
    signed_changes,
)
