/* SPDX-License-Identifier: Apache-2.0 */
/* Goes the ways that Apps and clients go. A client's: asks a balancer, shakes hands
 * with the broker it names, and leaves before it would have to log in. */
#include "doctor.h"

#include "textclient.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "client/restante.h"
#include "wire/packet.h"

#include <poll.h>
#include <string.h>

enum { PATH_MS = 20000 };

/* ---- DC ---- */

static void check_dc(struct doctor *d, const struct addr *dc)
{
	struct textclient t;
	char at[ADDR_TEXT_MAX];
	addr_format(dc, at);
	textclient_init(&t, d->settings, true);
	if (textclient_connect(&t, dc))
		doctor_fail(d, "%s", t.fault);
	else if (!d->settings->app[0] || !d->settings->app_key_file[0])
		doctor_warn(d, "DC at %s takes connections, but %s is not set: send and presence need an App; see restante "
			    "app create", at, d->settings->app[0] ? "app_key_file" : "app");
	else if (textclient_auth(&t))
		doctor_fail(d, "%s", t.fault);
	else
		doctor_ok(d, "DC at %s knows the App \"%s\"", at, d->settings->app);
	textclient_close(&t);
}

void doctor_check_dcs(struct doctor *d)
{
	if (d->settings->dc.count == 0)
		doctor_fail(d, "the setting dc is empty: name the Data Centers");
	for (size_t i = 0; i < d->settings->dc.count; i++)
		check_dc(d, &d->settings->dc.at[i]);
}

/* ---- balancer and broker ---- */

struct walk {
	struct restante *client;
	bool answered; /* the balancer named a broker */
	bool shaken;   /* the broker shook hands */
	unsigned why;
	char broker[ADDR_TEXT_MAX];
};

static int on_message(void *ctx, const struct restante_message *m)
{
	(void)ctx, (void)m;
	return 1;
}

static void on_state(void *ctx, enum restante_state state, unsigned why)
{
	struct walk *w = ctx;
	if (state == RESTANTE_HELLO) {
		w->answered = true;
		snprintf(w->broker, sizeof w->broker, "%s", restante_broker(w->client));
	}
	w->shaken = w->shaken || state == RESTANTE_LOGIN;
	if (state == RESTANTE_LOGIN || state == RESTANTE_WAITING) {
		w->why = why;
		restante_stop(w->client);
	}
}

static void go(struct walk *w)
{
	uint64_t end_ms = clock_mono_ms() + PATH_MS;
	while (restante_state(w->client) != RESTANTE_STOPPED && clock_mono_ms() < end_ms) {
		struct pollfd p = {restante_fd(w->client), POLLIN, 0};
		int due = restante_timeout_ms(w->client);
		poll(&p, 1, due < 0 || due > 1000 ? 1000 : due);
		restante_process(w->client);
	}
}

static void judge(struct doctor *d, const struct walk *w, const char *balancer)
{
	if (!w->answered && w->why == CLOSE_OVERLOADED)
		doctor_fail(d, "LB at %s answers, but has no broker to name: start restante-mb, or see why none reaches it",
			    balancer);
	else if (!w->answered)
		doctor_fail(d, "LB at %s does not answer: see that it runs, that UDP gets there, and that the key is its own "
			    "(balancer_key_file)", balancer);
	else
		doctor_ok(d, "LB at %s answers", balancer);
	if (w->answered && !w->shaken)
		doctor_fail(d, "broker at %s does not answer: see that it runs and that UDP gets there", w->broker);
	else if (w->answered)
		doctor_ok(d, "broker at %s shakes hands", w->broker);
}

/* A wrong key looks like silence; the registry knows better. */
static bool key_is_right(struct doctor *d, const struct addr *balancer, const char *keys)
{
	char theirs[65], at[ADDR_TEXT_MAX];
	for (size_t i = 0; i < d->lb_count; i++) {
		const struct member *m = &d->lbs[i];
		if (!m->alive || !addr_equal(&m->address, balancer) ||
		    strstr(keys, hex_encode(m->key, sizeof m->key, theirs)))
			continue;
		doctor_fail(d, "LB at %s has another key than balancer_keys or balancer_key_file say: it is %s",
			    addr_format(balancer, at), theirs);
		return false;
	}
	return true;
}

static void check_balancer(struct doctor *d, const struct addr *balancer, const char *keys)
{
	char at[ADDR_TEXT_MAX], error[512];
	struct walk w = {.why = 0};
	struct restante_options o = RESTANTE_OPTIONS_INIT;
	if (!key_is_right(d, balancer, keys))
		return;
	o.balancers = addr_format(balancer, at);
	o.balancer_keys = keys;
	o.user = o.session = "doctor";
	o.on_message = on_message;
	o.on_state = on_state;
	o.ctx = &w;
	w.client = restante_open(&o, error, sizeof error);
	if (!w.client) {
		doctor_fail(d, "%s", error);
		return;
	}
	go(&w);
	judge(d, &w, at);
	restante_close(w.client);
}

void doctor_check_balancers(struct doctor *d)
{
	char keys[160], fault[512];
	if (settings_balancer_keys(d->settings, keys, sizeof keys, fault, sizeof fault)) {
		doctor_fail(d, "%s", fault);
		return;
	}
	if (d->settings->balancers.count == 0)
		doctor_fail(d, "the setting balancers is empty: name the balancers");
	for (size_t i = 0; i < d->settings->balancers.count; i++)
		check_balancer(d, &d->settings->balancers.at[i], keys);
}
