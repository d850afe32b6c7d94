"""Keys and classes in a contract: built, refused, written to JSON and C, and read back."""

from __future__ import annotations

import json
import subprocess
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_contract import LIMITS, source

from publickeys import ECDH_P256, ED25519, P256, X25519
from tinymldelta.contract import Contract, ContractKey, SealedKey
from tinymldelta.contractfile import contract_json, parse_contract
from tinymldelta.contractkeys import parse_mac_key, read_contract_key, read_sealed_key
from tinymldelta.errors import Refusal
from tinymldelta.generate import generate, model_contracts
from tinymldelta.keys import MacKey
from tinymldelta.limits import Limits
from tinymldelta.wire import constants as wire
from tinymldelta.wire.constants import AgreementKind, SignatureKind
from tinymldelta.words import check_class, class_id

STRICT = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")
HMAC_1 = ContractKey(SignatureKind.HMAC_SHA256, bytes((1, 0, 0, 0)))
KEYS = (
    ContractKey(ED25519.kind, ED25519.id, ED25519.data),
    ContractKey(P256.kind, P256.id, P256.data),
    HMAC_1,
    ContractKey(SignatureKind.AES_CMAC, bytes((0, 1, 0, 0))),
)
SEALED = (
    SealedKey(X25519.kind, X25519.id, X25519.data),
    SealedKey(ECDH_P256.kind, ECDH_P256.id, ECDH_P256.data),
)
TRUST = replace(
    LIMITS,
    keys=KEYS,
    sealed_keys=SEALED,
    device_class="nucleo_u575zi_q-2.b",
    formats=(wire.FORMAT_2,),
    accept=wire.ANTI_ROLLBACK,
)


def contract_of(limits: Limits, digits: Path) -> Contract:
    return model_contracts([source(digits / "base.tflite", "digits")], limits)


@pytest.fixture
def contract(digits: Path) -> Contract:
    return contract_of(TRUST, digits)


# ---- keys as they are given ----


def test_public_keys_come_from_pem_files() -> None:
    assert read_contract_key(ED25519.pem(), "f") == KEYS[0]
    assert read_contract_key(P256.pem(), "f") == KEYS[1]
    assert read_sealed_key(X25519.pem(), "f") == SEALED[0]
    assert read_sealed_key(ECDH_P256.pem(), "f") == SEALED[1]
    with pytest.raises(Refusal, match=r"f: .*not for signing"):
        read_contract_key(X25519.pem(), "f")
    with pytest.raises(Refusal, match=r"f: .*not for encrypting"):
        read_sealed_key(ED25519.pem(), "f")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("hmac-sha256:1", HMAC_1),
        ("aes-cmac:256", KEYS[3]),
        ("hmac-sha256", ContractKey(SignatureKind.HMAC_SHA256, bytes(4))),
        ("aes-cmac:4294967295", ContractKey(SignatureKind.AES_CMAC, b"\xff" * 4)),
    ],
)
def test_secrets_are_named_by_kind_and_number(text: str, key: ContractKey) -> None:
    assert parse_mac_key(text, "w") == key


@pytest.mark.parametrize(
    "text",
    ["", ":1", "ed25519:1", "hmac-sha256:", "hmac-sha256:-1", "hmac-sha256:1:2", "aes-cmac:0x1",
     "aes-cmac:4294967296", "aes-cmac:٣"],
)  # fmt: skip
def test_no_names_of_secrets(text: str) -> None:
    with pytest.raises(Refusal, match=r"^w: "):
        parse_mac_key(text, "w")


def test_keys_are_called_by_id_or_number() -> None:
    assert [key.text for key in (*KEYS, *SEALED)] == [
        f"ed25519 key {ED25519.id.hex()}",
        f"ecdsa-p256 key {P256.id.hex()}",
        "hmac-sha256 key number 1",
        "aes-cmac key number 256",
        f"x25519 key {X25519.id.hex()}",
        f"ecdh-p256 key {ECDH_P256.id.hex()}",
    ]


# ---- classes ----


def test_a_class_is_the_crc_of_its_name(contract: Contract) -> None:
    assert contract.class_id == zlib.crc32(b"nucleo_u575zi_q-2.b")
    assert class_id("") == 0
    assert contract.accepts(0).device_class == contract.class_id


@pytest.mark.parametrize("name", ["a b", "a/b", "x" * 32, "ä", "a\n", "_" * 32])
def test_no_names_of_classes(name: str, digits: Path) -> None:
    with pytest.raises(Refusal, match=r"--device-class: .* is no name for a class of devices"):
        contract_of(replace(TRUST, device_class=name), digits)


def test_a_class_whose_crc_is_0_would_be_none() -> None:
    """Such names exist."""
    name = name_of_crc_0()
    assert zlib.crc32(name.encode()) == 0
    with pytest.raises(Refusal, match="stands for no class"):
        check_class(name, "w")


def name_of_crc_0() -> str:
    """A name of letters whose CRC-32 is 0: the two halves of its end meet in the middle."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-."
    triples = [a + b + c for a in letters for b in letters for c in letters]
    # CRC is linear: crc(p + e) = crc(p + 0) ^ crc(0 + e) ^ crc(0 + 0), all of one length.
    null = "\0\0\0"
    zero = zlib.crc32((null + null).encode())
    ends = {zlib.crc32((null + e).encode()) ^ zero: e for e in triples}
    found = next(
        (b + ends[crc] for b in triples if (crc := zlib.crc32((b + null).encode())) in ends), None
    )
    assert found is not None
    return found


# ---- what cannot be ----


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"formats": (1, 2)}, "--format-1: patches of format 1 are not signed"),
        ({"formats": (1,)}, "--format-1: patches of format 1 are not signed"),
        ({"decoder": wire.Decoder.NONE}, "--decoder: without format 2 nothing can be signed"),
        ({"keys": (*KEYS, KEYS[1])}, f"ecdsa-p256 key {P256.id.hex()} is there twice"),
        ({"keys": (HMAC_1, replace(HMAC_1))}, "hmac-sha256 key number 1 is there twice"),
        ({"sealed_keys": SEALED * 2}, f"--decryption-key: x25519 key {X25519.id.hex()} is there"),
        ({"keys": ()}, "--decryption-key: an encrypted patch is taken only if it is signed"),
        (
            {"keys": tuple(
                ContractKey(SignatureKind.AES_CMAC, n.to_bytes(4, "little")) for n in range(256)
            )},
            "256 keys",
        ),
    ],
)  # fmt: skip
def test_what_no_firmware_can_have(change: dict[str, Any], said: str, digits: Path) -> None:
    with pytest.raises(Refusal) as caught:
        contract_of(replace(TRUST, **change), digits)
    assert said in str(caught.value)


def test_two_kinds_may_have_one_id(digits: Path) -> None:
    keys = (HMAC_1, ContractKey(SignatureKind.AES_CMAC, HMAC_1.id))
    assert contract_of(replace(TRUST, keys=keys), digits).keys == keys


def test_unguarded_patches_may_be_signed(digits: Path) -> None:
    accept = wire.ACCEPT_UNGUARDED | wire.ANTI_ROLLBACK
    assert contract_of(replace(TRUST, accept=accept), digits).accept == accept


# ---- contract.json ----


def test_json_comes_back_as_the_same_contract(contract: Contract) -> None:
    text = contract_json(contract)
    assert parse_contract(text, "c") == contract
    document = json.loads(text)
    assert document["device_class"] == "nucleo_u575zi_q-2.b"
    assert document["keys"][0] == {
        "kind": "ed25519",
        "id": ED25519.id.hex(),
        "public": ED25519.data.hex(),
    }
    assert document["keys"][2] == {"kind": "hmac_sha256", "id": "01000000", "public": ""}
    assert [key["kind"] for key in document["sealed_keys"]] == ["x25519", "ecdh_p256"]


def _set(*path: str | int, to: Any) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        document[path[-1]] = to

    return change


def _drop(name: str) -> Callable[[Any], None]:
    return lambda document: document.pop(name)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_drop("keys"), "lacks 'keys'"),
        (_drop("sealed_keys"), "lacks 'sealed_keys'"),
        (_drop("device_class"), "lacks 'device_class'"),
        (_set("keys", to={}), "keys is not a list"),
        (_set("keys", 0, "kind", to="rsa"), "keys[0].kind is none of ed25519, ecdsa_p256, "),
        (_set("keys", 0, "kind", to="ED25519"), "keys[0].kind is none of"),
        (_set("keys", 0, "id", to="0102030"), "keys[0].id is not 4 bytes in hexadecimal"),
        (_set("keys", 0, "id", to="01020304"), "keys[0] has another id than its key"),
        (_set("keys", 0, "public", to=""), "keys[0].public is not 32 bytes in hexadecimal"),
        (_set("keys", 0, "public", to=X25519.data.hex()), "keys[0] "),
        (_set("keys", 1, "public", to="01" * 64), "keys[1] is no key: "),
        (_set("keys", 2, "public", to="00"), "keys[2].public is not 0 bytes in hexadecimal"),
        (_set("sealed_keys", 0, "kind", to="ed25519"), "sealed_keys[0].kind is none of x25519, "),
        (_set("sealed_keys", 0, "id", to="01020304"), "sealed_keys[0] has another id"),
        (_set("sealed_keys", 1, "public", to="00" * 64), "sealed_keys[1] is no key: "),
        (_set("device_class", to="a b"), "'a b' is no name for a class of devices"),
        (_set("device_class", to=7), "device_class is not a text"),
        (_set("formats", to=[1, 2]), "patches of format 1 are not signed"),
        (_set("decoder", to="none"), "without format 2 nothing can be signed"),
        (_set("keys", to=[]), "there is no key to verify with"),
    ],
)
def test_a_contract_that_somebody_edited(
    change: Callable[[Any], None], said: str, contract: Contract
) -> None:
    document = json.loads(contract_json(contract))
    change(document)
    with pytest.raises(Refusal) as caught:
        parse_contract(json.dumps(document), "c")
    assert str(caught.value).startswith("c: ")
    assert said in str(caught.value)


def test_any_key_twice_is_refused_in_a_file(contract: Contract) -> None:
    document = json.loads(contract_json(contract))
    document["keys"].append(document["keys"][2])
    with pytest.raises(Refusal, match="hmac-sha256 key number 1 is there twice"):
        parse_contract(json.dumps(document), "c")


# ---- tmd_contract.h ----

USER_C = """
#include "tmd_contract.h"
#include <stdio.h>
static void tell(const struct tmd_key *keys, unsigned n, const unsigned *sizes) {
    for (unsigned i = 0; i < n; i++) {
        const unsigned size = keys[i].bytes != 0 ? sizes[keys[i].kind - 1] : 0;
        printf("%u ", keys[i].kind);
        for (unsigned k = 0; k < 4; k++) { printf("%02x", keys[i].id[k]); }
        printf(" ");
        for (unsigned k = 0; k < size; k++) { printf("%02x", keys[i].bytes[k]); }
        printf(".\\n");
    }
}
int main(void) {
    static const unsigned signs[] = {32, 64, 0, 0}, agrees[] = TMD_AGREEMENT_SIZES;
    printf("%08x %x\\n", (unsigned)tmd_contract.device_class, tmd_contract.accept);
    tell(tmd_contract.keys, tmd_contract.keys_n, signs);
    tell(tmd_contract.sealed_keys, tmd_contract.sealed_keys_n, agrees);
    return 0;
}
"""


def compiled(folder: Path, root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "main.c").write_text(USER_C)
    return subprocess.run(
        [
            *("cc", "-std=c11", *STRICT, *options, f"-I{root / 'zephyr_module' / 'include'}"),
            *(f"-I{folder}", str(folder / "main.c"), "-o", str(folder / "main")),
        ],
        capture_output=True,
        text=True,
    )


def test_the_header_says_what_the_contract_says(digits: Path, root: Path, tmp_path: Path) -> None:
    contract, _ = generate([source(digits / "base.tflite", "digits")], TRUST, tmp_path)
    done = compiled(tmp_path, root, "-DTMD_VERIFY=1", "-DTMD_DECRYPT=1")
    assert done.returncode == 0, done.stderr
    printed = subprocess.run([tmp_path / "main"], check=True, capture_output=True, text=True)
    assert printed.stdout.splitlines() == [
        f"{contract.class_id:08x} 40",
        *(f"{key.kind:d} {key.id.hex()} {key.public.hex()}." for key in (*KEYS, *SEALED)),
    ]
    for options, missing in (
        ((), "set TMD_VERIFY, or generate it without keys"),
        (("-DTMD_VERIFY=1",), "set TMD_DECRYPT, or generate it without --decryption-key"),
    ):
        done = compiled(tmp_path, root, *options)
        assert done.returncode != 0
        assert missing in done.stderr


def test_without_keys_the_header_asks_for_nothing(digits: Path, root: Path, tmp_path: Path) -> None:
    generate([source(digits / "base.tflite", "digits")], LIMITS, tmp_path)
    for options in ((), ("-DTMD_VERIFY=1",)):
        done = compiled(tmp_path, root, *options)
        assert done.returncode == 0, done.stderr
    printed = subprocess.run([tmp_path / "main"], check=True, capture_output=True, text=True)
    assert printed.stdout == "00000000 0\n"


# ---- what a patch is judged by ----


def test_a_contract_gives_its_verifiers_and_the_secrets_that_are_known(contract: Contract) -> None:
    verifiers = contract.verifiers()
    assert set(verifiers) == {(key.kind, key.id) for key in KEYS}
    assert verifiers[KEYS[0].kind, KEYS[0].id] == ED25519
    with pytest.raises(LookupError):
        verifiers[HMAC_1.kind, HMAC_1.id].verify(bytes(32), bytes(32))
    secret, stranger = (MacKey(SignatureKind.HMAC_SHA256, bytes(32), number) for number in (1, 2))
    verifiers = contract.verifiers((secret, stranger))
    assert set(verifiers) == {(key.kind, key.id) for key in KEYS}
    assert verifiers[HMAC_1.kind, HMAC_1.id] == secret


def test_every_kind_has_a_name_of_its_own() -> None:
    names = [kind.name for kinds in (SignatureKind, AgreementKind) for kind in kinds]
    assert len(set(names)) == len(names)
