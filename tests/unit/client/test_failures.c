/* SPDX-License-Identifier: Apache-2.0 */
/* Who is not there, not believed, or goes away. */
#include "support/client_fixture.h"

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

TestSuite(failures, .init = fixture_start, .fini = fixture_stop, .timeout = 120);

static bool never(void) { return false; }
static bool asking(void) { return restante_state(fixture.shown.client) == RESTANTE_ASKING; }
static bool second_login(void) { return fixture.logins == 2 && fixture_online(); }

Test(failures, a_wrong_session_stops_it_and_says_why)
{
	struct restante_options o = fixture_options();
	o.session = "wrong";
	struct restante *r = fixture_open(&o);
	cr_assert(fixture_run(r, fixture_stopped));
	cr_assert_eq(restante_why(r), 1);
	cr_assert_eq(fixture.shown.why, 1);
	cr_assert_not_null(strstr(restante_code_text(1), "session"));
	cr_assert_eq(fixture.logins, 1);
	restante_close(r);
}

Test(failures, an_unreachable_balancer_is_asked_again_and_again)
{
	close(fixture.balancer_fd); /* its port answers with ICMP now */
	fixture.balancer_fd = -1;
	struct restante_options o = fixture_options();
	struct restante *r = fixture_open(&o);
	cr_assert(fixture_run(r, fixture_waiting));
	cr_assert_eq(restante_why(r), CLOSE_TIMEOUT);
	cr_assert_geq(restante_timeout_ms(r), 0);
	cr_assert(fixture_run(r, asking));
	cr_assert(fixture_run(r, fixture_waiting));
	restante_close(r);
}

Test(failures, a_balancer_with_another_key_is_not_believed)
{
	struct restante_options o = fixture_options();
	o.balancer_keys = "00000000000000000000000000000000000000000000000000000000000000aa";
	struct restante *r = fixture_open(&o);
	cr_assert(fixture_run(r, fixture_waiting));
	cr_assert_not(fixture.shown.saw[RESTANTE_HELLO]);
	restante_close(r);
}

Test(failures, goes_back_to_the_balancer_when_its_broker_is_gone)
{
	struct restante_options o = fixture_options();
	struct restante *r = fixture_open(&o);
	cr_assert(fixture_run(r, fixture_online));
	fixture_stop_broker(); /* its port answers with ICMP now */
	fixture_run_for(r, never, 100);
	fixture_start_broker();
	cr_assert(fixture_run(r, second_login));
	fixture_add("after", 5);
	fixture_hand_over();
	cr_assert(fixture_run(r, fixture_all_acked));
	restante_close(r);
}
