#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs the client of client.py, which was written from docs/protocol.md and shares no code with
# the daemons, against a DC, a broker, an LB and a Redis of its own on free ports of loopback.
#
#   test_interop.sh FOLDER      the folder with restante, restante-dc, restante-mb, restante-lb
#
# Exit codes: 0 passed, 1 failed, 77 skipped because something it needs is not installed.
set -eu

bin=$(cd "${1:?the folder with the binaries}" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
python=/usr/bin/python3
[ -x "$python" ] || python=$(command -v python3) || { echo "no python3: skipped"; exit 77; }
"$python" -c 'import cryptography' 2>/dev/null || { echo "no python3-cryptography: skipped"; exit 77; }
for tool in redis-server redis-cli; do
    command -v $tool >/dev/null || { echo "no $tool: skipped"; exit 77; }
done

work=$(mktemp -d "${TMPDIR:-/tmp}/interop-XXXXXX")
[ "$(id -u)" != 0 ] || export RESTANTE_RUN_AS=root
export PYTHONDONTWRITEBYTECODE=1
pids=()

stop_all() {
    local code=$?
    trap - EXIT INT TERM
    if [ $code -ne 0 ]; then
        tail -n 15 "$work"/*.log "$work"/*.err >&2 || true
    fi
    exec 2>/dev/null                         # or the shell tells of each that it was killed
    kill -KILL "${pids[@]}" || true
    wait || true
    rm -rf "$work"
    exit $code
}
trap stop_all EXIT
trap 'exit 1' INT TERM

fail() { echo "FAILED: $*" >&2; exit 1; }

# wait_for SECONDS WHAT COMMAND...: until the command succeeds.
wait_for() {
    local end=$(($(date +%s%N) + $1 * 1000000000)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ "$(date +%s%N)" -lt $end ] || fail "not within the time: $what"
        sleep 0.05
    done
}

# start NAME COMMAND...: in the background; $started is its pid.
start() {
    local log=$work/$1.log
    shift
    "$@" >>"$log" 2>&1 </dev/null &
    started=$!
    pids+=("$started")
}

# --- the stack -----------------------------------------------------------------------------

read -r redis_port dc_port dc_link dc_http mb_port mb_http lb_port lb_link lb_http mb2_port mb2_http \
    < <("$python" - <<'PY'
import socket
held, ports = [], []
while len(ports) < 11:                       # free for TCP and for UDP
    tcp, udp = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
    tcp.bind(("127.0.0.1", 0))
    held += [tcp, udp]
    try:
        udp.bind(tcp.getsockname())
        ports.append(tcp.getsockname()[1])
    except OSError:
        pass
print(*ports)
PY
)
redis=127.0.0.1:$redis_port
cli() { redis-cli -h 127.0.0.1 -p "$redis_port" "$@"; }
tool() { "$bin/restante" --redis "$redis" "$@"; }

(umask 077; head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$work/secret")
common=(--redis "$redis" --cluster-secret-file "$work/secret" --log-level info)

start redis redis-server --port "$redis_port" --bind 127.0.0.1 --dir "$work" --save '' \
    --appendonly yes --appendfsync always --daemonize no
wait_for 10 "Redis" cli ping

start dc "$bin/restante-dc" "${common[@]}" --id dc1 --listen-apps 127.0.0.1:"$dc_port" \
    --listen-brokers 127.0.0.1:"$dc_link" --listen-http 127.0.0.1:"$dc_http"
start lb "$bin/restante-lb" "${common[@]}" --id lb1 --listen-clients 127.0.0.1:"$lb_port" \
    --listen-brokers 127.0.0.1:"$lb_link" --listen-http 127.0.0.1:"$lb_http" --key-file "$work/lb.key"
start_broker() {
    start mb1 "$bin/restante-mb" "${common[@]}" --id mb1 --listen-clients 127.0.0.1:"$mb_port" \
        --listen-http 127.0.0.1:"$mb_http" --key-file "$work/mb1.key" --heartbeat-s 1 --lease-s 4
    broker=$started
}
kill_broker() { { kill -KILL "$broker"; wait "$broker"; } 2>/dev/null || true; }
start_broker

cat >"$work/get.py" <<'PY'
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=2)
connection.request("GET", sys.argv[2])
answer = connection.getresponse()
print(answer.read().decode())
sys.exit(0 if answer.status == 200 else 1)
PY
for port in "$dc_http" "$mb_http" "$lb_http"; do
    wait_for 20 "readiness at port $port" "$python" "$work/get.py" "$port" /readyz
done
wait_for 10 "the LB's key" test -s "$work/lb.key.pub"
lb_key=$(tr -d ' \n' <"$work/lb.key.pub")

# --- an App, after the example of docs/app-protocol.md ------------------------------------

cat >"$work/app.py" <<'PY'
import socket, sys, time

def ask(io, first, body=b"", **fields):
    if body:
        fields["length"] = len(body)
    header = "".join(f"{n} {v}\r\n" for n, v in fields.items())
    io.write(f"{first}\r\n{header}\r\n".encode() + body)
    io.flush()
    status, *rest = iter(lambda: io.readline().decode().rstrip("\r\n"), "")
    return status, dict(line.split(" ", 1) for line in rest)

port, key, verb, user, *rest = sys.argv[1:]
io = socket.create_connection(("127.0.0.1", int(port))).makefile("rwb")
assert ask(io, "AUTH 1", app="interop", key=open(key).read().strip())[0] == "OK 200"
if verb == "presence":
    print(ask(io, "PRESENCE 1", user=user)[1]["state"])
else:                                        # send USER STATE FILE...
    for name in rest[1:]:
        body = open(name, "rb").read()
        status, answer = ask(io, "SEND 1", body, to=user, id=name.rsplit("/", 1)[1] + str(time.time()))
        assert status == "OK 200", (status, answer)
        assert rest[0] in ("any", answer["state"]), answer
PY
(umask 077; tool app create interop >"$work/app.key")
app() { "$python" "$work/app.py" "$dc_port" "$work/app.key" "$@"; }
is() { [ "$(app presence "$1")" = "$2" ]; }
queue_empty() { [ "$(cli exists "rs:{$1}:queue")" = 0 ]; }

# client NAME USER SESSION OPTION...: in the background, with output in NAME.out and NAME.err.
client() {
    local name=$1 user=$2 session=$3
    shift 3
    "$python" "$here/client.py" --lb 127.0.0.1:"$lb_port" --lb-key "$lb_key" --user "$user" \
        --session "$session" "$@" >"$work/$name.out" 2>"$work/$name.err" </dev/null &
    started=$!
    pids+=("$started")
}
said() { grep -q "$2" "$work/$1.err"; }
said_times() { [ "$(grep -c "$2" "$work/$1.err")" -ge "$3" ]; }

# ended PID CODE: waits for a client of ours and compares its exit code.
ended() {
    local code=0
    wait "$1" || code=$?
    [ $code = "$2" ] || fail "a client ended with $code, not $2"
}
# same NAME FILE...: the client put out these bodies, each with a newline after it.
same() {
    local out=$work/$1.out
    shift
    for file in "$@"; do cat "$file"; echo; done | cmp - "$out" || fail "$out differs"
}

mkdir "$work/body"
bodies=()
for size in 0 1 447 448 449 512 16384; do
    head -c "$size" /dev/urandom >"$work/body/$size"
    bodies+=("$work/body/$size")
done
printf '\000\r\n\377 \n\n' >"$work/body/odd"
bodies+=("$work/body/odd")

echo "1. sent while offline, then a login"
alice=$(tool session create alice)
app send alice stored "${bodies[@]}"
client offline alice "$alice" -C ${#bodies[@]} -W 30
ended "$started" 0
same offline "${bodies[@]}"
wait_for 10 "alice's queue is empty" queue_empty alice
wait_for 10 "alice is offline" is alice offline

echo "2. pushed while online, and heartbeats over four intervals"
client online alice "$alice" -C ${#bodies[@]} -W 60
pid=$started
wait_for 10 "alice is online" is alice online
owner=$(cli hget 'rs:{alice}:presence' owner)
until_ms=$(($(date +%s%3N) + 4200))
past() { [ "$(date +%s%3N)" -ge "$until_ms" ]; }
wait_for 10 "four intervals" past
[ "$(cli hget 'rs:{alice}:presence' owner)" = "$owner" ] || fail "the login changed while idle"
app send alice pushed "${bodies[@]}"
ended "$pid" 0
same online "${bodies[@]}"
[ "$(grep -c online "$work/online.err")" = 1 ] || fail "more than one login"
wait_for 10 "alice's queue is empty" queue_empty alice

echo "3. sessions that are refused"
client unknown alice 0123456789abcdef -W 20
ended "$started" 4
client other bob "$alice" -W 20
ended "$started" 4
short=$(tool session create alice --ttl 1)
hash=$(printf %s "$short" | sha256sum | cut -d ' ' -f 1)
over() { [ "$(cli hget "rs:session:$hash" expires)" -lt "$(date +%s%3N)" ]; }
wait_for 10 "the session's end" over
client expired alice "$short" -W 20
ended "$started" 5

echo "4. a second login supersedes the first"
client first alice "$alice" -W 30
first=$started
wait_for 10 "the first login" said first online
client second alice "$alice" -C 1 -W 30
second=$started
ended "$first" 6
app send alice pushed "$work/body/449"
ended "$second" 0
same second "$work/body/449"

echo "5. the client's address changes"
client moved alice "$alice" -C 2 -W 30
pid=$started
wait_for 10 "the login" said moved online
app send alice pushed "$work/body/1"
wait_for 10 "the first message" test -s "$work/moved.out"
before=$(cli hget 'rs:{alice}:presence' address)
kill -USR1 "$pid"
address_changed() { [ "$(cli hget 'rs:{alice}:presence' address)" != "$before" ]; }
wait_for 10 "the challenge" said moved "proves the new address"
wait_for 10 "the new address in Redis" address_changed
app send alice pushed "$work/body/16384"
ended "$pid" 0
same moved "$work/body/1" "$work/body/16384"
[ "$(grep -c online "$work/moved.err")" = 1 ] || fail "more than one login"

echo "6. a fifth of the packets is lost, both ways"
many=()
for i in 1 2 3 4 5; do many+=("${bodies[@]}"); done
client lossy alice "$alice" -C $((2 * ${#many[@]})) -W 120 --loss 20
pid=$started
app send alice any "${many[@]}"
wait_for 30 "the login" said lossy online
app send alice any "${many[@]}"
ended "$pid" 0
same lossy "${many[@]}" "${many[@]}"

echo "7. the broker is killed and comes again"
wait_for 30 "alice is offline" is alice offline
cli del 'rs:{alice}:queue' >"$work/cli.log"      # what was shown and not heard of, under loss
client killed alice "$alice" -C 2 -W 60
pid=$started
wait_for 10 "the login" said killed online
app send alice pushed "$work/body/512"
wait_for 10 "the first message" test -s "$work/killed.out"
kill_broker
start_broker
wait_for 20 "RESET" said killed "does not know this session"
wait_for 30 "the login" said_times killed online 2
app send alice any "$work/body/447"
ended "$pid" 0
same killed "$work/body/512" "$work/body/447"

echo "8. a message that comes again is not shown again"
client again alice "$alice" -C 2 -W 60
pid=$started
wait_for 10 "the login" said again online
kill -STOP "$pid"                               # so that it is in the queue for long enough
app send alice pushed "$work/body/448"
cli copy 'rs:{alice}:queue' 'rs:{alice}:kept' >"$work/cli.log"
kill -CONT "$pid"
wait_for 10 "the message" test -s "$work/again.out"
wait_for 10 "alice's queue is empty" queue_empty alice
cli rename 'rs:{alice}:kept' 'rs:{alice}:queue' >"$work/cli.log"
kill_broker
start_broker
wait_for 40 "the message again" said again "came again"
wait_for 10 "alice's queue is empty" queue_empty alice
app send alice any "$work/body/1"
ended "$pid" 0
same again "$work/body/448" "$work/body/1"

echo "9. cookies of the LB and the broker"
cat >"$work/cookies.py" <<'PY'
import sys, time
sys.path.insert(0, sys.argv[1])
import client
lb, key = ("127.0.0.1", int(sys.argv[2])), bytes.fromhex(sys.argv[3])
world = client.World(30, 0)
ask = client.clock_ms().ljust(440, b"\0")

def head(kind):
    return bytes([kind, 1, 0, 0]) + client.os.urandom(4) + bytes(16)

def until_cookie(server, kind, public, payload, packets):
    """Sends packets in bursts, and then shakes hands, until a cookie is asked for."""
    said = []
    client.say = said.append
    while not said:                          # World ends it with Finish if it takes too long
        link = client.Link(world, server)
        for number, packet in enumerate(packets()):
            link.send(packet)
            while number % 32 == 31 and link.receive(client.now() + 0.01) is not None:
                pass
        answer = client.shake_hands(client.Link(world, server), kind, public, payload)
    assert answer, "the packet with the cookie was not answered"

answer, _ = client.shake_hands(client.Link(world, lb), client.ASK, key, ask)
broker, public = client.Reader(answer[5:]).brokers()[0]
broker = client.endpoint(broker)
init = (client.clock_ms() + bytes(6)).ljust(56, b"\0")
until_cookie(lb, client.ASK, key, ask,
             lambda: [client.Noise(head(client.ASK), key, ask).packet] * 1500)
until_cookie(broker, client.INIT, public, init,
             lambda: (client.Noise(head(client.INIT), public, init).packet for _ in range(1200)))
PY
"$python" "$work/cookies.py" "$here" "$lb_port" "$lb_key" || fail "cookies"

echo "10. the broker stops in order, and another one is there"
client leaving alice "$alice" -C 1 -W 60
pid=$started
wait_for 10 "the login" said leaving online
start mb2 "$bin/restante-mb" "${common[@]}" --id mb2 --listen-clients 127.0.0.1:"$mb2_port" \
    --listen-http 127.0.0.1:"$mb2_http" --key-file "$work/mb2.key" --heartbeat-s 1 --lease-s 4
wait_for 20 "the second broker" "$python" "$work/get.py" "$mb2_http" /readyz
kill -TERM "$broker"
wait_for 30 "the login at the second broker" said leaving "online at 127.0.0.1:$mb2_port"
app send alice any "$work/body/512"
ended "$pid" 0
same leaving "$work/body/512"

echo "passed"
