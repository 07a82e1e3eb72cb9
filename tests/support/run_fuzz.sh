# SPDX-License-Identifier: Apache-2.0
# ./run fuzz: builds the fuzz targets of tests/fuzz, runs them, and measures what their
# corpora reach. For bash; `run` sources it.
#
#   tests/fuzz/corpus/NAME       inputs that every run begins with, part of the source
#   build-fuzz/corpus/NAME       what runs of this folder found besides
#   build-fuzz/findings/NAME-*   inputs that showed a fault; nothing else goes there

fuzz_dir=$here/build-fuzz
fuzz_source=$here/tests/fuzz
fuzz_files_max=200
fuzz_bytes_max=204800

# What reads bytes from outside, for --coverage. A name with a slash at its end: all in it.
fuzz_decoders=(
	libshared/wire/
	libshared/base/addr.c libshared/base/items.c libshared/base/name.c libshared/base/prefixes.c libshared/base/ulid.c
	libshared/base/utf8.c
	libshared/session/balancer.c libshared/session/client_hello.c libshared/session/client_session.c
	libshared/session/cookie.c libshared/session/gate.c libshared/session/inbox.c libshared/session/keys.c
	libshared/session/outbox.c libshared/session/replay.c libshared/session/seen.c
	libshared/session/server.c libshared/session/server_frames.c libshared/session/server_hello.c
	libshared/net/link.c
	libshared/rds/reply.c
	libshared/app/config.c libshared/app/config_file.c libshared/app/hub.c libshared/app/member.c
	libshared/app/prefix_file.c libshared/app/registry_watch.c libshared/app/setting.c libshared/app/topics.c
	libshared/client/options.c
	services/dc/auth.c services/dc/bodies.c services/dc/broadcast.c services/dc/conn.c services/dc/delivery.c
	services/dc/ended.c services/dc/fan_ask.c services/dc/fan_claim.c services/dc/fan_job.c services/dc/fan_launch.c
	services/dc/fan_list.c services/dc/fan_topic.c
	services/dc/many.c services/dc/owed.c services/dc/page.c services/dc/place.c services/dc/presence.c
	services/dc/presence_list.c services/dc/receipt.c services/dc/receipts.c services/dc/request.c services/dc/status.c
	services/dc/storage.c services/dc/store.c services/dc/subscribe.c services/dc/watch.c services/dc/withdraw.c
	services/lb/choose.c services/lb/table.c
	services/mb/auth_redis.c services/mb/broadcast.c services/mb/delivery.c services/mb/lease.c services/mb/login.c
	services/mb/request.c
	services/cli/cmd_broadcast.c services/cli/cmd_presence.c services/cli/cmd_queue.c services/cli/cmd_receipts.c
	services/cli/cmd_topics.c services/cli/doctor_redis.c services/cli/follow.c services/cli/option.c
	services/cli/textclient.c
)

fuzz_names()
{
	local file
	for file in "$fuzz_source"/fuzz_*.c; do
		file=${file##*/fuzz_}
		echo "${file%.c}"
	done
}

# The first sentence of the comment at its head, as far as a line goes.
fuzz_about() # NAME
{
	awk 'NR > 1 { sub(/^\/?\* ?/, ""); sub(/^ \* ?/, ""); text = text (text ? " " : "") $0 }
		/\*\/$/ && NR > 1 { exit }
		END { sub(/ ?\*\/$/, "", text); sub(/[.:] .*/, "", text); sub(/\.$/, "", text); print substr(text, 1, 90) }' \
		"$fuzz_source/fuzz_$1.c"
}

fuzz_list()
{
	local name
	echo "./run fuzz NAME SECONDS looks for inputs that break one of these, or all:"
	echo
	for name in $(fuzz_names); do
		printf '  %-18s %s\n' "$name" "$(fuzz_about "$name")"
	done
}

fuzz_check_name() # NAME
{
	[[ -n $1 && -f $fuzz_source/fuzz_$1.c ]] || { say "run: there is no fuzz target ${1:-}"; fuzz_list >&2; exit 2; }
}

fuzz_build() # FOLDER CMAKE-ARGUMENT...
{
	local dir=$1
	local -a launcher=()
	shift
	! command -v ccache >/dev/null || launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache)
	build_in "$dir" -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG="-O1 -g" \
		-DRESTANTE_FUZZ=ON -DRESTANTE_TESTS=OFF "${launcher[@]}" "$@"
}

fuzz_build_targets()
{
	fuzz_build "$fuzz_dir" -DRESTANTE_SANITIZE=address,undefined
}

# Options for libFuzzer that follow from the target.
fuzz_options() # NAME
{
	echo -max_len=20000 -timeout=20 -rss_limit_mb=2048 "-artifact_prefix=$fuzz_dir/findings/$1-"
	[[ ! -f $fuzz_source/$1.dict ]] || echo "-dict=$fuzz_source/$1.dict"
}

fuzz_run() # NAME SECONDS
{
	local name=$1 log=$fuzz_dir/findings/$1.log status=0
	mkdir -p "$fuzz_dir"/{corpus/"$name",findings} "$fuzz_source/corpus/$name"
	# shellcheck disable=SC2046
	"$fuzz_dir/fuzz/fuzz_$name" $(fuzz_options "$name") -max_total_time="$2" -print_final_stats=1 \
		"$fuzz_dir/corpus/$name" "$fuzz_source/corpus/$name" >"$log" 2>&1 || status=$?
	if ((status == 0)); then
		say "$name: nothing found; $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs," \
			"$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log") a second"
		return 0
	fi
	grep -aE "^fuzz: |ERROR|runtime error|$here/[ls]|^SUMMARY" "$log" | head -n 30 >&2 || true
	say "run: $name found something: $(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1) (all it said: $log)"
	return 1
}

fuzz_run_all() # SECONDS
{
	local name status=0
	for name in $(fuzz_names); do
		while (($(jobs -rp | wc -l) >= $(nproc))); do
			wait -n || status=1
		done
		fuzz_run "$name" "$1" &
	done
	while (($(jobs -p | wc -l) > 0)); do
		wait -n || status=1
	done
	return $status
}

# Brings what reaches new code into the source, smallest first; how often code is reached
# does not count, or the corpora would grow without end.
fuzz_merge() # NAME
{
	local dir=$fuzz_source/corpus/$1 before after bytes
	mkdir -p "$dir" "$fuzz_dir/corpus/$1" "$fuzz_dir/findings"
	before=$(find "$dir" -type f | wc -l)
	"$fuzz_dir/fuzz/fuzz_$1" -merge=1 -use_counters=0 -rss_limit_mb=2048 "$dir" "$fuzz_dir/corpus/$1" \
		>"$fuzz_dir/findings/$1.log" 2>&1 || die "$1: the merge failed (all it said: $fuzz_dir/findings/$1.log)"
	after=$(find "$dir" -type f | wc -l)
	bytes=$(find "$dir" -type f -printf '%s\n' | awk '{ n += $1 } END { print n + 0 }')
	say "$1: $((after - before)) inputs are new, $after in all, $bytes bytes"
	((after <= fuzz_files_max && bytes <= fuzz_bytes_max)) ||
		say "run: that is more than $fuzz_files_max files or $fuzz_bytes_max bytes; see what can go"
}

fuzz_coverage()
{
	local dir=$here/build-fuzz-coverage name file
	local -a profiles=() objects=() sources=()
	fuzz_build "$dir" -DRESTANTE_COVERAGE=ON -DRESTANTE_SANITIZE= || exit 1
	rm -rf "$dir/profiles"
	mkdir -p "$dir/profiles"
	for name in $(fuzz_names); do
		LLVM_PROFILE_FILE=$dir/profiles/$name.profraw "$dir/fuzz/fuzz_$name" -runs=0 \
			"-artifact_prefix=$dir/profiles/$name-" "$fuzz_source/corpus/$name" >"$dir/profiles/$name.log" 2>&1 ||
			die "$name: an input of its corpus fails (all it said: $dir/profiles/$name.log)"
		profiles+=("$dir/profiles/$name.profraw")
		objects+=(-object "$dir/fuzz/fuzz_$name")
	done
	llvm-profdata merge -sparse "${profiles[@]}" -o "$dir/profiles/all.profdata"
	for file in "${fuzz_decoders[@]}"; do
		[[ $file == */ ]] && sources+=("$here/$file"*.c) || sources+=("$here/$file")
	done
	llvm-cov export -summary-only "${objects[@]:1}" -instr-profile="$dir/profiles/all.profdata" "${sources[@]}" \
		>"$dir/profiles/all.json" 2>"$dir/profiles/llvm-cov.log"
	python3 - "$here" "$dir/profiles/all.json" <<-'PYTHON'
		import json, sys
		data = json.load(open(sys.argv[2]))["data"][0]
		for f in sorted(data["files"], key=lambda f: f["filename"]):
		    n = f["summary"]["lines"]
		    print("%6.2f %%  %5d of %5d  %s" % (n["percent"], n["covered"], n["count"],
		                                       f["filename"][len(sys.argv[1]) + 1:]))
		n = data["totals"]["lines"]
		print("%6.2f %%  %5d of %5d  lines of the decoders in all" % (n["percent"], n["covered"], n["count"]))
	PYTHON
	say "line by line: llvm-cov show ${objects[1]#"$here"/} ... -instr-profile=${dir#"$here"/}/profiles/all.profdata FILE"
}

run_fuzz()
{
	local how=${1:-}
	[[ $how ]] || { fuzz_list; return 0; }
	case $how in
	--coverage | --merge) shift ;;
	-*) say "run: fuzz knows no $how"; usage >&2; exit 2 ;;
	*) [[ ${2:-} =~ ^[0-9]+$ && $# == 2 ]] || { say "run: fuzz wants: NAME SECONDS"; exit 2; } ;;
	esac
	[[ $how == --coverage || $how == all ]] || fuzz_check_name "${1:-}"
	forget_settings
	catch_signals
	install_missing "${build_packages[@]}" "${fuzz_packages[@]}"
	case $how in
	--coverage) fuzz_coverage ;;
	--merge) fuzz_build_targets && fuzz_merge "$1" ;;
	all) fuzz_build_targets && fuzz_run_all "$2" ;;
	*) fuzz_build_targets && fuzz_run "$1" "$2" ;;
	esac
}
