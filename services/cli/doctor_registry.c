/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor.h"

#include <stdlib.h>
#include <string.h>

enum { FULL_PERCENT = 90 };

struct kind {
	const char *name, *plural, *program;
};

static void check_broker(struct doctor *d, const struct member *m)
{
	if (m->draining)
		doctor_warn(d, "broker %s drains and takes no new sessions: start another before it is gone", m->id);
	else if (m->capacity && m->sessions >= (uint64_t)m->capacity * FULL_PERCENT / 100)
		doctor_warn(d, "broker %s is nearly full (%u of %u sessions): start another", m->id, m->sessions,
			    m->capacity);
}

static void report(struct doctor *d, const struct kind *k, const struct member *members, size_t count)
{
	char ids[256] = "";
	size_t alive = 0;
	for (size_t i = 0, at = 0; i < count; i++) {
		const struct member *m = &members[i];
		if (!m->alive) {
			doctor_warn(d, "%s %s is silent: see whether it runs and reaches Redis", k->name, m->id);
			continue;
		}
		alive++;
		if (m->fault[0] && !m->draining)
			doctor_warn(d, "%s %s is not ready: %s", k->name, m->id, m->fault);
		if (at < sizeof ids)
			at += (size_t)snprintf(ids + at, sizeof ids - at, "%s%s", at ? ", " : "", m->id);
		check_broker(d, m);
	}
	if (alive)
		doctor_ok(d, "%zu %s: %s", alive, alive == 1 ? k->name : k->plural, ids);
	else
		doctor_fail(d, "no %s is alive: start %s with the same Redis", k->name, k->program);
}

/* While the key is being changed two are right; a client can be given both. */
static void check_balancer_keys(struct doctor *d)
{
	const struct member *first = NULL;
	for (size_t i = 0; i < d->lb_count; i++) {
		const struct member *m = &d->lbs[i];
		if (!m->alive)
			continue;
		if (!first)
			first = m;
		if (memcmp(m->key, first->key, sizeof m->key) == 0)
			continue;
		doctor_warn(d, "lbs %s and %s have different keys, and clients expect the same at each: give all "
			    "the same key_file", first->id, m->id);
		return;
	}
}

void doctor_check_registry(struct doctor *d)
{
	static const struct kind kinds[] = {{"dc", "dcs", "restante-dc"},
					    {"broker", "brokers", "restante-mb"},
					    {"lb", "lbs", "restante-lb"}};
	struct member *members = calloc(REGISTRY_MEMBERS_MAX, sizeof *members);
	size_t count = 0;
	for (size_t i = 0; members && i < sizeof kinds / sizeof *kinds; i++) {
		if (operator_members(&d->op, kinds[i].name, members, &count)) {
			doctor_fail(d, "registry: %s", d->op.fault);
			break;
		}
		report(d, &kinds[i], members, count);
	}
	if (members) { /* the last kind */
		memcpy(d->lbs, members, count * sizeof *members);
		d->lb_count = count;
		check_balancer_keys(d);
	}
	free(members);
}
