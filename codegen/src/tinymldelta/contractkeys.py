"""Keys of a contract: as people give them to codegen (PEM files, and MAC keys by kind and number),
and what cannot be with them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from tinymldelta.contract import ContractKey, SealedKey
from tinymldelta.errors import Refusal
from tinymldelta.keys import (
    KEY_ID_BYTES,
    KEY_NUMBER_MAX,
    is_mac,
    load_agreement_public,
    load_public_key,
    type_name,
)
from tinymldelta.limits import OptionNames
from tinymldelta.wire import constants as wire

_KEYS_MAX = 255  # of a contract: a device remembers in a byte which one signed
_MAC_KINDS = {type_name(kind): kind for kind in wire.SignatureKind if is_mac(kind)}


def read_contract_key(pem: bytes, where: str) -> ContractKey:
    """A public key that may sign patches. Refuses a file that holds none."""
    key = load_public_key(pem, where)
    return ContractKey(key.kind, key.id, key.data)


def read_sealed_key(pem: bytes, where: str) -> SealedKey:
    """A public key that patches may be encrypted to. Refuses a file that holds none."""
    key = load_agreement_public(pem, where)
    return SealedKey(key.kind, key.id, key.data)


def parse_mac_key(text: str, where: str) -> ContractKey:
    """A secret of each device, such as `hmac-sha256` or `aes-cmac:7`; without number, it is 0."""
    name, colon, number = text.partition(":")
    kinds = " or ".join(_MAC_KINDS)
    if name not in _MAC_KINDS:
        raise Refusal(where, f"{name!r} is no kind of MAC", f"give {kinds}")
    if colon and not re.fullmatch(r"[0-9]{1,10}", number):
        raise Refusal(where, f"{number!r} is no number of a key", "give a whole number, like 1")
    value = int(number or "0")
    if value > KEY_NUMBER_MAX:
        raise Refusal(where, f"the number {value} does not fit 32 bits", "give a smaller one")
    return ContractKey(_MAC_KINDS[name], value.to_bytes(KEY_ID_BYTES, "little"))


def key_faults(
    keys: Sequence[ContractKey],
    sealed_keys: Sequence[SealedKey],
    formats: Sequence[int],
    decoder: wire.Decoder,
    names: OptionNames,
) -> tuple[str, str, str] | None:
    """What cannot be with these keys, as where, what and fix of a Refusal; None: all of it can."""
    for what, group in ((names.keys, keys), (names.sealed_keys, sealed_keys)):
        # The device looks keys up by kind and id.
        seen: set[tuple[int, bytes]] = set()
        for key in group:
            if (key.kind, key.id) in seen:
                return what, f"{key.text} is there twice", "give each key once"
            seen.add((key.kind, key.id))
    both = {key.public for key in keys if key.public} & {key.public for key in sealed_keys}
    if both:
        return (
            names.sealed_keys,
            "the key that signs for all devices would lie on each of them, to decrypt with",
            "make one for each: `tmd keygen`",
        )
    if len(keys) > _KEYS_MAX or len(sealed_keys) > _KEYS_MAX:
        return names.keys, f"{len(keys)} keys", f"give at most {_KEYS_MAX}"
    if sealed_keys and not keys:
        return (
            names.sealed_keys,
            "an encrypted patch is taken only if it is signed, and there is no key to verify with",
            f"give {names.keys} too",
        )
    if keys and decoder is wire.Decoder.NONE:
        return names.decoder, "without format 2 nothing can be signed", "choose another decoder"
    if keys and (wire.FORMAT_1 in formats or wire.FORMAT_2 not in formats):
        return (
            names.format_1,
            "patches of format 1 are not signed, and the firmware takes signed ones only",
            "leave it out, or leave out the keys",
        )
    return None
