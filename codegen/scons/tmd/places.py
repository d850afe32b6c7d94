"""Where the parts of TinyMLDelta are that the tool builds or runs."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
DEVICE = ROOT / "zephyr_module"
INCLUDE = DEVICE / "include"
PACKAGE = ROOT / "codegen" / "src"
WIRE = ROOT / "codegen" / "wire.yaml"
NEEDS = ROOT / "requirements" / "scons.txt"
DRIVER = Path(__file__).resolve().with_name("driver.py")

# As CMakeLists.txt has them. Each leaves out what its options leave out.
CORE_SOURCES = (
    "core/body.c",
    "core/digest.c",
    "core/format1.c",
    "core/format2.c",
    "core/guard.c",
    "core/hmac.c",
    "core/metadata.c",
    "core/operators.c",
    "core/patch.c",
    "core/sealed.c",
    "core/signature.c",
    "core/status.c",
    "store/open.c",
    "store/records.c",
    "store/region.c",
    "store/self_test.c",
    "store/staging.c",
    "store/store.c",
    "store/update.c",
    "store/writer.c",
)
SMP_SOURCES = ("smp/group.c",)


def generator_files() -> list[Path]:
    """All that codegen is made of: modules, templates, tables, the wire format and the driver."""
    package = PACKAGE / "tinymldelta"
    files = [f for kind in ("*.py", "*.j2", "*.yaml") for f in package.rglob(kind)]
    return [*sorted(files), WIRE, DRIVER]
