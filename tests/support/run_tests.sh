# SPDX-License-Identifier: Apache-2.0
# ./run test: builds and runs the tests, and counts them. For bash; `run` sources
# it. What each test program leaves behind is looked at by run_one.sh, what the
# whole run leaves by end_test.

. "$here/tests/support/run_fuzz.sh"

passed=0
failed=0
fuzz_seconds=3      # of new inputs for each fuzz target
test_tmp=
ctest_pid=          # while it runs; also the id of its process group

# CTest and the run_one.sh of each test, which end what they started.
end_ctest()
{
	local until=$((SECONDS + 10))
	[[ -n $ctest_pid ]] || return 0
	kill -TERM -- "-$ctest_pid" 2>/dev/null || true
	wait "$ctest_pid" 2>/dev/null || true
	while compgen -G "$test_tmp/rs-one-*" >/dev/null && ((SECONDS < until)); do
		sleep 0.1
	done
}

end_test()
{
	local code=$? left
	trap '' INT TERM HUP
	end_ctest
	if [[ -n $test_tmp ]]; then
		rm -f "$test_tmp/tally"
		left=$(find "$test_tmp" -mindepth 1 -printf '%P ' 2>/dev/null || true)
		rm -rf "$test_tmp"
		if [[ -n $left && $code -le 128 ]]; then
			say "run: the tests left files behind: $left"
			failed=$((failed + 1))
		fi
	fi
	printf '%d passed, %d failed\n' "$passed" "$failed"
	((code != 0 || failed == 0)) || code=1
	exit "$code"
}

# Adds what run_one.sh wrote down. CTest's verdict counts when it has more to
# complain of, such as a test that could not be started.
count_tests() # TALLY CTEST-STATUS
{
	local good bad name failed_before=$failed
	while read -r good bad name; do
		passed=$((passed + good))
		failed=$((failed + bad))
	done <"$1"
	(($2 == 0 || failed > failed_before)) || failed=$((failed + 1))
}

# Builds in its own folder, and runs what matches there.
test_pass() # COMPILER SANITIZERS-OR-EMPTY FILTER
{
	local dir=$here/build-$1${2:+-asan} type=RelWithDebInfo status=0
	local -a launcher=() select=()
	[[ -z $2 ]] || type=Debug
	[[ -z $3 ]] || select=(-R "$3")
	! command -v ccache >/dev/null || launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache)
	say "== $1${2:+, $2 sanitizers}: building into ${dir##*/}"
	if ! build_in "$dir" -DCMAKE_C_COMPILER="$1" -DCMAKE_BUILD_TYPE=$type -DRESTANTE_SANITIZE="$2" \
		-DCMAKE_C_FLAGS_DEBUG="-O1 -g" -DRESTANTE_TESTS=ON -DRESTANTE_WERROR=ON "${launcher[@]}"; then
		failed=$((failed + 1))
		return 0
	fi
	if [[ $(cd "$dir" && ctest -N "${select[@]}" | sed -n 's/^Total Tests: //p') == 0 ]]; then
		[[ -z $(fuzz_matching "$3") ]] || return 0
		say "run: no test has a name that matches \"$3\"; these there are:"
		(cd "$dir" && ctest -N | sed -n 's/^ *Test *#[0-9]*: /  /p') >&2
		exit 1
	fi
	: >"$test_tmp/tally"
	(cd "$dir" && TMPDIR=$test_tmp RESTANTE_TEST_TALLY=$test_tmp/tally \
		exec setsid ctest -j 2 --output-on-failure --no-tests=error "${select[@]}") &
	ctest_pid=$!
	wait "$ctest_pid" || status=$?
	ctest_pid=
	count_tests "$test_tmp/tally" "$status"
}

# The fuzz targets whose test, fuzz/NAME, the filter matches.
fuzz_matching() # FILTER
{
	local name
	for name in $(fuzz_names); do
		[[ ! fuzz/$name =~ $1 ]] || echo "$name"
	done
}

# A short round of each: two at a time.
fuzz_pass() # FILTER
{
	local name status=0
	local -a names
	mapfile -t names < <(fuzz_matching "$1")
	((${#names[@]} > 0)) || return 0
	say "== fuzz targets, $fuzz_seconds s each: building into ${fuzz_dir##*/}"
	if ! fuzz_build_targets; then
		failed=$((failed + 1))
		return 0
	fi
	: >"$test_tmp/tally"
	printf '%s\n' "${names[@]}" | TMPDIR=$test_tmp RESTANTE_TEST_TALLY=$test_tmp/tally \
		setsid xargs -P 2 -I NAME "$here/tests/support/fuzz_short.sh" "$fuzz_dir/fuzz/fuzz_NAME" \
		"$fuzz_source/corpus/NAME" "$fuzz_dir/findings" "$fuzz_seconds" &
	ctest_pid=$!
	wait "$ctest_pid" || status=$?
	ctest_pid=
	count_tests "$test_tmp/tally" "$status"
}

run_tests()
{
	local filter='' compiler='' sanitize=''
	while (($# > 0)); do
		case $1 in
		--compiler) compiler=${2:-}; shift ;;
		--compiler=*) compiler=${1#*=} ;;
		--sanitize) sanitize=address,undefined ;;
		-*) say "run: test knows no $1"; usage >&2; exit 2 ;;
		*) [[ -z $filter ]] || { say "run: test takes one filter"; exit 2; }; filter=$1 ;;
		esac
		shift
	done
	[[ $compiler =~ ^(gcc|clang|)$ ]] || { say "run: --compiler is gcc or clang"; exit 2; }
	forget_settings
	catch_signals
	install_missing "${build_packages[@]}" "${stack_packages[@]}" "${test_packages[@]}" "${fuzz_packages[@]}"
	test_tmp=$(mktemp -d "${TMPDIR:-/tmp}/rs-run-XXXXXX")
	chmod 711 "$test_tmp"
	trap end_test EXIT
	if [[ $filter == fuzz* && -n $(fuzz_matching "$filter") ]]; then
		fuzz_pass "$filter"
	elif [[ -n $compiler ]]; then
		test_pass "$compiler" "$sanitize" "$filter"
	else
		test_pass gcc address,undefined "$filter"
		[[ -n $sanitize ]] || test_pass clang '' "$filter"
		fuzz_pass "$filter"
	fi
}
