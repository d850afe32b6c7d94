/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The staging region is cut into places as long as the write buffer. A place holds a block: bytes of
 * the patch, and a CRC-32 over them, the patch's name and the block's number. The first block says
 * what the patch is. A place whose write was torn is passed over, so that a block is never sent
 * twice but for the one that the cut hit, and no unit is erased for it.
 */
#include <string.h>

#include <tinymldelta/staging.h>

#include "model.h"
#include "records.h"
#include "region.h"

#if TMD_STAGING

#define PLACE TMD_WRITE_BUFFER
#define PAYLOAD (PLACE - 4u)

static const struct tmd_region *region_of(const struct tmd_staging *g)
{
	return &g->store->config->staging;
}

static uint32_t places_of(const struct tmd_staging *g)
{
	return region_of(g)->bytes / PLACE;
}

static uint32_t blocks_of(uint32_t bytes)
{
	return (bytes + PAYLOAD - 1u) / PAYLOAD;
}

static uint32_t updates_of(const struct tmd_store *store)
{
	return tmd_get_u32(&store->record[TMD_RECORD_UPDATES]);
}

/* Is the region well-formed, and does each erase unit hold whole places, or each place whole units? */
static bool region_fits(const struct tmd_store_config *config)
{
	const struct tmd_region *region = &config->staging;
	struct tmd_region_shape shape;

	if (region->flash == NULL || !tmd_region_is_valid(region, &shape)) {
		return false;
	}
	for (uint32_t at = 0; at < region->bytes;) {
		uint32_t start;
		const uint32_t unit = tmd_region_unit(region, at, &start);

		if (unit % PLACE != 0u && PLACE % unit != 0u) {
			return false;
		}
		at += unit;
	}
	return region->bytes % PLACE == 0u;
}

/* What the CRC-32 of a block begins with. Block 0 says what the patch is, so it cannot know. */
static uint32_t seed_of(const struct tmd_staging *g, uint32_t block)
{
	uint8_t name[12];

	tmd_put_u32(&name[0], block == 0u ? TMD_STAGING_MAGIC_VALUE : g->id);
	tmd_put_u32(&name[4], block == 0u ? 0u : updates_of(g->store));
	tmd_put_u32(&name[8], block);
	return tmd_crc32(0, name, sizeof(name));
}

/* Does the place hold this block? */
static bool holds(const struct tmd_staging *g, uint32_t place, uint32_t block)
{
	uint8_t piece[TMD_READ_PIECE];
	uint32_t crc = seed_of(g, block);
	uint32_t left = PAYLOAD;

	for (uint32_t at = place * PLACE;; at += sizeof(piece)) {
		const uint32_t n = tmd_min_u32(left, sizeof(piece));

		if (tmd_region_read(region_of(g), at, piece, sizeof(piece)) != TMD_OK) {
			return false;
		}
		crc = tmd_crc32(crc, piece, n);
		left -= n;
		if (left == 0u) {
			return tmd_get_u32(&piece[n]) == crc;
		}
	}
}
_Static_assert(PLACE % TMD_READ_PIECE == 0u, "the CRC of a block is in the last piece");

/* Find a block, from g->place on. */
static bool find_block(struct tmd_staging *g, uint32_t block)
{
	for (uint32_t place = g->place; place < places_of(g); place++) {
		if (holds(g, place, block)) {
			g->place = place;
			g->block = block;
			return true;
		}
	}
	return false;
}

/* ---- writing blocks ---- */

/*
 * Put the block in store->buf at a place; erase the units that begin there. Within a unit the place
 * has to be blank, because what a cut left there cannot be written again.
 */
static int write_place(struct tmd_staging *g, uint32_t place)
{
	const struct tmd_region *region = region_of(g);
	const uint32_t end = (place + 1u) * PLACE;

	for (uint32_t at = place * PLACE; at < end;) {
		uint32_t start;
		const uint32_t unit = tmd_region_unit(region, at, &start);
		const uint32_t n = tmd_min_u32(end - at, start + unit - at);
		int err = TMD_OK;

		if (start == at) {
			g->store->erases++;
			err = tmd_region_erase(region, at, unit);
		} else if ((region->flash->flags & TMD_FLASH_NO_ERASE) == 0u &&
			   !tmd_region_is_blank(region, at, n)) {
			err = TMD_ERR_FLASH_WRITE;
		}
		if (err == TMD_OK) {
			g->store->written += n;
			err = tmd_region_write(region, at, &g->store->buf[at - place * PLACE], n);
		}
		if (err != TMD_OK) {
			return err;
		}
		at += n;
	}
	return TMD_OK;
}

/* Write the block in store->buf at the next place that takes it. */
static int write_block(struct tmd_staging *g, uint32_t block)
{
	uint8_t *buf = g->store->buf;
	int err = TMD_ERR_STAGING;

	memset(&buf[g->fill], 0, PAYLOAD - g->fill);
	tmd_put_u32(&buf[PAYLOAD], tmd_crc32(seed_of(g, block), buf, PAYLOAD));
	g->fill = 0;
	for (; g->place < places_of(g); g->place++) {
		err = write_place(g, g->place);
		if (err == TMD_OK) {
			g->place++;
			return TMD_OK;
		}
	}
	return err;
}

/* ---- finding what is there ---- */

/* What the first block says, if there is one that still counts. */
static bool read_first(struct tmd_staging *g)
{
	uint8_t head[TMD_STAGING_SIZE];

	g->place = 0;
	g->bytes = 0;
	g->next = 0;
	if (!holds(g, 0, 0) ||
	    tmd_region_read(region_of(g), 0, head, sizeof(head)) != TMD_OK ||
	    tmd_get_u32(&head[TMD_STAGING_UPDATES]) != updates_of(g->store)) {
		return false;
	}
	g->bytes = tmd_get_u32(&head[TMD_STAGING_PATCH_BYTES]);
	g->id = tmd_get_u32(&head[TMD_STAGING_PATCH_ID]);
	return g->bytes != 0u && g->bytes <= TMD_MODEL_MAX;
}

/* How many of its blocks are there, one behind the other. */
static void count_blocks(struct tmd_staging *g)
{
	const uint32_t blocks = blocks_of(g->bytes);
	uint32_t block = 0;

	g->place = 1;
	while (block < blocks && find_block(g, block + 1u)) {
		block++;
		g->place++;
	}
	g->next = tmd_min_u32(block * PAYLOAD, g->bytes);
}

static void attach(struct tmd_staging *g, struct tmd_store *store)
{
	memset(g, 0, sizeof(*g));
	g->store = store;
}

/* Begin anew: the first block. It is looked for at the first place and nowhere else. */
static int write_first(struct tmd_staging *g, uint32_t bytes, uint32_t id)
{
	struct tmd_store *store = g->store;
	uint8_t *head = store->buf;
	int err;

	attach(g, store);
	g->id = id;
	tmd_put_u32(&head[TMD_STAGING_MAGIC], TMD_STAGING_MAGIC_VALUE);
	tmd_put_u32(&head[TMD_STAGING_PATCH_BYTES], bytes);
	tmd_put_u32(&head[TMD_STAGING_PATCH_ID], id);
	tmd_put_u32(&head[TMD_STAGING_UPDATES], updates_of(store));
	g->fill = TMD_STAGING_SIZE;
	err = write_block(g, 0);
	if (err == TMD_OK && g->place != 1u) {
		err = TMD_ERR_FLASH_WRITE;
	}
	if (err == TMD_OK) {
		g->bytes = bytes;
	}
	return err;
}

/* Places from g->place on that take a block. */
static uint32_t room_of(const struct tmd_staging *g)
{
	const struct tmd_region *region = region_of(g);
	bool erased = (region->flash->flags & TMD_FLASH_NO_ERASE) != 0u;
	uint32_t room = 0;

	for (uint32_t place = g->place; place < places_of(g); place++) {
		uint32_t start;

		(void)tmd_region_unit(region, place * PLACE, &start);
		erased = erased || start == place * PLACE;
		room += erased || tmd_region_is_blank(region, place * PLACE, PLACE) ? 1u : 0u;
	}
	return room;
}

int tmd_staging_begin(struct tmd_staging *g, struct tmd_store *store, uint32_t bytes, uint32_t id)
{
	uint16_t turn;
	int err;

	attach(g, store);
	if (tmd_store_on_trial(store)) {
		return TMD_ERR_TRIAL;
	}
	if (!region_fits(store->config) || bytes == 0u || bytes > TMD_MODEL_MAX ||
	    blocks_of(bytes) >= places_of(g)) {
		return TMD_ERR_STAGING;
	}
	turn = tmd_store_take_turn(store);
	g->turn = turn;
	if (read_first(g) && g->bytes == bytes && g->id == id) {
		count_blocks(g);
		if (blocks_of(bytes - g->next) <= room_of(g)) {
			return TMD_OK;
		}
		/* Cuts have used up the places: from the beginning. */
	}
	err = write_first(g, bytes, id);
	g->turn = turn;
	if (err != TMD_OK) {
		tmd_staging_abort(g);
	}
	return err;
}

void tmd_staging_abort(struct tmd_staging *g)
{
	tmd_store_end_turn(g->store, g->turn);
	g->bytes = 0; /* nothing more is taken */
	g->next = 0;
}

int tmd_staging_write(struct tmd_staging *g, const void *data, size_t bytes)
{
	const uint8_t *from = data;

	if (g->turn != g->store->turn) {
		return TMD_ERR_BUSY;
	}
	if (bytes > g->bytes - g->next) {
		return TMD_ERR_TRAILING;
	}
	while (bytes > 0u) {
		const uint32_t n = tmd_min_u32((uint32_t)bytes, PAYLOAD - g->fill);

		memcpy(&g->store->buf[g->fill], from, n);
		g->fill = (uint16_t)(g->fill + n);
		g->next += n;
		from += n;
		bytes -= n;
		if (g->fill == PAYLOAD || g->next == g->bytes) {
			const int err = write_block(g, (g->next + PAYLOAD - 1u) / PAYLOAD);

			if (err != TMD_OK) {
				tmd_staging_abort(g);
				return err;
			}
		}
	}
	return TMD_OK;
}

/* ---- applying ---- */

/* The source of tmd_update_staged. Mostly read from front to back. */
static int read_staged(void *ctx, uint32_t offset, void *buf, uint32_t bytes)
{
	struct tmd_staging *g = ctx;
	uint8_t *to = buf;

	while (bytes > 0u) {
		const uint32_t block = offset / PAYLOAD + 1u;
		const uint32_t into = offset % PAYLOAD;
		const uint32_t n = tmd_min_u32(bytes, PAYLOAD - into);
		int err;

		if (block != g->block) {
			if (block < g->block) {
				g->place = 1;
			}
			if (!find_block(g, block)) {
				g->block = UINT32_MAX;
				return TMD_ERR_FLASH_READ;
			}
		}
		err = tmd_region_read(region_of(g), g->place * PLACE + into, to, n);
		if (err != TMD_OK) {
			return err;
		}
		offset += n;
		to += n;
		bytes -= n;
	}
	return TMD_OK;
}

/* A patch is looked at again as long as no other was dealt with. */
static int dismiss(struct tmd_store *store)
{
	uint8_t *draft = tmd_records_draft(store);

	tmd_put_u32(&draft[TMD_RECORD_UPDATES], updates_of(store) + 1u);
	return tmd_records_append(store);
}

int tmd_staging_apply(struct tmd_staging *g, struct tmd_update *update)
{
	const struct tmd_source source = {read_staged, g, g->bytes};
	int err;

	if (g->bytes == 0u || g->next != g->bytes) {
		return TMD_ERR_TRUNCATED;
	}
	g->place = 1;
	g->block = UINT32_MAX;
	err = tmd_update_staged(update, g->store, &source);
	/* One that is refused before it begins takes no turn: that of the transfer still stands. */
	tmd_store_end_turn(g->store, g->turn);
	if (err <= TMD_ERR_TRUNCATED && err != TMD_ERR_CRYPTO) {
		/* A patch that was refused is dealt with, as one that was applied is. */
		(void)dismiss(g->store);
	}
	return err;
}

int tmd_staging_forget(struct tmd_store *store)
{
	return dismiss(store);
}

int tmd_staging_resume(struct tmd_staging *g, struct tmd_store *store, struct tmd_update *update)
{
	attach(g, store);
	if (!region_fits(store->config) || !read_first(g)) {
		g->bytes = 0;
		return TMD_OK;
	}
	count_blocks(g);
	return g->next == g->bytes ? tmd_staging_apply(g, update) : TMD_OK;
}

#endif
