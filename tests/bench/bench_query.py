#!/usr/bin/env python3
"""What a dashboard asks: counts, pages of jobs and curves, where there are many of each.

  bench_query.py [--jobs 100000] [--points 10000000] [--queries 200] [--rounds 1]

Trainers send the points first (2,000 an epoch, 10 epochs a job); then a sweep of so many jobs waits. Questions go over one kept connection, one
after the other, and are timed by who asks: counts of the large sweep by state; its pages of 100, filtered by state and sorted by the sampled
parameter, or by seed; curves of jobs of the other sweep, 20,000 points of each brought down to 500. `while_written`: the same while
trainers send as many points again as a tenth of them."""
import argparse
import os
import random
import time

from control import Cluster, Usage, grid, memory_mib, percentile, publish, wait_for_end, wait_until
from kept import Kept

EPOCHS, POINTS = 10, 2000  # of a job; points an epoch


def measured(call, count):
    times = []
    for _ in range(count):
        begin = time.monotonic()
        call()
        times.append(1e3 * (time.monotonic() - begin))
    return {"p50_ms": percentile(times, 0.5), "p95_ms": percentile(times, 0.95), "p99_ms": percentile(times, 0.99)}


def questions(client, large, curves, queries):
    pages = f"/api/v1/sweeps/{large}/jobs?limit=100&state=ready&sort="
    return {"counts": measured(lambda: client.get(f"/api/v1/sweeps/{large}"), queries),
            "page_by_parameter": measured(lambda: client.get(pages + "train.lr"), queries),
            "page_by_seed": measured(lambda: client.get(pages + "seed"), queries),
            "curve": measured(lambda: client.get(random.choice(curves)), queries)}


def send_points(cluster, name, points):
    """Paths of the curves of the jobs that sent them."""
    text = grid(name, max(2, points // (EPOCHS * POINTS)), cache="false").replace("epochs: 1", f"epochs: {EPOCHS}")
    sweep = cluster.submit(text, name)["id"]
    return sweep, [f"/api/v1/sweeps/{sweep}/jobs/{job['id']}/metrics?max=500" for job in cluster.items(f"/api/v1/sweeps/{sweep}/jobs")]


def all_stored(client, curves):
    def last(curve):
        ours = [one for one in client.get(curve)["series"] if one["name"] == "bench/value"]
        return ours[0]["points"][-1][0] if ours else -1
    return all(last(curve) == EPOCHS * POINTS - 1 for curve in curves)


def one_round(arguments):
    with Cluster(devices="cpu:1,cpu:1", slots=8, lease_ms=15000, heartbeat_ms=3000) as cluster:
        cluster.start_coordinator()
        cluster.start_worker()
        client = Kept(cluster)
        usage, begin = Usage(cluster), time.monotonic()
        sweep, curves = send_points(cluster, "points", arguments.points)
        wait_for_end(cluster, sweep, every=0.5)
        wait_until("all points are stored", lambda: all_stored(client, curves[-20:]), 300, 0.5)
        seconds = time.monotonic() - begin
        count = len(curves) * EPOCHS * POINTS
        cluster.terminate("worker")
        large = cluster.submit(grid("large", arguments.jobs), "large")["id"]
        time.sleep(3)
        found = questions(client, large, curves, arguments.queries)
        cluster.api("POST", f"/api/v1/sweeps/{large}/change", {"paused": True})
        cluster.start_worker("later")
        more, _ = send_points(cluster, "more", arguments.points // 10)
        writing = questions(client, large, curves, arguments.queries)
        wait_for_end(cluster, more, every=0.5)
        return {"jobs": arguments.jobs, "points": count, "points_per_s": count / seconds, "queries": found, "while_written": writing,
                "rss_mib": memory_mib(cluster.processes["coordinator"].pid), **usage.since(1)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("jobs", 100_000), ("points", 10_000_000), ("queries", 200), ("rounds", 1)):
        parser.add_argument(f"--{name}", type=int, default=value)
    arguments = parser.parse_args()
    os.environ.update(FATHOM_NOOP_QUIET="1", FATHOM_NOOP_POINTS=str(POINTS))
    publish("query", [one_round(arguments) for _ in range(arguments.rounds)])


if __name__ == "__main__":
    main()
