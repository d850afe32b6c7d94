"""The deepest stack of a function, from what the compiler says of frames and calls.

gcc's -fcallgraph-info=su writes, for each object, a .ci file with the frame of every function and
the calls in it. Two things it leaves out are added here: the functions that a function pointer may
stand for, which the caller of `analyse` lists, and the calls that only the object file's
relocations show (the helpers of Cortex-M0+ for switch). Frames of library functions are read from
their machine code in a linked firmware.

The result is an upper bound: a tail call gives its frame back before it jumps, and is counted as if
it did not. What cannot be bounded is an error: recursion, a frame of changing size, a function
pointer that is not listed, a function whose frame is not known.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .linkmap import InputSection, LinkMap
from .toolchain import Target, run, symbols

# Stands, in a table of indirect calls, for a function outside of what is measured: counted as 0.
OUTSIDE = "(outside)"

_NODE = re.compile(r'^node: \{ title: "([^"]+)" label: "([^"]*)"')
_EDGE = re.compile(r'^edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"(?: label: "([^"]*)")?')
_FRAME = re.compile(r"\\n(\d+) bytes \(([^)]*)\)")
_INDIRECT = "__indirect_call"
_CALLEE = re.compile(r"\(?\*?\s*(\w+(?:\s*(?:->|\.)\s*\w+|\[[^\]]*\])*)\s*\)?\s*\(")
_RELOCATIONS = re.compile(r"^RELOCATION RECORDS FOR \[\.text\.([\w.$]+)\]:")
_CALL_RELOCATION = re.compile(
    r"^[0-9a-f]+ R_(?:ARM_THM_(?:CALL|JUMP24|XPC22)|ARM_CALL|RISCV_(?:CALL(?:_PLT)?|JAL))"
    r"\s+([\w.$]+)"
)


class StackError(Exception):
    """The stack has no bound that can be told; the message says where and why."""


@dataclass(frozen=True)
class Depth:
    """The bytes of stack below a function's caller, and the calls that need them."""

    bytes: int
    path: tuple[tuple[str, int], ...]  # function and frame, from the entry down

    def __str__(self) -> str:
        return " → ".join(f"{name} {frame}" for name, frame in self.path)


@dataclass
class CallGraph:
    """Functions by title: the symbol, or file:symbol for a static function."""

    frames: dict[str, int] = field(default_factory=dict)
    calls: dict[str, set[str]] = field(default_factory=dict)

    def deepest(self, entry: str) -> Depth:
        """The deepest path from `entry` down."""
        return self._deepest(entry, (), {})

    def _deepest(self, name: str, above: tuple[str, ...], known: dict[str, Depth]) -> Depth:
        if name in above:
            loop = (*above[above.index(name) :], name)
            raise StackError(f"recursion: {' → '.join(_short(step) for step in loop)}")
        if name in known:
            return known[name]
        if name not in self.frames:
            by = f", called by {_short(above[-1])}," if above else ""
            raise StackError(f"the stack of {_short(name)}{by} is not known")
        below = Depth(0, ())
        for callee in sorted(self.calls.get(name, ())):
            depth = self._deepest(callee, (*above, name), known)
            if depth.bytes > below.bytes:
                below = depth
        frame = self.frames[name]
        known[name] = Depth(frame + below.bytes, ((_short(name), frame), *below.path))
        return known[name]


def _short(title: str) -> str:
    return title.rsplit(":", 1)[-1]


def analyse(
    target: Target,
    objects: Iterable[Path],
    cwd: Path,
    indirect: Mapping[str, Sequence[str]],
    libraries: Mapping[str, int] | None = None,
) -> CallGraph:
    """Put the call graph of `objects` together; each has its .ci file beside it.

    `cwd` is where they were compiled, so that the call graph's file names can be opened.
    `indirect` says, for each call through a pointer as it stands in the source (`io->emit`), the
    titles of the functions that it may reach. `libraries` has the stack of the other functions.
    """
    graph = CallGraph()
    for name, stack in (libraries or {}).items():
        graph.frames[name] = stack
    graph.frames[OUTSIDE] = 0
    for obj in objects:
        text = obj.with_suffix(".ci").read_text(encoding="utf-8")
        _read_callgraph(graph, text, cwd, indirect)
        _read_relocations(graph, run([target.toolchain.tool("objdump"), "-r", obj], cwd), text)
    return graph


def _read_callgraph(
    graph: CallGraph, text: str, cwd: Path, indirect: Mapping[str, Sequence[str]]
) -> None:
    for line in text.splitlines():
        if node := _NODE.match(line):
            title, label = node.groups()
            frame = _FRAME.search(label)
            if frame is None:
                continue  # declared here, defined elsewhere
            if frame[2] != "static":
                raise StackError(f"the frame of {_short(title)} is {frame[2]}, not of fixed size")
            graph.frames[title] = int(frame[1])
        elif edge := _EDGE.match(line):
            caller, callee, place = edge.groups()
            calls = graph.calls.setdefault(caller, set())
            if callee == _INDIRECT:
                calls.update(_resolve(caller, place, cwd, indirect))
            else:
                calls.add(callee)


def _resolve(
    caller: str, place: str | None, cwd: Path, indirect: Mapping[str, Sequence[str]]
) -> Sequence[str]:
    """The functions that an indirect call may reach, found by how the call is written."""
    if not place:
        raise StackError(f"an indirect call in {_short(caller)} has no place in the source")
    name, line, column = place.rsplit(":", 2)
    source = (cwd / name).read_text(encoding="utf-8").splitlines()
    expanded = source[int(line) - 1].expandtabs(1)
    written = _CALLEE.match(expanded[int(column) - 1 :])
    expression = re.sub(r"\s", "", written[1]) if written else "(not understood)"
    if expression not in indirect:
        raise StackError(f"unresolved indirect call: {expression} in {_short(caller)} at {place}")
    return indirect[expression]


def _read_relocations(graph: CallGraph, text: str, callgraph: str) -> None:
    """Add the calls of the machine code; most are there already."""
    titles = [node[1] for line in callgraph.splitlines() if (node := _NODE.match(line))]
    statics = {_short(title): title for title in titles if ":" in title}
    caller = ""
    for line in text.splitlines():
        if found := _RELOCATIONS.match(line):
            caller = statics.get(found[1], found[1])
        elif caller and (found := _CALL_RELOCATION.match(line)):
            callee = statics.get(found[1], found[1])
            graph.calls.setdefault(caller, set()).add(callee)


# ---- library functions ----

_DISASSEMBLED = re.compile(r"^\s*([0-9a-f]+):\t[^\t]*\t([\w.]+)(?:\t(.*))?$")
_COMMENT = re.compile(r"\s*(?:@|;|#\s).*$")
_DESTINATION = re.compile(r"(?:^|[\s,])([0-9a-f]+) <[^>]+>$")
# Not what goes back to the caller: to the link register, or to where the stack has kept it.
_INDIRECT_JUMP = re.compile(
    r"(?:blx|bx|jr|jalr)\s+(?!lr\b|ra\b)|(?:ldr|mov|add)\s+pc,(?!\s*\[sp\], #\d+$)"
)
_PUSH = re.compile(r"(v?)(?:push\s+|stm(?:db|fd)\s+sp!,\s*)\{([^}]*)\}$")
_STORE_BELOW = re.compile(r"\w+\s.*\[sp, #-(\d+)\]!$")
_STEP = re.compile(r"(add|addi|sub|subw)\s+sp,\s*(?:sp,\s*)?#?(-?\d+)$")
_SETS_SP = re.compile(r"(?:add|addi|addw|sub|subw|subs|mov|mv|and|bic|lui|li|ldr|lw)\s+sp,")


def library_stacks(target: Target, elf: Path, linked: LinkMap, output: str) -> dict[str, int]:
    """The stack of each library function in the output section `output` of a linked firmware.

    All that a library's input section ever pushes is added up, which is at least what any one path
    through it needs.
    """
    sections = linked.of(output)
    if not sections:
        return {}
    graph = CallGraph(frames={_title(section): 0 for section in sections})
    code = run([target.toolchain.tool("objdump"), "-d", "-j", output, elf], elf.parent)
    for line in code.splitlines():
        found = _DISASSEMBLED.match(line)
        section = _section_at(sections, int(found[1], 16)) if found else None
        if found is None or section is None:
            continue
        title = _title(section)
        operation = re.sub(r"^c\.|\.[nw]$", "", found[2])
        instruction = f"{operation} {_COMMENT.sub('', found[3] or '')}".strip()
        if _INDIRECT_JUMP.match(instruction):
            raise StackError(f"{title}: {instruction} is a call that cannot be followed")
        if destination := _DESTINATION.search(instruction):
            callee = _section_at(sections, int(destination[1], 16))
            if callee is None:
                raise StackError(f"{title}: {instruction} leaves the library")
            if callee != section:
                graph.calls.setdefault(title, set()).add(_title(callee))
        graph.frames[title] += _lowered(instruction, title)
    return {
        name: graph.deepest(_title(section)).bytes
        for name, (address, _) in symbols(target, elf, elf.parent).items()
        if (section := _section_at(sections, address & ~1)) is not None
    }


def _title(section: InputSection) -> str:
    return f"{section.member} {section.address:#x}"


def _section_at(sections: Sequence[InputSection], address: int) -> InputSection | None:
    for section in sections:
        if section.address <= address < section.address + section.size:
            return section
    return None


def _lowered(instruction: str, title: str) -> int:
    """The bytes by which one instruction lowers the stack pointer."""
    if found := _PUSH.match(instruction):
        registers = found[2].split(",")
        if not any("-" in register for register in registers):
            return len(registers) * (8 if found[1] else 4)
    elif found := _STORE_BELOW.match(instruction):
        return int(found[1])
    elif found := _STEP.match(instruction):
        step = int(found[2])
        return max(0, -step if found[1].startswith("add") else step)
    elif not _SETS_SP.match(instruction):
        return 0
    raise StackError(f"{title}: what {instruction} does to the stack is not understood")
