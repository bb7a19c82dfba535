#!/usr/bin/env python3
"""A sweep of drop depths and seeds through coordinator, worker and trainers, beside AdapterHub's `adapters` on the same rows.

  bench_sweep.py [--task sst2] [--depths 6] [--seeds 2] [--rows 512] [--dev-rows 128] [--epochs 2] [--rounds 5]
                 [--precision fp32|bf16] [--peer-precision fp32|bf16] [--prefix-limit 2GiB] [--no-peer]

The makespan begins when models are loaded on both sides and ends with the last job; evaluation after every epoch is in it, on our
side also tokenising, checkpoints and results. The peer runs as one process of two threads and as two of one; the faster one
counts. All sides take turns within a round; ratios are taken within it, the figure is their median."""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import bench
from control import Cluster, machine, wait_for_end

DEVICES = {"2x1": "cpu:1,cpu:1", "1x2": "cpu:2"}


def sweep_file(name, task, options, rows_of="", epochs=None, depths=None):
    """The measured sweep; or, on other rows, the one that loads models."""
    texts = "[" + ", ".join(bench.TASKS[task][1]) + "]"
    data = f"{{train: data/{task}{rows_of}/train.tsv, eval: data/{task}{rows_of}/dev.tsv}}"
    top = (depths or options.depths) - 1
    drop = f"{{standard: true, specialized: 1..{top}}}" if top else "{standard: true}"
    return f"""version: 1
name: {name}
model: {{path: models/minilm}}
precision: {options.precision}
tasks: {{{task}: {{data: {data}, text: {texts}, label: label}}}}
adapter: {{config: seq_bn, reduction: 16}}
train: {{lr: 1e-3, epochs: {epochs or options.epochs}, batch: {bench.BATCH}, max_length: 128, schedule: linear, warmup: 0}}
seeds: {list(range(1, options.seeds + 1))}
cache: false
stages: {{adapter: {{drop: {drop}}}}}
"""


def ours(folder, task, devices, options):
    with Cluster(trainer=bench.BIN / "fathom-trainer", root=folder / "root", devices=DEVICES[devices], slots=2) as cluster:
        cluster.environment["FATHOM_WORKER_LINKS"] = str(bench.MODEL.resolve())
        if options.prefix_limit:
            cluster.environment["FATHOM_WORKER_PREFIX_LIMIT"] = options.prefix_limit
        cluster.start_coordinator()
        cluster.start_worker("worker")
        # One small job a device, on other rows: opens the model, keeps nothing that the sweep could read.
        wait_for_end(cluster, cluster.submit(sweep_file("warm", task, options, "-warm", 1, 2), "warm")["id"])
        begin = time.monotonic()
        sweep = cluster.submit(sweep_file("measured", task, options), "measured")["id"]
        # Each question is a TLS handshake on the cores that compute.
        seconds = wait_for_end(cluster, sweep, every=0.1) - begin
        jobs = cluster.items(f"/api/v1/sweeps/{sweep}/jobs")
        scores = {}
        for job in jobs:
            scores.setdefault(job.get("n", job.get("drop")), []).append(job.get("objective"))
        return {"seconds": seconds, "jobs": len(jobs), "scores": scores}


def peer(folder, task, processes, threads, options):
    jobs = [f"{depth}:{seed}" for seed in range(1, options.seeds + 1) for depth in range(options.depths)]
    # Dear and cheap depths go to both alike.
    shares = [jobs[i::processes] for i in range(processes)]
    command = [bench.PYTHON, bench.ROOT / "tests" / "bench" / "peer_sweep.py", bench.MODEL, folder / f"{task}.peer.json", "--epochs",
               options.epochs, "--threads", threads] + (["--bf16"] if options.peer_precision == "bf16" else [])
    running = [subprocess.Popen([str(c) for c in [*command, "--jobs", *share]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
               for share in shares]
    try:
        for process in running:
            json.loads(process.stdout.readline())
        begin = time.monotonic()
        for process in running:
            process.stdin.write("go\n")
            process.stdin.flush()
        answers = [json.loads(process.stdout.readline()) for process in running]
        seconds = time.monotonic() - begin
    finally:
        for process in running:
            process.stdin.close()
            process.wait()
    scores = {}
    for answer in answers:
        for job in answer["jobs"]:
            scores.setdefault(job["depth"], []).append(job["accuracy"])
    return {"seconds": seconds, "scores": scores}


def one_round(folder, options):
    sides = {f"fathom {devices}": ours(folder, options.task, devices, options) for devices in options.devices}
    if not options.no_peer:
        sides["adapters 2x1"] = peer(folder, options.task, 2, 1, options)
        sides["adapters 1x2"] = peer(folder, options.task, 1, 2, options)
    print(" ".join(f"{name} {side['seconds']:.1f} s" for name, side in sides.items()), file=sys.stderr, flush=True)
    return sides


def best(sides, who):
    return min(side["seconds"] for name, side in sides.items() if name.startswith(who))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=sorted(bench.TASKS), default="sst2")
    for name, value in (("depths", 6), ("seeds", 2), ("rows", 512), ("dev-rows", 128), ("epochs", 2), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--peer-precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--prefix-limit", default="")
    parser.add_argument("--devices", nargs="+", choices=sorted(DEVICES), default=["2x1"])
    parser.add_argument("--no-peer", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fathom-bench-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        bench.prepare(folder, options.task, options.precision, options.rows, options.dev_rows)
        bench.prepare(folder, options.task, options.precision, 64, 32, suffix="-warm", seed=7)
        rounds = [one_round(folder, options) for _ in range(options.rounds)]
    result = {"benchmark": "sweep", "machine": machine(), "options": vars(options),
              "seconds": {name: statistics.median(r[name]["seconds"] for r in rounds) for name in rounds[0]}, "rounds": rounds}
    if not options.no_peer:
        result["times_faster"] = statistics.median(best(r, "adapters") / best(r, "fathom") for r in rounds)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
