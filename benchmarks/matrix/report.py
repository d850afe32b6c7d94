"""benchmarks/matrix.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from matrix.builds import SOURCES, Build, Objects
from matrix.combinations import REFUSED, Configuration
from matrix.compilers import SHAPE, STRICT, Compiler
from matrix.sections import Sizes
from measure.tables import Table, markdown


@dataclass
class Report:
    """turned, combined: which of the objects' builds belong into which tables."""

    objects: Objects
    turned: Sequence[Build]
    combined: Sequence[Build]
    compiled: int  # files that differed
    skipped: Sequence[str]
    sample: bool

    @cached_property
    def total(self) -> dict[Build, Sizes]:
        return {build: sum(sizes.values(), Sizes()) for build, sizes in self.objects.items()}

    def versions(self) -> list[str]:
        return list(dict.fromkeys(build.compiler.version for build in self.objects))

    def size_tables(self) -> list[Table]:
        """For each family of compilers and level: options by cores."""
        out = []
        for family, level in dict.fromkeys((b.compiler.family, b.level) for b in self.turned):
            builds = [b for b in self.turned if (b.compiler.family, b.level) == (family, level)]
            cores = list(dict.fromkeys(b.compiler.core for b in builds))
            table = Table(f"{family} {level}", ["", *(core.name for core in cores)])
            for configuration in dict.fromkeys(b.configuration for b in builds):
                cells = (
                    self._cell(Build(Compiler(family, core), level, configuration))
                    for core in cores
                )
                table.add(configuration.name, *cells)
            out.append(table)
        return out

    def _cell(self, build: Build) -> str | None:
        if build not in self.total:
            return None
        code = self.total[build].code
        if not build.configuration.settings:
            return f"{code:,}"
        default = Build(build.compiler, build.level, Configuration())
        return f"{code:,} ({code - self.total[default].code:+,})"

    def combination_table(self) -> Table:
        """The lightest and the heaviest of all combinations."""
        table = Table(
            "Combinations",
            ["", "combinations", "lightest", "median", "heaviest"],
            note=self._combinations_note(),
        )
        for compiler, level in dict.fromkeys((b.compiler, b.level) for b in self.combined):
            codes = sorted(
                self.total[b].code
                for b in self.combined
                if (b.compiler, b.level) == (compiler, level)
            )
            name = f"{compiler.family} {level}, {compiler.core.name}"
            table.add(name, len(codes), codes[0], codes[len(codes) // 2], codes[-1])
        return table

    def _combinations_note(self) -> str:
        which = (
            "A choice of the allowed combinations of options in which any two settings meet."
            if self.sample
            else "Every allowed combination of options."
        )
        return (
            f"{which} Not allowed, and refused by the compiler with a sentence: "
            + "; ".join(rule.configuration.name for rule in REFUSED)
            + "."
        )

    def markdown(self) -> str:
        command = "scons matrix SAMPLE=1" if self.sample else "scons matrix"
        files = sum(len(sizes) for sizes in self.objects.values())
        head = [
            "# Compilers and options",
            "",
            f"Written by `{command}`. Core, store and management group ({len(SOURCES)} files), "
            f"compiled with `{' '.join(STRICT)}`: no warning. No object has data or bss.",
            "",
            *(f"- {version}" for version in self.versions()),
            "",
            f"{len(self.objects):,} builds of {files:,} files. A file that options and compiler "
            f"leave the same was compiled once: {self.compiled:,} compilations.",
            "",
            "Figures are bytes of code and constants of all objects, in brackets what an option "
            f"adds to the defaults; also compiled with `{' '.join(SHAPE)}`. A firmware is smaller, "
            "since it links only what it uses: `benchmarks/footprint.md`. An option that follows "
            "another one does so here: TMD_SELF_TEST is off without TMD_TRIAL, TMD_STAGING without "
            "TMD_RESUME. The PC is here for its compilers' warnings.",
            "",
        ]
        head += [f"- {line}" for line in self.skipped]
        if self.skipped:
            head.append("")
        tables = [*self.size_tables(), self.combination_table()]
        return "\n".join(head) + "\n" + "".join(markdown(t) for t in tables).rstrip("\n") + "\n"
