#!/usr/bin/env python3
"""Jobs a second through coordinator and worker, with a trainer that answers at once (tests/bench/noop_trainer).

  bench_dispatch.py [--load noop|known|dag|process|asha|reports] [--jobs 5000] [--slots 64] [--devices 2] [--epochs 1] [--hogs 0] [--rounds 5] [--verdicts] [--files]

noop: adapters that need nothing. known: the same file once more, so that every result is taken from the first. process: as noop, each of
them a process (/bin/true) that its trainer starts and waits for, beside the rate of as many programs as there are devices that do nothing
else. dag: 100 adapters, then 900 fusions of pairs of them (1,000 jobs; --jobs has no say).
asha: each report waits for the verdict on the one before, rungs 1 and 4 of 10 epochs; the log is then held to the published rule, written
down once more in this file. reports: the same without stopping, so there
are no verdicts to wait for; with --verdicts each waits until the one before is durable and answered, as if there were. HyperQueue's and Ray's rows have neither.
Makespan from the begin of the submit to the end of the last job. Every job is leased, starts, reports and ends with a result;
everything is durable before it is acknowledged. --epochs: reports of a job. --hogs: so many programs that only compute run beside.
--files: each also sends metric points and log text, and uploads a result file."""
import argparse
import bisect
import json
import os
import pathlib
import subprocess
import sys
import time

from control import BIN, Cluster, Usage, cpu_seconds, expect, grid, publish, wait_for_end

DAG = """version: 1
name: dag
model: {path: models/none}
tasks:
%s
train: {epochs: 1}
stages:
  adapter: {seeds: 1..10}
  fusion: {needs: {from: adapter}, sets: {subsets: 2}, targets: [t0, t1]}
"""


def dag():
    tasks = [f"  t{i}: {{data: {{train: t{i}/train.tsv, eval: t{i}/dev.tsv}}, text: text, label: label, metric: accuracy}}" for i in range(10)]
    return DAG % "\n".join(tasks)


def asha_differs(cluster, eta, rungs):
    """The stopping rule once more: of n values at a rung, this one's among them, max(1, n // eta) go on, and so does
    who equals the last of them. From an export of the whole log: reports, those at rungs, jobs stopped, jobs of another verdict than the rule's."""
    file = cluster.folder / "log.export"
    subprocess.run([BIN / "fathom", "--state", cluster.state, "export", file], check=True, stdout=subprocess.DEVNULL)
    behind, stopped, values, judged, reports = set(), set(), {rung: [] for rung in rungs}, 0, 0
    for line in open(file):
        event = json.loads(line)
        if report := event.get("report_recorded"):
            epoch, reports = report["epoch"], reports + 1
            if epoch not in values:
                continue
            judged += 1
            bisect.insort(values[epoch], -report["objective"])
            keep = max(1, len(values[epoch]) // eta)
            if -report["objective"] > values[epoch][keep - 1]:
                behind.add(report["fence"]["job"])
        elif (wish := event.get("stop_wished")) and wish["cause"] == "search":
            stopped.add(wish["fence"]["job"])
    return reports, judged, len(stopped), len(behind ^ stopped)


def children(pid):
    return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def worker_cpu(cluster):
    """Seconds of the worker and of its trainers so far."""
    worker = next(process.pid for name, process in cluster.processes.items() if name != "coordinator")
    return cpu_seconds(worker), sum(cpu_seconds(child) for child in children(worker))


def raw_spawns(devices, count):
    """Processes a second that so many programs start and wait for, one after the other each."""
    command = [str(BIN / "noop_trainer"), "--measure-spawns", str(count // devices)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(devices)]
    return sum(float(process.communicate()[0]) for process in running)


def one_round(arguments, number):
    raw = {"raw_spawns_per_s": raw_spawns(arguments.devices, 2000)} if arguments.load == "process" else {}
    stages = "  adapter: {stop: {method: asha, eta: 4}}\n" if arguments.load == "asha" else "  adapter: {}\n"
    text = dag() if arguments.load == "dag" else grid("noop", arguments.jobs, stages)
    text = text.replace("epochs: 1", f"epochs: {arguments.epochs}")
    with Cluster(devices=",".join(["cpu:1"] * arguments.devices), slots=arguments.slots, lease_ms=15000, heartbeat_ms=3000) as cluster:
        cluster.start_coordinator()
        cluster.start_worker()
        time.sleep(1.5)  # the worker has joined and its trainers are there
        if arguments.load == "known":
            wait_for_end(cluster, cluster.submit(text, "before")["id"])
        usage = Usage(cluster)
        worker, trainers = worker_cpu(cluster)
        hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(arguments.hogs)]
        try:
            begin = time.monotonic()
            made = cluster.submit(text, f"round-{number}")
            accepted = time.monotonic() - begin
            makespan = wait_for_end(cluster, made["id"]) - begin
        finally:
            for hog in hogs:
                hog.kill()
                hog.wait()
        worker, trainers = (now - before for now, before in zip(worker_cpu(cluster), (worker, trainers)))
        more, reports = {}, made["jobs"] * arguments.epochs
        if arguments.load == "asha":
            reports, judged, stopped, differ = asha_differs(cluster, 4, (1, 4))
            expect(differ == 0, f"{differ} of {judged} verdicts are not the rule's")
            more = {"judged": judged, "stopped": stopped}
        return {"jobs": made["jobs"], **more, "worker_cpu_us_per_job": 1e6 * worker / made["jobs"],
                **raw, **({"share_of_raw": made["jobs"] / makespan / raw["raw_spawns_per_s"]} if raw else {}),
                "trainer_cpu_us_per_job": 1e6 * trainers / made["jobs"], "submit_s": accepted, "makespan_s": makespan, "jobs_per_s": made["jobs"] / makespan,
                "reports_per_s": reports / makespan,
                **usage.since(made["jobs"])}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--load", choices=("noop", "known", "dag", "process", "asha", "reports"), default="noop")
    parser.add_argument("--jobs", type=int, default=5000)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--devices", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--hogs", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--verdicts", action="store_true")
    parser.add_argument("--files", action="store_true")
    arguments = parser.parse_args()
    if arguments.load in ("asha", "reports"):
        arguments.epochs = 10
        arguments.verdicts = arguments.verdicts or arguments.load == "asha"
    os.environ["FATHOM_NOOP_VERDICTS"] = "1" if arguments.verdicts else "0"
    if arguments.load == "process":
        os.environ["FATHOM_NOOP_SPAWN"] = "1"
    os.environ["FATHOM_NOOP_QUIET"] = "0" if arguments.files else "1"
    publish("dispatch", [one_round(arguments, n) for n in range(arguments.rounds)], load=arguments.load, slots=arguments.slots,
            devices=arguments.devices, epochs=arguments.epochs, verdicts=arguments.verdicts, hogs=arguments.hogs, files=arguments.files)


if __name__ == "__main__":
    main()
