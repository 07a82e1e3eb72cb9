#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A client of restante, written from docs/protocol.md alone (its sections are marked with §).

It asks a load balancer for a broker, logs in there, writes the body of each message and a newline
to standard output, acknowledges it, and stays online whatever broker fails. What it is doing goes
to standard error. It needs Python 3.9 or later and the package `cryptography`.

    client.py --lb 127.0.0.1:7300 --lb-key HEX --user alice --session ID [-C COUNT] [-W SECONDS]

Exit codes: 0 done, 2 wrong usage, 3 ended before COUNT messages, 4 the session id is unknown or
not this user's, 5 it has expired, 6 the user logged in elsewhere. For tests, --loss drops that
many percent of the packets either way, and SIGUSR1 makes it go on from a new UDP port.
"""
import argparse, hashlib, hmac, ipaddress, os, random
import select, signal, socket, struct, sys, time

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
# §2: packets
HEARTBEAT, HEARTBEAT_ACK, HEARTBEAT_MORE, DATA, RESET, HEARTBEAT_MOVED = range(0x01, 0x07)
INIT, RESP, COOKIE, ASK, ANSWER = range(0x10, 0x15)
# §3: frames
LOGIN, LOGIN_OK, LOGIN_FAIL = range(0x01, 0x04)
MESSAGE, FRAGMENT_ACK, MESSAGE_ACK = range(0x10, 0x13)
CHALLENGE, RESPONSE, REDIRECT, CLOSE, MOVE = range(0x20, 0x25)
NOTICE, TOPIC = 2, 4                 # §4: flags of an object

DATAGRAM, FRAMES, PIECE, OBJECT = 512, 488, 448, 17024   # most bytes of each
AHEAD, WINDOW = 64, 65536            # messages and bytes kept beyond the next to be shown
SEEN, AVOID = 4096, 8                # ids remembered; brokers named in an ASK
KEY_PACKETS, KEY_SECONDS = 1 << 22, 24 * 3600            # that keys serve

# §6: waits after the first sending, the second, ...; after the last one it has failed
SHAKE, LOGGING_IN, BEATING, HINTED = (.5, 1, 2), (.5, 1, 2, 4, 8), (1, 2, 4, 8), (.25, .5, 1, 2)
SOON, LINGER = 2, 0.3                # heartbeat after MORE, MOVED; stay after the last message
STOP = {1: 4, 2: 5, 5: 6}            # §7: close codes after which to stop, and exit codes
now, FOREVER = time.monotonic, float("inf")

def say(text):
    print(text, file=sys.stderr, flush=True)

class Malformed(Exception): """What came cannot be what it says: drop the rest of the packet."""
class Unreachable(Exception): """The network says that nobody listens there: a hint, no more."""
class Finish(Exception): """The program ends, with the exit code that is the argument."""
class Ended(Exception):
    """The session is over and another one follows, after a wait; at these brokers if any."""
    def __init__(self, why, wait=0.0, avoid=False, brokers=()):
        super().__init__(why)
        self.wait, self.avoid, self.brokers = wait, avoid, list(brokers)

class Reader:
    """Takes fields off the front of some bytes, and never more than there are."""
    def __init__(self, data):
        self.data = data

    def take(self, n):
        if n > len(self.data):
            raise Malformed
        taken, self.data = self.data[:n], self.data[n:]
        return taken

    def number(self, n):
        return int.from_bytes(self.take(n), "big")

    def brokers(self):
        """A count and that many brokers, as (address of 18 bytes, public key)."""
        return [(self.take(18), self.take(32)) for _ in range(self.number(1))]

def endpoint(address):
    """An address of 18 bytes as (ip, port)."""
    ip = ipaddress.IPv6Address(address[:16])
    return str(ip.ipv4_mapped or ip), int.from_bytes(address[16:], "big")

def clock_ms():
    return struct.pack(">Q", int(time.time() * 1000))

def frame(kind, content):
    return struct.pack(">BH", kind, len(content)) + content

class World:
    """What ends or changes a wait: signals, and the end of the time that -W gives."""
    def __init__(self, seconds, loss):
        self.end, self.loss, self.signals = now() + seconds, loss / 100, set()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, lambda number, _: self.signals.add(number))

    def wait(self, until, *sockets):
        """True when a socket has something. It may return early, to look at the signals."""
        if self.signals - {signal.SIGUSR1} or now() >= self.end:
            raise Finish(3)
        return bool(select.select(sockets, [], [], max(0, min(until - now(), 0.2)))[0])

class Link:
    """A UDP socket for one server: connected, so that it hears what the network says of it."""
    def __init__(self, world, server):
        self.world, self.server = world, server
        family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.sock.connect(server)

    def send(self, packet):
        for _ in range(2):           # the error of an earlier packet may be told now instead
            try:
                if random.random() >= self.world.loss:
                    self.sock.send(packet)
                return
            except OSError:
                pass                 # as good as lost: whatever matters is repeated

    def receive(self, until):
        """The next datagram, or None. An empty one is no packet of ours and is passed over."""
        if not self.world.wait(until, self.sock):
            return None
        try:
            packet = self.sock.recv(DATAGRAM + 1)
        except ConnectionRefusedError:
            raise Unreachable from None
        except OSError:
            return b""
        return packet if random.random() >= self.world.loss else b""

# §2.2: the handshake
def sha256(data):
    return hashlib.sha256(data).digest()

def hkdf(ck, ikm, n):
    key, outs = hmac.digest(ck, ikm, "sha256"), [b""]
    for i in range(1, n + 1):
        outs.append(hmac.digest(key, outs[-1] + bytes([i]), "sha256"))
    return outs[1:]

def nonce(number):
    return struct.pack(">IQ", 0, number)

class Noise:
    """One INIT or ASK, and the opening of the RESP or ANSWER to it."""
    def __init__(self, head, server_public, payload):
        name = b"Noise_NK_25519_AESGCM_SHA256".ljust(32, b"\0")
        self.private = X25519PrivateKey.generate()
        public = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        h = sha256(sha256(sha256(name + b"restante" + head) + server_public) + public)
        self.ck, k = hkdf(name, self.exchange(server_public), 2)
        sealed = AESGCM(k).encrypt(nonce(0), payload, h)
        self.h = sha256(h + sealed)
        self.packet = head + public + sealed

    def exchange(self, public):      # a ValueError when the result is all zeros
        return self.private.exchange(X25519PublicKey.from_public_bytes(public))

    def open(self, e, sealed):
        """The payload, and the keys: to the broker, from the broker, of the heartbeats."""
        ck, k = hkdf(self.ck, self.exchange(e), 2)
        payload = AESGCM(k).decrypt(nonce(0), sealed, sha256(self.h + e))
        to_broker, from_broker, third = hkdf(ck, b"", 3)
        return payload, (to_broker, from_broker, third[:16])

def shake_hands(link, kind, server_public, payload):
    """Sends INIT or ASK until it is answered: (payload, keys), or None if it is not."""
    start = bytes([kind, 1, 0, 0]) + os.urandom(4)
    noise = Noise(start + bytes(16), server_public, payload)
    had_cookie, pauses = False, list(SHAKE)
    while pauses:
        link.send(noise.packet)
        until = now() + pauses.pop(0)
        while now() < until:
            try:
                packet = link.receive(until)
            except Unreachable:
                return None
            if not packet or packet[1:2] != b"\1" or packet[4:8] != start[4:]:
                continue
            if packet[0] == COOKIE and len(packet) == 24 and not had_cookie:
                say("a cookie is asked for")
                had_cookie, pauses = True, list(SHAKE)
                noise = Noise(start + packet[8:], server_public, payload)
                break
            if packet[0] == (RESP if kind == INIT else ANSWER):
                try:
                    return noise.open(packet[8:40], packet[40:])
                except (InvalidTag, ValueError):
                    pass             # not the true one, which may still come

class Session:
    """§2.4 to §5: a session with a broker, from RESP on."""
    def __init__(self, client, link, broker, payload, keys):
        self.client, self.link, self.broker = client, link, broker
        reader = Reader(payload)
        self.conn, self.interval = reader.take(4), reader.number(2)
        reader.take(2 + 8 + 8)               # zeros, boot, server_ms
        self.reset_token = reader.take(8)
        self.to_broker, self.from_broker, self.beat_key = AESGCM(keys[0]), AESGCM(keys[1]), keys[2]
        self.began, self.online, self.hinted, self.proving = now(), False, False, FOREVER
        self.number = 0                      # of the next packet to the broker
        self.expected = 0                    # greatest number received + 1
        self.received = 0                    # bit i: expected - 1 - i was received
        self.beat = None                     # number of the newest heartbeat until it is answered
        self.timer, self.pauses = now(), list(LOGGING_IN)   # of LOGIN, then of the heartbeats
        self.next_ref, self.coming = 1, {}   # messages that are incomplete or ahead, by ref
        self.fragments, self.refs = {}, []   # to be acknowledged: pieces, messages

    def header(self, kind, number):
        return bytes([kind]) + self.conn + (number & 0xFFFFFF).to_bytes(3, "big")

    def send(self, frames):
        header = self.header(DATA, self.number)
        self.link.send(header + self.to_broker.encrypt(nonce(self.number), frames, header))
        self.number += 1

    def mac(self, header, number):
        mac = CMAC(AES(self.beat_key))
        mac.update(header + struct.pack(">Q", number))
        return mac.finalize()[:8]

    def acknowledge(self):
        """All that is due, in as few packets as it fits into."""
        seen = struct.pack(">I", max(0, self.expected - 1) & 0xFFFFFFFF)
        frames = [frame(FRAGMENT_ACK, seen + struct.pack(">IQ", ref, sum(1 << i for i in pieces)))
                  for ref, pieces in self.fragments.items()]
        for i in range(0, len(self.refs), 64):
            refs = self.refs[i:i + 64]
            frames.append(frame(MESSAGE_ACK, seen + struct.pack(f">{len(refs)}I", *refs)))
        self.fragments, self.refs, packet = {}, [], b""
        for one in frames:
            if len(packet) + len(one) > FRAMES:
                self.send(packet)
                packet = b""
            packet += one
        if packet:
            self.send(packet)

    def on_timer(self):
        if not self.pauses:
            raise Ended("the broker is silent", random.random(), avoid=True)
        if self.worn():
            raise Ended("new keys", brokers=[self.broker])
        self.timer = now() + self.pauses.pop(0)
        if not self.online:
            self.send(frame(LOGIN, bytes(16) + self.client.login))
            return
        header, self.beat, self.proving = self.header(HEARTBEAT, self.number), self.number, FOREVER
        self.link.send(header + self.mac(header, self.number))
        self.number += 1

    def alive(self, within=FOREVER):
        """An authentic packet came: the next heartbeat is due after the interval."""
        if self.online and not self.worn():
            self.timer = min(now() + min(self.interval, within), self.proving)
            self.pauses, self.hinted = list(BEATING), False

    def prove(self):
        """The address is being proven: only another heartbeat tells whether it was."""
        self.proving = now() + SOON
        self.alive()

    def worn(self):
        """The keys have served for long enough."""
        return max(self.number, self.expected) >= KEY_PACKETS or now() - self.began >= KEY_SECONDS

    def take(self, packet):
        if packet[1:5] != self.conn:
            return
        kind, size = packet[0], len(packet)
        if kind == DATA and 25 <= size <= DATAGRAM:
            self.take_data(packet)
        elif kind == RESET and size == 16 and hmac.compare_digest(packet[8:], self.reset_token):
            raise Ended("the broker does not know this session any more", random.random())
        elif kind in (HEARTBEAT_ACK, HEARTBEAT_MORE, HEARTBEAT_MOVED) and size == 16 and \
                self.beat is not None and packet[:8] == self.header(kind, self.beat) and \
                hmac.compare_digest(packet[8:], self.mac(packet[:8], self.beat)):
            self.beat = None
            self.alive(SOON if kind == HEARTBEAT_MORE else FOREVER)
            if kind == HEARTBEAT_MOVED:
                say("the broker sees a new address")
                self.send(frame(MOVE, bytes(24)))
                self.prove()

    def take_data(self, packet):
        near = (self.expected & ~0xFFFFFF) + int.from_bytes(packet[5:8], "big")
        number = min((n for n in (near - (1 << 24), near, near + (1 << 24)) if n >= 0),
                     key=lambda n: abs(n - self.expected))
        behind = self.expected - number      # 1: the greatest that was received
        if behind > 128 or behind >= 1 and self.received >> behind - 1 & 1:
            return
        try:
            frames = Reader(self.from_broker.decrypt(nonce(number), packet[8:], packet[:8]))
        except InvalidTag:
            return
        if behind >= 1:
            self.received |= 1 << behind - 1
        else:
            self.received = (self.received << 1 - behind | 1) & (1 << 128) - 1
            self.expected = number + 1
        self.alive()
        try:
            while frames.data:
                self.take_frame(frames.number(1), Reader(frames.take(frames.number(2))))
        except Malformed:
            pass

    def take_frame(self, kind, content):
        if kind == MESSAGE:
            self.take_message(content.number(4), content.number(2), content.number(1), content.data)
        elif kind == LOGIN_OK:
            content.take(8)                  # owner
            self.interval = content.number(2)
            if not self.online:              # it may come twice, as LOGIN did
                self.client.logged_in(self.broker, self.interval, content.brokers())
                self.online = True
                self.alive()
        elif kind in (LOGIN_FAIL, CLOSE):
            self.closed(content.number(2), content.number(4) / 1000 if kind == LOGIN_FAIL else 0)
        elif kind == CHALLENGE:
            say("the broker proves the new address")
            self.send(frame(RESPONSE, content.take(8)))
            self.prove()
        elif kind == REDIRECT:
            wait, brokers = content.number(4) / 1000 * random.random(), content.brokers()
            raise Ended("the broker sends the client away", wait, True, brokers)

    def closed(self, code, retry):
        if code in STOP:
            say(f"closed with code {code}")
            raise Finish(STOP[code])
        wait = retry + random.uniform(0, 1 + retry)
        raise Ended(f"closed with code {code}", wait, avoid=code in (4, 6))

    def take_message(self, ref, total, index, piece):
        pieces_in = -(-total // PIECE)
        if ref == 0 or total > OBJECT or index >= max(1, pieces_in) or \
                len(piece) != min(PIECE, total - index * PIECE):
            raise Malformed
        if ref < self.next_ref:
            self.refs.append(ref)            # the acknowledgement was lost
            return
        kept = sum(len(p) for _, pieces in self.coming.values() for p in pieces.values())
        if ref >= self.next_ref + AHEAD or ref > self.next_ref and kept > WINDOW:
            return                           # too far ahead: as if lost
        if total == 0:
            self.coming[ref] = 0, {}         # void, whatever came before
        count, pieces = self.coming.setdefault(ref, (pieces_in, {}))
        if count == pieces_in and count > 0:
            pieces[index] = piece
        self.fragments[ref] = pieces
        while self.next_ref in self.coming and not self.client.enough():
            count, pieces = self.coming[self.next_ref]
            if len(pieces) < count:
                break
            del self.coming[self.next_ref]
            if count > 0:
                self.client.show(b"".join(pieces[i] for i in range(count)))
            self.refs.append(self.next_ref)
            if count <= 1:                   # that it was shown says that it is here
                self.fragments.pop(self.next_ref, None)
            self.next_ref += 1

    def step(self, until):
        world = self.client.world
        if signal.SIGUSR1 in world.signals:
            world.signals.discard(signal.SIGUSR1)
            self.timer = now()
            self.link = Link(world, self.link.server)
        if now() >= self.timer:
            self.on_timer()
        try:
            packet = self.link.receive(min(self.timer, until))
            while packet is not None:        # a batch
                self.take(packet)
                packet = self.link.receive(0)
        except Unreachable:
            if self.online and not self.hinted:
                self.hinted, self.timer, self.pauses = True, now(), list(HINTED)
        self.acknowledge()

    def run(self):
        """Until the session ends: always with an exception."""
        try:
            while not self.client.enough():
                self.step(FOREVER)
            until = now() + LINGER
            while now() < until:
                self.step(until)
            raise Finish(0)
        except (Ended, Finish) as end:
            self.acknowledge()
            if isinstance(end, Finish) and end.args[0] not in STOP.values():
                self.send(frame(CLOSE, bytes(2)))
            raise

class Client:
    """§6: finds a broker, and another one when that fails."""
    def __init__(self, options, world):
        self.world, self.balancers, self.keys = world, options.lb, options.lb_key
        self.login = b"".join(bytes([len(text)]) + text
                              for text in (options.user.encode(), options.session.encode()))
        self.count, self.shown = options.count, 0
        self.seen = {}                       # ids of messages, in the order of their coming
        self.failed, self.fallback, self.rounds = [], [], 0     # rounds without success

    def show(self, message):
        """§4: an object, to standard output."""
        reader = Reader(message)
        try:
            ident = reader.take(16)
            reader.take(8 + 8)                   # sent_ms, expires_ms
            flags = reader.number(1)
            for _ in ("app", "app_id", "topic")[:3 if flags & TOPIC else 2]:
                reader.take(reader.number(1))
        except Malformed:
            say("a message that cannot be read is passed over")
            return
        if ident in self.seen:
            say("a message came again and is not shown")
            return
        if not flags & NOTICE:
            sys.stdout.buffer.write(reader.data + b"\n")
            sys.stdout.buffer.flush()
            self.shown += 1
        self.seen[ident] = True
        if len(self.seen) > SEEN:
            del self.seen[next(iter(self.seen))]

    def enough(self):
        return self.count is not None and self.shown >= self.count

    def logged_in(self, broker, interval, fallback):
        say("online at {}:{}, a heartbeat every {} s".format(*endpoint(broker[0]), interval))
        self.failed, self.fallback, self.rounds = [], fallback, 0

    def avoid(self, broker):
        self.failed = ([a for a in self.failed if a != broker[0]] + [broker[0]])[-AVOID:]

    def ask(self):
        """The brokers that the first LB names which knows any, or for how long to wait."""
        avoid = bytes([len(self.failed)]) + b"".join(self.failed)
        payload, wait = (clock_ms() + avoid).ljust(440, b"\0"), 0.0
        for balancer, key in ((b, k) for b in self.balancers for k in self.keys):
            say("asking {}:{}".format(*balancer))
            answer = shake_hands(Link(self.world, balancer), ASK, key, payload)
            if answer:
                reader = Reader(answer[0])
                status, retry = reader.number(1), reader.number(4) / 1000
                if status == 0:
                    return reader.brokers(), 0.0
                say("there is no broker now")
                wait = retry + random.uniform(0, retry)
        return ([], wait) if wait else (self.fallback, 0.0)

    def talk(self, broker):
        """A session, which ends with an exception; returns if the broker shook no hands."""
        link = Link(self.world, endpoint(broker[0]))
        payload = (clock_ms() + struct.pack(">IH", WINDOW, 0)).ljust(56, b"\0")
        answer = shake_hands(link, INIT, broker[1], payload)
        if answer:
            Session(self, link, broker, *answer).run()
        say("no answer from {}:{}".format(*link.server))
        self.avoid(broker)

    def run(self):
        brokers = []
        while True:
            brokers, wait = (brokers, 0.0) if brokers else self.ask()
            try:
                for broker in brokers:
                    self.talk(broker)
                self.rounds += 1
                wait = wait or min(60, (0.25 + random.random()) * 2 ** (self.rounds - 1))
                brokers = []
            except Ended as end:
                say(str(end))
                brokers, wait = end.brokers, end.wait
                if end.avoid:
                    self.avoid(broker)
            until = now() + wait
            while now() < until:
                self.world.wait(until)

def main():
    def address(text):
        host, port = text.rsplit(":", 1)
        return host.strip("[]"), int(port)

    parser = argparse.ArgumentParser(description="Logs in as a user and prints what comes.")
    parser.add_argument("--lb", type=address, action="append", required=True)
    parser.add_argument("--lb-key", type=bytes.fromhex, action="append", required=True)
    for name in ("--user", "--session"):
        parser.add_argument(name, required=True)
    parser.add_argument("-C", dest="count", type=int, help="stop after so many messages")
    parser.add_argument("-W", dest="wait", type=float, default=FOREVER, help="and seconds in all")
    parser.add_argument("--loss", type=float, default=0, help="percent of packets to lose")
    options = parser.parse_args()
    try:
        Client(options, World(options.wait, options.loss)).run()
    except Finish as finish:
        return finish.args[0]

if __name__ == "__main__":
    sys.exit(main())
