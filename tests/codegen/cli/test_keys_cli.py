"""`tmd keygen`, `tmd sign` and `tmd verify` as people meet them."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from clikit import asked, done, refused, tmd
from keykit import needs_openssl, openssl, patch_for, written
from tinymldelta import output
from tinymldelta.cli import keyfiles
from tinymldelta.cli.main import main
from tinymldelta.keys import (
    generate_agreement_private,
    load_any_private,
    load_public_key,
    load_signer,
    seal,
)
from tinymldelta.wire.constants import AgreementKind

_SIGNING = ("ed25519", "ecdsa-p256")
_AGREEING = ("x25519", "ecdh-p256")
_MACS = ("hmac-sha256", "aes-cmac")
PASSWORD = "correct horse"


def _wrong_call(*arguments: object) -> str:
    result = tmd(*arguments)
    assert result.exit_code == 2, result.output
    return result.stderr


def _typed(text: str, *arguments: object) -> Result:
    """A command at a terminal, where this is typed in."""
    return CliRunner().invoke(main, [str(a) for a in arguments], input=text)


def _new_key(folder: Path, kind: str, name: str = "key") -> Path:
    path = folder / f"{name}.{kind}"
    done("keygen", "--type", kind, "-o", path)
    return path


def _public(key: Path) -> Path:
    path = key.with_suffix(key.suffix + ".pub")
    done("keygen", "--from", key, "--public", path)
    return path


def _to_sign(folder: Path, key: Path, number: int = 0) -> Path:
    """A patch that was made to be signed with that key."""
    signer = load_signer(key.read_bytes(), str(key), number)
    return written(folder / "p.tmd", patch_for((signer.kind, signer.id)))


@pytest.mark.parametrize("kind", (*_SIGNING, *_AGREEING))
def test_a_new_key_is_two_files(kind: str, tmp_path: Path) -> None:
    key, public = tmp_path / "new" / "key.pem", tmp_path / "new" / "pub.pem"
    document = asked("keygen", "--type", kind, "-o", key, "--public", public)
    made = load_any_private(key.read_bytes(), "f")
    assert public.read_bytes() == made.public.pem()
    assert document == {
        "type": kind,
        "key": str(key),
        "public": str(public),
        "key_id": made.id.hex(),
    }
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(public.stat().st_mode) & 0o600 == 0o600
    assert {path.name for path in key.parent.iterdir()} == {"key.pem", "pub.pem"}
    assert made.id.hex() in done("keygen", "--from", key, "--public", tmp_path / "again.pem")
    assert (tmp_path / "again.pem").read_bytes() == public.read_bytes()


@pytest.mark.parametrize("kind", _MACS)
def test_a_new_secret_is_a_line_of_hex(kind: str, tmp_path: Path) -> None:
    key = tmp_path / "key"
    assert kind in done("keygen", "--type", kind, "-o", key)
    assert len(key.read_bytes()) == {"hmac-sha256": 65, "aes-cmac": 33}[kind]
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert "no public part" in refused("keygen", "--from", key, "--public", tmp_path / "p")
    assert "no public part" in _wrong_call(
        "keygen", "--type", kind, "-o", tmp_path / "k", "--public", tmp_path / "p"
    )
    for option in (("--password",), ("--password-env", "HOME")):
        said = _wrong_call("keygen", "--type", kind, "-o", tmp_path / "k", *option)
        assert "no password" in said


def test_no_file_is_overwritten(tmp_path: Path) -> None:
    key, there = _new_key(tmp_path, "ed25519"), written(tmp_path / "there", b"kept")
    before = key.read_bytes()
    for kind in ("ed25519", "aes-cmac"):
        assert "never overwritten" in refused("keygen", "--type", kind, "-o", key)
    options = ("--type", "ed25519", "-o", tmp_path / "new.pem", "--public", there)
    assert "there" in refused("keygen", *options)
    assert not (tmp_path / "new.pem").exists()
    assert "never overwritten" in refused("keygen", "--from", key, "--public", there)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")
    assert "never overwritten" in refused("keygen", "--type", "ed25519", "-o", link)
    assert (key.read_bytes(), there.read_bytes()) == (before, b"kept")
    assert not (tmp_path / "nowhere").exists()


def test_a_key_that_cannot_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(output, "write_atomically", full)
    key = tmp_path / "key.pem"
    assert "No space left" in refused("keygen", "--type", "ed25519", "-o", key)
    assert list(tmp_path.iterdir()) == []


def test_calls_that_do_not_go_together(tmp_path: Path) -> None:
    key, public = _new_key(tmp_path, "ed25519"), tmp_path / "pub.pem"
    for options in (
        (),
        ("--type", "ed25519"),
        ("-o", public),
        ("--type", "rsa", "-o", public),
        ("--type", "ed25519", "-o", public, "--public", public),
        ("--type", "ed25519", "-o", public, "--password", "--password-env", "HOME"),
        ("--type", "ed25519", "-o", public, "--password-env", "NO_SUCH_VARIABLE"),
        ("--from", key),
        ("--from", key, "--public", public, "-o", public),
        ("--from", key, "--public", public, "--type", "ed25519"),
        ("--from", key, "--public", public, "--password"),
    ):
        _wrong_call("keygen", *options)
    assert not public.exists()


def test_passwords_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY_PASSWORD", PASSWORD)
    monkeypatch.setenv("OTHER", "another")
    key, public = tmp_path / "key.pem", tmp_path / "pub.pem"
    done("keygen", "--type", "ed25519", "-o", key, "--password-env", "KEY_PASSWORD")
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in key.read_bytes()
    from_it = ("keygen", "--from", key, "--public", public)
    assert "--password-env" in refused(*from_it)
    assert "password is wrong" in refused(*from_it, "--password-env", "OTHER")
    done(*from_it, "--password-env", "KEY_PASSWORD")
    signer = load_public_key(public.read_bytes(), "f")
    patch = written(tmp_path / "p.tmd", patch_for((signer.kind, signer.id)))
    assert "encrypted" in refused("sign", patch, "--key", key)
    done("sign", patch, "--key", key, "--password-env", "KEY_PASSWORD")
    done("verify", patch, "--public-key", public)


def test_passwords_are_asked_for_at_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, public = tmp_path / "key.pem", tmp_path / "pub.pem"
    new = ("keygen", "--type", "x25519", "-o", key, "--password")
    assert _typed(f"{PASSWORD}\n{PASSWORD}\n", *new).exit_code == 0
    load_any_private(key.read_bytes(), "f", PASSWORD.encode())
    monkeypatch.setattr(keyfiles, "at_terminal", lambda: True)
    result = _typed(f"{PASSWORD}\n", "keygen", "--from", key, "--public", public)
    assert result.exit_code == 0
    assert PASSWORD not in result.output
    again = ("keygen", "--from", key, "--public", tmp_path / "other.pem")
    assert _typed("another\n", *again).exit_code == 1


@pytest.mark.parametrize("kind", _SIGNING)
def test_a_patch_is_signed_and_verified(kind: str, tmp_path: Path) -> None:
    key = _new_key(tmp_path, kind)
    public, patch, out = _public(key), _to_sign(tmp_path, key), tmp_path / "out.tmd"
    unsigned = patch.read_bytes()
    assert "not signed yet" in refused("verify", patch, "--public-key", public)
    document = asked("sign", patch, "--key", key, "-o", out)
    assert patch.read_bytes() == unsigned
    told = asked("verify", out, "--public-key", public)
    assert told == {
        "patch": str(out),
        "type": kind,
        "key_id": document["key_id"],
        "key_number": None,
        "digest": document["digest"],
        "encrypted": False,
    }
    at = out.read_bytes().index(bytes.fromhex(document["signature"]))
    assert unsigned[at : at + 64] == bytes(64)
    # In its own place, and once more: the same bytes.
    done("sign", patch, "--key", key)
    assert patch.read_bytes() == out.read_bytes()
    done("sign", patch, "--key", key)
    assert patch.read_bytes() == out.read_bytes()


@pytest.mark.parametrize("kind", _MACS)
def test_a_device_has_its_secret_under_a_number(kind: str, tmp_path: Path) -> None:
    key, other = _new_key(tmp_path, kind), _new_key(tmp_path, kind, "other")
    patch = _to_sign(tmp_path, key, 7)
    said = refused("sign", patch, "--key", key)
    assert f"made for the {kind} key number 7" in said
    assert asked("sign", patch, "--key", key, "--key-number", 7)["key_number"] == 7
    assert "key number 7" in done("verify", patch, "--key", key, "--key-number", "0x7")
    assert "KEY" in refused("verify", patch, "--key", key)
    assert "SIGNATURE" in refused("verify", patch, "--key", other, "--key-number", 7)
    assert "changed since" in refused("sign", patch, "--key", other, "--key-number", 7)
    assert "give it as --key" in _wrong_call("verify", patch, "--public-key", key)
    _wrong_call("sign", patch, "--key", key, "--key-number", 1 << 32)


def test_of_several_keys_the_one_that_signed_is_named(tmp_path: Path) -> None:
    keys = [_new_key(tmp_path, kind, name) for kind in _SIGNING for name in ("one", "two")]
    publics = [_public(key) for key in keys]
    patch = _to_sign(tmp_path, keys[2])
    done("sign", patch, "--key", keys[2])
    options = [word for public in publics for word in ("--public-key", public)]
    key_id = load_public_key(publics[2].read_bytes(), "f").id.hex()
    assert f"ecdsa-p256 key {key_id}" in done("verify", patch, *options)
    said = refused("verify", patch, "--public-key", publics[0], "--public-key", publics[3])
    assert "KEY" in said
    assert key_id in said


def test_a_patch_is_signed_with_the_key_that_it_names(tmp_path: Path) -> None:
    key, other = _new_key(tmp_path, "ed25519"), _new_key(tmp_path, "ed25519", "other")
    patch = _to_sign(tmp_path, key)
    said = refused("sign", patch, "--key", other)
    for path in (key, other):
        assert load_signer(path.read_bytes(), "f").id.hex() in said
    secret = _new_key(tmp_path, "hmac-sha256")
    assert "hmac-sha256 key number 0" in refused("sign", patch, "--key", secret)
    assert "cannot sign" not in said
    assert "private one" in refused("sign", patch, "--key", _public(key))
    assert "not for signing" in refused("sign", patch, "--key", _new_key(tmp_path, "x25519"))


def test_a_patch_that_was_not_made_to_be_signed_is_refused(tmp_path: Path) -> None:
    key = _new_key(tmp_path, "ed25519")
    patch = written(tmp_path / "u.tmd", patch_for(None))
    said = refused("sign", patch, "--key", key)
    assert "tmd patch --key" in said
    assert "--signer" in said
    assert "UNSIGNED" in refused("verify", patch, "--public-key", _public(key))


def test_a_changed_patch_is_neither_verified_nor_signed_again(tmp_path: Path) -> None:
    key = _new_key(tmp_path, "ecdsa-p256")
    public, patch = _public(key), _to_sign(tmp_path, key)
    document = asked("sign", patch, "--key", key)
    good = patch.read_bytes()
    at = good.index(bytes.fromhex(document["signature"]))
    places = {0: "", at - 1: "METADATA", at: "SIGNATURE", at + 63: "SIGNATURE", at + 64: "BODY"}
    for place, status in places.items():
        changed = bytearray(good)
        changed[place] ^= 1
        patch.write_bytes(changed)
        for command in (("verify", patch, "--public-key", public), ("sign", patch, "--key", key)):
            assert status in refused(*command)
        assert patch.read_bytes() == changed
    for size in range(0, len(good), 7):
        patch.write_bytes(good[:size])
        refused("verify", patch, "--public-key", public)
    patch.write_bytes(good + b"\0")
    assert "BODY" in refused("verify", patch, "--public-key", public)


@needs_openssl
@pytest.mark.parametrize("kind", _SIGNING)
def test_a_patch_is_signed_elsewhere(kind: str, tmp_path: Path) -> None:
    key = _new_key(tmp_path, kind)
    public, patch, digest = _public(key), _to_sign(tmp_path, key), tmp_path / "digest"
    document = asked("sign", patch, "--digest-out", digest)
    assert digest.read_bytes().hex() == document["digest"]
    said = done("sign", patch, "--digest-out", digest)
    assert "openssl pkeyutl -sign" in said
    assert ("-rawin" in said) == (kind == "ed25519")
    raw = ("-rawin",) if kind == "ed25519" else ()
    signed = openssl("pkeyutl", "-sign", *raw, "-inkey", key, "-in", digest)
    signature, out = written(tmp_path / "signature", signed), tmp_path / "out.tmd"
    with_it = ("sign", patch, "--signature", signature, "--public-key", public, "-o", out)
    done(*with_it)
    done("verify", out, "--public-key", public)
    out.unlink()
    # One of something else, one of another key, and what is none.
    other = openssl("pkeyutl", "-sign", *raw, "-inkey", key, "-in", written(digest, bytes(32)))
    signature.write_bytes(other)
    assert "not the signature of" in refused(*with_it)
    signature.write_bytes(b"none")
    assert str(signature) in refused(*with_it)
    signature.write_bytes(signed)
    wrong = _public(_new_key(tmp_path, kind, "other"))
    assert "made for the" in refused(
        "sign", patch, "--signature", signature, "--public-key", wrong, "-o", out
    )
    assert not out.exists()


def test_an_encrypted_patch_is_opened_to_verify_it(tmp_path: Path) -> None:
    key = _new_key(tmp_path, "ed25519")
    public, patch = _public(key), _to_sign(tmp_path, key)
    done("sign", patch, "--key", key)
    for kind in _AGREEING:
        opener = _new_key(tmp_path, kind)
        to = load_any_private(opener.read_bytes(), "f").public
        recipient = generate_agreement_private(AgreementKind[kind.upper().replace("-", "_")])
        sealed = tmp_path / "sealed.tmd"
        verify = ("verify", sealed, "--public-key", public)
        data = seal(patch.read_bytes(), recipient.public)
        sealed.write_bytes(data)
        said = refused(*verify)
        assert recipient.id.hex() in said
        assert "--decryption-key" in said
        assert "KEY" in refused(*verify, "--decryption-key", opener)
        opener.unlink()
        opener.write_bytes(recipient.pem())
        assert to.id != recipient.id
        assert "encrypted" in done(*verify, "--decryption-key", opener)
        assert asked(*verify, "--decryption-key", opener)["encrypted"] is True
        assert "KEY" in refused("sign", sealed, "--key", key)
        sealed.write_bytes(data[:4])
        assert "TRUNCATED" in refused(*verify)
        sealed.write_bytes(data[:-1])
        assert "TRUNCATED" in refused(*verify, "--decryption-key", opener)


def test_other_files_are_no_patches(tmp_path: Path) -> None:
    public = _public(_new_key(tmp_path, "ed25519"))
    for data in (b"", b"\0", b"{}", bytes(100), public.read_bytes()):
        file = written(tmp_path / "file", data)
        refused("verify", file, "--public-key", public)
    refused("verify", tmp_path / "nowhere", "--public-key", public)
    result = tmd("verify", file, "--public-key", public, "--json")
    assert json.loads(result.stdout)["refused"]["status"] == "FORMAT"


def test_calls_of_sign_and_verify_that_do_not_go_together(tmp_path: Path) -> None:
    key = _new_key(tmp_path, "ed25519")
    public, patch, file = _public(key), _to_sign(tmp_path, key), tmp_path / "file"
    for options in (
        (),
        ("--key", key, "--digest-out", file),
        ("--key", key, "--public-key", public),
        ("--key", key, "--key-number", 1),
        ("--signature", file),
        ("--public-key", public),
        ("--digest-out", file, "-o", file),
        ("--digest-out", file, "--key-number", 1),
        ("--signature", file, "--public-key", public, "--password-env", "HOME"),
    ):
        _wrong_call("sign", patch, *options)
    for options in (
        (),
        ("--public-key", public, "--key-number", 1),
        ("--public-key", public, "--password-env", "HOME"),
    ):
        _wrong_call("verify", patch, *options)
    assert not file.exists()
