#!/usr/bin/env python3
"""A retrained model in a pipeline: a patch for each firmware in the field, or a clear no.

    model_update.py build --base models/base.tflite --target models/target.tflite \\
        --version-file models/version.txt --fleet fleet \\
        --verify-data models/validation.npz --out model-update [-- OPTIONS OF tmd patch]
    model_update.py sign --key KEY.pem --base ... --target ... --fleet fleet --out model-update

Needs `tmd` on the PATH and nothing but Python's library; knows no CI system. docs/ci.md of
TinyMLDelta has the folders, what the files are for, and what is refused.

Exit codes: 0 done, 1 no update (the reasons on stderr and in summary.md), 2 called wrongly.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

Words = list[str | Path]
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
UNSIGNED = ".unsigned.tmd"


class NoUpdateError(Exception):
    """Why there is none, in words for whoever reads the log."""


# --- What the repository says -------------------------------------------------------------------


@dataclass(frozen=True)
class Firmware:
    """One firmware in the field, with the model that its devices hold."""

    name: str
    contract: Path
    base: Path
    signer: Path | None  # public key of who signs for it
    keyed: bool  # takes signed patches only
    own_models: tuple[str, ...]  # SHA-256 of those that it was built with

    def base_words(self) -> str:
        own = sha256(self.base.read_bytes()) in self.own_models
        return "the firmware's own" if own else "not the firmware's own"


def find_fleet(folder: Path, base: Path) -> list[Firmware]:
    """Every folder in `folder`. One without a contract is a fault: nobody forgets devices."""
    fleet = []
    for each in sorted(path for path in folder.glob("*") if path.is_dir()):
        if not NAME.fullmatch(each.name):
            raise NoUpdateError(f"{each}: call it by letters, digits, and . _ + - between them")
        contract = each / "contract.json"
        if not contract.is_file():
            raise NoUpdateError(f"{contract} is missing: keep that of the firmware's build there")
        own, signers = each / "base.tflite", (each / "signer.pub.pem", folder / "signer.pub.pem")
        says = tmd("inspect", contract).must()
        fleet.append(
            Firmware(
                each.name,
                contract,
                own if own.is_file() else base,
                next((path for path in signers if path.is_file()), None),
                bool(says["keys"]),
                tuple(model["model_sha256"] for model in says["models"]),
            )
        )
    if not fleet:
        raise NoUpdateError(f"{folder}/*/contract.json: there is none, so no device is known")
    return fleet


def read_left_behind(path: Path, fleet: Iterable[Firmware]) -> dict[str, tuple[str, str]]:
    """Of each firmware that may refuse: by which rule, and why that is all right."""
    allowed: dict[str, tuple[str, str]] = {}
    if not path.is_file():
        return allowed
    names = {firmware.name for firmware in fleet}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        words = line.partition("#")[0].split(maxsplit=2)
        if not words:
            continue
        if len(words) < 3:
            raise NoUpdateError(f"{path}:{number}: write FIRMWARE RULE REASON")
        if words[0] not in names or words[0] in allowed:
            what = "is twice in it" if words[0] in allowed else "is no folder of the fleet"
            raise NoUpdateError(f"{path}:{number}: {words[0]} {what}")
        allowed[words[0]] = (words[1], words[2].strip())
    return allowed


# --- tmd ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """What `tmd ... --json` said."""

    code: int
    document: dict[str, Any]
    stderr: str

    @property
    def rule(self) -> str | None:
        """By which rule a device refuses; None where it is something else that is wrong."""
        status: str | None = self.document.get("refused", {}).get("status")
        return status

    @property
    def words(self) -> str:
        refused = self.document.get("refused")
        if refused:
            return f"{refused['what']} ({refused['fix']})"
        lines = self.stderr.strip().splitlines()
        return lines[-1] if lines else f"tmd ended with {self.code} and said nothing"

    def must(self) -> dict[str, Any]:
        if self.code != 0:
            raise NoUpdateError(self.words)
        return self.document


def tmd(*words: str | Path) -> Answer:
    command = ["tmd", *map(str, words), "--json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        raise NoUpdateError("tmd is not on the PATH: install TinyMLDelta") from None
    if done.returncode == 0:
        sys.stderr.write(done.stderr)  # a warning, such as that test vectors were not run
    printed = done.stdout if done.stdout.startswith("{") else "{}"
    return Answer(done.returncode, json.loads(printed), done.stderr)


# --- One firmware -------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What came of one firmware.

    answer: "taken", "to sign", "refused", "left behind", "has it", "not made".
    rule, words: by which rule the device refuses, and in words; or why there is no patch.
    made, signed: what `tmd patch` and `tmd sign` said. accuracy: the gate's figures, whatever it
    said. way_back: bytes of the patch to the base.
    """

    firmware: str
    contract_sha256: str
    base: str
    base_sha256: str
    answer: str
    rule: str = ""
    words: str = ""
    made: dict[str, Any] | None = None
    accuracy: dict[str, Any] | None = None
    way_back: int | None = None
    signed: dict[str, Any] | None = None


@dataclass(frozen=True)
class Wanted:
    """The update as it was asked for."""

    target: Path
    data: Path
    gate: tuple[str, ...]  # --max-drop and so on
    version: str
    model: tuple[str, ...]  # --model NAME, for contracts with several
    options: tuple[str, ...]  # further ones of `tmd patch`


def make(firmware: Firmware, wanted: Wanted, folder: Path) -> Outcome:
    """Makes the patch and all that is kept beside it, in `folder`."""
    base = firmware.base.read_bytes()
    outcome = Outcome(
        firmware.name,
        sha256(firmware.contract.read_bytes()),
        firmware.base_words(),
        sha256(base),
        "not made",
    )
    if base.startswith(wanted.target.read_bytes()):  # behind it may be its test vectors
        outcome.answer = "has it"
        return outcome
    folder.mkdir(parents=True)
    try:
        _make(firmware, wanted, folder, outcome)
    except NoUpdateError as error:
        outcome.words = str(error)
    return outcome


def _make(firmware: Firmware, wanted: Wanted, folder: Path, outcome: Outcome) -> None:
    common: Words = [
        "--contract",
        firmware.contract,
        "--model-version",
        wanted.version,
        *wanted.model,
    ]
    end = ".tmd"
    if firmware.keyed:
        if firmware.signer is None:
            raise NoUpdateError(
                f"the firmware takes signed patches: put the public key of who signs them into "
                f"{firmware.contract.with_name('signer.pub.pem')}, or beside that folder"
            )
        common += ["--signer", firmware.signer]
        end = UNSIGNED
    patch, image = folder / f"{firmware.name}{end}", folder / "image.tflite"
    gate: Words = ["--verify-data", wanted.data, *wanted.gate]
    words: Words = [firmware.base, wanted.target, "-o", patch, "--image", image]
    answer = tmd("patch", *words, *common, *gate, *wanted.options)
    outcome.accuracy = answer.document.get("accuracy")
    if answer.rule is not None:
        outcome.answer, outcome.rule = "refused", answer.rule
        outcome.words = answer.words.removeprefix(f"refused with {answer.rule}: ")
        return
    outcome.made = answer.must()

    # A confirmed model is left by one more patch only. It is at hand before anybody asks for it.
    # It says the target's version, because a floor may have risen to that.
    back = folder / f"{firmware.name}.rollback{end}"
    returned = tmd("patch", image, firmware.base, "-o", back, *common)
    if returned.code != 0:
        raise NoUpdateError(f"no way back to {firmware.base}: {returned.words}")
    outcome.way_back = returned.document["patch_bytes"]

    write_json(folder / "patch.json", outcome.made)
    write_json(folder / "inspect.json", tmd("inspect", patch).must())
    shutil.copy(firmware.contract, folder / "contract.json")
    shutil.copy(firmware.base, folder / "base.tflite")
    check(firmware, patch, folder, wanted.model)
    outcome.answer = "to sign" if firmware.keyed else "taken"


def sign_one(
    firmware: Firmware, outcome: Outcome, args: argparse.Namespace, model: Sequence[str], out: Path
) -> None:
    """Signs one patch and looks at it as the devices will; what is new goes into `out`."""
    folder = args.out / firmware.name
    # The bytes that are approved are those of the repository, not those that came along.
    image = folder / "image.tflite"
    if not image.read_bytes().startswith(args.target.read_bytes()):
        raise NoUpdateError(f"{image} is not {args.target} with its test vectors")
    unsigned, ready = folder / f"{firmware.name}{UNSIGNED}", out / f"{firmware.name}.tmd"
    words: Words = [unsigned, "--key", args.key, "--target", image, "-o", ready]
    outcome.signed = tmd("sign", *words).must()
    says = outcome.signed["signs"]
    if says["downgrade"] is not None:
        raise NoUpdateError(f"{unsigned} is a downgrade: that is for somebody to sign by hand")
    check(firmware, ready, out, model)
    write_json(out / "inspect.json", tmd("inspect", ready).must())
    outcome.answer = "taken"


def check(firmware: Firmware, patch: Path, folder: Path, model: Sequence[str]) -> None:
    """Every rule, by the device's code, and the body on the base; once it is signed, if it is not.

    `sign` comes here again with the signed patch.
    """
    words: Words = [patch, "--contract", firmware.contract, "--base", firmware.base]
    checked = tmd("check", *words, *model)
    if not (checked.document.get("once_signed") or checked.document).get("taken"):
        raise NoUpdateError(checked.words)
    write_json(folder / "check.json", checked.document)


# --- The fleet ----------------------------------------------------------------------------------


def judge(outcomes: Sequence[Outcome], allowed: dict[str, tuple[str, str]]) -> list[str]:
    """What keeps the update from being let through; marks who is left behind on purpose."""
    problems = []
    for outcome in outcomes:
        name = outcome.firmware
        rule, reason = allowed.get(name, ("", ""))
        if outcome.answer == "refused" and outcome.rule == rule:
            outcome.answer, outcome.words = "left behind", f"{outcome.words}; {reason}"
        elif outcome.answer == "refused":
            problems.append(f"{name} does not take it, by {outcome.rule}: {outcome.words}")
        elif outcome.answer == "not made":
            problems.append(f"{name}: {outcome.words}")
        elif outcome.answer == "has it" and rule:
            problems.append(
                f"{name} is left behind, so it does not have this model: keep the one that its "
                f"devices hold beside its contract, as base.tflite"
            )
        elif rule:
            problems.append(f"{name} does not refuse by {rule}: take its line out of left-behind")
    if {outcome.answer for outcome in outcomes} == {"left behind"}:
        problems.append("no firmware takes it")
    return problems


def build(args: argparse.Namespace) -> int:
    out: Path = args.out
    if out.exists() and any(out.iterdir()):
        raise NoUpdateError(f"{out} is not empty: what is in it could be taken for this update's")
    for path in (args.base, args.target, args.verify_data, args.version_file):
        if not path.is_file():
            raise NoUpdateError(f"{path} is missing")
    gate = [] if args.metric is None else ["--metric", args.metric]
    gate += ["--max-drop", args.max_drop, *(["--confident"] if args.confident else [])]
    wanted = Wanted(
        args.target,
        args.verify_data,
        tuple(gate),
        args.version_file.read_text(encoding="utf-8").strip(),
        ("--model", args.model) if args.model else (),
        tuple(args.options),
    )
    fleet = find_fleet(args.fleet, args.base)
    allowed = read_left_behind(args.fleet / "left-behind.txt", fleet)
    result: dict[str, Any] = {
        "version": wanted.version,
        "model": args.model,
        "base": tmd("inspect", args.base).must(),
        "target": tmd("inspect", args.target).must(),
    }
    with tempfile.TemporaryDirectory() as temporary:
        made = Path(temporary)
        with ThreadPoolExecutor() as pool:  # tmd works, Python waits
            outcomes = list(pool.map(lambda each: make(each, wanted, made / each.name), fleet))
        problems = judge(outcomes, allowed)
        out.mkdir(parents=True, exist_ok=True)
        if not problems:
            for outcome in outcomes:
                if outcome.answer in ("taken", "to sign"):
                    shutil.copytree(made / outcome.firmware, out / outcome.firmware)
    report(out, result, outcomes, problems, args.summary)
    return 1 if problems else 0


def sign(args: argparse.Namespace) -> int:
    out: Path = args.out
    if not (out / "result.json").is_file():
        raise NoUpdateError(f"{out / 'result.json'} is missing: give the folder that `build` wrote")
    said = json.loads((out / "result.json").read_text(encoding="utf-8"))
    outcomes = [Outcome(**each) for each in said.pop("fleet")]
    problems: list[str] = said.pop("problems")
    if problems:
        raise NoUpdateError(f"{out} is of a run that failed: nothing in it is to be signed")
    fleet = {firmware.name: firmware for firmware in find_fleet(args.fleet, args.base)}
    model = ("--model", said["model"]) if said["model"] else ()
    waiting = [outcome for outcome in outcomes if outcome.answer == "to sign"]
    if not waiting:
        print("nothing waits for a signature")
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        for outcome in waiting:
            if outcome.firmware not in fleet:
                raise NoUpdateError(f"{outcome.firmware} is no folder of {args.fleet}")
            folder = Path(temporary) / outcome.firmware
            folder.mkdir()
            sign_one(fleet[outcome.firmware], outcome, args, model, folder)
        for outcome in waiting:  # all of them, or none
            (out / outcome.firmware / f"{outcome.firmware}{UNSIGNED}").unlink()
            shutil.copytree(
                Path(temporary) / outcome.firmware, out / outcome.firmware, dirs_exist_ok=True
            )
    report(out, said, outcomes, [], args.summary)
    return 0


# --- What is said of it -------------------------------------------------------------------------


def report(
    out: Path,
    result: dict[str, Any],
    outcomes: Sequence[Outcome],
    problems: Sequence[str],
    summary: Path | None,
) -> None:
    """result.json for machines, summary.md for people, SHA256SUMS over everything in `out`."""
    fleet = [asdict(outcome) for outcome in outcomes]
    write_json(out / "result.json", {**result, "problems": list(problems), "fleet": fleet})
    text = markdown(result, outcomes, problems)
    (out / "summary.md").write_text(text, encoding="utf-8")
    if summary is not None:
        with summary.open("a", encoding="utf-8") as file:
            file.write(text)
    files = sorted(path for path in out.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    sums = (f"{sha256(path.read_bytes())}  {path.relative_to(out).as_posix()}\n" for path in files)
    (out / "SHA256SUMS").write_text("".join(sums), encoding="utf-8")
    for outcome in outcomes:
        size = f", {outcome.made['patch_bytes']:,} bytes" if outcome.made else ""
        print(f"{outcome.firmware}: {answer_words(outcome)}{size}")
    for problem in problems:
        print(f"model_update: {problem}", file=sys.stderr)


def answer_words(outcome: Outcome) -> str:
    words = f"{outcome.rule}: {outcome.words}" if outcome.rule else outcome.words
    by = outcome.signed and f", signed with {outcome.signed['type']} {outcome.signed['key_id']}"
    return {
        "taken": f"taken{by or ''}",
        "to sign": "taken once it is signed",
        "refused": f"REFUSED by {words}",
        "left behind": f"left behind by {words}",
        "has it": "has this model already",
        "not made": f"NO PATCH: {words}",
    }[outcome.answer]


def markdown(result: dict[str, Any], outcomes: Sequence[Outcome], problems: Sequence[str]) -> str:
    taking = sum(outcome.answer in ("taken", "to sign") for outcome in outcomes)
    lines = [f"# Model update {cell(result['version'])}", ""]
    if problems:
        lines += ["**No update comes out of this run.**", "", *(f"- {cell(p)}" for p in problems)]
    elif taking:
        lines += [f"**{taking} of {len(outcomes)} firmwares take it.**"]
    else:
        lines += ["**Nothing to do: no firmware lacks this model but those left behind.**"]
    base, target = result["base"], result["target"]
    rows = [
        ["SHA-256 begins", *(model["sha256"][:16] for model in (base, target))],
        ["bytes", *(f"{model['bytes']:,}" for model in (base, target))],
        ["arena", *map(arena, (base, target))],
        ["new operators", "", ", ".join(sorted(operators(target) - operators(base)))],
        ["operators gone", "", ", ".join(sorted(operators(base) - operators(target)))],
    ]
    lines += table(["", "base", "target"], "lrr", rows)
    columns = ["firmware", "answer", "patch", "of the model", "way back", "flash"]
    columns += ["base on it", "contract"]
    lines += table(columns, "llrrrlll", map(fleet_row, outcomes))
    gated = [accuracy_row(o.firmware, o.accuracy) for o in outcomes if o.accuracy]
    columns = ["firmware", "metric", "base", "target", "worse by", "at most (95 %)", "allowed"]
    lines += table([*columns, "samples"], "llrrrrrl", gated) if gated else []
    return "\n".join([*lines, "", ""])


def fleet_row(outcome: Outcome) -> list[str]:
    cells = ["", "", "", ""]
    made = outcome.made
    if made:
        proved = made["proved"]
        cells = [
            f"{made['patch_bytes']:,}",
            f"{made['patch_bytes'] / made['model_bytes']:.1%}",
            "" if outcome.way_back is None else f"{outcome.way_back:,}",
            f"{proved['erases']} erases, {proved['bytes_written']:,} bytes written",
        ]
    end = [outcome.base, outcome.contract_sha256[:8]]
    return [outcome.firmware, answer_words(outcome), *cells, *end]


def accuracy_row(firmware: str, a: dict[str, Any]) -> list[str]:
    """Also of a target that was refused as too bad."""
    return [
        firmware,
        a["metric"],
        f"{a['base']:.4g}",
        f"{a['target']:.4g}",
        f"{a['worse_by']:.2f} {a['unit']}",
        "unknown" if a["at_most"] is None else f"{a['at_most']:.2f}",
        f"{a['max_drop']:g}",
        f"{a['samples']:,} of {a['data']}, run by {a['run_by']}",
    ]


def arena(model: dict[str, Any]) -> str:
    need = model["arena"]
    return f"{need['bytes']:,}, {need['origin']}" if need else "not predicted"


def operators(model: dict[str, Any]) -> set[str]:
    return {f"{op['name']} v{op['version']}" for op in model["operators"]}


def table(columns: Sequence[str], align: str, rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of Markdown. align: an l or r for each column."""
    rules = ["---:" if side == "r" else "---" for side in align]
    return ["", *(f"| {' | '.join(map(cell, row))} |" for row in (columns, rules, *rows))]


def cell(text: str) -> str:
    """Names and messages come from files: no table or page is to be bent by them."""
    return re.sub(r"([|<>\[\]*`\\])", r"\\\1", " ".join(text.split()))


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def write_json(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


# --- The command line ---------------------------------------------------------------------------


def main(argv: Sequence[str]) -> int:
    words = list(argv)
    options = words[words.index("--") + 1 :] if "--" in words else []
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    steps = parser.add_subparsers(required=True, metavar="build|sign")
    both = argparse.ArgumentParser(add_help=False)
    both.add_argument("--base", type=Path, required=True, help="the model that devices hold")
    both.add_argument("--target", type=Path, required=True, help="the retrained one")
    both.add_argument("--fleet", type=Path, required=True, help="FLEET/*/contract.json")
    both.add_argument("--out", type=Path, required=True, help="folder of all that is kept")
    both.add_argument("--summary", type=Path, help="file to append the summary to")
    one = steps.add_parser(
        "build", parents=[both], help="patches; behind a -- further options of tmd patch"
    )
    one.add_argument("--version-file", type=Path, required=True, help="the target's version")
    one.add_argument("--verify-data", type=Path, required=True, help="samples x with labels y")
    one.add_argument("--max-drop", default="0", help="how much worse it may be: see tmd patch")
    one.add_argument("--metric", help="see tmd patch")
    one.add_argument("--confident", action="store_true", help="see tmd patch")
    one.add_argument("--model", help="which model of the contracts, if they have several")
    one.set_defaults(step=build)
    two = steps.add_parser("sign", parents=[both], help="sign what `build` left in OUT")
    two.add_argument("--key", type=Path, required=True, help="file with the private key")
    two.set_defaults(step=sign)
    args = parser.parse_args(words[: words.index("--")] if "--" in words else words)
    if options and args.step is sign:
        parser.error("the options behind -- are those of tmd patch, and sign makes none")
    args.options = options
    try:
        code: int = args.step(args)
    except (NoUpdateError, OSError) as error:
        print(f"model_update: {error}", file=sys.stderr)
        text = f"# No model update\n\n{cell(str(error))}\n\n"
        if args.step is build and not (args.out.exists() and any(args.out.iterdir())):
            args.out.mkdir(parents=True, exist_ok=True)
            (args.out / "summary.md").write_text(text, encoding="utf-8")
        if args.summary is not None:
            with args.summary.open("a", encoding="utf-8") as file:
                file.write(text)
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
