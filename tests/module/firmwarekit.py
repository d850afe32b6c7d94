"""What the tests of the module share: a devicetree with two models, and what CMake asks for."""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import flatbuffers
import jinja2
import pytest
import tflite
import yaml
from overlays import ROOT, overlay_of, read, tree_under

import tinymldelta

MODULE = ROOT / "zephyr_module"
DIGITS = ROOT / "samples" / "host" / "models" / "digits"
SST = ROOT / "samples" / "host" / "models" / "sst"

# Beside the overlay of the board: a second model, in the first bank.
SECOND_MODEL = """
/ {
	sst_model: sst-model {
		compatible = "tinymldelta,model";
		slots = <&sst_slot0 &sst_slot1>;
		records = <&sst_records>;
	};
};

&flash0 {
	sst-partitions {
		compatible = "fixed-partitions";
		#address-cells = <1>;
		#size-cells = <1>;

		sst_slot0: partition@1d0000 {
			reg = <0x1d0000 0x2000>;
		};

		sst_slot1: partition@1d2000 {
			reg = <0x1d2000 0x2000>;
		};

		sst_records: partition@1d4000 {
			reg = <0x1d4000 0x4000>;
		};
	};
};
"""


@dataclass(frozen=True)
class Zephyr:
    """A devicetree as Zephyr's build leaves it, and as much of a Zephyr tree as reads it."""

    edt: Path
    base: Path


def make_zephyr(folder: Path, more: str = SECOND_MODEL) -> Zephyr:
    """The devicetree of b_u585i_iot02a with this project's overlay, and `more` behind it."""
    edtlib = pytest.importorskip("devicetree.edtlib", reason="needs requirements/boards.txt")
    folder.mkdir(parents=True, exist_ok=True)
    library = folder / "zephyr" / "scripts" / "dts" / "python-devicetree" / "src"
    library.mkdir(parents=True)
    (library / "devicetree").symlink_to(Path(edtlib.__file__).parent)
    overlay = folder / "application.overlay"
    overlay.write_text(overlay_of("b_u585i_iot02a").read_text() + more)
    edt = folder / "edt.pickle"
    edt.write_bytes(pickle.dumps(read(tree_under(overlay, "b_u585i_iot02a", (), folder))))
    return Zephyr(edt, folder / "zephyr")


def make_python(path: Path) -> None:
    """The Python of a build, that has what the generator needs but not the generator.

    An editable installation comes before PYTHONPATH, which is where tmd_add_model() names the one
    to be run; without `site` there is none.
    """
    needed = (flatbuffers, jinja2, tflite, yaml)
    packages = ":".join({str(Path(package.__file__).parents[1]) for package in needed})
    path.write_text(
        f'#!/bin/sh\nPYTHONPATH="$PYTHONPATH:{packages}" exec "{sys.executable}" -S "$@"\n'
    )
    path.chmod(0o755)


def model(name: str, file: Path, **said: str) -> dict[str, str]:
    """What one tmd_add_model() becomes: every argument as a text, empty if it was left out."""
    options = (
        *("arena", "arena_need", "version", "lowest_version", "resolver"),
        *("extra_ops", "note", "labels"),
    )
    return {
        "name": name,
        **dict.fromkeys(options, ""),
        "node": "tmd_model",
        "factory": "FALSE",
        "file": str(file),
        **said,
    }


# Kconfig's defaults, as CMake has them: what is n is not defined.
OPTIONS = {
    "format_1": "",
    "accept_unguarded": "",
    "accept_no_digest": "",
    "other_kernels_warn": "",
    "other_kernels_take": "",
    "free_quantisation": "",
    "compare_tensor_names": "",
    "tflm": "",
    "meta_kept": "192",
    "warn_percent": "90",
    "staging": "y",
    "erase_bytes": "0",
    "write_bytes": "0",
    "write_buffer": "256",
    "verify": "",
    "mac_keys": "",
    "anti_rollback": "",
    "decrypt": "",
    "device_class": "",
}


def request(zephyr: Zephyr, *models: Mapping[str, str], **options: object) -> dict[str, object]:
    """The document that tmd_add_model.cmake leaves as request.json."""
    return {
        "models": list(models),
        "package": str(Path(tinymldelta.__file__).parents[1]),
        "edt": str(zephyr.edt),
        "zephyr_base": str(zephyr.base),
        "decoder": "DEFAULT",
        "tflm_folder": "",
        "cmsis_nn": "",
        "sram_size": "",
        "public_keys": [],
        "decryption_keys": [],
        **OPTIONS,
        **options,
    }


def write_request(folder: Path, document: Mapping[str, object]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "request.json"
    path.write_text(json.dumps(document))
    return path


def contents(folder: Path) -> dict[str, bytes]:
    """What lies in a folder, by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}
