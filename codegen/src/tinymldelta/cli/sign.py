"""`tmd sign`: sign a patch that was made to be signed, with a key that is here or elsewhere."""

from __future__ import annotations

from pathlib import Path

import click

from tinymldelta.cli.console import (
    FILE,
    JSON_OPTION,
    print_json,
    read_bytes,
    refusals_exit_1,
    write_output,
)
from tinymldelta.cli.keyfiles import (
    NUMBER_OPTION,
    PASSWORD_OPTION,
    parts_json,
    parts_of,
    read_signer,
    read_verifiers,
)
from tinymldelta.cli.signwords import check_target, print_signed, signed_json
from tinymldelta.container.patch import Patch
from tinymldelta.container.reader import read_patch
from tinymldelta.container.signed import SignedParts, with_signature
from tinymldelta.errors import PatchRefused, Refusal
from tinymldelta.keys import (
    MacKey,
    PublicKey,
    Verifier,
    is_mac,
    key_text,
    load_agreement_public,
    seal,
    signature_from,
)
from tinymldelta.wire.constants import SignatureKind, Status


def _parts(data: bytes, where: str) -> SignedParts:
    """Who is to sign, and what. An unsigned patch has no place for a signature."""
    try:
        return parts_of(data, where)
    except PatchRefused as refusal:
        if refusal.status is not Status.UNSIGNED:
            raise
        raise Refusal(
            where,
            "the patch was not made to be signed",
            "make it with `tmd patch --key KEY`, or `--signer PUB.pem` to sign it apart",
        ) from refusal


def _check_key(patch: Path, parts: SignedParts, key_path: Path, key: Verifier) -> None:
    """The key is the one that the patch was made for, and nobody changed a signed patch."""
    if (parts.signer_kind, parts.signer_id) != (key.kind, key.id):
        raise Refusal(
            str(patch),
            f"made for the {key_text(parts.signer_kind, parts.signer_id)}, and {key_path} is the "
            f"{key_text(key.kind, key.id)}",
            "give that key, or make the patch for this one",
        )
    if not parts.to_be_signed and not key.verify(parts.digest, parts.signature):
        raise PatchRefused(
            str(patch),
            Status.SIGNATURE,
            "it has a signature, and that is not its own: it was changed since it was signed",
        )


def _how_to(kind: SignatureKind, digest: Path) -> str:
    """The command with which OpenSSL signs a digest."""
    if is_mac(kind):
        return "sign it where the secret is"
    raw = " -rawin" if kind == SignatureKind.ED25519 else ""
    return f"`openssl pkeyutl -sign{raw} -inkey KEY.pem -in {digest} -out SIGNATURE` signs it"


def _write_digest(parts: SignedParts, says: Patch, out: Path, as_json: bool) -> None:
    write_output(out, parts.digest)
    if as_json:
        print_json({**parts_json(parts), "signs": signed_json(says), "digest_out": str(out)})
        return
    who = key_text(parts.signer_kind, parts.signer_id)
    print_signed(says)
    click.echo(f"wrote {out}, to be signed with the {who}")
    click.echo(_how_to(parts.signer_kind, out))


@click.command()
@click.argument("patch", type=FILE)
@click.option("--key", type=FILE, metavar="KEY", help="Private key, or a device's secret.")
@NUMBER_OPTION
@PASSWORD_OPTION
@click.option(
    "--digest-out",
    type=FILE,
    metavar="FILE",
    help="Write the 32 bytes that are to be signed elsewhere, and nothing else.",
)
@click.option(
    "--signature",
    "signature_path",
    type=FILE,
    metavar="FILE",
    help="The signature that was made elsewhere: raw, or of ECDSA also in DER.",
)
@click.option("--public-key", type=FILE, metavar="PUB.pem", help="To verify --signature with.")
@click.option(
    "--target",
    type=FILE,
    metavar="FILE",
    help="The model that was approved: refuse a patch that makes another.",
)
@click.option(
    "--encrypt-for",
    type=FILE,
    metavar="PUB.pem",
    help="Encrypt the signed patch to this key: X25519, or P-256.",
)
@click.option(
    "-o", "--out", type=FILE, metavar="OUT.tmd", help="The signed patch; PATCH if not given."
)
@JSON_OPTION
@refusals_exit_1
def sign(
    patch: Path,
    key: Path | None,
    key_number: int | None,
    password_env: str | None,
    digest_out: Path | None,
    signature_path: Path | None,
    public_key: Path | None,
    target: Path | None,
    encrypt_for: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Sign PATCH, which was made to be signed, or write out what is to be signed.

    With --key the key is here. For one that is in a hardware module or a signing service, write the
    digest with --digest-out, have it signed, and give --signature and --public-key. A patch says
    with which key it is signed: that is chosen by `tmd patch --key` or `tmd patch --signer`.

    What PATCH says is printed, since that is what the signature approves; nothing tells whether
    somebody changed it on its way here. --target compares it with the model that was approved.
    """
    ways = [option is not None for option in (key, digest_out, signature_path)]
    if sum(ways) != 1:
        raise click.UsageError("give one of --key, --digest-out and --signature")
    if (signature_path is None) != (public_key is None):
        raise click.UsageError("--signature and --public-key belong together")
    if key is None and (key_number is not None or password_env is not None):
        raise click.UsageError("--key-number and --password-env are of --key, which is missing")
    if digest_out is not None and (out is not None or encrypt_for is not None):
        raise click.UsageError("--digest-out signs nothing: leave out -o and --encrypt-for")
    data = read_bytes(patch)
    parts = _parts(data, str(patch))
    says = read_patch(data, None)
    if target is not None:
        check_target(says, str(patch), read_bytes(target), str(target))
    if digest_out is not None:
        _write_digest(parts, says, digest_out, as_json)
        return
    verifier: PublicKey | MacKey
    if key is not None:
        signer = read_signer(key, key_number, password_env)
        verifier = signer if isinstance(signer, MacKey) else signer.public
        _check_key(patch, parts, key, verifier)
        signature = signer.sign(parts.digest)
    else:
        assert signature_path is not None and public_key is not None  # one of the ways
        (verifier,) = read_verifiers((public_key,), None, None)
        _check_key(patch, parts, public_key, verifier)
        signature = signature_from(verifier.kind, read_bytes(signature_path), str(signature_path))
    if not verifier.verify(parts.digest, signature):
        where = str(signature_path or key)
        raise PatchRefused(where, Status.SIGNATURE, f"not the signature of {patch}")
    written = out or patch
    signed = with_signature(data, signature)
    recipient = None
    if encrypt_for is not None:
        recipient = load_agreement_public(read_bytes(encrypt_for), str(encrypt_for))
        signed = seal(signed, recipient)
    write_output(written, signed)
    if as_json:
        document = {"patch": str(written), **parts_json(parts), "signs": signed_json(says)}
        encrypted_to = recipient.id.hex() if recipient else None
        print_json({**document, "signature": signature.hex(), "encrypted_to": encrypted_to})
        return
    print_signed(says)
    how = f"signed with the {key_text(verifier.kind, verifier.id)}"
    if recipient is not None:
        how += f", encrypted to the {key_text(recipient.kind, recipient.id)}"
    click.echo(f"wrote {written}, {how}")
