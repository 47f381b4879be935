# SPDX-License-Identifier: Apache-2.0
# What somebody tries who has taken over a program in the host's network: prints, as JSON, what became of
# each attempt. "done" is what it wants; anything else is the error that it got, or "silence".
import errno, json, socket, struct, sys

TCP, UDP, OWN4, OWN6, OUTSIDE4, OUTSIDE6, PUBLISHED = sys.argv[1:8]
TCP, UDP, PUBLISHED = int(TCP), int(UDP), int(PUBLISHED)
MSG_FASTOPEN, MPTCP, SCTP, UDPLITE = 0x20000000, 262, 132, 136
outcomes = {}


def attempt(name, work):
    try:
        outcomes[name] = work() or "done"
    except TimeoutError:
        outcomes[name] = "silence"
    except OSError as error:
        outcomes[name] = errno.errorcode.get(error.errno, str(error))


def stream(address, port=TCP, family=None, before=lambda s: None, protocol=0):
    def work():
        wanted = family or (socket.AF_INET6 if ":" in address else socket.AF_INET)
        with socket.socket(wanted, socket.SOCK_STREAM, protocol) as s:
            s.settimeout(1)
            before(s)
            s.connect((address, port))
            return None if s.recv(5) == b"hello" else "nothing"
    return work


def fast_open(address):
    def work():
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
            s.settimeout(1)
            try:
                s.sendto(b"x", MSG_FASTOPEN, (address, TCP))
            except BlockingIOError:
                pass  # Under way.
            return None if s.recv(5) == b"hello" else "nothing"
    return work


def datagram(address, connected=False, before=lambda s: None, family=None, protocol=0):
    def work():
        wanted = family or (socket.AF_INET6 if ":" in address else socket.AF_INET)
        with socket.socket(wanted, socket.SOCK_DGRAM, protocol) as s:
            s.settimeout(1)
            before(s)
            if connected:
                s.connect((address, UDP))
                s.send(b"x")
            else:
                s.sendto(b"x", (address, UDP))
            return None if s.recv(5) == b"hello" else "nothing"
    return work


def option(level, name, value):
    return lambda s: s.setsockopt(level, name, value)


def listening(address, port, kind=socket.SOCK_STREAM):
    def work():
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, kind) as s:
            s.bind((address, port))
            return None if s.getsockname()[1] == port else "another port"
    return work


def made(family, kind, protocol=0):
    return lambda: socket.socket(family, kind, protocol).close()


OWN = {
    "loopback": "127.0.0.1", "another loopback": "127.9.8.7", "no address": "0.0.0.0",
    "own address": OWN4, "loopback, IPv6": "::1", "no address, IPv6": "::",
    "own address, IPv6": OWN6, "mapped loopback": "::ffff:127.0.0.1",
    "mapped nothing": "::ffff:0.0.0.0", "mapped own address": "::ffff:" + OWN4,
    "metadata": "169.254.169.254", "mapped metadata": "::ffff:169.254.169.254",
    "metadata, IPv6": "fd00:ec2::254",
}
for name, address in OWN.items():
    attempt("TCP to " + name, stream(address))
    attempt("UDP to " + name, datagram(address))
    # An answer from the loopback has another source, which a connected socket would not hear.
    if name != "another loopback":
        attempt("UDP, connected, to " + name, datagram(address, connected=True))
to_lo = option(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo\0")
sure = option(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
attempt("TCP to own address by lo", stream(OWN4, before=to_lo))
attempt("TCP Fast Open to loopback", fast_open("127.0.0.1"))
attempt("TCP Fast Open to own address", fast_open(OWN4))
attempt("MPTCP to own address", stream(OWN4, protocol=MPTCP))
attempt("UDP-Lite socket", made(socket.AF_INET, socket.SOCK_DGRAM, UDPLITE))
attempt("raw socket", made(socket.AF_INET, socket.SOCK_RAW, 255))
attempt("broadcast", datagram("255.255.255.255", before=sure))
attempt("broadcast of a net", datagram(OWN4.rsplit(".", 1)[0] + ".255", before=sure))
attempt("multicast", datagram("224.0.0.1"))
attempt("published port, from here", listening("127.0.0.1", PUBLISHED))
attempt("published port at another address", listening("0.0.0.0", PUBLISHED))
attempt("another port", listening("127.0.0.1", PUBLISHED + 1))
attempt("another port, IPv6", listening("::1", PUBLISHED))
attempt("another port for UDP", listening("0.0.0.0", PUBLISHED + 1, socket.SOCK_DGRAM))
attempt("TCP to outside", stream(OUTSIDE4))
attempt("UDP to outside", datagram(OUTSIDE4))
attempt("UDP, connected, to outside", datagram(OUTSIDE4, connected=True))
attempt("TCP to outside, IPv6", stream(OUTSIDE6))
attempt("UDP to outside, IPv6", datagram(OUTSIDE6))
print(json.dumps(outcomes))
