/* SPDX-License-Identifier: Apache-2.0 */
/* The links that brokers make to a DC or a balancer: the other end of
 * app/peers.h. A broker says HELLO, gets WELCOME, and is known from then on by
 * its id and boot number; a later link of the same id takes the place of an
 * earlier one. A link that says nothing is closed after HUB_HELLO_MS. */
#ifndef APP_HUB_H
#define APP_HUB_H

#include "app/metrics.h"
#include "base/addr.h"
#include "base/list.h"
#include "wire/link.h"

#include <stdbool.h>

#define HUB_HELLO_MS 5000
#define HUB_LINKS_MAX 512
#define HUB_PER_ADDRESS_MAX 128 /* so that no one host takes all, known or not */

struct ev_loop;
struct tls_context;
struct hub;

struct hub_link {
	struct list in_hub;
	struct hub *hub;
	struct link *link;
	struct addr from;
	uint64_t since_ms;
	bool known;              /* HELLO was said: id and boot are there */
	char id[NAME_MAX_BYTES + 1];
	uint64_t boot;
	void *user;              /* the owner's, set in on_known */
};

struct hub_handler {
	/* HELLO was said. Not 0 closes the link. */
	int (*on_known)(void *ctx, struct hub_link *l);
	/* A decoded message other than HELLO; data and len are its bytes, to be passed
	 * on. Not 0 closes the link. */
	int (*on_message)(void *ctx, struct hub_link *l, const struct link_message *m,
			  const uint8_t *data, size_t len);
	/* A known link is gone; its memory goes after this call. */
	void (*on_gone)(void *ctx, struct hub_link *l);
};

struct hub_config {
	struct addr local;       /* where it listens; port 0 takes a free one */
	const char *id;          /* own id, for WELCOME; borrowed */
	uint64_t boot;
	struct tls_context *tls; /* NULL: plaintext */
};

/* RS_ESYS with errno when it cannot listen. */
RS_MUST_CHECK int hub_new(struct hub **out, struct ev_loop *loop, const struct hub_config *config,
			  const struct hub_handler *handler, void *ctx);
struct addr hub_local(const struct hub *h);
void hub_stop(struct hub *h); /* takes no more links */
void hub_free(struct hub *h); /* on_gone is called for each known link; NULL is fine */
/* The known link of this broker and boot, or NULL. */
struct hub_link *hub_find(const struct hub *h, struct link_name id, uint64_t boot);
RS_MUST_CHECK int hub_send(struct hub_link *l, const struct link_message *m);
/* Closes it; on_gone is called. Not in on_known or on_gone. */
void hub_drop(struct hub_link *l, const char *why);
/* To every known broker; how many were told. */
size_t hub_send_all(struct hub *h, const struct link_message *m);
/* An encoded message as it is. */
RS_MUST_CHECK int hub_pass_on(struct hub_link *l, const uint8_t *data, size_t len);
/* <daemon>_links, _links_total, _links_replaced_total and _links_refused_total. */
void hub_metrics(const struct hub *h, const char *daemon, struct metrics *m);

#endif
