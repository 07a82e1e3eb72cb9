# SPDX-License-Identifier: Apache-2.0
# ./run sim: builds the simulator, optimised and in its own folder, and runs a
# range of seeds. For bash; `run` sources it.

run_sim()
{
	local dir=$here/build-sim seeds=
	local -a arguments=()
	while (($# > 0)); do
		case $1 in
		--seeds) seeds=${2:-}; shift $(($# > 1)) ;;
		--seeds=*) seeds=${1#*=} ;;
		--jobs) arguments+=(--jobs "${2:-}"); shift $(($# > 1)) ;;
		--jobs=*) arguments+=(--jobs "${1#*=}") ;;
		--trace) arguments+=(--trace) ;;
		*) say "run: sim knows no $1"; usage >&2; exit 2 ;;
		esac
		shift
	done
	[[ $seeds =~ ^[0-9]+-[0-9]+$ ]] || { say "run: sim wants --seeds A-B"; exit 2; }
	catch_signals
	install_missing "${build_packages[@]}" libcriterion-dev
	mkdir -p "$dir"
	exec 8>>"$dir/.run.lock"
	flock 8
	if ! configure "$dir" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DRESTANTE_TESTS=ON ||
		! cmake --build "$dir" --target sim_seeds >"$dir/run.log" 2>&1; then
		tail -n 20 "$dir/run.log" >&2
		die "the build failed (all it said: $dir/run.log)"
	fi
	exec 8>&-
	exec "$dir/tests/bin/sim_seeds" "$seeds" "${arguments[@]}"
}
