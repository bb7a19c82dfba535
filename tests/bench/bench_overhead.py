#!/usr/bin/env python3
"""What orchestration adds to a sweep: the same jobs through coordinator and worker, and given to the same trainers by hand.

  bench_overhead.py [--task sst2] [--depths 6] [--seeds 2] [--rows 512] [--dev-rows 128] [--epochs 2] [--precision fp32|bf16] [--rounds 5]

By hand (direct_trainer): as many trainers with as many jobs at once, their settings as the coordinator made them; no process, no TLS, no disk between.
Models are loaded on both sides when the makespan begins, and each side has a prefix store of its own that is empty. Both take turns within a round; the
figure is the median of the ratios. The jobs' objectives have to be the same on both sides."""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import bench
from bench_sweep import DEVICES, sweep_file
from control import BIN, Cluster, expect, machine, wait_for_end

SLOTS = 2
WORKERS_PREFIX_LIMIT = 2 << 30  # bytes: prefix.limit of a worker (worker/options.hpp); a trainer by itself keeps nothing


def orchestrated(folder, options, devices):
    with Cluster(trainer=BIN / "fathom-trainer", root=folder / "root", devices=DEVICES[devices], slots=SLOTS) as cluster:
        cluster.environment["FATHOM_WORKER_LINKS"] = str(bench.MODEL.resolve())
        cluster.start_coordinator()
        cluster.start_worker("worker")
        warm = cluster.submit(sweep_file("warm", options.task, options, "-warm", 1, 2), "warm")["id"]
        wait_for_end(cluster, warm)
        begin = time.time()
        sweep = cluster.submit(sweep_file("measured", options.task, options), "measured")["id"]
        wait_for_end(cluster, sweep, every=0.5)  # as `fathom watch` does: who asks more often takes the trainers' time
        seconds = cluster.api("GET", f"/api/v1/sweeps/{sweep}")["ended"] / 1000 - begin
        found = []
        for name in (warm, sweep):
            jobs = [cluster.api("GET", f"/api/v1/sweeps/{name}/jobs/{job['id']}") for job in cluster.items(f"/api/v1/sweeps/{name}/jobs")]
            found.append(([job["settings"] for job in jobs], [job["objective"] for job in jobs]))
        return seconds, found


def by_hand(folder, batches, devices):
    processes, threads = (2, 1) if devices == "2x1" else (1, 2)
    with tempfile.TemporaryDirectory(prefix="fathom-direct-") as jobs:
        command = [BIN / "direct_trainer", "--processes", processes, "--slots", SLOTS, "--folder", jobs, "--", BIN / "fathom-trainer", "--device", "cpu",
                   "--threads", threads, "--root", (folder / "root").resolve(), "--engine", "packed", "--links", bench.MODEL.resolve(),
                   "--prefix-store", pathlib.Path(jobs) / "prefix", "--prefix-limit", WORKERS_PREFIX_LIMIT]
        text = "".join("".join(json.dumps(settings) + "\n" for settings in batch) + "\n" for batch in batches)
        done = subprocess.run([str(c) for c in command], input=text, capture_output=True, text=True)
        expect(done.returncode == 0, done.stderr)
        return json.loads(done.stdout.splitlines()[-1])


def one_round(folder, options):
    seconds, found = orchestrated(folder, options, options.devices)
    direct = by_hand(folder, [settings for settings, _ in found], options.devices)
    objectives = found[1][1]
    expect(direct["objectives"] == objectives, f"other results: {direct['objectives']} and {objectives}")
    print(f"orchestrated {seconds:.2f} s, by hand {direct['seconds']:.2f} s", file=sys.stderr, flush=True)
    return {"orchestrated_s": seconds, "direct_s": direct["seconds"], "longer_percent": 100 * (seconds / direct["seconds"] - 1)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=sorted(bench.TASKS), default="sst2")
    for name, value in (("depths", 6), ("seeds", 2), ("rows", 512), ("dev-rows", 128), ("epochs", 2), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--devices", choices=sorted(DEVICES), default="2x1")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fathom-bench-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        bench.prepare(folder, options.task, options.precision, options.rows, options.dev_rows)
        bench.prepare(folder, options.task, options.precision, 64, 32, suffix="-warm", seed=7)
        rounds = [one_round(folder, options) for _ in range(options.rounds)]
    print(json.dumps({"benchmark": "overhead", "machine": machine(), "options": vars(options),
                      "median": {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}, "rounds": rounds}, indent=1))


if __name__ == "__main__":
    main()
