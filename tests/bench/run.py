#!/usr/bin/env python3
"""make bench: Postern's release build between a load generator and a sink of our own.

usage: run.py [option...]

  --sessions N     sessions at a time (20)       --per-session N  messages a session (1)
  --messages N     messages in all (2000)        --size BYTES     of made-up messages (4096)
  --manifest FILE  messages, clients and envelopes to send (--folder: where the files lie)
  --plugins LIST   "spf dkim dmarc dnsbl rules", "all", or "none" (none)
  --dns-delay MS   --dns-loss PERCENT   --dns FILE
  --rate N         open loop: N messages a second
  --state TEXT     the settings of `state`, such as 'redis "127.0.0.1:6379"'
  --local          deliver to mailboxes, not to the sink
  --shipped        with the shipped policy   --domain TEXT     lines of the domain
  --repeat N       runs (1)                      --json           a line of JSON each
  --by-plugin      what each plugin adds: a run without any, one with each alone, one with all

Prints messages/s, CPU-ms a message over all roles and for each, latencies from MAIL to the
final reply, PSS, and how long a message was in each plugin's callbacks (waits included). A
measuring tool: nothing here passes or fails.
"""
import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
os.environ.setdefault("POSTERN_BUILD", os.path.join(HERE, "..", "..", "build", "gcc"))
import postern  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")
PLUGINS = {
    "spf": "spf",
    "dkim": "dkim",
    "dmarc": "dmarc",
    "dnsbl": 'dnsbl { zone "dnsbl.test" { code 127.0.0.2 weight 4 } }',
    "rules": "rules",
    "greylist": "greylist",
    "ratelimit": "ratelimit {" + "".join(f' limit "{k}" {{ key {k}  tokens 1000000  per 1h }}' for k in ("client", "network", "sender", "helo")) + " }",
    "clamav": f'clamav {{ signatures "{postern.TOP}/contrib/demo/clamav/eicar.ndb" }}',
}


def cpu_s(pid):
    """User and system time of a process and of those it waited for."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            fields = f.read().rsplit(b")", 1)[1].split()
    except OSError:
        return 0.0
    # schedstat is exact to the nanosecond where the kernel keeps it
    total = 0
    try:
        for t in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{t}/schedstat", encoding="ascii") as f:
                total += int(f.read().split()[0])
        return total / 1e9
    except (OSError, ValueError):
        return sum(int(v) for v in fields[11:15]) / TICK


def config(args, dns_port, sink_port):
    words = []
    if args.plugins != "none":
        names = PLUGINS if args.plugins == "all" else args.plugins.replace(",", " ").split()
        words = [PLUGINS[n] for n in names]
    plugins = "plugins {\n" + "\n".join(words) + "\n}\n" if words else ""
    route = "local" if args.local else f"smtp 127.0.0.1:{sink_port}"
    return (
        'smtp { hostname "mx.dest.test" }\n' + plugins
        + (f"state {{ {args.state} }}\n" if args.state else "")
        + f"resolver {{ forward 127.0.0.1:{dns_port} }}\n"
        + "limits { exempt 0.0.0.0/0 ::/0  sessions 60000  messages-in-flight 20000 }\n"
        + ('include "postern:default"\n' if args.shipped else "")
        + f'domain "dest.test" {{ recipients any  route {route}  {args.domain} }}\n'
    )


def one_run(args, server, tools, sink):
    before = {p: cpu_s(p) for p in postern.processes(server.process.pid)}
    seen = len(server.events("message"))
    command = [tools + "/loadgen", "-c", str(args.sessions), "-m", str(args.per_session), "-n", str(args.messages)]
    if args.manifest:
        command += ["-f", args.manifest, "-X"] + (["-d", args.folder] if args.folder else [])
    else:
        command += ["-z", str(args.size)]
    if args.rate:
        command += ["-r", str(args.rate)]
    start = time.monotonic()
    done = subprocess.run(command + [f"127.0.0.1:{server.smtp}"], capture_output=True, text=True, check=False)
    result = json.loads(done.stdout.splitlines()[-1])
    drained(args, server, sink, result["accepted"])
    result["delivered_per_s"] = round(result["accepted"] / (time.monotonic() - start), 1)
    n = max(result["accepted"], 1)
    roles = {}
    pss = 0
    for p, role in postern.processes(server.process.pid).items():
        roles[role] = roles.get(role, 0.0) + (cpu_s(p) - before.get(p, 0.0)) * 1000 / n
        pss += postern.pss_kb(p)
    result["cpu_ms"] = round(sum(roles.values()), 4)
    result["cpu_ms_by_role"] = {r: round(v, 4) for r, v in sorted(roles.items(), key=lambda x: -x[1])}
    result["pss_mb"] = round(pss / 1024, 1)
    result["plugin_ms"] = plugin_ms(server.events("message")[seen:])
    return result


def plugin_ms(events):
    """Of each plugin: mean time of a message in its callbacks."""
    spent = {}
    for event in events:
        for run in event.get("plugins", []):
            spent.setdefault(run["name"], []).append(run["ms"])
    return {name: round(sum(v) / len(v), 4) for name, v in spent.items()}


def drained(args, server, sink, accepted, seconds=60):
    """Waits until the sink (or the mailboxes) have what was accepted."""
    if args.local:
        return
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sink.send_signal(signal.SIGUSR1)
        counts = json.loads(sink.stdout.readline())
        if counts["messages"] >= sink.seen + accepted:
            sink.seen = counts["messages"]
            return
        time.sleep(0.02)
    print(f"missing: {sink.seen + accepted - counts['messages']} messages at the sink", file=sys.stderr)
    sink.seen = counts["messages"]


def show(result):
    print(
        f"{result['accepted']} accepted, {result['deferred']} deferred, {result['rejected']} rejected, "
        f"{result['failed']} sessions failed, {result['per_s']}/s accepted, {result['delivered_per_s']}/s delivered"
    )
    print(f"  CPU-ms a message: {result['cpu_ms']:.3f}  " + "  ".join(f"{r} {v:.3f}" for r, v in result["cpu_ms_by_role"].items()))
    print(f"  MAIL to final reply: p50 {result['p50_ms']} ms, p95 {result['p95_ms']} ms, p99 {result['p99_ms']} ms;  PSS {result['pss_mb']} MB")
    if result["plugin_ms"]:
        print("  ms in each plugin:  " + "  ".join(f"{n} {v:.3f}" for n, v in result["plugin_ms"].items()))


def with_server(args, tools, sink, dns_port, sink_port, use):
    options = "{ proxy from 127.0.0.0/8 }" if args.manifest else ""
    with postern.Server(config(args, dns_port, sink_port), smtp_options=options, resolver="") as server:
        server.start()
        for _ in range(args.repeat):
            use(one_run(args, server, tools, sink))


def by_plugin(args, tools, sink, dns_port, sink_port):
    """CPU, so that waits do not count: of a plugin alone in the pipeline, against none in it."""
    names = list(PLUGINS) if args.plugins in ("all", "none") else args.plugins.replace(",", " ").split()
    every, bare = " ".join(names), None
    print(f"{'CPU-ms a message':20} {'all roles':>10} {'filter':>8} {'adds':>8} {'in callbacks, ms':>17}")
    for label, args.plugins in [("no plugin", "none"), *((n, n) for n in names), ("all of them", every)]:
        runs = []
        with_server(args, tools, sink, dns_port, sink_port, runs.append)
        best = min(runs, key=lambda r: r["cpu_ms"])
        bare = best["cpu_ms"] if bare is None else bare
        workers = sum(v for role, v in best["cpu_ms_by_role"].items() if role.startswith(("worker", "filter", "template")))
        spent = sum(best["plugin_ms"].values())
        print(f"{label:20} {best['cpu_ms']:10.3f} {workers:8.3f} {best['cpu_ms'] - bare:8.3f} {spent:17.3f}", flush=True)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    for name, default in (("sessions", 20), ("per-session", 1), ("messages", 2000), ("size", 4096), ("rate", 0), ("repeat", 1), ("dns-delay", 0), ("dns-loss", 0)):
        parser.add_argument("--" + name, type=int, default=default)
    for name in ("manifest", "folder", "dns", "state"):
        parser.add_argument("--" + name)
    parser.add_argument("--plugins", default="none")
    parser.add_argument("--local", action="store_true")
    parser.add_argument("--shipped", action="store_true")
    parser.add_argument("--domain", default="")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--by-plugin", action="store_true")
    args = parser.parse_args()
    tools = os.path.join(postern.build_folder(), "tests", "bench")
    sink_port, dns_port = postern.free_port(), postern.free_port()
    zone = args.dns
    empty = tempfile.NamedTemporaryFile("w", suffix=".zone")
    sink = subprocess.Popen([tools + "/sink", f"127.0.0.1:{sink_port}"], stdout=subprocess.PIPE, text=True)
    sink.seen = 0
    dnsd = subprocess.Popen(
        [tools + "/dnsd", "-d", str(args.dns_delay), "-l", str(args.dns_loss), f"127.0.0.1:{dns_port}", zone or empty.name],
        stdout=subprocess.DEVNULL,
    )
    try:
        if args.by_plugin:
            by_plugin(args, tools, sink, dns_port, sink_port)
        else:
            with_server(args, tools, sink, dns_port, sink_port, lambda r: print(json.dumps(r)) if args.json else show(r))
    finally:
        for p in (sink, dnsd):
            p.send_signal(signal.SIGTERM)
            p.wait(10)
    return 0


if __name__ == "__main__":
    sys.exit(main())
