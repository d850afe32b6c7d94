# SPDX-License-Identifier: Apache-2.0
"""West commands for models in Zephyr builds.

Each finds what a build folder says and hands it to `tmd`, in west's own Python. The package is
imported when a command runs, so that help and completion work without it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from west.commands import WestCommand

if TYPE_CHECKING:
    from tinymldelta.builds import Build

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD_FOLDER = """\
The build folder is the one that `west build` would take: build/, or what the configuration option
build.dir-fmt says, or the current folder if it is one. Of a sysbuild folder the default domain is
read."""


def find_build_folder(given: str | None) -> Path:
    """The build folder, found as Zephyr's own commands do where Zephyr's scripts are at hand."""
    if given:
        return Path(given)
    # west sets ZEPHYR_BASE if the workspace has a Zephyr.
    scripts = str(Path(os.environ.get("ZEPHYR_BASE", os.devnull), "scripts", "west_commands"))
    sys.path.append(scripts)
    try:
        from build_helpers import find_build_dir
    except ImportError:
        here = Path()
        return here if (here / "tinymldelta" / "models.json").is_file() else here / "build"
    finally:
        sys.path.remove(scripts)
    found = find_build_dir(None, guess=True)
    return Path(os.path.relpath(found)) if found else Path("build")


class TmdCommand(WestCommand):
    """A west command that ends in `tmd`. A Refusal is one sentence on stderr, and exit code 1."""

    build_help = "build folder of the firmware"
    build_epilog = BUILD_FOLDER

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Arguments beside the build folder."""
        raise NotImplementedError

    def execute(self, args: argparse.Namespace, more: list[str]) -> None:
        """The work; `more` is what this parser does not know."""
        raise NotImplementedError

    def do_add_parser(self, parser_adder: Any) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = parser_adder.add_parser(
            self.name,
            help=self.help,
            description=self.description,
            epilog=self.build_epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        parser.add_argument("-d", "--build-dir", metavar="BUILD", help=self.build_help)
        self.add_arguments(parser)
        return parser

    def do_run(self, args: argparse.Namespace, unknown: list[str]) -> None:
        try:
            import tinymldelta.native  # noqa: F401 - patches are proved by the compiled part
            from tinymldelta.errors import Refusal
        except ImportError as error:
            self.dbg(error)
            self.die(
                "west's Python has no tinymldelta with its compiled part: run "
                f"`{sys.executable} -m pip install {shlex.quote(str(REPOSITORY))}`"
            )
        try:
            self.execute(args, [argument for argument in unknown if argument != "--"])
        except Refusal as refusal:
            self.die(str(refusal))

    def read_build(self, args: argparse.Namespace) -> Build:
        from tinymldelta.builds import read_build

        return read_build(find_build_folder(args.build_dir))

    def tmd(self, *arguments: object) -> None:
        """Run `tmd` with these arguments; it reports by itself, and its exit code is ours."""
        from tinymldelta.cli.main import main

        words = [str(argument) for argument in arguments]
        self.dbg("tmd", shlex.join(words))
        try:
            main(words, prog_name="tmd")
        except SystemExit as end:
            if end.code:
                raise


def add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="NAME", help="which model, if the firmware has several")


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the same for machines")


def given(args: argparse.Namespace, *names: str) -> list[str]:
    """Those of the options that were used, as `tmd` takes them."""
    words = []
    for name in names:
        value = getattr(args, name)
        option = "--" + name.replace("_", "-")
        if value is True:
            words.append(option)
        elif value:
            words += [option, str(value)]
    return words


class Patch(TmdCommand):
    def __init__(self) -> None:
        super().__init__(
            "tmd-patch",
            "make the patch that updates a model of a built firmware",
            """\
Make the patch that turns the model on the device into TARGET.

The firmware's contract and, without --base, the model that it was built with come from the build
folder. The device's own code applies the patch to simulated flash before the file is written.
Options of `tmd patch` that are not listed here go behind a --.""",
            accepts_unknown_args=True,
        )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("target", metavar="TARGET", help="the new model, a .tflite file")
        add_model(parser)
        parser.add_argument(
            "--base",
            metavar="FILE",
            type=Path,
            help="the model on the device, if it is past the one that the firmware was built with",
        )
        parser.add_argument(
            "-o",
            "--out",
            metavar="OUT",
            type=Path,
            help="the patch (default: tinymldelta/NAME.tmd in the build folder)",
        )
        parser.add_argument(
            "--format", choices=["1", "2"], help="patch format (default: the best that is taken)"
        )
        parser.add_argument("--model-version", metavar="X", help="version of TARGET, like 1.2.3")
        parser.add_argument(
            "--version-floor", metavar="X", help="lowest version to take once TARGET is confirmed"
        )
        parser.add_argument("--key", metavar="KEY", help="the key that signs, for signed firmware")
        parser.add_argument(
            "--encrypt", action="store_true", help="encrypt it to the device class of the firmware"
        )
        parser.add_argument(
            "--allow-downgrade",
            metavar="X",
            help="take TARGET though it is lower than the device's floor, up to this floor",
        )
        parser.add_argument(
            "--note", metavar="TEXT", help="what the device tells of TARGET, such as its training"
        )
        parser.add_argument(
            "--labels", metavar="FILE", help="names of its classes, one in each line, likewise"
        )
        parser.add_argument(
            "--test-vectors", metavar="FILE", help="inputs and outputs (.npz) to send along"
        )
        parser.add_argument("--tolerance", metavar="T", help="how far their outputs may be off")
        parser.add_argument(
            "--image", metavar="FILE", help="write what the slot will hold: the next --base"
        )
        add_json(parser)

    def execute(self, args: argparse.Namespace, more: list[str]) -> None:
        build = self.read_build(args)
        index, model = build.model(args.model)
        out = args.out or build.contract_path.with_name(f"{model.name}.tmd")
        options = given(
            args,
            *("format", "key", "encrypt", "model_version", "version_floor", "allow_downgrade"),
            *("note", "labels"),
            *("test_vectors", "tolerance"),
            *("image", "json"),
        )
        self.tmd(
            *("patch", *options, "-o", out, "--contract", build.contract_path),
            *("--model", model.name, *more, "--", build.base(index, args.base), args.target),
        )


class Inspect(TmdCommand):
    def __init__(self) -> None:
        super().__init__(
            "tmd-inspect",
            "say what a built firmware accepts, or what a model or patch holds",
            """\
Say what FILE is and what it holds: a .tflite model, a patch, or a contract.json.

Without FILE, say what the firmware in the build folder accepts, and where its models lie.""",
        )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", nargs="?", help="a model, patch or contract")
        add_json(parser)

    def execute(self, args: argparse.Namespace, more: list[str]) -> None:
        if args.file:
            self.tmd("inspect", *given(args, "json"), "--", args.file)
            return
        build = self.read_build(args)
        self.tmd("inspect", *given(args, "json"), "--", build.contract_path)
        if args.json:
            return
        for model in build.models:
            where = "compiled in" if model.compiled_in else f"in {model.slots[0].label}"
            self.inf(f"{model.name}: {model.base}, {where}")
            for region in model.regions:
                at = f"offset {region.offset:#x}"
                if region.address is not None:
                    at += f", address {region.address:#x}"
                self.inf(f"  {region.label}: {region.bytes:,} bytes at {at}")


class Check(TmdCommand):
    def __init__(self) -> None:
        super().__init__(
            "tmd-check",
            "tell whether a built firmware would take a patch",
            """\
Tell whether a device with the firmware in the build folder would take PATCH, rule by rule.

Without --base the device is taken to have the model that the firmware was built with.""",
        )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("patch", metavar="PATCH", help="the patch, a .tmd file")
        add_model(parser)
        parser.add_argument(
            "--base", metavar="FILE", type=Path, help="the model that is on the device"
        )
        add_json(parser)

    def execute(self, args: argparse.Namespace, more: list[str]) -> None:
        build = self.read_build(args)
        index, model = build.model(args.model)
        self.tmd(
            *("check", *given(args, "json"), "--contract", build.contract_path),
            *("--model", model.name, "--base", build.base(index, args.base), "--", args.patch),
        )


class Push(TmdCommand):
    build_help = "check first that the firmware in this build folder takes the patch"
    build_epilog = "One of --port, --udp and --ble says how to reach the device."

    def __init__(self) -> None:
        super().__init__(
            "tmd-push",
            "send a patch to a device",
            """\
Send PATCH to a device over SMP, by `tmd push`; without -d the device alone judges it.

Options of `tmd push` that are not listed here go behind a --.""",
            accepts_unknown_args=True,
        )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("patch", metavar="PATCH", help="the patch, a .tmd file")
        add_model(parser)
        parser.add_argument("--port", metavar="DEVICE", help="serial port, such as /dev/ttyACM0")
        parser.add_argument("--baud", metavar="N", help="its speed")
        parser.add_argument("--udp", metavar="HOST[:PORT]", help="over UDP")
        parser.add_argument("--ble", metavar="NAME", help="over Bluetooth LE: name or address")
        parser.add_argument(
            "--confirm", action="store_true", help="end the new model's trial once it runs"
        )
        add_json(parser)

    def execute(self, args: argparse.Namespace, more: list[str]) -> None:
        if args.build_dir:
            build = self.read_build(args)
            _, model = build.model(args.model)
            contract = build.contract_path
            # With --json stdout is for the one document of `tmd push`.
            with contextlib.redirect_stdout(sys.stderr if args.json else sys.stdout):
                self.tmd("check", "--contract", contract, "--model", model.name, "--", args.patch)
        options = given(args, "model", "port", "baud", "udp", "ble", "confirm", "json")
        self.tmd("push", *options, *more, "--", args.patch)


class Factory(TmdCommand):
    def __init__(self) -> None:
        super().__init__(
            "tmd-factory",
            "write firmware and first models as one hex file",
            """\
Write the firmware, with each model that is not compiled in placed in its first slot, as one Intel
hex file for production.

It is for devices whose flash is erased: records of earlier updates would win over what is in the
slot. Images of other domains, such as a bootloader's, are flashed beside it as before.""",
        )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "-o", "--out", metavar="FACTORY.hex", type=Path, required=True, help="the file to write"
        )
        parser.add_argument(
            "--firmware",
            metavar="FILE",
            type=Path,
            help="the firmware (default: the hex file that `west flash` takes)",
        )

    def execute(self, args: argparse.Namespace, more: list[str]) -> None:
        from tinymldelta.builds import factory_image, firmware_hex
        from tinymldelta.cli.console import write_output

        build = self.read_build(args)
        firmware = args.firmware or firmware_hex(build)
        image = factory_image(build, firmware)
        write_output(args.out, image.hex)
        self.inf(f"firmware: {firmware}")
        for model in build.models:
            slot = model.slots[0]
            self.inf(
                f"{model.name}: {slot.label} at {slot.address:#x}"
                if model in image.placed
                else f"{model.name}: compiled into the firmware"
            )
        self.inf(f"wrote {args.out}")
