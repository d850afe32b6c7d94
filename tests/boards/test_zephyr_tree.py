"""The overlays over the boards of a real Zephyr tree, which ZEPHYR_BASE names.

The tree's own preprocessing and edtlib, without CMake and compilers, so that any board can be
checked on any machine; and one build as users start it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from overlays import ALL, BINDINGS, ROOT, SPELT, Board, overlay_of, preprocess

from tinymldelta.devicetree import read_model_node

ZEPHYR = Path(os.environ.get("ZEPHYR_BASE", "nowhere"))

pytestmark = pytest.mark.skipif(
    not (ZEPHYR / "dts" / "bindings").is_dir(),
    reason="needs a Zephyr tree: set ZEPHYR_BASE, in a workspace with the HALs",
)

# Zephyr's gen_defines.py, down to the pickle that it leaves.
READ = """
import pickle, sys
sys.path.insert(0, sys.argv[1])
from devicetree import edtlib
edt = edtlib.EDT(sys.argv[2], sys.argv[4:], warn_reg_unit_address_mismatch=False,
                 default_prop_types=True, infer_binding_for_paths=["/zephyr,user"])
with open(sys.argv[3], "wb") as file:
    pickle.dump(edt, file, protocol=4)
"""


def sources_of(board: Board) -> list[Path]:
    """The devicetrees that this tree has for a board, one for each of its names here."""
    names = {spelt.replace("/", "_") for spelt in SPELT[board.name] if "@" not in spelt}
    return sorted(path for name in names for path in (ZEPHYR / "boards").rglob(f"{name}.dts"))


@pytest.mark.parametrize("board", ALL, ids=[board.name for board in ALL])
def test_overlay_over_the_board_itself(board: Board, tmp_path) -> None:
    sources = sources_of(board)
    if not sources:
        pytest.skip(f"this Zephyr tree has no {board.name}")
    modules = ZEPHYR.parent / "modules"
    includes = [
        *(ZEPHYR / name for name in ("include", "include/zephyr", "dts")),
        *(path for path in (ZEPHYR / "dts").iterdir() if path.name != "bindings"),
        *modules.glob("hal/*/dts"),
        *modules.glob("hal/*/include"),  # of Espressif's HAL: dt-bindings/pinctrl
    ]
    flags = [f"-isystem{path}" for path in includes if path.is_dir()]
    library = ZEPHYR / "scripts" / "dts" / "python-devicetree" / "src"
    for source in sources:
        tree = tmp_path / f"{source.stem}.dts"
        saved = tmp_path / f"{source.stem}.pickle"
        said = preprocess([source, overlay_of(board.name)], tree, *flags)
        if "No such file" in said and "pinctrl" in said:
            pytest.skip(f"this workspace lacks the HAL of {board.name}: {said.splitlines()[0]}")
        assert said == ""
        bindings = [str(ZEPHYR / "dts" / "bindings"), str(BINDINGS[1])]
        subprocess.run(
            [sys.executable, "-c", READ, str(library), str(tree), str(saved), *bindings],
            check=True,
        )
        node = read_model_node(saved, ZEPHYR, "tmd_model")
        slot = node.slots[0]
        assert (slot.address, slot.bytes) == (board.address, board.slot_bytes)
        assert (slot.erase_bytes, slot.write_bytes) == (board.erase_bytes, board.write_bytes)


@pytest.mark.parametrize("way", ["snippet", "helper", "both"])
def test_the_ways_to_use_an_overlay(way: str, tmp_path) -> None:
    """An application of anybody's, with an overlay of its own besides."""
    if shutil.which("west") is None:
        pytest.skip("needs west")
    (tmp_path / "main.c").write_text("int main(void) { return 0; }\n")
    (tmp_path / "prj.conf").write_text("CONFIG_FLASH=y\nCONFIG_FLASH_MAP=y\n")
    (tmp_path / "boards").mkdir()
    (tmp_path / "boards" / "native_sim.overlay").write_text("/ { from-application { }; };\n")
    (tmp_path / "extra.overlay").write_text("/ { from-user { }; };\n")
    helper = ROOT / "zephyr_module" / "cmake" / "tmd_boards.cmake"
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.20)\n"
        + (f'include("{helper}")\n' if way != "snippet" else "")
        + "find_package(Zephyr REQUIRED HINTS $ENV{ZEPHYR_BASE})\n"
        "project(anybodys)\n"
        "target_sources(app PRIVATE main.c)\n"
    )
    snippet = ["-S", "tinymldelta"] if way != "helper" else []
    done = subprocess.run(
        ["west", "build", "--cmake-only", "-b", "native_sim", *snippet, str(tmp_path)]
        + ["-d", str(tmp_path / "build"), "--", f"-DZEPHYR_EXTRA_MODULES={ROOT}"]
        + [f"-DEXTRA_DTC_OVERLAY_FILE={tmp_path / 'extra.overlay'}"],
        cwd=ZEPHYR.parent,
        env=os.environ | {"ZEPHYR_TOOLCHAIN_VARIANT": "host"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    tree = (tmp_path / "build" / "zephyr" / "zephyr.dts").read_text()
    for node in ("from-application {", "from-user {", "tmd_model: tmd-model {"):
        assert node in tree
    read_model_node(tmp_path / "build" / "zephyr" / "edt.pickle", ZEPHYR, "tmd_model")
