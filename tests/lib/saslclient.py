"""What a mail program says to AUTH: PLAIN, LOGIN, SCRAM-SHA-256 and -PLUS (RFC 4616, 5802, 7677,
9266), by hand, so that a test may also say it wrongly. Each is a function of the server's
challenge (None: there was none yet) that gives the next response, bytes.
"""
import base64
import ctypes
import ctypes.util
import hashlib
import hmac
import os


def plain(user, password, authzid=""):
    return lambda challenge: "\0".join((authzid, user, password)).encode()


def login(user, password):
    answers = {b"User Name": user, b"Username:": user, b"Password": password, b"Password:": password}
    return lambda challenge: b"" if challenge is None else answers[challenge].encode()


def tls_exporter(sock):
    """tls-exporter of an ssl.SSLSocket. Python has no call for it, so OpenSSL is asked: its SSL is
    the second member of the socket's inner object (CPython's PySSLSocket)."""
    library = ctypes.CDLL(ctypes.util.find_library("ssl"))
    inner = sock._sslobj
    ssl = ctypes.c_void_p.from_address(id(inner) + object.__basicsize__ + ctypes.sizeof(ctypes.c_void_p)).value
    out = ctypes.create_string_buffer(32)
    label = b"EXPORTER-Channel-Binding"
    done = library.SSL_export_keying_material(ctypes.c_void_p(ssl), out, ctypes.c_size_t(32), label,
                                              ctypes.c_size_t(len(label)), None, ctypes.c_size_t(0), 0)
    return out.raw if done == 1 else None


class Scram:
    """binding: tls-exporter's bytes, for -PLUS; gs2 as the client says it. Verifies the server."""

    def __init__(self, user, password, binding=None, gs2=None):
        self.gs2 = gs2 or ("p=tls-exporter,," if binding else "n,,")
        self.binding, self.password = binding or b"", password
        self.nonce = base64.b64encode(os.urandom(18)).decode()
        name = user.replace("=", "=3D").replace(",", "=2C")
        self.first = f"n={name},r={self.nonce}"
        self.server_final = None
        self.verified = False

    def __call__(self, challenge):
        if not challenge:
            return (self.gs2 + self.first).encode()
        if challenge.startswith(b"v="):
            self.verified = base64.b64decode(challenge[2:]) == self.server_final
            return b""
        fields = dict(f.split("=", 1) for f in challenge.decode().split(","))
        if not fields["r"].startswith(self.nonce):
            raise ValueError("another nonce")
        salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
        bound = base64.b64encode(self.gs2.encode() + self.binding).decode()
        without_proof = f"c={bound},r={fields['r']}"
        message = f"{self.first},{challenge.decode()},{without_proof}".encode()

        def mac(key, data):
            return hmac.new(key, data, hashlib.sha256).digest()

        client_key = mac(salted, b"Client Key")
        signature = mac(hashlib.sha256(client_key).digest(), message)
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        self.server_final = mac(mac(salted, b"Server Key"), message)
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()


class Dialogue:
    """AUTH over a line protocol: command(line) gives the reply to it."""

    def __init__(self, command):
        self.command = command

    def auth(self, mechanism, client, initial=True):
        """The last reply. initial: say the first message with the command."""
        line = f"AUTH {mechanism}"
        if initial:
            first = client(None)
            line += " " + (base64.b64encode(first).decode() or "=")
        answer = self.command(line)
        while answer.startswith("334"):
            challenge = base64.b64decode(answer[4:])
            answer = self.command(base64.b64encode(client(challenge)).decode())
        return answer
