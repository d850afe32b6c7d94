"""The footprint holds its limits, and the stack analysis refuses what it cannot bound."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

import footprint
from measure import linkmap, stack, toolchain
from measure.toolchain import ARM, M33, RISCV, TARGETS, Target

M0PLUS, RV32 = TARGETS[0], TARGETS[-1]

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
        objects = footprint.compile_device(target, folder, footprint.WHOLE.options)
        elf, linked = footprint.link_firmware(target, folder, footprint.WHOLE, objects)
        stacks = stack.library_stacks(target, elf, linked, ".library")
        assert {"memcpy", "memset", "memcmp"} <= set(stacks)
        assert all(0 <= size <= 96 and size % 4 == 0 for size in stacks.values())


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


def test_a_return_is_no_call_and_a_jump_to_anywhere_is_one() -> None:
    for back in ("bx lr", "jr ra", "ldr pc, [sp], #8", "pop {r4, pc}"):
        assert not stack._INDIRECT_JUMP.match(back)
    for jump in ("bx r3", "blx r3", "jr a5", "ldr pc, [r3]", "ldr pc, [sp, #8]", "mov pc, r3"):
        assert stack._INDIRECT_JUMP.match(jump)


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
    assert measured.code["decoder"].owners["store"] == 0
    default, small = (
        measured.memory[key].structs["tmd_store"] for key in ("staged", "small_buffer")
    )
    assert default - small == 256 - footprint.LEAN_BUFFER


def test_the_guardrails_are_weighed(measured: footprint.Footprint) -> None:
    table = footprint.guard_table([M33.name], [measured])
    rows = {row[0]: row[1] for row in table.rows}
    for name in ("format 1 alone", "default decoder, both formats"):
        parts = [row for row in rows if str(row).startswith(name)]
        code = rows[f"{name}: code"]
        assert code == sum(
            int(str(rows[part]))
            for part in parts
            if str(part).endswith((": rules", ": operators", ": metadata"))
        )
        assert isinstance(code, int) and code > 0
    # All that operators and metadata are read by is counted.
    functions = measured.code["default_both"].functions
    for function in ("tmd_operators_next", "tmd_kept_load", "tmd_writer_metadata"):
        assert any(name.endswith(f": {function}") for name in functions)
    assert measured.memory["default_both"].kept == 192
    assert measured.memory["whole"].kept == 1


def test_every_source_file_has_its_part(measured: footprint.Footprint) -> None:
    """A part with a file's own name means that PARTS has not heard of the file."""
    for code in measured.code.values():
        files = tuple(f"{owner}/" for owner in footprint.OWNERS)
        assert [part for part in code.parts if part.startswith(files)] == []


def test_every_source_file_is_linked_by_one_configuration_or_another(
    measured: footprint.Footprint,
) -> None:
    sources = {
        f"{owner}/{source.stem}"
        for owner in footprint.OWNERS
        for source in (footprint.REPOSITORY / footprint.DEVICE / owner).glob("*.c")
    }
    linked = {name.split(":")[0] for code in measured.code.values() for name in code.functions}
    of_trust = {"core/hmac", "core/sealed", "core/signature"}  # off here: benchmarks/trust.py
    assert linked == sources - of_trust


def functions_of(measured: footprint.Footprint, step: footprint.Configuration) -> set[str]:
    return {name.split(": ")[1] for name in measured.code[step.key].functions}


def test_each_step_has_what_the_step_before_it_has(measured: footprint.Footprint) -> None:
    steps = footprint.STEPS
    for before, step in zip(steps, steps[1:], strict=False):
        assert set(before.entries) <= set(step.entries)
        assert set(before.structs) <= set(step.structs)
        assert measured.code[before.key].total < measured.code[step.key].total
        assert measured.memory[before.key].working() <= measured.memory[step.key].working()
    for step in steps:
        assert set(step.entries) <= functions_of(measured, step)


@pytest.mark.parametrize(
    ("function", "first"),
    [
        ("tmd_update_staged", footprint.STAGED),
        ("tmd_writer_plan", footprint.RESUME),
        ("tmd_staging_resume", footprint.STAGING),
        ("tmd_store_revert", footprint.TRIAL),
        ("tmd_self_test", footprint.SELF_TEST),
        ("tmd_store_get_info", footprint.WHOLE),
    ],
)
def test_an_option_is_in_its_step_and_in_none_before(
    measured: footprint.Footprint, function: str, first: footprint.Configuration
) -> None:
    has = [function in functions_of(measured, step) for step in footprint.STEPS]
    at = footprint.STEPS.index(first)
    assert has == [False] * at + [True] * (len(has) - at)


def test_the_table_of_options_adds_up(measured: footprint.Footprint) -> None:
    table = footprint.step_table(M33, measured)
    assert len(table.rows) == len(footprint.STEPS)
    for total, adds in ((1, 2), (6, 7)):
        added = sum(int(str(row[adds]).replace(",", "")) for row in table.rows[1:])
        first, last = table.rows[0][total], table.rows[-1][total]
        assert isinstance(first, int)
        assert first + added == last
    for row in table.rows:
        structs, deepest, working = row[4:7]
        assert isinstance(structs, int)
        assert isinstance(deepest, int)
        assert structs + deepest == working


def test_the_staging_region_has_a_struct_of_its_own(measured: footprint.Footprint) -> None:
    staging = measured.memory["staging"]
    assert staging.held_bytes == sum(
        staging.structs[struct] for struct in ("tmd_store", "tmd_update", "tmd_staging")
    )
    assert "tmd_staging" not in measured.memory["resume"].structs
    assert len(set(staging.held)) == len(staging.held)


def test_a_larger_decoder_costs_the_whole_store_more(measured: footprint.Footprint) -> None:
    """Of each decoder format 2 alone and both formats, after the whole store without format 2."""
    without = measured.code["whole"].total
    totals = [measured.code[store.key].total for store in footprint.STORES]
    assert [without, *totals] == sorted({without, *totals})
    structs = [measured.memory[store.key].held_bytes for store in footprint.STORES]
    assert structs == sorted(structs)
    for store in footprint.STORES:
        formats = {name for name in measured.code[store.key].functions if "core/format" in name}
        has_1 = any(name.startswith("core/format1") for name in formats)
        assert has_1 == store.key.endswith("_both")
        assert any(name.startswith("core/format2") for name in formats)


def test_the_deepest_path_goes_through_the_callbacks(measured: footprint.Footprint) -> None:
    path = [name for name, _ in measured.memory["staged"].stacks["tmd_update_staged"].path]
    assert path[0] == "tmd_update_staged"
    assert path.index("copy_to") + 1 == path.index("tmd_writer_emit")


def test_a_staged_patch_is_read_from_the_staging_region(tmp_path: Path) -> None:
    """And that needs flash, but nothing of the decoder, which reads there: no recursion."""
    objects = footprint.compile_device(M33, tmp_path, footprint.WHOLE.options)
    elf, linked = footprint.link_firmware(M33, tmp_path, footprint.WHOLE, objects)
    libraries = stack.library_stacks(M33, elf, linked, ".library")
    graph = stack.analyse(
        M33, objects, footprint.REPOSITORY, footprint.indirect_of(footprint.WHOLE), libraries
    )
    read = "zephyr_module/store/staging.c:read_staged"
    callers = {name.rsplit(":", 1)[-1] for name, calls in graph.calls.items() if read in calls}
    assert callers == {"feed"}
    reached: set[str] = set()
    todo = {read}
    while todo:
        name = todo.pop()
        reached.add(name)
        todo |= graph.calls.get(name, set()) - reached
    assert "tmd_region_read" in reached
    ours = {name.rsplit(":", 1)[-1] for name in reached}
    assert not any(name.startswith(("tmd_update", "tmd_patch", "tmd_writer")) for name in ours)


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
    assert footprint.main(["--no-limits", "--out", str(first)]) == 0
    out = capsys.readouterr().out
    assert "Worst-case stack" in out
    assert "What each option of the store adds, on Cortex-M33" in out
    assert "tmd_update_finish" in out
    assert footprint.main(["--no-limits", "--out", str(second), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["targets"]["m33"]["memory"]["small_buffer"]["working_memory"] > 0
    assert len(document["limits"]) == 2 + 2 * len(footprint.VARIANTS)
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
    measured: footprint.Footprint,
    limit: str,
) -> None:
    # What was measured above, to not measure it five times more.
    monkeypatch.setattr(footprint, "measure", lambda target, folder: measured)
    out = ["--out", str(tmp_path / "out.md"), "--json"]
    monkeypatch.setattr(footprint, "CODE_LIMIT", 100_000)
    monkeypatch.setattr(footprint, "MEMORY_LIMIT", 100_000)
    assert footprint.main([*out, "--limits"]) == 0
    assert "EXCEEDED" not in capsys.readouterr().err
    monkeypatch.setattr(footprint, limit, 1000)
    assert footprint.main([*out, "--limits"]) == 1
    assert "of 1,000 bytes, EXCEEDED by" in capsys.readouterr().err
    assert footprint.main([*out, "--no-limits"]) == 0
    monkeypatch.setenv("CI", "true")
    assert footprint.main(out) == 1


def test_a_missing_compiler_is_named_and_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(footprint, "TARGETS", (M33, RV32))
    monkeypatch.setattr(toolchain, "is_installed", lambda chain: chain == ARM)
    out = tmp_path / "out.md"
    assert footprint.main(["--no-limits", "--out", str(out)]) == 0
    assert RISCV.install_hint in capsys.readouterr().err
    text = out.read_text(encoding="utf-8")
    assert f"skipped: RV32IMC: no {RISCV.tool('gcc')}" in text
    assert "| Cortex-M33 |" in text
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
