"""Folders that our writers make (adapters, heads, fusions, pruned fusions; BERT and RoBERTa) open in AdapterHub's library:
every tensor bit-equal, outputs within 1e-4, and fresh weights equal to what the library draws from the same seed."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import demo
from harness import PYTHON

SHARED = demo.ROOT.parent / "shared"
TOOLS = SHARED / "tools"
GOLDEN = SHARED / "golden" / "adapters"

# Folder → labels of its head, preset and options: torch.manual_seed(11), then the adapter, then the head.
FRESH = {
    "sequential": (2, "SeqBnConfig", {"reduction_factor": 4}),
    "twice": (3, "DoubleSeqBnConfig", {"reduction_factor": 8}),
    "beside": (1, "ParBnConfig", {"reduction_factor": 2}),
    **{f"dropped{n}": (2, "SeqBnConfig", {"reduction_factor": 4, "leave_out": list(range(n))}) for n in (1, 2, 3)},
    "twice_dropped2": (3, "DoubleSeqBnConfig", {"reduction_factor": 8, "leave_out": [0, 1]}),
    "beside_dropped3": (1, "ParBnConfig", {"reduction_factor": 2, "leave_out": [0, 1, 2]}),
}
SHARED_WEIGHTS = ["shared", "shared_twice"]  # one set of weights in all layers: the library has no twin to draw
FUSIONS = ["fuse", "keep2", "keep1", "uneven", "dropped_fuse"]
RESAVED = ["resaved", "resaved_fuse"]  # the library's own folders, read and written by ours

# Both scripts run in the library's interpreter, once for all folders: importing it costs seconds. argv: tools, JSON.
ACCEPT = """
import json, sys
sys.path.insert(0, sys.argv[1])
import check_saved
for arguments in json.loads(sys.argv[2]):
    sys.argv[1:] = arguments
    if check_saved.main():
        sys.exit("refused: " + arguments[-1])
"""
SAME_SEED = """
import json, sys
sys.path.insert(0, sys.argv[1])
import golden_lib, adapters
from golden_lib import load_base, load_file, torch
torch.set_num_threads(1)
for base, folder, name, labels, preset, options in json.loads(sys.argv[2]):
    model = load_base(base)
    torch.manual_seed(11)
    model.add_adapter(name, config=getattr(adapters, preset)(**options))
    model.add_classification_head(name, num_labels=labels)
    state = model.state_dict()
    for file in ("adapter.safetensors", "model_head.safetensors"):
        for key, ours in load_file(folder + "/" + file).items():
            if not torch.equal(state[key], ours):
                sys.exit(f"{key}: the library draws other numbers from this seed")
"""


CONFIG_IDS = """
import json, sys
from adapters import AdapterConfig, AdapterFusionConfig
from adapters.utils import get_adapter_config_hash
for name in json.loads(sys.argv[2]):
    with open(name) as file:
        saved = json.load(file)
    made = (AdapterFusionConfig.from_dict if "fusion" in name else AdapterConfig.load)(saved["config"])
    if saved["config_id"] != get_adapter_config_hash(made):
        sys.exit(f"{name}: {saved['config_id']}, the library has {get_adapter_config_hash(made)}")
"""


def library(script, work):
    done = subprocess.run([PYTHON, "-c", script, str(TOOLS), json.dumps(work)], capture_output=True, text=True, timeout=500)
    demo.expect(done.returncode == 0, f"{done.stdout[-1500:]}{done.stderr[-1500:]}")


def acceptance(out, names):
    """Arguments of check_saved.py: it loads both formats and compares outputs with those that our trainer computed."""
    work = []
    for family in ("bert", "roberta"):
        data = GOLDEN / family
        for folder in (out / family / name for name in names):
            work.append(["--base", str(data / "base"), "--inputs", str(data / "inputs.safetensors"), "--expected",
                         str(folder / "expected.safetensors"), "--folder", str(folder)])
    return work


def main():
    if not GOLDEN.is_dir():
        print("skipped: ../shared is absent, the strict reader and the base models are not part of the project")
        print("0 passed, 0 failed, 1 skipped")
        return 0
    with tempfile.TemporaryDirectory(prefix="fathom-interop-") as folder:
        out = pathlib.Path(folder)
        subprocess.run([demo.BIN / "unit_trainer", "--gtest_filter=Interop.WriteFolders"], check=True, timeout=120,
                       env=dict(os.environ, FATHOM_INTEROP_OUT=folder), stdout=subprocess.DEVNULL)

        def adapters_and_heads():
            library(ACCEPT, acceptance(out, [*FRESH, *SHARED_WEIGHTS]))

        def fusions_whole_and_pruned():
            library(ACCEPT, acceptance(out, FUSIONS))

        def there_and_back():
            library(ACCEPT, acceptance(out, RESAVED))

        def same_seed_same_weights():
            library(SAME_SEED, [[str(GOLDEN / family / "base"), str(out / family / name), name, *settings]
                                for family in ("bert", "roberta") for name, settings in FRESH.items()])

        def config_ids():
            files = [str(f) for kind in ("adapter", "adapter_fusion") for f in out.rglob(f"{kind}_config.json")]
            demo.expect(len(files) > 20, f"{len(files)} config files")
            library(CONFIG_IDS, files)

        return demo.run_tests([adapters_and_heads, fusions_whole_and_pruned, there_and_back, same_seed_same_weights, config_ids])


if __name__ == "__main__":
    sys.exit(main())
