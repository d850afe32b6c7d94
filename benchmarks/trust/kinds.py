"""The boards that are measured on, and the kinds of signature and agreement that are."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from measure import toolchain
from tinymldelta.wire.constants import AgreementKind, SignatureKind


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
