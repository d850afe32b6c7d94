"""The real thing, where it can be had: Arduino's core for UNO R4, and ESP-IDF.

TMD_ARDUINO_RENESAS: a checkout of ArduinoCore-renesas whose cores/arduino/api is there (it is a
link to ArduinoCore-API). Library and sketch are compiled as platform.txt compiles them, and linked
with the variant's linker script, with what the core and its prebuilt library would bring left open.
TMD_ESP_IDF: a checkout of ESP-IDF; the port, and from 6.0 on the sample, are compiled for an
ESP32-C3 with its headers. Neither can be fetched in CI, so both are skipped there.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from arduinokit import (
    DIGITS,
    ROOT,
    SAMPLES,
    TMD,
    assert_stays_in_ram,
    compile_all,
    need,
    run,
    unpack,
)

RENESAS = os.environ.get("TMD_ARDUINO_RENESAS", "")
ESP_IDF = os.environ.get("TMD_ESP_IDF", "")

VARIANTS = {
    "UNOWIFIR4": ("-DNO_USB", "-DBACKTRACE_SUPPORT", "-DARDUINO_UNOR4_WIFI"),
    "MINIMA": ("-DARDUINO_UNOR4_MINIMA",),
}
CPU = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")


def codegen(folder: Path, *options: str) -> None:
    run([*TMD, "codegen", f"digits={DIGITS / 'base.tflite'}", "--out", folder, *options])


@pytest.mark.skipif(not RENESAS, reason="set TMD_ARDUINO_RENESAS to a checkout of its core")
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("by", ["arduino", "platformio"])
def test_uno_r4(by: str, variant: str, tmp_path: Path) -> None:
    """by: whose build it is. As far as this code goes they differ in one name that is defined."""
    need("arm-none-eabi-gcc", "arm-none-eabi-g++")
    core = Path(RENESAS).resolve()
    place = core / "variants" / variant
    common = [
        *CPU, "-Os", "-nostdlib", "-fmessage-length=0", "-fsigned-char", "-ffunction-sections",
        "-fdata-sections", "-fno-builtin", *VARIANTS[variant], "-DF_CPU=48000000",
        "-DARDUINO=10607", f"-DARDUINO_{variant}",
        *(["-DARDUINO_ARCH_RENESAS_UNO"] if by == "arduino" else []),
        "-DARDUINO_ARCH_RENESAS", "-DARDUINO_FSP", "-D_XOPEN_SOURCE=700", f"@{place}/defines.txt",
        "-DCFG_TUSB_MCU=OPT_MCU_RAXXX", f"-I{core}/cores/arduino/tinyusb",
        f"-I{core}/cores/arduino/api/deprecated", f"-I{core}/cores/arduino", f"-I{place}",
    ]  # fmt: skip
    library = unpack(tmp_path)
    source = library / "src"
    common += [f"-I{source}", f"-iprefix{core}", f"@{place}/includes.txt"]
    c = ["arm-none-eabi-gcc", "-std=gnu11", *common]
    cpp = ["arm-none-eabi-g++", "-std=gnu++17", "-fno-rtti", "-fno-exceptions", *common]
    codegen(tmp_path / "sketch", "--slot", "32768", "--erase", "2048", "--write", "8")
    ino = tmp_path / "sketch" / "uno_r4.ino"
    ino.write_bytes((SAMPLES / "uno_r4" / "uno_r4.ino").read_bytes())

    made = tmp_path / "objects"
    objects = compile_all(sorted(source.rglob("*.c")), made, c, source)
    objects += compile_all(sorted(source.rglob("*.cpp")), made, cpp, source)
    objects += compile_all(sorted(ino.parent.glob("*.c")), made, c, ino.parent)
    objects += compile_all([ino], made, [*cpp, "-x", "c++", "-include", "Arduino.h"], ino.parent)
    assert_stays_in_ram(made / "tmd_ra4m1.c.o")

    program = tmp_path / "sketch.elf"
    run(
        [
            "arm-none-eabi-g++", *CPU, "--specs=nano.specs", "--specs=nosys.specs", *objects,
            "-L.", "-T", "fsp.ld", "-Wl,--gc-sections", "-Wl,--defsym=__Vectors=0x4000",
            "-Wl,-e,setup", "-Wl,-u,loop", "-Wl,--unresolved-symbols=ignore-all", "-o", program,
        ],
        cwd=place,
    )  # fmt: skip
    symbols = {
        line.split()[2]: int(line.split()[0], 16)
        for line in run(["arm-none-eabi-nm", "--defined-only", program]).splitlines()
    }
    for name in ("do_job", "announce_clock"):
        assert 0x20000000 <= symbols[name] < 0x20008000
    # Where the linker puts what .data begins with: the port reckons with at most 64 bytes between.
    headers = run(["arm-none-eabi-readelf", "-lW", program])
    loaded = re.search(r"LOAD +\S+ 0x20000000 (0x\w+) (0x\w+)", headers)
    assert loaded is not None
    end = int(loaded[1], 16) + int(loaded[2], 16)
    data = symbols["__data_end__"] - symbols["__data_start__"]
    assert end <= symbols["__etext"] + data + 64
    assert int(loaded[2], 16) == data


@pytest.mark.skipif(not ESP_IDF, reason="set TMD_ESP_IDF to a checkout of ESP-IDF")
@pytest.mark.parametrize("name", ["port", "sample"])
def test_esp32c3(name: str, tmp_path: Path) -> None:
    need("riscv64-unknown-elf-gcc")
    components = Path(ESP_IDF).resolve() / "components"
    version = (components / "esp_common/include/esp_idf_version.h").read_text(encoding="utf-8")
    major = int(re.search(r"ESP_IDF_VERSION_MAJOR +(\d+)", version)[1])  # type: ignore[index]
    if name == "sample" and major < 6:
        pytest.skip("ESP-IDF before 6.0 has headers for newlib, and this compiler has picolibc")
    values = {
        "IDF_TARGET_ESP32C3": 1, "IDF_TARGET_ARCH_RISCV": 1, "FREERTOS_HZ": 100,
        "FREERTOS_UNICORE": 1, "FREERTOS_NUMBER_OF_CORES": 1, "FREERTOS_MAX_TASK_NAME_LEN": 16,
        "FREERTOS_IDLE_TASK_STACKSIZE": 1536, "FREERTOS_THREAD_LOCAL_STORAGE_POINTERS": 1,
        "FREERTOS_QUEUE_REGISTRY_SIZE": 0, "FREERTOS_TIMER_TASK_PRIORITY": 1,
        "FREERTOS_TIMER_TASK_STACK_DEPTH": 2048, "FREERTOS_TIMER_QUEUE_LENGTH": 10,
        "FREERTOS_TASK_NOTIFICATION_ARRAY_ENTRIES": 1, "FREERTOS_ISR_STACKSIZE": 1536,
        "ESP_SYSTEM_SINGLE_CORE_MODE": 1, "MMU_PAGE_SIZE": 65536, "LOG_MAXIMUM_LEVEL": 3,
        "LOG_DEFAULT_LEVEL": 3, "LOG_VERSION": 1, "TMD_FORMAT_1": 1, "TMD_TRIAL": 1,
        "TMD_SELF_TEST": 1, "TMD_RESUME": 1, "TMD_STAGING": 1, "TMD_SERIAL": 1,
        "TMD_WRITE_BUFFER": 256, "TMD_META_KEPT": 192,
    }  # fmt: skip
    config = "".join(f"#define CONFIG_{key} {value}\n" for key, value in values.items())
    (tmp_path / "sdkconfig.h").write_text(
        config + '#define CONFIG_IDF_TARGET "esp32c3"\n', encoding="utf-8"
    )
    codegen(tmp_path, "--slot", "65536", "--erase", "4096", "--write", "4")
    kernel = "freertos/FreeRTOS-Kernel"
    folders = [
        *sorted(components.glob("*/include")),
        *sorted(components.glob("*/esp32c3/include")),
        *sorted(components.glob("*/esp32c3/include/esp32c3")),
        *sorted(components.glob("*/esp32c3")),
        *sorted(components.glob("*/include/esp32c3")),
        *sorted(components.glob("esp_hw_support/*/include")),
        *(
            components / folder
            for folder in (
                "soc/esp32c3/register", "hal/platform_port/include", f"{kernel}/include",
                "freertos/config/include", "freertos/config/include/freertos",
                "freertos/config/riscv/include", f"{kernel}/portable/riscv/include",
                f"{kernel}/portable/riscv/include/freertos", "freertos/esp_additions/include",
                "esp_libc/platform_include",
            )
        ),
    ]  # fmt: skip
    module = ROOT / "zephyr_module"
    port = module / "ports" / "esp_idf" / "tinymldelta"
    command = [
        "riscv64-unknown-elf-gcc", "-march=rv32imc", "-mabi=ilp32", "--specs=picolibc.specs",
        "-std=gnu17", "-Os", "-Wall", "-Wextra", "-Werror", "-DESP_PLATFORM",
        '-DTMD_CONFIG_FILE="tmd_config_esp_idf.h"', f"-I{tmp_path}", f"-I{module / 'include'}",
        f"-I{port}", f"-I{module / 'ports' / 'arduino' / 'src'}",
    ]  # fmt: skip
    for folder in folders:
        command += ["-isystem", str(folder)]
    sample = ROOT / "samples" / "esp_idf" / "main" / "main.c"
    source = sample if name == "sample" else port / "tmd_esp_partition.c"
    done = subprocess.run(
        [*command, "-c", source, "-o", tmp_path / "made.o"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[:3000]
