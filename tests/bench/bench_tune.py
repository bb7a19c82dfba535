#!/usr/bin/env python3
"""A sweep of drop depths and seeds from cold programs to its last result, beside the same jobs as trials of Ray Tune (peer_tune.py).

  bench_tune.py --peer-python PYTHON [--task sst2] [--depths 6] [--seeds 2] [--rows 512] [--dev-rows 128] [--epochs 2] [--rounds 3]
                [--precision fp32|bf16]

PYTHON has ray[tune], adapters and torch. On our side the clock begins before the coordinator is started, on the peer's before Ray
is imported: start-up, loading and tokenising are in both. Two jobs at a time, one thread each, on both sides."""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import bench
import bench_sweep
from control import Cluster, machine, wait_for_end


def ours(folder, options):
    begin = time.monotonic()
    with Cluster(trainer=bench.BIN / "fathom-trainer", root=folder / "root", devices=bench_sweep.DEVICES["2x1"], slots=2) as cluster:
        cluster.environment["FATHOM_WORKER_LINKS"] = str(bench.MODEL.resolve())
        cluster.start_coordinator()
        cluster.start_worker("worker")
        sweep = cluster.submit(bench_sweep.sweep_file("cold", options.task, options), "cold")["id"]
        ended = wait_for_end(cluster, sweep)
        scores = {}
        for job in cluster.items(f"/api/v1/sweeps/{sweep}/jobs"):
            scores.setdefault(job.get("n", job.get("drop")), []).append(job.get("objective"))
        return {"seconds": ended - begin, "scores": scores}


def peer(folder, options):
    jobs = [f"{depth}:{seed}" for seed in range(1, options.seeds + 1) for depth in range(options.depths)]
    command = [options.peer_python, bench.ROOT / "tests" / "bench" / "peer_tune.py", bench.MODEL, folder / f"{options.task}.peer.json", "--epochs",
               options.epochs, "--jobs", *jobs]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", required=True)
    parser.add_argument("--task", choices=sorted(bench.TASKS), default="sst2")
    for name, value in (("depths", 6), ("seeds", 2), ("rows", 512), ("dev-rows", 128), ("epochs", 2), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fathom-bench-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        bench.prepare(folder, options.task, options.precision, options.rows, options.dev_rows)
        rounds = []
        for _ in range(options.rounds):
            rounds.append({"fathom": ours(folder, options), "ray tune": peer(folder, options)})
            print(" ".join(f"{who} {side['seconds']:.1f} s" for who, side in rounds[-1].items()), file=sys.stderr, flush=True)
    print(json.dumps({"benchmark": "tune", "machine": machine(), "options": vars(options),
                      "seconds": {who: statistics.median(r[who]["seconds"] for r in rounds) for who in rounds[0]},
                      "times_faster": statistics.median(r["ray tune"]["seconds"] / r["fathom"]["seconds"] for r in rounds),
                      "rounds": rounds}, indent=1))


if __name__ == "__main__":
    main()
