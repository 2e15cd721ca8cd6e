"""A daemon of ours at a UNIX socket, for tests of plugins that ask one."""
import os
import socket
import threading


class LocalDaemon:
    """Serves each connection in a thread; what it says is the heir's. May be away for a while."""

    def __init__(self, path):
        self.path, self.socket = path, None
        self.open()

    def open(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(self.path)
        os.chmod(self.path, 0o666)
        self.socket.listen(50)
        threading.Thread(target=self.run, args=(self.socket,), daemon=True).start()

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        os.unlink(self.path)

    def run(self, listener):
        while True:
            try:
                connection = listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection, *self.begin()), daemon=True).start()

    def begin(self):
        """What serve is given beside the connection; in the order of their coming."""
        return ()

    def serve(self, connection):
        raise NotImplementedError
