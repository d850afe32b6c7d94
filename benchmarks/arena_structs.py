"""Sizes of the structs that TensorFlow Lite Micro puts into its arena, asked of the compiler.

    python benchmarks/arena_structs.py REVISION TFLM_DIR [--include DIR]... [--check]

REVISION is a key of `tinymldelta.tflm.kernels.REVISIONS`, TFLM_DIR a checkout of it. Third-party
headers are looked for in its `third_party_static`, as Zephyr's module has them, then in DIR.

Writes `codegen/src/tinymldelta/arena/sizes.py`, in which other revisions stay as they are; --check
only compares. Exit status: 0, or 1 if something would change, does not compile, or differs between
processors. Needs arm-none-eabi-g++, and takes some minutes.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tinymldelta.arena.sizes import STRUCTS
from tinymldelta.output import write_if_changed
from tinymldelta.tflm.kernels import REVISIONS

SIZES = Path(__file__).resolve().parent.parent / "codegen/src/tinymldelta/arena/sizes.py"
COMPILER = "arm-none-eabi-g++"
# Struct sizes follow from the procedure call standard (AAPCS, whose enums are as short as they can
# be) and not from the processor. That is checked with the core's structs, which have members of
# every kind; kernels are compiled for the first only.
PROCESSORS = ("cortex-m3", "cortex-m4", "cortex-m33")
THIRD_PARTY = ("gemmlowp", "flatbuffers/include", "ruy", "kissfft")
MICRO = "tensorflow/lite/micro"

# What the allocator itself keeps, by name; all in namespace tflite or in the C API.
CORE = (
    "SingleArenaBufferAllocator",
    "SimpleMemoryAllocator",  # its name in 2021
    "GreedyMemoryPlanner",
    "GreedyMemoryPlanner::BufferRequirements",
    "GreedyMemoryPlanner::ListEntry",
    "MicroAllocator",
    "MicroBuiltinDataAllocator",
    "SubgraphAllocations",
    "NodeAndRegistration",
    "ScratchBufferHandle",
    "internal::ScratchBufferRequest",
    "AllocationInfo",
    "TfLiteEvalTensor",
    "TfLiteTensor",
    "TfLiteAffineQuantization",
)

# Of tensors that a kernel looks at, what comes before one of these members is used again.
OFFSETS = (
    "TfLiteTensor.quantization",
    "TfLiteTensor.sparsity",
    "TfLiteAffineQuantization.quantized_dimension",
)

# Parameters that the parsers copy out of the file.
PARSERS = "tensorflow/lite/core/api/flatbuffer_conversions.cc"
PARAMETERS = tuple(
    f"TfLite{name}Params"
    for name in (
        "Add", "ArgMax", "ArgMin", "BatchMatMul", "CallOnce", "Cast", "Concatenation", "Conv",
        "Cumsum", "DepthToSpace", "DepthwiseConv", "Div", "FullyConnected", "Gather", "If",
        "L2Norm", "LeakyRelu", "MirrorPadding", "Mul", "Pack", "Pool", "Reducer", "Reshape",
        "ResizeBilinear", "ResizeNearestNeighbor", "Shape", "Softmax", "SpaceToDepth", "Split",
        "SplitV", "Squeeze", "StridedSlice", "Sub", "SVDF", "TransposeConv",
        "UnidirectionalSequenceLSTM", "Unpack", "VarHandle", "While",
    )
)  # fmt: skip

# What kernels keep for each node: by source file under micro/kernels, the types that it declares or
# includes. Many call theirs OpData, all did in 2021; in sizes.py the file's name tells them apart.
KERNELS: dict[str, tuple[str, ...]] = {
    "activations": ("ReluOpData", "Relu6OpData"),
    "add": ("OpDataAdd", "OpData"),
    "add_n": ("OpData",),
    "batch_matmul": ("OpDataBatchMatmul", "QuantizationOpDataBatchMatmul"),
    "call_once": ("OpData",),
    "circular_buffer": ("OpDataCircularBuffer",),
    "comparisons": ("OpData",),
    "concatenation": ("OpData",),
    "conv": ("OpDataConv",),
    "cumsum": ("OpData",),
    "dequantize": ("DequantizeOpData", "OpData"),
    "detection_postprocess": ("OpData",),
    "div": ("OpDataDiv",),
    "elementwise": ("OpDataAbsRsqrt",),
    "elu": ("OpData",),
    "embedding_lookup": ("OpData",),
    "fully_connected": ("OpDataFullyConnected",),
    "hard_swish": ("HardSwishParams",),
    "if": ("OpData",),
    "l2norm": ("L2NormalizationParams",),
    "leaky_relu": ("LeakyReluOpData",),
    "log_softmax": ("LogSoftmaxOpData",),
    "logistic": ("OpDataLogistic",),
    "mirror_pad": ("OpDataMirrorPad",),
    "mul": ("OpDataMul", "OpData"),
    "pad": ("OpData",),
    "pooling": ("OpDataPooling",),
    "prelu": ("PreluParams",),
    "quantize": ("OpDataQuantizeReference",),
    "reduce": ("OpDataReduce", "OpData"),
    "select": ("OpData",),
    "softmax": ("SoftmaxParams",),
    "space_to_batch_nd": ("SpaceToBatchParams",),
    "squared_difference": ("OpData",),
    "strided_slice": ("StridedSliceParams",),
    "sub": ("OpDataSub", "OpData"),
    "svdf": ("OpDataSvdf", "OpData"),
    "tanh": ("OpData",),
    "transpose_conv": ("OpData",),
    "unidirectional_sequence_lstm": ("OpDataLSTM",),
    "var_handle": ("OpData",),
    "while": ("OpData",),
}

# Kernels had a namespace each in 2021, by the name of the file but for these.
NAMESPACES_2021 = {"if": "if_", "tanh": "activations", "while": "while_"}


@dataclass(frozen=True)
class Probe:
    """A source file to include, and types to measure there, each with the key that sizes.py has."""

    source: str
    types: tuple[tuple[str, str], ...]


def probes() -> list[Probe]:
    kernels = [
        Probe(f"{MICRO}/kernels/{stem}.cc", tuple(named(stem, names)))
        for stem, names in KERNELS.items()
    ]
    core = Probe(f"{MICRO}/micro_allocator.cc", tuple((name, name) for name in CORE + OFFSETS))
    parameters = Probe(PARSERS, tuple((name, name) for name in PARAMETERS))
    return [core, parameters, *kernels]


def named(stem: str, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        if name == "OpData":
            yield f"{stem}/{name}", name
            yield f"{stem}/{name}", f"ops::micro::{NAMESPACES_2021.get(stem, stem)}::{name}"
        else:
            yield name, name


def size(name: str) -> str:
    """In C++, the size of a type or the offset of a member."""
    owner, _, member = name.partition(".")
    return f"offsetof({owner}, {member})" if member else f"sizeof({name})"


def alignment(name: str) -> str:
    return "1" if "." in name else f"alignof({name})"


def program(probe: Probe) -> str:
    """Assembler comments of the form `@struct KEY SIZE ALIGNMENT`; one type a line."""
    lines = "\n".join(
        f'asm volatile("@struct {key} %c0 %c1" :: "i"({size(name)}), "i"({alignment(name)}));'
        for key, name in probe.types
    )
    return f'#include "{probe.source}"\nnamespace tflite {{\nvoid probe() {{\n{lines}\n}}\n}}\n'


@dataclass(frozen=True)
class Checkout:
    root: Path
    include: tuple[Path, ...]

    def compile(self, text: str, processor: str, folder: Path) -> tuple[str, set[int]]:
        """The assembler, and the lines of `text` that have errors."""
        source, output = folder / "probe.cc", folder / "probe.s"
        source.write_text(text)
        result = subprocess.run(
            [
                COMPILER, f"-mcpu={processor}", "-mthumb", "-std=c++17", "-S", "-w",
                "-fno-access-control", "-fno-exceptions", "-fno-rtti", "-fmax-errors=0",
                *(f"-I{path}" for path in (self.root, *self.include)),
                "-o", str(output), str(source),
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if result.returncode == 0:
            return output.read_text(), set()
        wrong = {int(n) for n in re.findall(r"probe\.cc:(\d+):\d+: error", result.stderr)}
        if not wrong:
            sys.exit(f"{text.splitlines()[0]}: does not compile\n{result.stderr}")
        return "", wrong

    def sizes(self, probe: Probe, processor: str, folder: Path) -> dict[str, tuple[int, int]]:
        """Size and alignment by key. What this revision does not have is left out."""
        if not (self.root / probe.source).is_file():
            return {}
        text = program(probe)
        assembler, wrong = self.compile(text, processor, folder)
        if wrong:
            lines = text.splitlines()
            kept = [line for n, line in enumerate(lines, 1) if n not in wrong]
            assembler, wrong = self.compile("\n".join(kept) + "\n", processor, folder)
            if wrong:
                sys.exit(f"{probe.source}: does not compile")
        found = re.findall(r"@struct (\S+) (\d+) (\d+)", assembler)
        return {key: (int(bytes), int(multiple)) for key, bytes, multiple in found}


def measure(checkout: Checkout) -> dict[str, tuple[int, int]]:
    core, *others = probes()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table, *again = (checkout.sizes(core, p, folder) for p in PROCESSORS)
        if any(sizes != table for sizes in again):
            sys.exit(f"{core.source}: sizes differ between {', '.join(PROCESSORS)}")
        for probe in others:
            table.update(checkout.sizes(probe, PROCESSORS[0], folder))
    return table


def render(tables: dict[str, dict[str, tuple[int, int]]]) -> str:
    """sizes.py, with as many entries on a line as there is room for."""
    text = SIZES.read_text().split("STRUCTS:")[0]
    text += "STRUCTS: Final[dict[str, dict[str, tuple[int, int]]]] = {\n"
    for revision in sorted(tables, key=list(REVISIONS).index):
        text += f'    "{revision}": {{\n' + "".join(rows(tables[revision])) + "    },\n"
    return text + "}  # fmt: skip\n"


def rows(table: dict[str, tuple[int, int]]) -> Iterable[str]:
    line = ""
    for key, (bytes, multiple) in table.items():
        entry = f' "{key}": ({bytes}, {multiple}),'
        if len(line) + len(entry) > 92:
            yield f"       {line}\n"
            line = ""
        line += entry
    yield f"       {line}\n"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("revision", choices=list(REVISIONS))
    parser.add_argument("tflm", type=Path)
    parser.add_argument("--include", type=Path, action="append", default=[])
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args(arguments)
    static = [given.tflm / "third_party_static" / name for name in THIRD_PARTY]
    checkout = Checkout(given.tflm, (*static, *given.include))
    text = render({**STRUCTS, given.revision: measure(checkout)})
    if given.check:
        return int(text != SIZES.read_text())
    write_if_changed(SIZES, text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
