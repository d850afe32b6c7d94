"""Renders what is derived from `wire.yaml`: the C header, the Python constants, SPEC.md's tables.

python -m tinymldelta.wire.render            writes what changed
python -m tinymldelta.wire.render --check    exits 1 and names what would change
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from tinymldelta.output import environment, write_if_changed
from tinymldelta.wire.definition import Layout, WireDefinition, load_wire_definition

_MARKER = re.compile(r"(<!-- wire:(\w+) -->\n).*?(<!-- /wire -->)", re.DOTALL)


def _table(columns: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> str:
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _layout_table(layout: Layout) -> str:
    rows: list[tuple[object, ...]] = [
        (f.offset, f.size, f"`{f.name}`", f.type_text, f.text) for f in layout.fields
    ]
    return _table(("offset", "bytes", "field", "type", "meaning"), rows)


def spec_tables(wire: WireDefinition) -> dict[str, str]:
    """The Markdown tables of SPEC.md by the name that its markers use."""
    tables = {layout.name.lower(): _layout_table(layout) for layout in wire.layouts}
    tables["limits"] = _table(
        ("limit", "value", "meaning"), [(f"`{v.name}`", v.value, v.text) for v in wire.limits]
    )
    tables["digest_kinds"] = _table(
        ("kind", "value", "bytes", "meaning"),
        [(f"`{v.name}`", v.value, v.bytes, v.text) for v in wire.digest_kinds],
    )
    tables["encodings"] = _table(
        ("encoding", "value", "meaning"), [(f"`{v.name}`", v.value, v.text) for v in wire.encodings]
    )
    tables["signature_kinds"] = _table(
        ("kind", "value", "bytes", "bytes of a public key", "meaning"),
        [
            (f"`{k.name}`", k.value, k.bytes, k.key_bytes or "-", k.text)
            for k in wire.signature_kinds
        ],
    )
    tables["agreement_kinds"] = _table(
        ("kind", "value", "bytes of a public key", "meaning"),
        [(f"`{v.name}`", v.value, v.bytes, v.text) for v in wire.agreement_kinds],
    )
    tables["accept_flags"] = _table(
        ("flag", "value", "policy"),
        [(f"`{v.name}`", f"{v.value:#06x}", v.text) for v in wire.accept_flags],
    )
    tables["tlvs"] = _table(
        ("tag", "name", "value", "formats", "meaning"),
        [
            (f"{t.tag:#04x}", f"`{t.name}`", t.type_text, ", ".join(map(str, t.formats)), t.text)
            for t in wire.tlvs
        ],
    )
    tables["rules"] = _table(
        ("rule", "reads", "refusal", "holds when"),
        [(f"`{r.name}`", r.reads_text, f"`{r.status}`", r.text) for r in wire.rules],
    )
    f2 = wire.format2
    for name, constants in (
        ("f2_flags", f2.flags), ("f2_sizes", f2.sizes), ("f2_models", f2.models)
    ):  # fmt: skip
        rows = [(f"`{c.name}`", c.value, c.text) for c in constants]
        tables[name] = _table(("name", "value", "meaning"), rows)
    for name, names in (
        ("f2_operations", f2.operations),
        ("f2_modes", f2.modes), ("f2_range_parts", f2.range_parts), ("f2_numbers", f2.numbers),
    ):  # fmt: skip
        tables[name] = _table(("value", "name"), [(i, f"`{n}`") for i, n in enumerate(names)])
    tables["f2_element_types"] = _table(
        ("value", "name", "bytes"),
        [(i, f"`{n}`", f2.element_bytes[i]) for i, n in enumerate(f2.element_types)],
    )
    tables["f2_plan"] = _table(
        ("contexts", "from", "how many"), [(f"`{c.name}`", c.offset, c.count) for c in f2.plan]
    )
    tables["f2_tables"] = (
        "".join(
            f"`{t.name}` ({len(t.values)}):\n\n    " + "\n    ".join(t.lines) + "\n\n"
            for t in f2.tables
        ).rstrip("\n")
        + "\n"
    )
    tables["decoders"] = _table(
        ("decoder", "value", "takes"), [(f"`{v.name}`", v.value, v.text) for v in wire.decoders]
    )
    tables["formats"] = _table(
        ("format", "value", "is"), [(f"`{v.name}`", v.value, v.text) for v in wire.formats]
    )
    tables["verdicts"] = _table(
        ("verdict", "value", "the rule"), [(f"`{v.name}`", v.value, v.text) for v in wire.verdicts]
    )
    tables["slot_states"] = _table(
        ("state", "value", "meaning"),
        [(f"`{v.name}`", v.value, v.text) for v in wire.slot_states],
    )
    tables["smp_commands"] = _table(
        ("command", "number", "op", "request", "reply", "meaning"),
        [
            (f"`{c.name}`", c.value, c.op, c.request or "-", c.reply or "-", c.text)
            for c in wire.smp.commands
        ],
    )
    tables["smp_fields"] = _table(
        ("field", "type", "of", "meaning"),
        [(f"`{f.name}`", f.type, f.of, f.text) for f in wire.smp.fields],
    )
    tables["statuses"] = _table(
        ("code", "status", "meaning", "what to do"),
        [(s.code, f"`{s.name}`", s.text, s.fix) for s in wire.statuses],
    )
    return tables


def render_spec(wire: WireDefinition, text: str) -> str:
    """SPEC.md's text with each marked table replaced. An unknown marker is a KeyError."""
    tables = spec_tables(wire)
    return _MARKER.sub(lambda m: m.group(1) + tables[m.group(2)] + m.group(3), text)


def render_all(root: Path) -> dict[Path, str]:
    """Every derived file of the checkout at `root`, as path -> content."""
    wire = load_wire_definition(root / "codegen" / "wire.yaml")
    env = environment()
    spec = root / "SPEC.md"
    return {
        root / "zephyr_module" / "include" / "tinymldelta" / "wire.h": env.get_template(
            "wire.h.j2"
        ).render(wire=wire),
        root / "zephyr_module" / "core" / "tables.h": env.get_template("tables.h.j2").render(
            f2=wire.format2
        ),
        root / "codegen" / "src" / "tinymldelta" / "wire" / "constants.py": env.get_template(
            "constants.py.j2"
        ).render(wire=wire),
        spec: render_spec(wire, spec.read_text(encoding="utf-8")),
    }


def main(arguments: list[str]) -> int:
    root = Path(__file__).resolve().parents[4]
    stale = []
    for path, content in render_all(root).items():
        if "--check" in arguments:
            if not path.exists() or path.read_text(encoding="utf-8") != content:
                stale.append(str(path.relative_to(root)))
        elif write_if_changed(path, content):
            print(f"wrote {path.relative_to(root)}")
    if stale:
        print(f"out of date: {', '.join(stale)}; run `./run wire`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
