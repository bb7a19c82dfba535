#!/usr/bin/env python3
"""Messages to webhooks: sent until somebody takes them, signed, past a killed coordinator, and never to where they may not go."""
import hashlib
import hmac
import http.server
import json
import ssl
import sys
import threading
import time

import noop_sweep
from harness import Cluster, expect, run_tests, wait_until

SECRET = "not-to-be-seen-anywhere-5f1d"


class Receiver:
    """An HTTPS server with the coordinator's own certificate. `answer`: status of the next requests, None: never answers."""

    def __init__(self, cluster, answer=200):
        self.taken, self.answer, self.location = [], answer, None
        tls = cluster.state / "coordinator" / "tls"
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.taken.append((self.path, dict(self.headers), body))
                if receiver.answer is None:
                    receiver.ending.wait()
                    return
                self.send_response(receiver.answer)
                if receiver.location:
                    self.send_header("Location", receiver.location)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.ending = threading.Event()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls / "server.pem", tls / "server.key")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.server.shutdown()
        self.server.server_close()


def sweep(name, notify, **more):
    return noop_sweep.sweep(name, tasks=("a",), seeds=1, stages=False, **more) + f"notify: {json.dumps(notify)}\n"


def cluster_for_webhooks(private="true"):
    return Cluster(environment={"FATHOM_COORDINATOR_NOTIFY_PAUSE": "100ms", "FATHOM_COORDINATOR_NOTIFY_PRIVATE": private,
                                "HOOK_SECRET": SECRET, "HOOK_URL": ""})


def restart(cluster):
    """With the CA that the first start made, which the receiver's certificate is of."""
    if "coordinator" in cluster.processes:
        cluster.kill("coordinator")
    else:
        cluster.start_coordinator()
        cluster.end("coordinator")
        cluster.environment["FATHOM_COORDINATOR_NOTIFY_CA"] = str(cluster.state / "coordinator" / "tls" / "ca.pem")
    cluster.start_coordinator()


def state_of(cluster, sweep_id):
    return cluster.api("GET", f"/api/v1/sweeps/{sweep_id}")["state"]


def metric(cluster, name):
    lines = cluster.request("GET", "/metrics")[1].decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


def a_message_is_sent_until_it_is_taken_past_a_killed_coordinator():
    with cluster_for_webhooks() as cluster:
        restart(cluster)
        with Receiver(cluster, answer=503) as receiver:
            cluster.environment["HOOK_URL"] = f"{receiver.url}/hooks/1?x=y"
            restart(cluster)
            cluster.start_worker()
            text = sweep("told", [{"on": ["done"], "webhook": "${env:HOOK_URL}", "secret": "${env:HOOK_SECRET}"},
                                  {"on": ["failed", "cancelled", "job_failed"], "webhook": "${env:HOOK_URL}"}])
            name = cluster.submit(text)["id"]
            wait_until("the sweep ends", lambda: state_of(cluster, name) == "succeeded", 60)
            wait_until("three tries", lambda: len(receiver.taken) >= 3)
            expect(metric(cluster, "fathom_notifications_open") == 1, "the open message is not counted")
            cluster.kill("coordinator")
            receiver.answer = 200
            before = len(receiver.taken)
            cluster.start_coordinator()
            wait_until("the message is settled", lambda: metric(cluster, 'fathom_notifications_total{result="delivered"}') == 1)
            expect(len(receiver.taken) == before + 1, f"{len(receiver.taken) - before} messages for one end")
            expect(len({headers["Fathom-Notice"] for _, headers, _ in receiver.taken}) == 1, "tries have different numbers")
            path, headers, body = receiver.taken[-1]
            wanted = "sha256=" + hmac.new(SECRET.encode(), headers["Fathom-Timestamp"].encode() + b"." + body, hashlib.sha256).hexdigest()
            expect(headers["Fathom-Signature"] == wanted, "the signature is wrong")
            expect(abs(time.time() - int(headers["Fathom-Timestamp"])) < 300, "the timestamp is not now")
            message = json.loads(body)
            expect(path == "/hooks/1?x=y" and message["event"] == "done" and message["sweep"]["id"] == name, f"{path} {message}")
            expect(message["sweep"]["counts"] == {"succeeded": 4} and "4 succeeded" in message["text"], f"{message}")
            cluster.kill("coordinator")
            cluster.start_coordinator()
            time.sleep(1)
            expect(len(receiver.taken) == before + 1, "a message that was taken was sent again after a restart")
            for file in cluster.folder.rglob("*"):
                if file.is_file() and (SECRET.encode() in file.read_bytes() or b"hooks/1?x=y" in file.read_bytes()):
                    raise AssertionError(f"the value of a variable is in {file}")


def who_failed_and_who_was_cancelled_is_told():
    with cluster_for_webhooks() as cluster:
        restart(cluster)
        with Receiver(cluster) as receiver:
            hooks = [{"on": ["done", "failed", "cancelled", "job_failed"], "webhook": receiver.url}]
            cancelled = cluster.submit(sweep("cancelled", hooks))["id"]
            cluster.api("POST", f"/api/v1/sweeps/{cancelled}/cancel", {})
            wait_until("the cancel is told", lambda: receiver.taken)
            expect("was cancelled" in json.loads(receiver.taken[0][2])["text"], f"{receiver.taken}")
            cluster.environment["FATHOM_NOOP_MS"] = "5000"
            cluster.start_worker()
            failed = cluster.submit(sweep("failed", hooks, epochs=1) + "limits: {job_wall: 1s}\n")["id"]
            wait_until("the sweep fails", lambda: state_of(cluster, failed) == "failed", 60)
            wait_until("both are told", lambda: len(receiver.taken) >= 3)
            told = [json.loads(body) for _, _, body in receiver.taken[1:]]
            expect([one["event"] for one in told] == ["job_failed", "failed"], f"{told}")
            expect("limits.job_wall" in told[0]["job"]["message"] and told[0]["job"]["id"] in told[0]["text"], f"{told[0]}")


def a_slow_receiver_delays_nothing():
    with cluster_for_webhooks() as cluster:
        restart(cluster)
        cluster.start_worker()
        with Receiver(cluster, answer=None) as receiver:
            for number in range(3):
                name = cluster.submit(sweep(f"slow-{number}", [{"webhook": receiver.url}]))["id"]
                wait_until("the sweep ends", lambda name=name: state_of(cluster, name) == "succeeded", 8)
            wait_until("a try is on its way", lambda: receiver.taken)
            expect(cluster.terminate("coordinator") == 0, "a coordinator with an open message did not end well")


def no_message_goes_where_it_may_not():
    with cluster_for_webhooks(private="false") as cluster:
        restart(cluster)
        cluster.start_worker()
        with Receiver(cluster) as receiver:
            def refused(notify):
                status, body = cluster.request("POST", "/api/v1/sweeps", {"yaml": sweep("r", notify)})
                expect(status == 422, f"{status} {body}")
                return json.loads(body)["detail"]

            expect("notify.private" in refused([{"webhook": receiver.url}]), "a loopback address was taken")
            expect("no variable HOOK_URL" in refused([{"webhook": "${env:HOOK_URL}"}]), "an empty variable was taken")
            expect("notify.variables" in refused([{"webhook": "${env:HOME}"}]), "any variable may be used")
            # What a name stands for is known when the message is sent.
            port = receiver.url.rsplit(":", 1)[1]
            name = cluster.submit(sweep("by-name", [{"webhook": f"https://localhost:{port}/"}]))["id"]
            wait_until("the sweep ends", lambda: state_of(cluster, name) == "succeeded", 60)
            wait_until("it says so", lambda: "notify.private" in cluster.log_tail("coordinator", 100))
            expect(not receiver.taken, f"a message went to this machine: {receiver.taken}")


def redirects_are_not_followed():
    with cluster_for_webhooks() as cluster:
        restart(cluster)
        cluster.start_worker()
        with Receiver(cluster, answer=302) as receiver, Receiver(cluster) as target:
            receiver.location = target.url
            cluster.submit(sweep("led", [{"webhook": receiver.url}]))
            wait_until("it was tried again", lambda: len(receiver.taken) >= 2)
            receiver.answer = 410
            wait_until("it is given up", lambda: metric(cluster, 'fathom_notifications_total{result="given_up"}') == 1)
            expect(not target.taken, "a redirect was followed")


if __name__ == "__main__":
    sys.exit(run_tests([a_message_is_sent_until_it_is_taken_past_a_killed_coordinator, who_failed_and_who_was_cancelled_is_told,
                        a_slow_receiver_delays_nothing, no_message_goes_where_it_may_not, redirects_are_not_followed]))
