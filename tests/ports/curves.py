"""Signatures made by hand, for those that no library makes. For tests alone: slow, and not secret.

P-256 by SP 800-186, 3.2.1.3, ECDSA by FIPS 186-5, 6.4 with the nonces of RFC 6979; edwards25519 and
Ed25519 by RFC 8032, 5.1; AES-128 by FIPS 197 and CMAC by RFC 4493.
"""

from __future__ import annotations

import hashlib
import hmac

# ---- P-256 ----

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
Point = tuple[int, int] | None  # None: the point at infinity


def add(a: Point, b: Point) -> Point:
    if a is None or b is None:
        return b if a is None else a
    if a[0] == b[0]:
        if (a[1] + b[1]) % P == 0:
            return None
        slope = (3 * a[0] * a[0] - 3) * pow(2 * a[1], -1, P)
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, P)
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def times(n: int, point: Point) -> Point:
    out: Point = None
    while n:
        if n & 1:
            out = add(out, point)
        point = add(point, point)
        n >>= 1
    return out


def be32(number: int) -> bytes:
    return number.to_bytes(32, "big")


def x_y(point: Point) -> bytes:
    assert point is not None
    return be32(point[0]) + be32(point[1])


def nonce(secret: int, digest: bytes) -> int:
    """RFC 6979, 3.2, with SHA-256."""

    def mac(key: bytes, data: bytes) -> bytes:
        return hmac.digest(key, data, "sha256")

    seed = be32(secret) + be32(int.from_bytes(digest, "big") % N)
    key, v = bytes(32), b"\1" * 32
    for mark in (b"\0", b"\1"):
        key = mac(key, v + mark + seed)
        v = mac(key, v)
    while True:
        v = mac(key, v)
        if 0 < int.from_bytes(v, "big") < N:
            return int.from_bytes(v, "big")
        key = mac(key, v + b"\0")
        v = mac(key, v)


def ecdsa_sign(secret: int, digest: bytes) -> tuple[int, int]:
    k = nonce(secret, digest)
    point = times(k, G)
    assert point is not None
    r = point[0] % N
    return r, pow(k, -1, N) * (int.from_bytes(digest, "big") + r * secret) % N


# ---- Ed25519 ----

Q = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, Q) % Q
BASE_Y = 4 * pow(5, -1, Q) % Q


def edwards_x(y: int, sign: int) -> int | None:
    """The x of a point with that y; None: there is none."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, Q) % Q
    x = pow(square, (Q + 3) // 8, Q)
    if x * x % Q != square:
        x = x * pow(2, (Q - 1) // 4, Q) % Q
    if x * x % Q != square:
        return None
    return x if x & 1 == sign or x == 0 else Q - x


def edwards_add(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    product = D * a[0] * b[0] * a[1] * b[1] % Q
    return (
        (a[0] * b[1] + a[1] * b[0]) * pow(1 + product, -1, Q) % Q,
        (a[1] * b[1] + a[0] * b[0]) * pow(1 - product, -1, Q) % Q,
    )


def edwards_times(n: int, point: tuple[int, int]) -> tuple[int, int]:
    out = (0, 1)
    while n:
        if n & 1:
            out = edwards_add(out, point)
        point = edwards_add(point, point)
        n >>= 1
    return out


def _base() -> tuple[int, int]:
    x = edwards_x(BASE_Y, 0)
    assert x is not None
    return x, BASE_Y


BASE = _base()


def encode(point: tuple[int, int]) -> bytes:
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def ed_hash(*parts: bytes) -> int:
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little")


def ed_scalar(seed: bytes) -> tuple[int, bytes]:
    hashed = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(hashed[:32], "little") & (1 << 254) - 8 | 1 << 254
    return scalar, hashed[32:]


def ed_public(seed: bytes) -> bytes:
    return encode(edwards_times(ed_scalar(seed)[0], BASE))


def ed_sign(seed: bytes, message: bytes, torsion: tuple[int, int] = (0, 1)) -> bytes:
    """RFC 8032; with a point of small order added to R, if one is given."""
    scalar, prefix = ed_scalar(seed)
    r = ed_hash(prefix, message) % L
    shown = encode(edwards_add(edwards_times(r, BASE), torsion))
    s = (r + ed_hash(shown, ed_public(seed), message) * scalar) % L
    return shown + s.to_bytes(32, "little")


def small_order() -> list[tuple[int, int]]:
    """The eight points whose order divides 8."""
    y = 2
    while True:
        x = edwards_x(y, 0)
        if x is not None:
            point = edwards_times(L, (x, y))
            multiples = [edwards_times(n, point) for n in range(8)]
            if len(set(multiples)) == 8:
                return multiples
        y += 1


# ---- AES-128, CMAC ----


def _sbox() -> list[int]:
    box = [0x63] * 256
    p = q = 1
    while True:
        p = p ^ (p << 1) & 0xFF ^ (0x1B if p & 0x80 else 0)
        for shift in (1, 2, 4):
            q = (q ^ q << shift) & 0xFF
        q ^= 0x09 if q & 0x80 else 0
        turned = 0
        for by in range(5):
            turned ^= (q << by | q >> 8 - by) & 0xFF
        box[p] = turned ^ 0x63
        if p == 1:
            return box


SBOX = _sbox()


def _double(x: int) -> int:
    return (x << 1 ^ (0x1B if x & 0x80 else 0)) & 0xFF


def aes128(key: bytes, block: bytes) -> bytes:
    words = [list(key[i : i + 4]) for i in range(0, 16, 4)]
    constant = 1
    for i in range(4, 44):
        word = list(words[-1])
        if i % 4 == 0:
            word = [SBOX[b] for b in word[1:] + word[:1]]
            word[0] ^= constant
            constant = _double(constant)
        words.append([a ^ b for a, b in zip(words[-4], word, strict=True)])
    keys = [sum(words[i : i + 4], []) for i in range(0, 44, 4)]
    state = [a ^ b for a, b in zip(block, keys[0], strict=True)]
    for number in range(1, 11):
        state = [SBOX[state[(i + 4 * (i % 4)) % 16]] for i in range(16)]
        if number < 10:
            mixed: list[int] = []
            for at in range(0, 16, 4):
                c = state[at : at + 4]
                every = c[0] ^ c[1] ^ c[2] ^ c[3]
                mixed += [c[i] ^ every ^ _double(c[i] ^ c[(i + 1) % 4]) for i in range(4)]
            state = mixed
        state = [a ^ b for a, b in zip(state, keys[number], strict=True)]
    return bytes(state)


def cmac(key: bytes, message: bytes) -> bytes:
    subkey = int.from_bytes(aes128(key, bytes(16)), "big")
    whole = len(message) % 16 == 0 and message != b""
    for _ in range(1 if whole else 2):
        subkey = (subkey << 1) % 2**128 ^ (0x87 if subkey >> 127 else 0)
    padded = message if whole else message + b"\x80" + bytes(-(len(message) + 1) % 16)
    state = 0
    for at in range(0, len(padded), 16):
        block = int.from_bytes(padded[at : at + 16], "big")
        last = subkey if at + 16 == len(padded) else 0
        state = int.from_bytes(aes128(key, (state ^ block ^ last).to_bytes(16, "big")), "big")
    return state.to_bytes(16, "big")
