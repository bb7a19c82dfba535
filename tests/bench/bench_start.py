#!/usr/bin/env python3
"""A cold start and an idle coordinator.

  bench_start.py [--idle 20] [--workers 1] [--rounds 5]

start: a store, certificates and one waiting job are there; from the start of coordinator and worker at the same time to the moment when the job has
ended or runs, read from the coordinator's own times. idle: CPU of the coordinator, in percent of a core, and its memory, with so many workers that
have nothing to do. --trainer: another trainer than the no-op one; it has to find the model of --model below --root."""
import argparse
import time

from control import Cluster, cpu_seconds, grid, memory_mib, publish, wait_for_end, wait_until


def one_round(arguments, number):
    with Cluster(lease_ms=15000, heartbeat_ms=3000) as cluster:
        cluster.start_coordinator()
        cluster.start_worker("worker-0")
        wait_for_end(cluster, cluster.submit(grid("first", 1), f"first-{number}")["id"])
        cluster.terminate("worker-0")
        waiting = cluster.submit(grid("waiting", 1) + "seeds: [7]\n", f"waiting-{number}")["id"]
        cluster.terminate("coordinator")
        begin, wall = time.monotonic(), time.time()
        cluster.start_coordinator()
        served = time.monotonic() - begin
        cluster.start_worker("worker-0")
        wait_until("the job runs", lambda: cluster.items(f"/api/v1/sweeps/{waiting}/jobs")[0].get("started"), 30, 0.01)
        started = cluster.items(f"/api/v1/sweeps/{waiting}/jobs")[0]["started"] / 1000 - wall
        wait_for_end(cluster, waiting)
        for n in range(1, arguments.workers):
            cluster.start_worker(f"worker-{n}")
        time.sleep(3)
        pid = cluster.processes["coordinator"].pid
        used = cpu_seconds(pid)
        time.sleep(arguments.idle)
        return {"serving_s": served, "first_job_s": started, "idle_cpu_percent": 100 * (cpu_seconds(pid) - used) / arguments.idle,
                "rss_mib": memory_mib(pid)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--idle", type=float, default=20)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    publish("start", [one_round(arguments, n) for n in range(arguments.rounds)], workers=arguments.workers)


if __name__ == "__main__":
    main()
