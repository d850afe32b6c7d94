"""What patches and contracts say in words: a class of devices, a note on a model, its labels."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

from tinymldelta.container.patch import Metadata
from tinymldelta.errors import Refusal
from tinymldelta.wire import constants as wire

_CLASS = re.compile(r"[A-Za-z0-9_.-]{1,31}\Z")


def class_id(name: str) -> int:
    """DEVICE_CLASS of SPEC.md for a class of that name; 0 for none."""
    return zlib.crc32(name.encode()) if name else 0


def check_class(name: str, where: str) -> str:
    """The name of a class of devices, empty for none. Refuses what is none."""
    if name and not _CLASS.match(name):
        raise Refusal(
            where,
            f"{name!r} is no name for a class of devices",
            "use letters, digits, _, - and ., at most 31 characters",
        )
    if name and not class_id(name):
        raise Refusal(
            where, f"the CRC-32 of {name!r} is 0, which stands for no class", "use another name"
        )
    return name


def parse_labels(text: bytes, where: str) -> tuple[str, ...]:
    """The names of classes in a file, one in each line. Refuses one that is no text."""
    try:
        lines = text.decode("utf-8-sig").replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError as error:
        raise Refusal(where, "not UTF-8 text", "give names of classes, one a line") from error
    # Not splitlines(), which knows a dozen other ends of lines; classes are counted by these.
    return tuple(lines[:-1] if lines[-1] == "" else lines)


def label_bytes(labels: Sequence[str]) -> bytes | None:
    """LABELS of SPEC.md, or None if there are none. Refuses a label with a line feed."""
    for label in labels:
        if not label or "\n" in label:
            raise Refusal("labels", f"{label!r} is no label", "give each class a name of one line")
    return "\n".join(labels).encode() or None


def words_of(name: str, note: str, labels: Sequence[str]) -> Metadata:
    """NOTE and LABELS for the model of that name. Refuses what is too long for its TLV."""
    try:
        words = Metadata(note=note.encode() or None, labels=label_bytes(labels))
    except UnicodeEncodeError as error:
        raise Refusal(name, "its note or labels are not UTF-8 text", "write them so") from error
    for what, value, tag in (
        ("note", words.note, wire.Tlv.NOTE),
        ("list of labels", words.labels, wire.Tlv.LABELS),
    ):
        most = wire.TLVS[tag].most
        if value is not None and len(value) > most:
            raise Refusal(
                name, f"its {what} needs {len(value)} bytes, {most} are the most", "shorten it"
            )
    return words
