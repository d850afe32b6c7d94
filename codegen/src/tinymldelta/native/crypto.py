"""The crypto port of simulated devices, by callbacks into `tinymldelta.keys`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tinymldelta.keys import DIGEST_BYTES, AgreementPrivate, MacKey, PublicKey, Verifier
from tinymldelta.native.binding import ffi
from tinymldelta.wire.constants import (
    AGREEMENT_KEY_SIZE,
    SIGNATURE_KEY_SIZE,
    SIGNATURE_SIZE,
    AgreementKind,
    SignatureKind,
    Status,
)

_BLOCK = 16  # bytes of AES


class Crypto:
    """A crypto port, with what a device has in secret. Keeps alive what `pointer` needs.

    secrets: of the contract's MAC keys; sealed: private parts of its decryption keys.
    """

    def __init__(
        self, secrets: Sequence[MacKey] = (), sealed: Sequence[AgreementPrivate] = ()
    ) -> None:
        self._secrets = {(key.kind, key.id): key for key in secrets}
        self._sealed = {(key.kind, key.id): key for key in sealed}
        self.pointer = ffi.new("struct tmd_crypto *")
        self._keep: list[Any] = []
        for name, function in (
            ("verify", self._verify),
            ("agree", self._agree),
            ("aes128", self._aes128),
        ):
            kind = ffi.typeof(getattr(self.pointer, name))
            callback = ffi.callback(kind, _kept_from_c(function), error=int(Status.CRYPTO))
            self._keep.append(callback)
            setattr(self.pointer, name, callback)

    @property
    def has_secrets(self) -> bool:
        return bool(self._secrets or self._sealed)

    def _verify(self, _ctx: Any, key: Any, digest: Any, signature: Any) -> Status:
        kind = SignatureKind(key.kind)
        if key.bytes != ffi.NULL:
            size = SIGNATURE_KEY_SIZE[kind]
            verifier: Verifier = PublicKey(kind, bytes(ffi.buffer(key.bytes, size)))
        elif (kind, bytes(key.id)) in self._secrets:
            verifier = self._secrets[kind, bytes(key.id)]
        else:
            return Status.KEY
        holds = verifier.verify(
            bytes(ffi.buffer(digest, DIGEST_BYTES)),
            bytes(ffi.buffer(signature, SIGNATURE_SIZE[kind])),
        )
        return Status.OK if holds else Status.SIGNATURE

    def _agree(self, _ctx: Any, key: Any, peer: Any, shared: Any) -> Status:
        kind = AgreementKind(key.kind)
        private = self._sealed.get((kind, bytes(key.id)))
        if private is None:
            return Status.KEY
        secret = private.agree(bytes(ffi.buffer(peer, AGREEMENT_KEY_SIZE[kind])))
        if secret is None:
            return Status.SIGNATURE
        ffi.memmove(shared, secret, len(secret))
        return Status.OK

    def _aes128(self, _ctx: Any, key: Any, block: Any, out: Any) -> Status:
        from tinymldelta.keys import primitives  # only who decrypts needs a cipher

        key_bytes = bytes(ffi.buffer(key, _BLOCK))
        ffi.memmove(out, primitives.aes_block(key_bytes, bytes(ffi.buffer(block, _BLOCK))), _BLOCK)
        return Status.OK


class AwaitedSignatureCrypto(Crypto):
    """Takes any signature: of a patch that is proved here, and that somebody signs afterwards."""

    def _verify(self, _ctx: Any, key: Any, digest: Any, signature: Any) -> Status:
        return Status.OK


def _kept_from_c(function: Callable[..., Status]) -> Callable[..., int]:
    """An exception must not cross the C code; to a device it is a failure of its cryptography."""

    def call(*args: Any) -> int:
        try:
            return int(function(*args))
        except Exception:  # whatever it was, the signature was not seen to hold
            return int(Status.CRYPTO)

    return call
