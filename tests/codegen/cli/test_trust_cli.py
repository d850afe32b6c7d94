"""Signed and encrypted patches at the command line: made, checked, applied, shown, simulated."""

from __future__ import annotations

import json
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from clikit import asked, done, refused, tmd
from tinymldelta.container.reader import apply_patch, read_patch
from tinymldelta.contractfile import read_contract
from tinymldelta.keys import (
    generate_agreement_private,
    generate_mac_key,
    generate_private_key,
    is_sealed,
    load_agreement_private,
    load_mac_key,
)
from tinymldelta.wire.constants import AgreementKind, SignatureKind, Status
from tinymldelta.words import class_id

SIGNERS = ["ed25519", "ecdsa-p256", "hmac-sha256", "aes-cmac"]
NUMBERS = {"hmac-sha256": 1, "aes-cmac": 7}


@dataclass(frozen=True)
class Bench:
    """A firmware with a key of each kind, and everybody's keys."""

    folder: Path
    base: Path
    target: Path

    @property
    def contract(self) -> Path:
        return self.folder / "fw" / "contract.json"

    def key(self, name: str) -> Path:
        return self.folder / name

    def signing(self, kind: str) -> list[object]:
        """The options with which `tmd patch` signs by that kind."""
        numbers = ["--key-number", NUMBERS[kind]] if kind in NUMBERS else []
        return ["--key", self.key(kind), *numbers]

    def secrets(self) -> list[object]:
        """What the device has in secret, as options."""
        macs = [("--mac-key", f"{n}={self.key(kind)}") for kind, n in NUMBERS.items()]
        openers = [("--decryption-key", self.key(kind)) for kind in ("x25519", "ecdh-p256")]
        return [word for option in (*macs, *openers) for word in option]

    def patch(self, name: str, *options: object, contract: bool = True) -> Path:
        out = self.folder / name
        more = ["--contract", self.contract] if contract else ["--model", "m"]
        done("patch", self.base, self.target, "-o", out, *more, *options)
        return out

    def no_patch(self, *options: object, contract: bool = True) -> str:
        out = self.folder / "none.tmd"
        more = ["--contract", self.contract] if contract else ["--model", "m"]
        said = refused("patch", self.base, self.target, "-o", out, *more, *options)
        assert not out.exists()
        return said

    def apply(self, patch: Path, *options: object) -> None:
        out = self.folder / "applied"
        out.unlink(missing_ok=True)
        done("apply", self.base, patch, "-o", out, *options)
        assert out.read_bytes() == self.target.read_bytes()

    def not_applied(self, patch: Path, *options: object) -> str:
        out = self.folder / "applied"
        out.unlink(missing_ok=True)
        said = refused("apply", self.base, patch, "-o", out, *options)
        assert not out.exists()
        return said


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, sst: Path) -> Bench:
    folder = tmp_path_factory.mktemp("trust")
    for name, kind in (
        ("ed25519", SignatureKind.ED25519),
        ("ecdsa-p256", SignatureKind.ECDSA_P256),
        ("stranger", SignatureKind.ED25519),
    ):
        key = generate_private_key(kind)
        (folder / name).write_bytes(key.pem())
        (folder / f"{name}.pub").write_bytes(key.public.pem())
    for name, agreement in (
        ("x25519", AgreementKind.X25519),
        ("ecdh-p256", AgreementKind.ECDH_P256),
        ("other-x25519", AgreementKind.X25519),
    ):
        private = generate_agreement_private(agreement)
        (folder / name).write_bytes(private.pem())
        (folder / f"{name}.pub").write_bytes(private.public.pem())
    for name in NUMBERS:
        mac = generate_mac_key(SignatureKind[name.upper().replace("-", "_")])
        (folder / name).write_bytes(mac.text())
    bench = Bench(folder, sst / "base.tflite", sst / "target.tflite")
    publics = [("--public-key", bench.key(f"{kind}.pub")) for kind in SIGNERS[:2]]
    macs = [("--mac-key", f"{kind}:{number}") for kind, number in NUMBERS.items()]
    openers = [("--decryption-key", bench.key(f"{kind}.pub")) for kind in ("x25519", "ecdh-p256")]
    done(
        *("codegen", f"m={bench.base}", "--out", folder / "fw", "--slot", "8192"),
        *(word for option in (*publics, *macs, *openers) for word in option),
        *("--device-class", "board-1"),
    )
    return bench


# ---- made and applied ----


@pytest.mark.parametrize("kind", SIGNERS)
def test_a_signed_patch_is_made_checked_and_applied(kind: str, bench: Bench) -> None:
    patch = bench.patch(f"{kind}.tmd", *bench.signing(kind), "--model-version", "1.2.3")
    bench.apply(patch, "--contract", bench.contract, *bench.secrets())
    result = asked("check", patch, "--contract", bench.contract, *bench.secrets())
    assert (result["taken"], result["status"]) == (True, "OK")
    assert {r["rule"]: r["verdict"] for r in result["rules"]}["CLASS"] == "PASS"
    more = ["--base", bench.base]
    assert asked("check", patch, "--contract", bench.contract, *bench.secrets(), *more)["taken"]
    # The plain reader takes it too.
    macs = [load_mac_key(bench.key(k).read_bytes(), k, n) for k, n in NUMBERS.items()]
    accepts = read_contract(bench.contract).accepts(0, secrets=macs)
    outcome = apply_patch(bench.base.read_bytes(), patch.read_bytes(), accepts)
    assert outcome.status is Status.OK, outcome.reason
    # Without a contract, by the one key.
    if kind in NUMBERS:
        given = ["--mac-key", f"{NUMBERS[kind]}={bench.key(kind)}"]
    else:
        given = ["--public-key", bench.key(f"{kind}.pub")]
    bench.apply(patch, *given)


@pytest.mark.parametrize("kind", SIGNERS)
@pytest.mark.parametrize("to", ["x25519", "ecdh-p256"])
def test_an_encrypted_patch_is_made_checked_and_applied(kind: str, to: str, bench: Bench) -> None:
    patch = bench.patch("sealed.tmd", *bench.signing(kind), "--encrypt-for", bench.key(f"{to}.pub"))
    assert is_sealed(patch.read_bytes())
    bench.apply(patch, "--contract", bench.contract, *bench.secrets())
    more = ["--contract", bench.contract, "--base", bench.base]
    result = asked("check", patch, *more, *bench.secrets())
    assert result["taken"] and result["base_checked"]
    contract = read_contract(bench.contract)
    accepts = contract.accepts(
        0,
        secrets=[load_mac_key(bench.key(k).read_bytes(), k, n) for k, n in NUMBERS.items()],
        openers=[load_agreement_private(bench.key(to).read_bytes(), to)],
    )
    outcome = apply_patch(bench.base.read_bytes(), patch.read_bytes(), accepts)
    assert outcome.status is Status.OK, outcome.reason


def test_the_same_each_time_but_for_the_envelope(bench: Bench) -> None:
    one, two = (bench.patch(n, *bench.signing("ecdsa-p256")).read_bytes() for n in ("1", "2"))
    assert one == two
    sealed = [*bench.signing("ecdsa-p256"), "--encrypt-for", bench.key("x25519.pub")]
    one, two = (bench.patch(n, *sealed).read_bytes() for n in ("1", "2"))
    assert one != two


def test_a_patch_is_signed_apart(bench: Bench) -> None:
    patch = bench.folder / "apart.tmd"
    arguments = ["patch", bench.base, bench.target, "-o", patch, "--contract", bench.contract]
    said = asked(*arguments, "--signer", bench.key("ed25519.pub"))
    assert said["signature"]["awaited"] is True
    assert "not signed yet" in done(*arguments, "--signer", bench.key("ed25519.pub"))
    unsigned = bench.not_applied(patch, "--contract", bench.contract)
    assert "refused with SIGNATURE" in unsigned
    done("sign", patch, "--key", bench.key("ed25519"))
    assert patch.read_bytes() == bench.patch("here", *bench.signing("ed25519")).read_bytes()
    bench.apply(patch, "--contract", bench.contract)


def test_what_is_said_of_a_signed_patch(bench: Bench) -> None:
    out = bench.folder / "said.tmd"
    arguments = ["patch", bench.base, bench.target, "-o", out, "--contract", bench.contract]
    said = asked(*arguments, *bench.signing("hmac-sha256"), "--allow-downgrade", "2.0.0")
    assert said["signature"] == {"type": "hmac-sha256", "key_id": "01000000", "awaited": False}
    assert said["encrypted_to"] is None
    assert said["metadata"]["device_class"] == class_id("board-1")
    assert said["metadata"]["downgrade"] == 0x02000000
    text = done(*arguments, *bench.signing("hmac-sha256"), "--encrypt-for", bench.key("x25519.pub"))
    assert "signed with the hmac-sha256 key number 1" in text
    assert "encrypted to the x25519 key " in text


def test_a_password_comes_from_the_environment(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tinymldelta.keys import load_private_key

    locked = bench.folder / "locked.pem"
    key = load_private_key(bench.key("ed25519").read_bytes(), "k")
    locked.write_bytes(key.pem(b"open sesame"))
    monkeypatch.setenv("KEY_PASSWORD", "open sesame")
    patch = bench.patch("p.tmd", "--key", locked, "--password-env", "KEY_PASSWORD")
    bench.apply(patch, "--contract", bench.contract)
    monkeypatch.setenv("KEY_PASSWORD", "wrong")
    said = bench.no_patch("--key", locked, "--password-env", "KEY_PASSWORD")
    assert "password" in said


# ---- what no firmware would take is not made ----


def test_keys_that_the_firmware_does_not_have(bench: Bench) -> None:
    said = bench.no_patch()
    assert "the firmware takes signed patches only, by its ed25519 key " in said
    assert "hmac-sha256 key number 1, aes-cmac key number 7" in said
    assert "the firmware does not have the ed25519 key " in bench.no_patch(
        "--key", bench.key("stranger")
    )
    assert "the firmware does not have the ed25519 key " in bench.no_patch(
        "--signer", bench.key("stranger.pub")
    )
    assert "the firmware does not have the hmac-sha256 key number 2" in bench.no_patch(
        "--key", bench.key("hmac-sha256"), "--key-number", 2
    )
    assert "the firmware does not have the x25519 key " in bench.no_patch(
        *bench.signing("ed25519"), "--encrypt-for", bench.key("other-x25519.pub")
    )
    assert "the firmware decrypts with several keys: x25519 key " in bench.no_patch(
        *bench.signing("ed25519"), "--encrypt"
    )
    assert "not signed here" in bench.no_patch(
        "--signer", bench.key("ed25519.pub"), "--encrypt-for", bench.key("x25519.pub")
    )
    assert "takes no patches of format 1" in bench.no_patch(
        *bench.signing("ed25519"), "--format", 1
    )
    assert "allows nothing" in bench.no_patch(
        *bench.signing("ed25519"), "--allow-downgrade", 3, "--model-version", 3
    )
    assert "the patch is for the class 'board-2', the firmware is of 'board-1'" in bench.no_patch(
        *bench.signing("ed25519"), "--device-class", "board-2"
    )


def test_without_a_contract(bench: Bench) -> None:
    assert "counts only in a signed patch" in bench.no_patch("--allow-downgrade", 3, contract=False)
    assert "not signed here" in bench.no_patch(
        "--encrypt-for", bench.key("x25519.pub"), contract=False
    )
    assert "no contract says to which key" in bench.no_patch(
        *bench.signing("ed25519"), "--encrypt", contract=False
    )
    assert "format 1 are not signed" in bench.no_patch(
        *bench.signing("ed25519"), "--format", 1, contract=False
    )
    assert "format 1 has no device class" in bench.no_patch(
        "--device-class", "a", "--format", 1, contract=False
    )
    assert "no name for a class" in bench.no_patch("--device-class", "a b", contract=False)
    patch = bench.patch(
        "free.tmd",
        *("--device-class", "board-1", *bench.signing("ecdsa-p256")),
        *("--encrypt-for", bench.key("x25519.pub"), "--allow-downgrade", 3),
        contract=False,
    )
    bench.apply(patch, "--contract", bench.contract, *bench.secrets())


def test_firmware_without_keys(bench: Bench, tmp_path: Path) -> None:
    done("codegen", f"m={bench.base}", "--out", tmp_path, "--slot", "8192")
    plain = Bench(tmp_path, bench.base, bench.target)
    (tmp_path / "fw").mkdir()
    (tmp_path / "contract.json").rename(plain.contract)
    assert "the firmware has no keys, and refuses signed patches" in plain.no_patch(
        *bench.signing("ed25519")
    )
    assert "the firmware has none" in plain.no_patch("--device-class", "a")
    signed = bench.patch("signed.tmd", *bench.signing("ed25519"))
    assert "refused with KEY" in plain.not_applied(signed, "--contract", plain.contract)
    unsigned = plain.patch("unsigned.tmd")
    assert "refused with UNSIGNED" in bench.not_applied(unsigned, "--contract", bench.contract)
    assert "refused with UNSIGNED" in bench.not_applied(
        unsigned, "--public-key", bench.key("ed25519.pub")
    )
    plain.apply(unsigned)


def test_calls_that_do_not_go_together(bench: Bench) -> None:
    patch = ("patch", bench.base, bench.target, "-o", bench.folder / "none")
    key, public = bench.key("ed25519"), bench.key("ed25519.pub")
    for arguments in (
        (*patch, "--key", key, "--signer", public),
        (*patch, "--key-number", 1),
        (*patch, "--password-env", "X"),
        (*patch, "--key", key, "--key-number", 1),
        (*patch, "--key", key, "--encrypt", "--encrypt-for", bench.key("x25519.pub")),
        ("apply", bench.base, public, "-o", "x", "--public-key", public, "--contract", "c"),
        ("apply", bench.base, public, "-o", "x", "--mac-key", f"x={bench.key('aes-cmac')}"),
        ("apply", bench.base, public, "-o", "x", "--mac-key", f"4294967296={public}"),
        ("apply", bench.base, public, "-o", "x", "--password-env", "X"),
    ):
        assert tmd(*arguments).exit_code == 2, arguments


def test_codegen_refuses_format_1_beside_keys(bench: Bench, tmp_path: Path) -> None:
    arguments = ["codegen", f"m={bench.base}", "--out", tmp_path, "--slot", 8192]
    said = refused(*arguments, "--public-key", bench.key("ed25519.pub"), "--format-1")
    assert said.startswith("tmd: --format-1: patches of format 1 are not signed")
    said = refused(*arguments, "--mac-key", "aes-cmac", "--decoder", "none")
    assert said.startswith("tmd: --decoder: without format 2 nothing can be signed")
    said = refused(*arguments, "--decryption-key", bench.key("x25519.pub"))
    assert "there is no key to verify with" in said
    said = refused(*arguments, "--public-key", bench.key("ed25519"))
    assert "this is a private key" in said
    assert list(tmp_path.iterdir()) == []


# ---- keys that were not given ----


def test_what_is_missing_is_named(bench: Bench) -> None:
    signed = {kind: bench.patch(f"{kind}.m", *bench.signing(kind)) for kind in SIGNERS}
    sealed = bench.patch(
        "s.tmd", *bench.signing("aes-cmac"), "--encrypt-for", bench.key("x25519.pub")
    )
    contract = ("--contract", bench.contract)
    assert "signed with the ed25519 key " in bench.not_applied(signed["ed25519"])
    assert "give the public key with --public-key" in bench.not_applied(signed["ed25519"])
    assert "give the public key with --public-key" in bench.not_applied(
        signed["ed25519"], "--public-key", bench.key("ecdsa-p256.pub")
    )
    assert "--mac-key 7=FILE" in bench.not_applied(signed["aes-cmac"])
    assert "--mac-key 1=FILE" in bench.not_applied(signed["hmac-sha256"], *contract)
    assert "--mac-key 1=FILE" in bench.not_applied(
        signed["hmac-sha256"], *contract, "--mac-key", f"2={bench.key('hmac-sha256')}"
    )
    assert "give the private key with --decryption-key" in bench.not_applied(sealed, *contract)
    assert "give the private key with --decryption-key" in bench.not_applied(
        sealed, "--decryption-key", bench.key("other-x25519")
    )
    assert "--mac-key 7=FILE" in bench.not_applied(
        sealed, *contract, "--decryption-key", bench.key("x25519")
    )
    for patch in (sealed, signed["hmac-sha256"]):
        assert "refused with KEY" in refused("check", patch, *contract)


def test_a_wrong_secret_is_no_key(bench: Bench, tmp_path: Path) -> None:
    patch = bench.patch("h.tmd", *bench.signing("hmac-sha256"))
    wrong = tmp_path / "wrong"
    wrong.write_text("00" * 32)
    options = ("--contract", bench.contract, "--mac-key", f"1={wrong}")
    assert "refused with SIGNATURE" in bench.not_applied(patch, *options)
    result = tmd("check", patch, *options)
    assert result.exit_code == 1 and "SIGNATURE" in result.stderr


def test_damage_is_refused_and_leaves_no_file(bench: Bench, tmp_path: Path) -> None:
    good = bench.patch("g.tmd", *bench.signing("ed25519")).read_bytes()
    body = read_patch(good, None).sizes["body"]
    damaged = tmp_path / "damaged.tmd"
    for at, said in (
        (20, "METADATA"),
        (len(good) - body - 1, "SIGNATURE"),
        (len(good) - body + 40, ""),
    ):
        changed = bytearray(good)
        changed[at] ^= 1
        damaged.write_bytes(changed)
        assert f"refused with {said}" in bench.not_applied(damaged, "--contract", bench.contract)


# ---- inspect ----


def test_inspect_tells_who_signed_and_for_whom(bench: Bench) -> None:
    patch = bench.patch(
        "i.tmd", *bench.signing("ecdsa-p256"), "--allow-downgrade", "1.2.3", "--model-version", 4
    )
    seen = asked("inspect", patch)
    assert seen["signer"]["type"] == "ecdsa-p256"
    assert len(bytes.fromhex(seen["signer"]["signature"])) == 64
    assert seen["sizes"]["signature"] == 9 + 64
    assert len(bytes.fromhex(seen["target_digest"])) == 32
    assert seen["metadata"]["device_class"] == class_id("board-1")
    text = done("inspect", patch)
    assert f"{class_id('board-1'):#010x}" in text
    assert "for devices with a floor up to 1.2.3" in text
    assert "by the ecdsa-p256 key " in text
    bench.patch("apart", "--signer", bench.key("ed25519.pub"))
    assert "none yet, made for the ed25519 key " in done("inspect", bench.folder / "apart")
    plain = asked("inspect", bench.patch("plain", contract=False))
    assert plain["signer"] is None and plain["sizes"]["signature"] == 0


def test_inspect_of_an_encrypted_patch_tells_what_can_be_seen(bench: Bench) -> None:
    patch = bench.patch(
        "e.tmd", *bench.signing("ed25519"), "--encrypt-for", bench.key("ecdh-p256.pub")
    )
    seen = asked("inspect", patch)
    assert seen["kind"] == "encrypted patch"
    assert seen["envelope"]["type"] == "ecdh-p256"
    assert seen["envelope"]["head_bytes"] == 73
    inside = bench.patch("inside", *bench.signing("ed25519")).read_bytes()
    assert seen["envelope"]["patch_bytes"] == len(inside)
    text = done("inspect", patch)
    assert "ecdh-p256 key " in text and "the rest is encrypted" in text
    opened = ("--decryption-key", bench.key("ecdh-p256"))
    seen = asked("inspect", patch, *opened)
    assert (seen["kind"], seen["signer"]["type"]) == ("patch", "ed25519")
    assert seen["envelope"]["head_bytes"] == 73
    assert "by the ed25519 key " in done("inspect", patch, *opened)
    assert "refused with KEY" in refused("inspect", patch, "--decryption-key", bench.key("x25519"))
    cut = bench.folder / "cut.tmd"
    cut.write_bytes(patch.read_bytes()[:30])
    assert "refused with TRUNCATED" in refused("inspect", cut)


def test_inspect_of_a_contract_tells_its_keys(bench: Bench) -> None:
    seen = asked("inspect", bench.contract)
    assert [key["type"] for key in seen["keys"]] == SIGNERS
    assert [key["type"] for key in seen["sealed_keys"]] == ["x25519", "ecdh-p256"]
    assert seen["device_class"] == "board-1"
    text = done("inspect", bench.contract)
    for words in ("board-1", "aes-cmac key number 7", "ecdh-p256 key ", "anti-rollback"):
        assert words in text


# ---- a simulated device ----


def init(bench: Bench, flash: Path, *options: object) -> dict[str, Any]:
    return asked("sim", "init", flash, "--contract", bench.contract, "--base", bench.base, *options)


@pytest.mark.parametrize("way", [(), ("--staged",), ("--stage",)], ids=lambda way: "".join(way))
@pytest.mark.parametrize("to", [None, "x25519", "ecdh-p256"])
@pytest.mark.parametrize("kind", SIGNERS)
def test_a_device_takes_them_with_its_secrets(
    kind: str, to: str | None, way: tuple[str, ...], bench: Bench, tmp_path: Path
) -> None:
    flash = tmp_path / "device"
    sealing = ["--encrypt-for", bench.key(f"{to}.pub")] if to else []
    patch = bench.patch("d.tmd", *bench.signing(kind), *sealing)
    init(bench, flash, *bench.secrets(), "--staging", 4096)
    assert stat.S_IMODE(flash.stat().st_mode) == 0o600
    state = asked("sim", "update", flash, patch, *way)
    assert state["state"] == "on trial"
    assert stat.S_IMODE(flash.stat().st_mode) == 0o600
    asked("sim", "boot", flash)
    assert asked("sim", "confirm", flash)["state"] == "confirmed"


def test_a_device_without_secrets_takes_what_is_signed_by_public_keys(
    bench: Bench, tmp_path: Path
) -> None:
    flash = tmp_path / "device"
    init(bench, flash)
    for kind in NUMBERS:
        patch = bench.patch("d.tmd", *bench.signing(kind))
        assert "refused with KEY" in refused("sim", "update", flash, patch)
    sealed = bench.patch(
        "d.tmd", *bench.signing("ed25519"), "--encrypt-for", bench.key("x25519.pub")
    )
    assert "refused with KEY" in refused("sim", "update", flash, sealed)
    patch = bench.patch("d.tmd", *bench.signing("ed25519"))
    assert asked("sim", "update", flash, patch)["state"] == "on trial"


def test_secrets_that_the_firmware_does_not_know(bench: Bench, tmp_path: Path) -> None:
    flash = tmp_path / "device"
    arguments = ["sim", "init", flash, "--contract", bench.contract, "--base", bench.base]
    said = refused(*arguments, "--mac-key", f"2={bench.key('hmac-sha256')}")
    assert "the firmware does not know the hmac-sha256 key number 2" in said
    said = refused(*arguments, "--decryption-key", bench.key("other-x25519"))
    assert "the firmware does not know the x25519 key " in said
    assert not flash.exists()


def test_a_confirmed_model_shuts_out_older_ones_but_for_a_signed_exception(
    bench: Bench, tmp_path: Path
) -> None:
    flash = tmp_path / "device"
    signing = bench.signing("ed25519")
    back = Bench(bench.folder, bench.target, bench.base)
    init(bench, flash, "--trial-starts", 3)
    asked("sim", "update", flash, bench.patch("up", *signing, "--model-version", "2.0.0"))
    asked("sim", "boot", flash)
    assert asked("sim", "confirm", flash)["floor"] == 0x02000000
    older = back.patch("older", *signing, "--model-version", "1.0.0")
    assert "refused with VERSION" in refused("sim", "update", flash, older)
    too_low = back.patch(
        "low", *signing, "--model-version", "1.0.0", "--allow-downgrade", "1.255.65535"
    )
    assert "refused with VERSION" in refused("sim", "update", flash, too_low)
    allowed = back.patch(
        "allowed", *signing, "--model-version", "1.0.0", "--allow-downgrade", "2.0.0"
    )
    asked("sim", "update", flash, allowed)
    asked("sim", "boot", flash)
    state = asked("sim", "confirm", flash)
    assert state["active"]["version"] == 0x01000000
    assert state["floor"] == 0x02000000  # and never falls


def test_the_note_of_a_device_is_checked(bench: Bench, tmp_path: Path) -> None:
    from tinymldelta.native import Device, read_note

    flash = tmp_path / "device"
    init(bench, flash)
    note = json.loads(read_note(flash))
    for damaged in (
        {**note, "secrets": [{"kind": "RSA", "number": 1, "secret": ""}]},
        {**note, "secrets": [{"kind": "AES_CMAC", "number": 1, "secret": "00"}]},
        {**note, "secrets": [{"kind": "AES_CMAC"}]},
        {name: value for name, value in note.items() if name != "secrets"},
    ):
        contract = read_contract(bench.contract)
        with Device.load(contract, 0, flash) as device:
            device.set_note(json.dumps(damaged).encode())
            device.save(tmp_path / "damaged")
        assert "its contract is damaged" in refused("sim", "status", tmp_path / "damaged")
