"""Libraries with curves and ciphers, where whoever calls says that they are."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

FIRMWARE = Path(__file__).resolve().parent.parent / "firmware"
# What no cryptography of Mbed TLS needs, and parts of which do not compile for a bare processor.
NOT_CRYPTO = re.compile(
    r"(ssl_|x509|mps_|net_|pkcs|debug|timing|threading|error|version|psa_its|memory_buffer|pem\.|pk)"
)


@dataclass(frozen=True)
class Library:
    """Sources of a library, with what they are compiled with, and what it calls itself."""

    name: str
    version: str
    sources: tuple[Path, ...]
    flags: tuple[str, ...]


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
