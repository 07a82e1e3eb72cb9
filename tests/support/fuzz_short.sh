#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# One fuzz target for the tests: every input of its corpus once, then a few seconds of
# new ones. What is found goes to FINDINGS. For run_tests.sh.
#
#   fuzz_short.sh PROGRAM CORPUS FINDINGS SECONDS
#
# RESTANTE_TEST_TALLY: the file that gets a line "passed failed name".
set -uo pipefail
program=$1 corpus=$2 findings=$3 seconds=$4
name=${program##*/fuzz_}
work=$(mktemp -d "${TMPDIR:-/tmp}/rs-one-XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 143' TERM INT HUP
mkdir -p "$work/new" "$findings"
dict=${corpus%/corpus/*}/$name.dict
began=$SECONDS
TMPDIR=$work "$program" -max_total_time="$seconds" -max_len=4096 -timeout=20 -rss_limit_mb=2048 \
	"-artifact_prefix=$findings/$name-" $([[ ! -f $dict ]] || echo "-dict=$dict") \
	"$work/new" "$corpus" >"$work/out" 2>&1 </dev/null &
wait $!
status=$?
((status != 143)) || exit 143
if ((status == 0)); then
	printf '      fuzz/%-28s Passed %4d s\n' "$name" $((SECONDS - began))
	passed=1 failed=0
else
	printf '      fuzz/%-28s Failed: %s\n' "$name" "$(sed -n 's/.*Test unit written to //p' "$work/out" | tail -n 1)"
	grep -aE '^fuzz: |ERROR|runtime error|/(libshared|services|tests)/|^SUMMARY' "$work/out" | head -n 30
	passed=0 failed=1
fi
[[ ! ${RESTANTE_TEST_TALLY:-} ]] || printf '%d %d fuzz/%s\n' $passed $failed "$name" >>"$RESTANTE_TEST_TALLY"
((failed == 0))
