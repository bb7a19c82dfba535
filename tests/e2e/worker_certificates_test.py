#!/usr/bin/env python3
"""The real worker's certificate: join tokens, restarts without one, renewal, revocation, folders of before."""
import json
import subprocess
import sys

from harness import BIN, Cluster, expect, run_tests, wait_until


def cli(cluster, *arguments):
    done = subprocess.run([BIN / "fathom", "--state", cluster.state, *arguments], capture_output=True, text=True, timeout=30,
                          stdin=subprocess.DEVNULL, env=cluster.environment)
    expect(done.returncode == 0, f"fathom {' '.join(map(str, arguments))}: exit code {done.returncode}: {done.stderr}")
    return done.stdout.strip()


def start(cluster, name, token=None):
    """A worker with the join token in this file, or with none."""
    joining = ["--join-token", token] if token else []
    return cluster.start(name, [BIN / "fathom-worker", "--coordinator", f"127.0.0.1:{cluster.port}", *joining, "--state",
                                cluster.folder / f"{name}-state", "--root", cluster.root, "--devices", "cpu:1", "--trainer",
                                cluster.trainer, "--name", name])


def workers(cluster):
    return {worker["name"]: worker for worker in cluster.items("/api/v1/workers")}


def joined(cluster, name):
    wait_until(f"{name} is there", lambda: cluster.alive(name) and name in workers(cluster) and
               workers(cluster)[name]["state"] == "ready")


def a_token_of_the_command_line_is_good_once():
    with Cluster() as cluster:
        cluster.start_coordinator()
        token = cluster.folder / "gpu.token"
        cli(cluster, "token", "create", "gpu", "--role", "worker", "--out", token)
        expect(token.stat().st_mode & 0o777 == 0o600, "the token's file can be read by others")
        start(cluster, "one", token)
        joined(cluster, "one")
        second = start(cluster, "two", token)
        expect(second.wait(20) == 1, "a used token let a second worker in")
        expect("used already" in cluster.log_tail("two"), cluster.log_tail("two"))
        expect("gpu" in cli(cluster, "token", "list") and "used" in cli(cluster, "token", "list"), "the list does not say that it was used")
        # From now on the certificate is enough, also where the token is gone.
        token.unlink()
        cluster.terminate("one")
        cluster.end("coordinator")
        cluster.start_coordinator()
        start(cluster, "one")
        joined(cluster, "one")
        expect(len(workers(cluster)) == 1, "the worker came back as another one")


def many_workers_take_from_the_token_of_the_state_folder_at_once():
    with Cluster() as cluster:
        cluster.start_coordinator()
        names = [f"w{i}" for i in range(6)]
        for name in names:
            start(cluster, name, cluster.state / "join-token")
        for name in names:
            joined(cluster, name)


def certificates_are_renewed_before_they_end():
    with Cluster(environment={"FATHOM_COORDINATOR_WORKER_CERTIFICATE": "6s"}) as cluster:
        cluster.start_coordinator()
        start(cluster, "one", cluster.state / "join-token")
        joined(cluster, "one")
        identity = cluster.folder / "one-state" / "identity.pem"
        first = identity.read_text()
        wait_until("another certificate", lambda: cluster.alive("one") and identity.read_text() != first, 30)
        expect(identity.read_text().split("BEGIN CERTIFICATE")[0] != first.split("BEGIN CERTIFICATE")[0], "the key is the old one")
        cluster.kill("one")
        start(cluster, "one")
        joined(cluster, "one")


def a_revoked_worker_ends_and_stays_out():
    with Cluster() as cluster:
        cluster.start_coordinator()
        process = start(cluster, "one", cluster.state / "join-token")
        joined(cluster, "one")
        cli(cluster, "workers", "revoke", "one")
        expect(process.wait(10) == 1, "a revoked worker goes on")
        expect("revoked" in cluster.log_tail("one"), cluster.log_tail("one"))
        expect("revoked" in cli(cluster, "workers"), "the list does not say that it is revoked")
        # Not even with the token of the state folder; with one that was made for it.
        expect(start(cluster, "one", cluster.state / "join-token").wait(20) == 1, "a revoked worker came back by itself")
        token = cluster.folder / "again.token"
        cli(cluster, "token", "create", "again", "--role", "worker", "--out", token)
        start(cluster, "one", token)
        joined(cluster, "one")
        lines = [json.loads(line) for line in (cluster.state / "coordinator" / "audit.jsonl").read_text().splitlines()]
        expect(any(line["role"] == "worker" and line["status"] == 403 for line in lines), f"no refusal in the audit log: {lines}")


def a_worker_of_before_certificates_joins_once_more_and_stays_itself():
    with Cluster() as cluster:
        cluster.start_coordinator()
        start(cluster, "one", cluster.state / "join-token")
        joined(cluster, "one")
        number = workers(cluster)["one"]["id"]
        cluster.terminate("one")
        # What a coordinator and a worker of before look like: the one shared secret, no identity.
        (cluster.folder / "one-state" / "identity.pem").unlink()
        cluster.end("coordinator")
        (cluster.state / "coordinator" / "workers.json").unlink()
        (cluster.state / "coordinator" / "join-secret").write_text("0" * 64 + "\n")
        cluster.start_coordinator()
        expect(not (cluster.state / "coordinator" / "join-secret").exists(), "the shared secret is still there")
        start(cluster, "one", cluster.state / "join-token")
        joined(cluster, "one")
        expect(workers(cluster)["one"]["id"] == number, "the worker came back as another one")


if __name__ == "__main__":
    sys.exit(run_tests([a_token_of_the_command_line_is_good_once, many_workers_take_from_the_token_of_the_state_folder_at_once,
                        certificates_are_renewed_before_they_end, a_revoked_worker_ends_and_stays_out,
                        a_worker_of_before_certificates_joins_once_more_and_stays_itself]))
