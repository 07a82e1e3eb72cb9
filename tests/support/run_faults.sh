# SPDX-License-Identifier: Apache-2.0
# ./run faults: are the tests worth anything? Each file of tests/faults/ is a patch
# that breaks one promise, and names in its head the tests that must turn red:
#
#   A sentence on what the fault does.
#   Breaks: the place in the documents
#   Caught by: unit/session/replay sim
#
# All of them must, each by itself; `sim` is the simulator over fault_seeds. First
# all these tests must be green without a fault, or "caught" would mean nothing.
#
# For bash; `run` sources it. All that is written is below build-faults/: a copy of
# the sources, in which one fault at a time stands, and what is built of it. No
# sanitizers there: a test has to notice a fault by what it checks.

fault_dir=$here/build-faults
fault_src=$fault_dir/src
fault_build=$fault_dir/build
fault_seeds=1-1000
fault_limit_s=120   # for one test program, or the simulator
fault_tmp=
fault_pid=          # of the test that runs
fault_seen=         # what a red test said
fault_total=0
fault_missed=()

end_faults()
{
	local code=$?
	trap '' INT TERM HUP
	if [[ -n $fault_pid ]]; then
		kill -TERM "$fault_pid" 2>/dev/null || true
		wait "$fault_pid" 2>/dev/null || true
	fi
	[[ -z $fault_tmp ]] || rm -rf "$fault_tmp"
	exit "$code"
}

# Makes the copy equal to the sources. What is equal keeps its time, so that it is
# not built again; what is not gets a new one, also when it goes back to what it was.
sync_sources()
{
	local file
	local -a wanted
	mkdir -p "$fault_src"
	mapfile -t wanted < <(cd "$here" && find CMakeLists.txt libshared services lua tests \
		\( -path tests/faults -o -path tests/fuzz \) -prune -o -type f -print)
	for file in "${wanted[@]}"; do
		cmp -s "$here/$file" "$fault_src/$file" && continue
		mkdir -p "$(dirname "$fault_src/$file")"
		cp --preserve=mode "$here/$file" "$fault_src/$file"
	done
	(cd "$fault_src" && find . -type f -printf '%P\n') | sort |
		comm -23 - <(printf '%s\n' "${wanted[@]}" | sort) |
		while IFS= read -r file; do rm -f "$fault_src/$file"; done
}

configure_faults()
{
	local -a launcher=()
	! command -v ccache >/dev/null || launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache)
	[[ -f $fault_build/build.ninja ]] && grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$fault_src" \
		"$fault_build/CMakeCache.txt" && return
	rm -rf "$fault_build"
	cmake -G Ninja -S "$fault_src" -B "$fault_build" -DCMAKE_BUILD_TYPE=Debug \
		-DCMAKE_C_FLAGS_DEBUG=-O1 -DRESTANTE_WERROR=ON "${launcher[@]}" >"$fault_dir/run.log" 2>&1
}

# The names of the tests that must catch it.
catchers_of() # FAULT
{
	sed -n '/^--- /q; s/^Caught by: *//p' "$here/tests/faults/$1.patch"
}

fault_program() # unit/session/replay
{
	if [[ $1 == sim ]]; then
		echo sim_seeds
	else
		echo "test_${1//\//_}"
	fi
}

build_fault() # TEST...
{
	local test
	local -a programs=()
	for test in "$@"; do
		programs+=("$(fault_program "$test")")
		# These start the programs themselves.
		[[ $test != integration/* ]] || programs+=(restante restante-dc restante-mb restante-lb)
	done
	ninja -j 2 -C "$fault_build" "${programs[@]}" >"$fault_dir/run.log" 2>&1 8>&-
}

# The case a red test fails in, or how it ended.
first_red_case() # OUTPUT
{
	local name
	name=$(sed 's/\x1b\[[0-9;]*m//g' "$1" | sed -n 's/^\[FAIL\] *[a-z_]*::\([a-z0-9_]*\).*/\1/p' | head -n 1)
	echo "${name:-$(tail -n 1 "$1")}"
}

# True if this test fails; what it said goes to fault_seen.
turns_red() # TEST
{
	local status=0 out=$fault_tmp/out
	if [[ $1 == sim ]]; then
		sim_turns_red
		return
	fi
	TMPDIR=$fault_tmp RESTANTE_TEST_TIMEOUT_S=$fault_limit_s "$fault_src/tests/support/run_one.sh" \
		"$fault_build/tests/bin/$(fault_program "$1")" >"$out" 2>&1 8>&- &
	fault_pid=$!
	wait "$fault_pid" || status=$?
	fault_pid=
	fault_seen="$1: $(first_red_case "$out")"
	((status != 0))
}

# The first seed that fails is enough. Its processes end with it.
sim_turns_red()
{
	local line=
	exec 7< <(exec "$fault_build/tests/bin/sim_seeds" "$fault_seeds" 2>/dev/null 8>&-)
	fault_pid=$!
	IFS= read -r -t "$fault_limit_s" line <&7 || true
	kill -KILL "$fault_pid" 2>/dev/null || true
	wait "$fault_pid" 2>/dev/null || true
	fault_pid=
	exec 7<&-
	line=${line%%; again:*}
	fault_seen="sim: ${line:-did not come to an end}"
	[[ $line != *" passed, 0 failed" ]]
}

check_without_fault() # FAULT...
{
	local fault test
	local -a tests
	mapfile -t tests < <(for fault in "$@"; do catchers_of "$fault" | tr ' ' '\n'; done | sort -u)
	if ! build_fault "${tests[@]}"; then
		tail -n 20 "$fault_dir/run.log" >&2
		die "the tests do not build without a fault (all it said: $fault_dir/run.log)"
	fi
	for test in "${tests[@]}"; do
		! turns_red "$test" || die "red without a fault, so nothing would mean anything: $fault_seen"
	done
}

# One line of the table; false: not caught, or not even tried.
try_fault() # FAULT
{
	local test caught= missed= began=${EPOCHREALTIME//[.,]/}
	local patch=$here/tests/faults/$1.patch
	local -a tests
	read -ra tests <<<"$(catchers_of "$1")"
	if ((${#tests[@]} == 0)); then
		missed="has no line 'Caught by:'"
	elif ! patch -p1 -f -s --dry-run -d "$fault_src" <"$patch" >"$fault_dir/run.log" 2>&1; then
		missed="no longer applies: tests/faults/$1.patch"
	else
		patch -p1 -f -s --no-backup-if-mismatch -d "$fault_src" <"$patch" >/dev/null
		if ! build_fault "${tests[@]}"; then
			missed="does not build: $(grep -m 1 -E 'error:|unknown target' "$fault_dir/run.log" || true)"
		else
			for test in "${tests[@]}"; do
				if turns_red "$test"; then
					caught+="${caught:+, }$fault_seen"
				else
					missed+="${missed:+, }NOT CAUGHT by $test"
				fi
			done
		fi
		patch -p1 -f -s -R --no-backup-if-mismatch -d "$fault_src" <"$patch" >/dev/null
	fi
	printf '%-30s %5.1f  %s\n' "$1" "$(((${EPOCHREALTIME//[.,]/} - began) / 100000))e-1" \
		"$missed${missed:+${caught:+, }}$caught"
	[[ -z $missed ]]
}

run_faults()
{
	local fault file began=$SECONDS
	local -a all=()
	for file in "$here"/tests/faults/*.patch; do
		fault=${file##*/}
		all+=("${fault%.patch}")
	done
	for fault in "$@"; do
		[[ -f $here/tests/faults/$fault.patch ]] || die "there is no fault $fault; these there are: ${all[*]}"
	done
	(($# == 0)) || all=("$@")
	forget_settings
	catch_signals
	install_missing "${build_packages[@]}" redis-server libcriterion-dev patch
	mkdir -p "$fault_dir"
	exec 8>>"$fault_dir/.run.lock"
	flock 8
	trap end_faults EXIT
	fault_tmp=$(mktemp -d "${TMPDIR:-/tmp}/rs-faults-XXXXXX")
	chmod 711 "$fault_tmp"
	say "building into ${fault_dir##*/}, and running the tests without a fault"
	sync_sources
	configure_faults || die "cmake failed (all it said: $fault_dir/run.log)"
	check_without_fault "${all[@]}"
	printf '%-30s %5s  %s\n' fault s "caught by"
	for fault in "${all[@]}"; do
		fault_total=$((fault_total + 1))
		try_fault "$fault" || fault_missed+=("$fault")
	done
	printf '%d faults in %d s, %d caught\n' "$fault_total" $((SECONDS - began)) \
		$((fault_total - ${#fault_missed[@]}))
	((${#fault_missed[@]} == 0)) || die "not caught: ${fault_missed[*]}"
}
