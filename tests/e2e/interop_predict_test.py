"""Collected folders of an adapter with its head and of a fusion load strictly in AdapterHub's library and give the logits
of `fathom predict` on 50 dev sentences within 1e-4; so do further epochs that were kept. `collect --predictions` writes what
adds up to results.csv."""
import json
import pathlib
import subprocess
import sys
import tempfile

import demo
from harness import PYTHON

TOOLS = demo.ROOT.parent / "shared" / "tools"
TOLERANCE = 1e-4
MAX_LENGTH = 20  # of configs/sweeps/kill.yaml


def logits_of_library(base, folder, sentences):
    script = pathlib.Path(__file__).with_name("adapters_logits.py")
    done = subprocess.run([PYTHON, script, TOOLS, base, folder, sentences, str(MAX_LENGTH)], capture_output=True, text=True, timeout=300)
    demo.expect(done.returncode == 0, f"the library refused {folder.name}: {done.stderr[-1500:]}")
    return json.loads(done.stdout.splitlines()[-1])


def compare(fathom, base, folder, sentences):
    lines = fathom("predict", "--adapter", folder, "--model", base, "--file", sentences, "--json").stdout.splitlines()
    ours = [json.loads(line)["logits"] for line in lines]
    demo.expect(len(ours) == 50, f"predict answered {len(ours)} of 50 sentences")
    for kind, theirs in logits_of_library(base, folder, sentences).items():
        worst = max(abs(a - b) for x, y in zip(ours, theirs, strict=True) for a, b in zip(x, y, strict=True))
        print(f"{folder.name} {kind}: largest difference of logits {worst:.1e}")
        demo.expect(worst <= TOLERANCE, f"{folder}: {kind} differs by {worst}")
    spread = max(max(row) - min(row) for row in ours)
    demo.expect(spread > 0.05, "the logits say nothing: an untrained head would pass this test")


def main():
    if not TOOLS.is_dir():
        print("skipped: ../shared is absent, the strict reader is not part of the project")
        print("0 passed, 0 failed, 1 skipped")
        return 0
    with tempfile.TemporaryDirectory(prefix="fathom-interop-") as folder:
        root = demo.prepare_root(folder, 200, 100)
        base = root / "models" / "minilm"
        sentences = pathlib.Path(folder) / "sentences.txt"
        rows = (root / "data" / "mr" / "dev.tsv").read_text(encoding="utf-8").splitlines()[1:51]
        sentences.write_text("\n".join(row.rsplit("\t", 1)[0] for row in rows) + "\n", encoding="utf-8")
        with demo.Fathom(root) as fathom:
            sweep, results = fathom.run_sweep(demo.ROOT / "configs" / "sweeps" / "kill.yaml", "--set", "checkpoint.keep.best=2")
            [adapter] = (results / "adapters" / "mr").glob("standard/seed*")
            [fusion] = (results / "fusions" / "mr").glob("*/standard/seed*")

            def adapter_with_head():
                compare(fathom, base, adapter, sentences)

            def fusion_of_three():
                compare(fathom, base, fusion, sentences)

            def epochs_that_were_kept():
                folders = sorted((results / "epochs").rglob("epoch-*"))
                demo.expect(len(folders) == 4, f"two epochs of four jobs: one of each is the best, {folders} the others")
                for folder in folders:
                    best = results / folder.parent.relative_to(results / "epochs")
                    cards = [json.loads((one / "fathom.json").read_text())["result"] for one in (best, folder)]
                    demo.expect([card["epoch"] for card in cards] == [one["epoch"] for one in cards[0]["best_epochs"]], f"{folder}: {cards}")
                    demo.expect(cards[1]["objective"] <= cards[0]["objective"] and f"epoch-{cards[1]['epoch']}" == folder.name, f"{folder}: {cards}")
                    demo.expect(str(folder.relative_to(results)) in (results / "README.md").read_text(), f"the README does not name {folder}")
                [adapter_then] = (results / "epochs" / "adapters" / "mr").glob("standard/seed*/epoch-*")
                compare(fathom, base, adapter_then, sentences)

            def predictions_add_up_to_the_results():
                out = pathlib.Path(fathom.folder) / "predicted"
                fathom("collect", sweep, "--out", out, "--predictions")
                rows = [row for row in demo.table(out / "results.csv") if row["metric"] == "accuracy" and row["split"] == "eval"]
                demo.expect(len(rows) == 4, f"{rows}")
                listed = {file["path"] for file in json.loads((out / "manifest.json").read_text())["files"]}
                for row in rows:
                    kind = "adapters" if row["kind"] == "adapter" else "fusions"
                    [file] = (out / "predictions" / kind / row["task"]).rglob("*.tsv")
                    demo.expect(str(file.relative_to(out)) in listed, f"{file} is not in the manifest")
                    lines = [line.split("\t") for line in file.read_text().splitlines()]
                    demo.expect(lines[0][:3] == ["row", "predicted", "gold"] and [name[:2] for name in lines[0][3:]] == ["p."] * (len(lines[0]) - 3), f"{lines[0]}")
                    right = sum(line[1] == line[2] for line in lines[1:]) / (len(lines) - 1)
                    demo.expect(abs(right - float(row["value"])) < 1e-6, f"{file}: {right} of the rows, results.csv says {row['value']}")
                demo.expect("predictions/FOLDER.tsv" in (out / "README.md").read_text(), "the README does not say what predictions/ is")

            def predictions_that_cannot_be_made_leave_nothing():
                out = pathlib.Path(fathom.folder) / "none"
                for arguments, words in ((("--predictions", "test"), "test.tsv"), (("--predictions", "--root", folder), "base model")):
                    done = fathom("collect", sweep, "--out", out, *arguments, ok=False)
                    demo.expect(done.returncode == 1 and words in done.stderr and "--root DIR" in done.stderr, f"{done.stdout}{done.stderr}")
                demo.expect(not list(out.parent.glob("none*")), "something is half written")

            return demo.run_tests([adapter_with_head, fusion_of_three, epochs_that_were_kept, predictions_add_up_to_the_results,
                                   predictions_that_cannot_be_made_leave_nothing])


if __name__ == "__main__":
    sys.exit(main())
