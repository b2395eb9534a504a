"""A TCP proxy that counts bytes, can be unplugged, and can hold some requests up."""
import re
import select
import selectors
import socket
import threading


class Proxy:
    """Listens on a free port of loopback in front of `target` (http://HOST:PORT)."""

    def __init__(self, target):
        host, _, port = target.removeprefix("http://").rstrip("/").rpartition(":")
        self.target = (host, int(port))
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.endpoint = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.lock = threading.Lock()
        self.sent = 0
        self.received = 0
        # Reads of objects, but for pail's own; of those, the ones that were held up, and that nobody waited for to the end.
        self.reads = self.stalled = self.abandoned = 0
        self.stall_every = self.stall_seconds = 0
        self.plugged = threading.Event()
        self.plugged.set()
        self.closed = False
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while not self.closed:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        try:
            server = socket.create_connection(self.target, timeout=10)
        except OSError:
            client.close()
            return
        with client, server, selectors.DefaultSelector() as selector:
            selector.register(client, selectors.EVENT_READ, (client, server, "sent"))
            selector.register(server, selectors.EVENT_READ, (server, client, "received"))
            server.settimeout(60)
            client.settimeout(60)
            while not self.closed:
                for entry, _ in selector.select(timeout=0.5):
                    if not self.forward(*entry.data):
                        return

    def forward(self, source, sink, counter):
        while not self.plugged.wait(0.5):
            if self.closed:
                return False
        try:
            data = source.recv(1 << 18)
            if not data:
                return False
            with self.lock:
                setattr(self, counter, getattr(self, counter) + len(data))
            if not self.stall(data, source):
                return False
            sink.sendall(data)
        except OSError:
            return False
        return True

    def stall(self, data, client):
        """Holds back a read of an object if it is its turn; false if the client goes away meanwhile."""
        if not re.match(rb"GET /[^/ ?]+/(?!\.pail/)[^ ?]+ ", data):
            return True
        with self.lock:
            self.reads += 1
            is_slow = self.stall_every and self.reads % self.stall_every == 0
            self.stalled += bool(is_slow)
        if is_slow and select.select([client], [], [], self.stall_seconds)[0]:
            with self.lock:
                self.abandoned += 1
            return False
        return True

    def unplug(self):
        """From now on nothing goes through, and nothing is refused: the worst that a network does."""
        self.plugged.clear()

    def plug(self):
        self.plugged.set()

    def close(self):
        self.closed = True
        self.plugged.set()
        self.listener.close()
