"""The demo model and data for end-to-end tests, and the `fathom` command on a state folder of its own."""
import csv
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

from harness import BIN, CACHE, ROOT, Failure, expect, run_tests  # noqa: F401, what tests of the demo take from here

DEMO = CACHE / "demo"
TASKS = ("mr", "sms", "tweets")


def link_or_copy(source, target):
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


def prepare_root(folder, train_rows=None, dev_rows=None):
    """A data root below `folder` with the demo model and the three tasks, cut to so many rows where given."""
    root = pathlib.Path(folder) / "root"
    (root / "models").mkdir(parents=True)
    shutil.copytree(DEMO / "models" / "minilm", root / "models" / "minilm", copy_function=link_or_copy)
    for task in TASKS:
        source = DEMO / "data" / task
        if not (source / "dev.tsv").exists():
            command = [BIN / "fathom", "data", ROOT / "configs" / "data" / f"{task}.yaml", "--root", DEMO, "--out", source]
            subprocess.run([str(c) for c in command], check=True, stdout=subprocess.DEVNULL)
        target = root / "data" / task
        target.mkdir(parents=True)
        for name, rows in (("train.tsv", train_rows), ("dev.tsv", dev_rows)):
            lines = (source / name).read_text(encoding="utf-8").split("\n")
            (target / name).write_text("\n".join(lines if rows is None else lines[:rows + 1]) + "\n", encoding="utf-8")
        shutil.copy(source / "labels.json", target)
    return root


class Fathom:
    """`fathom up` on temporary folders; everything it started has ended when the block is left."""

    def __init__(self, root, devices="cpu:1,cpu:1", arguments=()):
        self.root = root
        self.folder = tempfile.mkdtemp(prefix="fathom-e2e-")
        self.state = pathlib.Path(self.folder) / "state"
        self.arguments = ["up", "--root", root, "--port", "0", "--devices", devices, *arguments]

    def __enter__(self):
        try:
            self("up", *self.arguments[1:])
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_):
        subprocess.run([BIN / "fathom", "--state", self.state, "down"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __call__(self, *arguments, ok=True, timeout=600):
        command = [str(c) for c in (BIN / "fathom", "--state", self.state, *arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, cwd=self.folder, stdin=subprocess.DEVNULL)
        if ok and done.returncode:
            raise Failure(f"{' '.join(command[:4])}… ended with {done.returncode}: {done.stderr[-2000:]}{done.stdout[-500:]}")
        return done

    def json(self, *arguments, **options):
        return json.loads(self(*arguments, "--json", **options).stdout)

    def run_sweep(self, file, *submit, timeout=1500):
        """Submits, waits for the end, collects; returns (sweep id, results folder)."""
        sweep = self.json("submit", file, *submit)["id"]
        self("watch", sweep, timeout=timeout)
        out = pathlib.Path(self.folder) / "results"
        self("collect", sweep, "--out", out)
        return sweep, out


def table(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def majority(tsv):
    """Share of the commonest label: what a model that learned nothing scores."""
    labels = [row.rsplit("\t", 1)[-1] for row in tsv.read_text(encoding="utf-8").splitlines()[1:] if row]
    return max(labels.count(label) for label in set(labels)) / len(labels)
