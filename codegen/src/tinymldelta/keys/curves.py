"""Which bytes are a key on one of the three curves. Plain Python: a firmware build asks it too.

Nothing here is secret, so nothing here takes care of its time. Domain parameters: SP 800-186 for
P-256, RFC 8032 for Ed25519, RFC 7748 for X25519.
"""

from __future__ import annotations

from functools import lru_cache

P256_PRIME = 2**256 - 2**224 + 2**192 + 2**96 - 1
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_P256_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B

PRIME_25519 = 2**255 - 19
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493
_ED25519_D = -121665 * pow(121666, -1, PRIME_25519) % PRIME_25519
_ROOT_OF_MINUS_1 = pow(2, (PRIME_25519 - 1) // 4, PRIME_25519)
_X25519_A = 486662

_LOW_255 = (1 << 255) - 1
_NEUTRAL = (0, 1)


def p256_fault(point: bytes) -> str | None:
    """Why these 64 bytes, X and Y with the highest byte first, are no key; None if they are one.

    The curve has a prime order, so that each of its points but infinity, which has no X and Y, is
    one.
    """
    x, y = int.from_bytes(point[:32], "big"), int.from_bytes(point[32:], "big")
    if x >= P256_PRIME or y >= P256_PRIME:
        return "a coordinate is not below the prime of P-256"
    if (y * y - x * x * x + 3 * x - _P256_B) % P256_PRIME:
        return "the point is not on the curve P-256"
    return None


@lru_cache(maxsize=256)  # 15 ms of arithmetic, for keys that are few and asked for often
def ed25519_fault(encoded: bytes) -> str | None:
    """Why these 32 bytes, as RFC 8032 section 5.1.2 has them, are no key; None if they are one.

    Keys that come from a secret are in the group of prime order. The eight points of small order,
    and sums with them, are not: under some of those, one signature fits any message.
    """
    y, sign = _split(encoded)
    if y >= PRIME_25519:
        return "y is not below the prime of Ed25519"
    x_squared = (y * y - 1) * pow(_ED25519_D * y * y + 1, -1, PRIME_25519) % PRIME_25519
    x = _root(x_squared)
    if x is None:
        return "the point is not on the curve of Ed25519"
    if x == 0 and sign:
        return "x is 0, and its sign is set"
    point = (PRIME_25519 - x if x & 1 != sign else x, y)
    if point == _NEUTRAL or _times(ED25519_ORDER, point) != _NEUTRAL:
        return "the point is not in the group of prime order, as those of small order are not"
    return None


def x25519_fault(encoded: bytes) -> str | None:
    """Why these 32 bytes are nobody's key for X25519; None if they may be one.

    A point of small order would make the shared secret 0, whatever the other secret is. Three
    doublings lead all of them, on the curve and on its twist, to infinity, where Z is 0.
    """
    u, high = _split(encoded)
    if u >= PRIME_25519 or high:
        return "u is not below the prime of X25519"
    z = 1
    for _ in range(3):  # RFC 7748's curve in projective coordinates: u is U / Z
        uu, zz, uz = u * u, z * z, u * z
        u = (uu - zz) ** 2 % PRIME_25519
        z = 4 * uz * (uu + _X25519_A * uz + zz) % PRIME_25519
    return None if z else "the point is of small order"


def _split(encoded: bytes) -> tuple[int, int]:
    """The low 255 bits, and the highest one."""
    number = int.from_bytes(encoded, "little")
    return number & _LOW_255, number >> 255


def _root(square: int) -> int | None:
    """A root modulo the prime of 25519, or None: RFC 8032, section 5.1.3."""
    root = pow(square, (PRIME_25519 + 3) // 8, PRIME_25519)
    if root * root % PRIME_25519 != square:
        root = root * _ROOT_OF_MINUS_1 % PRIME_25519
    return root if root * root % PRIME_25519 == square else None


def _times(number: int, point: tuple[int, int]) -> tuple[int, int]:
    total = _NEUTRAL
    while number:
        if number & 1:
            total = _sum(total, point)
        point = _sum(point, point)
        number >>= 1
    return total


def _sum(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    """RFC 8032, section 5.1.4, in affine coordinates; it holds for all pairs of points."""
    product = _ED25519_D * a[0] * b[0] * a[1] * b[1]
    x = (a[0] * b[1] + b[0] * a[1]) * pow(1 + product, -1, PRIME_25519)
    y = (a[1] * b[1] + a[0] * b[0]) * pow(1 - product, -1, PRIME_25519)
    return x % PRIME_25519, y % PRIME_25519
