"""zephyr_module/Kconfig, read by kconfiglib without Zephyr, and what the C sources make of it."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from firmwarekit import MODULE, ROOT

kconfiglib = pytest.importorskip("kconfiglib", reason="needs requirements/module.txt")

HERE = Path(__file__).parent

# What Zephyr has, as far as the module's Kconfig asks for it: prompts, so that tests can set them.
SOCS = (
    *("SOC_FAMILY_ESP32", "SOC_FAMILY_ESPRESSIF_ESP32", "SOC_FAMILY_MAX32"),
    *("SOC_FAMILY_RENESAS_RA", "SOC_FAMILY_RPI_PICO", "SOC_SERIES_RP2040", "SOC_SERIES_RP2XXX"),
    *("SOC_SERIES_STM32H7X", "SOC_SERIES_STM32L5X", "SOC_SERIES_STM32U5X"),
)
OF_ZEPHYR = (
    *("FLASH_MAP", "FLASH_PAGE_LAYOUT", "LOG", "MCUMGR", "SHELL"),
    *("FLASH_STM32", "SOC_FLASH_STM32", "TRUSTED_EXECUTION_NONSECURE", "BUILD_WITH_TFM"),
    *("MBEDTLS_PSA_CRYPTO_C", "PSA_CRYPTO", "PSA_CRYPTO_CLIENT"),
    *SOCS,
)
SELECTED = ("MCUMGR_SMP_CBOR_MIN_DECODING_LEVEL_2", "RUNTIME_NMI")
LOG_TEMPLATE = """
config $(module)_LOG_LEVEL
	int "Log level of $(module-str)"
	depends on LOG
	default 3
"""

FLASH = {"FLASH_MAP": "y", "FLASH_PAGE_LAYOUT": "y"}
ON = {**FLASH, "TINYMLDELTA": "y"}

DEFAULTS = {
    "TMD_ACCEPT_NO_DIGEST": "n",
    "TMD_ACCEPT_UNGUARDED": "n",
    "TMD_ANTI_ROLLBACK": "n",
    "TMD_COMPARE_TENSOR_NAMES": "n",
    "TMD_CRYPTO_MONOCYPHER": "n",
    "TMD_CRYPTO_PSA": "n",
    "TMD_DECODER_DEFAULT": "y",
    "TMD_DECODER_LEAN": "n",
    "TMD_DECODER_NONE": "n",
    "TMD_DECRYPT": "n",
    "TMD_DECRYPTION_KEYS": "",
    "TMD_DECRYPTION_PSA_KEY_ID": "",
    "TMD_DEVICE_CLASS": "",
    "TMD_ERASE_BYTES": "0",
    "TMD_EXCLUSIVE_FLASH": "n",
    "TMD_FLASH_ECC_STM32": "n",
    "TMD_FLASH_RUNS": "4",
    "TMD_FORMAT_1": "n",
    "TMD_FREE_QUANTISATION": "n",
    "TMD_MAC_KEYS": "",
    "TMD_MAC_PSA_KEY_ID": "",
    "TMD_META_KEPT": "192",
    "TMD_OTHER_KERNELS_REFUSE": "y",
    "TMD_OTHER_KERNELS_TAKE": "n",
    "TMD_OTHER_KERNELS_WARN": "n",
    "TMD_PROGRESS_BYTES": "4096",
    "TMD_PUBLIC_KEYS": "",
    "TMD_RESUME": "y",
    "TMD_SELF_TEST": "y",
    "TMD_SHA256_PSA": "n",
    "TMD_SHA256_PSA_BYTES": "",
    "TMD_SHELL": "n",
    "TMD_SMP": "n",
    "TMD_SMP_GROUP_ID": "",
    "TMD_STAGING": "y",
    "TMD_TFLM": "",
    "TMD_TRIAL": "y",
    "TMD_TRIAL_STARTS": "3",
    "TMD_VERIFY": "n",
    "TMD_WARN_PERCENT": "90",
    "TMD_WRITE_BUFFER": "256",
    "TMD_WRITE_BYTES": "0",
}

Configure = Callable[..., Any]


@pytest.fixture(scope="session")
def kconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    tree = tmp_path_factory.mktemp("kconfig")
    template = tree / "subsys" / "logging" / "Kconfig.template.log_config"
    template.parent.mkdir(parents=True)
    template.write_text(LOG_TEMPLATE)
    (tree / "Kconfig").write_text(
        "".join(f'config {name}\n\tbool "{name}"\n' for name in OF_ZEPHYR)
        + "".join(f"config {name}\n\tbool\n" for name in SELECTED)
        + f'source "{MODULE / "Kconfig"}"\n'
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("srctree", str(tree))
        patch.setenv("BOARD", "a_board")
        yield kconfiglib.Kconfig("Kconfig", warn_to_stderr=False)


@pytest.fixture
def configure(kconfig: Any) -> Configure:
    """Set options one after the other, as a prj.conf does; the rest is as it is by default."""

    def configured(options: dict[str, str] | None = None, **more: str) -> dict[str, str]:
        kconfig.unset_values()
        for name, value in {**(options or {}), **more}.items():
            assert kconfig.syms[name].set_value(value), f"{name}={value}"
        return {name: symbol.str_value for name, symbol in kconfig.syms.items()}

    return configured


def of_module(kconfig: Any) -> list[Any]:
    """The symbols that zephyr_module/Kconfig itself defines."""
    files = {str(MODULE / "Kconfig")}
    return [s for s in kconfig.unique_defined_syms if {n.filename for n in s.nodes} == files]


# ---- the text ----


def test_no_warnings(kconfig) -> None:
    assert kconfig.warnings == []


def test_every_option_has_a_prompt_and_a_help(kconfig) -> None:
    symbols = of_module(kconfig)
    assert {symbol.name for symbol in symbols} == {"TINYMLDELTA", *DEFAULTS}
    for symbol in symbols:
        (node,) = symbol.nodes
        assert node.prompt, symbol.name
        assert node.help and node.help.endswith("."), symbol.name
        assert not node.prompt[0].endswith("."), symbol.name
    assert len(kconfig.unique_choices) == 2
    for choice in kconfig.unique_choices:
        assert choice.nodes[0].prompt and choice.nodes[0].help


def test_everything_that_it_asks_zephyr_for_is_here(kconfig) -> None:
    """So that the tests below see what an option depends on, and a slip in a name is noticed."""
    undefined = {s.name for s in kconfig.syms.values() if not s.nodes and not s.is_constant}
    # Numbers in expressions are symbols to kconfiglib, and it knows one of Linux.
    assert {n for n in undefined if not re.fullmatch(r"\d+|0x[\da-f]+", n)} == {"MODULES"}


def used_names() -> set[str]:
    """The CONFIG_TMD_* of C, CMake, configuration files and samples, without the prefix."""
    folders = ("zephyr_module", "samples", "boards", "tests/zephyr", "codegen")
    kinds = {".c", ".h", ".cpp", ".cmake", ".txt", ".conf", ".py", ".j2", ".yaml", ".yml", ".md"}
    files = [
        path
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        # ESP-IDF has a Kconfig of its own; tests/arduino looks at it.
        if path.suffix in kinds and path.is_file() and not {"build", "esp_idf"} & set(path.parts)
    ]
    found = {
        name
        for path in files
        for name in re.findall(r"CONFIG_(TMD_[A-Z0-9_]*[A-Z0-9])\b", path.read_text())
    }
    cmake = (MODULE / "cmake" / "tmd_add_model.cmake").read_text()
    (listed,) = re.findall(r"foreach\(option ([A-Z0-9_\s]+)\)", cmake)
    return found | {f"TMD_{option}" for option in listed.split()}


def test_what_is_used_is_defined_and_the_reverse(kconfig) -> None:
    # The log level is the template's; of a choice, the default is what is left if none is chosen.
    left = {"TMD_DECODER_DEFAULT", "TMD_OTHER_KERNELS_REFUSE"}
    assert used_names() - {"TMD_LOG_LEVEL"} == set(DEFAULTS) - left
    assert "TMD_LOG_LEVEL" in kconfig.syms


# ---- defaults and dependencies ----


def test_defaults(configure) -> None:
    values = configure(ON)
    assert {name: values[name] for name in DEFAULTS} == DEFAULTS
    assert values["TMD_LOG_LEVEL"] == ""
    assert configure(ON, LOG="y")["TMD_LOG_LEVEL"] == "3"


@pytest.mark.parametrize("missing", FLASH)
def test_nothing_without_flash(missing, configure) -> None:
    values = configure({**ON, missing: "n"})
    assert values["TINYMLDELTA"] == "n"
    assert {values[name] for name in DEFAULTS} <= {"n", ""}


def test_off_means_nothing_is_selected(configure) -> None:
    everything = dict.fromkeys(OF_ZEPHYR, "y")
    assert {configure(everything, TINYMLDELTA="n")[name] for name in SELECTED} == {"n"}


# Options, and what then is gone; an empty text: the option has no value.
@pytest.mark.parametrize(
    ("options", "then"),
    [
        ({"TMD_TRIAL": "n"}, {"TMD_SELF_TEST": "n", "TMD_TRIAL_STARTS": ""}),
        ({"TMD_RESUME": "n"}, {"TMD_STAGING": "n", "TMD_PROGRESS_BYTES": ""}),
        ({"TMD_DECODER_NONE": "y"}, {"TMD_FORMAT_1": "y", "TMD_DECODER_DEFAULT": "n"}),
        ({"TMD_DECODER_NONE": "y", "TMD_FORMAT_1": "n"}, {"TMD_FORMAT_1": "y"}),
        ({"TMD_DECODER_LEAN": "y"}, {"TMD_FORMAT_1": "n", "TMD_DECODER_DEFAULT": "n"}),
        ({"TMD_ACCEPT_NO_DIGEST": "y"}, {"TMD_ACCEPT_NO_DIGEST": "n"}),
        ({"TMD_ACCEPT_NO_DIGEST": "y", "TMD_FORMAT_1": "y"}, {"TMD_ACCEPT_NO_DIGEST": "y"}),
        ({"TMD_OTHER_KERNELS_WARN": "y"}, {"TMD_OTHER_KERNELS_REFUSE": "n"}),
        ({"TMD_OTHER_KERNELS_TAKE": "y"}, {"TMD_OTHER_KERNELS_REFUSE": "n"}),
        ({"TMD_SHELL": "y"}, {"TMD_SHELL": "n"}),
        ({"SHELL": "y"}, {"TMD_SHELL": "y"}),
        ({"MCUMGR": "y"}, {"TMD_SMP": "y", "TMD_SMP_GROUP_ID": "84", SELECTED[0]: "y"}),
        ({"MCUMGR": "y", "TMD_SMP": "n"}, {"TMD_SMP_GROUP_ID": "", SELECTED[0]: "n"}),
        ({"TMD_SHA256_PSA": "y"}, {"TMD_SHA256_PSA": "n"}),
    ],
)
def test_dependencies(options, then, configure) -> None:
    values = configure({**ON, **options})
    assert {name: values[name] for name in then} == then


@pytest.mark.parametrize("psa", ["MBEDTLS_PSA_CRYPTO_C", "PSA_CRYPTO", "PSA_CRYPTO_CLIENT"])
def test_psa_under_each_of_its_names(psa, configure) -> None:
    assert configure(ON, **{psa: "y"})["TMD_SHA256_PSA"] == "n"
    values = configure(ON, **{psa: "y"}, TMD_SHA256_PSA="y")
    assert (values["TMD_SHA256_PSA"], values["TMD_SHA256_PSA_BYTES"]) == ("y", "256")
    # A service keeps sessions, which an operation that is given up would leave open.
    values = configure(ON, **{psa: "y"}, TMD_SHA256_PSA="y", BUILD_WITH_TFM="y")
    assert values["TMD_SHA256_PSA"] == "n"


SIGNED = {**ON, "TMD_VERIFY": "y"}
OF_KEYS = ("TMD_PUBLIC_KEYS", "TMD_MAC_KEYS", "TMD_DECRYPTION_KEYS")


@pytest.mark.parametrize(
    ("options", "then"),
    [
        ({}, {"TMD_ANTI_ROLLBACK": "y", "TMD_DEVICE_CLASS": "a_board", "TMD_DECRYPT": "n"}),
        ({"TMD_DEVICE_CLASS": ""}, {"TMD_DEVICE_CLASS": ""}),
        ({"TMD_FORMAT_1": "y"}, {"TMD_VERIFY": "n", "TMD_DECRYPT": "n"}),
        ({"TMD_DECODER_NONE": "y"}, {"TMD_VERIFY": "n"}),
        ({"TMD_DECRYPT": "y"}, {"TMD_DECRYPT": "y"}),
        ({"TMD_DECRYPT": "y", "TMD_VERIFY": "n"}, {"TMD_DECRYPT": "n"}),
        # Ports: PSA if it is there, Monocypher if it is asked for.
        ({}, {"TMD_CRYPTO_PSA": "n", "TMD_MAC_PSA_KEY_ID": ""}),
        ({"TMD_CRYPTO_PSA": "y"}, {"TMD_CRYPTO_PSA": "n"}),
        ({"TMD_CRYPTO_MONOCYPHER": "y"}, {"TMD_CRYPTO_MONOCYPHER": "y"}),
        ({"TMD_CRYPTO_MONOCYPHER": "y", "TMD_VERIFY": "n"}, {"TMD_CRYPTO_MONOCYPHER": "n"}),
        (
            {"PSA_CRYPTO": "y"},
            {
                "TMD_CRYPTO_PSA": "y",
                "TMD_MAC_PSA_KEY_ID": "0x0",
                "TMD_DECRYPTION_PSA_KEY_ID": "",
                "TMD_CRYPTO_MONOCYPHER": "n",
            },
        ),
        ({"PSA_CRYPTO": "y", "TMD_VERIFY": "n"}, {"TMD_CRYPTO_PSA": "n"}),
        ({"PSA_CRYPTO_CLIENT": "y", "TMD_CRYPTO_PSA": "n"}, {"TMD_MAC_PSA_KEY_ID": ""}),
        ({"MBEDTLS_PSA_CRYPTO_C": "y", "TMD_DECRYPT": "y"}, {"TMD_DECRYPTION_PSA_KEY_ID": "0x0"}),
    ],
)
def test_signed_patches(options, then, configure) -> None:
    values = configure({**SIGNED, **options})
    assert {name: values[name] for name in then} == then


def test_without_signed_patches_nothing_of_keys_is_there(configure) -> None:
    values = configure(ON, PSA_CRYPTO="y")
    assert {values[name] for name in OF_KEYS} == {""}
    assert (values["TMD_DEVICE_CLASS"], values["TMD_ANTI_ROLLBACK"]) == ("", "n")


@pytest.mark.parametrize("name", ["TMD_MAC_PSA_KEY_ID", "TMD_DECRYPTION_PSA_KEY_ID"])
def test_ids_of_persistent_keys(name, configure) -> None:
    """What PSA leaves to applications (PSA_KEY_ID_USER_MAX)."""
    on = {**SIGNED, "PSA_CRYPTO": "y", "TMD_DECRYPT": "y"}
    for value in ("0x1", "0x3fffffff"):
        assert configure(on, **{name: value})[name] == value
    assert configure(on, **{name: "0x40000000"})[name] != "0x40000000"


@pytest.mark.parametrize("soc", SOCS)
def test_where_flash_and_inference_exclude_each_other(soc, configure) -> None:
    """Any but the STM32, whose second bank can be written while the first is read."""
    expected = "n" if "STM32" in soc else "y"
    assert configure(ON, **{soc: "y"})["TMD_EXCLUSIVE_FLASH"] == expected
    other = {"n": "y", "y": "n"}[expected]
    assert configure(ON, **{soc: "y"}, TMD_EXCLUSIVE_FLASH=other)["TMD_EXCLUSIVE_FLASH"] == other


@pytest.mark.parametrize("driver", ["FLASH_STM32", "SOC_FLASH_STM32"])
@pytest.mark.parametrize("series", ["L5", "U5"])
def test_ecc(series, driver, configure) -> None:
    soc = {f"SOC_SERIES_STM32{series}X": "y"}
    values = configure({**ON, **soc, driver: "y"})
    assert (values["TMD_FLASH_ECC_STM32"], values["RUNTIME_NMI"]) == ("y", "y")
    off = configure({**ON, **soc, driver: "y", "TMD_FLASH_ECC_STM32": "n"})
    assert (off["TMD_FLASH_ECC_STM32"], off["RUNTIME_NMI"]) == ("n", "n")
    for without in (
        {**soc},
        {driver: "y"},
        {"SOC_SERIES_STM32H7X": "y", driver: "y"},  # whose driver does it
        {**soc, driver: "y", "TRUSTED_EXECUTION_NONSECURE": "y"},
    ):
        assert configure({**ON, **without})["TMD_FLASH_ECC_STM32"] == "n"


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("TMD_FLASH_RUNS", 1, 16),
        ("TMD_META_KEPT", 64, 255),
        ("TMD_SMP_GROUP_ID", 64, 65535),
        ("TMD_TRIAL_STARTS", 0, 255),
        ("TMD_WARN_PERCENT", 1, 100),
        ("TMD_WRITE_BUFFER", 128, 256),
    ],
)
def test_ranges(name, low, high, configure) -> None:
    for value in (low, high):
        assert configure(ON, MCUMGR="y", **{name: str(value)})[name] == str(value)
    for value in (low - 1, high + 1):
        assert configure(ON, MCUMGR="y", **{name: str(value)})[name] != str(value)


# ---- what the core makes of it ----

BOOLS = (
    *("TMD_FORMAT_1", "TMD_TRIAL", "TMD_SELF_TEST", "TMD_RESUME", "TMD_STAGING"),
    *("TMD_VERIFY", "TMD_DECRYPT"),
)
DECODERS = ("TMD_DECODER_DEFAULT", "TMD_DECODER_LEAN", "TMD_DECODER_NONE")
OF_STORE = sorted((MODULE / "store").glob("*.c"))
SOURCES = [*sorted((MODULE / "core").glob("*.c")), *OF_STORE, MODULE / "smp" / "group.c"]
STRICT = ("-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")


def compile_all(folder: Path, how: str, sources: Sequence[Path] = SOURCES) -> str:
    """gcc's complaint about the sources, configured by the autoconf.h of the folder."""
    done = subprocess.run(
        ["gcc", *STRICT, how, f'-DTMD_CONFIG_FILE="{MODULE}/ports/zephyr/tmd_config.h"']
        + ["-include", "autoconf.h", "-I.", f"-I{HERE / 'include'}", f"-I{MODULE / 'include'}"]
        + [str(source) for source in sources],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    return done.stderr


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_every_combination_compiles(kconfig, configure, tmp_path) -> None:
    """As Kconfig resolves it: what it makes of options that exclude each other counts."""
    jobs: dict[str, tuple[Path, str, list[Path]]] = {}
    for (buffer, kept), decoder, *bools in itertools.product(
        (("256", "255"), ("128", "64")), DECODERS, *[("y", "n")] * len(BOOLS)
    ):
        sizes = {"TMD_WRITE_BUFFER": buffer, "TMD_META_KEPT": kept}
        configure(ON, **sizes, **{decoder: "y"}, **dict(zip(BOOLS, bools, strict=True)))
        folder = tmp_path / str(len(jobs))
        folder.mkdir(exist_ok=True)
        kconfig.write_autoconf(str(folder / "autoconf.h"))
        # gcc tells of functions that nothing calls only when it generates code. The size of the
        # buffer can make no such function; of it, the store's assertions are what counts.
        how = ("-S", SOURCES) if buffer == "256" else ("-fsyntax-only", OF_STORE)
        jobs.setdefault((folder / "autoconf.h").read_text(), (folder, *how))
    # Decoder and format 1: 5, as NONE selects it, and for 2 of them there is signed, and signed and
    # encrypted; trial and test: 3; resume and staging: 3.
    assert len(jobs) == (5 + 2 * 2) * 3 * 3 * 2
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        complaints = pool.map(lambda job: compile_all(*job), jobs.values())
        assert [text for text in complaints if text] == []


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_with_psa_the_core_has_no_sha256(kconfig, configure, tmp_path) -> None:
    configure(ON, PSA_CRYPTO="y", TMD_SHA256_PSA="y")
    kconfig.write_autoconf(str(tmp_path / "autoconf.h"))
    assert compile_all(tmp_path, "-S") == ""
    assert "tmd_sha256_init:" not in (tmp_path / "digest.s").read_text()
    configure(ON)
    kconfig.write_autoconf(str(tmp_path / "autoconf.h"))
    assert compile_all(tmp_path, "-S") == ""
    assert "tmd_sha256_init:" in (tmp_path / "digest.s").read_text()
