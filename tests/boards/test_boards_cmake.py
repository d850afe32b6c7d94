"""tmd_boards.cmake, run by cmake without Zephyr: which files it adds for how a board is spelt."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from overlays import ALL, BOARDS, ROOT, SNIPPET, SPELT

HELPER = ROOT / "zephyr_module" / "cmake" / "tmd_boards.cmake"

pytestmark = pytest.mark.skipif(shutil.which("cmake") is None, reason="needs cmake")

# Other builds for the same boards, with another layout.
UNKNOWN = [
    "frdm_k64f", "native_sim_", "native_simulator", "mps2_an521_", "esp32_devkitc_wroom_",
    "arduino_nano_33_ble_", "b_u585i_iot02a_ns",
    "b_u585i_iot02a/stm32u585xx/ns", "nrf52840dk_nrf52811", "nrf52840dk/nrf52811",
    "nrf5340dk_nrf5340_cpunet", "nrf5340dk_nrf5340_cpuapp_ns", "nrf5340dk/nrf5340/cpuapp/ns",
    "stm32h747i_disco_m4", "mps2/an521/cpu1", "mps2_an521_ns", "arduino_uno_q/stm32u585xx/ns",
    "rpi_pico2/rp2350a/m33/mcuboot", "rpi_pico2/rp2350a/m33/w/mcuboot", "rpi_pico",
]  # fmt: skip


@pytest.fixture
def run(tmp_path: Path):
    """Include the helper in an application's folder; what it set, and what it said."""

    def include(
        *defines: str, before: str = "", env: dict[str, str] | None = None
    ) -> tuple[dict[str, list[str]], str]:
        (tmp_path / "harness.cmake").write_text(
            f"cmake_minimum_required(VERSION 3.20)\n{before}\n"
            f'include("{HELPER}")\n'
            "foreach(name DTC_OVERLAY_FILE EXTRA_DTC_OVERLAY_FILE CONF_FILE EXTRA_CONF_FILE)\n"
            '  message(NOTICE "[${name}=${${name}}]")\n'
            "endforeach()\n"
        )
        clean = {k: v for k, v in os.environ.items() if k not in ("BOARD", "ZEPHYR_BOARD_ALIASES")}
        done = subprocess.run(
            ["cmake", *(f"-D{define}" for define in defines), "-P", "harness.cmake"],
            cwd=tmp_path,
            env=clean | (env or {}),
            capture_output=True,
            text=True,
        )
        said = done.stdout + done.stderr
        assert done.returncode == 0, said
        found = dict(re.findall(r"^\[(\w+)=(.*)\]$", said, re.MULTILINE))
        return {name: value.split(";") if value else [] for name, value in found.items()}, said

    return include


def files_of(board: str) -> dict[str, list[str]]:
    conf = BOARDS / board / f"{board}.conf"
    return {
        "DTC_OVERLAY_FILE": [],
        "EXTRA_DTC_OVERLAY_FILE": [str(BOARDS / board / f"{board}.overlay")],
        "CONF_FILE": [],
        "EXTRA_CONF_FILE": [str(conf)] if conf.is_file() else [],
    }


NOTHING: dict[str, list[str]] = {name: [] for name in files_of("native_sim")}


def test_every_board_is_spelt_here() -> None:
    assert list(SPELT) == [board.name for board in ALL]


@pytest.mark.parametrize(
    ("board", "spelt"), [(board, spelt) for board, all_ in SPELT.items() for spelt in all_]
)
def test_a_board_is_found_however_it_is_spelt(board: str, spelt: str, run) -> None:
    found, said = run(f"BOARD={spelt}")
    assert found == files_of(board)
    assert f"the flash layout for '{spelt}' is" in said


@pytest.mark.parametrize("spelt", UNKNOWN)
def test_a_board_without_a_layout_is_said_to_have_none(spelt: str, run) -> None:
    found, said = run(f"BOARD={spelt}")
    assert found == NOTHING
    assert f"has no flash layout for the board '{spelt}'" in said
    assert "boards/<board>.overlay" in said and f"{BOARDS}/README.md" in said
    named = re.search(r"copy (\S+) to", said)
    assert named and Path(named[1]).is_file()


def test_the_snippet_takes_the_same_boards() -> None:
    """Zephyr matches <board>/<qualifiers> against each key; a revision is not part of it."""
    keys = yaml.safe_load(SNIPPET.read_text())["boards"]

    def matches(name: str) -> list[str]:
        name = re.sub("@[^/]*", "", name)
        return [key for key in keys if re.search(f"^{key[1:-1]}$", name)]

    for board, all_ in SPELT.items():
        for spelt in all_:
            if "//" not in spelt:  # which Zephyr has put the SoC into by then
                (key,) = matches(spelt)
                assert f"/{board}.overlay" in keys[key]["append"]["EXTRA_DTC_OVERLAY_FILE"]
    assert not [name for name in UNKNOWN if matches(name)]


def test_where_zephyr_takes_the_board_from(run, tmp_path) -> None:
    board = {"env": {"BOARD": "mps2_an521"}}
    assert run(**board)[0] == files_of("mps2_an521")
    assert run(before="set(BOARD qemu_cortex_m3)")[0] == files_of("qemu_cortex_m3")
    # The command line before the environment, that before CMakeLists.txt; an earlier run first.
    assert run("BOARD=native_sim", **board)[0] == files_of("native_sim")
    assert run(before="set(BOARD native_sim)", **board)[0] == files_of("mps2_an521")
    assert run("BOARD=native_sim", "CACHED_BOARD=qemu_cortex_m3")[0] == files_of("qemu_cortex_m3")
    (tmp_path / "cache.txt").write_text("A:STRING=1\nBOARD:STRING=nrf52840dk/nrf52840\n")
    sysbuild = ("SYSBUILD=True", "SYSBUILD_CACHE=cache.txt")
    assert run(*sysbuild)[0] == files_of("nrf52840dk")
    assert run()[0] == NOTHING


def test_a_board_alias_is_looked_up(run, tmp_path) -> None:
    aliases = tmp_path / "aliases.cmake"
    aliases.write_text("set(mine_BOARD_ALIAS native_sim)\n")
    assert run("BOARD=mine", f"ZEPHYR_BOARD_ALIASES={aliases}")[0] == files_of("native_sim")
    env = {"ZEPHYR_BOARD_ALIASES": str(aliases)}
    assert run("BOARD=mine", env=env)[0] == files_of("native_sim")


def test_the_users_files_stay_and_come_last(run) -> None:
    found, _ = run(
        "BOARD=b_u585i_iot02a",
        "EXTRA_DTC_OVERLAY_FILE=a.overlay;b.overlay",
        "EXTRA_CONF_FILE=a.conf",
        "DTC_OVERLAY_FILE=c.overlay",
        "CONF_FILE=prj_release.conf",
    )
    ours = files_of("b_u585i_iot02a")
    assert found == {
        "DTC_OVERLAY_FILE": ["c.overlay"],
        "EXTRA_DTC_OVERLAY_FILE": [*ours["EXTRA_DTC_OVERLAY_FILE"], "a.overlay", "b.overlay"],
        "CONF_FILE": ["prj_release.conf"],
        "EXTRA_CONF_FILE": [*ours["EXTRA_CONF_FILE"], "a.conf"],
    }


@pytest.mark.parametrize(
    ("name", "defines"),
    [
        ("boards/nrf52840dk_nrf52840.overlay", ()),
        ("boards/nrf52840dk.overlay", ()),
        ("nrf52840dk.overlay", ()),
        ("app.overlay", ()),
        ("elsewhere/boards/nrf52840dk_nrf52840.overlay", ("APPLICATION_CONFIG_DIR=elsewhere",)),
        ("mine.overlay", ("DTC_OVERLAY_FILE=other.overlay mine.overlay",)),
        ("mine.overlay", ("EXTRA_DTC_OVERLAY_FILE=mine.overlay",)),
    ],
)
def test_an_applications_own_layout_is_left_alone(name, defines, run, tmp_path) -> None:
    overlay = tmp_path / name
    overlay.parent.mkdir(parents=True, exist_ok=True)
    overlay.write_text("/ { leds { }; };\n")
    given = [value for define in defines for value in [define.split("=")[1]] if "EXTRA" in define]
    found, _ = run("BOARD=nrf52840dk/nrf52840", *defines)
    ours = files_of("nrf52840dk")
    assert found["EXTRA_DTC_OVERLAY_FILE"] == [*ours["EXTRA_DTC_OVERLAY_FILE"], *given]

    overlay.write_text('/ { tmd_model: m { compatible = "tinymldelta,model"; }; };\n')
    found, said = run("BOARD=nrf52840dk/nrf52840", *defines)
    assert (found["EXTRA_DTC_OVERLAY_FILE"], found["EXTRA_CONF_FILE"]) == (given, [])
    assert f"the flash layout is the application's own: {overlay}" in said


def test_with_dtc_overlay_file_the_applications_folder_is_not_looked_into(run, tmp_path) -> None:
    """Because Zephyr then does not either."""
    (tmp_path / "app.overlay").write_text('"tinymldelta,model"')
    found, _ = run("BOARD=native_sim", "DTC_OVERLAY_FILE=nothing.overlay")
    ours = files_of("native_sim")["EXTRA_DTC_OVERLAY_FILE"]
    assert found["EXTRA_DTC_OVERLAY_FILE"] == ours


@pytest.mark.parametrize(
    "snippets", ["tinymldelta", "cdc-acm-console tinymldelta", "a;tinymldelta"]
)
def test_the_snippet_and_the_helper_add_the_files_once(snippets: str, run) -> None:
    assert run("BOARD=native_sim", f"SNIPPET={snippets}")[0] == NOTHING


def test_other_snippets_change_nothing(run) -> None:
    assert run("BOARD=native_sim", "SNIPPET=cdc-acm-console")[0] == files_of("native_sim")
