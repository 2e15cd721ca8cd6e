"""Next hops that do to STARTTLS what a test wants, and certificates for them. What a server does:

  tls, tls12   it has TLS, 1.3 or 1.2
  self         it has TLS, with a certificate that it signed itself
  none         STARTTLS is not offered
  refuse       it is answered with 454
  break, cut   the handshake is answered with what is none; the connection is closed
  stall        nothing more is said
  inject       something stands behind its 220
"""
import hashlib
import os
import socketserver
import ssl
import subprocess
import threading


class Hop(socketserver.ThreadingTCPServer):
    """A next hop that does to STARTTLS what its row says; keeps what it heard, and how."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, does, contexts, at=("127.0.0.1", 0)):
        super().__init__(at, HopSession)
        self.does, self.context = does, contexts.get(does)
        self.port = self.server_address[1]
        self.connections = 0
        self.mails = []  # whether over TLS, of each MAIL that was heard
        self.taken = []  # the same, of each content
        self.over = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        pass  # a handshake that was meant to fail

    def stop(self):
        self.over.set()
        self.shutdown()
        self.server_close()


class HopSession(socketserver.BaseRequestHandler):
    def handle(self):
        self.server.connections += 1
        self.sock, self.tls = self.request, False
        self.talk("220 hop.test")

    def say(self, line):
        self.sock.sendall(line.encode() + b"\r\n")

    def talk(self, greeting):
        file = self.sock.makefile("rb")
        if greeting:
            self.say(greeting)
        for line in file:
            word = line[:4].upper()
            if word == b"EHLO":
                offered = self.server.does != "none" and not self.tls
                self.say("250-hop.test\r\n250 STARTTLS" if offered else "250 hop.test")
            elif word == b"STAR":
                file.close()
                return self.start_tls()
            elif word == b"DATA":
                self.say("354 go")
                for part in file:
                    if part == b".\r\n":
                        break
                self.server.taken.append(self.tls)
                self.say("250 2.0.0 taken")
            elif word == b"QUIT":
                return self.say("221 bye")
            else:
                if word == b"MAIL":
                    self.server.mails.append(self.tls)
                self.say("250 ok")

    def start_tls(self):
        does = self.server.does
        if does == "refuse":
            self.say("454 4.7.0 not now")
            return self.talk(None)
        self.say("220 go" + ("\r\n250 injected" if does == "inject" else ""))
        if does == "break":
            self.sock.recv(5000)
            self.say("this is no TLS at all, whatever you may think of it")
        elif does == "stall":
            self.server.over.wait(120)
        elif does in ("tls", "tls12", "self"):
            self.sock = self.server.context.wrap_socket(self.sock, server_side=True)
            self.tls = True
            self.talk(None)
        return None


def openssl(*words):
    subprocess.run(["openssl", *words], check=True, capture_output=True)


def certificates(folder, names):
    """An authority, and a certificate for these names by it; paths, and SHA-256 of both whole."""
    at = {n: os.path.join(folder, n) for n in ("ca.pem", "ca.key", "mx.pem", "mx.key", "mx.csr", "ext", "chain.pem")}
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *curve, "-days", "2", "-subj", "/CN=authority.test", "-keyout", at["ca.key"], "-out", at["ca.pem"])
    openssl("req", *curve, "-subj", "/CN=mx", "-keyout", at["mx.key"], "-out", at["mx.csr"])
    with open(at["ext"], "w", encoding="ascii") as f:
        f.write("subjectAltName=" + ",".join("DNS:" + n for n in names) + "\n")
    openssl("x509", "-req", "-in", at["mx.csr"], "-CA", at["ca.pem"], "-CAkey", at["ca.key"], "-CAcreateserial",
            "-days", "2", "-extfile", at["ext"], "-out", at["mx.pem"])
    digests = {}
    with open(at["chain.pem"], "w", encoding="ascii") as chain:
        for name in ("mx", "ca"):
            with open(at[name + ".pem"], encoding="ascii") as f:
                pem = f.read()
            chain.write(pem)
            digests[name] = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
    return at, digests


def folder_of(at):
    return os.path.dirname(at["ca.pem"])


def contexts(at):
    """Of servers that have TLS, by what they do."""
    made = {}
    for name, version in (("tls", ssl.TLSVersion.TLSv1_3), ("tls12", ssl.TLSVersion.TLSv1_2)):
        made[name] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made[name].load_cert_chain(at["chain.pem"], at["mx.key"])
        made[name].minimum_version = made[name].maximum_version = version
    key, cert = os.path.join(folder_of(at), "self.key"), os.path.join(folder_of(at), "self.pem")
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=self", "-keyout", key, "-out", cert)
    made["self"] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made["self"].load_cert_chain(cert, key)
    return made
