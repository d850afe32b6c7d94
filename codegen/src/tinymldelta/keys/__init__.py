"""Keys: in files, in what they sign and verify, in what is encrypted to them.

Only `primitives` needs the library `cryptography`, and is imported when something is signed,
verified or encrypted. To read public keys, and to name them, needs nothing.
"""

from tinymldelta.keys.find import is_secret_file, load_signer, load_verifier
from tinymldelta.keys.kinds import (
    DIGEST_BYTES,
    KEY_ID_BYTES,
    KEY_NUMBER_MAX,
    Opener,
    Signer,
    Verifier,
    is_mac,
    key_text,
    type_name,
)
from tinymldelta.keys.mac import MacKey, generate_mac_key, is_mac_file, load_mac_key
from tinymldelta.keys.private import (
    AgreementPrivate,
    NeedsPassword,
    PrivateKey,
    generate_agreement_private,
    generate_private_key,
    load_agreement_private,
    load_any_private,
    load_private_key,
)
from tinymldelta.keys.public import (
    AgreementPublic,
    PublicKey,
    load_agreement_public,
    load_public_key,
)
from tinymldelta.keys.sealed import (
    Envelope,
    is_sealed,
    open_chunks,
    open_sealed,
    read_envelope,
    seal,
    sealed_key_id,
)
from tinymldelta.keys.signature import check_signature_form, signature_from

__all__ = [
    "DIGEST_BYTES",
    "KEY_ID_BYTES",
    "KEY_NUMBER_MAX",
    "AgreementPrivate",
    "AgreementPublic",
    "Envelope",
    "MacKey",
    "NeedsPassword",
    "Opener",
    "PrivateKey",
    "PublicKey",
    "Signer",
    "Verifier",
    "check_signature_form",
    "generate_agreement_private",
    "generate_mac_key",
    "generate_private_key",
    "is_mac",
    "is_mac_file",
    "is_sealed",
    "is_secret_file",
    "key_text",
    "load_agreement_private",
    "load_agreement_public",
    "load_any_private",
    "load_mac_key",
    "load_private_key",
    "load_public_key",
    "load_signer",
    "load_verifier",
    "open_chunks",
    "open_sealed",
    "read_envelope",
    "seal",
    "sealed_key_id",
    "signature_from",
    "type_name",
]
