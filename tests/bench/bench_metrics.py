#!/usr/bin/env python3
"""Metric points a second from trainers through worker and coordinator into the store, while readers look on.

  bench_metrics.py [--jobs 50] [--epochs 10] [--points 2000] [--readers 2] [--rounds 5]

Each of the jobs sends so many points an epoch. The clock runs from the submit until the coordinator has stored the last point. Half of the
readers ask for a job's curve again and again, half hold the event stream of the dashboard. Durable on both sides: points are in the worker's
spool before they leave, and acknowledged after their commit."""
import argparse
import os
import threading
import time

from control import Cluster, Usage, grid, percentile, publish, wait_for_end, wait_until
from kept import Kept


def stored(client, sweep, jobs, last):
    """Whether the last point of every job can be read."""
    for job in jobs:
        series = client.get(f"/api/v1/sweeps/{sweep}/jobs/{job['id']}/metrics?max=4")["series"]
        ours = [one for one in series if one["name"] == "bench/value"]
        if not ours or ours[0]["points"][-1][0] != last:
            return False
    return True


class Reader(threading.Thread):
    def __init__(self, cluster, sweep, job, streams):
        super().__init__(daemon=True)
        self.client, self.sweep, self.job, self.streams = Kept(cluster), sweep, job, streams
        self.over, self.times = False, []

    def run(self):
        if self.streams:
            return self.client.stream(f"/api/v1/events?sweep={self.sweep}", lambda: self.over)
        while not self.over:
            begin = time.monotonic()
            self.client.get(f"/api/v1/sweeps/{self.sweep}/jobs/{self.job}/metrics?max=500")
            self.times.append(time.monotonic() - begin)
            time.sleep(0.05)


def one_round(arguments, number):
    with Cluster(devices="cpu:1,cpu:1", slots=8, lease_ms=15000, heartbeat_ms=3000) as cluster:
        cluster.start_coordinator()
        cluster.start_worker()
        time.sleep(1.5)
        usage, client = Usage(cluster), Kept(cluster)
        text = grid("metrics", arguments.jobs).replace("epochs: 1", f"epochs: {arguments.epochs}")
        begin = time.monotonic()
        sweep = cluster.submit(text, f"metrics-{number}")["id"]
        jobs = cluster.items(f"/api/v1/sweeps/{sweep}/jobs")
        readers = [Reader(cluster, sweep, jobs[n % len(jobs)]["id"], n % 2 == 1) for n in range(arguments.readers)]
        for reader in readers:
            reader.start()
        wait_for_end(cluster, sweep)
        last = arguments.epochs * arguments.points - 1
        wait_until("all points are stored", lambda: stored(client, sweep, jobs, last), 120, 0.02)
        seconds = time.monotonic() - begin
        for reader in readers:
            reader.over = True
        count = arguments.jobs * arguments.epochs * arguments.points
        used = usage.since(count)
        curves = [t for reader in readers for t in reader.times] or [0]
        return {"points": count, "seconds": seconds, "points_per_s": count / seconds, "curve_p95_ms": 1e3 * percentile(curves, 0.95),
                "coordinator_cpu_us_per_point": used.pop("coordinator_cpu_us_per_job"), **used}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("jobs", 50), ("epochs", 10), ("points", 2000), ("readers", 2), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=value)
    arguments = parser.parse_args()
    os.environ.update(FATHOM_NOOP_QUIET="1", FATHOM_NOOP_POINTS=str(arguments.points))
    publish("metrics", [one_round(arguments, n) for n in range(arguments.rounds)], readers=arguments.readers)


if __name__ == "__main__":
    main()
