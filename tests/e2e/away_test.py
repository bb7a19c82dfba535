#!/usr/bin/env python3
"""Sweeps that have ended leave the coordinator's memory, and everything that is asked of them is answered as before."""
import json
import subprocess
import sys

import noop_sweep
from harness import BIN, Cluster, expect, run_tests, wait_until

JOBS = 4400  # more than stay in memory once another sweep has ended


def fathom(cluster, *arguments):
    command = [str(BIN / "fathom"), "--state", str(cluster.state), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=cluster.environment)
    expect(done.returncode == 0, f"{' '.join(command[3:])}: exit code {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def in_memory(cluster):
    _, metrics = cluster.request("GET", "/metrics")
    return next(int(float(line.split()[1])) for line in metrics.decode().splitlines() if line.startswith("fathom_jobs_in_memory "))


def ended(cluster, sweep):
    of = f"/api/v1/sweeps/{sweep}"
    wait_until(f"{sweep} ends", lambda: cluster.api("GET", of)["state"] != "running", 120)
    return cluster.api("GET", of)


def an_ended_sweep_leaves_memory_and_answers():
    with Cluster(environment={"FATHOM_NOOP_QUIET": "1"}) as cluster:
        effects = cluster.folder / "effects"
        cluster.environment["FATHOM_NOOP_EFFECTS"] = str(effects)
        cluster.start_coordinator()
        cluster.start_worker()
        large = noop_sweep.sweep("large", rates=("1e-3",), seeds=JOBS // 4, epochs=1, stages=False)
        first = cluster.submit(large)
        expect(first["jobs"] == JOBS, f"{first}")
        expect(ended(cluster, first["id"])["state"] == "succeeded", "the large sweep failed")
        small = cluster.submit(noop_sweep.sweep("small", tasks=("c",), rates=("1e-3",), seeds=1, epochs=1, stages=False))
        ended(cluster, small["id"])
        wait_until("the large sweep leaves memory", lambda: in_memory(cluster) < 100, 20)

        rows = cluster.items(f"/api/v1/sweeps/{first['id']}/results")
        expect(len(rows) == JOBS, f"{len(rows)} results of {JOBS} jobs")
        expect(in_memory(cluster) < 100, "a list of results brings the sweep back")
        job = rows[17]["job"]
        detail = cluster.api("GET", f"/api/v1/sweeps/{first['id']}/jobs/{job}")
        expect(detail["state"] == "succeeded" and detail["explain"], f"{detail}")
        expect("identical" in fathom(cluster, "replay", first["id"]), "the log of a sweep that left memory does not replay")

        # Its results are known, also to a coordinator that has never had it in memory.
        trained = effects.read_text().count("finish")
        cluster.kill("coordinator")
        cluster.start_coordinator()
        again = cluster.submit(large)
        told = ended(cluster, again["id"])
        expect(told["reused"] == JOBS, f"{told}")
        # One of each of the two tasks begins, to say which model and data there are; these trainers are fast.
        expect(effects.read_text().count("finish") <= trained + 2, "jobs were trained again")
        known = json.loads(fathom(cluster, "show", first["id"], "--json"))
        expect(known["state"] == "succeeded", f"{known}")


if __name__ == "__main__":
    sys.exit(run_tests([an_ended_sweep_leaves_memory_and_answers]))
