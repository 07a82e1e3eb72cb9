#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Sees that run_one.sh finds what it is there to find. Each case is a small
# program in place of a test.
set -uo pipefail
run_one=$(dirname "$(readlink -f "$0")")/run_one.sh
dir=$(mktemp -d "${TMPDIR:-/tmp}/rs-run-one-XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
wrong=0

synthesis() # TESTED PASSING FAILING CRASHING
{
	printf "echo '[====] Synthesis: Tested: %s | Passing: %s | Failing: %s | Crashing: %s'" "$@"
}

# TITLE EXPECTED-STATUS EXPECTED-TALLY EXPECTED-WORDS PROGRAM [--plain]
check()
{
	local said status tally
	rm -f "$dir/tally"
	printf '#!/bin/bash\n%s\n' "$5" >"$dir/program"
	chmod +x "$dir/program"
	said=$(TMPDIR=$dir RESTANTE_TEST_TALLY=$dir/tally RESTANTE_TEST_TIMEOUT_S=2 \
		"$run_one" ${6:-} "$dir/program" 2>&1)
	status=$?
	read -r tally <"$dir/tally"
	if [[ $status != "$2" || $tally != "$3 "* || $said != *"$4"* ]]; then
		printf '%s: status %s, tally "%s", said:\n%s\n' "$1" "$status" "$tally" "$said"
		wrong=1
	fi
	if compgen -G "$dir/rs-one-*" >/dev/null; then
		printf '%s: its folder is still there\n' "$1"
		wrong=1
	fi
}

ok=$(synthesis 3 3 0 0)
check "all pass" 0 "3 0" "Synthesis" "$ok"
check "two failures and a crash" 1 "4 3" "Crashing: 1" "$(synthesis 7 4 2 1); exit 1"
check "no test" 1 "0 1" "ran no test" "$(synthesis 0 0 0 0)"
check "no closing line" 1 "0 1" "without Criterion" "exit 0"
check "status against the count" 1 "3 1" "ended with status 7" "$ok; exit 7"
check "sanitizer report" 1 "3 1" "LeakSanitizer: 8 bytes" \
	"$ok; log=\${ASAN_OPTIONS#*log_path=}; echo 'LeakSanitizer: 8 bytes' >\${log%%:*}.1"
leak="==1==ERROR: LeakSanitizer: detected memory leaks\\n\\nDirect leak of 48 byte(s)\\n    #0 0x7 in calloc\\n"
report="log=\${ASAN_OPTIONS#*log_path=}; log=\${log%%:*}.1"
check "a leak of libcriterion" 0 "3 0" "" \
	"$ok; $report; printf '$leak    #1 0x7 (/lib/libcriterion.so.3+0x1)\n' >\$log; exit 1"
check "a leak of ours under libcriterion" 1 "3 1" "48 byte" \
	"$ok; $report; printf '$leak    #1 0x7 in f t.c:1\n    #2 0x7 (/lib/libcriterion.so.3)\n' >\$log; exit 1"
check "file left" 1 "3 1" "left files behind: x" "$ok; touch \$TMPDIR/x"
check "process left" 1 "3 1" "left a process behind" "$ok; sleep 60 & disown"
check "process left in another session" 1 "3 1" "left a process behind" "$ok; setsid sleep 60 & sleep 0.1"
check "too slow" 1 "0 1" "took longer" "sleep 60"
check "plain, good" 0 "1 0" "hello" "echo hello" --plain
check "plain, bad" 1 "0 1" "" "exit 3" --plain

((wrong == 0)) && echo "run_one.sh finds all that it should"
exit $wrong
