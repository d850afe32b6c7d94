"""Seeded bugs: each must be noticed by the campaign. `./run bench powercut mutants`."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from powercut import program
from powercut.program import DEVICE

QUICK = ("-O1", "-w")


@dataclass(frozen=True)
class Mutant:
    """In `file` of zephyr_module, `old` (which stands there once) becomes `new`."""

    what: str
    file: str
    old: str
    new: str


MUTANTS = (
    Mutant(
        "a reset keeps what was in RAM",
        "store/store.c",
        "memset(store, 0, sizeof(*store));",
        "",
    ),
    Mutant(
        "a record counts without its CRC",
        "store/records.c",
        "tmd_get_u32(&raw[TMD_RECORD_CRC]) == crc_of(store)",
        "crc_of(store) != 1u",
    ),
    Mutant(
        "sequence numbers are compared without the wrap",
        "store/records.c",
        "return a - b - 1u < 0x7FFFFFFFu;",
        "return a > b;",
    ),
    Mutant(
        "the unit with the newest record is erased for the next one",
        "store/records.c",
        "uint32_t at = store->newest == UINT32_MAX ? 0u : next_place(region, store->newest);",
        "uint32_t at = 0;",
    ),
    Mutant(
        "records: a unit that reads as erased is not erased",
        "store/records.c",
        "err = tmd_region_erase(region, at, unit);",
        "err = tmd_region_is_blank(region, at, unit) ? TMD_OK"
        " : tmd_region_erase(region, at, unit);",
    ),
    Mutant(
        "records: a torn place is written again",
        "store/records.c",
        "if (entered || !erases || tmd_region_is_blank(region, at, stride)) {",
        "{",
    ),
    Mutant(
        "a failed record gives its number to the next one",
        "store/records.c",
        "	tmd_put_u32(&store->record[TMD_RECORD_SEQUENCE], sequence);",
        "",
    ),
    Mutant(
        "RAM takes over a record that was not written",
        "store/records.c",
        "	if (err == TMD_OK) {\n		memcpy(store->record, raw, TMD_RECORD_SIZE);",
        "	{\n		memcpy(store->record, raw, TMD_RECORD_SIZE);",
    ),
    Mutant(
        "writes are not read back",
        "store/region.c",
        "return tmd_region_equals(region, offset, buf, bytes) ? TMD_OK : TMD_ERR_FLASH_VERIFY;",
        "return TMD_OK;",
    ),
    Mutant(
        "a read that fails counts as done",
        "store/region.c",
        "	    flash->read(flash->ctx, region->offset + offset, buf, bytes) != 0) {",
        "	    (flash->read(flash->ctx, region->offset + offset, buf, bytes) != 0 && !flash)) {",
    ),
    Mutant(
        "a slot counts whatever its digest",
        "store/store.c",
        "	    !tmd_fingerprint_matches(&print, sha256, TMD_ENTRY_DIGEST, active->sha256)) {",
        "	    (!tmd_fingerprint_matches(&print, sha256, TMD_ENTRY_DIGEST, active->sha256) &&"
        " bytes == 0u)) {",
    ),
    Mutant(
        "the switch comes before the digest of the target",
        "store/update.c",
        "		return TMD_ERR_TARGET;\n	}\n	return TMD_OK;",
        "		return TMD_OK;\n	}\n	return TMD_OK;",
    ),
    Mutant(
        "metadata are not compared with what flash holds of them",
        "store/update.c",
        "		return TMD_ERR_TARGET;\n	}\n#endif",
        "	}\n#endif",
    ),
    Mutant(
        "metadata count without their CRC",
        "store/store.c",
        "tmd_crc32(0, info->kept, bytes) == tmd_get_u32(&entry[TMD_ENTRY_META_CRC]) &&",
        "bytes != 0u &&",
    ),
    Mutant(
        "metadata begin in the target's last write unit",
        "store/writer.c",
        "	u->position = tmd_metadata_offset(u->store, u->position);",
        "	u->position -= u->position % u->store->config->contract->write_bytes;",
    ),
    Mutant(
        "one start more than configured",
        "store/store.c",
        "[TMD_ENTRY_STARTS] >= store->config->trial_starts) {",
        "[TMD_ENTRY_STARTS] > store->config->trial_starts) {",
    ),
    Mutant(
        "starts are not counted",
        "store/open.c",
        "[TMD_ENTRY_STARTS]++;",
        "[TMD_ENTRY_STARTS] += 0u;",
    ),
    Mutant(
        "a trial that is used up goes on after a reset",
        "store/store.c",
        "		tmd_entry(record, slot)[TMD_ENTRY_STATE] = TMD_SLOT_IS_REVERTED;",
        "		;",
    ),
    Mutant(
        "a start is given out that could not be counted",
        "store/open.c",
        "	if (count_start(store) != TMD_OK) {",
        "	if (count_start(store) != TMD_OK && store->open[0] > 9u) {",
    ),
    Mutant(
        "an update begins during a trial",
        "store/update.c",
        "	} else if (tmd_store_on_trial(store)) {",
        "	} else if (tmd_store_on_trial(store) && store->open[0] > 9u) {",
    ),
    Mutant(
        "a model that failed its trial is taken again",
        "store/update.c",
        "			return TMD_ERR_REVERTED;",
        "			return TMD_OK;",
    ),
    Mutant(
        "a slot is written while it is open",
        "store/update.c",
        "	} else if (store->open[u->slot] != 0u) {",
        "	} else if (store->open[u->slot] > 9u) {",
    ),
    Mutant(
        "slot: a unit that reads as erased is not erased",
        "store/writer.c",
        "		err = tmd_region_erase(u->region, u->position, bytes);",
        "		err = tmd_region_is_blank(u->region, u->position, bytes) ? TMD_OK\n"
        "		    : tmd_region_erase(u->region, u->position, bytes);",
    ),
    Mutant(
        "the note of progress is one unit ahead",
        "store/writer.c",
        "	tmd_put_u32(&entry[TMD_ENTRY_VALUES], u->unit);",
        "	tmd_put_u32(&entry[TMD_ENTRY_VALUES], u->unit + 1u);",
    ),
    Mutant(
        "the slot is touched before the record says so",
        "store/writer.c",
        "	err = note_progress(u);\n#endif\n	if (err == TMD_OK) {\n"
        "		store->erases++;\n"
        "		err = tmd_region_erase(u->region, u->position, bytes);",
        "	err = tmd_region_erase(u->region, u->position, bytes);\n#endif\n"
        "	if (err == TMD_OK) {\n		store->erases++;\n		err = note_progress(u);",
    ),
    Mutant(
        "what a broken-off update left is trusted",
        "store/writer.c",
        "	if (entry[TMD_ENTRY_STATE] < TMD_SLOT_IS_COMPLETE && !all_change(u)) {",
        "	if (entry[TMD_ENTRY_STATE] < TMD_SLOT_IS_COMPLETE && u->unit > 999u) {",
    ),
    Mutant(
        "the unit that was in work is trusted if it reads right",
        "store/writer.c",
        "	doubt_last(u, plan);",
        "	(void)doubt_last;",
    ),
    Mutant(
        "of what is not whole, an erase unit is left alone",
        "store/writer.c",
        "			return false;\n		}\n	}\n	return true;\n}\n\n/*\n * Take up",
        "			return true;\n		}\n	}\n	return true;\n}\n\n/*\n * Take up",
    ),
    Mutant(
        "a refused patch leaves its note of progress",
        "store/writer.c",
        "	if (u->noted != 0u) {\n		u->noted = 0;",
        "	if (u->noted > 9u) {\n		u->noted = 0;",
    ),
    Mutant(
        "staging: a torn place is written again",
        "store/staging.c",
        "			   !tmd_region_is_blank(region, at, n)) {",
        "			   region->flash == NULL) {",
    ),
    Mutant(
        "staging: blocks count without their CRC",
        "store/staging.c",
        "			return tmd_get_u32(&piece[n]) == crc;",
        "			return crc != 1u;",
    ),
    Mutant(
        "staging: a patch that is done is applied again",
        "store/staging.c",
        "	    tmd_get_u32(&head[TMD_STAGING_UPDATES]) != updates_of(g->store)) {",
        "	    tmd_get_u32(&head[TMD_STAGING_UPDATES]) == UINT32_MAX) {",
    ),
    Mutant(
        "staging: blocks are looked for from the wrong place on",
        "store/staging.c",
        "	while (block < blocks && find_block(g, block + 1u)) {\n		block++;\n"
        "		g->place++;",
        "	while (block < blocks && find_block(g, block + 1u)) {\n		block++;",
    ),
)


@dataclass(frozen=True)
class Verdict:
    mutant: Mutant
    found: str | None  # what noticed it


def seed(mutant: Mutant, folder: Path) -> Path:
    """A copy of the device's code with the bug in it."""
    device = folder / "zephyr_module"
    shutil.copytree(DEVICE, device, dirs_exist_ok=True)
    file = device / mutant.file
    text = file.read_text(encoding="utf-8")
    if text.count(mutant.old) != 1:
        raise program.BuildError(
            f"{mutant.what}: {mutant.file} has its text {text.count(mutant.old)} times; "
            "bring benchmarks/powercut/mutants.py up to date"
        )
    file.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
    return device


def judge(mutant: Mutant, rows: list[program.Row], folder: Path) -> Verdict:
    """Build with the bug, and run rows until one fails."""
    folder.mkdir(parents=True)
    device = seed(mutant, folder)
    built = program.build(folder, device, QUICK)  # a bug may leave things unused
    return Verdict(mutant, program.first_failure(built, rows))
