/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The cheapest way through a stretch of the target, by what copies, edits, insertions and seeks cost
 * roughly. At each byte the best few ways to have come there are kept.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "match.h"

#define HASH_BITS 16u
#define HASHED 4u     /* bytes that have to be the same for a match to be found */
#define CHAIN_MAX 24u /* places that are looked at */
#define WAYS 24u
#define LONG_RUN 24u /* bytes copied in a row after which nothing better is looked for */
#define AHEAD_MAX 64u /* bytes of a match that are looked ahead at */

/*
 * About what things cost, in 1/16 bit. What they really do depends on what came before, so the
 * encoder can be asked to try several lists. The lists were found by trial on model pairs.
 */
struct prices {
	uint32_t copy_starts;
	uint32_t edit;
	uint32_t edit_again; /* by as much as the byte before */
	uint32_t edit_starts;
	uint32_t insert;
	uint32_t insert_starts;
	uint32_t seek;
	uint32_t seek_bit; /* of the distance */
};

static const struct prices price_lists[TMD_PRICE_LISTS] = {
	{128, 144, 40, 64, 124, 128, 112, 26},
	{96, 176, 40, 64, 104, 128, 180, 26},
	{128, 128, 64, 64, 104, 180, 112, 36},
};

#define COST_COPY 1u
#define WORTH_AHEAD 32u /* what a byte that is known to match is worth when ways are dropped */

enum mode { COPY, EDIT, INSERT };

struct way {
	uint32_t at; /* the base's byte of this byte; of an insertion, that of the next one */
	uint32_t cost;
	uint16_t run;
	uint8_t mode;
	uint8_t from;  /* the way before it */
	uint8_t ahead; /* bytes behind this one that are known to match */
};

struct step {
	struct way way[WAYS];
	uint32_t n;
};

struct tmd_matcher {
	const struct prices *prices;
	const uint8_t *base;
	uint32_t bytes;
	uint32_t *head;
	uint32_t *next;
};

static uint32_t hash(const uint8_t *p)
{
	const uint32_t v = p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;

	return v * 2654435761u >> (32u - HASH_BITS);
}

struct tmd_matcher *tmd_matcher_new(const uint8_t *base, uint32_t bytes, uint32_t prices)
{
	struct tmd_matcher *m = calloc(1, sizeof(*m));

	if (m == NULL) {
		return NULL;
	}
	m->prices = &price_lists[prices];
	m->base = base;
	m->bytes = bytes;
	m->head = malloc((1u << HASH_BITS) * sizeof(*m->head));
	m->next = malloc((bytes + 1u) * sizeof(*m->next));
	if (m->head == NULL || m->next == NULL) {
		tmd_matcher_free(m);
		return NULL;
	}
	memset(m->head, 0xFF, (1u << HASH_BITS) * sizeof(*m->head));
	for (uint32_t i = bytes >= HASHED ? bytes - HASHED + 1u : 0u; i-- > 0u;) {
		const uint32_t h = hash(&base[i]);

		m->next[i] = m->head[h];
		m->head[h] = i;
	}
	return m;
}

void tmd_matcher_free(struct tmd_matcher *matcher)
{
	if (matcher != NULL) {
		free(matcher->head);
		free(matcher->next);
	}
	free(matcher);
}

static uint32_t next_at(const struct way *w)
{
	return w->mode == INSERT ? w->at : w->at + 1u;
}

static uint32_t seek_cost(const struct tmd_matcher *m, uint32_t from, uint32_t to)
{
	uint32_t by = from > to ? from - to : to - from;
	uint32_t cost = m->prices->seek;

	if (by == 0u) {
		return 0;
	}
	for (; by > 0u; by >>= 1) {
		cost += m->prices->seek_bit;
	}
	return cost;
}

/* A way that has just paid for a seek is worth what the match will save. */
static int64_t rank(const struct way *w)
{
	return (int64_t)w->cost - (int64_t)(w->ahead * WORTH_AHEAD);
}

/* Keep a way if it is among the best, and the only one of its kind at its place. */
static void offer(struct step *s, const struct way *w)
{
	uint32_t cheapest = 0;
	uint32_t worst;

	for (uint32_t i = 0; i < s->n; i++) {
		struct way *other = &s->way[i];

		if (other->at == w->at && (other->mode == INSERT) == (w->mode == INSERT)) {
			if (w->cost < other->cost) {
				*other = *w;
			}
			return;
		}
		cheapest = other->cost < s->way[cheapest].cost ? i : cheapest;
	}
	if (s->n < WAYS) {
		s->way[s->n++] = *w;
		return;
	}
	worst = cheapest == 0u ? 1u : 0u; /* the cheapest one always stays */
	for (uint32_t i = 0; i < s->n; i++) {
		if (i != cheapest && rank(&s->way[i]) > rank(&s->way[worst])) {
			worst = i;
		}
	}
	if (w->cost < s->way[cheapest].cost || rank(w) < rank(&s->way[worst])) {
		s->way[worst] = *w;
	}
}

/* The byte t[0] comes from base[at], as it is or edited; t[-1] is the one before it. */
static void go_on(const struct tmd_matcher *m, const struct step *before, uint32_t from, uint32_t at,
		  const uint8_t *t, uint32_t ahead, struct step *now)
{
	const struct prices *p = m->prices;
	const struct way *b = &before->way[from];
	struct way w = {at, b->cost + seek_cost(m, next_at(b), at), 0, COPY, (uint8_t)from, 0};
	const bool on = next_at(b) == at;

	w.ahead = (uint8_t)(ahead > 0u ? ahead : on && b->ahead > 0u ? b->ahead - 1u : 0u);

	if (at >= m->bytes) {
		return;
	}
	if (m->base[at] == t[0]) {
		w.cost += on && b->mode == COPY ? COST_COPY : p->copy_starts;
		w.run = (uint16_t)(on && b->mode == COPY ? (b->run < 60000u ? b->run + 1u : b->run) : 1u);
	} else {
		w.mode = EDIT;
		w.ahead = 0;
		if (!on || b->mode != EDIT) {
			w.cost += p->edit + p->edit_starts;
		} else {
			w.cost += (uint8_t)(t[0] - m->base[at]) == (uint8_t)(t[-1] - m->base[at - 1u])
					  ? p->edit_again
					  : p->edit;
		}
	}
	offer(now, &w);
}

static void find(struct tmd_matcher *m, const uint8_t *target, uint32_t i, uint32_t to,
		 const struct step *before, struct step *now)
{
	uint32_t at = to - i >= HASHED ? m->head[hash(&target[i])] : TMD_MATCH_NONE;

	for (uint32_t k = 0; k < CHAIN_MAX && at != TMD_MATCH_NONE; k++, at = m->next[at]) {
		uint32_t best = 0;

		uint32_t same = 0;

		while (same < AHEAD_MAX && i + same < to && at + same < m->bytes &&
		       m->base[at + same] == target[i + same]) {
			same++;
		}
		if (same < HASHED) {
			continue;
		}
		for (uint32_t j = 1; j < before->n; j++) {
			if (before->way[j].cost + seek_cost(m, next_at(&before->way[j]), at) <
			    before->way[best].cost + seek_cost(m, next_at(&before->way[best]), at)) {
				best = j;
			}
		}
		go_on(m, before, best, at, &target[i], same - 1u, now);
	}
}

int tmd_match(struct tmd_matcher *m, const uint8_t *target, uint32_t from, uint32_t to,
	      uint32_t start, uint32_t end, uint32_t *match)
{
	const struct prices *p = m->prices;
	const uint32_t bytes = to - from;
	struct step *steps;
	uint32_t best = 0;

	if (end - start == bytes && end >= start &&
	    memcmp(&m->base[start], &target[from], bytes) == 0) {
		for (uint32_t i = 0; i < bytes; i++) {
			match[i] = start + i;
		}
		return 0;
	}
	steps = malloc((bytes + 1u) * sizeof(*steps));
	if (steps == NULL) {
		return -1;
	}
	steps[0].n = 1;
	steps[0].way[0] = (struct way){start, 0, 0, INSERT, 0, 0};
	for (uint32_t i = 0; i < bytes; i++) {
		const struct step *before = &steps[i];
		struct step *now = &steps[i + 1u];
		const uint8_t *t = &target[from + i];
		bool settled = false;
		uint32_t cheapest = 0;

		now->n = 0;
		for (uint32_t k = 1; k < before->n; k++) {
			cheapest = before->way[k].cost < before->way[cheapest].cost ? k : cheapest;
		}
		for (uint32_t k = 0; k < before->n; k++) {
			const struct way *b = &before->way[k];
			struct way w = {next_at(b), b->cost + p->insert, 0, INSERT, (uint8_t)k, 0};

			go_on(m, before, k, next_at(b), t, 0, now);
			if (b->mode != INSERT) {
				w.cost += p->insert_starts;
			}
			if (k == cheapest || b->mode == INSERT) {
				offer(now, &w);
			}
			settled = settled || b->run >= LONG_RUN;
		}
		if (end >= to - (from + i) && end - (to - (from + i)) < m->bytes) {
			for (uint32_t k = 0; k < before->n; k++) { /* as it is wanted at the end */
				go_on(m, before, k, end - (to - (from + i)), t, 0, now);
			}
		}
		if (!settled) {
			find(m, target, from + i, to, before, now);
		}
	}
	for (uint32_t k = 1; k < steps[bytes].n; k++) {
		const struct way *w = &steps[bytes].way[k];
		const struct way *b = &steps[bytes].way[best];

		if (w->cost + seek_cost(m, next_at(w), end) < b->cost + seek_cost(m, next_at(b), end)) {
			best = k;
		}
	}
	for (uint32_t i = bytes; i > 0u; i--) {
		const struct way *w = &steps[i].way[best];

		match[i - 1u] = w->mode == INSERT ? TMD_MATCH_NONE : w->at;
		best = w->from;
	}
	free(steps);
	return 0;
}
