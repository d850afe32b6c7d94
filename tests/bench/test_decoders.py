"""Decoders side by side: what is counted and weighed, what fails, and that the table holds."""

from __future__ import annotations

import csv
import os
from dataclasses import replace
from pathlib import Path

import pytest

from decoders import command, outside, rows
from decoders.cores import RECORDED
from decoders.decoder import COPY, OURS, PARTS, own_decoders
from measure import boards
from measure.pairs import Pair
from peers import PEERS
from peers.peer import Absent

REPOSITORY = Path(__file__).resolve().parents[2]
MODELS = REPOSITORY / "samples" / "host" / "models"
SHARED = REPOSITORY.parent / "shared" / "corpus"
SIZES = REPOSITORY / "benchmarks" / "size" / "size.tsv"

# A decoder like those of others: its patch is the target with each byte turned over.
DESCRIPTION = """
tool = "turned"
version = "1"
[folders]
TMD_TEST_TURNED = "the folder of this test"
[[decoder]]
patch = "patches.py:turned"
maker = "the test"
options = "{options}"
glue = "glue.c"
decoder = ["$TMD_TEST_TURNED/turn.c"]
decompressor = ["$TMD_TEST_TURNED/table.c"]
flags = ["-I$TMD_TEST_TURNED", "-DFAULT={fault}"]
note = "a test"
"""
PATCHES = "def turned(base, target):\n    return bytes(255 - byte for byte in target)\n"
TURN = """
#include <string.h>
unsigned char table(unsigned char byte);
static unsigned int turned[25];
unsigned int turn(unsigned char *data, unsigned int bytes, unsigned int by)
{
	for (unsigned int i = 0; i < bytes; i++) {
		data[i] = table(data[i]);
	}
	turned[0] += bytes;
	return turned[0] / by;
}
"""
TABLE = "unsigned char table(unsigned char byte) { return 255u - byte; }\n"
GLUE = """
#include "decoder.h"
unsigned int turn(unsigned char *data, unsigned int bytes, unsigned int by);
int bench_decode(void)
{
	uint8_t *first = bench_allocate(100), *data = bench_allocate(FAULT == 1 ? 1u << 30 : 48);
	uint32_t n;

	if (first == NULL || data == NULL) {
		return -12;
	}
	bench_free(data);
	data = bench_allocate(40);
	if (FAULT == 2 && !bench_read_base(bench_base_bytes() - 1u, first, 2)) {
		return -7;
	}
	while ((n = bench_read_patch(data, 40)) > 0u) {
		(void)turn(data, n, n);
		data[0] = (uint8_t)(data[0] + (FAULT == 3));
		if (!bench_emit(data, n)) {
			return 1;
		}
		if (FAULT == 4) {
			return 0;
		}
	}
	if (FAULT == 5) {
		*(volatile uint32_t *)0xF0000000u = 1;
	}
	while (FAULT == 7) {
	}
	return FAULT == 6 && !bench_emit(data, 1) ? 9 : 0;
}
"""


@pytest.fixture
def tools() -> None:
    """Skip without the tools for a core; in CI, where nothing is to be skipped, fail."""
    for core in RECORDED:
        if hint := command.missing(core):
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"needs: {hint}")


def described(folder: Path, fault: int = 0, options: str = "as it is") -> Path:
    folder.mkdir()
    text = DESCRIPTION.format(fault=fault, options=options)
    files = {"decoder.toml": text, "patches.py": PATCHES, "turn.c": TURN, "table.c": TABLE,
             "glue.c": GLUE}  # fmt: skip
    for name, content in files.items():
        (folder / name).write_text(content)
    return folder


def one_pair(folder: Path) -> Path:
    """A folder with the smallest pair of the samples."""
    pair = folder / "pairs" / "sst"
    pair.mkdir(parents=True)
    for name in ("base.tflite", "target.tflite"):
        (pair / name).write_bytes((MODELS / "sst" / name).read_bytes())
    return pair.parent


# ---- on the emulated boards ----


@pytest.mark.usefixtures("tools")
def test_another_decoder_is_weighed_beside_ours_and_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = described(tmp_path / "other")
    monkeypatch.setenv("TMD_TEST_TURNED", str(other))
    monkeypatch.setattr(command, "own_decoders", lambda: [own_decoders()[n] for n in (0, 2)])
    out = tmp_path / "decoders.tsv"
    call = [str(one_pair(tmp_path)), "--core", "m33", "--out", str(out)]
    assert command.main([*call, "--core", "m0plus", "--with", str(other)]) == 0
    shown = capsys.readouterr().out
    assert "## Cortex-M33" in shown and "| turned, as it is | 1 | 1.000 |" in shown
    table = rows.read(out)
    assert [(row.core, row.tool) for row in table] == [
        (core, tool) for core in ("m33", "m0plus") for tool in (COPY, OURS, "turned")
    ]
    target = (MODELS / "sst" / "target.tflite").stat().st_size
    for core in ("m33", "m0plus"):
        copy, lean, turned = (row for row in table if row.core == core)
        assert copy.patch_bytes == turned.patch_bytes == target
        assert (copy.code_bytes, copy.ram_bytes) == (0, 0)
        assert turned.version == "1; patches by the test"
        # What it had at the most at the same time, and its own variable.
        assert turned.ram_bytes == 148 + 100
        weighed = dict(
            part.split() for part in turned.note.split(";")[0].removeprefix("code: ").split(", ")
        )
        assert sum(map(int, weighed.values())) == turned.code_bytes
        # Armv6-M has no division: it is the library's, and is counted as the decoder's.
        assert set(weighed) == {*PARTS, *(["library"] if core == "m0plus" else [])}
        # Instructions: a byte through the floor costs some, through a decoder more.
        assert 2 * target < (copy.instructions or 0) < (turned.instructions or 0)
        assert 20 * target < (lean.instructions or 0) < 1000 * target
        assert 2000 < (lean.ram_bytes or 0) < 3000 < (lean.code_bytes or 0)
        assert all((row.stack_bytes or 0) > 20 for row in table)
    # What is not measured again stays; and the same counts again.
    text = out.read_text()
    assert command.main(call) == 0
    assert out.read_text() == text
    assert str(tmp_path) not in text


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (1, "failed: its status is -12"),
        (2, "failed: its status is -7"),
        (3, "failed: what came is not the target"),
        (4, "failed: 40 bytes came, of 3352"),
        (5, "failed: qemu-system-arm ended with 99: processor fault"),
        (6, "failed: its status is 9"),
        (7, "failed: no end after 4 s"),
    ],
)
def test_what_fails_is_in_the_table_and_is_told(
    fault: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    other = described(tmp_path / "other", fault)
    monkeypatch.setattr(boards, "TIMEOUT", 4 if fault == 7 else boards.TIMEOUT)
    monkeypatch.setenv("TMD_TEST_TURNED", str(other))
    monkeypatch.setattr(command, "own_decoders", lambda: own_decoders()[:1])
    out = tmp_path / "decoders.tsv"
    call = [str(one_pair(tmp_path)), "--core", "m33", "--out", str(out), "--with", str(other)]
    assert command.main(call) == 1
    row = rows.read(out)[-1]
    assert row.note == said and row.failed and row.patch_bytes == 3352
    printed = capsys.readouterr()
    assert f"decoders: sst, m33, turned, as it is: {said}" in printed.err
    assert "| turned, as it is | 0, 1 failed | – |" in printed.out


@pytest.mark.usefixtures("tools")
def test_the_recorded_figures_are_those_of_this_code(tmp_path: Path) -> None:
    """Patches to the byte; code and instructions nearly, as compilers differ."""
    before_by_key = {row.key: row for row in recorded()}
    pair = Pair.read(MODELS / "digits")
    cores = {core.key: core for core in RECORDED}
    for key, number in (("m33", 1), ("m0plus", 2), ("rv32", 3)):
        decoder = own_decoders()[number]
        patches = command.make_patches(decoder, [pair])
        (tmp_path / key).mkdir()
        (row,) = command.measure(decoder, cores[key], [pair], patches, tmp_path / key)
        before = before_by_key[row.key]
        assert row.patch_bytes == before.patch_bytes
        for name in ("instructions", "code_bytes", "ram_bytes"):
            now, then = getattr(row, name), getattr(before, name)
            assert now == pytest.approx(then, rel=0.05), (row.key, name)


# ---- descriptions ----


def broken(folder: Path, old: str, new: str) -> Path:
    out = described(folder)
    text = (out / "decoder.toml").read_text()
    assert old in text
    (out / "decoder.toml").write_text(text.replace(old, new))
    return out


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('tool = "turned"\n', "", "decoder.toml: tool is not there"),
        ('glue = "glue.c"\n', "", "decoder.toml: glue is not there"),
        ("note =", "notes =", "decoder.toml: notes means nothing here; use decoder, decompressor"),
        ("patches.py:turned", "turned", "turned is no key of benchmarks/peers"),
        ("/turn.c", "/none.c", "none.c is not there"),
        ("[folders]", "[folders", "decoder.toml: "),
        ("TMD_TEST_TURNED = ", "TMD_TEST_OTHER = ", "TMD_TEST_OTHER is not set; let it name the "),
    ],
)
def test_a_description_that_cannot_be_used_is_refused(
    old: str, new: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    other = broken(tmp_path / "other", old, new)
    monkeypatch.setenv("TMD_TEST_TURNED", str(other))
    monkeypatch.setattr(command, "missing", lambda core: "")
    out = tmp_path / "decoders.tsv"
    assert command.main(["--out", str(out), "--with", str(other)]) == 1
    assert said in capsys.readouterr().err
    assert not out.exists()


def test_a_folder_that_is_not_there_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMD_TEST_TURNED", str(tmp_path / "none"))
    with pytest.raises(Absent, match="none is no folder; let it name the folder of this test"):
        outside.read(described(tmp_path / "other"))
    with pytest.raises(outside.DescriptionError, match=r"decoder\.toml"):
        outside.read(tmp_path)


# ---- the command and its table ----


def test_what_cannot_be_measured_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "missing", lambda core: "")
    assert command.main([str(tmp_path)]) == 1
    assert "no folder with base.tflite" in capsys.readouterr().err
    assert command.main([str(MODELS), str(MODELS)]) == 1
    assert "two pairs have the same name" in capsys.readouterr().err
    (tmp_path / "other.tsv").write_text("pair\tcore\n")
    assert command.main(["--out", str(tmp_path / "other.tsv")]) == 1
    assert "its columns are not pair, core, tool" in capsys.readouterr().err
    monkeypatch.setattr(command, "missing", lambda core: f"sudo apt install {core.key}")
    assert command.main([]) == 1
    assert "Cortex-M33 cannot be measured; sudo apt install m33" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        command.main(["--core", "z80"])
    assert ended.value.code == 2


def test_a_row_is_replaced_by_what_is_measured_and_no_other() -> None:
    row = rows.Row("p", "m33", "t", "1", "o", 1, 2, 3, 4, 5, "n")
    ours = replace(row, tool=OURS)
    copy = replace(row, tool=COPY)
    other = replace(row, core="m0plus")
    again = replace(row, version="2", instructions=None, note="failed: x")
    assert rows.merge([other, row, ours], [again, copy]) == [copy, ours, again, other]
    assert again.failed and not row.failed


def recorded() -> list[rows.Row]:
    return rows.read(command.DEFAULT_OUT)


def test_the_recorded_table_is_whole() -> None:
    """Every decoder on every pair and core, decoded to the byte, in order."""
    table = recorded()
    assert rows.render(rows.merge(table, [])) == command.DEFAULT_OUT.read_text()
    assert {row.core for row in table} == {core.key for core in RECORDED}
    tools = {(row.tool, row.options) for row in table}
    assert {tool for tool, _ in tools} >= {COPY, OURS, "detools", "HPatchLite", "bspatch"}
    pairs = {row.pair for row in table}
    assert len(table) == len(tools) * len(RECORDED) * len(pairs)
    assert pairs >= {"digits", "sst", "b_digits_int8_ft"}
    assert [row.key for row in table if row.failed] == []
    for row in table:
        assert row.version and "code" in row.note and "-gcc " in row.note
        assert row.tool == COPY or (row.code_bytes or 0) > 400
        assert row.tool == COPY or (row.ram_bytes or 0) > 64
        assert (row.stack_bytes or 0) > 0 and (row.patch_bytes or 0) > 0


def test_the_recorded_patches_are_those_of_the_other_benches() -> None:
    """The same peers with the same options make patches of the same size."""
    keys = {peer.options: peer.key for peer in PEERS}
    tables = [SIZES, *([SHARED / "peers.tsv"] if SHARED.is_dir() else [])]
    table = recorded()
    seen = set()
    for file in tables:
        with file.open(encoding="utf-8") as lines:
            sizes = {line["name"]: line for line in csv.DictReader(lines, delimiter="\t")}
        for row in table:
            key = keys.get(row.options.split(";")[0], "")
            if row.tool not in (COPY, OURS) and key in sizes.get(row.pair, {}):
                assert str(row.patch_bytes) == sizes[row.pair][key], row.key
                seen.add((file.name, key))
    there = {"bsdiff4", "det_seq_heatshrink", "det_seq_crle", "hpl_tuz", "hpl_tuz256"}
    assert seen >= {(SIZES.name, key) for key in there}
    for row in table:
        folder = next((f for f in (MODELS, SHARED) if (f / row.pair).is_dir()), None)
        if row.tool == COPY and folder is not None:
            assert row.patch_bytes == (folder / row.pair / "target.tflite").stat().st_size
