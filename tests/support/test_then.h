/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SUPPORT_TEST_THEN_H
#define SUPPORT_TEST_THEN_H

#include <criterion/criterion.h>

/* A Test that ends with a call of `stop`: what fails in .fini is not counted by
 * Criterion, and a daemon that leaks or crashes in its stop would go unseen. The
 * suite names it as its .fini as well, for tests that end early. */
#define TestThen(stop, suite, name, ...) \
	static void suite##_##name(void); \
	Test(suite, name __VA_OPT__(,) __VA_ARGS__) \
	{ \
		suite##_##name(); \
		stop(); \
	} \
	static void suite##_##name(void)

#endif
