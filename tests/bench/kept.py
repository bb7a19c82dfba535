"""A client of the coordinator that keeps its connection, as browsers and the CLI do: what is timed is the answer, not a TLS handshake."""
import http.client
import json
import ssl


class Kept:
    def __init__(self, cluster):
        context = ssl.create_default_context(cafile=cluster.state / "coordinator" / "tls" / "ca.pem")
        self.token = (cluster.state / "token").read_text().strip()
        self.connection = http.client.HTTPSConnection("127.0.0.1", cluster.port, timeout=60, context=context)

    def ask(self, method, path, body=None, headers=None):
        self.connection.request(method, path, body, {"Authorization": f"Bearer {self.token}", **(headers or {})})
        return self.connection.getresponse()

    def get(self, path):
        answer = self.ask("GET", path)
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {body[:300]}")
        return json.loads(body)

    def stream(self, path, over):
        """Reads an event stream until over()."""
        answer = self.ask("GET", path, headers={"Accept": "text/event-stream"})
        while not over() and answer.readline():
            pass
