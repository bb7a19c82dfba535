#!/usr/bin/env python3
"""Peak memory of a trainer with one job and with several on one base, beside AdapterHub's `adapters` with one job.

  bench_memory.py [--task rte] [--jobs 8] [--rows 512] [--no-peer]

Ours is the high-water mark of the trainer's resident set in a sweep that a coordinator gives to one device with so many slots; the
base alone is a trainer that has opened it and run one job of eight rows."""
import argparse
import json
import pathlib
import sys
import tempfile
import time

import bench
from control import Cluster, ended, machine, memory_mib, wait_for_end


def sweep_file(name, task, jobs, rows_of=""):
    texts = "[" + ", ".join(bench.TASKS[task][1]) + "]"
    return f"""version: 1
name: {name}
model: {{path: models/minilm}}
tasks: {{{task}: {{data: {{train: data/{task}{rows_of}/train.tsv, eval: data/{task}{rows_of}/dev.tsv}}, text: {texts}, label: label}}}}
adapter: {{config: seq_bn, reduction: 16}}
train: {{lr: 1e-3, epochs: 1, batch: {bench.BATCH}, max_length: 128}}
seeds: {list(range(1, jobs + 1))}
cache: false
stages: {{adapter: {{drop: {{standard: true}}}}}}
"""


def ours(folder, task, jobs, rows_of=""):
    """The trainer's peak in MiB while `jobs` run side by side."""
    with Cluster(trainer=bench.BIN / "fathom-trainer", root=folder / "root", devices="cpu:1", slots=max(jobs, 1)) as cluster:
        cluster.environment.update(FATHOM_WORKER_PREFIX_LIMIT="0B", FATHOM_WORKER_LINKS=str(bench.MODEL.resolve()))
        cluster.start_coordinator()
        cluster.start_worker("worker")
        sweep = cluster.submit(sweep_file("memory", task, jobs, rows_of), "memory")["id"]
        peak = 0.0
        while not ended(cluster, sweep):
            for pid in cluster.trainers():
                try:
                    peak = max(peak, memory_mib(pid, "VmHWM"))
                except OSError:
                    pass
            time.sleep(0.1)
        wait_for_end(cluster, sweep)
        return peak


def peer(folder, task):
    command = [bench.PYTHON, bench.ROOT / "tests" / "bench" / "peer.py", bench.MODEL, folder / f"{task}.peer.json", "--threads", 1]
    side = bench.Side("adapters", command, 1)
    side.ask("steps", 16)
    peak = memory_mib(side.process.pid, "VmHWM")
    side.close()
    return peak


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=sorted(bench.TASKS), default="rte")
    parser.add_argument("--jobs", type=int, default=8)
    parser.add_argument("--rows", type=int, default=512)
    parser.add_argument("--no-peer", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fathom-bench-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        bench.prepare(folder, options.task, "fp32", options.rows, 64)
        # So few that both labels are among them.
        bench.prepare(folder, options.task, "fp32", 8, 8, suffix="-warm", seed=7)
        found = {"base": ours(folder, options.task, 1, "-warm"), "one": ours(folder, options.task, 1), "jobs": ours(folder, options.task, options.jobs)}
        if not options.no_peer:
            found["peer"] = peer(folder, options.task)
    own = found["one"] - found["base"]
    # What a job keeps while others compute is its adapter, optimizer and head; a pass's memory is the trainer's, used in turns.
    result = {"benchmark": "memory", "machine": machine(), "options": vars(options), "mib": found,
              "jobs / (base + own parts)": found["jobs"] / (found["base"] + options.jobs * own)}
    print(json.dumps(result, indent=1))
    print(f"base {found['base']:.0f}, one job {found['one']:.0f}, {options.jobs} jobs {found['jobs']:.0f} MiB"
          + (f", adapters {found['peer']:.0f} MiB" if "peer" in found else ""), file=sys.stderr)


if __name__ == "__main__":
    main()
