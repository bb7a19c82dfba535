#!/usr/bin/env python3
"""Submits: one of 100,000 jobs, many of one job one after the other, and many by 16 clients at once. Each is acknowledged after its
fsync; the rate of a raw 200-byte append with fdatasync on the same disk in the same run is the 100 % of the small ones.

  bench_submit.py [--jobs 100000] [--small 5000] [--clients 16] [--rounds 5] [--client PROGRAM]

The clients of the small ones are a program (submitters), since one in Python would be the limit. `threads`: microseconds of CPU a submit
of the coordinator's threads."""
import argparse
import json
import os
import pathlib
import subprocess
import time
import uuid

from control import BIN, Cluster, Usage, grid, publish
from kept import Kept


def raw_appends(folder, count):
    """Durable appends a second."""
    file = os.open(folder / "raw", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    begin = time.monotonic()
    for _ in range(count):
        os.write(file, b"x" * 200)
        os.fdatasync(file)
    os.close(file)
    return count / (time.monotonic() - begin)


def thread_times(pid):
    """Nanoseconds of CPU of each thread so far: {id: (name, time)}."""
    found = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        found[task.name] = ((task / "comm").read_text().strip(), int((task / "schedstat").read_text().split()[0]))
    return found


def threads_since(before, pid, submits):
    times = {}
    for task, (name, spent) in thread_times(pid).items():
        times[name] = times.get(name, 0) + spent - before.get(task, (name, 0))[1]
    return {name: round(time / 1e3 / submits, 1) for name, time in times.items() if time / submits > 100}


class Client(Kept):
    def submit(self, text, name):
        headers = {"Content-Type": "application/json", "Idempotency-Key": uuid.uuid4().hex}
        begin = time.monotonic()
        answer = self.ask("POST", "/api/v1/sweeps", json.dumps({"yaml": text, "name": name}), headers)
        body = answer.read()
        if answer.status != 201:
            raise RuntimeError(f"{answer.status} {body[:300]}")
        return time.monotonic() - begin


def submitters(cluster, program, name, clients, submits):
    """What the program says, the rate and what the coordinator has used for a submit."""
    pid = cluster.processes["coordinator"].pid
    usage, before = Usage(cluster), thread_times(pid)
    said = subprocess.run([program, "--coordinator", f"127.0.0.1:{cluster.port}", "--token", cluster.state / "token",
                           "--ca", cluster.state / "coordinator" / "tls" / "ca.pem", "--sweep", cluster.folder / "one.yaml",
                           "--name", name, "--clients", str(clients), "--submits", str(submits)],
                          check=True, capture_output=True, text=True).stdout
    said = json.loads(said)
    return {"submits_per_s": said["submits"] / said["seconds"], "p50_ms": said["p50_ms"], "p99_ms": said["p99_ms"],
            "client_cpu_us": said["client_cpu_us"], "cpu_us": usage.since(submits)["coordinator_cpu_us_per_job"],
            "threads": threads_since(before, pid, submits)}


def one_round(arguments):
    with Cluster() as cluster:
        cluster.start_coordinator()
        (cluster.folder / "one.yaml").write_text(grid("one", 1))
        submitters(cluster, arguments.client, "warm", 1, max(arguments.small // 10, 1))
        before = raw_appends(cluster.folder, arguments.small)
        alone = submitters(cluster, arguments.client, "s", 1, arguments.small)
        raw = (before + raw_appends(cluster.folder, arguments.small)) / 2
        together = submitters(cluster, arguments.client, "c", arguments.clients, arguments.small)
        result = {"raw_appends_per_s": raw, "share_of_raw": alone["submits_per_s"] / raw}
        result |= {f"alone_{key}": value for key, value in alone.items()}
        result |= {f"clients_{key}": value for key, value in together.items()}
        if arguments.jobs:
            result |= {"large_jobs": arguments.jobs, "large_s": Client(cluster).submit(grid("large", arguments.jobs), "large")}
        return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=100000)
    parser.add_argument("--small", type=int, default=5000)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--client", default=BIN / "submitters", help="another program than this build's, to compare builds with one client")
    arguments = parser.parse_args()
    publish("submit", [one_round(arguments) for _ in range(arguments.rounds)])


if __name__ == "__main__":
    main()
