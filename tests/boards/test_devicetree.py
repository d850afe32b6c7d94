"""Reading a model's node, and every layout that is refused."""

from __future__ import annotations

import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from overlays import ALL, MAPPED, overlay_of, read, tree_of, tree_under

from tinymldelta.devicetree import ModelNode, Region, check, model_node, read_model_node
from tinymldelta.errors import Refusal

UNIT = 0x1000


def region(label: str, first: int, units: int, **changes: object) -> Region:
    """`units` erase units from unit `first` on, in a flash of 64."""
    whole = Region(
        label=label,
        path=f"/flash/partitions/{label}",
        offset=first * UNIT,
        bytes=units * UNIT,
        flash="/flash",
        flash_bytes=64 * UNIT,
        address=None,
        erase_bytes=UNIT,
        write_bytes=8,
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


SOUND = ModelNode(
    label="tmd_model",
    path="/tmd-model",
    slots=(region("slot0", 0, 8), region("slot1", 8, 8)),
    records=region("records", 16, 2),
    staging=region("staging", 18, 4),
    others=(region("storage", 22, 2),),
)


def refusal(node: ModelNode) -> Refusal:
    with pytest.raises(Refusal) as caught:
        check(node)
    assert "devicetree node tmd_model" in caught.value.where
    assert caught.value.fix
    return caught.value


def with_slots(**changes: object) -> ModelNode:
    return replace(SOUND, slots=tuple(replace(s, **changes) for s in SOUND.slots))


def test_a_sound_layout_is_taken() -> None:
    check(SOUND)
    check(replace(SOUND, staging=None))
    check(replace(SOUND, records=replace(SOUND.records, flash="/other", offset=0)))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_two_slots_are_wanted(count: int) -> None:
    slots = tuple(region(f"s{i}", 30 + i, 1) for i in range(count))
    assert f"{count} slots" in refusal(replace(SOUND, slots=slots)).what


def test_slots_of_two_sizes_are_refused() -> None:
    slots = (region("slot0", 0, 8), region("slot1", 8, 4))
    assert "32768 and 16384 bytes" in refusal(replace(SOUND, slots=slots)).what


def test_records_want_two_erase_units() -> None:
    assert "records" in refusal(replace(SOUND, records=region("records", 16, 1))).what


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (region("staging", 40, 4, offset=40 * UNIT + 8), "begins at 0x28008"),
        (region("staging", 40, 4, bytes=4 * UNIT + 256), "has 0x4100"),
        (region("staging", 40, 4, bytes=0), "staging has 0 bytes"),
        (region("staging", 61, 4), "ends at 0x41000"),
        (region("staging", 40, 4, erase_bytes=256, bytes=256), "has 256 bytes"),
        (region("staging", 40, 4, erase_bytes=64, bytes=960), "has 960 bytes"),
        (region("staging", 40, 4, enabled=False), "is disabled"),
    ],
)
def test_a_staging_region_at_fault_is_refused(part: Region, said: str) -> None:
    assert said in refusal(replace(SOUND, staging=part)).what


@pytest.mark.parametrize("write", [0, 3, 24, 512])
def test_write_units_that_no_buffer_is_made_of_are_refused(write: int) -> None:
    assert f"units of {write} bytes" in refusal(with_slots(write_bytes=write)).what


def test_a_write_unit_has_to_divide_the_erase_unit() -> None:
    changed = with_slots(write_bytes=256, erase_bytes=0x80)
    assert "does not divide" in refusal(changed).what


def test_an_erase_unit_of_nothing_is_refused() -> None:
    assert "erase units of 0x0" in refusal(with_slots(erase_bytes=0)).what


def test_a_flash_that_says_nothing_of_itself_is_taken_at_its_word() -> None:
    """SPI NOR: the units are known at run time, and the store checks them at mount."""
    unknown = {"flash_bytes": None, "erase_bytes": None, "write_bytes": None}
    check(
        ModelNode(
            label="tmd_model",
            path="/tmd-model",
            slots=(region("slot0", 0, 8, **unknown), region("slot1", 8, 8, **unknown)),
            records=region("records", 16, 2, **unknown),
            staging=None,
            others=(),
        )
    )


@pytest.mark.parametrize("name", ["slot0", "slot1", "records", "staging"])
def test_another_partition_in_a_region_is_refused(name: str) -> None:
    inside = next(r for r in SOUND.regions if r.label == name)
    other = replace(inside, label="image-1", path="/elsewhere", offset=inside.end - 8, bytes=8)
    said = refusal(replace(SOUND, others=(other,))).what
    assert name in said and "image-1" in said and "overlap" in said
    check(replace(SOUND, others=(replace(other, flash="/other"),)))


def units(part: Region) -> set[int]:
    return set(range(part.offset // UNIT, part.end // UNIT))


@given(
    st.lists(
        st.tuples(st.integers(0, 66), st.integers(1, 12)), min_size=5, max_size=5, unique=True
    ),
    st.booleans(),
)
def test_random_layouts_against_sets_of_units(places: list[tuple[int, int]], same: bool) -> None:
    if same:
        places[1] = (places[1][0], places[0][1])
    names = ("slot0", "slot1", "records", "staging", "other")
    slot0, slot1, records, staging, other = (
        region(name, *place) for name, place in zip(names, places, strict=True)
    )
    node = replace(SOUND, slots=(slot0, slot1), records=records, staging=staging, others=(other,))
    parts = [units(part) for part in (slot0, slot1, records, staging, other)]
    sound = (
        len(parts[0]) == len(parts[1])
        and len(parts[2]) >= 2
        and sum(map(len, parts)) == len(set.union(*parts))
        and all(max(part) < 64 for part in parts[:4])
    )
    try:
        check(node)
        taken = True
    except Refusal:
        taken = False
    assert taken == sound


def tree(tmp_path: Path, overlay: str, *macros: str) -> Path:
    """native_sim's skeleton under an overlay."""
    file = tmp_path / "own.overlay"
    file.write_text(overlay)
    return tree_under(file, "native_sim", macros, tmp_path)


def own(text: str, *changes: tuple[str, str]) -> str:
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


OVERLAY = overlay_of("native_sim").read_text()


def test_a_node_that_is_not_there_is_named_with_those_that_are(tmp_path) -> None:
    edt = read(tree(tmp_path, OVERLAY))
    with pytest.raises(Refusal, match=r"other: there is no such node.*tmd_model"):
        model_node(edt, "other")
    with pytest.raises(Refusal, match="flash0: its compatible is not tinymldelta,model"):
        model_node(edt, "flash0")
    with pytest.raises(Refusal, match=r"add an overlay"):
        model_node(read(tree(tmp_path, "")), "tmd_model")


def test_a_slot_that_is_no_partition_is_refused(tmp_path) -> None:
    overlay = own(OVERLAY, ("<&tmd_slot0 &tmd_slot1>", "<&tmd_slot0 &flash0>"))
    with pytest.raises(Refusal, match=r"flash0 .* is no flash partition"):
        model_node(read(tree(tmp_path, overlay)), "tmd_model")


def test_one_slot_named_twice_overlaps(tmp_path) -> None:
    overlay = own(OVERLAY, ("<&tmd_slot0 &tmd_slot1>", "<&tmd_slot0 &tmd_slot0>"))
    with pytest.raises(Refusal, match=r"tmd_slot0 .* and tmd_slot0 .* overlap"):
        check(model_node(read(tree(tmp_path, overlay)), "tmd_model"))


def test_without_staging_there_is_none(tmp_path) -> None:
    overlay = own(OVERLAY, ("\t\tstaging = <&tmd_staging>;\n", ""))
    node = model_node(read(tree(tmp_path, overlay)), "tmd_model")
    check(node)
    assert node.staging is None and len(node.regions) == 3


@pytest.mark.parametrize("macros", [(), MAPPED], ids=["fixed", "mapped"])
def test_a_partition_of_the_board_in_the_way_is_found(macros: tuple[str, ...], tmp_path) -> None:
    overlay = own(OVERLAY, ("partition@100000", "partition@fc000"), ("<0x100000 ", "<0xfc000 "))
    with pytest.raises(Refusal, match=r"tmd_slot0 .* and storage_partition .* overlap"):
        check(model_node(read(tree(tmp_path, overlay, *macros)), "tmd_model"))


def test_a_disabled_partition_is_in_nobodys_way(tmp_path) -> None:
    overlay = own(OVERLAY, ("partition@100000", "partition@fc000"), ("<0x100000 ", "<0xfc000 "))
    overlay = own(overlay, ("0xfc000 0x20000", "0xfc000 0x24000"))
    overlay = own(overlay, ("0x120000 0x20000", "0x120000 0x24000"))
    overlay = own(overlay, ("partition@140000", "partition@144000"), ("<0x140000 ", "<0x144000 "))
    overlay = own(overlay, ("partition@160000", "partition@164000"), ("<0x160000 ", "<0x164000 "))
    overlay += '&storage_partition { status = "disabled"; };\n'
    check(model_node(read(tree(tmp_path, overlay)), "tmd_model"))


def test_a_disabled_controller_is_refused(tmp_path) -> None:
    overlay = OVERLAY + '&flashcontroller0 { status = "disabled"; };\n'
    with pytest.raises(Refusal, match=r"/soc/flash-controller@0/flash@0 is disabled"):
        check(model_node(read(tree(tmp_path, overlay)), "tmd_model"))


def test_regions_within_a_partition_of_the_board(tmp_path) -> None:
    """Mapped partitions nest: the one around is not in the way, its address counts once."""
    overlay = """
        / {
            tmd_model: tmd-model {
                compatible = "tinymldelta,model";
                slots = <&a &b>;
                records = <&c>;
            };
        };
        &slot1_partition {
            #address-cells = <1>;
            #size-cells = <1>;
            ranges = <0x0 0x75000 0x69000>;
            a: partition@0 { compatible = "zephyr,mapped-partition"; reg = <0x0 0x8000>; };
            b: partition@8000 { compatible = "zephyr,mapped-partition"; reg = <0x8000 0x8000>; };
            c: partition@10000 { compatible = "zephyr,mapped-partition"; reg = <0x10000 0x2000>; };
        };
    """
    node = model_node(read(tree(tmp_path, overlay, *MAPPED)), "tmd_model")
    check(node)
    assert [r.offset for r in node.regions] == [0x75000, 0x7D000, 0x85000]
    assert "slot1_partition" not in [other.label for other in node.others]
    around = own(overlay, ("slots = <&a &b>", "slots = <&a &slot1_partition>"))
    with pytest.raises(Refusal, match="overlap|bytes"):
        check(model_node(read(tree(tmp_path, around, *MAPPED)), "tmd_model"))


def test_regions_within_a_fixed_partition_of_the_board(tmp_path) -> None:
    """In flash that does not begin at 0: an offset counts from the flash, and its base once."""
    overlay = """
        / {
            tmd_model: tmd-model {
                compatible = "tinymldelta,model";
                slots = <&a &b>;
                records = <&c>;
            };
        };
        &slot1_partition {
            compatible = "fixed-subpartitions";
            #address-cells = <1>;
            #size-cells = <1>;
            ranges = <0x0 0x78000 0x68000>;
            a: partition@0 { reg = <0x0 0x10000>; };
            b: partition@10000 { reg = <0x10000 0x10000>; };
            c: partition@20000 { reg = <0x20000 0x4000>; };
        };
    """
    (tmp_path / "own.overlay").write_text(overlay)
    node = model_node(
        read(tree_under(tmp_path / "own.overlay", "b_u585i_iot02a", (), tmp_path)), "tmd_model"
    )
    check(node)
    assert [r.offset for r in node.regions] == [0x78000, 0x88000, 0x98000]
    assert [r.address for r in node.regions] == [0x08078000, 0x08088000, 0x08098000]


@pytest.mark.parametrize("macros", [(), MAPPED], ids=["fixed", "mapped"])
def test_mapped_partitions_beside_the_boards(macros: tuple[str, ...], tmp_path) -> None:
    """A user's layout in the board's own group, each partition with both styles' properties."""
    overlay = own(OVERLAY, ("\ttmd-partitions {\n", "\tpartitions {\n"))
    for line in ('compatible = "fixed-partitions";', "#address-cells = <1>;", "#size-cells = <1>;"):
        overlay = own(overlay, (f"\t\t{line}\n", ""))
    overlay = own(overlay, ("\t\t\tlabel", '\t\t\tcompatible = "zephyr,mapped-partition"; label'))
    node = model_node(read(tree(tmp_path, overlay, *macros)), "tmd_model")
    check(node)
    assert [r.offset for r in node.regions] == [0x100000, 0x120000, 0x160000, 0x140000]


def test_flash_on_a_serial_bus(tmp_path) -> None:
    """No address, size in bits, and units that only the driver knows."""
    overlay = """
        / {
            soc { spi { #address-cells = <1>; #size-cells = <0>;
                nor: flash@1 {
                    compatible = "jedec,spi-nor"; reg = <1>; size = <0x100000>;
                    partitions { compatible = "fixed-partitions"; #address-cells = <1>;
                                 #size-cells = <1>;
                        a: partition@0 { reg = <0x0 0x8000>; };
                        b: partition@8000 { reg = <0x8000 0x8000>; };
                        c: partition@10000 { reg = <0x10000 LENGTH>; };
                    };
                };
            }; };
            tmd_model: tmd-model {
                compatible = "tinymldelta,model"; slots = <&a &b>; records = <&c>;
            };
        };
    """
    node = model_node(read(tree(tmp_path, overlay, "LENGTH=0x2000")), "tmd_model")
    check(node)
    assert {(r.address, r.erase_bytes, r.write_bytes) for r in node.regions} == {(None, None, None)}
    assert {r.flash_bytes for r in node.regions} == {0x20000}
    assert [r.offset for r in node.regions] == [0, 0x8000, 0x10000]
    long = model_node(read(tree(tmp_path, overlay, "LENGTH=0x20000")), "tmd_model")
    with pytest.raises(Refusal, match="ends at 0x30000"):
        check(long)


@pytest.fixture
def zephyr_base(tmp_path: Path) -> Path:
    """As much of a Zephyr tree as holds edtlib."""
    edtlib = pytest.importorskip("devicetree.edtlib", reason="needs requirements/boards.txt")
    library = tmp_path / "zephyr" / "scripts" / "dts" / "python-devicetree" / "src"
    shutil.copytree(Path(edtlib.__file__).parent, library / "devicetree")
    return tmp_path / "zephyr"


def test_a_builds_pickle_is_read_by_the_trees_own_edtlib(tmp_path, zephyr_base) -> None:
    board = next(board for board in ALL if board.name == "b_u585i_iot02a")
    edt = read(tree_of(board, (), tmp_path))
    saved = tmp_path / "edt.pickle"
    saved.write_bytes(pickle.dumps(edt))
    node = read_model_node(saved, zephyr_base, "tmd_model")
    assert node == model_node(edt, "tmd_model")
    assert node.slots[0].address == 0x08100000


def test_a_build_that_cannot_be_read_is_refused(tmp_path, zephyr_base) -> None:
    missing = tmp_path / "edt.pickle"
    with pytest.raises(Refusal, match="cannot be read.*build the firmware first"):
        read_model_node(missing, zephyr_base, "tmd_model")
    missing.write_bytes(b"no pickle")
    with pytest.raises(Refusal, match="is not what this Zephyr's edtlib writes"):
        read_model_node(missing, zephyr_base, "tmd_model")
    with pytest.raises(Refusal, match="is no Zephyr tree"):
        read_model_node(missing, tmp_path / "nowhere", "tmd_model")
