"""Quality beside AdapterHub's `adapters` on real data: same rows, same seeds, same settings, both sides trained here.

  quality.py WORK_DIR prepare [--task sst2|mrpc|stsb|mr]   rows for both sides, out of ../shared/data/glue; mr: movie
                                                           reviews that deploy/quickstart fetches
  quality.py WORK_DIR fathom  [--task T] [--recipe hf|fast] [--precision fp32|bf16]
                                                           trains configs of tests/quality/TASK.yaml through `fathom`;
                                                           --seeds 6..10 and --drops robust-00-05,… train others
  quality.py WORK_DIR reference [--task T] [--processes 2]  trains the same with `adapters` (FATHOM_PYTHON)
  quality.py WORK_DIR table   [--task T]                    writes WORK_DIR/TASK.md; exit 1 where a cell differs too much
  quality.py WORK_DIR plot    [--task T]                    writes WORK_DIR/TASK.svg (matplotlib)

A cell (drop, depth) passes when the means over seeds differ by at most the greater of 2 points and 2 standard errors of
the difference. Hours on two cores: not part of tests/run. Every step goes on where it was interrupted.
"""
import argparse
import csv
import json
import math
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("FATHOM_BIN", ROOT / "build" / "release" / "bin"))
CACHE = pathlib.Path(os.environ.get("FATHOM_CACHE", pathlib.Path.home() / ".cache" / "fathom"))
GLUE = ROOT.parent / "shared" / "data" / "glue"
ROWS, LAYERS = 2000, 6
DROPS = ["standard", *[f"specialized-{n:02}" for n in range(1, 6)], "robust-00-05"]
TASKS = {  # folder, text columns, label column, outputs, metric
    "sst2": ("SST-2", ["sentence"], "label", 2, "accuracy"),
    "mrpc": ("MRPC", ["#1 String", "#2 String"], "Quality", 2, "accuracy"),
    "stsb": ("STS-B", ["sentence1", "sentence2"], "score", 1, "spearman"),
    "mr": (None, ["text"], "label", 2, "accuracy"),
}


def read_tsv(path):
    """Header and rows as lists; GLUE's files have no quoting."""
    lines = path.read_text(encoding="utf-8-sig").split("\n")
    return lines[0].split("\t"), [line.split("\t") for line in lines[1:] if line]


def movie_reviews():
    """Header and rows of 2,000 training and 1,000 dev sentences, drawn once."""
    file = CACHE / "demo" / "sources" / "movie-reviews" / "movie_reviews" / "data" / "combined_movie_reviews.csv"
    with open(file, newline="", encoding="utf-8") as rows:
        found = [[" ".join(row["text"].split()), row["label"]] for row in csv.DictReader(rows) if row["source"] == "rotten_tomatoes"]
    found = random.Random(0).sample(found, ROWS + 1000)
    return {"train": (["text", "label"], found[:ROWS]), "dev": (["text", "label"], found[ROWS:])}


def glue(folder):
    header, rows = read_tsv(GLUE / folder / "train.tsv")
    rows = [rows[i] for i in sorted(random.Random(0).sample(range(len(rows)), ROWS))]
    return {"train": (header, rows), "dev": read_tsv(GLUE / folder / "dev.tsv")}


def prepare(work, task):
    folder, texts, label, outputs, metric = TASKS[task]
    target = work / "root" / "data" / task
    target.mkdir(parents=True, exist_ok=True)
    sides = {"name": task, "labels": outputs, "metric": metric, "layers": LAYERS, "lr": 1e-3, "epochs": 2,
             "batch": 32, "max_length": 128, "warmup": 0.06}
    splits = glue(folder) if folder else movie_reviews()
    names = sorted({row[1] for row in splits["train"][1]}) if task == "mr" else None
    for split, (header, rows) in splits.items():
        (target / f"{split}.tsv").write_text("".join("\t".join(row) + "\n" for row in [header, *rows]))
        at = [header.index(name) for name in texts]
        value = float if outputs == 1 else names.index if names else int
        sides[split] = [[row[at[0]], row[at[1]] if len(at) > 1 else None, value(row[header.index(label)])] for row in rows]
    (work / f"{task}.json").write_text(json.dumps(sides))
    models = work / "root" / "models"
    models.mkdir(exist_ok=True)
    if not (models / "minilm").exists():
        shutil.copytree(CACHE / "demo" / "models" / "minilm", models / "minilm")  # workers follow no link out of their root


def asked(drops):
    """The drops as the sweep file writes them."""
    ways = ["standard: true"] if "standard" in drops else []
    depths = [str(int(drop[-2:])) for drop in drops if drop.startswith("specialized")]
    ways += [f"specialized: [{', '.join(depths)}]"] if depths else []
    ways += [f"robust: 0..{LAYERS - 1}"] if DROPS[-1] in drops else []
    return "{" + ", ".join(ways) + "}"


def side_of(recipe, precision):
    return recipe if precision == "fp32" else f"{precision}-{recipe}"


def fathom(work, task, recipe, precision, seeds, drops):
    """A folder of results for each set of seeds: what has been trained is not trained again."""
    def call(*arguments):
        subprocess.run([BIN / "fathom", "--state", work / "state", *arguments], check=True)

    name = f"quality-{task}-{side_of(recipe, precision)}" + ("" if seeds[0] == 1 else f"-from-{seeds[0]}")
    call("up", "--root", work / "root", "--port", "0")
    try:
        listed = subprocess.run([BIN / "fathom", "--state", work / "state", "list", "--json"], check=True, capture_output=True, text=True)
        if name not in listed.stdout:
            call("submit", ROOT / "tests" / "quality" / f"{task}.yaml", "--set", f"recipe={recipe}",
                 "--set", f"precision={precision}", "--set", f"seeds={seeds[0]}..{seeds[-1]}",
                 "--set", f"stages.adapter.drop={asked(drops)}", "--name", name)
        call("watch", name)
        call("collect", name, "--out", work / name)
    finally:
        call("down")


def reference(work, task, processes, seeds, drops):
    python = os.environ.get("FATHOM_PYTHON", CACHE / "venv-adapters" / "bin" / "python")
    seeds = [str(seed) for seed in seeds]
    running = [subprocess.Popen([python, ROOT / "tests" / "quality" / "reference.py", work / "root" / "models" / "minilm",
                                 work / f"{task}.json", work / f"{task}-reference-{part}.jsonl", ",".join(drops), *seeds[part::processes]],
                                env=dict(os.environ, OMP_NUM_THREADS="1")) for part in range(processes)]
    if any([process.wait() for process in running]):
        raise SystemExit("the reference training failed")


def cells_of_fathom(work, task, recipe):
    cells = {}
    for path in sorted(work.glob(f"quality-{task}-{recipe}*/results.csv")):
        with open(path, newline="") as file:
            for row in csv.DictReader(file):
                if row["kind"] == "evaluate" and row["primary"].lower() in ("1", "true"):
                    cells.setdefault((row["drop"], int(row["depth"])), {})[int(row["seed"])] = float(row["value"])
    return cells


def cells_of_reference(work, task):
    cells = {}
    for file in sorted(work.glob(f"{task}-reference-*.jsonl")):
        for row in map(json.loads, file.read_text().splitlines()):
            cells.setdefault((row["drop"], row["depth"]), {})[row["seed"]] = row["value"]
    return cells


def compare(a, b):
    """Means, standard deviations, and whether the difference of the means is within the bound."""
    a, b = list(a.values()), list(b.values())
    deviations = [statistics.stdev(values) if len(values) > 1 else 0.0 for values in (a, b)]
    error = math.sqrt(deviations[0] ** 2 / len(a) + deviations[1] ** 2 / len(b))
    means = [statistics.fmean(values) for values in (a, b)]
    bound = max(0.02, 2 * error)
    return means, deviations, bound, abs(means[0] - means[1]) <= bound


def read_sides(work, task):
    sides = {"adapters": cells_of_reference(work, task)}
    for side in ("hf", "fast", "bf16-hf", "bf16-fast"):
        if (work / f"quality-{task}-{side}" / "results.csv").exists():
            sides[side] = cells_of_fathom(work, task, side)
    return sides


def plot(work, task):
    """One panel for each way to train: score over the depth that is dropped, mean and standard deviation over seeds."""
    import matplotlib
    matplotlib.use("svg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 3, figsize=(12, 3.6), sharey=True)
    for panel, kind in zip(panels, ("standard", "specialized", "robust")):
        for side, cells in sorted(read_sides(work, task).items()):
            own = {depth: list(values.values()) for (drop, depth), values in cells.items()
                   if drop.startswith(kind) and (kind != "specialized" or int(drop[-2:]) == depth)}
            depths = sorted(own)
            spread = [statistics.stdev(own[d]) if len(own[d]) > 1 else 0 for d in depths]
            panel.errorbar(depths, [statistics.fmean(own[d]) for d in depths], spread, label=side, capsize=3, marker="o", markersize=3)
        panel.set_title(f"{kind}, {'at its own depth' if kind == 'specialized' else 'at each depth'}")
        panel.set_xlabel("dropped layers")
        panel.grid(alpha=0.3)
    panels[0].set_ylabel(f"{task}: {TASKS[task][4]}")
    panels[0].legend()
    figure.tight_layout()
    figure.savefig(work / f"{task}.svg")


def table(work, task):
    sides = read_sides(work, task)
    failed = compared = 0
    lines = []
    for one, other in (("hf", "adapters"), ("fast", "hf"), ("bf16-hf", "hf"), ("bf16-fast", "fast")):
        if one not in sides or not sides.get(other):
            continue
        if set(sides[one]) != set(sides[other]):
            raise SystemExit(f"{one} and {other} have other cells: {sorted(set(sides[one]) ^ set(sides[other]))}")
        lines += [f"\n{one} beside {other}\n", f"| drop | depth | {one} | {other} | difference | bound | |", "|---|---|---|---|---|---|---|"]
        for drop, depth in sorted(sides[one], key=lambda cell: (DROPS.index(cell[0]), cell[1])):
            means, deviations, bound, good = compare(sides[one][drop, depth], sides[other][drop, depth])
            compared += 1
            failed += not good
            lines.append(f"| {drop} | {depth} | {means[0]:.4f}±{deviations[0]:.4f} | {means[1]:.4f}±{deviations[1]:.4f} | "
                         f"{means[0] - means[1]:+.4f} | {bound:.4f} | {'ok' if good else 'TOO FAR'} |")
    (work / f"{task}.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))
    print(f"{compared - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed or not compared else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("step", choices=["prepare", "fathom", "reference", "table", "plot"])
    parser.add_argument("--task", choices=sorted(TASKS), default="sst2")
    parser.add_argument("--recipe", choices=["hf", "fast"], default="hf")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seeds", default="1..5")
    parser.add_argument("--drops", default=",".join(DROPS))
    options = parser.parse_args()
    work, drops = options.work.resolve(), options.drops.split(",")
    first, last = map(int, options.seeds.split(".."))
    seeds = list(range(first, last + 1))
    if options.step == "prepare":
        return prepare(work, options.task)
    if options.step == "fathom":
        return fathom(work, options.task, options.recipe, options.precision, seeds, drops)
    if options.step == "reference":
        return reference(work, options.task, options.processes, seeds, drops)
    if options.step == "plot":
        return plot(work, options.task)
    return table(work, options.task)


if __name__ == "__main__":
    sys.exit(main())
