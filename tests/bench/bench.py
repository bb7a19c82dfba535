"""Fathom's engines beside AdapterHub's `adapters` on this machine, in one take: JSON on stdout, a table on stderr.

  bench.py [--task sst2 rte] [--threads 1] [--precision fp32] [--rounds 5] [--steps 8] [--batching bucketed dynamic pad] [--depths 6] [--out FILE]

With --precision bf16 the job is one of `precision: bf16`; the peer runs in bf16 (autocast) and, beside it, in fp32.

Every side is a process of its own that is asked for a few steps at a time, one side after the other, round by round: they
see the same machine, and the figure is the median over the rounds of a side's ms per step. A ratio is the median over the
rounds of the peer's time per token by ours within a round, so that load that comes and goes is on both. Needs ../shared/data/glue,
the demo model and FATHOM_PYTHON or the environment that deploy/install-deps makes.
"""
import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("FATHOM_BIN", ROOT / "build" / "release" / "bin"))
CACHE = pathlib.Path(os.environ.get("FATHOM_CACHE", pathlib.Path.home() / ".cache" / "fathom"))
PYTHON = os.environ.get("FATHOM_PYTHON", str(CACHE / "venv-adapters" / "bin" / "python"))
GLUE = ROOT.parent / "shared" / "data" / "glue"
MODEL = CACHE / "demo" / "models" / "minilm"
TASKS = {"sst2": ("SST-2", ["sentence"]), "rte": ("RTE", ["sentence1", "sentence2"])}
ROWS, DEV_ROWS, BATCH = 1024, 256, 32


def prepare(folder, task, precision="fp32", train_rows=ROWS, dev_rows=DEV_ROWS, suffix="", seed=0):
    """A data root and the peer's rows: the same examples on both sides."""
    name, texts = TASKS[task]
    target = folder / "root" / "data" / (task + suffix)
    target.mkdir(parents=True)
    rows = {}
    for split, limit in (("train", train_rows), ("dev", dev_rows)):
        lines = (GLUE / name / f"{split}.tsv").read_text(encoding="utf-8-sig").split("\n")
        header, body = lines[0], [line for line in lines[1:] if line]
        chosen = [body[i] for i in sorted(random.Random(seed).sample(range(len(body)), min(limit, len(body))))]
        (target / f"{split}.tsv").write_text("\n".join([header, *chosen]) + "\n", encoding="utf-8")
        columns = header.split("\t")
        cells = [line.split("\t") for line in chosen]
        labels = sorted({row[columns.index("label")] for row in cells})
        rows[split] = [[row[columns.index(texts[0])], row[columns.index(texts[1])] if len(texts) > 1 else None,
                        labels.index(row[columns.index("label")])] for row in cells]
    models = folder / "root" / "models"
    models.mkdir(exist_ok=True)
    if not (models / "minilm").exists():
        (models / "minilm").symlink_to(MODEL.resolve())
    (folder / f"{task}{suffix}.peer.json").write_text(json.dumps({**rows, "labels": 2, "batch": BATCH, "max_length": 128}))
    for recipe in ("hf", "fast"):
        settings = {"kind": "adapter", "model": {"path": "models/minilm"}, "recipe": recipe, "precision": precision, "seed": 1,
                    "adapter": {"config": "seq_bn"},
                    "task": {"name": task, "train": f"data/{task}/train.tsv", "eval": f"data/{task}/dev.tsv", "text": texts,
                             "label": "label", "labels": None, "metric": None, "quoting": "none"},
                    "train": {"lr": 1e-4, "epochs": 1, "batch": BATCH, "max_length": 128}, "drop": {"kind": "standard"}}
        (folder / f"{task}{suffix}.{recipe}.json").write_text(json.dumps(settings))


class Side:
    def __init__(self, name, command, threads, more=None):
        self.name = name
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), **(more or {})}
        self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env=environment, stderr=subprocess.DEVNULL)
        self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended")
        return json.loads(line)

    def ask(self, command, count):
        self.process.stdin.write(f"{command} {count}\n")
        self.process.stdin.flush()
        return self.read()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def measure(sides, command, count, rounds):
    """Answers by side, a list of one per round; the first round warms up and is left out."""
    answers = {side.name: [] for side in sides}
    for number in range(rounds + 1):
        for side in sides:
            answer = side.ask(command, count)
            if number:
                answers[side.name].append(answer)
    return answers


def steps_row(task, sides, options):
    answers = measure(sides, "steps", options.steps, options.rounds)
    ms = {name: [1000 * a["seconds"] / a["steps"] for a in list_] for name, list_ in answers.items()}
    # Seconds of CPU are what is left of a comparison when others use the machine; with one thread both are one on a quiet one.
    cpu = {name: [1000 * a["cpu"] / a["steps"] for a in list_] for name, list_ in answers.items()}
    tokens = {name: sum(a["tokens"] for a in list_) / sum(a["seconds"] for a in list_) for name, list_ in answers.items()}
    ours = "packed"
    # Per token: batches of like length have other numbers of tokens than random ones, over an epoch the same.
    per_token = {clock: {name: [a[clock] / a["tokens"] for a in list_] for name, list_ in answers.items()} for clock in ("seconds", "cpu")}
    ratios, cpu_ratios = ({name: statistics.median(p / o for p, o in zip(times[name], times[ours])) for name in ms if name != ours}
                          for times in per_token.values())
    return {"task": task, "threads": options.threads, "precision": options.precision,
            "gflops_per_core": statistics.median(a["gflop"] / a["cpu"] for a in answers[ours]), "dropout": not options.no_dropout, "recipe": "hf",
            "ms_per_step": {name: statistics.median(v) for name, v in ms.items()},
            "range": {name: [min(v), max(v)] for name, v in ms.items()},
            "cpu_ms_per_step": {name: statistics.median(v) for name, v in cpu.items()},
            "tokens_per_second": tokens, "times_faster": ratios, "times_less_cpu": cpu_ratios}


def run(options, folder):
    rows = []
    for task in options.task:
        prepare(folder, task, options.precision)
        extra = ["--no-dropout"] if options.no_dropout else []
        job = [BIN / "engine_bench", folder / f"{task}.hf.json", "--root", folder / "root", "--threads", options.threads, *extra]
        peer = [PYTHON, ROOT / "tests" / "bench" / "peer.py", MODEL, folder / f"{task}.peer.json", "--threads", options.threads, *extra]
        waits = {"GOMP_SPINCOUNT": "1000"}  # as the worker starts trainers (common/wait_policy.hpp)
        sides = [Side(engine, [*job, "--engine", engine], options.threads, waits) for engine in ("packed", "reference")]
        sides += [Side(f"adapters-{b}", [*peer, "--batching", b], options.threads) for b in options.batching]
        if options.precision == "bf16":
            sides += [Side(f"adapters-{b}-bf16", [*peer, "--batching", b, "--bf16"], options.threads) for b in options.batching]
        row = steps_row(task, sides, options)
        gemm = [sides[0].ask("gemm", 1) for _ in range(options.rounds)]
        row["gemm_gflops"] = {name: statistics.median(g[name] for g in gemm) for name in ("packed", "torch")}
        row["share_of_gemm"] = row["gflops_per_core"] / max(row["gemm_gflops"].values())
        if options.depths:
            together = measure(sides[:1], "evaluate", options.depths, options.rounds)["packed"]
            apart = measure(sides[:1], "separate", options.depths, options.rounds)["packed"]
            row["depths_together"] = statistics.median(b["cpu"] / a["cpu"] for a, b in zip(together, apart))
        for side in sides:
            side.close()
        rows.append(row)
        for name, value in sorted(row["ms_per_step"].items(), key=lambda item: item[1]):
            print(f"{task:5} {name:22} {value:8.1f} ms/step  {row['tokens_per_second'][name]:7.0f} tokens/s"
                  + f"  {row['cpu_ms_per_step'][name]:7.1f} ms of CPU"
                  + (f"  packed: {row['times_faster'][name]:.2f} x, by CPU {row['times_less_cpu'][name]:.2f} x" if name != "packed" else ""),
                  file=sys.stderr)
        print(f"{task:5} one core's product {row['gemm_gflops']['packed']:.0f} GFLOP/s (torch's {row['gemm_gflops']['torch']:.0f}), a step"
              + f" {row['gflops_per_core']:.0f}: {100 * row['share_of_gemm']:.0f} %"
              + (f"; {options.depths} depths in one pass {row['depths_together']:.2f} x" if options.depths else ""), file=sys.stderr)
    return rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--task", nargs="+", choices=sorted(TASKS), default=["sst2", "rte"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--batching", nargs="+", choices=["bucketed", "dynamic", "pad"], default=["bucketed"])
    parser.add_argument("--no-dropout", action="store_true")
    parser.add_argument("--depths", type=int, default=0, help="also evaluate at so many depths, together and one by one")
    parser.add_argument("--out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fathom-bench-") as folder:
        result = {"load": os.getloadavg()[0], "rows": run(options, pathlib.Path(folder))}
    text = json.dumps(result, indent=1)
    if options.out:
        pathlib.Path(options.out).write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
