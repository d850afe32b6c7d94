"""Keys and patches for tests of signatures, and OpenSSL's command line as their judge."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tinymldelta.container.format2_writer import write_patch
from tinymldelta.container.patch import Metadata
from tinymldelta.delta.encode import encode
from tinymldelta.keys import (
    AgreementPrivate,
    MacKey,
    PrivateKey,
    generate_agreement_private,
    generate_mac_key,
    generate_private_key,
    is_mac,
)
from tinymldelta.wire.constants import AgreementKind, SignatureKind

needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="needs OpenSSL's command line: apt install openssl"
)

PUBLIC_KINDS = [SignatureKind.ED25519, SignatureKind.ECDSA_P256]
MAC_KINDS = [SignatureKind.HMAC_SHA256, SignatureKind.AES_CMAC]

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493
PRIME_25519 = 2**255 - 19

BASE = bytes(range(200)) * 2
TARGET = BASE[:150] + b"something else" + BASE[160:390]


def openssl(*arguments: object, data: bytes = b"") -> bytes:
    """What OpenSSL writes; it takes `data` from its standard input."""
    command = ["openssl", *map(str, arguments)]
    result = subprocess.run(command, input=data, capture_output=True, check=False)
    assert result.returncode == 0, result.stderr.decode("utf-8", "replace")
    return result.stdout


def openssl_takes(*arguments: object) -> bool:
    """Does OpenSSL exit with 0?"""
    command = ["openssl", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def new_signer(kind: SignatureKind, number: int = 0) -> PrivateKey | MacKey:
    return generate_mac_key(kind, number) if is_mac(kind) else generate_private_key(kind)


def new_opener(kind: AgreementKind) -> AgreementPrivate:
    return generate_agreement_private(kind)


def patch_for(signer: tuple[SignatureKind, bytes] | None) -> bytes:
    """A patch that was made to be signed with this key, by kind and id; None: not to be signed."""
    body = encode(BASE, TARGET)
    metadata = Metadata(model_name=b"app")
    return write_patch(BASE, TARGET, metadata=metadata, lean=False, body=body, signer=signer)
