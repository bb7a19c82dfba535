#!/usr/bin/env python3
"""A coordinator with many jobs: kill -9, start, first answer; its memory; counts and pages of jobs meanwhile.

  bench_restart.py [--jobs 100000] [--rounds 5] [--queries 200]

Queries go over one kept connection. Jobs are open ones of one sweep, of several
above 100,000. The snapshot is the coordinator's own (configs/coordinator.yaml, snapshot_every)."""
import argparse
import time

from control import Cluster, cpu_seconds, grid, memory_mib, percentile, publish
from kept import Kept


LARGEST = 100000  # jobs of one sweep


def timed(call):
    begin = time.monotonic()
    call()
    return time.monotonic() - begin


def one_round(arguments):
    with Cluster() as cluster:
        cluster.start_coordinator()
        pieces = [min(LARGEST, arguments.jobs - first) for first in range(0, arguments.jobs, LARGEST)]
        name = [cluster.submit(grid(f"large{n}", jobs), f"large{n}")["id"] for n, jobs in enumerate(pieces)][0]
        time.sleep(3 * len(pieces))
        client = Kept(cluster)
        counts = [timed(lambda: client.get(f"/api/v1/sweeps/{name}")) for _ in range(arguments.queries)]
        pages = [timed(lambda: client.get(f"/api/v1/sweeps/{name}/jobs?limit=100&state=ready&sort=seed")) for _ in range(arguments.queries)]
        cluster.kill("coordinator")
        begin = time.monotonic()
        cluster.start_coordinator()
        wall = time.monotonic() - begin
        pid = cluster.processes["coordinator"].pid
        return {"jobs": arguments.jobs, "restart_s": wall, "restart_cpu_s": cpu_seconds(pid), "rss_mib": memory_mib(pid),
                "peak_rss_mib": memory_mib(pid, "VmHWM"), "counts_p50_ms": 1e3 * percentile(counts, 0.5),
                "counts_p95_ms": 1e3 * percentile(counts, 0.95), "page_p50_ms": 1e3 * percentile(pages, 0.5),
                "page_p95_ms": 1e3 * percentile(pages, 0.95)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=100000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--queries", type=int, default=200)
    arguments = parser.parse_args()
    publish("restart", [one_round(arguments) for _ in range(arguments.rounds)])


if __name__ == "__main__":
    main()
