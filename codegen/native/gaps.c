/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "gaps.h"

/* A stretch of the target that one operation brings out; `at` is where in the base it comes from. */
struct piece {
	uint8_t op;
	uint32_t n;
	uint32_t at;
};

static void add_piece(struct piece *pieces, uint32_t *n, uint8_t op, uint32_t bytes, uint32_t at)
{
	struct piece *last = *n > 0u ? &pieces[*n - 1u] : NULL;

	if (last != NULL && last->op == op && (op == TMD_F2_INSERT || last->at + last->n == at)) {
		last->n += bytes;
	} else {
		pieces[(*n)++] = (struct piece){op, bytes, at};
	}
}

/* Bytes that an edit may take along as unchanged; less than that is cheaper than a copy between. */
#define BRIDGE 2u

/* Cut target[position, to) into copies, edits and insertions, along what matches. */
static uint32_t cut(struct encoder *e, const uint32_t *match, uint32_t to, struct piece *pieces)
{
	const uint32_t from = e->f2.position;
	uint32_t n = 0, kept = 0;

	for (uint32_t i = 0; i < to - from;) {
		const uint32_t at = match[i];
		const uint8_t *t = &e->target[from + i];
		uint8_t buf[4];

		if (at == TMD_MATCH_NONE) {
			add_piece(pieces, &n, TMD_F2_INSERT, 1, 0);
			i++;
			continue;
		}
		if ((at & 3u) == 0u && to - from - i >= 4u && match[i + 3u] == at + 3u) {
			tmd_copied_bytes(e, at, buf, 4);
			if (memcmp(buf, t, 4) == 0) {
				add_piece(pieces, &n, TMD_F2_COPY, 4, at);
				i += 4u;
				continue;
			}
		}
		tmd_edited_bytes(e, at, buf, 1);
		add_piece(pieces, &n, buf[0] == t[0] ? TMD_F2_COPY : TMD_F2_EDIT, 1, at);
		i++;
	}
	for (uint32_t i = 0; i < n; i++) {
		const struct piece now = pieces[i];
		struct piece *last = kept > 0u ? &pieces[kept - 1u] : NULL;

		if (last != NULL && last->op == TMD_F2_EDIT && now.op == TMD_F2_COPY && now.n <= BRIDGE &&
		    last->at + last->n == now.at && n - i > 1u && pieces[i + 1u].op == TMD_F2_EDIT &&
		    pieces[i + 1u].at == now.at + now.n) {
			last->n += now.n + pieces[i + 1u].n;
			i++;
		} else {
			pieces[kept++] = now;
		}
	}
	return kept;
}

/* Encode up to target offset `to` in copies, edits and insertions, along what matches. */
static void encode_bytes(struct encoder *e, const uint32_t *match, uint32_t to, struct piece *pieces)
{
	const uint32_t n = cut(e, match, to, pieces);

	for (uint32_t i = 0; i < n; i++) {
		const struct piece *p = &pieces[i];

		if (p->op == TMD_F2_INSERT) {
			tmd_write_new(e, p->n);
			continue;
		}
		tmd_write_seek(e, p->at);
		if (p->op == TMD_F2_EDIT) {
			tmd_write_edit(e, p->n);
		} else {
			tmd_add_copy(e, p->n);
		}
	}
}

/* Words in a row that may be unchanged between changed ones. */
#define WORDS_BETWEEN 2u

/* Whether the 4 bytes from t on come from a word of the base; and if so, whether it has changed. */
static bool is_word(struct encoder *e, const uint32_t *match, const uint8_t *t, bool *changed)
{
	uint8_t buf[4];

	if (match[0] == TMD_MATCH_NONE || (match[0] & 3u) != 0u) {
		return false;
	}
	for (uint32_t b = 1; b < 4u; b++) {
		if (match[b] != match[0] + b) {
			return false;
		}
	}
	tmd_copied_bytes(e, match[0], buf, 4);
	*changed = memcmp(buf, t, 4) != 0;
	return true;
}

/*
 * Tables of offsets change word by word. How many words that have changed stand in a row from t on,
 * with few others between them; 0 if these are too few.
 */
static uint32_t words_here(struct encoder *e, const uint32_t *match, const uint8_t *t, uint32_t bytes)
{
	uint32_t last = 0;
	bool changed = false;

	if (bytes < 4u || !is_word(e, match, t, &changed) || !changed) {
		return 0;
	}
	for (uint32_t w = 1; 4u * w + 4u <= bytes && w <= last + WORDS_BETWEEN + 1u; w++) {
		if (match[4u * w] != match[0] + 4u * w ||
		    !is_word(e, &match[4u * w], &t[4u * w], &changed)) {
			break;
		}
		last = changed ? w : last;
	}
	return last + 1u >= e->table_from ? last + 1u : 0u;
}

/* Encode so many words of whole numbers as a tensor, if that is cheaper than as bytes. */
static void encode_table(struct encoder *e, const uint32_t *match, uint32_t words,
			 struct piece *pieces)
{
	static const struct choice plain = {TMD_F2_PLAIN, NULL};
	const struct tmd_hint h = {.type = TMD_F2_I32,
				   .base_at = match[0],
				   .d = {1, 1, words},
				   .e = {1, 1, words}};
	const uint32_t to = e->f2.position + 4u * words;
	struct encoder *kept;
	uint64_t as_bytes = 0;

	tmd_write_seek(e, match[0]);
	kept = tmd_trial_begin(e);
	if (kept != NULL) {
		encode_bytes(e, match, to, pieces);
		tmd_write_copy(e);
		as_bytes = tmd_trial_end(e, kept);
	}
	if (tmd_tensor_cost(e, &h, &plain, 0) < as_bytes) {
		tmd_write_tensor(e, &h, &plain, 0);
	} else {
		encode_bytes(e, match, to, pieces);
	}
}

int tmd_encode_gap(struct encoder *e, struct tmd_matcher *matcher, uint32_t to, uint32_t base_at)
{
	struct tmd_f2 *s = &e->f2;
	const uint32_t from = s->position;
	const uint32_t bytes = to - from;
	uint32_t *match;
	struct piece *pieces;
	int err = TMD_OK;

	if (bytes == 0u) {
		return TMD_OK;
	}
	match = malloc(bytes * sizeof(*match));
	pieces = malloc(bytes * sizeof(*pieces));
	if (match == NULL || pieces == NULL ||
	    tmd_match(matcher, e->target, from, to, s->at, base_at, match) != 0) {
		err = TMD_ERR_ARGUMENT;
	}
	while (err == TMD_OK && s->position < to) {
		const uint32_t *here = &match[s->position - from];
		uint32_t i = 0, words = 0;

		/* As bytes, up to where changed words stand in a row. */
		while (s->position + i < to && words == 0u) {
			words = words_here(e, &here[i], &e->target[s->position + i],
					   to - s->position - i);
			i += words == 0u ? 1u : 0u;
		}
		if (i > 0u) {
			encode_bytes(e, here, s->position + i, pieces);
		}
		if (words > 0u) {
			encode_table(e, &here[i], words, pieces);
		}
	}
	free(match);
	free(pieces);
	return err;
}
