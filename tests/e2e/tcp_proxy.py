"""A TCP proxy on a free port that a test can freeze: connections stay open and nothing passes, as when a network drops
packets silently. One way can be frozen alone."""
import selectors
import socket
import threading


class Proxy:
    def __init__(self, port):
        self.target = ("127.0.0.1", port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.up = self.down = True  # towards the server, towards the client
        self.pairs = {}  # socket: (other end, True for towards the server)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.ended = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def freeze(self, up=True, down=True):
        self.up, self.down = not up, not down

    def thaw(self):
        self.up = self.down = True

    def close(self):
        self.ended = True
        self.thread.join()
        for end in list(self.pairs):
            end.close()
        self.listener.close()
        self.selector.close()

    def run(self):
        while not self.ended:
            for key, _ in self.selector.select(0.02):
                if key.fileobj is self.listener:
                    self.accept()
                else:
                    self.forward(key.fileobj)

    def accept(self):
        client, _ = self.listener.accept()
        try:
            server = socket.create_connection(self.target, 1)
        except OSError:
            client.close()
            return
        for end, other, up in ((client, server, True), (server, client, False)):
            self.pairs[end] = (other, up)
            self.selector.register(end, selectors.EVENT_READ)

    def forward(self, end):
        if end not in self.pairs:
            return  # its other end was closed in this round
        other, up = self.pairs[end]
        if not (self.up if up else self.down):
            self.ended or threading.Event().wait(0.01)  # readable and left lying: do not spin
            return
        try:
            data = end.recv(65536)
            if data:
                other.sendall(data)
                return
        except OSError:
            pass
        for one in (end, other):
            self.selector.unregister(one)
            del self.pairs[one]
            one.close()
