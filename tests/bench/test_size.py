"""Patch sizes: what is counted, what is refused, and that every peer is really applied."""

from __future__ import annotations

import csv
import importlib.util
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import size
from peers import PEERS, report
from peers.compare import Measured, Reference, compare, geometric_mean
from peers.measuring import measure
from peers.ours import FORMATS, PARTS, Format, Made
from peers.peer import Absent, NotForThisPair, Peer, Tool, attempt

MODELS = Path(__file__).resolve().parents[2] / "samples" / "host" / "models"

THERE = Tool("some tool", lambda: "some tool 1.0")


def absent(name: str, how: str) -> Tool:
    def version() -> str:
        raise Absent(how)

    return Tool(name, version)


def peer(
    key: str,
    made_bytes: int,
    tool: Tool = THERE,
    for_mcu: bool = False,
    apply: Callable[[bytes, bytes], bytes] | None = None,
) -> Peer:
    """Makes patches of `made_bytes` bytes, which hold the target in front."""

    def make(base: bytes, target: bytes) -> bytes:
        return target.ljust(made_bytes, b"\0")

    return Peer(
        key, "none", tool, make, apply or (lambda base, patch: patch.rstrip(b"\0")), for_mcu
    )


def ours(key: str, header: int, body: int, others: int = 100, is_peer: bool = False) -> Format:
    """A format whose patches have parts of these many bytes; they hold the target in front."""

    def make(base: bytes, target: bytes) -> Made:
        parts = {"header": header, "metadata": others, "digests": 0, "signature": 0, "body": body}
        total = sum(parts.values())
        return Made(target.ljust(total, b"\0"), {**parts, "total": total})

    return Format(
        key, f"our {key}", make, lambda base, made: made.patch.rstrip(b"\0"), is_peer=is_peer
    )


def write_pair(folder: Path, name: str, base: bytes = b"base", target: bytes = b"target") -> Path:
    pair = folder / name
    pair.mkdir(parents=True)
    (pair / "base.tflite").write_bytes(base)
    (pair / "target.tflite").write_bytes(target)
    return pair


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "size.tsv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


# ---- ratios ----


def test_the_geometric_mean() -> None:
    assert geometric_mean([2.0, 8.0]) == pytest.approx(4.0)
    assert geometric_mean([0.5, 2.0]) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="no values"):
        geometric_mean([])


def test_ratios_are_to_the_smallest_of_each_pair() -> None:
    pairs = [
        Measured("one", 9, 9, {"ours": 50, "a": 100, "b": 200}),
        Measured("two", 9, 9, {"ours": 300, "a": 400, "b": 100}),
        Measured("no patch of ours", 9, 9, {"a": 1, "b": 1}),
        Measured("no patch of theirs", 9, 9, {"ours": 1}),
    ]
    found = compare(pairs, "ours", Reference("best", "all", ("a", "b", "ours")))
    assert found.ratios == {"one": 0.5, "two": 3.0}
    assert found.mean == pytest.approx(1.5**0.5)
    assert found.worst == ("two", 3.0)
    assert found.best == ("one", 0.5)
    assert found.smaller == 1


def test_only_header_and_body_are_compared_and_older_formats_are_peers(tmp_path: Path) -> None:
    pair = write_pair(tmp_path, "pair")
    peers = [peer("tool", 80), peer("sub_brotli", 40), peer("mcu", 160, for_mcu=True)]
    formats = [
        ours("old", header=16, body=104, is_peer=True),
        ours("new", header=10, body=50),
    ]
    bench = measure([pair], peers, formats)
    assert bench.pairs[0].sizes == {"tool": 80, "sub_brotli": 40, "mcu": 160, "old": 120, "new": 60}

    assert {reference.key: reference.keys for reference in bench.references("new")} == {
        "best": ("tool", "mcu", "old"),
        "best_sub": ("tool", "sub_brotli", "mcu", "old"),
        "best_mcu": ("mcu", "old"),
    }
    means = {found.reference.key: found.mean for found in bench.comparisons("new")}
    assert means["best"] == pytest.approx(60 / 80)
    assert means["best_sub"] == pytest.approx(60 / 40)
    assert means["best_mcu"] == pytest.approx(60 / 120), "the old format"
    means = {found.reference.key: found.mean for found in bench.comparisons("old")}
    assert means["best_mcu"] == pytest.approx(120 / 160), "never the newer one, or itself"


def test_parts_that_do_not_add_up_are_refused() -> None:
    parts = dict.fromkeys(PARTS, 0) | {"header": 3, "body": 4, "total": 7}
    assert Made(bytes(7), parts).counted == 7
    with pytest.raises(ValueError, match="7 bytes, said to be 7, of a patch of 8"):
        Made(bytes(8), parts)
    with pytest.raises(ValueError, match="7 bytes, said to be 6"):
        Made(bytes(7), parts | {"total": 6})
    with pytest.raises(ValueError, match="the parts are"):
        Made(bytes(7), {"header": 3, "body": 4, "total": 7})


# ---- what goes wrong ----


def test_a_wrong_patch_is_a_fault_and_has_no_size(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pair(tmp_path / "pairs", "pair")
    peers = [peer("right", 90), peer("liar", 8, apply=lambda base, patch: b"tarGet")]
    out = tmp_path / "out"
    status = size.main([str(tmp_path / "pairs"), "--out", str(out)], peers, [ours("new", 10, 50)])
    assert status == 1
    assert "FAULT: pair, liar: its patch does not rebuild the target" in capsys.readouterr().err
    (row,) = rows_of(out)
    assert (row["liar"], row["right"]) == ("fault", "90")
    assert (row["best"], row["best_tool"]) == ("90", "right")
    assert "- pair, liar: its patch does not" in (out / "size.md").read_text(encoding="utf-8")


def test_a_wrong_patch_of_ours_is_a_fault(tmp_path: Path) -> None:
    pair = write_pair(tmp_path, "pair")
    right = ours("new", 10, 50)
    wrong = Format("new", "new", right.make, lambda base, made: base)
    bench = measure([pair], [peer("tool", 90)], [wrong])
    assert report.fault_lines(bench) == ["pair, new: its patch does not rebuild the target"]
    assert [found.ratios for found in bench.comparisons("new")] == [{}, {}, {}]
    assert "new ÷ all tools: nothing to compare over 0 of 1 pairs" in report.summary_lines(bench)
    assert "| pair | 4 | 6 | fault | 90 |" in report.render_markdown(bench, "command", None)


def test_a_tool_that_fails_is_a_fault_and_one_that_declines_is_not() -> None:
    def fails(base: bytes, other: bytes) -> bytes:
        raise RuntimeError("two\nlines")

    def declines(base: bytes, other: bytes) -> bytes:
        raise NotForThisPair

    def makes(base: bytes, other: bytes) -> bytes:
        return b"patch"

    assert attempt(fails, makes, b"", b"").fault == "makes no patch: RuntimeError: two lines"
    found = attempt(makes, fails, b"", b"")
    assert found.fault == "its patch cannot be applied: RuntimeError: two lines"
    assert found.made is None
    assert attempt(declines, makes, b"", b"") == attempt(declines, fails, b"", b"")
    assert attempt(declines, makes, b"", b"").fault == ""


def test_what_is_absent_is_listed_with_how_to_get_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def make(base: bytes, target: bytes) -> Made:
        raise Absent("not written yet")

    write_pair(tmp_path / "pairs", "pair")
    peers = [
        peer("here", 90),
        peer("gone9", 10, absent("gone", "apt install gone")),
        peer("gone1", 10, absent("gone", "apt install gone")),
    ]
    formats = [ours("new", 10, 50), Format("next", "next", make, lambda base, made: base)]
    out = tmp_path / "out"
    assert size.main([str(tmp_path / "pairs"), "--out", str(out)], peers, formats) == 0
    printed = capsys.readouterr()
    markdown = (out / "size.md").read_text(encoding="utf-8")
    for line in ("gone (gone9): apt install gone", "TinyMLDelta's next (next): not written yet"):
        assert f"absent: {line}" in printed.err
        assert f"- {line}" in markdown
    (row,) = rows_of(out)
    assert (row["gone9"], row["gone1"], row["next"]) == ("absent",) * 3
    assert row["best_tool"] == "here"
    assert "our new ÷ all tools: 0.667 over 1 of 1 pairs, worst 0.667 pair" in printed.out


def test_nothing_to_measure_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pair").mkdir()
    (tmp_path / "pair" / "base.tflite").write_bytes(b"alone")
    assert size.main([str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert size.main([str(tmp_path / "nowhere"), "--out", str(tmp_path / "out")]) == 1
    assert "with a target.tflite" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


# ---- what is written ----


def need(there: bool, what: str) -> None:
    """Skip without `what`; in CI, where nothing is to be skipped, fail."""
    if not there:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"needs {what}")


def test_the_same_run_gives_the_same_bytes_and_names_no_place(tmp_path: Path) -> None:
    need(
        importlib.util.find_spec("matplotlib") is not None, "pip install -r requirements/peers.txt"
    )
    for name in ("b", "a"):
        write_pair(tmp_path / "pairs", name)
    peers, formats = [peer("tool", 90, for_mcu=True)], [ours("old", 20, 90), ours("new", 10, 50)]
    written = []
    for out in (tmp_path / "first", tmp_path / "second"):
        assert size.main([str(tmp_path / "pairs"), "--out", str(out)], peers, formats) == 0
        written.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert sorted(written[0]) == ["size.md", "size.svg", "size.tsv"]
    assert written[0] == written[1]
    for content in written[0].values():
        assert str(tmp_path).encode() not in content
    assert b"`./run bench size pairs`" in written[0]["size.md"]
    assert b"<dc:date>" not in written[0]["size.svg"]
    assert [row["name"] for row in rows_of(tmp_path / "first")] == ["a", "b"]


def test_without_matplotlib_no_older_picture_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    write_pair(tmp_path / "pairs", "pair")
    out = tmp_path / "out"
    out.mkdir()
    (out / "size.svg").write_text("of another run")
    arguments = [str(tmp_path / "pairs"), "--out", str(out)]
    assert size.main(arguments, [peer("tool", 90)], [ours("new", 10, 50)]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["size.md", "size.tsv"]
    assert "size.svg" not in (out / "size.md").read_text(encoding="utf-8")
    assert "absent: matplotlib" in capsys.readouterr().err


# ---- the real ones ----


def test_format_1_is_weighed_by_its_parts() -> None:
    base, target = ((MODELS / "sst" / f"{name}.tflite").read_bytes() for name in ("base", "target"))
    format1 = FORMATS[0]
    made = attempt(format1.make, format1.apply, base, target).made
    assert made is not None
    assert {part: made.parts[part] for part in PARTS[:4]} == {
        "header": 16,
        "metadata": 22,
        "digests": 64,
        "signature": 0,
    }
    assert made.counted == made.parts["total"] - 22 - 64 == len(made.patch) - 22 - 64


@pytest.mark.parametrize("which", PEERS, ids=lambda which: which.key)
def test_a_peer_rebuilds_the_target_from_the_base_alone(which: Peer) -> None:
    try:
        which.tool.version()
    except Absent as how:
        need(False, f"{which.tool.name}: {how}")
    base, target = ((MODELS / "sst" / f"{name}.tflite").read_bytes() for name in ("base", "target"))
    found = attempt(which.make, which.apply, base, target)
    assert found.fault == ""
    assert found.made is not None
    assert 0 < len(found.made) < len(target)

    # An applier that did not read the base would give the target from any other one too.
    other = bytes(byte ^ 0x55 for byte in base)
    try:
        rebuilt = which.apply(other, found.made)
    except Exception:  # refusing it is as good
        return
    assert rebuilt != target


@pytest.mark.parametrize("which", PEERS, ids=lambda which: which.key)
def test_a_peer_takes_models_of_different_lengths_or_says_that_it_does_not(which: Peer) -> None:
    try:
        which.tool.version()
    except Absent as how:
        need(False, f"{which.tool.name}: {how}")
    target = (MODELS / "sst" / "target.tflite").read_bytes()
    for base in (target[:1000], target + target[:5000]):
        found = attempt(which.make, which.apply, base, target)
        assert found.fault == ""
        assert (found.made is None) == (which.key == "sub_brotli")


def test_a_program_that_is_not_there_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    for key, package in (("xdelta3_lzma", "xdelta3"), ("zstd_pf19", "zstd")):
        (which,) = (peer for peer in PEERS if peer.key == key)
        with pytest.raises(Absent, match=f"apt install {package}"):
            which.tool.version()
