# SPDX-License-Identifier: Apache-2.0
# ./run curve: throughput with one Data Center and one broker, with two of each, and
# so on, on one machine: each daemon may use a twentieth of a core, Redis half of one,
# as if they were small hosts of their own. Needs root, for the kernel's quotas
# (control groups). For bash; `run` sources it.

curve_daemon_percent=5
curve_redis_percent=50
curve_period_us=20000
curve_groups=()

# A control group that may use so much of a core, with this process in it.
limit() # NAME PERCENT
{
	local name=restante-curve-$1 quota=$((curve_period_us * $2 / 100)) group
	if [[ -f /sys/fs/cgroup/cgroup.controllers ]]; then
		group=/sys/fs/cgroup/$name
		echo +cpu >/sys/fs/cgroup/cgroup.subtree_control && mkdir -p "$group" &&
			echo "$quota $curve_period_us" >"$group/cpu.max"
	else
		group=/sys/fs/cgroup/cpu/$name
		mkdir -p "$group" && echo $curve_period_us >"$group/cpu.cfs_period_us" &&
			echo $quota >"$group/cpu.cfs_quota_us"
	fi || die "no control group with a quota can be made; ./run curve needs root and the cpu controller"
	curve_groups+=("$group")
	echo "${pid_of[$1]}" >"$group/cgroup.procs"
}

end_curve()
{
	local code=$? i
	trap '' INT TERM HUP
	for ((i = ${#names[@]} - 1; i >= 0; i--)); do
		stop "${names[i]}"
	done
	((${#curve_groups[@]} == 0)) || rmdir "${curve_groups[@]}" 2>/dev/null || true
	((code != 0)) || rm -rf "$state"
	exit "$code"
}

add_pair() # NUMBER
{
	start_daemon "dc$1" restante-dc $((7180 + $1)) --listen-apps 127.0.0.1:$((7100 + 2 * $1)) \
		--listen-brokers 127.0.0.1:$((7101 + 2 * $1)) --durability memory
	wait_ready "dc$1" ask_ready $((7180 + $1))
	start_daemon "mb$1" restante-mb $((7280 + $1)) --listen-clients 127.0.0.1:$((7200 + $1)) \
		--key-file "$state/keys/mb$1.key"
	wait_ready "mb$1" ask_ready $((7280 + $1))
	limit "dc$1" $curve_daemon_percent
	limit "mb$1" $curve_daemon_percent
}

cpu_ms() # NAME: what it has used until now
{
	local stat
	read_stat "${pid_of[$1]}"
	echo $(((stat[11] + stat[12]) * 1000 / $(getconf CLK_TCK)))
}

# One load for each pair, all at once; a line of the table.
measure() # PAIRS MESSAGES
{
	local i began redis mb1 dc1 took total
	local -a loads=()
	began=$(date +%s%3N) redis=$(cpu_ms redis) mb1=$(cpu_ms mb1) dc1=$(cpu_ms dc1)
	for ((i = 1; i <= $1; i++)); do
		restante --dc 127.0.0.1:$((7100 + 2 * i)) bench push --broker "mb$i" --count "$2" --rounds 3 \
			--json >"$state/push$i" 2>"$state/log/push$i.log" &
		loads+=($!)
	done
	for i in "${loads[@]}"; do
		wait "$i" || { tail -n 3 "$state"/log/push*.log >&2; die "a load failed"; }
	done
	took=$(($(date +%s%3N) - began))
	total=$(sed -E 's/.*"push_per_s":([0-9]+).*/\1/' "$state"/push[0-9]* | awk '{ n += $1 } END { print n }')
	printf '| %d | %d | %d %% | %d %% | %d %% |\n' "$1" "$total" \
		$((($(cpu_ms redis) - redis) * 10000 / (took * curve_redis_percent))) \
		$((($(cpu_ms dc1) - dc1) * 10000 / (took * curve_daemon_percent))) \
		$((($(cpu_ms mb1) - mb1) * 10000 / (took * curve_daemon_percent)))
}

run_curve()
{
	local most=${1:-6} messages=${2:-40000} i
	local -a ports=()
	[[ $most =~ ^[1-9]$ && $messages =~ ^[1-9][0-9]{0,6}$ && $# -le 2 ]] ||
		{ say "run: curve wants a number of pairs, 1 to 9, and perhaps one of messages a round"; exit 2; }
	forget_settings
	catch_signals
	install_missing "${build_packages[@]}" "${stack_packages[@]}"
	build_programs || exit 1
	take_lock curve
	state=$here/state/curve
	for ((i = 1; i <= most; i++)); do
		ports+=(tcp:$((7100 + 2 * i)) tcp:$((7101 + 2 * i)) tcp:$((7180 + i)) udp:$((7200 + i)) tcp:$((7280 + i)))
	done
	check_ports tcp:$redis_port "${ports[@]}"
	rm -rf "$state"
	make_state
	trap end_curve EXIT
	start_redis everysec
	limit redis $curve_redis_percent
	make_app curve
	echo "| Data Centers, brokers | messages/s, sent to deleted | Redis, of its share | first Data Center, of its share | first broker, of its share |"
	echo "|---|---|---|---|---|"
	for ((i = 1; i <= most; i++)); do
		add_pair "$i"
		measure "$i" "$messages"
	done
}
