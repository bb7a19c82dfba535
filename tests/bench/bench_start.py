#!/usr/bin/env python3
"""A cold start and an idle coordinator.

  bench_start.py [--idle 20] [--workers 1] [--rounds 5] [--minilm]

start: a store, certificates and one waiting job are there; from the start of coordinator and worker at the same time to the moment when the job has
ended or runs, read from the coordinator's own times. idle: CPU of the coordinator, in percent of a core, and its memory, with so many workers that
have nothing to do. --minilm: the product's trainer, which opens MiniLM and tokenises 64 rows of SST-2 before the job runs."""
import argparse
import pathlib
import tempfile
import time

import bench
from bench_sweep import sweep_file
from control import BIN, Cluster, cpu_seconds, grid, memory_mib, publish, wait_for_end, wait_until


def files(minilm):
    """A sweep that is run, and one that waits for the start."""
    if not minilm:
        return grid("first", 1), grid("waiting", 1) + "seeds: [7]\n"
    small = argparse.Namespace(precision="fp32", epochs=1, seeds=1, depths=1)
    return tuple(sweep_file(name, "sst2", small).replace("seeds: [1]", seeds) for name, seeds in (("first", "seeds: [1]"), ("waiting", "seeds: [7]")))


def one_round(arguments, number, more):
    first, second = files(arguments.minilm)
    with Cluster(lease_ms=15000, heartbeat_ms=3000, **more) as cluster:
        cluster.environment["FATHOM_WORKER_LINKS"] = str(bench.MODEL.resolve())
        cluster.start_coordinator()
        cluster.start_worker("worker-0")
        wait_for_end(cluster, cluster.submit(first, f"first-{number}")["id"])
        cluster.terminate("worker-0")
        waiting = cluster.submit(second, f"waiting-{number}")["id"]
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
    parser.add_argument("--minilm", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fathom-bench-") as name:
        folder, more = pathlib.Path(name), {}
        if arguments.minilm:
            folder.chmod(0o755)
            bench.prepare(folder, "sst2", train_rows=64, dev_rows=32)
            more = {"trainer": BIN / "fathom-trainer", "root": folder / "root"}
        publish("start", [one_round(arguments, n, more) for n in range(arguments.rounds)], workers=arguments.workers, minilm=arguments.minilm)


if __name__ == "__main__":
    main()
