"""The west commands as a user meets them: what they print, exit with and leave on disk."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from tinymldelta import native
from tinymldelta.cli.main import main
from tinymldelta.contractfile import read_contract
from tinymldelta.contractkeys import read_contract_key
from tinymldelta.proving import apply_patch
from tinymldelta.wire.constants import Rule, Status
from westkit import ADDRESS, SLOT, MakeBuild, Run, West

pytest.importorskip("west", reason="pip install -r requirements/west.txt")
intelhex = pytest.importorskip("intelhex", reason="pip install -r requirements/west.txt")

FLASH = 0x0800_0000
FIRMWARE = bytes(range(256)) * 8


@pytest.fixture
def build(application: Path, make_build: MakeBuild) -> Path:
    return make_build(application / "build")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def assert_refused(run: Run, *words: str) -> None:
    """One sentence on stderr, with these words in it."""
    assert run.returncode == 1, run.stdout + run.stderr
    assert run.stderr.count("\n") == 1, run.stderr
    assert run.stderr.startswith(("FATAL ERROR: ", "tmd: "))
    for word in words:
        assert word in run.stderr


# ---- tmd-patch ----


def test_a_patch_lands_in_the_build_folder(
    west: West, application: Path, build: Path, digits: Path
) -> None:
    labels = application / "labels.txt"
    labels.write_text("nought\none\n")
    said = ("--note", "run 7", "--labels", "labels.txt")
    made = west("tmd-patch", digits / "target.tflite", *said, cwd=application)
    assert made.returncode == 0, made.stderr
    patch = build / "tinymldelta" / "digits.tmd"
    shown = json.loads(west("tmd-inspect", patch, "--json", cwd=application).stdout)["metadata"]
    assert (shown["note"], shown["labels"]) == ("run 7", ["nought", "one"])
    assert "wrote build/tinymldelta/digits.tmd" in made.stdout
    contract = read_contract(build / "tinymldelta" / "contract.json")
    base = (digits / "base.tflite").read_bytes()
    target = apply_patch(patch.read_bytes(), base, "patch", contract, 0)
    assert target == (digits / "target.tflite").read_bytes()

    checked = west("tmd-check", patch, cwd=application)
    assert checked.returncode == 0, checked.stderr
    verdicts = [line.split()[:2] for line in checked.stdout.splitlines()[:-1]]
    assert [rule for _, rule in verdicts] == [rule.name for rule in Rule]
    assert {v for v, rule in verdicts if rule not in ("TENSOR_NAMES", "CLASS")} == {"PASS"}
    assert "base and body checked" in checked.stdout


def test_a_signed_patch(west: West, application: Path, make_build: MakeBuild, digits: Path) -> None:
    key = application / "fleet.pem"
    made = CliRunner().invoke(
        main, ["keygen", "--type", "ecdsa-p256", "-o", str(key), "--public", f"{key}.pub"]
    )
    assert made.exit_code == 0, made.output
    public = read_contract_key(Path(f"{key}.pub").read_bytes(), "fleet.pem.pub")
    make_build(application / "build", keys=(public,))
    target = digits / "target.tflite"
    assert_refused(west("tmd-patch", target, cwd=application), public.id.hex(), "--key")
    signed = west("tmd-patch", target, "--key", key, cwd=application)
    assert signed.returncode == 0, signed.stderr
    patch = application / "build" / "tinymldelta" / "digits.tmd"
    assert west("tmd-check", patch, cwd=application).returncode == 0
    assert public.id.hex() in west("tmd-inspect", patch, cwd=application).stdout
    patch.write_bytes(patch.read_bytes()[:60] + b"?" + patch.read_bytes()[61:])
    assert west("tmd-check", patch, cwd=application).returncode == 1


def test_the_device_may_be_past_the_base_of_the_build(
    west: West, application: Path, build: Path, digits: Path
) -> None:
    """From the target back to the base, as after one update."""
    now, out = digits / "target.tflite", application / "back.tmd"
    back = west(
        *("tmd-patch", digits / "base.tflite", "--base", now, "-o", out, "-d", build),
        cwd=application,
    )
    assert back.returncode == 0, back.stderr
    contract = read_contract(build / "tinymldelta" / "contract.json")
    target = apply_patch(out.read_bytes(), now.read_bytes(), "back", contract, 0)
    assert target == (digits / "base.tflite").read_bytes()
    assert_refused(west("tmd-check", out, cwd=application), "BASE")
    assert west("tmd-check", out, "--base", now, cwd=application).returncode == 0


def test_every_option_reaches_tmd(west: West, application: Path, build: Path, digits: Path) -> None:
    made = west(
        *("tmd-patch", "--format", "1", "--model-version", "1.2.3", "--model", "digits"),
        *("--version-floor", "1.0.0", "--json", digits / "target.tflite", "--", "--algo", "crc32"),
        cwd=application,
    )
    assert made.returncode == 0, made.stderr
    report = json.loads(made.stdout)
    assert report["format"] == 1
    assert report["metadata"]["model_version"] == 0x01020003
    shown = west("tmd-inspect", report["patch"], "--json", cwd=application)
    assert json.loads(shown.stdout)["digest_kind"] == "CRC32"


@pytest.mark.parametrize(
    ("file", "rule"),
    [
        ("refused_new_operator", "OPERATORS"),
        ("refused_larger_arena", "ARENA"),
        ("refused_input_shape", "IO"),
    ],
)
def test_a_target_that_the_firmware_would_refuse(
    west: West, application: Path, build: Path, digits: Path, file: str, rule: str
) -> None:
    before = contents(application)
    refused = west("tmd-patch", digits / f"{file}.tflite", cwd=application)
    assert_refused(refused, f"refused with {rule}", "digits.tmd")
    assert contents(application) == before


def test_a_base_that_the_device_cannot_have(
    west: West, application: Path, build: Path, digits: Path
) -> None:
    before = contents(application)
    for file, what in (
        (
            "refused_input_shape.tflite",
            "that this firmware runs: in and out tensors 0x",
        ),
        ("refused_new_operator.tflite", "needs AVERAGE_POOL_2D v2, firmware has not linked it"),
        ("eval.npz", "eval.npz"),
        ("missing.tflite", "No such file"),
    ):
        run = west("tmd-patch", digits / "target.tflite", "--base", digits / file, cwd=application)
        assert_refused(run, file, what)
    assert contents(application) == before


# ---- build folders ----


def break_contract(ours: Path) -> None:
    document = json.loads((ours / "contract.json").read_text())
    document["wire_version"] += 1
    (ours / "contract.json").write_text(json.dumps(document))


def remove_models(ours: Path) -> None:
    (ours / "contract.json").unlink()
    (ours / "models.json").unlink()


def swap_base(ours: Path) -> None:
    (ours / "digits.tflite").write_bytes(b"another model")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (break_contract, ("contract.json", "wire version", "same release")),
        (remove_models, ("no build folder with a model", "tmd_add_model()")),
        (lambda ours: (ours / "models.json").unlink(), ("models.json is missing", "west build")),
        (swap_base, ("digits.tflite", "not the model digits", "west build")),
    ],
)
def test_a_build_folder_that_is_no_use(
    west: West,
    application: Path,
    build: Path,
    digits: Path,
    damage: Callable[[Path], None],
    words: tuple[str, ...],
) -> None:
    damage(build / "tinymldelta")
    before = contents(application)
    assert_refused(west("tmd-patch", digits / "target.tflite", cwd=application), *words)
    assert contents(application) == before


def test_no_build_folder(west: West, application: Path, digits: Path) -> None:
    target = digits / "target.tflite"
    assert_refused(west("tmd-patch", target, cwd=application), "build:", "`west build`", "-d BUILD")
    assert_refused(west("tmd-patch", target, "-d", "other", cwd=application), "other:")
    assert contents(application) == {}


def test_the_model_has_to_be_named_if_there_are_several(
    west: West, application: Path, make_build: MakeBuild, digits: Path
) -> None:
    build = make_build(application / "build", names=("digits", "sst"))
    target, before = digits / "target.tflite", contents(application)
    assert_refused(west("tmd-patch", target, cwd=application), "digits, sst", "--model NAME")
    assert_refused(west("tmd-patch", target, "--model", "x", cwd=application), "'x'", "digits, sst")
    assert contents(application) == before
    assert west("tmd-patch", target, "--model", "sst", cwd=application).returncode == 0
    assert (build / "tinymldelta" / "sst.tmd").is_file()


def test_an_output_that_cannot_be_written(
    west: West, application: Path, build: Path, digits: Path
) -> None:
    before = contents(application)
    out = build / "tinymldelta" / "contract.json" / "p.tmd"
    run = west("tmd-patch", digits / "target.tflite", "-o", out, cwd=application)
    assert_refused(run, "p.tmd", "cannot be written")
    assert contents(application) == before


def test_a_wrong_call_exits_2(west: West, application: Path, build: Path, digits: Path) -> None:
    target = digits / "target.tflite"
    for arguments in (
        ("tmd-patch",),
        ("tmd-patch", target, "--format", "3"),
        ("tmd-patch", target, "--forma", "1"),
        ("tmd-patch", target, "--model-version", "x"),
        ("tmd-check", "a", "b"),
        ("tmd-push", "a.tmd"),
        ("tmd-push", "a.tmd", "--port", "p", "--speed", "9600"),
        ("tmd-factory",),
    ):
        run = west(*arguments, cwd=application)
        assert run.returncode == 2, (arguments, run.stdout, run.stderr)
        assert run.stderr.startswith("usage: ") or run.stderr.startswith("Usage: ")


def test_the_build_folder_is_the_one_that_zephyr_finds(
    west: West, workspace: Path, application: Path, make_build: MakeBuild
) -> None:
    make_build(application / "build")
    make_build(application / "out" / "board", names=("other",))
    assert "digits" in west("tmd-inspect", cwd=application).stdout
    # In the build folder itself, with the manifest repository's folder of the same name about.
    assert "other" in west("tmd-inspect", cwd=application / "out" / "board").stdout

    scripts = application / "zephyr" / "scripts" / "west_commands"
    scripts.mkdir(parents=True)
    (scripts / "build_helpers.py").write_text(
        "import os\n\n\ndef find_build_dir(dir, guess=False):\n"
        "    assert dir is None and guess\n    return os.path.abspath('out/board')\n"
    )
    with_zephyr = {"ZEPHYR_BASE": str(application / "zephyr")}
    found = west("tmd-inspect", cwd=application, env=with_zephyr)
    assert "other" in found.stdout, found.stderr
    assert "digits" not in found.stdout


def test_sysbuild_means_its_default_domain(
    west: West, application: Path, make_build: MakeBuild, digits: Path
) -> None:
    build = application / "build"
    make_build(build / "app")
    domains = build / "domains.yaml"
    domains.write_text(
        f"default: app\nbuild_dir: {build}\ndomains:\n"
        f"  - name: mcuboot\n    build_dir: {build}/mcuboot\n"
        f"  - name: app\n    build_dir: {build}/app\nflash_order:\n  - mcuboot\n  - app\n"
    )
    assert west("tmd-patch", digits / "target.tflite", cwd=application).returncode == 0
    assert (build / "app" / "tinymldelta" / "digits.tmd").is_file()
    for broken in ("default: none\ndomains: []\n", "[", "7\n"):
        domains.write_text(broken)
        assert_refused(west("tmd-inspect", cwd=application), "domains.yaml", "default domain")


# ---- tmd-inspect, tmd-check, tmd-push ----


def test_inspect_shows_what_the_firmware_accepts_and_where(
    west: West, application: Path, build: Path, digits: Path
) -> None:
    shown = west("tmd-inspect", cwd=application)
    assert shown.returncode == 0, shown.stderr
    assert "CONV_2D" in shown.stdout
    assert f"digits_slot0: {SLOT:,} bytes at offset 0x100000, address {ADDRESS:#x}" in shown.stdout
    document = json.loads(west("tmd-inspect", "--json", cwd=application).stdout)
    assert document["kind"] == "contract"
    # A file needs no build folder.
    model = west("tmd-inspect", digits / "base.tflite", "--json", "-d", "none", cwd=application)
    assert json.loads(model.stdout)["kind"] == "model"
    assert_refused(west("tmd-inspect", "missing", cwd=application), "missing")


def foreign_patch(digits: Path, out: Path) -> Path:
    """A patch that this firmware refuses; its maker knew no contract."""
    target = digits / "refused_new_operator.tflite"
    files = [str(digits / "base.tflite"), str(target), "-o", str(out)]
    arguments = ["patch", *files, "--model", "digits"]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    return out


def test_check_names_the_rule(
    west: West, application: Path, build: Path, digits: Path, tmp_path: Path
) -> None:
    patch = foreign_patch(digits, tmp_path / "foreign.tmd")
    checked = west("tmd-check", patch, cwd=application)
    assert_refused(checked, "refused with OPERATORS")
    assert "FAIL    OPERATORS" in checked.stdout
    verdict = json.loads(west("tmd-check", patch, "--json", cwd=application).stdout)
    assert verdict["status"] == "OPERATORS"


def test_push_sends_what_the_firmware_takes(
    west: West, application: Path, build: Path, digits: Path, tmp_path: Path
) -> None:
    patch = foreign_patch(digits, tmp_path / "foreign.tmd")
    to = ("--port", application / "none", "--baud", "9600")
    pushed = west("-v", "tmd-push", *to, patch, "--", "--timeout", "1", cwd=application)
    assert pushed.returncode == 1
    words = f"tmd push --port {application}/none --baud 9600 --timeout 1 -- {patch}\n"
    assert words in pushed.stdout
    # With a build folder, what its firmware refuses is not sent.
    checked = west("-v", "tmd-push", "-d", "build", patch, *to, cwd=application)
    assert_refused(checked, "refused with OPERATORS")
    assert "tmd push" not in checked.stdout


# ---- tmd-factory ----


def write_firmware(build: Path, content: bytes = FIRMWARE, name: str = "zephyr.hex") -> Path:
    image = intelhex.IntelHex()
    image.frombytes(content, offset=FLASH)
    image.start_addr = {"EIP": FLASH + 1}
    path = build / "zephyr" / name
    path.parent.mkdir(exist_ok=True)
    image.write_hex_file(str(path))
    return path


def segments(path: Path) -> dict[int, bytes]:
    image = intelhex.IntelHex(io.StringIO(path.read_text()))
    return {a: image.tobinstr(start=a, size=b - a) for a, b in image.segments()}


def test_a_factory_image_is_firmware_and_first_models(
    west: West, application: Path, make_build: MakeBuild, digits: Path
) -> None:
    build = make_build(application / "build", names=("digits", "second"), compiled_in=False)
    write_firmware(build)
    out = application / "factory.hex"
    made = west("tmd-factory", "-o", out, cwd=application)
    assert made.returncode == 0, made.stderr
    model = (digits / "base.tflite").read_bytes()
    expected = {FLASH: FIRMWARE, ADDRESS: model, ADDRESS + 3 * SLOT: model}
    assert segments(out) == expected
    assert intelhex.IntelHex(str(out)).start_addr == {"EIP": FLASH + 1}
    assert f"digits: digits_slot0 at {ADDRESS:#x}" in made.stdout

    # The same again, and what is there is replaced.
    first = out.read_bytes()
    assert west("tmd-factory", "-o", out, cwd=application).returncode == 0
    assert out.read_bytes() == first


def test_a_factory_image_starts_as_the_device_does(digits: Path, build: Path) -> None:
    """What the image puts into slot 0 is what the core takes for the first model."""
    contract = read_contract(build / "tinymldelta" / "contract.json")
    base = (build / "tinymldelta" / "digits.tflite").read_bytes()
    with native.Device.create(contract, 0, native.geometry_of(contract)) as device:
        device.factory(base)
        assert device.flash[: len(base)] == base
        assert device.boot() is Status.OK
        assert device.read_active() == base


def test_a_factory_image_has_no_copy_of_what_is_compiled_in(
    west: West, application: Path, build: Path
) -> None:
    """And takes the firmware that `west flash` takes, or the one that was named."""
    write_firmware(build)
    write_firmware(build, b"signed" * 50, "zephyr.signed.hex")
    (build / "zephyr" / "runners.yaml").write_text("config:\n  hex_file: zephyr.signed.hex\n")
    out = application / "factory.hex"
    made = west("tmd-factory", "-o", out, cwd=application)
    assert made.returncode == 0, made.stderr
    assert segments(out) == {FLASH: b"signed" * 50}
    assert "digits: compiled into the firmware" in made.stdout
    named = ("--firmware", build / "zephyr" / "zephyr.hex")
    assert west("tmd-factory", "-o", out, *named, cwd=application).returncode == 0
    assert segments(out) == {FLASH: FIRMWARE}


def test_a_factory_image_that_cannot_be_made(
    west: West, application: Path, make_build: MakeBuild, digits: Path
) -> None:
    build, out = application / "build", application / "factory.hex"

    def refused(*words: str, options: tuple[object, ...] = ()) -> None:
        run = west("tmd-factory", "-o", out, *options, cwd=application)
        assert_refused(run, *words)
        assert not out.exists()

    make_build(build, compiled_in=False)
    refused("zephyr.hex", "no such firmware", "CONFIG_BUILD_OUTPUT_HEX")
    write_firmware(build, bytes(ADDRESS - FLASH + SLOT + 1))
    refused("reach into digits_slot0", "partitions")
    firmware = write_firmware(build)
    for content in (b"", b"\xff\xfe", b":00000001FE\n", b"no hex\n"):
        other = application / "other.hex"
        other.write_bytes(content)
        refused("other.hex", "Intel hex", options=("--firmware", other))
    make_build(build, compiled_in=False, mapped=False)
    refused("digits_slot0", "not memory mapped", "digits.tflite", "0x100000")

    # Two models in one slot: no devicetree that was checked says so, a file may.
    make_build(build, names=("digits", "second"), compiled_in=False)
    models = build / "tinymldelta" / "models.json"
    document = json.loads(models.read_text())
    document["models"][1]["slots"] = document["models"][0]["slots"]
    models.write_text(json.dumps(document))
    refused("digits_slot0", "second and another model")
    assert firmware.is_file()
