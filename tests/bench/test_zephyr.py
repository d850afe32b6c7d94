"""What `./run bench zephyr` counts as the module, and that the README says what it found."""

from __future__ import annotations

import re
from pathlib import Path

import zephyr

ROOT = Path(__file__).resolve().parents[2]

# As ld writes it, of a firmware for a Cortex-M whose flash begins at 0.
MAP = """
Discarded input sections

 .text.gone     0x00000000       0x40 modules/tinymldelta/libtinymldelta.a(body.c.obj)

Linker script and memory map

text            0x00000200     0x1000
 .text.main     0x00000200       0x60 app/libapp.a(main.c.obj)
 .text.tmd_store_mount
                0x00000260       0x50 modules/tinymldelta/libtinymldelta.a(store.c.obj)
 .text.a_step   0x000002b0       0x30 modules/tinymldelta/libtinymldelta.a(body.c.obj)
 .text.handle   0x000002e0       0x10 modules/tinymldelta/libtinymldelta.a(smp_mgmt.c.obj)
 .text.tmd_smp_handle
                0x000002f0       0x20 modules/tinymldelta/libtinymldelta.a(group.c.obj)
rodata          0x00000400       0x80
 .rodata.tmd_contract
                0x00000400       0x18 app/libapp.a(tmd_models.c.obj)
 .rodata.tmd_model_thermo
                0x00000420     0x1170 app/libapp.a(tmd_model_thermo.c.obj)
datas           0x20000000       0x30 load address 0x00000500
 .data.tmd_thermo
                0x20000000       0x24 app/libapp.a(tmd_models.c.obj)
bss             0x20000030      0x100
 .bss.update    0x20000030       0x80 modules/tinymldelta/libtinymldelta.a(model.c.obj)
.debug_info     0x00000000     0x9999
 .debug_info    0x00000010      0x500 modules/tinymldelta/libtinymldelta.a(store.c.obj)
"""


def test_the_module_alone_is_counted() -> None:
    use = zephyr.use_of(MAP)
    assert use.flash == {
        "store": 0x50,
        "core": 0x30,
        "ports/zephyr": 0x10,
        "smp": 0x20,
        zephyr.STORES: 0x18 + 0x24,  # initial values lie in flash too
    }
    assert use.ram == {zephyr.STORES: 0x24, "ports/zephyr": 0x80}


def test_every_source_of_the_module_is_of_one_room() -> None:
    for room in zephyr.ROOMS:
        for source in (zephyr.MODULE / room).glob("*.c"):
            others = [r for r in zephyr.ROOMS if (zephyr.MODULE / r / source.name).is_file()]
            assert others == [room]


def test_without_a_workspace(monkeypatch, capsys) -> None:
    monkeypatch.setenv("ZEPHYR_BASE", "/nowhere")
    assert zephyr.main([]) == 2
    assert "set ZEPHYR_BASE" in capsys.readouterr().err


def test_the_readme_says_what_was_measured() -> None:
    report = (ROOT / "benchmarks" / "zephyr.md").read_text(encoding="utf-8")
    flash, ram = re.findall(r"^\| all \| ([\d,]+) \|", report, re.MULTILINE)
    assert re.search(r"^\|  \| b_u585i_iot02a \|", report, re.MULTILINE)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"takes {flash} bytes of flash and {ram} of RAM on a b_u585i_iot02a" in readme
