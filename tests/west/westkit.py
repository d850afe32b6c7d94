"""What the tests of the west commands share."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SLOT = 16384
ADDRESS = 0x0810_0000

# What Zephyr's own manifest has, as far as it matters here: projects that this one wants, some that
# it does not, and the group that it leaves out.
WANTED = (
    *("cmsis_6", "hal_adi", "hal_espressif", "hal_nordic", "hal_renesas", "hal_rpi_pico"),
    *("hal_st", "hal_stm32", "mbedtls", "mldsa-native", "picolibc", "segger", "tf-psa-crypto"),
    "zcbor",
)
UNWANTED = ("hal_nxp", "lvgl")
OPTIONAL = ("tflite-micro", "thrift")

Run = subprocess.CompletedProcess[str]
West = Callable[..., Run]
MakeBuild = Callable[..., Path]
