# SPDX-License-Identifier: Apache-2.0
# A private Redis and the daemons of restante on loopback: start, wait, stop.
# For bash; `run` sources it, and gives it here, bin, say() and die().
#
# All that a stack writes is below state/ (the demo's below state/demo/):
#   redis/ its data    keys/ keys and the cluster secret    log/NAME.log
#   pid/NAME           "pid start-time", for what a kill -9 of the script left
#   cli.conf cli.key   settings of the command line, key of its App
#   lock               held while a stack of this folder runs

redis_port=7379
state=$here/state   # the demo sets its own
names=()            # of what runs, in the order of start
declare -A pid_of=()
helper=             # a program that the demo runs and waits for

# The fields of a process's stat from its state on, in the array `stat`: field 3 is [0].
read_stat() # PID
{
	{ read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
	read -ra stat <<<"${stat##*) }"
}

# With the pid it names one process for ever.
start_time() # PID
{
	local stat
	read_stat "$1" || return 1
	echo "${stat[19]}"
}

is_alive() { kill -0 "$1" 2>/dev/null; }

# True once the process is gone, within that many seconds.
wait_gone() # PID SECONDS
{
	local until=$((SECONDS + $2 + 1))
	while is_alive "$1"; do
		((SECONDS < until)) || return 1
		sleep 0.03
	done
}

# "redis-server ... (process 12)" when someone has the port; else fails.
port_holder() # tcp|udp PORT
{
	local inode fd pid
	inode=$(awk -v hex="$(printf ':%04X' "$2")" -v proto="$1" \
		'substr($2, length($2) - 4) == hex && (proto == "udp" || $4 == "0A") { print $10; exit }' \
		$(compgen -G "/proc/net/$1*" | grep -xE "/proc/net/$1(6)?"))
	[[ -n $inode ]] || return 1
	fd=$(find /proc/[0-9]*/fd -lname "socket:\[$inode\]" -print -quit 2>/dev/null || true)
	pid=${fd#/proc/}
	pid=${pid%%/*}
	if [[ -n $pid ]]; then
		printf '%s(process %s)\n' "$(tr -s '\0 ' ' ' <"/proc/$pid/cmdline" | cut -c 1-80)" "$pid"
	else
		echo "a process of another user"
	fi
}

check_ports() # tcp:7379 udp:7200 ...
{
	local one who busy=
	for one in "$@"; do
		if who=$(port_holder "${one%:*}" "${one#*:}"); then
			say "run: port ${one#*:}/${one%:*} is in use by $who"
			busy=yes
		fi
	done
	[[ -z $busy ]] || die "restante needs these ports for its own; nothing was started"
}

# What an earlier run left when it was killed: by pid and start time, never by
# name. Redis last, like in any stop.
stop_left_over()
{
	local file pid began
	local -a daemons=() redis=() files=()
	for file in "$here"/state/pid/* "$here"/state/*/pid/*; do
		[[ -f $file ]] || continue
		read -r pid began <"$file" || true
		files+=("$file")
		[[ -n $pid && $(start_time "$pid") == "$began" ]] || continue
		[[ ${file##*/} == redis ]] && redis+=("$pid") || daemons+=("$pid")
	done
	if ((${#daemons[@]} + ${#redis[@]} > 0)); then
		say "stopping $((${#daemons[@]} + ${#redis[@]})) processes that an earlier run left behind"
		end_processes "${daemons[@]}"
		end_processes "${redis[@]}"
	fi
	rm -f "${files[@]}"
}

end_processes() # PID...
{
	local pid
	for pid in "$@"; do
		kill -TERM "$pid" 2>/dev/null || true
	done
	for pid in "$@"; do
		wait_gone "$pid" 6 || kill -KILL "$pid" 2>/dev/null || true
	done
}

# The lock says whether a stack of this folder runs, also after a kill -9.
take_lock() # COMMAND
{
	local holder
	mkdir -p "$here/state"
	exec 9>>"$here/state/lock"
	if ! flock -n 9; then
		read -r holder <"$here/state/lock" || true
		die "${holder:-another ./run} is running in this folder; stop it first (Ctrl-C there). Nothing was disturbed"
	fi
	printf './run %s (process %s)\n' "$1" "$$" >"$here/state/lock"
	stop_left_over
}

# In a session of its own, so that Ctrl-C reaches this script alone, which then
# stops all in order.
start() # NAME COMMAND...
{
	local name=$1
	shift
	setsid "$@" >"$state/log/$name.log" 2>&1 </dev/null 9>&- &
	pid_of[$name]=$!
	names+=("$name")
	echo "$! $(start_time $! || true)" >"$state/pid/$name"
}

show_log() # NAME
{
	say "the last lines of $state/log/$1.log:"
	tail -n 12 "$state/log/$1.log" | sed 's/^/    /' >&2
}

stop() # NAME...
{
	local name
	for name in "$@"; do
		[[ -z ${pid_of[$name]:-} ]] || kill -TERM "${pid_of[$name]}" 2>/dev/null || true
	done
	for name in "$@"; do
		[[ -n ${pid_of[$name]:-} ]] || continue
		if ! wait_gone "${pid_of[$name]}" 6; then
			say "$name does not stop; killed"
			kill -KILL "${pid_of[$name]}" 2>/dev/null || true
		fi
		wait "${pid_of[$name]}" 2>/dev/null || true
		unset "pid_of[$name]"
		rm -f "$state/pid/$name"
	done
}

# Brokers first, for they tell their clients; Redis when nobody writes any more.
stop_all()
{
	trap '' INT TERM HUP
	if [[ -n $helper ]]; then
		kill -TERM "$helper" 2>/dev/null || true
		wait "$helper" 2>/dev/null || true
	fi
	stop mb1 mb2
	stop lb1 dc1
	stop redis
}

# GET /readyz of a daemon: succeeds when ready, else prints the reason.
ask_ready() # HTTP-PORT
{
	local status line
	exec 3<>"/dev/tcp/127.0.0.1/$1" || return 1
	printf 'GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
	read -t 3 -r status <&3 || return 1
	while read -t 3 -r line <&3 && [[ $line != $'\r' ]]; do :; done
	read -t 3 -r line <&3 || true
	[[ $status == *" 200 "* ]] || { echo "$line"; return 1; }
}

redis_answers() { [[ $(redis-cli -p $redis_port ping 2>&1) == PONG ]]; }

wait_ready() # NAME QUESTION...
{
	local name=$1 why='' until=$((SECONDS + 20))
	shift
	while ! why=$("$@" 2>/dev/null); do
		if ! is_alive "${pid_of[$name]}"; then
			show_log "$name"
			die "$name ended instead of starting"
		fi
		if ((SECONDS >= until)); then
			show_log "$name"
			die "$name is not ready after 20 s${why:+: $why}"
		fi
		sleep 0.05
	done
}

make_state()
{
	(umask 077 && mkdir -p "$state"/{redis,keys,log,pid})
	[[ -s $state/keys/cluster.secret ]] ||
		(umask 077 && od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >"$state/keys/cluster.secret" &&
			echo >>"$state/keys/cluster.secret")
}

start_redis() # [APPENDFSYNC]
{
	start redis redis-server --port $redis_port --bind 127.0.0.1 --dir "$state/redis" --daemonize no \
		--appendonly yes --appendfsync "${1:-always}" --save ''
	wait_ready redis redis_answers
}

start_daemon() # NAME PROGRAM HTTP-PORT FLAG...
{
	local name=$1 program=$2 http=$3
	shift 3
	start "$name" "$bin/$program" --id "$name" --redis 127.0.0.1:$redis_port \
		--cluster-secret-file "$state/keys/cluster.secret" --listen-http "127.0.0.1:$http" "$@"
}

# A balancer is ready when it has a broker, a broker when it has a Data Center.
start_daemons() # BROKER:PORT:HTTP-PORT ...
{
	local one name port http
	start_daemon dc1 restante-dc 7180 --listen-apps 127.0.0.1:7100 --listen-brokers 127.0.0.1:7101
	start_daemon lb1 restante-lb 7380 --listen-clients 127.0.0.1:7300 --listen-brokers 127.0.0.1:7301 \
		--key-file "$state/keys/lb1.key"
	for one in "$@"; do
		IFS=: read -r name port http <<<"$one"
		start_daemon "$name" restante-mb "$http" --listen-clients "127.0.0.1:$port" \
			--key-file "$state/keys/$name.key"
	done
	wait_ready dc1 ask_ready 7180
	for one in "$@"; do
		wait_ready "${one%%:*}" ask_ready "${one##*:}"
	done
	wait_ready lb1 ask_ready 7380
}

# Settings for the command line, with whole paths: it may be called from anywhere.
write_cli_conf() # APP
{
	local path=${state//\\/\\\\}
	path=${path//\"/\\\"}
	cat >"$state/cli.conf" <<CONF
# Made by ./run; settings of \`restante\` for the stack that ./run started.
redis = "127.0.0.1:$redis_port";
dc = "127.0.0.1:7100";
balancers = "127.0.0.1:7300";
balancer_key_file = "$path/keys/lb1.key.pub";
app = "$1";
app_key_file = "$path/cli.key";
CONF
}

restante() { RESTANTE_CONFIG=$state/cli.conf "$bin/restante" "$@" 9>&-; }

# The App's key is known to its owner alone, Redis has its hash. Where the two are
# not of one piece (a lost file, emptied data), the App is made anew.
make_app() # APP
{
	local key hash
	write_cli_conf "$1"
	if [[ -s $state/cli.key ]]; then
		hash=$(tr -d '\n' <"$state/cli.key" | sha256sum | cut -d ' ' -f 1)
		[[ $(redis-cli -p $redis_port HGET "rs:app:$1" key) != "$hash" ]] || return 0
	fi
	redis-cli -p $redis_port DEL "rs:app:$1" >/dev/null
	rm -f "$state/cli.key"
	key=$(restante app create "$1") || die "the App $1 could not be created"
	(umask 077 && printf '%s\n' "$key" >"$state/cli.key")
}

# Settings in the environment would reach the daemons; here all is told by flags.
forget_settings()
{
	local name
	for name in "${!RESTANTE_@}"; do
		case $name in
		RESTANTE_MODEL_*|RESTANTE_BROADCAST_*|RESTANTE_LOAD_*|RESTANTE_CHAOS_*|RESTANTE_FAILOVER_*) ;; # how much some tests do
		*) unset "$name" ;;
		esac
	done
}

catch_signals()
{
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
}
