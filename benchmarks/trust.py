"""What signed and encrypted patches cost a device, and that comparing MACs tells nothing of them.

    python benchmarks/trust.py [--out benchmarks/trust.md]

For each kind of signature and of key agreement, a small firmware is linked for a Cortex-M33 and a
Cortex-M0+ and weighed, and another runs on QEMU, which counts instructions. Curves and ciphers are
those of Monocypher and Mbed TLS, whose sources are looked for in TMD_MONOCYPHER and in TMD_MBEDTLS,
or of the latter in the workspace around ZEPHYR_BASE. What is not there is left out, and said so.
Wants gcc-arm-none-eabi and qemu-system-arm. Counts are the same from run to run. Exit status: 0; 1
if a MAC's comparison depends on the MAC, or something failed; 2 if called wrongly.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import rich.console
import rich.progress
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

import footprint
from measure import linkmap, tables, toolchain
from tinymldelta import patching
from tinymldelta.container.reader import read_patch
from tinymldelta.errors import Refusal
from tinymldelta.keys import (
    MacKey,
    PrivateKey,
    load_agreement_private,
    load_private_key,
    seal,
)
from tinymldelta.said import Said
from tinymldelta.wire.constants import AgreementKind, SignatureKind

REPOSITORY = Path(__file__).resolve().parent.parent
DEFAULT_OUT = REPOSITORY / "benchmarks" / "trust.md"
FIRMWARE = REPOSITORY / "benchmarks" / "firmware"
DEVICE = REPOSITORY / "zephyr_module"
PORTS = DEVICE / "ports" / "crypto"
MODELS = REPOSITORY / "samples" / "host" / "models" / "digits"
QEMU = "qemu-system-arm"
SEALED_BYTES = 1024  # of a patch, that are decrypted
# What no cryptography of Mbed TLS needs, and parts of which do not compile for a bare processor.
NOT_CRYPTO = re.compile(
    r"(ssl_|x509|mps_|net_|pkcs|debug|timing|threading|error|version|psa_its|memory_buffer|pem\.|pk)"
)

COMPARES, CALLS = 256, 16  # as trust.c has them


@dataclass(frozen=True)
class Board:
    """A processor, and the machine of QEMU that has it or one with the same instructions."""

    target: toolchain.Target
    machine: str
    runs_on: str
    tick: Fraction  # ns, which is instructions
    code: tuple[int, int]
    ram: tuple[int, int]


_TARGETS = {target.key: target for target in toolchain.TARGETS}
BOARDS = (
    Board(
        _TARGETS["m33"], "mps2-an505", "Cortex-M33", Fraction(50), (0x10000000, 4 << 20),
        (0x38000000, 256 << 10),
    ),
    Board(
        _TARGETS["m0plus"], "microbit", "Cortex-M0", Fraction(125, 2), (0, 256 << 10),
        (0x20000000, 16 << 10),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """A firmware of trust.c: its macro, name, what it needs beside the core, and the key's kind."""

    macro: str
    name: str
    port: str
    library: str  # "", "Monocypher", "Mbed TLS"
    signature: SignatureKind | None = None
    agreement: AgreementKind | None = None

    @property
    def needs(self) -> str:
        return f"{self.name}, {self.library or 'the core alone'}"


NOTHING = Kind("TRUST_NOTHING", "nothing", "", "")
SIGNATURES = (
    Kind("TRUST_ED25519", "Ed25519", "monocypher", "Monocypher", SignatureKind.ED25519),
    Kind("TRUST_ECDSA_P256", "ECDSA P-256", "psa", "Mbed TLS", SignatureKind.ECDSA_P256),
    Kind("TRUST_HMAC", "HMAC-SHA-256", "hmac", "", SignatureKind.HMAC_SHA256),
    Kind("TRUST_HMAC_PSA", "HMAC-SHA-256", "psa", "Mbed TLS", SignatureKind.HMAC_SHA256),
    Kind("TRUST_AES_CMAC", "AES-CMAC", "psa", "Mbed TLS", SignatureKind.AES_CMAC),
)
AGREEMENTS = (
    Kind("TRUST_X25519", "X25519, AES-128", "psa", "Mbed TLS", agreement=AgreementKind.X25519),
    Kind(
        "TRUST_ECDH_P256", "ECDH P-256, AES-128", "psa", "Mbed TLS",
        agreement=AgreementKind.ECDH_P256,
    ),
)  # fmt: skip
MACS = tuple(kind for kind in SIGNATURES if "MAC" in kind.name)


@dataclass(frozen=True)
class Library:
    """Sources of a library, with what they are compiled with, and what it calls itself."""

    name: str
    version: str
    sources: tuple[Path, ...]
    flags: tuple[str, ...]


@dataclass
class Weight:
    """Bytes of flash by owner, and of RAM that is there all the time."""

    flash: dict[str, int] = field(default_factory=dict)
    static: int = 0


@dataclass(frozen=True)
class Measured:
    """One call: instructions, stack, heap at its highest, status."""

    instructions: int
    stack: int
    heap: int
    status: int


@dataclass(frozen=True)
class Compared:
    """Ticks of a comparison, each of `calls` calls: for the right tag, and for wrong ones."""

    right: int
    fewest: int
    most: int
    tags: int


@dataclass
class Result:
    weight: Weight | None = None
    calls: dict[str, Measured] = field(default_factory=dict)
    compared: dict[str, Compared] = field(default_factory=dict)
    why_not: str = ""  # nothing was run


# ---- libraries ----


def find_library(name: str) -> Library | None:
    return find_monocypher() if name == "Monocypher" else find_mbedtls()


def find_monocypher() -> Library | None:
    given = os.environ.get("TMD_MONOCYPHER", "")
    if not given:
        return None
    sources = []
    for name in ("monocypher.c", "monocypher-ed25519.c"):
        found = sorted(Path(given).resolve().rglob(name))
        if not found:
            return None
        sources.append(found[0])
    flags = tuple(dict.fromkeys(f"-I{source.parent}" for source in sources))
    text = sources[0].read_text(encoding="utf-8", errors="replace")
    version = re.search(r"Monocypher version (\d[\d.]*)", text)
    return Library("Monocypher", version[1] if version else "4", tuple(sources), flags)


def find_mbedtls() -> Library | None:
    candidates = []
    if given := os.environ.get("TMD_MBEDTLS", ""):
        candidates.append(Path(given))
    if base := os.environ.get("ZEPHYR_BASE", ""):
        candidates.append(Path(base).parent / "modules" / "crypto" / "mbedtls")
    for folder in candidates:
        header = folder / "include" / "mbedtls" / "build_info.h"  # none in Mbed TLS 2 and 4
        if header.is_file() and (folder / "library" / "psa_crypto.c").is_file():
            found = re.search(r'VERSION_STRING\s+"([\d.]+)"', header.read_text(encoding="utf-8"))
            sources = tuple(
                source
                for source in sorted((folder / "library").glob("*.c"))
                if not NOT_CRYPTO.match(source.name)
            )
            flags = (
                f"-I{folder.resolve() / 'include'}", f"-I{folder.resolve() / 'library'}",
                f"-I{FIRMWARE}", '-DMBEDTLS_CONFIG_FILE="trust_mbedtls.h"',
            )  # fmt: skip
            return Library("Mbed TLS", found[1] if found else "3", sources, flags)
    return None


HINTS = {
    "Monocypher": "set TMD_MONOCYPHER to a folder with monocypher.c and monocypher-ed25519.c",
    "Mbed TLS": "set TMD_MBEDTLS to the sources of Mbed TLS 3, or ZEPHYR_BASE in a west workspace",
}


# ---- what the firmware is given ----


def seed(name: str) -> bytes:
    """32 bytes for a key of that name: the same each time, and no secret of anyone."""
    return hashlib.sha256(f"benchmark of {name}".encode()).digest()


def pem(kind: Kind) -> bytes:
    raw = seed(kind.macro)
    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | x25519.X25519PrivateKey
    if kind.signature == SignatureKind.ED25519:
        key = ed25519.Ed25519PrivateKey.from_private_bytes(raw)
    elif kind.agreement == AgreementKind.X25519:
        key = x25519.X25519PrivateKey.from_private_bytes(raw)
    else:
        key = ec.derive_private_key(int.from_bytes(raw, "big") >> 1, ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def p256_secret(kind: Kind) -> bytes:
    return (int.from_bytes(seed(kind.macro), "big") >> 1).to_bytes(32, "big")


def make_patch(signer: PrivateKey | MacKey | None) -> tuple[bytes, int]:
    """A real patch, and how long its head is."""
    options = patching.PatchOptions(said=Said(name="digits", version=0x01010000), signer=signer)
    base, target = ((MODELS / f"{name}.tflite").read_bytes() for name in ("base", "target"))
    made = patching.make_patch(
        base, target, where="patch", target_where="target", options=options, contract=None, index=0
    )
    return made.data, len(made.data) - read_patch(made.data, None).sizes["body"]


def array(name: str, data: bytes) -> str:
    return f"static const uint8_t {name}[] = {{{', '.join(map(str, data))}}};\n"


def contract(keys: str) -> str:
    return (
        "static const struct tmd_contract job_contract = {.formats = 4, .decoder = TMD_DECODER,\n"
        f"\t.meta_kept = TMD_META_KEPT, .keys = &job_key, .keys_n = 1{keys}}};\n"
    )


def key_struct(kind: int, key_id: bytes, bytes_name: str) -> str:
    shown = ", ".join(map(str, key_id))
    return f"static const struct tmd_key job_key = {{{bytes_name}, {kind}, {{{shown}}}}};\n"


@functools.cache
def plain_head() -> bytes:
    data, head = make_patch(None)
    return data[:head]


def job(kind: Kind, size: bool) -> str:
    """trust_job.h of a kind; `size`: without what is there for running alone."""
    out = "/* Written by trust.py. */\n"
    if kind.signature is not None:
        signer: PrivateKey | MacKey
        if kind in MACS:
            secret = seed(kind.macro)[: 32 if kind.signature == SignatureKind.HMAC_SHA256 else 16]
            signer = MacKey(kind.signature, secret)
            out += array("job_secret", secret) + key_struct(kind.signature, signer.id, "0")
        else:
            signer = load_private_key(pem(kind), kind.name)
            out += array("job_public", signer.public.data)
            out += key_struct(kind.signature, signer.id, "job_public")
        if not size:
            data, head = make_patch(signer)
            digest = seed("digest")
            signature = signer.sign(digest)
            out += array("job_digest", digest) + array("job_signature", signature)
            out += f"#define JOB_SIGNATURE_BYTES {len(signature)}u\n" + contract("")
            out += array("job_head", data[:head]) + array("job_plain_head", plain_head())
    if kind.agreement is not None:
        device = load_agreement_private(pem(kind), kind.name)
        is_x = kind.agreement == AgreementKind.X25519
        family = "MONTGOMERY" if is_x else "SECP_R1"
        out += f"#define job_family PSA_ECC_FAMILY_{family}\n"
        out += array("job_secret", seed(kind.macro) if is_x else p256_secret(kind))
        out += key_struct(kind.agreement, device.id, "0")
        if not size:
            other = Kind(f"{kind.macro} sender", "", "", "", agreement=kind.agreement)
            sender = load_agreement_private(pem(other), "sender")
            inner = make_patch(None)[0][:SEALED_BYTES]
            sealed = seal(inner, device.public, ephemeral=sender)
            out += array("job_peer", sender.public.data) + array("job_head", inner)
            out += array("job_sealed", sealed) + f"#define JOB_SEALED_BYTES {len(sealed)}u\n"
            out += f"#define JOB_SEALED_HEAD {9 + len(sender.public.data)}u\n"
            out += contract(", .sealed_keys = &job_key, .sealed_keys_n = 1")
    return out


# ---- building and running ----


@dataclass
class Builds:
    """Objects that were compiled, by the folder that they lie in: firmwares have them in common."""

    folder: Path
    objects: dict[Path, list[Path]] = field(default_factory=dict)

    def compiled(
        self, board: Board, sources: Sequence[Path], out: Path, flags: Sequence[str]
    ) -> list[Path]:
        if out not in self.objects:

            def compile_one(source: Path) -> Path:
                obj = out / f"{source.stem}.o"
                toolchain.compile_c(board.target, source, obj, self.folder, flags)
                return obj

            with ThreadPoolExecutor(os.cpu_count()) as pool:
                self.objects[out] = list(pool.map(compile_one, sources))
        return self.objects[out]


OPTIONS = ("-DTMD_DECODER=2", "-DTMD_WITH_FORMAT_1=0", "-DTMD_VERIFY=1", "-DTMD_DECRYPT=1")


def build(board: Board, kind: Kind, library: Library | None, builds: Builds, size: bool) -> Path:
    """Link the firmware of a kind, and return the ELF file; the map lies beside it.

    Its objects lie in folders that are called as their owners are, by which they are told apart.
    """
    of_board = builds.folder / board.target.key
    of_kind = of_board / kind.macro
    out = of_kind / ("size" if size else "run")
    out.mkdir(parents=True)
    (out / "trust_job.h").write_text(job(kind, size), encoding="utf-8")
    ours = (f"-I{DEVICE / 'include'}", *OPTIONS)
    of_port = (
        *ours,
        f"-I{PORTS / 'include'}",
        f"-D{kind.macro}",
        *(library.flags if library else ()),
    )
    of_firmware = (*of_port, f"-I{out}", *(("-DTRUST_SIZE",) if size else ()))
    core = sorted((DEVICE / "core").glob("*.c"))
    port = [PORTS / f"{kind.port}.c"] if kind.port else []
    objects = [
        *builds.compiled(board, [FIRMWARE / "trust.c"], out / "firmware", of_firmware),
        *builds.compiled(board, core, of_board / "core", ours),
        *builds.compiled(board, port, of_kind / "port", of_port),
        *builds.compiled(board, library.sources if library else (), of_kind / "crypto", of_port),
    ]
    script = (FIRMWARE / "trust.ld").read_text(encoding="utf-8")
    places = {
        "CODE_AT": board.code[0], "CODE_BYTES": board.code[1], "RAM_AT": board.ram[0],
        "RAM_BYTES": board.ram[1],
    }  # fmt: skip
    for name, value in places.items():
        script = re.sub(rf"= {name}\b", f"= {value:#x}", script)
    (out / "trust.ld").write_text(script, encoding="utf-8")
    elf = out / "trust.elf"
    toolchain.link(board.target, out / "trust.ld", objects, elf)
    return elf


def weigh(elf: Path) -> Weight:
    linked = linkmap.parse(elf.with_suffix(".map").read_text(encoding="utf-8"))
    flash = {owner: linked.sizes.get(f".{owner}", 0) for owner in ("core", "port", "crypto")}
    flash["library"] = linked.sizes.get(".library", 0)
    static = sum(
        section.size
        for section in linked.sections
        if section.output in (".data", ".bss")
        and Path(section.file).parent.name in ("port", "crypto")
    )
    return Weight(flash, static)


def run(board: Board, elf: Path) -> Result:
    """Run on the emulated board, and read what it says."""
    done = subprocess.run(
        [
            QEMU, "-M", board.machine, "-nographic", "-icount", "shift=0",
            "-semihosting-config", "enable=on,target=native", "-kernel", str(elf),
        ],
        capture_output=True, text=True, timeout=600, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    out = Result()
    for line in (done.stdout + done.stderr).splitlines():
        found = re.fullmatch(r"(\w+) (\d+) (\d+) (\d+) (\d+) *", line)
        if found is None:
            continue
        a, b, c, d = map(int, found.groups()[1:])
        if found[1].startswith("compare"):
            out.compared[found[1]] = Compared(a, b, c, d)
        else:
            out.calls[found[1]] = Measured(int(a * board.tick), b, c, d)
    if not out.calls:
        raise RuntimeError(f"{board.machine}: no result: {done.stderr.strip()[:200]}")
    wrong = [name for name, call in out.calls.items() if (call.status != 0) != (name == "wrong")]
    if wrong:
        name = wrong[0]
        raise RuntimeError(f"{board.machine}: {name} ended with {-out.calls[name].status}")
    return out


def measure_kind(board: Board, kind: Kind, builds: Builds) -> Result:
    library = find_library(kind.library) if kind.library else None
    if kind.library and library is None:
        return Result(why_not=f"no {kind.library}: {HINTS[kind.library]}")
    weight = weigh(build(board, kind, library, builds, size=True))
    try:
        result = run(board, build(board, kind, library, builds, size=False))
    except (RuntimeError, toolchain.ToolError) as error:
        if board is BOARDS[0]:
            raise
        result = Result(why_not=str(error).splitlines()[0])
    result.weight = weight
    return result


Results = dict[Board, dict[Kind, Result]]


# ---- the core's own ----

WHOLE = footprint.WHOLE.uses
STORE = (*footprint.DEFAULT, *footprint.FORMAT_2)
CORE_STEPS = (
    footprint.Configuration("plain", "whole store, default decoder, format 2", WHOLE, STORE),
    footprint.Configuration("verify", "+ TMD_VERIFY", WHOLE, (*STORE, "-DTMD_VERIFY=1")),
    footprint.Configuration(
        "decrypt", "+ TMD_DECRYPT", WHOLE, (*STORE, "-DTMD_VERIFY=1", "-DTMD_DECRYPT=1")
    ),
)


def measure_core(board: Board, folder: Path) -> list[tuple[footprint.Code, footprint.Memory]]:
    out = []
    for step in CORE_STEPS:
        path = folder / board.target.key / f"core_{step.key}"
        objects = footprint.compile_device(board.target, path, step.options)
        out.append(footprint.measure_one(board.target, step, path, objects))
    return out


# ---- showing ----


def core_table(
    board: Board, steps: Sequence[tuple[footprint.Code, footprint.Memory]]
) -> tables.Table:
    header = ("", "code", "adds", "structs", "stack", "working memory", "adds")
    table = tables.Table(f"What the core and the store add, on {board.target.name}", header)
    table.note = (
        "Without a crypto port, whose stack comes on top where it is called. TMD_VERIFY: SHA-256 of"
        " the head, keys, the form of signatures, HMAC; TMD_DECRYPT: envelope, HKDF, counter mode."
    )
    before: tuple[int, int] | None = None
    for step, (code, memory) in zip(CORE_STEPS, steps, strict=True):
        table.add(
            step.name, code.total, None if before is None else f"{code.total - before[0]:+,}",
            memory.held_bytes, memory.deepest(), memory.working(),
            None if before is None else f"{memory.working() - before[1]:+,}",
        )  # fmt: skip
        before = code.total, memory.working()
    return table


def weight_table(board: Board, results: dict[Kind, Result]) -> tables.Table:
    header = ("", "library", "port", "library's code", "core", "C library", "static RAM",
              "heap, at most", "stack")  # fmt: skip
    table = tables.Table(f"What each kind adds, on {board.target.name}", header)
    table.note = (
        "Code and constants of the port, of the library, of the core (HMAC; SHA-256 is in every"
        " firmware), and what of the C library a firmware lacks that has none of it yet. Heap and"
        f" stack as they were when it ran on {board.runs_on}; static RAM and heap hold the key of a"
        " MAC or of an agreement too."
    )
    base = results[NOTHING].weight
    assert base is not None
    for kind in (*SIGNATURES, *AGREEMENTS):
        result = results[kind]
        if result.weight is None:
            table.add(kind.name, kind.library, *["–"] * 7)
            continue
        flash = result.weight.flash
        calls = [call for name, call in result.calls.items() if name != "start"]
        ports = [result.calls[n] for n in ("verify", "agree", "block") if n in result.calls]
        table.add(
            kind.name, kind.library or "none", flash["port"], flash["crypto"],
            max(0, flash["core"] - base.flash["core"]), flash["library"] - base.flash["library"],
            result.weight.static, max((c.heap for c in calls), default=None),
            max((c.stack for c in ports), default=None),
        )  # fmt: skip
    return table


def verify_table(board: Board, results: dict[Kind, Result]) -> tables.Table:
    header = ("", "library", "one signature", "a wrong one", "a whole head")
    table = tables.Table(f"Instructions to verify, on {board.runs_on}", header)
    table.note = (
        "A whole head: read from its first byte, with its metadata, its CRC, SHA-256 and the"
        f" signature. The same head unsigned takes {plain_instructions(results):,}. Ed25519 and"
        " ECDSA take longer for some signatures than for others, which are no secret."
    )
    for kind in SIGNATURES:
        calls = results[kind].calls
        counts = [
            calls[n].instructions if n in calls else None for n in ("verify", "wrong", "head")
        ]
        table.add(kind.name, kind.library or "none", *counts)
    return table


def plain_instructions(results: dict[Kind, Result]) -> int:
    found = [
        r.calls["plain_head"].instructions for r in results.values() if "plain_head" in r.calls
    ]
    return found[0] if found else 0


def open_table(board: Board, results: dict[Kind, Result]) -> tables.Table:
    header = ("", "library", "agreement", "HKDF", "AES block", "decrypting, per byte")
    table = tables.Table(f"Instructions to open an encrypted patch, on {board.runs_on}", header)
    table.note = (
        "HKDF: with it, all else of the envelope's head. Decrypting: counter mode, with a key that"
        f" is imported for each block; over {SEALED_BYTES:,} bytes. Agreements are blinded, and no"
        " two take the same."
    )
    for kind in AGREEMENTS:
        calls = results[kind].calls
        counts = [
            calls[n].instructions if n in calls else None for n in ("agree", "derive", "block")
        ]
        rest = f"{calls['rest'].instructions / SEALED_BYTES:,.0f}" if "rest" in calls else None
        table.add(kind.name, kind.library, *counts, rest)
    return table


COMPARISONS = {
    "compare_core": ("tmd_is_equal", COMPARES),
    "compare_library": ("mbedtls_ct_memcmp", COMPARES),
    "compare_verify": ("the port's verify, as a whole", CALLS),
    "compare_early": ("one that stops early, for comparison", COMPARES),
}


def timing_table(board: Board, results: dict[Kind, Result]) -> tables.Table:
    header = ("", "MAC", "right tag", "wrong, fewest", "wrong, most", "wrong tags")
    table = tables.Table(f"Instructions to compare a MAC, on {board.runs_on}", header)
    table.note = (
        "The right tag, that tag with each of its bits changed once, and random ones. A count is"
        f" over {COMPARES} calls ({CALLS} of the port's verify), so that one instruction more in"
        " a call is seen; shown is what one call takes. As a whole, the right tag may take others"
        " than a wrong one: which of the two it is, the answer tells."
    )
    for kind in MACS:
        for name, found in results[kind].compared.items():
            what, calls = COMPARISONS[name]
            shown = [
                f"{float(ticks * board.tick / calls):,.1f}"
                for ticks in (found.right, found.fewest, found.most)
            ]
            label = kind.name + (", PSA" if kind.library else ", core")
            table.add(what, label, *shown, found.tags)
    return table


def leaks(results: Results) -> list[str]:
    """Comparisons whose time depends on the tag. Whether it is the right one is no secret."""
    out = []
    for board, kinds in results.items():
        for kind, result in kinds.items():
            for name, found in result.compared.items():
                counts = [found.fewest, found.most]
                counts += [found.right] if name in ("compare_core", "compare_library") else []
                if name != "compare_early" and max(counts) > min(counts):
                    out.append(f"{COMPARISONS[name][0]} of {kind.needs} on {board.runs_on}")
    return out


def missing(results: Results) -> list[str]:
    lines = []
    for board, kinds in results.items():
        for kind, result in kinds.items():
            if result.why_not:
                lines.append(f"{kind.needs}, on {board.target.name}: {result.why_not}")
    return list(dict.fromkeys(lines))


def report(
    results: Results,
    cores: dict[Board, list[tuple[footprint.Code, footprint.Memory]]],
) -> tuple[list[tables.Table], list[str]]:
    found: list[tables.Table] = []
    for board, steps in cores.items():
        found.append(core_table(board, steps))
    for board, kinds in results.items():
        found.append(weight_table(board, kinds))
    for board, kinds in results.items():
        if any(result.calls for result in kinds.values()):
            found += [verify_table(board, kinds), open_table(board, kinds)]
            found.append(timing_table(board, kinds))
    libraries = [library for name in HINTS if (library := find_library(name)) is not None]
    lines = [
        f"{toolchain.describe(toolchain.ARM)}, {' '.join(toolchain.COMPILE_FLAGS)}",
        *(f"{library.name} {library.version}" for library in libraries),
        *(f"left out: {line}" for line in missing(results)),
    ]
    return found, lines


def render(found: Iterable[tables.Table], lines: Sequence[str], verdict: str) -> str:
    head = [
        "# Trust",
        "",
        "Written by `./run bench trust`: what signed and encrypted patches cost a device. Sizes",
        "are bytes. Instructions are counted by QEMU with `-icount shift=0`: on mps2-an505 for the",
        "Cortex-M33; the code for the Cortex-M0+ runs on microbit, a Cortex-M0, which has the same",
        "instructions. Mbed TLS is configured small: `benchmarks/firmware/trust_mbedtls.h`.",
        "",
        *(f"- {line}" for line in lines),
        f"- {verdict}",
        "",
        "",
    ]
    return "\n".join(head) + "".join(map(tables.markdown, found)).rstrip("\n") + "\n"


def fail(message: str) -> int:
    print(f"trust: {message}", file=sys.stderr)
    return 1


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="./run bench trust", description="What signed and encrypted patches cost a device."
    )
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="Markdown file to write")
    given = parser.parse_args(arguments)
    if not toolchain.is_installed(toolchain.ARM):
        return fail(f"no compiler; {toolchain.ARM.install_hint}")
    if shutil.which(QEMU) is None:
        return fail(f"no {QEMU}; sudo apt install qemu-system-arm")
    results: Results = {board: {} for board in BOARDS}
    cores = {}
    console = rich.console.Console(stderr=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        builds = Builds(folder)
        try:
            for board in BOARDS:
                cores[board] = measure_core(board, folder)
                nothing = build(board, NOTHING, None, builds, size=True)
                results[board][NOTHING] = Result(weigh(nothing))
            work = [(board, kind) for board in BOARDS for kind in (*SIGNATURES, *AGREEMENTS)]
            for board, kind in rich.progress.track(work, "measuring", console=console):
                results[board][kind] = measure_kind(board, kind, builds)
        except (toolchain.ToolError, RuntimeError, Refusal) as error:
            return fail(str(error))
    found, lines = report(results, cores)
    broken = leaks(results)
    verdict = (
        f"depends on the MAC: {', '.join(broken)}"
        if broken
        else "comparing a MAC takes the same, wherever and whether it differs"
    )
    given.out.write_text(render(found, lines, verdict), encoding="utf-8")
    tables.print_all(found, [*lines, verdict])
    return fail(verdict) if broken else 0


if __name__ == "__main__":
    sys.exit(main())
