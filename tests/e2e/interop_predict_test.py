"""Collected folders of an adapter with its head and of a fusion load strictly in AdapterHub's library and give the logits
of `fathom predict` on 50 dev sentences within 1e-4."""
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
            _, results = fathom.run_sweep(demo.ROOT / "configs" / "sweeps" / "kill.yaml")
            [adapter] = (results / "adapters" / "mr").glob("standard/seed*")
            [fusion] = (results / "fusions" / "mr").glob("*/standard/seed*")

            def adapter_with_head():
                compare(fathom, base, adapter, sentences)

            def fusion_of_three():
                compare(fathom, base, fusion, sentences)

            return demo.run_tests([adapter_with_head, fusion_of_three])


if __name__ == "__main__":
    sys.exit(main())
