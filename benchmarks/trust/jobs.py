"""trust_job.h: what a firmware is given. Keys are the same each time, and no secret of anyone."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from tinymldelta import patching
from tinymldelta.container.reader import read_patch
from tinymldelta.keys import (
    MacKey,
    PrivateKey,
    load_agreement_private,
    load_private_key,
    seal,
)
from tinymldelta.said import Said
from tinymldelta.wire.constants import AgreementKind, SignatureKind
from trust.kinds import MACS, Kind

MODELS = Path(__file__).resolve().parents[2] / "samples" / "host" / "models" / "digits"
SEALED_BYTES = 1024  # of a patch, that are decrypted


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
    out = "/* Written by benchmarks/trust. */\n"
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
