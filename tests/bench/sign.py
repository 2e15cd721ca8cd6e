#!/usr/bin/env python3
"""What a signature costs: the CPU of edge and signer for each message, with no keys, an Ed25519
key, an RSA key of 2048 bits, and both.

usage: sign.py [MESSAGES] [BYTES]; POSTERN_BUILD names the build (a release build)
"""
import concurrent.futures
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import postern  # noqa: E402

CLIENT, SESSIONS = "192.0.2.1", 4
LINE = "line of words  and so on, as people write them to each other\r\n"


def conf(keys):
    rows = " ".join(f'key "{s}" file "{f}"' for s, f in keys)
    block = f'sign "here.test" {{ {rows}  clients {CLIENT} }}\n' if keys else ""
    much = " ".join(f"{what}-per-minute{of} 100000000" for what in ("messages", "recipients") for of in ("", "-network"))
    return f'smtp {{ hostname "mx.here.test" }}\nlimits {{ transactions 100000  {much} }}\nedges 1\n{block}domain "here.test" {{ recipients any  route local }}'


def make_key(server, selector, algorithm):
    folder = os.path.join(server.root, "keys")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    command = [os.path.join(postern.build_folder(), "postern"), "dkim", "new", "--folder", folder,
               "--selector", selector, "--algorithm", algorithm, "here.test"]  # fmt: skip
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return selector, os.path.join(folder, f"{selector}._domainkey.here.test.pem")


def load(server, count, content):
    session = postern.Session(server, client=CLIENT)
    session.command("EHLO load.test")
    for _ in range(count):
        answer = session.send(content, helo=None)
        if not answer.startswith("250"):
            raise RuntimeError(answer)
    session.close()
    return count


def role_ms(server, role):
    return 1000 * sum(postern.cpu_seconds(pid) for pid in server.roles(role))


def run(algorithms, messages, size):
    with postern.Server(conf([])) as server:
        keys = [make_key(server, f"s{i}", a) for i, a in enumerate(algorithms)]
        server.write_conf(conf(keys))
        server.start()
        body = (LINE * (size // len(LINE) + 1))[:size]
        content = f"From: joe@here.test\r\nTo: u@here.test\r\nSubject: words\r\nDate: Sun, 15 Jun 2025 10:00:00 +0000\r\nMessage-ID: <1@here.test>\r\n\r\n{body}\r\n"
        load(server, 20, content)
        before = {r: role_ms(server, r) for r in ("edge", "signer")}
        with concurrent.futures.ThreadPoolExecutor(SESSIONS) as pool:
            done = sum(pool.map(lambda _: load(server, messages // SESSIONS, content), range(SESSIONS)))
        return {r: (role_ms(server, r) - before[r]) / done for r in before}


def main():
    messages = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    size = int(sys.argv[2]) if len(sys.argv) > 2 else 4000
    print(f"{messages} messages of {size} bytes; CPU-ms a message")
    print(f"{'keys':24} {'edge':>8} {'signer':>8} {'more than none':>16}")
    base = None
    for algorithms in ((), ("ed25519",), ("rsa-2048",), ("rsa-2048", "ed25519")):
        ms = run(algorithms, messages, size)
        total = sum(ms.values())
        base = total if base is None else base
        print(f"{' '.join(algorithms) or 'none':24} {ms['edge']:8.3f} {ms['signer']:8.3f} {total - base:16.3f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
