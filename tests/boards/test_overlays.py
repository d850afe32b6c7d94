"""Each board's overlay over each layout that Zephyr trees have for the board."""

from __future__ import annotations

import re

import pytest
import yaml
from overlays import (
    ALL,
    BOARDS,
    MAPPED,
    ROOT,
    SNIPPET,
    Board,
    check_with_dtc,
    overlay_of,
    read,
    tree_of,
    tree_under,
)

from tinymldelta.devicetree import check, model_node
from tinymldelta.errors import Refusal

LAYOUTS = [
    pytest.param(board, macros, id="-".join((board.name, *macros)))
    for board in ALL
    for macros in board.skeletons
]


@pytest.mark.parametrize(("board", "macros"), LAYOUTS)
def test_overlay_makes_a_sound_layout(board: Board, macros: tuple[str, ...], tmp_path) -> None:
    tree = tree_of(board, macros, tmp_path)
    check_with_dtc(tree)
    node = model_node(read(tree), "tmd_model")
    check(node)
    assert [region.label for region in node.regions] == [
        "tmd_slot0",
        "tmd_slot1",
        "tmd_records",
        "tmd_staging",
    ]
    slot = node.slots[0]
    assert (slot.address, slot.bytes) == (board.address, board.slot_bytes)
    assert {(r.erase_bytes, r.write_bytes) for r in node.regions} == {
        (board.erase_bytes, board.write_bytes)
    }
    # Mapped, all of them are; and an address is the flash's own plus the offset.
    for region in node.regions:
        if slot.address is None:
            assert region.address is None
        else:
            assert region.address == slot.address - slot.offset + region.offset


TAKING = [
    ("nrf52840dk", ()),
    ("nrf52840dk", MAPPED),
    ("nrf5340dk", ()),
    ("nrf5340dk", MAPPED),
    ("arduino_nano_33_ble", MAPPED),
    ("arduino_uno_r4", MAPPED),
    ("rpi_pico2", MAPPED),
    ("esp32_devkitc", MAPPED),
    ("esp32s3_devkitc", MAPPED),
]


@pytest.mark.parametrize(("name", "macros"), TAKING, ids=["-".join((n, *m)) for n, m in TAKING])
def test_what_an_overlay_takes_away_was_in_its_way(
    name: str, macros: tuple[str, ...], tmp_path
) -> None:
    whole = overlay_of(name).read_text()
    kept = re.sub(r"/delete-node/ .*;|&code_partition \{[^}]*\};", "", whole)
    assert kept != whole
    (tmp_path / "kept.overlay").write_text(kept)
    tree = tree_under(tmp_path / "kept.overlay", name, macros, tmp_path)
    with pytest.raises(Refusal, match="overlap"):
        check(model_node(read(tree), "tmd_model"))


def test_every_board_has_its_files() -> None:
    folders = [path for path in BOARDS.iterdir() if path.is_dir() and path.name != "__pycache__"]
    # Those without an overlay have a firmware without Zephyr, which tests/emulated looks at.
    zephyr = [path.name for path in folders if overlay_of(path.name).is_file()]
    assert sorted(zephyr) == sorted(board.name for board in ALL)
    for path in folders:
        assert (path / "README.md").is_file()
        assert path.name in (*zephyr, "emulated") or (path / "SConscript").is_file()
    for name in zephyr:
        text = overlay_of(name).read_text()
        assert text.startswith("/* SPDX-License-Identifier: Apache-2.0 */\n")
        for label in ("tmd_model", "tmd_slot0", "tmd_slot1", "tmd_records", "tmd_staging"):
            assert len(re.findall(rf"^\t*{label}: ", text, re.MULTILINE)) == 1


def test_notes_say_what_the_overlays_say() -> None:
    overview = (BOARDS / "README.md").read_text()
    for board in ALL:
        text = overlay_of(board.name).read_text()
        regions = {
            name: (at, int(size, 0) // 1024)
            for name, at, size in re.findall(
                r"tmd_(\w+): partition@\w+ \{[^}]*reg = <(\w+) (\w+)>", text
            )
        }
        notes = (BOARDS / board.name / "README.md").read_text()
        slots = f"{regions['slot0'][0]}, {regions['slot1'][0]}"
        assert f"| slots | {slots} | {regions['slot0'][1]} KB each |" in notes
        for name in ("staging", "records"):
            assert f"| {name} | {regions[name][0]} | {regions[name][1]} KB |" in notes
        assert f"| {board.name} | 2 × {regions['slot0'][1]} KB" in overview
        unit = f"{board.erase_bytes // 1024} KB"
        assert f"Erase unit {unit}" in notes and f"write unit {board.write_bytes}" in notes


def test_no_board_of_zephyr_is_defined_again() -> None:
    # Two board.yml of one name stop a build with today's Zephyr.
    assert not list(BOARDS.rglob("board.yml")) + list(BOARDS.rglob("*_defconfig"))


def test_firmware_is_held_out_of_the_regions() -> None:
    """What the linker is told in a .conf is where the first region begins, or before."""
    for board in ALL:
        conf = BOARDS / board.name / f"{board.name}.conf"
        if conf.is_file():
            limit = int(re.search(r"^CONFIG_FLASH_LOAD_SIZE=(.*)$", conf.read_text(), re.M)[1], 0)
            regions = re.findall(r"tmd_\w+: partition@(\w+)", overlay_of(board.name).read_text())
            assert limit <= min(int(at, 16) for at in regions)


def test_snippet_names_each_boards_files() -> None:
    snippet = yaml.safe_load(SNIPPET.read_text())
    assert snippet["name"] == "tinymldelta"
    named = set()
    for key, settings in snippet["boards"].items():
        assert key[0] == key[-1] == "/" and "\\" not in key  # CMake would want its \ doubled
        files = {
            name: (SNIPPET.parent / value).resolve() for name, value in settings["append"].items()
        }
        overlay = files.pop("EXTRA_DTC_OVERLAY_FILE")
        conf = overlay.with_suffix(".conf")
        assert overlay.is_file() and overlay.is_relative_to(ROOT / "boards")
        assert files == ({"EXTRA_CONF_FILE": conf} if conf.is_file() else {})
        named.add(overlay)
    assert named == {overlay_of(board.name) for board in ALL}
