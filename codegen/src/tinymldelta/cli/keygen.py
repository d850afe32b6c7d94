"""`tmd keygen`: a new key, or the public part of one that is there."""

from __future__ import annotations

from pathlib import Path

import click

from tinymldelta.cli.console import FILE, JSON_OPTION, print_json, read_bytes, refusals_exit_1
from tinymldelta.cli.keyfiles import ask_if_encrypted, read_password
from tinymldelta.errors import Refusal
from tinymldelta.keys import (
    AgreementPrivate,
    PrivateKey,
    generate_agreement_private,
    generate_mac_key,
    generate_private_key,
    is_mac,
    is_mac_file,
    key_text,
    load_any_private,
    type_name,
)
from tinymldelta.output import write_new
from tinymldelta.wire.constants import AgreementKind, SignatureKind

_TYPES: dict[str, SignatureKind | AgreementKind] = {
    type_name(kind): kind for kinds in (SignatureKind, AgreementKind) for kind in kinds
}


def _write(path: Path, content: bytes, *, secret: bool) -> None:
    try:
        write_new(path, content, secret=secret)
    except FileExistsError as error:
        raise _exists(path) from error
    except OSError as error:
        raise Refusal(
            str(path), f"cannot be written: {error.strerror}", "check the folder"
        ) from error


def _exists(path: Path) -> Refusal:
    return Refusal(str(path), "is there already, and keys are never overwritten", "name another")


def _read_private(path: Path, variable: str | None) -> PrivateKey | AgreementPrivate:
    data, given = read_bytes(path), read_password(variable)
    if is_mac_file(data):
        raise Refusal(str(path), "a device's secret has no public part", "keep it where it is")
    return ask_if_encrypted(
        lambda password: load_any_private(data, str(path), password), path, given
    )


def _check_call(
    type_: str | None,
    out: Path | None,
    public: Path | None,
    source: Path | None,
    password: bool,
    variable: str | None,
) -> None:
    """UsageError if the options do not go together."""
    if source is not None:
        if type_ is not None or out is not None or password:
            raise click.UsageError("--from is for a key that is there: give --public alone with it")
        if public is None:
            raise click.UsageError("--from: give --public, the file to be written")
        return
    if type_ is None or out is None:
        raise click.UsageError("give --type and -o for a new key, or --from for one that is there")
    kind = _TYPES[type_]
    if isinstance(kind, SignatureKind) and is_mac(kind):
        if public is not None:
            raise click.UsageError(f"--public: a key of the type {type_} has no public part")
        if password or variable is not None:
            raise click.UsageError(f"a key of the type {type_} is kept in the clear: no password")
    if password and variable is not None:
        raise click.UsageError("give --password or --password-env, not both")
    if out == public:
        raise click.UsageError("-o and --public name the same file")


def _write_public(source: Path, public: Path, variable: str | None, as_json: bool) -> None:
    """The public part of a key that is there."""
    key = _read_private(source, variable)
    _write(public, key.public.pem(), secret=False)
    _say(f"wrote {public}", key.kind, key.id, as_json, key=source, public=public)


def _write_mac_key(kind: SignatureKind, out: Path, as_json: bool) -> None:
    _write(out, generate_mac_key(kind).text(), secret=True)
    _say(f"wrote {out}", kind, None, as_json, key=out, public=None)


def _write_new(
    kind: SignatureKind | AgreementKind,
    out: Path,
    public: Path | None,
    password: bytes | None,
    as_json: bool,
) -> None:
    """A new key, and its public part if that was asked for."""
    key: PrivateKey | AgreementPrivate
    if isinstance(kind, SignatureKind):
        key = generate_private_key(kind)
    else:
        key = generate_agreement_private(kind)
    _write(out, key.pem(password), secret=True)
    if public is not None:
        _write(public, key.public.pem(), secret=False)
    written = f"{out} and {public}" if public else str(out)
    _say(f"wrote {written}", kind, key.id, as_json, key=out, public=public)


def _say(
    written: str,
    kind: SignatureKind | AgreementKind,
    key_id: bytes | None,
    as_json: bool,
    *,
    key: Path,
    public: Path | None,
) -> None:
    """What was made. key_id: None for a device's secret, which gets its number elsewhere."""
    if as_json:
        print_json(
            {
                "type": type_name(kind),
                "key": str(key),
                "public": str(public) if public else None,
                "key_id": key_id.hex() if key_id else None,
            }
        )
    elif key_id is None:
        click.echo(f"{written}, {type_name(kind)} key; its number is what --key-number says, or 0")
    else:
        click.echo(f"{written}, {key_text(kind, key_id)}")


@click.command()
@click.option("--type", "type_", type=click.Choice(list(_TYPES)), help="What kind of key.")
@click.option("-o", "--out", type=FILE, metavar="KEY.pem", help="The new key, which is a secret.")
@click.option(
    "--public", type=FILE, metavar="PUB.pem", help="Its public part, for firmware and verifiers."
)
@click.option(
    "--from",
    "source",
    type=FILE,
    metavar="KEY.pem",
    help="Write the public part of this key, instead of making a new one.",
)
@click.option("--password", is_flag=True, help="Ask for a password to encrypt the new key with.")
@click.option(
    "--password-env",
    metavar="VAR",
    help="Environment variable that holds the password, of the new key or of --from.",
)
@JSON_OPTION
@refusals_exit_1
def keygen(
    type_: str | None,
    out: Path | None,
    public: Path | None,
    source: Path | None,
    password: bool,
    password_env: str | None,
    as_json: bool,
) -> None:
    """Make a key: to sign patches with, or to encrypt them to.

    ed25519 and ecdsa-p256 sign; x25519 and ecdh-p256 are what patches are encrypted to. These are
    PEM files as OpenSSL and imgtool have them. hmac-sha256 and aes-cmac are secrets that a device
    shares with who signs for it, in a line of hex digits. No file that is there is overwritten.
    """
    _check_call(type_, out, public, source, password, password_env)
    if source is not None:
        assert public is not None  # it was asked for
        _write_public(source, public, password_env, as_json)
        return
    assert type_ is not None and out is not None  # they were asked for
    for path in (out, public):
        if path is not None and path.exists():
            raise _exists(path)
    kind = _TYPES[type_]
    if isinstance(kind, SignatureKind) and is_mac(kind):
        _write_mac_key(kind, out, as_json)
        return
    chosen = read_password(password_env)
    if password:
        chosen = click.prompt(
            f"password of {out}", hide_input=True, confirmation_prompt=True, err=True
        ).encode()
    _write_new(kind, out, public, chosen, as_json)
