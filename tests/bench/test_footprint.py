"""The footprint holds its limits, and the stack analysis refuses what it cannot bound."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

import footprint
from measure import linkmap, stack, toolchain
from measure.toolchain import ARM, M33, RISCV, TARGETS, Target

M0PLUS = TARGETS[0]

pytestmark = pytest.mark.skipif(
    not toolchain.is_installed(ARM), reason=f"needs a cross compiler: {ARM.install_hint}"
)


def graph_of(
    folder: Path,
    source: str,
    indirect: Mapping[str, Sequence[str]] | None = None,
    libraries: Mapping[str, int] | None = None,
    target: Target = M33,
) -> stack.CallGraph:
    (folder / "seed.c").write_text(source)
    obj = folder / "seed.o"
    toolchain.compile_c(target, Path("seed.c"), obj, folder)
    return stack.analyse(target, [obj], folder, indirect or {}, libraries)


LEAF = """
extern volatile unsigned char sink;
__attribute__((noinline)) static void leaf(unsigned char with)
{
	volatile unsigned char buf[100];
	for (int i = 0; i < 100; i++) buf[i] = with;
	sink = buf[sink % 100];
}
"""


def test_a_chain_of_calls_adds_up(tmp_path: Path) -> None:
    source = LEAF + "void middle(int n) { leaf(n); leaf(n + sink); } void top(void) { middle(1); }"
    graph = graph_of(tmp_path, source)
    depth = graph.deepest("middle")
    assert [name for name, _ in depth.path] == ["middle", "leaf"]
    assert depth.bytes == sum(frame for _, frame in depth.path)
    assert 100 <= depth.bytes < 160


@pytest.mark.parametrize(
    ("source", "loop"),
    [
        (
            "int again(int n) { return n < 2 ? n : n * again(n / 2) + again(n - 1); }",
            "again → again",
        ),
        (
            "int b(int n);\n"
            "__attribute__((noinline)) int a(int n) { return n ? b(n - 1) + 1 : 0; }\n"
            "__attribute__((noinline)) int b(int n) { return n ? a(n - 2) * 3 : 1; }\n"
            "int again(int n) { return a(n) + 1; }\n",
            "a → b → a",
        ),
    ],
)
def test_recursion_is_refused(tmp_path: Path, source: str, loop: str) -> None:
    graph = graph_of(tmp_path, source)
    with pytest.raises(stack.StackError, match=f"recursion: {loop}"):
        graph.deepest("again")


CALLBACK = """
struct port { int (*read)(void *ctx, int at); void *ctx; };
int twice(const struct port *port)
{
	return port->read(port->ctx, 1) + port->read(port->ctx, 2);
}
"""


def test_an_indirect_call_that_is_not_listed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(stack.StackError, match=r"indirect call: port->read in twice at seed\.c:5"):
        graph_of(tmp_path, CALLBACK, {"port->write": (stack.OUTSIDE,)})


def test_an_indirect_call_that_is_listed_counts(tmp_path: Path) -> None:
    source = CALLBACK + LEAF + "int slow(void *ctx, int at) { leaf(at); return at; }"
    outside = graph_of(tmp_path, source, {"port->read": (stack.OUTSIDE,)}).deepest("twice")
    inside = graph_of(tmp_path, source, {"port->read": (stack.OUTSIDE, "slow")}).deepest("twice")
    assert inside.bytes >= outside.bytes + 100
    assert [name for name, _ in inside.path] == ["twice", "slow", "leaf"]


def test_a_callback_that_would_call_back_is_recursion(tmp_path: Path) -> None:
    graph = graph_of(tmp_path, CALLBACK, {"port->read": ("twice",)})
    with pytest.raises(stack.StackError, match="recursion: twice → twice"):
        graph.deepest("twice")


def test_a_listed_function_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    graph = graph_of(tmp_path, CALLBACK, {"port->read": ("seed.c:renamed",)})
    with pytest.raises(stack.StackError, match="stack of renamed, called by twice, is not known"):
        graph.deepest("twice")


def test_a_frame_of_changing_size_is_refused(tmp_path: Path) -> None:
    source = "int use(char *); int vary(int n) { char buf[n]; return use(buf) + buf[0]; }"
    with pytest.raises(stack.StackError, match="frame of vary is dynamic"):
        graph_of(tmp_path, source)


def test_a_function_from_elsewhere_needs_a_known_stack(tmp_path: Path) -> None:
    source = "int elsewhere(int); int ask(int n) { return elsewhere(n) + 1; }"
    with pytest.raises(stack.StackError, match="stack of elsewhere, called by ask, is not known"):
        graph_of(tmp_path, source).deepest("ask")
    known = graph_of(tmp_path, source, libraries={"elsewhere": 40}).deepest("ask")
    assert known.path[-1] == ("elsewhere", 40)


def test_calls_that_the_call_graph_leaves_out_are_found(tmp_path: Path) -> None:
    """Cortex-M0+ jumps into a switch through a helper of libgcc, which gcc does not list."""
    cases = "".join(f"case {n}: return go{n}();" for n in range(8))
    declared = "".join(f"int go{n}(void);" for n in range(8))
    source = f"{declared} int pick(int n) {{ switch (n) {{ {cases} default: return 0; }} }}"
    graph = graph_of(tmp_path, source, target=M0PLUS)
    assert any(callee.startswith("__gnu_thumb1_case") for callee in graph.calls["pick"])


def test_the_stack_of_library_functions_is_read_from_their_code(tmp_path: Path) -> None:
    for target in TARGETS:
        if not toolchain.is_installed(target.toolchain):
            continue
        folder = tmp_path / target.key
        objects = footprint.compile_device(target, folder, ())
        elf, linked = footprint.link_firmware(target, folder, footprint.STREAMED, objects)
        stacks = stack.library_stacks(target, elf, linked, ".library")
        assert {"memcpy", "memset", "memcmp"} <= set(stacks)
        assert all(0 <= size <= 64 and size % 4 == 0 for size in stacks.values())


def test_what_a_library_does_to_the_stack_must_be_understood() -> None:
    assert stack._lowered("push {r4, r5, lr}", "") == 12
    assert stack._lowered("stmdb sp!, {r4, r5, r6, r7, r8, lr}", "") == 24
    assert stack._lowered("vpush {d8, d9}", "") == 16
    assert stack._lowered("str lr, [sp, #-4]!", "") == 4
    assert stack._lowered("sub sp, #24", "") == 24
    assert stack._lowered("sub sp, sp, #24", "") == 24
    assert stack._lowered("add sp,sp,-32", "") == 32
    assert stack._lowered("addi sp,sp,-32", "") == 32
    assert stack._lowered("add sp, #24", "") == 0
    assert stack._lowered("addi sp,sp,32", "") == 0
    assert stack._lowered("pop {r4, r5, pc}", "") == 0
    assert stack._lowered("mov r7, sp", "") == 0
    for instruction in ("mov sp, r7", "sub sp, r3", "sub sp,sp,a0", "push {r4-r7, lr}", "mv sp,s0"):
        with pytest.raises(stack.StackError, match="not understood"):
            stack._lowered(instruction, "memcpy.o")


MAP = """
Discarded input sections

 .text.gone     0x00000000       0x30 core/a.o

Linker script and memory map

.core           0x08000000       0x40
 core/*.o(.text .text.*)
 .text.short    0x08000000       0x12 core/a.o
                0x08000000                short
 *fill*         0x08000012        0x2 
 .text.a_function_with_a_name_that_takes_a_line
                0x08000014       0x1c core/a.o
                                 0x20 (size before relaxing)
 .text.empty    0x08000030        0x0 core/a.o
 .rodata.table  0x08000030       0x10 core/a.o

/DISCARD/
 .comment       0x00000000       0x20 core/a.o
"""  # noqa: W291


def test_a_link_map_adds_up() -> None:
    linked = linkmap.parse(MAP)
    sections = linked.of(".core")
    assert [(section.symbol, section.size) for section in sections] == [
        ("short", 0x12),
        ("a_function_with_a_name_that_takes_a_line", 0x1C),
        ("table", 0x10),
    ]
    assert linked.sizes == {".core": 0x40}
    assert sum(section.size for section in sections) + linked.fill[".core"] == 0x40
    with pytest.raises(ValueError, match="not a link map"):
        linkmap.parse("something else")


# ---- the footprint itself ----


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> footprint.Footprint:
    return footprint.measure(M33, tmp_path_factory.mktemp("m33"))


def test_the_limits_hold(measured: footprint.Footprint) -> None:
    limits = footprint.limits_of({M33: measured})
    assert len(limits) == 2 + 2 * len(footprint.VARIANTS)
    for limit in limits:
        assert limit.holds, str(limit)


def test_core_and_store_have_no_writable_static_data(measured: footprint.Footprint) -> None:
    assert all(memory.static == 0 for memory in measured.memory.values())


def test_the_figures_add_up(measured: footprint.Footprint) -> None:
    for code in measured.code.values():
        assert sum(code.parts.values()) == code.total
        assert sum(code.functions.values()) + code.parts[footprint.ALIGNMENT] == code.total
        assert sum(code.libraries.values()) <= code.library_bytes <= code.with_libraries
    totals = [measured.code[configuration.key].total for configuration in footprint.CONFIGURATIONS]
    assert totals == sorted(totals)
    assert measured.code["decoder"].owners["store"] == 0
    lean, default = (measured.memory[buffer] for buffer in sorted(measured.memory))
    saved = footprint.BUFFER - footprint.LEAN_BUFFER
    assert default.structs["tmd_store"] - lean.structs["tmd_store"] == saved


def test_every_source_file_has_its_part(measured: footprint.Footprint) -> None:
    """A part with a file's own name means that PARTS has not heard of the file."""
    parts = measured.code["texts"].parts
    unknown = [part for part in parts if part.startswith(tuple(f"{o}/" for o in footprint.OWNERS))]
    assert unknown == []


def test_the_deepest_path_goes_through_the_callbacks(measured: footprint.Footprint) -> None:
    path = [name for name, _ in measured.memory[footprint.BUFFER].stacks["tmd_update_staged"].path]
    assert path[0] == "tmd_update_staged"
    assert path.index("copy_to") + 1 == path.index("emit")


# ---- the command ----


@pytest.fixture
def one_target(monkeypatch: pytest.MonkeyPatch) -> None:
    """For speed, and to keep a CI variable from deciding."""
    monkeypatch.setattr(footprint, "TARGETS", (M33,))
    monkeypatch.delenv("CI", raising=False)


@pytest.mark.usefixtures("one_target")
def test_the_report_is_the_same_each_time_and_names_no_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "1.md", tmp_path / "2.md"
    assert footprint.main(["--limits", "--out", str(first)]) == 0
    out = capsys.readouterr().out
    assert "Worst-case stack" in out
    assert "tmd_update_finish" in out
    assert footprint.main(["--limits", "--out", str(second), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["targets"]["m33"]["memory"]["64"]["working_memory"]["streamed"] > 0
    assert all(limit["holds"] for limit in document["limits"])
    text = first.read_text(encoding="utf-8")
    assert text == second.read_text(encoding="utf-8")
    assert str(footprint.REPOSITORY) not in text
    assert "/tmp" not in text


@pytest.mark.usefixtures("one_target")
@pytest.mark.parametrize("limit", ["CODE_LIMIT", "MEMORY_LIMIT"])
def test_an_exceeded_limit_fails_where_limits_count(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    limit: str,
) -> None:
    monkeypatch.setattr(footprint, limit, 1000)
    out = ["--out", str(tmp_path / "out.md"), "--json"]
    assert footprint.main([*out, "--limits"]) == 1
    assert "of 1,000 bytes, EXCEEDED by" in capsys.readouterr().err
    assert footprint.main([*out, "--no-limits"]) == 0
    monkeypatch.setenv("CI", "true")
    assert footprint.main(out) == 1


def test_a_missing_compiler_is_named_and_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(toolchain, "is_installed", lambda chain: chain == ARM)
    out = tmp_path / "out.md"
    assert footprint.main(["--limits", "--out", str(out)]) == 0
    assert RISCV.install_hint in capsys.readouterr().err
    text = out.read_text(encoding="utf-8")
    assert f"skipped: RV32IMC: no {RISCV.tool('gcc')}" in text
    assert "| RV32IMC |" not in text


def test_limits_that_cannot_be_checked_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if not toolchain.is_installed(RISCV):
        pytest.skip(f"needs a second cross compiler: {RISCV.install_hint}")
    monkeypatch.setattr(toolchain, "is_installed", lambda chain: chain == RISCV)
    out = ["--out", str(tmp_path / "out.md"), "--json"]
    assert footprint.main([*out, "--no-limits"]) == 0
    assert footprint.main([*out, "--limits"]) == 1
    assert "limits cannot be checked" in capsys.readouterr().err


def test_without_any_compiler_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert footprint.main(["--out", str(tmp_path / "out.md")]) == 1
    error = capsys.readouterr().err
    assert ARM.install_hint in error
    assert RISCV.install_hint in error
    assert not (tmp_path / "out.md").exists()
