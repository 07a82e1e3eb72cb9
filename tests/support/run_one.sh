#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs one test program, for CTest, and looks at what it leaves behind:
#
#   run_one.sh PROGRAM [ARGUMENT...]          a Criterion program
#   run_one.sh --plain PROGRAM [ARGUMENT...]  any other; it counts as one test
#
# Beside the program's own verdict, it fails when a Criterion program ran no
# test, when a sanitizer reported anything, in a daemon too (Criterion's children
# leak unseen, for it forks), and when a process or a file stays behind. What
# stays is removed. The program runs in a session and a TMPDIR of its own.
#
# RESTANTE_TEST_TALLY names a file that gets a line "passed failed program".
# RESTANTE_TEST_TIMEOUT_S is how long the program may take (280).
set -uo pipefail

plain=
if [[ ${1:-} == --plain ]]; then
	plain=yes
	shift
fi
if (($# == 0)); then
	echo "usage: $0 [--plain] PROGRAM [ARGUMENT...]" >&2
	exit 2
fi

name=${1##*/}
work=$(mktemp -d "${TMPDIR:-/tmp}/rs-one-XXXXXX") || exit 1
# A daemon started as root becomes nobody, and must still find the way to the
# sanitizer's log.
mkdir -m 1777 "$work/t" "$work/san" && chmod 711 "$work" && chmod 1777 "$work/t" "$work/san" || exit 1

export RESTANTE_TEST_WORK=$work
export ASAN_OPTIONS="detect_leaks=1:halt_on_error=1:log_path=$work/san/log${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
export UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1:log_path=$work/san/log${UBSAN_OPTIONS:+:$UBSAN_OPTIONS}"
trouble=0

complain()
{
	printf 'run_one: %s: %s\n' "$name" "$1"
	trouble=1
}

# Processes of the test's session, and those that left it but have its mark in
# their environment. Zombies do not count, nor does what this script runs itself.
left_running()
{
	local stat pid rest marked
	marked=$(grep -lzxsF "RESTANTE_TEST_WORK=$work" /proc/[0-9]*/environ)
	for stat in /proc/[0-9]*/stat; do
		{ read -r rest <"$stat"; } 2>/dev/null || continue
		pid=${stat#/proc/}
		pid=${pid%/stat}
		read -ra rest <<<"${rest##*) }" # state ppid pgrp session ...
		[[ ${rest[0]} != [ZX] && ${rest[3]} != "$own_session" ]] || continue
		if [[ ${rest[3]} == "$session" || $'\n'$marked$'\n' == *$'\n'/proc/$pid/environ$'\n'* ]]; then
			echo "$pid"
		fi
	done
}

kill_left()
{
	local pid
	for pid in $(left_running); do
		kill -KILL "$pid" 2>/dev/null
	done
}

# The dying get a moment: a child whose parent ended is killed by the kernel, soon.
check_processes()
{
	local pid left until=$((SECONDS + 2))
	left=$(left_running)
	while [[ -n $left ]] && ((SECONDS < until)); do
		sleep 0.02
		left=$(left_running)
	done
	for pid in $left; do
		complain "left a process behind: $pid $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null)"
	done
	kill_left
}

check_files()
{
	local left
	left=$(find "$work/t" -mindepth 1 -printf '%P ')
	[[ -z $left ]] || complain "left files behind: $left"
}

# What counts of a sanitizer's report. Not: the remark that a thread was not
# suspended, and what libcriterion itself allocated and did not free. A leak of
# ours has a caller of ours.
own_faults() # REPORT
{
	awk '
	/^$|^=+$|was not suspended|ERROR: LeakSanitizer: detected memory leaks/ { next }
	/^SUMMARY: AddressSanitizer: .* leaked/ { next }
	/^(Direct|Indirect) leak of / { block = $0; next }
	block != "" && /^ *#0 / { next }
	block != "" && /^ *#1 / { if (!/lib(criterion|boxfort|nanomsg)\.so/) print block; block = ""; leak = 1; next }
	leak && /^ *#/ { next }
	{ print }
	END { if (block != "") print block }' "$1"
}

check_sanitizers()
{
	local report
	for report in "$work"/san/*; do
		[[ -e $report && -n $(own_faults "$report") ]] || continue
		complain "a sanitizer reported:"
		cat "$report"
	done
}

# The sanitizer's exit status for a leak, and nothing but libcriterion's to it.
is_excused()
{
	((status == 1 && trouble == 0)) && grep -qs 'LeakSanitizer: detected' "$work"/san/*
}

# Criterion's closing line: Tested: 12 | Passing: 12 | Failing: 0 | Crashing: 0
count_criterion()
{
	local line tested failing crashing
	line=$(sed 's/\x1b\[[0-9;]*m//g' "$work/out" | grep -E 'Synthesis: Tested: [0-9]+' | tail -n 1)
	if [[ ! $line =~ Tested:\ ([0-9]+)\ .*Passing:\ ([0-9]+)\ .*Failing:\ ([0-9]+)\ .*Crashing:\ ([0-9]+) ]]; then
		complain "ended without Criterion's closing line"
		return
	fi
	tested=${BASH_REMATCH[1]} passed=${BASH_REMATCH[2]}
	failing=${BASH_REMATCH[3]} crashing=${BASH_REMATCH[4]}
	failed=$((failing + crashing))
	((tested > 0)) || complain "ran no test"
}

clean_up()
{
	kill_left
	rm -rf "$work"
}

read -ra own_stat <<<"$(sed 's/.*) //' /proc/$$/stat)"
own_session=${own_stat[3]}
session=-1
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

TMPDIR=$work/t setsid timeout -k 5 "${RESTANTE_TEST_TIMEOUT_S:-280}" "$@" >"$work/out" 2>&1 </dev/null &
session=$!
wait "$session"
status=$?

cat "$work/out"
passed=0 failed=0
check_sanitizers
if [[ $plain ]]; then
	((status == 0)) && passed=1 || failed=1
else
	count_criterion
fi
((status != 124 && status != 137)) || complain "took longer than it may, and was ended"
((status == 0 || failed > 0)) || is_excused || complain "ended with status $status"
check_processes
check_files
((trouble == 0 || failed > 0)) || failed=1
[[ ! ${RESTANTE_TEST_TALLY:-} ]] || printf '%d %d %s\n' "$passed" "$failed" "$*" >>"$RESTANTE_TEST_TALLY"
((failed == 0))
