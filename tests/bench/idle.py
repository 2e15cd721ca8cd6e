#!/usr/bin/env python3
"""What idle sessions cost: opens many, says EHLO in each, and waits.

usage: idle.py [--sessions N (10000)] [--at-once N (50)] [--json]

Prints the CPU-s of all roles for opening them, and PSS a session over all roles: what it
is with them open, less what it was before. Both ends need a descriptor a session here.
"""
import argparse
import json
import resource
import select
import socket
import sys
import time

import run
from run import postern

CONF = 'domain "dest.test" { recipients any  route local }\nlimits { exempt 127.0.0.0/8  sessions 100000 }\n'


def cpu_of(server):
    return sum(run.cpu_s(p) for p in postern.processes(server.process.pid))


def pss_of(server):
    return sum(postern.pss_kb(p) for p in postern.processes(server.process.pid))


def until_reply(poller, waiting, want):
    """Reads from the sockets until each has a whole reply."""
    while waiting:
        for fd, _ in poller.poll(10):
            if fd in waiting:
                sock, got = waiting[fd]
                got += sock.recv(4096)
                lines = got.split(b"\r\n")
                if len(lines) > 1 and lines[-2][:4] == want:
                    del waiting[fd]
                else:
                    waiting[fd] = (sock, got)


def open_some(server, count):
    """Sessions that have said EHLO; all of them at once, as clients would."""
    socks = []
    poller = select.epoll()
    for _ in range(count):
        s = socket.create_connection(("127.0.0.1", server.smtp))
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        poller.register(s.fileno(), select.EPOLLIN)
        socks.append(s)
    until_reply(poller, {s.fileno(): (s, b"") for s in socks}, b"220 ")
    for s in socks:
        s.sendall(b"EHLO client.test\r\n")
    until_reply(poller, {s.fileno(): (s, b"") for s in socks}, b"250 ")
    poller.close()
    return socks


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--sessions", type=int, default=10000)
    parser.add_argument("--at-once", type=int, default=50)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with postern.Server(CONF, smtp_options="") as server:
        server.start()
        warm = open_some(server, 50)  # what the first sessions alone need is no session's
        pss, cpu, start = pss_of(server), cpu_of(server), time.monotonic()
        socks = []
        while len(socks) < args.sessions:
            socks += open_some(server, min(args.at_once, args.sessions - len(socks)))
        seconds = time.monotonic() - start
        time.sleep(1)
        result = {
            "sessions": len(socks),
            "cpu_s": round(cpu_of(server) - cpu, 3),
            "seconds": round(seconds, 2),
            "pss_kb_a_session": round((pss_of(server) - pss) / len(socks), 3),
        }
        for s in warm + socks:
            s.close()
    if args.json:
        print(json.dumps(result))
    else:
        print("{sessions} sessions: {cpu_s} CPU-s to open them ({seconds} s), {pss_kb_a_session} KB of PSS each".format(**result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
