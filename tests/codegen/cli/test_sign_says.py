"""What `tmd sign` says of what it signs, and that no command writes over a key."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from clikit import asked, done, refused, tmd
from tinymldelta.container.patch import head_crc
from tinymldelta.container.signed import signed_parts


@pytest.fixture
def folder(digits: Path, tmp_path: Path) -> Path:
    """A key, a device's secret, and a patch to be signed that takes a device back."""
    done("keygen", "--type", "ed25519", "-o", tmp_path / "key", "--public", tmp_path / "pub")
    done("keygen", "--type", "hmac-sha256", "-o", tmp_path / "secret")
    done(
        *("patch", digits / "base.tflite", digits / "target.tflite", "-o", tmp_path / "p.tmd"),
        *("--signer", tmp_path / "pub", "--model-version", "1.2.0", "--version-floor", "1.1.0"),
        *("--device-class", "meter-3", "--allow-downgrade", "1.9.0", "--model", "m"),
    )
    return tmp_path


def test_what_is_signed_is_said(folder: Path, digits: Path) -> None:
    target = (digits / "target.tflite").read_bytes()
    sha = hashlib.sha256(target).hexdigest()
    key = ("--key", folder / "key")
    for how in (("--digest-out", folder / "digest"), (*key, "-o", folder / "signed.tmd")):
        said = done("sign", folder / "p.tmd", *how)
        for words in ("m\n", "0x", "1.2.0", "to 1.1.0", "up to the floor 1.9.0", sha):
            assert words in said
    signs = asked("sign", folder / "p.tmd", *key, "-o", folder / "signed.tmd")["signs"]
    assert signs["target"] == {"bytes": len(target), "sha256": sha}
    assert (signs["model"], signs["model_version"], signs["downgrade"]) == (
        *("m", 0x01020000, 0x01090000),
    )


def test_a_patch_to_another_model_is_not_signed(folder: Path, digits: Path) -> None:
    patch, out = folder / "p.tmd", folder / "signed.tmd"
    sign = ("sign", patch, "--key", folder / "key", "-o", out)
    said = refused(*sign, "--target", digits / "base.tflite")
    assert "base.tflite is another" in said
    assert not out.exists()
    done(*sign, "--target", digits / "target.tflite")
    # Somebody changes the target's digest, and makes the patch look as if it were to be signed.
    data = bytearray(patch.read_bytes())
    at = data.index(hashlib.sha256((digits / "target.tflite").read_bytes()).digest())
    data[at] ^= 1
    end = signed_parts(patch.read_bytes()).signature_at
    data[end - 4 : end] = head_crc(bytes(data[: end - 4])).to_bytes(4, "little")
    patch.write_bytes(data)
    assert "is another" in refused(*sign, "--target", digits / "target.tflite")


def test_no_command_writes_over_a_key(folder: Path, digits: Path) -> None:
    patch, base, target = folder / "p.tmd", digits / "base.tflite", digits / "target.tflite"
    done("sign", patch, "--key", folder / "key", "-o", folder / "signed.tmd")
    for name in ("key", "secret"):
        path = folder / name
        before = path.read_bytes()
        for command in (
            ("sign", patch, "--key", folder / "key", "-o", path),
            ("sign", patch, "--digest-out", path),
            ("patch", base, target, "-o", path),
            ("apply", base, folder / "signed.tmd", "-o", path, "--public-key", folder / "pub"),
        ):
            assert "private key or a secret" in refused(*command)
            assert path.read_bytes() == before


def test_a_patch_that_is_signed_apart_is_encrypted_then(folder: Path, digits: Path) -> None:
    done("keygen", "--type", "x25519", "-o", folder / "open", "--public", folder / "open.pub")
    sealed = folder / "sealed.tmd"
    sign = ("sign", folder / "p.tmd", "--key", folder / "key", "-o", sealed)
    said = done(*sign, "--encrypt-for", folder / "open.pub")
    assert "encrypted to the x25519" in said
    opener = ("--decryption-key", folder / "open")
    done("verify", sealed, "--public-key", folder / "pub", *opener)
    done(
        *("apply", digits / "base.tflite", sealed, "-o", folder / "made"),
        *("--public-key", folder / "pub", *opener),
    )
    assert (folder / "made").read_bytes() == (digits / "target.tflite").read_bytes()


def test_a_body_that_was_not_signed_is_found_without_a_base(folder: Path, digits: Path) -> None:
    base = digits / "base.tflite"
    done(
        *("codegen", f"m={base}", "--out", folder / "c", "--slot", 16384, "--erase", 4096),
        *("--write", 8, "--public-key", folder / "pub", "--device-class", "meter-3"),
        *("--model-version", "1.0.0"),
    )
    contract = ("--contract", folder / "c" / "contract.json")
    patch = folder / "q.tmd"
    target = digits / "target.tflite"
    said = refused("patch", base, target, "-o", patch, *contract, "--key", folder / "key")
    assert "VERSION" in said  # it is 0, below the firmware's own
    signed = ("--key", folder / "key", "--device-class", "meter-3", "--model", "m")
    done("patch", base, target, "-o", patch, *signed)
    assert "VERSION" in tmd("check", patch, *contract).output  # also without a base
    done(
        *("patch", base, target, "-o", patch, *contract, "--key", folder / "key"),
        *("--model-version", "1.1.0"),
    )
    done("check", patch, *contract)
    data = bytearray(patch.read_bytes())
    data[-3] ^= 1
    patch.write_bytes(data)
    assert "BODY" in tmd("check", patch, *contract).output


def test_a_patch_without_a_version_is_warned_of(folder: Path, digits: Path) -> None:
    base, patch = digits / "base.tflite", folder / "q.tmd"
    done(
        *("codegen", f"m={base}", "--out", folder / "c", "--slot", 16384, "--erase", 4096),
        *("--write", 8, "--public-key", folder / "pub"),
    )
    contract = ("--contract", folder / "c" / "contract.json", "--key", folder / "key")
    made = tmd("patch", base, digits / "target.tflite", "-o", patch, *contract)
    assert made.exit_code == 0 and "no --model-version was given" in made.stderr
    versioned = (*contract, "--model-version", "1.0.0")
    assert tmd("patch", base, digits / "target.tflite", "-o", patch, *versioned).stderr == ""


def test_one_key_does_not_sign_and_decrypt(folder: Path, digits: Path) -> None:
    done("keygen", "--type", "ecdsa-p256", "-o", folder / "ec", "--public", folder / "ec.pub")
    said = refused(
        *("codegen", f"m={digits / 'base.tflite'}", "--out", folder / "c", "--slot", 16384),
        *("--public-key", folder / "ec.pub", "--decryption-key", folder / "ec.pub"),
    )
    assert "would lie on each of them" in said
    assert not (folder / "c").exists()
