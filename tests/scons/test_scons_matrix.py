"""The matrix of compilers and options: what it compiles, and that it notices what must not be."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from sconskit import IN_CI, ROOT, has_scons, needs_gcc

if not IN_CI and not has_scons():
    pytest.skip("needs SCons: pip install -r requirements/scons.txt", allow_module_level=True)

import matrix.__main__ as command
from matrix import builds, combinations, compilers, report
from matrix.builds import Build, Remembered
from matrix.combinations import APART, REFUSED, TURNED, VALUES, Configuration
from matrix.compilers import M33, PC, Compiler
from matrix.sections import Sizes, read_sizes
from measure import toolchain

GCC = Compiler("gcc", PC)
TRIALS_OFF = Configuration((("TMD_TRIAL", 0),))


def quiet(what: str, done: int, total: int) -> None:
    pass


# ---- what is tried ----


def test_every_option_of_config_h_is_tried_from_its_default() -> None:
    from tmd import config

    tried = {**VALUES, **APART}
    assert set(tried) == set(config.options())
    for name, values in tried.items():
        default = config.options()[name].default
        while default in config.options():
            default = config.options()[default].default
        assert values[0] == config.decoders().get(default, None) or values[0] == int(default)
    turned = {setting for configuration in TURNED for setting in configuration.settings}
    for name, values in tried.items():
        assert {(name, value) for value in values[1:]} <= turned


def test_all_allowed_combinations_are_there_once() -> None:
    every = combinations.all_allowed()
    assert len(every) == len(set(every)) == 624
    refused = [set(rule.configuration.settings) for rule in REFUSED]
    defaults = {name: values[0] for name, values in VALUES.items()}
    for settings in (dict(c.settings) for c in every):
        assert settings.keys() == defaults.keys()
        # No rule of config.h speaks against one.
        assert settings["TMD_VERIFY"] or not settings["TMD_DECRYPT"]
        assert not any(
            rule <= set(settings.items()) for rule in refused if rule != {("TMD_DECRYPT", 1)}
        )


def test_a_sample_has_any_two_settings_that_go_together() -> None:
    every = combinations.all_allowed()
    sample = combinations.pairwise(every)
    assert len(sample) < len(every) / 20

    def pairs(configurations: list[Configuration]) -> set[object]:
        return {p for c in configurations for p in itertools.combinations(c.settings, 2)}

    assert pairs(sample) == pairs(every)


def test_no_file_asks_for_the_compiler_where_it_asks_for_an_option() -> None:
    """Else what one compiler sees of the options would not do for all."""
    asked: dict[str, set[str]] = {}
    for room in ("core", "store", "smp", "include"):
        for path in sorted((ROOT / "zephyr_module" / room).rglob("*.[ch]")):
            for line in re.findall(r"^#\s*(?:el)?if.*$", path.read_text(), re.MULTILINE):
                if found := set(re.findall(r"\b_{1,2}[A-Za-z]\w+", line)):
                    asked.setdefault(path.name, set()).update(found)
                    options = set(re.findall(r"\bTMD_\w+", line)) - {"TMD_CDEF"}
                    assert not options, line
    assert set().union(*asked.values()) <= {
        "__GNUC__", "__cplusplus", "__ARM_FEATURE_UNALIGNED",
    }, asked  # fmt: skip


# ---- weighing ----


@needs_gcc
@pytest.mark.parametrize("word", ["-m64", "-m32"])
def test_sections_are_told_apart(tmp_path: Path, word: str) -> None:
    source = tmp_path / "some.c"
    source.write_text(
        "const char text[100] = {1};\nchar data[30] = {1};\nchar bss[50];\n"
        "int f(int n);\nint f(int n) { return n * 3; }\n"
    )
    out = tmp_path / "some.o"
    flags = (word, *compilers.SHAPE, "-Os")
    toolchain.run(["gcc", *flags, "-c", source, "-o", out], tmp_path)
    sizes = read_sizes(out.read_bytes())
    assert (sizes.data, sizes.bss) == (30, 50)
    assert 100 < sizes.code < 160
    for content in (b"", b"\x7fELF", b"something else that is long enough" * 3):
        with pytest.raises(ValueError, match="not a little-endian ELF"):
            read_sizes(content)


@needs_gcc
def test_files_that_an_option_leaves_alone_are_compiled_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [Build(GCC, "-Os", c) for c in (Configuration(), TRIALS_OFF)]
    remembered = Remembered(tmp_path / "objects.json")
    objects, compiled = builds.measure(wanted, jobs=2, remembered=remembered, progress=quiet)
    default, without = (objects[build] for build in wanted)
    assert set(default) == set(without) == set(builds.SOURCES)
    assert len(builds.SOURCES) < compiled < 2 * len(builds.SOURCES)
    assert default["zephyr_module/core/status.c"] == without["zephyr_module/core/status.c"]
    before, after = (o["zephyr_module/store/open.c"].code for o in (default, without))
    assert after < before

    # It is remembered: nothing is compiled now.
    def compile_one(*arguments: object) -> Sizes:
        raise AssertionError(arguments)

    monkeypatch.setattr(builds, "compile_one", compile_one)
    again = Remembered(tmp_path / "objects.json")
    assert builds.measure(wanted, jobs=2, remembered=again, progress=quiet) == (objects, compiled)


@needs_gcc
def test_a_warning_in_one_configuration_is_found_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = tmp_path / "seed.c"
    seed.write_text(
        "#include <tinymldelta/config.h>\nint f(void);\n"
        "int f(void)\n{\n\tint n = 1;\n#if TMD_TRIAL\n\treturn n;\n#else\n\treturn 2;\n#endif\n}\n"
    )
    monkeypatch.setattr(builds, "SOURCES", (str(seed),))
    wanted = [Build(GCC, "-Os", c) for c in (Configuration(), TRIALS_OFF)]
    with pytest.raises(builds.Failed) as failed:
        builds.measure(wanted, jobs=1, remembered=Remembered(None), progress=quiet)
    assert len(failed.value.messages) == 1
    assert "gcc -Os for x86-64, TMD_TRIAL=0: " in failed.value.messages[0]
    assert "unused variable" in failed.value.messages[0]


def test_static_data_is_found() -> None:
    build = Build(GCC, "-Os", TRIALS_OFF)
    fine = {"store/a.c": Sizes(10, 0, 0)}
    assert command.static_found({build: fine}) == []
    for sizes in (Sizes(10, 1, 0), Sizes(10, 0, 4)):
        (message,) = command.static_found({build: {"store/a.c": sizes}})
        assert message.startswith("store/a.c: ")
        assert "TMD_TRIAL=0" in message


@needs_gcc
def test_what_is_not_allowed_does_not_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    assert command.not_refused(GCC) == []
    allowed = combinations.Refused(TRIALS_OFF, "no trials")
    other = combinations.Refused(Configuration((("TMD_META_KEPT", 63),)), "too little")
    monkeypatch.setattr(command, "REFUSED", (allowed, other))
    first, second = command.not_refused(GCC)
    assert first == "TMD_TRIAL=0 must be refused with 'no trials': it compiles"
    assert "TMD_META_KEPT=63 must be refused with 'too little': " in second


# ---- the command ----


@pytest.fixture(scope="module")
def remembered_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one test has compiled, the next one need not."""
    return tmp_path_factory.mktemp("remembered") / "objects.json"


@pytest.fixture
def only_the_pc(tmp_path: Path, remembered_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """For speed: gcc for this PC stands for all, with two configurations of each kind."""
    monkeypatch.setattr(command, "compilers", lambda: [GCC])
    monkeypatch.setattr(command, "M33", PC)
    monkeypatch.setattr(command, "TURNED", (Configuration(), TRIALS_OFF))
    two = combinations.all_allowed()[:2]
    monkeypatch.setattr(combinations, "all_allowed", lambda: two)
    monkeypatch.setattr(command, "REMEMBERED", remembered_file)
    monkeypatch.delenv("CI", raising=False)
    return tmp_path


@needs_gcc
def test_the_report_is_the_same_each_time_and_names_no_machine(
    only_the_pc: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = only_the_pc / "1.md", only_the_pc / "2.md"
    assert command.main(["--sample", "--out", str(first)]) == 0
    assert command.main(["--sample", "--out", str(second)]) == 0
    capsys.readouterr()
    text = first.read_text()
    assert text == second.read_text()
    assert str(ROOT) not in text
    assert str(only_the_pc) not in text
    assert "## gcc -Os\n" in text
    rows = dict(re.findall(r"^\| (\S+) \| ([\d,]+)", text, re.MULTILINE))
    default, without = (int(rows[name].replace(",", "")) for name in ("defaults", "TMD_TRIAL=0"))
    assert f"| TMD_TRIAL=0 | {without:,} ({without - default:,}) |" in text
    assert 10_000 < without < default


@needs_gcc
def test_a_compiler_that_is_not_there_is_said_and_in_ci_fails(
    only_the_pc: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = Compiler("clang", M33)
    monkeypatch.setattr(command, "compilers", lambda: [GCC, missing])
    monkeypatch.setattr(Compiler, "is_there", lambda compiler: compiler == GCC)
    out = only_the_pc / "out.md"
    said = "left out: clang for Cortex-M33: sudo apt install clang gcc-arm-none-eabi"
    assert command.main(["--sample", "--out", str(out)]) == 0
    assert said in capsys.readouterr().err
    assert said in out.read_text()
    monkeypatch.setenv("CI", "true")
    assert command.main(["--sample", "--out", str(only_the_pc / "ci.md")]) == 1
    assert said in capsys.readouterr().err
    assert not (only_the_pc / "ci.md").exists()


def test_the_committed_table_is_of_these_sources_and_options() -> None:
    """Its figures are not compared: they change with each release of a compiler."""
    text = (ROOT / "benchmarks" / "matrix.md").read_text()
    assert f"({len(builds.SOURCES)} files)" in text
    for configuration in TURNED:
        assert f"| {configuration.name} |" in text
    for family in ("gcc", "clang"):
        for level in compilers.LEVELS:
            assert f"## {family} {level}\n" in text
    for core in compilers.CORES:
        assert f"| {core.name} |" in text
    assert f"| gcc -O2, Cortex-M33 | {len(combinations.all_allowed())} |" in text
    assert "left out" not in text
    whole = command.plan([GCC], sample=False)
    made = report.Report({}, whole.turned, [], 0, (), False)
    assert f"\n{made.combination_table().note}\n" in text


@pytest.mark.parametrize("rule", REFUSED, ids=lambda rule: rule.configuration.name)
def test_what_is_refused_is_said_to_be(rule: combinations.Refused) -> None:
    """And nothing else of it: no sentence says that the same compiles."""
    note = report.Report({}, [], [], 0, (), False).combination_table().note
    refused, _, rest = note.partition("with a sentence: ")[2].partition(". ")
    assert rule.configuration.name in refused.rstrip(".").split("; ")
    for name, value in rule.configuration.settings:
        assert f"{name}={value}" not in rest


def test_every_core_of_the_plan_is_in_it() -> None:
    names = [core.name for core in compilers.CORES]
    assert names[:6] == [
        "Cortex-M0+", "Cortex-M3", "Cortex-M4F", "Cortex-M7", "Cortex-M33", "RV32IMC",
    ]  # fmt: skip
    whole = command.plan(compilers.compilers(), sample=False)
    assert len(whole.turned) == 2 * len(names) * 2 * len(TURNED)
    assert {b.compiler.core for b in whole.combined} == {M33}
    assert len(whole.combined) == 3 * 624
    assert report.Report({}, [], [], 0, (), False).total == {}
