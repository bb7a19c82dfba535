#!/usr/bin/env python3
"""Many workers on one coordinator: joining, idling, and coming back after kill -9 and a start.

  bench_workers.py [--workers 1000] [--idle 30] [--rounds 3]

The workers are one process (many_workers), each with a certificate and a TLS 1.3 connection of its own, the product's default heartbeat and the worker's
own pauses between tries. reconnect_s: from the start of the coordinator to the moment when the last worker is welcomed."""
import argparse
import json
import time

from control import BIN, Cluster, cpu_seconds, memory_mib, publish, wait_until

DEFAULTS = {"lease_ms": 15000, "heartbeat_ms": 5000}  # configs/coordinator.yaml


def lines(cluster):
    text = (cluster.folder / "crowd.log").read_text()
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def welcomes(cluster):
    return [line for line in lines(cluster) if "welcomed" in line]


def one_round(arguments):
    with Cluster(**DEFAULTS) as cluster:
        cluster.start_coordinator()
        pid = cluster.processes["coordinator"].pid
        begin, used = time.time(), cpu_seconds(pid)
        cluster.start("crowd", [BIN / "many_workers", "--coordinator", f"127.0.0.1:{cluster.port}", "--join-token", cluster.state / "join-token",
                                "--state", cluster.folder / "crowd", "--workers", arguments.workers])
        wait_until("all workers are welcomed", lambda: cluster.alive("crowd") and welcomes(cluster), 300, 0.1)
        join, join_cpu = welcomes(cluster)[0]["at_ms"] / 1000 - begin, cpu_seconds(pid) - used
        time.sleep(2 * DEFAULTS["heartbeat_ms"] / 1000)
        used = cpu_seconds(pid)
        time.sleep(arguments.idle)
        idle = 100 * (cpu_seconds(pid) - used) / arguments.idle
        rss = memory_mib(pid)
        seen = sum(one["state"] == "ready" for one in cluster.items("/api/v1/workers"))
        cluster.kill("coordinator")
        begin = time.time()
        cluster.start_coordinator()
        wait_until("all workers are back", lambda: len(welcomes(cluster)) > 1, 120, 0.05)
        back = welcomes(cluster)[1]
        pid = cluster.processes["coordinator"].pid
        return {"workers": arguments.workers, "ready": seen, "join_s": join, "join_cpu_ms_per_worker": 1e3 * join_cpu / arguments.workers,
                "idle_cpu_percent": idle, "rss_mib": rss, "reconnect_s": back["at_ms"] / 1000 - begin,
                "reconnect_cpu_ms_per_worker": 1e3 * cpu_seconds(pid) / arguments.workers}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--idle", type=float, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    publish("workers", [one_round(arguments) for _ in range(arguments.rounds)])


if __name__ == "__main__":
    main()
