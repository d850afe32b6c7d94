"""Keys as people give them to codegen: PEM files, and MAC keys by kind and number."""

from __future__ import annotations

import re

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
from tinymldelta.wire.constants import SignatureKind

_MAC_KINDS = {type_name(kind): kind for kind in SignatureKind if is_mac(kind)}


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
