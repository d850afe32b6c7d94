"""`tmd patch`: from two models to a patch that the device's own code has been seen to take."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from tinymldelta.accuracy import WorseTarget
from tinymldelta.cli.console import (
    CONTRACT_OPTION,
    FILE,
    JSON_OPTION,
    MODEL_OPTION,
    Kernels,
    Number,
    Version,
    console,
    encoding_progress,
    fail,
    load_contract,
    metadata_json,
    model_name_of,
    print_json,
    read_bytes,
    read_labels,
    refusals_exit_1,
    rules_json,
    table,
    write_output,
)
from tinymldelta.cli.gate import (
    GateArguments,
    gate_json,
    gate_options,
    print_gate,
    run_gate,
    worse_json,
)
from tinymldelta.cli.keyfiles import (
    NUMBER_OPTION,
    PASSWORD_OPTION,
    read_signer,
    read_verifiers,
)
from tinymldelta.cli.slimming import SlimArguments, print_slimmed, slim_first, slim_options
from tinymldelta.container.patch import Metadata
from tinymldelta.contract import Contract
from tinymldelta.errors import Refusal
from tinymldelta.generate import read_facts
from tinymldelta.interpreter import Interpreter, find_interpreter
from tinymldelta.keys import (
    AgreementPublic,
    MacKey,
    PrivateKey,
    PublicKey,
    key_text,
    load_agreement_public,
    type_name,
)
from tinymldelta.patching import GIVEN_FIELDS, MadePatch, PatchOptions, choose_format, make_patch
from tinymldelta.said import Said
from tinymldelta.tflm import KernelBuild
from tinymldelta.trust import recipient_of
from tinymldelta.vectors import Vectors, read_vectors
from tinymldelta.wire import constants as wire
from tinymldelta.wire.constants import DigestKind

_DIGESTS = {"none": DigestKind.NONE, "crc32": DigestKind.CRC32, "sha256": DigestKind.SHA256}


def _report(
    made: MadePatch, base: bytes, target: bytes, vectors: str, out: Path, guarded_by: str
) -> None:
    t = table("", "bytes", "of the target", right=(1, 2))
    t.add_row("base", f"{len(base):,}", "")
    t.add_row("target", f"{len(target):,}", "100.0 %")
    if vectors:
        extra = len(made.image) - len(target)
        t.add_row(f"  its {vectors}", f"{extra:,}", f"{extra / len(target):.1%}")
    t.add_row("patch", f"{len(made.data):,}", f"{len(made.data) / len(target):.1%}")
    console().print(t)
    for rule, words in zip(made.proof.rules, made.explained, strict=True):
        click.echo(f"  {rule.verdict.name:7} {rule.rule.name:12} {words}")
    staged = made.proof.staged
    click.echo(
        f"proved on simulated flash {guarded_by}: {staged.erases} erases, "
        f"{staged.bytes_written:,} bytes written"
    )
    click.echo(f"wrote {out}")


def _read_vectors(
    path: Path, target: bytes, target_where: str, tolerance: float | None
) -> tuple[Vectors, Interpreter | None]:
    """The vectors of a file, and what is there to run them; says so where there is nothing."""
    facts = read_facts(target, target_where, arena_need=0)  # only its tensors are asked for
    vectors = read_vectors(read_bytes(path), str(path), facts, tolerance or 0)
    interpreter = find_interpreter()
    if interpreter is None:
        click.echo(
            f"tmd: {path}: the test vectors were not run: no interpreter can be imported "
            "(pip install ai-edge-litert, tensorflow or tflite-micro)",
            err=True,
        )
    return vectors, interpreter


def _refuse_what_is_of_format_2(
    out: Path, format_: str | None, decoder: str | None, slim: SlimArguments | None
) -> None:
    """A wrong call if it was the user who asked for format 1; else it is the contract that does."""
    if format_ is None:
        only = "the firmware takes patches of format 1 only"
        if decoder is not None:
            raise Refusal(str(out), f"{only}, which need no decoder", "leave out --decoder")
        if slim is not None:
            what = f"{only}, and --slim makes those of format 2"
            raise Refusal(str(out), what, "`tmd slim` first, then patch to what it wrote")
    if decoder is not None:
        raise click.UsageError("--decoder is of format 2: add --format 2")
    if slim is not None:
        raise click.UsageError("--slim makes patches of format 2, this one would be of format 1")


def _read_signs(
    key: Path | None, number: int | None, variable: str | None, signer: Path | None
) -> PrivateKey | MacKey | PublicKey | None:
    """Who signs: a key that is here, or the public key of one that is not."""
    if key is not None and signer is not None:
        raise click.UsageError("--key signs here, --signer is for a signature that comes later")
    if key is None and (number is not None or variable is not None):
        raise click.UsageError("--key-number and --password-env are of --key, which is missing")
    if key is not None:
        return read_signer(key, number, variable)
    if signer is not None:
        (public,) = read_verifiers((signer,), None, None)
        return public
    return None


def _recipient(
    encrypt_for: Path | None, encrypt: bool, contract: Contract | None, where: str
) -> AgreementPublic | None:
    if encrypt_for is not None:
        return load_agreement_public(read_bytes(encrypt_for), str(encrypt_for))
    return recipient_of(contract, where) if encrypt else None


def _signature_json(signs: PrivateKey | MacKey | PublicKey | None) -> dict[str, object] | None:
    if signs is None:
        return None
    return {
        "type": type_name(signs.kind),
        "key_id": signs.id.hex(),
        "awaited": isinstance(signs, PublicKey),
    }


def _report_keys(
    signs: PrivateKey | MacKey | PublicKey | None, to: AgreementPublic | None, out: Path
) -> None:
    if isinstance(signs, PublicKey):
        click.echo(f"not signed yet: `tmd sign {out}` with the {key_text(signs.kind, signs.id)}")
    elif signs is not None:
        click.echo(f"signed with the {key_text(signs.kind, signs.id)}")
    if to is not None:
        click.echo(f"encrypted to the {key_text(to.kind, to.id)}")


def _vectors_text(vectors: Vectors | None, interpreter: Interpreter | None) -> str:
    if vectors is None:
        return ""
    run = f"run by {interpreter.name}" if interpreter else "not run"
    return f"{len(vectors.inputs)} test vectors, {run}"


@click.command()
@click.argument("base", type=FILE)
@click.argument("target", type=FILE)
@click.option("-o", "--out", type=FILE, required=True, metavar="OUT.tmd", help="The patch.")
@CONTRACT_OPTION
@MODEL_OPTION
@click.option(
    "--format",
    "format_",
    type=click.Choice(["1", "2"]),
    help="Patch format. Without it: the best that the contract's firmware takes, else 2.",
)
@click.option(
    "--decoder",
    type=click.Choice(["lean", "default"]),
    help="The decoder that the patch is for. Without it: the contract's, else the default one.",
)
@click.option(
    "--algo",
    type=click.Choice(list(_DIGESTS)),
    help="Digests of base and target in format 1: sha256 if not given. Format 2 has SHA-256.",
)
@click.option(
    "--merge-gap",
    type=Number(1 << 20),
    metavar="BYTES",
    help="Format 1: send ranges that are closer than this as one; 16 if not given.",
)
@click.option(
    "--req-arena",
    type=Number(GIVEN_FIELDS["req_arena_bytes"]),
    metavar="BYTES",
    help="Tensor arena that the target needs, as you measured it, instead of the prediction.",
)
@click.option(
    "--tflm-abi",
    type=Number(GIVEN_FIELDS["tflm_abi"]),
    metavar="N",
    help="Format 1: TFLM ABI, instead of contract and model.",
)
@click.option(
    "--opset-hash",
    type=Number(GIVEN_FIELDS["opset_hash"]),
    metavar="N",
    help="Format 1: hash of the operators, instead of the model's.",
)
@click.option(
    "--io-hash",
    type=Number(GIVEN_FIELDS["io_hash"]),
    metavar="N",
    help="Format 1: hash of the in and out tensors, instead of the model's.",
)
@click.option(
    "--unguarded",
    is_flag=True,
    help="No guardrail metadata: only firmware that accepts this takes the patch.",
)
@click.option(
    "--model-version",
    type=Version(),
    metavar="X",
    help="Version of TARGET, like 1.2.3 or a whole number; 0 if not given.",
)
@click.option(
    "--version-floor",
    type=Version(),
    metavar="X",
    help="Once TARGET is confirmed, the device takes no lower version than this.",
)
@click.option(
    "--note",
    metavar="TEXT",
    help="What is said of TARGET, such as its training run; the device tells it.",
)
@click.option(
    "--labels",
    "labels_path",
    type=FILE,
    metavar="FILE",
    help="Names of TARGET's classes, one in each line; the device tells them.",
)
@click.option(
    "--proven-on",
    type=Kernels(),
    metavar="TFLM[/SET]",
    help="The kernels that TARGET's accuracy was proven on, if not those of the contract.",
)
@click.option(
    "--test-vectors",
    "vectors_path",
    type=FILE,
    metavar="FILE.npz",
    help="Send these inputs and outputs along; the device runs them before it uses TARGET.",
)
@click.option(
    "--tolerance",
    type=float,
    metavar="T",
    help="How far an output may be off: for integers in quantised steps; 0 if not given.",
)
@click.option(
    "--image",
    type=FILE,
    metavar="OUT.img",
    help="Write what the slot will hold, TARGET with its test vectors: the base of the next patch.",
)
@click.option("--key", type=FILE, metavar="KEY", help="Sign: private key, or a device's secret.")
@NUMBER_OPTION
@PASSWORD_OPTION
@click.option(
    "--signer",
    type=FILE,
    metavar="PUB.pem",
    help="Make the patch for a signature that comes later, by `tmd sign`, with this public key.",
)
@click.option(
    "--device-class",
    default="",
    metavar="NAME",
    help="The class of devices that the patch is for; the contract says it, if there is one.",
)
@click.option(
    "--allow-downgrade",
    type=Version(),
    metavar="X",
    help="Devices whose version floor is up to X may take TARGET though its version is lower.",
)
@click.option(
    "--encrypt-for",
    type=FILE,
    metavar="PUB.pem",
    help="Encrypt the signed patch to this public key of the devices.",
)
@click.option("--encrypt", is_flag=True, help="The same with the decryption key of the contract.")
@slim_options
@gate_options
@JSON_OPTION
@refusals_exit_1
def patch(
    base: Path,
    target: Path,
    out: Path,
    contract_path: Path | None,
    model_name: str | None,
    format_: str | None,
    decoder: str | None,
    algo: str | None,
    merge_gap: int | None,
    req_arena: int | None,
    tflm_abi: int | None,
    opset_hash: int | None,
    io_hash: int | None,
    unguarded: bool,
    model_version: int | None,
    version_floor: int | None,
    note: str | None,
    labels_path: Path | None,
    proven_on: KernelBuild | None,
    vectors_path: Path | None,
    tolerance: float | None,
    image: Path | None,
    key: Path | None,
    key_number: int | None,
    password_env: str | None,
    signer: Path | None,
    device_class: str,
    allow_downgrade: int | None,
    encrypt_for: Path | None,
    encrypt: bool,
    slim: SlimArguments | None,
    gate: GateArguments,
    as_json: bool,
) -> None:
    """Make the patch that turns BASE into TARGET.

    Before the file is written, the device's C code applies the patch to a simulated flash, against
    the contract if one is given. Without one, --model says which of the firmware's models the patch
    is for; if that is left out too, the one that is called as BASE is. A target that is no .tflite
    needs --unguarded, or in format 1 --req-arena, --tflm-abi, --opset-hash and --io-hash by hand.

    A firmware with keys takes signed patches only: give --key, or --signer to sign later.

    With --slim the patch turns BASE into a model between BASE and TARGET, so that it is smaller. If
    TARGET cannot be slimmed, the ordinary patch is made; if BASE needs no update, none.
    """
    guards = (req_arena, tflm_abi, opset_hash, io_hash)
    if unguarded and any(value is not None for value in guards):
        raise click.UsageError("--unguarded leaves guardrail metadata out, so give none by hand")
    if vectors_path is not None and gate.vectors_from_data is not None:
        raise click.UsageError("give --test-vectors or --vectors-from-data, not both")
    has_vectors = vectors_path is not None or gate.vectors_from_data is not None
    if tolerance is not None and not has_vectors:
        raise click.UsageError(
            "--tolerance is for test vectors: add --test-vectors or --vectors-from-data"
        )
    signs = _read_signs(key, key_number, password_env, signer)
    if encrypt and encrypt_for is not None:
        raise click.UsageError("--encrypt takes the contract's key: leave out --encrypt-for")
    said = Said(
        name=model_name or model_name_of(base),
        version=model_version,
        version_floor=version_floor,
        note=note or "",
        labels=read_labels(labels_path) if labels_path else (),
        device_class=device_class,
        downgrade=allow_downgrade,
    )
    contract, index = load_contract(contract_path, model_name)
    options = PatchOptions(
        format=int(format_) if format_ else None,
        lean=decoder == "lean" if decoder else None,
        digest=_DIGESTS[algo or "sha256"],
        merge_gap=16 if merge_gap is None else merge_gap,
        said=said,
        kernels=proven_on,
        given=Metadata(*guards),
        unguarded=unguarded,
        signer=signs,
        encrypt_to=_recipient(encrypt_for, encrypt, contract, str(out)),
    )
    chosen, _ = choose_format(options, contract, str(out))
    if chosen == wire.FORMAT_2 and (algo is not None or merge_gap is not None):
        raise click.UsageError("--algo and --merge-gap are of format 1: add --format 1")
    if chosen == wire.FORMAT_1:
        _refuse_what_is_of_format_2(out, format_, decoder, slim)
    base_bytes, target_bytes = read_bytes(base), read_bytes(target)
    vectors, interpreter = None, None
    if vectors_path is not None:
        vectors, interpreter = _read_vectors(vectors_path, target_bytes, str(target), tolerance)
    ready = slim_first(
        slim,
        base_bytes,
        target_bytes,
        options,
        base_where=str(base),
        target_where=str(target),
        note=note,
        as_json=as_json,
    )
    if ready is None:
        return
    target_bytes = ready.target
    keeps_accuracy = chosen != wire.FORMAT_1  # which has no place for one
    try:
        gated = run_gate(
            gate,
            base_bytes,
            target_bytes,
            base_where=str(base),
            target_where=str(target),
            tolerance=tolerance,
        )
    except WorseTarget as refusal:
        fail(refusal, as_json, {"accuracy": {**worse_json(gate, refusal), "in_patch": False}})
    if gated is not None and gated.vectors is not None:
        vectors, interpreter = gated.vectors, gated.interpreter
    if gated is not None and keeps_accuracy:
        ready = replace(ready, options=replace(options, accuracy=gated.result.record().encode()))
    with encoding_progress() as progress:
        made = ready.make(
            lambda options: make_patch(
                base_bytes,
                target_bytes,
                where=str(out),
                target_where=str(target),
                options=options,
                contract=contract,
                index=index,
                vectors=vectors,
                interpreter=interpreter,
                progress=progress,
            )
        )
    write_output(out, made.data)
    if image is not None:
        write_output(image, made.image)
    slimmed_out = ready.write()
    if contract is not None and contract.accept & wire.ANTI_ROLLBACK and model_version is None:
        click.echo(
            "tmd: no --model-version was given, so TARGET is version 0, which devices of this "
            "firmware take only as long as they had no higher one",
            err=True,
        )
    if gated is not None and not keeps_accuracy:
        click.echo(
            "tmd: format 1 has no place for the accuracy: the patch does not say it", err=True
        )
    accuracy = gate_json(gated) or ready.accuracy_json()
    if as_json:
        print_json(
            {
                "patch": str(out),
                "format": chosen,
                "base_bytes": len(base_bytes),
                "target_bytes": len(made.image),
                "model_bytes": len(target_bytes),
                "patch_bytes": len(made.data),
                "metadata": metadata_json(made.metadata),
                "test_vectors": None
                if vectors is None
                else {
                    "vectors": len(vectors.inputs),
                    "tolerance": vectors.tolerance,
                    "run_by": interpreter.name if interpreter else None,
                },
                "accuracy": accuracy and {**accuracy, "in_patch": keeps_accuracy},
                "slim": ready.json(slimmed_out),
                "signature": _signature_json(signs),
                "encrypted_to": options.encrypt_to.id.hex() if options.encrypt_to else None,
                "image": str(image) if image else None,
                "arena_origin": made.arena.origin if made.arena else None,
                "proved": {
                    "contract": str(contract_path) if contract_path else None,
                    "erases": made.proof.staged.erases,
                    "bytes_written": made.proof.staged.bytes_written,
                },
                "rules": rules_json(made.proof.rules, made.explained),
            }
        )
        return
    if gated is not None:
        print_gate(gated)
    if ready.slimmed is not None:
        print_slimmed(ready.slimmed)
    _report(
        made,
        base_bytes,
        target_bytes,
        _vectors_text(vectors, interpreter),
        out,
        f"against {contract_path}" if contract_path else "without a contract",
    )
    _report_keys(signs, options.encrypt_to, out)
