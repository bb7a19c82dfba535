#!/usr/bin/env python3
"""Secrets are nowhere but in their own files: not in logs, answers, errors, exports, artifacts, nor with the trainers. And a
trainer of the real worker runs as little as it needs."""
import json
import os
import pathlib
import subprocess
import sys

import noop_sweep
from harness import BIN, Cluster, Skip, expect, run_tests, wait_until

PLANTED = "planted-" + "5ec7e7" * 6
SWEEP = noop_sweep.sweep("one", tasks=("a",), rates=("1e-3",), seeds=1, epochs=20, stages=False).replace(", specialized: [2]", "")
OWN = {"token", "join-token", "ca.key", "server.key", "identity.pem"}  # the files that hold secrets, 0600 each


def cli(cluster, *arguments):
    return subprocess.run([BIN / "fathom", "--state", cluster.state, *arguments], capture_output=True, text=True, timeout=30,
                          stdin=subprocess.DEVNULL, env=cluster.environment)


def secrets_of(cluster, name="worker"):
    """What must not be found anywhere, by what it is."""
    found = {"the admin token": (cluster.state / "token").read_text().strip(),
             "the unused join token": (cluster.state / "join-token").read_text().strip().rsplit(".", 1)[1],
             "the planted variable": PLANTED}
    for what, path in (("the CA's key", cluster.state / "coordinator" / "tls" / "ca.key"),
                       ("the server's key", cluster.state / "coordinator" / "tls" / "server.key"),
                       ("the worker's key", cluster.folder / f"{name}-state" / "identity.pem")):
        found[what] = path.read_text().splitlines()[1]  # the first line of the key itself
    return found


def search(where, data, secrets):
    for what, secret in secrets.items():
        expect(secret.encode() not in data, f"{what} is in {where}")


def secrets_stay_in_their_files():
    environment = {"AWS_SECRET_ACCESS_KEY": PLANTED, "FATHOM_NOOP_MS": "20", "FATHOM_NOOP_CHECKPOINTS": "1"}
    with Cluster(devices="cpu:1", environment=environment) as cluster:
        cluster.start_coordinator("--log-level", "trace")
        spent = (cluster.state / "join-token").read_text().strip().rsplit(".", 1)[1]
        cluster.start_worker("worker", "--log-level", "trace")
        cluster.submit(SWEEP)
        wait_until("the job succeeds", lambda: cluster.items("/api/v1/sweeps/one/jobs")[0]["state"] == "succeeded")
        user = json.loads(cli(cluster, "--json", "token", "create", "ada", "--role", "viewer").stdout or "{}").get("token")
        if user is None:  # where --json stands behind the command
            user = json.loads(cli(cluster, "token", "create", "ada", "--role", "viewer", "--json").stdout)["token"]
        secrets = {**secrets_of(cluster), "the spent join token": spent, "a viewer's token": user}
        # Refusals are where a careless program repeats what it was told.
        token = secrets["the admin token"]
        for path in ("/api/v1/sweeps/none", "/api/v1/artifacts/none", "/nothing", f"/login?code={user}"):
            search(path, cluster.request("GET", path)[1], {"a viewer's token": token})
        cluster.request("GET", "/api/v1/sweeps", headers={"Authorization": f"Bearer {token}x"})
        job = cluster.items("/api/v1/sweeps/one/jobs")[0]["id"]
        for path in ("/metrics", "/api/v1/log", "/api/v1/workers", "/api/v1/tokens", "/api/v1/join-tokens", "/api/v1/openapi.json",
                     "/api/v1/sweeps", "/api/v1/sweeps/one", "/api/v1/sweeps/one/resolved", f"/api/v1/sweeps/one/jobs/{job}",
                     f"/api/v1/sweeps/one/jobs/{job}/log", f"/api/v1/sweeps/one/jobs/{job}/events"):
            status, data = cluster.request("GET", path)
            expect(status == 200, f"GET {path}: {status}")
            search(path, data, secrets)
        export = cluster.folder / "export"
        expect(cli(cluster, "export", export).returncode == 0, "the export failed")
        cluster.end("worker")
        cluster.end("coordinator")
        for path in cluster.folder.rglob("*"):
            if path.is_symlink() or not path.is_file():
                continue
            if path.name in OWN:
                expect(path.stat().st_mode & 0o077 == 0, f"{path} can be read by others")
            else:
                search(path, path.read_bytes(), secrets)


def a_trainer_runs_as_little_as_it_needs():
    if os.geteuid() != 0:
        raise Skip("only a worker that runs as root can start trainers as another user")
    status = pathlib.Path("/proc/self/status").read_text()
    if not int(status.split("CapEff:")[1].split()[0], 16) >> 2 & 1:
        raise Skip("this container lacks CAP_DAC_READ_SEARCH: trainers stay root")
    with Cluster(devices="cpu:1", environment={"AWS_SECRET_ACCESS_KEY": PLANTED, "FATHOM_NOOP_MS": "100",
                                               "FATHOM_NOOP_CHECKPOINTS": "1"}) as cluster:
        cluster.start_coordinator()
        cluster.start_worker()
        cluster.submit(SWEEP)
        wait_until("the job runs", lambda: cluster.items("/api/v1/sweeps/one/jobs")[0]["epoch"] >= 2)
        pid = cluster.trainers()[0]
        process = pathlib.Path(f"/proc/{pid}")
        status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines() if ":\t" in line)
        expect(set(status["Uid"].split()) != {"0"} and "0" not in status["Uid"].split(), f"it runs as {status['Uid']}")
        expect(status["Groups"].strip() == "", f"it is in the groups {status['Groups']}")
        expect(int(status["CapEff"], 16) == 1 << 2, f"it has the capabilities {status['CapEff']}")  # CAP_DAC_READ_SEARCH
        expect(status["NoNewPrivs"] == "1", "it could gain privileges")
        expect(PLANTED.encode() not in (process / "environ").read_bytes(), "it has the planted secret")
        scratch = pathlib.Path(os.readlink(process / "cwd"))
        expect(scratch.parent == cluster.folder / "worker-state" / "scratch", f"it works in {scratch}")
        kinds = [os.readlink(link) for link in (process / "fd").iterdir()]
        expect(sum(kind.startswith("socket:") for kind in kinds) == 1, f"its descriptors: {kinds}")
        expect(not any("state/lock" in kind or "spool" in kind for kind in kinds), f"its descriptors: {kinds}")
        # And its job ends well: checkpoints and results were written and taken.
        wait_until("the job succeeds", lambda: cluster.items("/api/v1/sweeps/one/jobs")[0]["state"] == "succeeded", 60)
        cluster.terminate("worker")
        expect(not scratch.exists(), "its scratch folder is left")


if __name__ == "__main__":
    sys.exit(run_tests([secrets_stay_in_their_files, a_trainer_runs_as_little_as_it_needs]))
