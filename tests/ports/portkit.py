"""Builds ask.c with the crypto ports, and asks it.

Wants Mbed TLS (libmbedtls-dev), and a folder with Monocypher's sources in TMD_MONOCYPHER:
monocypher.c and .h, and if it is there monocypher-ed25519.c, in whatever folders below it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
DEVICE = ROOT / "zephyr_module"
PORTS = DEVICE / "ports" / "crypto"
STRICT = ("-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")
SANITIZE = (
    "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer",
)  # fmt: skip
CORE = ("digest", "hmac", "status")

ED25519, ECDSA_P256, HMAC_SHA256, AES_CMAC = 1, 2, 3, 4
X25519, ECDH_P256 = 1, 2


def run(command: Sequence[str | Path]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{command[0]}: {done.stderr}"


def has_psa() -> bool:
    probe = "#include <psa/crypto.h>\nint main(void) { return psa_crypto_init() != 0; }\n"
    command = ["gcc", "-x", "c", "-", "-o", os.devnull, "-lmbedcrypto"]
    try:
        return subprocess.run(command, input=probe, text=True, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def monocypher_files() -> list[Path]:
    """Its sources, without the optional one if only the main one is there; none: it is missing."""
    folder = os.environ.get("TMD_MONOCYPHER", "")
    if not folder:
        return []
    found = (sorted(Path(folder).rglob(name)) for name in ("monocypher.c", "monocypher-ed25519.c"))
    return [files[0] for files in found if files]


def build(folder: Path, compiler: str = "gcc") -> Path:
    """The program, with the house rules and the sanitizers on all that is ours."""
    flags = [*STRICT, *SANITIZE, "-g", "-O1", "-DTMD_VERIFY=1", "-DTMD_DECRYPT=1"]
    includes = [f"-I{DEVICE / 'include'}", f"-I{PORTS / 'include'}"]
    sources = [HERE / "ask.c", PORTS / "psa.c", PORTS / "hmac.c"]
    sources += [DEVICE / "core" / f"{name}.c" for name in CORE]
    objects = []
    others = monocypher_files()
    if others:
        flags.append("-DASK_MONOCYPHER")
        sources.append(PORTS / "monocypher.c")
        includes += [f"-isystem{file.parent}" for file in others]
        if len(others) == 1:
            includes.append(f"-I{HERE / 'standin'}")
            sources.append(HERE / "standin" / "ed25519.c")
    for source in sources:
        out = folder / f"{source.parent.name}_{source.stem}.o"
        run([compiler, *flags, *includes, "-c", source, "-o", out])
        objects.append(out)
    for source in others:
        out = folder / f"{source.stem}.o"
        run([compiler, "-O2", *SANITIZE, *includes, "-c", source, "-o", out])
        objects.append(out)
    program = folder / "ask"
    run([compiler, *SANITIZE, *objects, "-Wl,--wrap=calloc", "-l:libmbedcrypto.a", "-o", program])
    return program


@dataclass(frozen=True)
class Ports:
    """The program, ready to be asked. Each call is a device that has just started."""

    program: Path
    folder: Path  # where PSA keeps its persistent keys

    def ask(self, lines: Iterable[str]) -> list[str]:
        text = "".join(f"{line}\n" for line in lines)
        done = subprocess.run(
            [self.program], input=text, cwd=self.folder, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()


def verify(
    port: str, kind: int, key: bytes | None, digest: bytes, signature: bytes, number: int = 0
) -> str:
    shown = "-" if key is None else key.hex()
    return f"verify {port} {kind} {number} {shown} {digest.hex()} {signature.hex()}"


def flipped(data: bytes) -> list[bytes]:
    """With each of its bits the other way."""
    out = []
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        out.append(bytes(changed))
    return out
