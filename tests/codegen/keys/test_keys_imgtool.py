"""MCUboot's imgtool and ours read each other's keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from tinymldelta.errors import Refusal
from tinymldelta.keys import generate_private_key, load_any_private, load_private_key
from tinymldelta.keys.private import generate_agreement_private
from tinymldelta.wire.constants import AgreementKind, SignatureKind

keys = pytest.importorskip("imgtool.keys", reason="needs requirements/test.txt")

PASSWORD = b"correct horse"


@pytest.mark.parametrize("password", [None, PASSWORD])
@pytest.mark.parametrize("kind", ["Ed25519", "ECDSA256P1", "X25519"])
def test_its_keys_are_read_here(kind: str, password: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    its = getattr(keys, kind).generate()
    its.export_private(str(path), password)
    ours = load_any_private(path.read_bytes(), str(path), password)
    assert ours.public.data == its.get_public_bytes()[-len(ours.public.data) :]


@pytest.mark.parametrize("password", [None, PASSWORD])
def test_our_keys_are_read_there(password: bytes | None, tmp_path: Path) -> None:
    made = {
        "Ed25519": generate_private_key(SignatureKind.ED25519),
        "ECDSA256P1": generate_private_key(SignatureKind.ECDSA_P256),
        "X25519": generate_agreement_private(AgreementKind.X25519),
    }
    for kind, key in made.items():
        path = tmp_path / f"{kind}.pem"
        path.write_bytes(key.pem(password))
        its = keys.load(str(path), password)
        assert type(its) is getattr(keys, kind)
        assert its.get_public_bytes().endswith(key.public.data)
        path.write_bytes(key.public.pem())
        public = keys.load(str(path))
        assert type(public) is getattr(keys, f"{kind}Public")
        assert public.get_public_bytes() == its.get_public_bytes()


def test_its_rsa_keys_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    keys.RSA.generate().export_private(str(path))
    with pytest.raises(Refusal, match="RSA"):
        load_private_key(path.read_bytes(), str(path))
