"""The board overlays, and how one is read without a Zephyr tree.

A skeleton stands for the board's devicetree. It is preprocessed together with the overlay as Zephyr
does it, must pass dtc without a warning, and is read by the edtlib of PyPI's `devicetree`.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
BOARDS = ROOT / "boards"
SNIPPET = ROOT / "zephyr_module" / "snippets" / "tinymldelta" / "snippet.yml"
BINDINGS = [HERE / "bindings", ROOT / "zephyr_module" / "dts" / "bindings"]

FIXED: tuple[str, ...] = ()
MAPPED = ("MAPPED",)


@dataclass(frozen=True)
class Board:
    """A board's folder, and what must come out. `address`: of slot 0, None if it is not mapped;
    `skeletons`: the layouts that Zephyr trees have for it, as macros for its skeleton.
    """

    name: str
    address: int | None
    slot_bytes: int
    erase_bytes: int
    write_bytes: int
    skeletons: tuple[tuple[str, ...], ...] = field(default=(FIXED, MAPPED))


ALL = (
    Board("native_sim", None, 0x20000, 4096, 1),
    Board("qemu_cortex_m3", None, 0x2800, 1024, 8),
    Board("mps2_an521", None, 0x14000, 4096, 8),
    Board("b_u585i_iot02a", 0x08100000, 0x40000, 8192, 16),
    Board("arduino_uno_q", 0x08100000, 0x40000, 8192, 16),
    Board("arduino_nano_33_ble", 0x90000, 0x20000, 4096, 4),
    Board("arduino_uno_r4", 0x28000, 0x8000, 2048, 8),
    Board("nrf52840dk", 0x82000, 0x20000, 4096, 4),
    Board("nrf5340dk", 0x80000, 0x20000, 4096, 4),
    Board("rpi_pico2", 0x10200000, 0x40000, 4096, 1),
    Board("stm32h747i_disco", 0x08120000, 0x40000, 131072, 32),
    Board("esp32_devkitc", None, 0x20000, 4096, 4, (FIXED, MAPPED, (*MAPPED, "ONE_CORE"))),
    Board("esp32s3_devkitc", None, 0x40000, 4096, 4, (FIXED, MAPPED, (*MAPPED, "ONE_CORE"))),
    Board("max78000", 0x10040000, 0x10000, 8192, 16, (FIXED, MAPPED, (*MAPPED, "WITH_STORAGE"))),
)


# As a user writes a board up to Zephyr 3.6, and from 3.7 on.
SPELT = {
    "native_sim": ["native_sim", "native_sim_64", "native_sim/native", "native_sim/native/64",
                   "native_sim//64"],
    "qemu_cortex_m3": ["qemu_cortex_m3", "qemu_cortex_m3/ti_lm3s6965"],
    "mps2_an521": ["mps2_an521", "mps2/an521/cpu0"],
    "b_u585i_iot02a": ["b_u585i_iot02a", "b_u585i_iot02a/stm32u585xx"],
    "arduino_uno_q": ["arduino_uno_q", "arduino_uno_q/stm32u585xx"],
    "arduino_nano_33_ble": ["arduino_nano_33_ble", "arduino_nano_33_ble_sense",
                            "arduino_nano_33_ble/nrf52840", "arduino_nano_33_ble//sense",
                            "arduino_nano_33_ble@rev2/nrf52840/sense",
                            "arduino_nano_33_ble@rev2"],
    "arduino_uno_r4": ["arduino_uno_r4@wifi", "arduino_uno_r4_wifi", "arduino_uno_r4",
                       "arduino_uno_r4@minima/r7fa4m1ab3cfm"],
    "nrf52840dk": ["nrf52840dk_nrf52840", "nrf52840dk/nrf52840"],
    "nrf5340dk": ["nrf5340dk_nrf5340_cpuapp", "nrf5340dk/nrf5340/cpuapp",
                  "nrf5340dk@2.0.0/nrf5340/cpuapp"],
    "rpi_pico2": ["rpi_pico2/rp2350a/m33", "rpi_pico2/rp2350a/hazard3", "rpi_pico2/rp2350a/m33/w"],
    "stm32h747i_disco": ["stm32h747i_disco_m7", "stm32h747i_disco/stm32h747xx/m7"],
    "esp32_devkitc": ["esp32_devkitc_wroom", "esp32_devkitc/esp32/procpu"],
    "esp32s3_devkitc": ["esp32s3_devkitm", "esp32s3_devkitc/esp32s3/procpu"],
    "max78000": ["max78000evkit/max78000/m4", "max78000fthr/max78000/m4"],
}  # fmt: skip


def preprocess(sources: list[Path], out: Path, *flags: str) -> str:
    """The sources behind one another, as Zephyr preprocesses them. Returns gcc's complaint."""
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc, which preprocesses devicetrees")
    includes = [flag for source in sources for flag in ("-include", str(source))]
    return subprocess.run(
        ["gcc", "-E", "-P", "-x", "assembler-with-cpp", "-undef", "-nostdinc", "-D__DTS__"]
        + [*flags, *includes, "/dev/null", "-o", str(out)],
        capture_output=True,
        text=True,
    ).stderr


def read(tree: Path) -> Any:
    """An `edtlib.EDT`, by the edtlib of PyPI."""
    edtlib = pytest.importorskip("devicetree.edtlib", reason="needs requirements/boards.txt")
    return edtlib.EDT(str(tree), [str(folder) for folder in BINDINGS])


def check_with_dtc(tree: Path) -> None:
    """dtc takes the tree and has no warning about it."""
    if shutil.which("dtc") is None:
        pytest.skip("needs dtc (device-tree-compiler)")
    dtc = subprocess.run(
        ["dtc", "-I", "dts", "-O", "dtb", "-o", "/dev/null", str(tree)],
        capture_output=True,
        text=True,
    )
    assert (dtc.returncode, dtc.stderr) == (0, "")


def overlay_of(board: str) -> Path:
    return BOARDS / board / f"{board}.overlay"


def tree_under(overlay: Path, skeleton: str, macros: tuple[str, ...], folder: Path) -> Path:
    """The skeleton of that name with an overlay."""
    tree = folder / f"{skeleton}.dts"
    sources = [HERE / "skeletons" / f"{skeleton}.dts", overlay]
    assert preprocess(sources, tree, *(f"-D{macro}" for macro in macros)) == ""
    return tree


def tree_of(board: Board, macros: tuple[str, ...], folder: Path) -> Path:
    """The board's skeleton with its own overlay."""
    return tree_under(overlay_of(board.name), board.name, macros, folder)
