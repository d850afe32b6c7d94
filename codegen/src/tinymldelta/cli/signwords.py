"""What a signature is put under, in words: whoever signs has to see what they approve."""

from __future__ import annotations

import hashlib
from typing import Any

import click

from tinymldelta.container.patch import Patch
from tinymldelta.errors import Refusal
from tinymldelta.versions import version_text
from tinymldelta.wire.constants import Tlv


def check_target(patch: Patch, where: str, image: bytes, image_where: str) -> None:
    """Refuses if the patch makes another target than these bytes."""
    header = patch.header
    digest = hashlib.sha256(image).digest()
    if (header.target_bytes, header.target_digest) != (len(image), digest):
        raise Refusal(
            where,
            f"it makes a target of {header.target_bytes:,} bytes with the SHA-256 "
            f"{header.target_digest.hex()}, and {image_where} is another",
            "sign the patch to the model that was approved; of one with test vectors, give the "
            "file of `tmd patch --image`",
        )


def signed_json(patch: Patch) -> dict[str, Any]:
    """For machines. Versions and the class as numbers; null where the patch does not say it."""
    header, metadata = patch.header, patch.metadata
    return {
        "model": metadata.model_name.decode("utf-8", "replace") if metadata.model_name else None,
        "device_class": metadata.number(Tlv.DEVICE_CLASS),
        "model_version": metadata.model_version,
        "version_floor": metadata.version_floor,
        "downgrade": metadata.number(Tlv.DOWNGRADE),
        "base": {"bytes": header.base_bytes, "sha256_begins": header.base_digest.hex()},
        "target": {"bytes": header.target_bytes, "sha256": header.target_digest.hex()},
    }


def print_signed(patch: Patch) -> None:
    """For people, a line each."""
    says = signed_json(patch)
    base, target = says["base"], says["target"]
    lines = [
        ("model", says["model"] or "not named"),
        (
            "device class",
            "any" if says["device_class"] is None else f"{says['device_class']:#010x}",
        ),
        ("version", version_text(says["model_version"] or 0)),
        ("base", f"{base['bytes']:,} bytes, SHA-256 {base['sha256_begins']}..."),
        ("target", f"{target['bytes']:,} bytes, SHA-256 {target['sha256']}"),
    ]
    if says["version_floor"] is not None:
        lines.append(("raises floor", f"to {version_text(says['version_floor'])}"))
    if says["downgrade"] is not None:
        lines.append(("DOWNGRADE", f"taken up to the floor {version_text(says['downgrade'])}"))
    for name, words in lines:
        click.echo(f"  {name:12} {words}")
