"""What is derived from wire.yaml is up to date, and a change of wire.yaml cannot go unnoticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tinymldelta.wire.definition import load_wire_definition
from tinymldelta.wire.render import render_all, render_spec


def test_every_derived_file_is_up_to_date(root: Path) -> None:
    for path, content in render_all(root).items():
        assert path.read_text(encoding="utf-8") == content, f"{path.name}: run `./run wire`"


def test_every_table_of_the_spec_is_rendered(root: Path) -> None:
    wire = load_wire_definition(root / "codegen" / "wire.yaml")
    spec = (root / "SPEC.md").read_text(encoding="utf-8")
    damaged = spec.replace("| 0 | `OK` |", "| 0 | `FINE` |")
    assert damaged != spec
    assert render_spec(wire, damaged) == spec


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("tag: 0x02", "tag: 0x01", "TLV tags"),
        ("tag: 0x02", "tag: 0x08", "count up"),
        ("tlv_vendor_first: 0x80", "tlv_vendor_first: 0x10", "vendor range"),
        ('NOTE, tag: 0x0E, type: "u8[96]", least: 1', "NOTE, tag: 0x0E, type: u32", "is none"),
        ("{1: TFLM_ABI, 2: KERNELS}", "{1: TFLM_ABI, 2: TFLM_ABI}", "in format 2"),
        ("{1: OPSET_HASH, 2: OPERATORS}", "{1: OPSET_HASH, 2: OPERATIONS}", "OPERATIONS"),
        ("code: -41", "code: -42", "status code"),
        ("status: ARENA,", "status: NONE,", "ARENA"),
        ("compare: at_most", "compare: perhaps", "perhaps"),
    ],
)
def test_a_contradiction_in_wire_yaml_is_refused(
    root: Path, tmp_path: Path, old: str, new: str, fault: str
) -> None:
    text = (root / "codegen" / "wire.yaml").read_text(encoding="utf-8")
    assert old in text
    broken = tmp_path / "wire.yaml"
    broken.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises((ValueError, KeyError), match=fault):
        load_wire_definition(broken)
