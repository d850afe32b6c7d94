"""The device's own C code, run on this machine: simulated devices and the guardrail rules.

Thin over the compiled module: types, ownership and errors, no logic. Only what makes or applies
patches imports this; codegen in a firmware build does not need the compiled part.
"""

from tinymldelta.native.contract import NativeContract, RuleResult, check_rules, sha256
from tinymldelta.native.crypto import AwaitedSignatureCrypto, Crypto
from tinymldelta.native.device import (
    COMPILED_IN,
    Active,
    Device,
    Info,
    Options,
    SlotInfo,
    SlotState,
    Staged,
    read_note,
)
from tinymldelta.native.encoder import PRICE_LISTS, BodyRefused, encode_body, fill_hint
from tinymldelta.native.flash import (
    CUT_ANYWHERE,
    Counts,
    CutShape,
    Geometry,
    geometries,
    geometry_of,
)
from tinymldelta.native.group import Group, GroupReply
from tinymldelta.native.inference import Inference

__all__ = [
    "COMPILED_IN",
    "CUT_ANYWHERE",
    "PRICE_LISTS",
    "Active",
    "AwaitedSignatureCrypto",
    "BodyRefused",
    "Counts",
    "Crypto",
    "CutShape",
    "Device",
    "Geometry",
    "Group",
    "GroupReply",
    "Inference",
    "Info",
    "NativeContract",
    "Options",
    "RuleResult",
    "SlotInfo",
    "SlotState",
    "Staged",
    "check_rules",
    "encode_body",
    "fill_hint",
    "geometries",
    "geometry_of",
    "read_note",
    "sha256",
]
