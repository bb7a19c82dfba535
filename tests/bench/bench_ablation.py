#!/usr/bin/env python3
"""What each technique of the packed engine is worth: the same jobs with one of them switched off at a time.

  bench_ablation.py [--task sst2] [--depths 0 2 4] [--rows 512] [--epochs 2] [--rounds 3] [--threads 1] [--precision fp32]

Seconds that the jobs computed, loading not counted, by fathom-trainer train, and beside them the processor's seconds of those programs, with
loading: the guide where others use the machine. Variants take turns within a round, the figure is the median over rounds of a variant's
seconds by those of the whole engine."""
import argparse
import json
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile

import bench
from control import machine

VARIANTS = {
    "everything": {},
    "the prefix computed in every pass": {"store": False},
    "dropout in the frozen part (recipe hf)": {"recipe": "hf"},
    "dot products of bfloat16 in vectors of 512 bits": {"kernels": "avx512bf16", "precision": "bf16"},
    "float32 products of rounded values": {"kernels": "avx512rounded", "precision": "bf16"},
    "vectors of 256 bits": {"kernels": "avx2"},
    "no vector loops": {"kernels": "plain"},
    "reference engine (padding, autograd)": {"engine": "reference"},
}


def children_cpu():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def seconds(folder, options, variant):
    """Of computing, and of the processor."""
    store = folder / "store"
    shutil.rmtree(store, ignore_errors=True)
    environment = dict(os.environ)
    if "kernels" in variant:
        environment["FATHOM_KERNELS"] = variant["kernels"]
    total, cpu = 0.0, children_cpu()
    for depth in options.depths:
        settings = json.loads((folder / f"{options.task}.{variant.get('recipe', 'fast')}.json").read_text())
        settings["precision"] = options.precision
        settings["train"]["epochs"] = options.epochs
        settings["drop"] = {"kind": "specialized", "n": depth} if depth else {"kind": "standard"}
        (folder / "job.json").write_text(json.dumps(settings))
        job = folder / "job"
        shutil.rmtree(job, ignore_errors=True)
        command = [bench.BIN / "fathom-trainer", "train", folder / "job.json", "--root", folder / "root", "--folder", job, "--threads",
                   options.threads, "--engine", variant.get("engine", "packed")]
        if variant.get("store", True):
            command += ["--prefix-store", store, "--prefix-limit", 2 << 30]
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, env=environment)
        if done.returncode:
            raise SystemExit(done.stderr)
        total += json.loads((job / "final" / "fathom.json").read_text())["result"]["seconds"]
    return {"seconds": total, "cpu": children_cpu() - cpu}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=sorted(bench.TASKS), default="sst2")
    parser.add_argument("--depths", type=int, nargs="+", default=[0, 2, 4])
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    for name, value in (("rows", 512), ("epochs", 2), ("rounds", 3), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    variants = {name: variant for name, variant in VARIANTS.items() if variant.get("precision", options.precision) == options.precision}
    rounds = []
    with tempfile.TemporaryDirectory(prefix="fathom-bench-") as name:
        folder = pathlib.Path(name)
        bench.prepare(folder, options.task, options.precision, options.rows, 128)
        for _ in range(options.rounds):
            rounds.append({name: seconds(folder, options, variant) for name, variant in variants.items()})
            print(", ".join(f"{name} {one['seconds']:.1f} s ({one['cpu']:.1f} of CPU)" for name, one in rounds[-1].items()), file=sys.stderr, flush=True)
    slower = {clock: {name: statistics.median(one[name][clock] / one["everything"][clock] for one in rounds) for name in variants}
              for clock in ("seconds", "cpu")}
    for name in variants:
        print(f"{name:44} {slower['seconds'][name]:.2f}, by CPU {slower['cpu'][name]:.2f}", file=sys.stderr)
    print(json.dumps({"benchmark": "ablation", "machine": machine(), "options": vars(options), "times_slower": slower["seconds"],
                      "times_more_cpu": slower["cpu"], "rounds": rounds}, indent=1))


if __name__ == "__main__":
    main()
