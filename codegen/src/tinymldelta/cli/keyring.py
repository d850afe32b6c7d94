"""The secrets of a device, as options of the commands that play one."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from tinymldelta.cli.console import read_bytes
from tinymldelta.cli.keyfiles import (
    DECRYPTION_KEYS_OPTION,
    PASSWORD_OPTION,
    read_decryption_keys,
)
from tinymldelta.keys import KEY_NUMBER_MAX, MacKey, load_mac_key
from tinymldelta.trust import KeyRing

F = TypeVar("F", bound=Callable[..., Any])


def read_mac_key(text: str) -> MacKey:
    """A secret of a device, as [N=]FILE; N is its number, 0 if left out."""
    number, sep, file = text.rpartition("=")
    if sep and not (number.isdecimal() and int(number) <= KEY_NUMBER_MAX):
        raise click.BadParameter(f"{number!r} is no number of a key", param_hint="--mac-key")
    return load_mac_key(read_bytes(Path(file)), file, int(number or "0"))


def secret_options(command: F) -> F:
    """--mac-key, --decryption-key and --password-env: what a device has in secret, as `keys`."""

    @click.option(
        "--mac-key",
        "mac_keys",
        multiple=True,
        metavar="[N=]FILE",
        help="A secret of the device, for patches that are signed with it; N is its number.",
    )
    @DECRYPTION_KEYS_OPTION
    @PASSWORD_OPTION
    @wraps(command)
    def with_keys(
        *args: Any,
        mac_keys: tuple[str, ...],
        decryption_keys: tuple[Path, ...],
        password_env: str | None,
        **kwargs: Any,
    ) -> Any:
        if password_env is not None and not decryption_keys:
            raise click.UsageError("--password-env is of --decryption-key, which is missing")
        keys = KeyRing(
            tuple(map(read_mac_key, mac_keys)), read_decryption_keys(decryption_keys, password_env)
        )
        return command(*args, keys=keys, **kwargs)

    return with_keys  # type: ignore[return-value]
