#!/usr/bin/env python3
"""Jobs a second through coordinator and worker, with a trainer that answers at once (tests/bench/noop_trainer).

  bench_dispatch.py [--load noop|dag] [--jobs 5000] [--slots 64] [--devices 2] [--rounds 5] [--files]

noop: adapters that need nothing. dag: 100 adapters, then 900 fusions of pairs of them (1,000 jobs; --jobs has no say).
Makespan from the begin of the submit to the end of the last job. Every job is leased, starts, reports and ends with a result;
everything is durable before it is acknowledged. --files: each also sends metric points and log text, and uploads a result file."""
import argparse
import os
import pathlib
import time

from control import Cluster, Usage, cpu_seconds, grid, publish, wait_for_end

DAG = """version: 1
name: dag
model: {path: models/none}
tasks:
%s
train: {epochs: 1}
stages:
  adapter: {seeds: 1..10}
  fusion: {needs: {from: adapter}, sets: {subsets: 2}, targets: all}
"""


def dag():
    tasks = [f"  t{i}: {{data: {{train: t{i}/train.tsv, eval: t{i}/dev.tsv}}, text: text, label: label, metric: accuracy}}" for i in range(10)]
    return DAG % "\n".join(tasks)


def children(pid):
    return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def worker_cpu(cluster):
    """Seconds of the worker and of its trainers so far."""
    worker = next(process.pid for name, process in cluster.processes.items() if name != "coordinator")
    return cpu_seconds(worker), sum(cpu_seconds(child) for child in children(worker))


def one_round(arguments, number):
    text = dag() if arguments.load == "dag" else grid("noop", arguments.jobs)
    with Cluster(devices=",".join(["cpu:1"] * arguments.devices), slots=arguments.slots, lease_ms=15000, heartbeat_ms=3000) as cluster:
        cluster.start_coordinator()
        cluster.start_worker()
        time.sleep(1.5)  # the worker has joined and its trainers are there
        usage = Usage(cluster)
        worker, trainers = worker_cpu(cluster)
        begin = time.monotonic()
        made = cluster.submit(text, f"round-{number}")
        accepted = time.monotonic() - begin
        makespan = wait_for_end(cluster, made["id"]) - begin
        worker, trainers = (now - before for now, before in zip(worker_cpu(cluster), (worker, trainers)))
        return {"jobs": made["jobs"], "worker_cpu_us_per_job": 1e6 * worker / made["jobs"],
                "trainer_cpu_us_per_job": 1e6 * trainers / made["jobs"], "submit_s": accepted, "makespan_s": makespan, "jobs_per_s": made["jobs"] / makespan,
                **usage.since(made["jobs"])}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--load", choices=("noop", "dag"), default="noop")
    parser.add_argument("--jobs", type=int, default=5000)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--devices", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--files", action="store_true")
    arguments = parser.parse_args()
    os.environ["FATHOM_NOOP_QUIET"] = "0" if arguments.files else "1"
    publish("dispatch", [one_round(arguments, n) for n in range(arguments.rounds)], load=arguments.load, slots=arguments.slots,
            devices=arguments.devices, files=arguments.files)


if __name__ == "__main__":
    main()
