"""The patches and keys that the ztest suites are built with are what `tmd patch` makes.

`python tests/zephyr/test_patches.py` writes them again.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x25519
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from tinymldelta.cli.main import main
from tinymldelta.keys import load_agreement_private, seal

HERE = Path(__file__).parent
PATCHES = HERE / "patches"
KEYS = HERE / "keys"
PUBLIC = ("ecdsa", "ed25519", "x25519")
P256_SECRET = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721
ED25519_SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
BOB = bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
MODELS = HERE.parents[1] / "samples" / "host" / "models" / "digits"


def tmd(*arguments: object) -> None:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output


def pem(key: PrivateKeyTypes) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


# The keys of the suites: published ones, and others that the firmware does not know.
SECRETS = {
    "ecdsa": pem(ec.derive_private_key(P256_SECRET, ec.SECP256R1())),  # RFC 6979, A.2.5
    "ecdsa_other": pem(ec.derive_private_key(P256_SECRET + 1, ec.SECP256R1())),
    "ed25519": pem(ed25519.Ed25519PrivateKey.from_private_bytes(ED25519_SEED)),  # RFC 8032, 7.1
    "ed25519_other": pem(ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))),
    "x25519": pem(x25519.X25519PrivateKey.from_private_bytes(BOB)),  # RFC 7748, 6.1
}
MAC_SECRET = bytes(range(32))
MAC_NUMBERS = {"hmac": 7, "hmac_other": 8}


def make_patches(out: Path, scratch: Path) -> None:
    """update.tmd, as the suites' firmware takes it, and refused.tmd, which asks for an operator.

    Then the same update as update.tmd, signed by the keys of SECRETS and MAC_NUMBERS, and
    sealed.tmd, which is ecdsa.tmd encrypted. All say the kernels that are assumed where Zephyr
    links none, as in the suites.
    """
    base, target = MODELS / "base.tflite", MODELS / "target.tflite"
    flash = ("--slot", 16384, "--erase", 4096, "--write", 8)
    tmd("codegen", f"digits={base}", "--out", scratch, "--model-version", "digits=1.0.0", *flash)
    said = ("--contract", scratch / "contract.json", "--model-version", "1.1.0", "--note", "run 7")
    tmd("patch", base, target, "-o", out / "update.tmd", *said)
    tmd("patch", base, MODELS / "refused_new_operator.tflite", "-o", out / "refused.tmd",
        "--model", "digits")  # fmt: skip
    said = ("--model", "digits", *said[2:])
    for name, secret in SECRETS.items():
        key = scratch / f"{name}.pem"
        key.write_bytes(secret)
        if name != "x25519":
            tmd("patch", base, target, "-o", out / f"{name}.tmd", *said, "--key", key)
    for name, number in MAC_NUMBERS.items():
        key = scratch / f"{name}.key"
        key.write_text(f"{MAC_SECRET.hex()}\n", encoding="ascii")
        tmd("patch", base, target, "-o", out / f"{name}.tmd", *said,
            "--key", key, "--key-number", number)  # fmt: skip
    # As `tmd patch --encrypt`, which takes another sender's key each time.
    sender = load_agreement_private(
        pem(x25519.X25519PrivateKey.from_private_bytes(bytes(32))), "sender"
    )
    to = load_agreement_private(SECRETS["x25519"], "Bob").public
    (out / "sealed.tmd").write_bytes(seal((out / "ecdsa.tmd").read_bytes(), to, ephemeral=sender))


def make_keys(out: Path) -> None:
    """The public keys that the suites' firmware is built with."""
    for name in PUBLIC:
        key = load_pem_private_key(SECRETS[name], None)
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (out / f"{name}.pem").write_bytes(public)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    make_patches(folder, tmp_path_factory.mktemp("generated"))
    make_keys(folder)
    return folder


@pytest.mark.parametrize("file", sorted(PATCHES.iterdir()), ids=lambda file: file.name)
def test_the_suites_patches_are_those_of_tmd_patch(file: Path, made: Path) -> None:
    assert (made / file.name).read_bytes() == file.read_bytes()
    assert len(list(made.glob("*.tmd"))) == len(list(PATCHES.iterdir()))


@pytest.mark.parametrize("name", PUBLIC)
def test_the_suites_keys_are_those_of_the_patches(name: str, made: Path) -> None:
    assert (made / f"{name}.pem").read_bytes() == (KEYS / f"{name}.pem").read_bytes()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        make_patches(PATCHES, Path(folder))
        make_keys(KEYS)
