#!/usr/bin/env python3
"""Inference of one adapter, of fusions, and of several tasks on the same input in one pass, beside AdapterHub's `adapters`.

  bench_inference.py [--threads 2] [--rounds 5] [--steps 20] [--batch 32] [--length 64] [--depth 3] [--precision fp32|bf16]
                     [--no-peer]

Our side is the product's own measuring job (kind: benchmark) run by fathom-trainer, warmed up; the peer a process with
its model loaded. Both take turns within a round; the figure is the median over rounds of what is compared within one."""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

import bench
from control import machine

CASES = [("adapter", 1, 0), ("fusion", 2, 0), ("fusion", 8, 0)]
TASKS = [2, 4, 8]


def cases(options):
    many = [(kind, count, options.depth) for count in TASKS for kind in ("parallel", "separate")]
    return CASES + many


def name_of(case):
    kind, count, depth = case
    return kind if kind == "adapter" else f"{kind} {count}" + (f" depth {depth}" if depth else "")


def ours(folder, case, options):
    kind, count, depth = case
    settings = {"kind": "benchmark", "model": {"path": "minilm"}, "recipe": "fast", "precision": options.precision, "device": "cpu",
                "adapter": {"config": "seq_bn", "reduction_factor": 16},
                "benchmark": {"subject": kind, "measure": "infer", "depth": depth, "members": count, "batch": options.batch,
                              "length": options.length, "warmup": 2, "steps": options.steps, "repeat": 1}}
    job = folder / "job.json"
    job.write_text(json.dumps(settings))
    command = [bench.BIN / "fathom-trainer", "train", job, "--root", bench.MODEL.parent, "--folder", folder / "job", "--threads",
               options.threads, "--json"]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    result = json.loads((folder / "job" / "final" / "fathom.json").read_text())["result"]
    return next(row["value"] for row in result["rows"] if row["metric"] == "seconds")


def one_round(folder, peer, options):
    found = {}
    for case in cases(options):
        found[f"fathom {name_of(case)}"] = ours(folder, case, options)
        if peer:
            answer = peer.ask(f"{case[0]} {case[1]} {case[2]}", options.steps)
            found[f"adapters {name_of(case)}"] = answer["seconds"]
    return found


def ratios(one, options, who):
    """What the bars are about, within a round."""
    out = {"fusion of 2 / adapter": one[f"{who} fusion 2"] / one[f"{who} adapter"],
           "fusion of 8 / adapter": one[f"{who} fusion 8"] / one[f"{who} adapter"],
           "fusion 8 to 2 times faster": one[f"{who} fusion 8"] / one[f"{who} fusion 2"]}
    for count in TASKS:
        end = f"{count}" + (f" depth {options.depth}" if options.depth else "")
        out[f"time saved by {count} tasks in one pass"] = 1 - one[f"{who} parallel {end}"] / one[f"{who} separate {end}"]
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("threads", 2), ("rounds", 5), ("steps", 20), ("batch", 32), ("length", 64), ("depth", 3)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--no-peer", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fathom-bench-") as name:
        folder = pathlib.Path(name)
        peer = None
        if not options.no_peer:
            command = [bench.PYTHON, bench.ROOT / "tests" / "bench" / "peer_inference.py", bench.MODEL, "--threads", options.threads,
                       "--batch", options.batch, "--length", options.length] + (["--bf16"] if options.precision == "bf16" else [])
            peer = bench.Side("adapters", command, options.threads)
        rounds = []
        for number in range(options.rounds):
            rounds.append(one_round(folder, peer, options))
            print(f"round {number + 1}: " + ", ".join(f"{k} {1000 * v:.0f} ms" for k, v in rounds[-1].items()), file=sys.stderr, flush=True)
        if peer:
            peer.close()
    sides = ["fathom"] + ([] if options.no_peer else ["adapters"])
    result = {"benchmark": "inference", "machine": machine(), "options": vars(options),
              "seconds": {key: statistics.median(one[key] for one in rounds) for key in rounds[0]},
              "compared": {side: {key: statistics.median(ratios(one, options, side)[key] for one in rounds) for key in ratios(rounds[0], options, side)}
                           for side in sides}}
    if not options.no_peer:
        result["times_faster"] = {name_of(case): statistics.median(one[f"adapters {name_of(case)}"] / one[f"fathom {name_of(case)}"] for one in rounds)
                                  for case in cases(options)}
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
