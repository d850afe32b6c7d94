"""Leaving elements of format 2 out."""

from __future__ import annotations

from pathlib import Path

import pytest

import ablation
from measure.pairs import SAMPLES
from tinymldelta.delta.encode import encode


def test_elements_are_left_out_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = [v for v in ablation.VARIANTS if v.constants or v.lean or v.name == "everything"][:3]
    monkeypatch.setattr(ablation, "VARIANTS", chosen)
    out = tmp_path / "ablation.md"
    assert ablation.main(["--out", str(out)]) == 0
    rows = [line for line in out.read_text().splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + len(chosen) - 1
    assert rows[1].startswith("| lean decoder | 1.")


def test_with_everything_it_is_the_encoder_of_the_package(tmp_path: Path) -> None:
    variant = ablation.VARIANTS[0]
    library = ablation.Library(variant, tmp_path / "all")
    folder = SAMPLES / "sst"
    base, target = ((folder / f"{name}.tflite").read_bytes() for name in ("base", "target"))
    assert ablation.smallest(library, variant, base, target) == 1 + len(encode(base, target))


@pytest.mark.parametrize("variant", ablation.VARIANTS, ids=lambda v: v.name)
def test_every_element_is_there_to_be_left_out(variant: ablation.Variant) -> None:
    for file, old, _ in variant.lines:
        assert (ablation.REPOSITORY / file).read_text().count(old) == 1
    yaml = (ablation.REPOSITORY / "codegen" / "wire.yaml").read_text()
    changed = ablation.changed_yaml(variant, yaml)
    assert (changed == yaml) == (not variant.constants and not variant.tables)


def test_what_is_not_there_cannot_be_left_out(tmp_path: Path) -> None:
    unknown = ablation.Variant("unknown", constants={"NO_SUCH": 1})
    with pytest.raises(ValueError, match="0 constants NO_SUCH"):
        ablation.Library(unknown, tmp_path / "unknown")
