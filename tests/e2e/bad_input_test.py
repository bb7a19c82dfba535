"""Bad input of every kind gives one clear error: what, where, what to do; exit code 2 for usage and 1 for failure; nothing
half-written. The programs are the real ones."""
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile

import demo
from harness import BIN, expect, run_tests

SWEEP = """version: 1
name: bad
model: {path: models/minilm}
tasks:
  mr: {path: data/mr}
train: {lr: 1e-3, epochs: 1, batch: 16, max_length: 16}
stages:
  adapter: {drop: {standard: true}}
"""
RECIPE = """name: t
source: t.csv
format: csv
text: text
label: label
labels: {"0": bad, "1": good}
split: 0.5
"""


class Bench:
    """A temporary folder with small files to spoil."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="fathom-bad-"))

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def run(self, *command, timeout=120):
        return subprocess.run([str(c) for c in command], capture_output=True, text=True, errors="replace", timeout=timeout,
                              cwd=self.folder, stdin=subprocess.DEVNULL)


BENCH = Bench()


def refused(done, code, *words):
    """Ended with `code`, says every word, and says it once: no trace, no second error."""
    text = done.stderr + done.stdout
    expect(done.returncode == code, f"exit code {done.returncode}, expected {code}: {text[-800:]}")
    for word in words:
        expect(word in text, f"the error does not say {word!r}: {text[-800:]}")
    for trace in ("terminate called", "what():", "AddressSanitizer", "Segmentation"):
        expect(trace not in text, f"a trace instead of an error: {text[-800:]}")


def validate(text):
    return BENCH.run(BIN / "fathom", "validate", BENCH.write("sweep.yaml", text))


def unknown_key_of_a_sweep():
    refused(validate(SWEEP.replace("epochs: 1", "epoch: 1")), 1, "sweep.yaml:6:", "error:", "epoch", "epochs")


def wrong_type_in_a_sweep():
    refused(validate(SWEEP.replace("batch: 16", "batch: many")), 1, "sweep.yaml:6:", "batch", "many")


def tab_in_yaml():
    refused(validate(SWEEP.replace("  mr:", "\tmr:")), 1, "sweep.yaml:5:", "tab")


def several_mistakes_in_one_pass():
    done = validate(SWEEP.replace("epochs: 1", "epoch: 1").replace("standard: true", "standart: true"))
    refused(done, 1, "sweep.yaml:6:", "sweep.yaml:8:", "standard")


def depths_beyond_the_model():
    BENCH.write("models/minilm/config.json", '{"num_hidden_layers": 6}')
    file = BENCH.write("deep.yaml", SWEEP.replace("standard: true", "specialized: [5, 6]"))
    done = BENCH.run(BIN / "fathom", "validate", file, "--root", BENCH.folder)
    refused(done, 1, "deep.yaml:8:37: error: drop depth 6", "depths go up to 5", "^")
    done = BENCH.run(BIN / "fathom", "plan", file, "--root", BENCH.folder, "--json")
    said = json.loads(done.stdout)
    expect(not said["valid"] and said["more"] == 0 and [(e["line"], e["column"]) for e in said["errors"]] == [(8, 37)], f"{said}")
    done = BENCH.run(BIN / "fathom", "validate", file, "--root", BENCH.folder / "nowhere")
    expect(done.returncode == 0 and "note: --root: depths were not checked" in done.stdout, f"{done}")


def more_mistakes_than_are_shown():
    done = BENCH.run(BIN / "fathom", "validate", BENCH.write("many.yaml", SWEEP.replace("epochs: 1", ", ".join(f"k{i}: 1" for i in range(150)))))
    refused(done, 1, "and 50 more mistakes")
    expect(done.stderr.count("error:") == 100, f"{done.stderr.count('error:')} errors")


def usage_errors_end_with_two():
    refused(BENCH.run(BIN / "fathom", "no-such-command"), 2)
    refused(BENCH.run(BIN / "fathom", "validate"), 2)
    refused(BENCH.run(BIN / "fathom-coordinator", "--no-such-flag"), 2)
    refused(BENCH.run(BIN / "fathom-worker", "--no-such-flag"), 2)
    refused(BENCH.run(BIN / "fathom-trainer", "--no-such-flag"), 2)


def data(csv, recipe=RECIPE):
    BENCH.write("t.csv", csv)
    out = BENCH.folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    done = BENCH.run(BIN / "fathom", "data", BENCH.write("r.yaml", recipe), "--root", BENCH.folder, "--out", out)
    left = [p.name for p in out.iterdir()] if out.exists() else []
    expect(done.returncode == 0 or not left, f"half-written: {left}")
    return done


def missing_data_column():
    refused(data("words,label\nfine,1\nawful,0\n"), 1, "t.csv", "text", "words")


def unknown_label():
    refused(data("text,label\nfine,1\nawful,7\n"), 1, "t.csv:3", '"7"', "0, 1")


def empty_data_file():
    refused(data(""), 1, "t.csv", "empty")


def unclosed_quote():
    refused(data('text,label\n"fine,1\n'), 1, "t.csv", "quot")


def train_job(root, **changes):
    job = {"kind": "adapter", "model": {"path": "models/minilm"}, "recipe": "fast", "precision": "fp32",
           "objective": {"metric": "primary", "goal": "maximize", "depth": None},
           "task": {"name": "mr", "train": "data/mr/train.tsv", "eval": "data/mr/dev.tsv", "text": ["text"], "label": "label", "labels": None, "metric": None},
           "drop": {"kind": "standard", "n": 0}, "adapter": {"config": "seq_bn", "reduction_factor": 16, "non_linearity": "relu"},
           "train": {"lr": 0.001, "epochs": 1, "batch": 16, "max_length": 16, "schedule": "linear", "warmup": 0.06, "weight_decay": 0.0,
                     "clip": 1.0, "gradient_accumulation": 1}, "seed": 1, **changes}
    folder = BENCH.folder / "job"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    done = BENCH.run(BIN / "fathom-trainer", "train", BENCH.write("job.json", json.dumps(job)), "--root", root, "--folder", folder)
    expect(not (folder / "final").exists() or done.returncode == 0, "a failed job left a final tree")
    return done


def spoiled_model(name):
    """A data root whose model is a copy that may be changed."""
    root = BENCH.folder / name
    shutil.rmtree(root, ignore_errors=True)
    made = demo.prepare_root(root, 40, 20)
    model = made / "models" / "minilm"
    return made, model


def missing_model_file():
    root, model = spoiled_model("missing")
    (model / "model.safetensors").unlink()
    refused(train_job(root), 1, "model.safetensors")


def truncated_weights():
    root, model = spoiled_model("truncated")
    with open(model / "model.safetensors", "rb") as file:
        start = file.read(1 << 20)
    (model / "model.safetensors").unlink()
    (model / "model.safetensors").write_bytes(start)
    refused(train_job(root), 1, "model.safetensors")


def tokenizer_of_another_model():
    root, model = spoiled_model("tokenizer")
    vocabulary = (model / "vocab.txt").read_text(encoding="utf-8")
    for name in ("vocab.txt", "tokenizer.json"):
        (model / name).unlink(missing_ok=True)
    (model / "vocab.txt").write_text(vocabulary + "".join(f"extra{i}\n" for i in range(50)), encoding="utf-8")
    refused(train_job(root), 1, "30522", "30572")


def missing_column_of_a_task():
    root, _ = spoiled_model("column")
    train = root / "data" / "mr" / "train.tsv"
    train.write_text(train.read_text(encoding="utf-8").replace("text\t", "words\t", 1), encoding="utf-8")
    refused(train_job(root), 1, "train.tsv", "text")


def no_free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = BENCH.run(BIN / "fathom-coordinator", "--state", BENCH.folder / "port", "--listen", f"127.0.0.1:{port}")
    refused(done, 1, str(port), "in use")


def state_folder_of_another_version():
    BENCH.write("old/VERSION", "999\n")
    done = BENCH.run(BIN / "fathom-coordinator", "--state", BENCH.folder / "old", "--listen", "127.0.0.1:0")
    refused(done, 1, "999", "another version", "--state")
    expect(sorted(p.name for p in (BENCH.folder / "old").iterdir()) == ["VERSION"], "the foreign state folder was changed")


def full_disk():
    """A file system of 256 KiB: what does not fit is refused with the reason, and nothing half-written stays."""
    small = BENCH.folder / "small"
    small.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", small], capture_output=True).returncode:
        print("skipped full disk: mounting a small file system needs root")
        return
    try:
        rows = "text,label\n" + "".join(f"row {i} {'x' * 200},{i % 2}\n" for i in range(4000))
        BENCH.write("t.csv", rows)
        done = BENCH.run(BIN / "fathom", "data", BENCH.write("r.yaml", RECIPE), "--root", BENCH.folder, "--out", small / "out")
        refused(done, 1, "No space left")
        left = [p for p in small.rglob("*") if p.is_file()]
        expect(not left, f"half-written: {left}")
    finally:
        subprocess.run(["umount", small], check=True)


def main():
    tests = [unknown_key_of_a_sweep, wrong_type_in_a_sweep, tab_in_yaml, several_mistakes_in_one_pass,
             depths_beyond_the_model, more_mistakes_than_are_shown, usage_errors_end_with_two,
             missing_data_column, unknown_label, empty_data_file, unclosed_quote, missing_model_file, truncated_weights,
             tokenizer_of_another_model, missing_column_of_a_task, no_free_port, state_folder_of_another_version, full_disk]
    try:
        return run_tests(tests)
    finally:
        BENCH.close()


if __name__ == "__main__":
    sys.exit(main())
