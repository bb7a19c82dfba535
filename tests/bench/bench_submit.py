#!/usr/bin/env python3
"""Submits: one of 100,000 jobs, many of one job one after the other, and many by 16 clients at once. Each is acknowledged after its
fsync; the rate of a raw 200-byte append with fdatasync on the same disk in the same run is the 100 % of the small ones.

  bench_submit.py [--jobs 100000] [--small 1000] [--clients 16] [--rounds 5]"""
import argparse
import concurrent.futures
import json
import os
import time
import uuid

from control import Cluster, Usage, grid, percentile, publish
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


class Client(Kept):
    def submit(self, text, name):
        headers = {"Content-Type": "application/json", "Idempotency-Key": uuid.uuid4().hex}
        begin = time.monotonic()
        answer = self.ask("POST", "/api/v1/sweeps", json.dumps({"yaml": text, "name": name}), headers)
        body = answer.read()
        if answer.status != 201:
            raise RuntimeError(f"{answer.status} {body[:300]}")
        return time.monotonic() - begin


def one_round(arguments):
    with Cluster() as cluster:
        cluster.start_coordinator()
        one = grid("one", 1)
        raw = raw_appends(cluster.folder, arguments.small)
        client = Client(cluster)
        client.submit(one, "warm")
        usage = Usage(cluster)
        times = [client.submit(one, f"s{n}") for n in range(arguments.small)]
        small = usage.since(arguments.small)
        clients = [Client(cluster) for _ in range(arguments.clients)]
        begin = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(arguments.clients) as pool:
            list(pool.map(lambda k: [clients[k].submit(one, f"c{k}-{n}") for n in range(arguments.small // arguments.clients)],
                          range(arguments.clients)))
        together = arguments.small // arguments.clients * arguments.clients / (time.monotonic() - begin)
        large = client.submit(grid("large", arguments.jobs), "large")
        return {"raw_appends_per_s": raw, "submits_per_s": len(times) / sum(times), "share_of_raw": len(times) / sum(times) / raw,
                "submit_p50_ms": 1e3 * percentile(times, 0.5), "submit_p99_ms": 1e3 * percentile(times, 0.99),
                "clients_submits_per_s": together, "coordinator_cpu_us_per_submit": small["coordinator_cpu_us_per_job"],
                "large_jobs": arguments.jobs, "large_s": large}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=100000)
    parser.add_argument("--small", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    publish("submit", [one_round(arguments) for _ in range(arguments.rounds)])


if __name__ == "__main__":
    main()
