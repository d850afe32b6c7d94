"""The crypto ports against published vectors, and signatures that are wrong in every way."""

from __future__ import annotations

import hashlib
import hmac
import os
import shutil
from pathlib import Path

import pytest

import curves
import portkit
from portkit import (
    AES_CMAC,
    ECDH_P256,
    ECDSA_P256,
    ED25519,
    HMAC_SHA256,
    X25519,
    Ports,
    flipped,
    verify,
)

IN_CI = os.environ.get("CI") == "true"
DIGEST = hashlib.sha256(b"sample").digest()

# RFC 6979, A.2.5: private key, message "sample" with SHA-256.
P256_SECRET = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721
P256_PUBLIC = bytes.fromhex(
    "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
    "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
)
R = 0xEFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716
S = 0xF7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8
# RFC 8032, 7.1, TEST 1 to 3: seed, public key, message, signature.
ED25519_VECTORS = (
    ("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
     "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"),
    ("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
     "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"),
    ("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
     "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"),
)  # fmt: skip
SEED = bytes.fromhex(ED25519_VECTORS[0][0])
HMAC_KEY = bytes(range(32))
CMAC_KEY = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")


def missing(what: str) -> None:
    (pytest.fail if IN_CI else pytest.skip)(what)


@pytest.fixture(scope="session")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Ports:
    if not portkit.has_psa():
        missing("needs PSA Crypto: apt install gcc libmbedtls-dev")
    folder = tmp_path_factory.mktemp("ports")
    return Ports(portkit.build(folder), folder)


@pytest.fixture
def monocypher() -> None:
    if not portkit.monocypher_files():
        missing("needs Monocypher's sources: set TMD_MONOCYPHER to a folder with monocypher.c")


def p256(r: int, s: int) -> bytes:
    return curves.be32(r) + curves.be32(s)


def of_all_bits(port: str, kind: int, key: bytes | None, digest: bytes, signature: bytes,
                number: int = 0) -> list[str]:  # fmt: skip
    """Each bit of key, digest and signature flipped once."""
    lines = [verify(port, kind, key, digest, bad, number) for bad in flipped(signature)]
    lines += [verify(port, kind, key, bad, signature, number) for bad in flipped(digest)]
    if key is not None:
        lines += [verify(port, kind, bad, digest, signature, number) for bad in flipped(key)]
    return lines


# ---- the test's own curves ----


def test_own_ecdsa_is_that_of_rfc_6979() -> None:
    assert curves.x_y(curves.times(P256_SECRET, curves.G)) == P256_PUBLIC
    assert curves.ecdsa_sign(P256_SECRET, DIGEST) == (R, S)


@pytest.mark.parametrize(("seed", "public", "message", "signature"), ED25519_VECTORS)
def test_own_ed25519_is_that_of_rfc_8032(
    seed: str, public: str, message: str, signature: str
) -> None:
    assert curves.ed_public(bytes.fromhex(seed)).hex() == public
    assert curves.ed_sign(bytes.fromhex(seed), bytes.fromhex(message)).hex() == signature


@pytest.mark.parametrize(
    ("bytes_n", "mac"),
    [
        (0, "bb1d6929e95937287fa37d129b756746"),
        (16, "070a16b46b4d4144f79bdd9dd04a287c"),
        (40, "dfa66747de9ae63030ca32611497c827"),
        (64, "51f0bebf7e3b9d92fc49741779363cfe"),
    ],
)
def test_own_cmac_is_that_of_rfc_4493(bytes_n: int, mac: str) -> None:
    message = bytes.fromhex(
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
        "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
    )
    assert curves.cmac(CMAC_KEY, message[:bytes_n]).hex() == mac


# ---- the core's own ----


@pytest.mark.parametrize(
    ("key", "data", "mac"),
    [
        (b"\x0b" * 20, b"Hi There",
         "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        (b"Jefe", b"what do ya want for nothing?",
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        (b"\xaa" * 20, b"\xdd" * 50,
         "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
        (bytes(range(1, 26)), b"\xcd" * 50,
         "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
    ],
)  # fmt: skip
def test_core_hmac_is_that_of_rfc_4231(key: bytes, data: bytes, mac: str, ports: Ports) -> None:
    assert ports.ask([f"hmac {key.hex()} {data.hex()}"]) == [f"OK {mac}"]


def test_core_hmac_of_all_lengths(ports: Ports) -> None:
    data = bytes(range(200))
    pairs = [(data[:k], data[k : k + n]) for k in range(1, 65) for n in (0, 1, 31, 64, 100)]
    answers = ports.ask(f"hmac {key.hex()} {text.hex()}" for key, text in pairs if text)
    wanted = [f"OK {hmac.digest(key, text, 'sha256').hex()}" for key, text in pairs if text]
    assert answers == wanted
    assert ports.ask([f"hmac {'00' * 65} 00"]) == ["CRYPTO"]


def test_core_compares_every_bit(ports: Ports) -> None:
    mac = hashlib.sha256(b"mac").digest()
    assert ports.ask([f"equal {mac.hex()} {mac.hex()}"]) == ["OK"]
    lines = [f"equal {mac.hex()} {bad.hex()}" for bad in flipped(mac)]
    assert set(ports.ask(lines)) == {"SIGNATURE"}


# ---- ECDSA ----


def test_ecdsa_of_rfc_6979(ports: Ports) -> None:
    for s in (S, curves.N - S):  # the core refuses the higher one before it comes here
        assert ports.ask([verify("psa", ECDSA_P256, P256_PUBLIC, DIGEST, p256(R, s))]) == ["OK"]


def test_ecdsa_with_any_bit_flipped(ports: Ports) -> None:
    answers = ports.ask(of_all_bits("psa", ECDSA_P256, P256_PUBLIC, DIGEST, p256(R, S)))
    assert len(answers) == 512 + 256 + 512
    assert set(answers[:768]) == {"SIGNATURE"}
    # Such a key is no point of the curve: it cannot be found out what it signs.
    assert set(answers[768:]) == {"CRYPTO"}


@pytest.mark.parametrize(
    ("r", "s"),
    [
        (0, S), (R, 0), (0, 0), (curves.N, S), (R, curves.N), (curves.N, curves.N), (1, 1),
        (curves.N - 1, S), (R, curves.N - 1), (2**256 - 1, S), (R, 2**256 - 1), (0, curves.N),
        (curves.P, S), (S, R), (R + 1, S), (R, S - 1), (curves.N - R, S),
    ],
)  # fmt: skip
def test_ecdsa_at_the_edges(r: int, s: int, ports: Ports) -> None:
    lines = [verify("psa", ECDSA_P256, P256_PUBLIC, DIGEST, p256(r, s))]
    lines.append(verify("psa", ECDSA_P256, P256_PUBLIC, bytes(32), p256(r, s)))
    assert ports.ask(lines) == ["SIGNATURE"] * 2


def test_ecdsa_of_special_digests(ports: Ports) -> None:
    digests = [bytes(32), b"\xff" * 32, curves.be32(curves.N), curves.be32(1)]
    signed = [p256(*curves.ecdsa_sign(P256_SECRET, digest)) for digest in digests]
    lines = [
        verify("psa", ECDSA_P256, P256_PUBLIC, digest, signature)
        for digest, signature in zip(digests, signed, strict=True)
    ]
    assert ports.ask(lines) == ["OK"] * 4


@pytest.mark.parametrize(
    "key",
    [bytes(64), b"\xff" * 64, bytes(32) + b"\1" * 32, P256_PUBLIC[32:] + P256_PUBLIC[:32]],
)
def test_ecdsa_key_that_is_no_point(key: bytes, ports: Ports) -> None:
    assert ports.ask([verify("psa", ECDSA_P256, key, DIGEST, p256(R, S))]) == ["CRYPTO"]


def test_ecdsa_with_another_key(ports: Ports) -> None:
    other = curves.x_y(curves.times(P256_SECRET + 1, curves.G))
    mirrored = P256_PUBLIC[:32] + curves.be32(curves.P - int.from_bytes(P256_PUBLIC[32:], "big"))
    lines = [verify("psa", ECDSA_P256, key, DIGEST, p256(R, S)) for key in (other, mirrored)]
    assert ports.ask([*lines, verify("psa", ECDSA_P256, None, DIGEST, p256(R, S))]) == [
        "SIGNATURE", "SIGNATURE", "KEY",
    ]  # fmt: skip


def test_ecdsa_whatever_allocation_fails(ports: Ports) -> None:
    """No key is left behind, and the call after that is right again."""
    good = verify("psa", ECDSA_P256, P256_PUBLIC, DIGEST, p256(R, S))
    failed = 0
    for n in [*range(1, 60), 100, 200, 400, 1000]:
        first, then = ports.ask([f"fail {n}", good, good])[1:]
        assert first in ("CRYPTO", "OK"), n
        assert then == "OK", n
        failed += first == "CRYPTO"
    assert failed > 20


# ---- Ed25519 ----


@pytest.mark.usefixtures("monocypher")
class TestEd25519:
    public = curves.ed_public(SEED)
    signature = curves.ed_sign(SEED, DIGEST)

    def test_right(self, ports: Ports) -> None:
        lines = []
        for seed, *_ in ED25519_VECTORS:
            key = bytes.fromhex(seed)
            for digest in (DIGEST, bytes(32), b"\xff" * 32):
                signed = curves.ed_sign(key, digest)
                lines.append(verify("mono", ED25519, curves.ed_public(key), digest, signed))
        assert set(ports.ask(lines)) == {"OK"}

    def test_any_bit_flipped(self, ports: Ports) -> None:
        lines = of_all_bits("mono", ED25519, self.public, DIGEST, self.signature)
        assert len(lines) == 512 + 256 + 256
        assert set(ports.ask(lines)) == {"SIGNATURE"}

    def test_another_key_and_none(self, ports: Ports) -> None:
        other = curves.ed_public(bytes(32))
        lines = [verify("mono", ED25519, key, DIGEST, self.signature) for key in (other, None)]
        assert ports.ask(lines) == ["SIGNATURE", "KEY"]

    def test_malleable(self, ports: Ports) -> None:
        """S + k L is the same scalar, and another signature."""
        s = int.from_bytes(self.signature[32:], "little")
        lines = [
            verify("mono", ED25519, self.public, DIGEST,
                   self.signature[:32] + (s + k * curves.L).to_bytes(32, "little"))
            for k in range(1, 15)
        ]  # fmt: skip
        assert set(ports.ask(lines)) == {"SIGNATURE"}

    def test_zeros_and_ones(self, ports: Ports) -> None:
        bad = [bytes(64), b"\xff" * 64, self.signature[:32] + bytes(32),
               bytes(32) + self.signature[32:], curves.encode((0, 1)) + bytes(32)]  # fmt: skip
        lines = [verify("mono", ED25519, self.public, DIGEST, signature) for signature in bad]
        assert set(ports.ask(lines)) == {"SIGNATURE"}

    def test_key_of_small_order_signs_nothing(self, ports: Ports) -> None:
        """With the equation alone, R of small order and S = 0 would sign everything."""
        points = [curves.encode(point) for point in curves.small_order()]
        lines = [
            verify("mono", ED25519, key, digest, r + bytes(32))
            for key in [*points, bytes(32)]
            for r in points
            for digest in (DIGEST, bytes(32))
        ]
        assert set(ports.ask(lines)) == {"SIGNATURE"}

    def test_encodings_that_are_not_the_canonical_one(self, ports: Ports) -> None:
        """A signer can make them hold: R is the neutral element, in another encoding."""
        scalar, _ = curves.ed_scalar(SEED)
        sign = 1 << 255
        others = [1 | sign, curves.Q + 1, curves.Q + 1 | sign]  # of y = 1, x = 0
        lines = []
        for number in (1, *others):
            r = number.to_bytes(32, "little")
            s = curves.ed_hash(r, self.public, DIGEST) * scalar % curves.L
            lines.append(verify("mono", ED25519, self.public, DIGEST, r + s.to_bytes(32, "little")))
        assert ports.ask(lines) == ["OK", *["SIGNATURE"] * 3]
        # And keys: y is 3 modulo 2^255 - 19, which is a point, and written larger than that.
        key = (curves.Q + 3).to_bytes(32, "little")
        assert curves.edwards_x(3, 0) is not None
        assert ports.ask([verify("mono", ED25519, key, DIGEST, self.signature)]) == ["SIGNATURE"]

    def test_cofactor(self, ports: Ports) -> None:
        """Who has the key can add a point of small order to R; RFC 8032 lets a verifier take it."""
        torsion = curves.small_order()[1]
        signed = curves.ed_sign(SEED, DIGEST, torsion)
        assert ports.ask([verify("mono", ED25519, self.public, DIGEST, signed)]) == ["OK"]


# ---- MACs ----


def secret_of(kind: int) -> tuple[str, bytes, bytes]:
    if kind == HMAC_SHA256:
        return "hmac", HMAC_KEY, hmac.digest(HMAC_KEY, DIGEST, "sha256")
    return "cmac", CMAC_KEY, curves.cmac(CMAC_KEY, DIGEST)


MACS = [("psa", HMAC_SHA256), ("hmac", HMAC_SHA256), ("psa", AES_CMAC)]


@pytest.mark.parametrize(("port", "kind"), MACS)
def test_mac_right_and_with_any_bit_flipped(port: str, kind: int, ports: Ports) -> None:
    name, secret, mac = secret_of(kind)
    keep = f"secret {name} 305419896 {secret.hex()}"
    good = verify(port, kind, None, DIGEST, mac, 305419896)
    assert ports.ask([keep, good]) == ["OK", "OK"]
    answers = ports.ask([keep, *of_all_bits(port, kind, None, DIGEST, mac, 305419896)])[1:]
    assert len(answers) == 8 * (len(mac) + 32)
    assert set(answers) == {"SIGNATURE"}
    others = [[f"secret {name} 305419896 {bad.hex()}", good, "forget"] for bad in flipped(secret)]
    assert set(ports.ask(line for other in others for line in other)[1::3]) == {"SIGNATURE"}


@pytest.mark.parametrize(("port", "kind"), MACS)
def test_mac_without_its_key(port: str, kind: int, ports: Ports) -> None:
    name, secret, mac = secret_of(kind)
    lines = [verify(port, kind, None, DIGEST, mac, number) for number in (0, 6, 7)]
    assert ports.ask(lines) == ["KEY"] * 3
    asked = [f"secret {name} 7 {secret.hex()}", *lines, "forget", *lines]
    assert ports.ask(asked) == ["OK", "KEY", "KEY", "OK", "OK", *["KEY"] * 3]


def test_mac_key_of_the_other_kind(ports: Ports) -> None:
    mac = secret_of(AES_CMAC)[2]
    lines = [f"secret hmac 0 {HMAC_KEY.hex()}", verify("psa", AES_CMAC, None, DIGEST, mac)]
    assert ports.ask(lines) == ["OK", "KEY"]
    mac = secret_of(HMAC_SHA256)[2]
    lines = [f"secret cmac 0 {CMAC_KEY.hex()}", verify("psa", HMAC_SHA256, None, DIGEST, mac)]
    assert ports.ask(lines) == ["OK", "KEY"]


@pytest.mark.parametrize("kind", [HMAC_SHA256, AES_CMAC])
def test_mac_key_that_may_not_be_used(kind: int, ports: Ports) -> None:
    name, secret, mac = secret_of(kind)
    good = verify("psa", kind, None, DIGEST, mac)
    assert ports.ask(["locked", f"secret {name} 0 {secret.hex()}", good]) == ["OK", "OK", "KEY"]


@pytest.mark.parametrize("kind", [HMAC_SHA256, AES_CMAC])
def test_mac_with_a_key_in_the_storage(kind: int, ports: Ports) -> None:
    """A persistent key, which is there after a start, and serves every number."""
    name, secret, mac = secret_of(kind)
    lines = [verify("psa", kind, None, digest, mac, 9) for digest in (DIGEST, bytes(32))]
    assert ports.ask([f"persistent {name} 0 {secret.hex()}", *lines]) == ["OK", "OK", "SIGNATURE"]


@pytest.mark.parametrize("kind", [HMAC_SHA256, AES_CMAC])
def test_mac_whatever_allocation_fails(kind: int, ports: Ports) -> None:
    name, secret, mac = secret_of(kind)
    good = verify("psa", kind, None, DIGEST, mac)
    for n in range(1, 6):
        answers = ports.ask([f"secret {name} 0 {secret.hex()}", f"fail {n}", good, good])[2:]
        assert answers[0] in ("CRYPTO", "OK"), n
        assert answers[1] == "OK", n


# ---- key agreement and AES ----

# RFC 7748, 6.1.
BOB_SECRET = "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"
ALICE_PUBLIC = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
SHARED = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"
X25519_PORTS = ["psa", "mono", "chain", "back", "all"]


def x25519_port(name: str) -> str:
    if name != "psa" and not portkit.monocypher_files():
        missing("needs Monocypher's sources: set TMD_MONOCYPHER to a folder with monocypher.c")
    return name


@pytest.mark.parametrize("name", X25519_PORTS)
def test_x25519_of_rfc_7748(name: str, ports: Ports) -> None:
    port = x25519_port(name)
    ask = f"agree {port} {X25519} 77 {ALICE_PUBLIC}"
    assert ports.ask([f"secret x25519 77 {BOB_SECRET}", ask]) == ["OK", f"OK {SHARED}"]
    assert ports.ask([ask, f"secret x25519 78 {BOB_SECRET}", ask]) == ["KEY", "OK", "KEY"]
    # The highest bit of a public key counts for nothing (RFC 7748, 5).
    high = bytes.fromhex(ALICE_PUBLIC)[:31] + bytes([0x6A | 0x80])
    ask = f"agree {port} {X25519} 77 {high.hex()}"
    assert ports.ask([f"secret x25519 77 {BOB_SECRET}", ask]) == ["OK", f"OK {SHARED}"]


SMALL_U = (
    0, 1,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
    2**255 - 20, 2**255 - 19, 2**255 - 18,
)  # fmt: skip


@pytest.mark.parametrize("name", ["psa", "mono"])
@pytest.mark.parametrize("u", SMALL_U)
def test_x25519_with_a_key_of_small_order(u: int, name: str, ports: Ports) -> None:
    """What would be shared is zero, whatever the device's secret is."""
    ask = f"agree {x25519_port(name)} {X25519} 0 {u.to_bytes(32, 'little').hex()}"
    assert ports.ask([f"secret x25519 0 {BOB_SECRET}", ask]) == ["OK", "SIGNATURE"]


def test_ecdh(ports: Ports) -> None:
    """RFC 5903, 8.1."""
    secret = "c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53"
    peer = (
        "dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180"
        "5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3"
    )
    shared = "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de"
    ask = f"agree psa {ECDH_P256} 5 {peer}"
    assert ports.ask([f"secret p256 5 {secret}", ask]) == ["OK", f"OK {shared}"]
    assert ports.ask([ask]) == ["KEY"]
    assert ports.ask([f"secret x25519 5 {BOB_SECRET}", ask]) == ["OK", "KEY"]


def test_ecdh_key_that_may_not_be_used(ports: Ports) -> None:
    secret = f"secret p256 5 {curves.be32(P256_SECRET).hex()}"
    ask = f"agree psa {ECDH_P256} 5 {P256_PUBLIC.hex()}"
    assert ports.ask(["locked", secret, ask]) == ["OK", "OK", "KEY"]


@pytest.mark.parametrize("bad", [bytes(64), b"\xff" * 64, b"\1" * 64, P256_PUBLIC[:63] + b"\0"])
def test_ecdh_with_what_is_no_point(bad: bytes, ports: Ports) -> None:
    ask = f"agree psa {ECDH_P256} 5 {bad.hex()}"
    lines = [f"secret p256 5 {curves.be32(P256_SECRET).hex()}", ask]
    assert ports.ask(lines) == ["OK", "SIGNATURE"]


@pytest.mark.parametrize("kind", ["x25519", "p256"])
def test_agreement_whatever_allocation_fails(kind: str, ports: Ports) -> None:
    peer = ALICE_PUBLIC if kind == "x25519" else P256_PUBLIC.hex()
    secret = BOB_SECRET if kind == "x25519" else curves.be32(P256_SECRET).hex()
    ask = f"agree psa {X25519 if kind == 'x25519' else ECDH_P256} 0 {peer}"
    for n in [*range(1, 40), 100, 200, 400]:
        answers = ports.ask([f"secret {kind} 0 {secret}", f"fail {n}", ask, ask])[2:]
        assert answers[0] == "CRYPTO" or answers[0].startswith("OK "), n
        assert answers[1].startswith("OK "), n


AES_BLOCKS = (  # SP 800-38A, F.1.1
    ("6bc1bee22e409f96e93d7e117393172a", "3ad77bb40d7a3660a89ecaf32466ef97"),
    ("ae2d8a571e03ac9c9eb76fac45af8e51", "f5d3d58503b9699de785895a96fdbaaf"),
    ("30c81c46a35ce411e5fbc1191a0a52ef", "43b1cd7f598ece23881b00e3ed030688"),
    ("f69f2445df4f9b17ad2b417be66c3710", "7b0c785e27e8ad3f8223207104725dd4"),
)


@pytest.mark.parametrize("port", ["psa", "chain", "all"])
def test_aes_of_sp_800_38a(port: str, ports: Ports) -> None:
    x25519_port(port)
    lines = [f"aes128 {port} {CMAC_KEY.hex()} {block}" for block, _ in AES_BLOCKS]
    assert ports.ask(lines) == [f"OK {wanted}" for _, wanted in AES_BLOCKS]


def test_aes_whatever_allocation_fails(ports: Ports) -> None:
    block, wanted = AES_BLOCKS[0]
    ask = f"aes128 psa {CMAC_KEY.hex()} {block}"
    answers = [ports.ask([f"fail {n}", ask, ask])[1:] for n in range(1, 6)]
    assert {first for first, _ in answers} <= {"CRYPTO", f"OK {wanted}"}
    assert answers[0][0] == "CRYPTO"
    assert {then for _, then in answers} == {f"OK {wanted}"}


# ---- ports in a chain ----


@pytest.mark.usefixtures("monocypher")
@pytest.mark.parametrize("port", ["chain", "back", "all"])
def test_chain_knows_every_kind(port: str, ports: Ports) -> None:
    secrets = [f"secret {secret_of(k)[0]} {k} {secret_of(k)[1].hex()}" for k in (3, 4)]
    good = [
        (ED25519, curves.ed_public(SEED), curves.ed_sign(SEED, DIGEST), 1),
        (ECDSA_P256, P256_PUBLIC, p256(R, S), 2),
        (HMAC_SHA256, None, secret_of(HMAC_SHA256)[2], 3),
        (AES_CMAC, None, secret_of(AES_CMAC)[2], 4),
    ]
    lines = [verify(port, kind, key, DIGEST, signature, n) for kind, key, signature, n in good]
    bad = [verify(port, kind, key, bytes(32), signature, n) for kind, key, signature, n in good]
    assert ports.ask([*secrets, *lines, *bad]) == ["OK"] * 6 + ["SIGNATURE"] * 4


@pytest.mark.parametrize("port", ["psa", "hmac"])
def test_kinds_that_a_port_does_not_know(port: str, ports: Ports) -> None:
    kinds = {"psa": (0, 1, 5, 255), "hmac": (0, 1, 2, 4, 5, 255)}[port]
    lines = [verify(port, kind, bytes(64), DIGEST, bytes(64)) for kind in kinds]
    lines += [f"agree {port} {kind} 0 {'00' * 64}" for kind in (0, 3, 255)]
    assert set(ports.ask([f"secret hmac 0 {'00' * 32}", *lines])[1:]) == {"KEY"}


@pytest.mark.usefixtures("monocypher")
def test_agreement_goes_on_to_the_next_port(ports: Ports) -> None:
    """Monocypher has no P-256."""
    lines = [f"secret x25519 77 {BOB_SECRET}", f"secret p256 5 {curves.be32(P256_SECRET).hex()}"]
    lines += [f"agree {port} {ECDH_P256} 5 {P256_PUBLIC.hex()}" for port in ("chain", "all")]
    answers = ports.ask(lines)
    assert answers[2] == answers[3]
    assert answers[2].startswith("OK ")


def test_monocypher_alone_has_no_aes(monocypher: None, ports: Ports) -> None:
    assert ports.ask([f"aes128 mono {'00' * 16} {'00' * 16}"]) == ["KEY"]
    assert ports.ask([f"aes128 hmac {'00' * 16} {'00' * 16}"]) == ["KEY"]


def test_gcc_finds_no_fault_in_the_ports(ports: Ports) -> None:
    includes = [f"-I{portkit.DEVICE / 'include'}", f"-I{portkit.PORTS / 'include'}"]
    includes += [f"-isystem{file.parent}" for file in portkit.monocypher_files()]
    includes.append(f"-I{portkit.HERE / 'standin'}")
    names = ["psa", "hmac", *(["monocypher"] if portkit.monocypher_files() else [])]
    for name in names:
        portkit.run(
            ["gcc", *portkit.STRICT, "-O2", "-fanalyzer", "-DTMD_VERIFY=1", *includes]
            + ["-c", portkit.PORTS / f"{name}.c", "-o", os.devnull]
        )


@pytest.mark.skipif(shutil.which("clang") is None, reason="needs clang")
def test_ports_compile_with_clang(ports: Ports, tmp_path: Path) -> None:
    portkit.build(tmp_path, "clang")
