"""Gangs: one job on several ranks under a real mpirun ends with the losses, the scores and the weights of one rank, also
when the rows of a step do not divide evenly or are fewer than the ranks; and a gang that loses a rank ends, and goes on
from its checkpoint. By hand, and from a sweep file through coordinator and worker."""
import array
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import demo
from harness import BIN, TAG, Cluster, expect, run_tests, wait_until

# Adam turns rounding into steps of up to lr where a gradient is nothing but rounding; the rest stays far below.
BOUND = 1e-5
ROWS, EVAL_ROWS = 36, 70  # 36 = 5 * 7 + 1: with batch 7 the last step has fewer rows than ranks; 70: two eval batches
EVEN, UNEVEN = 6, 7


class Bench:
    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="fathom-ranks-"))
        self.root = demo.prepare_root(self.folder, ROWS, EVAL_ROWS)
        self.done = {}

    def settings(self, kind="adapter", **changes):
        drop = changes.pop("drop", {"kind": "standard", "n": 0})
        train = {"lr": 1e-4, "epochs": 2, "batch": UNEVEN, "max_length": 24, "schedule": "linear", "warmup": 0.06,
                 "weight_decay": 0.01, "clip": 1.0, "gradient_accumulation": 1, **changes.pop("train", {})}
        job = {"kind": kind, "model": {"path": "models/minilm"}, "recipe": "fast", "precision": "fp32",
               "objective": {"metric": "primary", "goal": "maximize", "depth": None},
               "task": {"name": "mr", "train": "data/mr/train.tsv", "eval": "data/mr/dev.tsv", "text": ["text"], "label": "label",
                        "labels": None, "metric": None},
               "drop": drop, "adapter": {"config": "seq_bn", "reduction_factor": 16, "non_linearity": "relu"}, "train": train, "seed": 1}
        return {**job, **changes}

    def files(self, name, settings, inputs=None):
        """The job's folder and the command that runs it; other ranks are added to it."""
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (self.folder / f"{name}.json").write_text(json.dumps(settings))
        command = [BIN / "fathom-trainer", "train", self.folder / f"{name}.json", "--json", "--root", self.root, "--folder", folder]
        if inputs:
            (self.folder / f"{name}-inputs.json").write_text(json.dumps(inputs))
            shutil.copytree(self.folder / "members", folder / "inputs")
            command += ["--inputs", self.folder / f"{name}-inputs.json"]
        return folder, [str(part) for part in command]

    def run(self, name, settings, ranks, inputs=None):
        """Everything that the job said, line by line, and its folder."""
        folder, command = self.files(name, settings, inputs)
        done = subprocess.run(command + (["--ranks", str(ranks)] if ranks > 1 else []), capture_output=True, text=True, timeout=300)
        expect(done.returncode == 0, f"{name} ended with {done.returncode}: {done.stdout[-400:]} {done.stderr[-400:]}")
        return [json.loads(line) for line in done.stdout.splitlines()], folder


def points(lines):
    """{(name, step, depth): value} of every metric point."""
    found = {}
    for line in lines:
        for point in line.get("points", []):
            found[point["name"], int(point.get("step", 0)), point.get("depth", -1)] = point.get("value", 0.0)
    return found


def tensors(folder):
    """{(file, name): numbers} of every float32 tensor below a folder, read by the format's own rules."""
    found = {}
    for path in sorted(folder.rglob("*.safetensors")):
        data = path.read_bytes()
        size = int.from_bytes(data[:8], "little")
        for name, entry in json.loads(data[8:8 + size]).items():
            if name == "__metadata__":
                continue
            expect(entry["dtype"] == "F32", f"{path}: {name} is {entry['dtype']}")
            first, last = entry["data_offsets"]
            found[path.relative_to(folder), name] = array.array("f", data[8 + size + first:8 + size + last])
    expect(found, f"no tensors below {folder}")
    return found


def distance(one, many):
    expect(one.keys() == many.keys(), f"other tensors: {sorted(map(str, one.keys() ^ many.keys()))[:4]}")
    return max(max(map(lambda a, b: abs(a - b), one[key], many[key]), default=0.0) for key in one)


def same(name, settings, ranks=2, inputs=None, check_moved=False):
    """One rank and several: the same steps, drawn depths, rows and scores; losses and weights within the bound."""
    one, folder = BENCH.run(f"{name}-1", settings, 1, inputs)
    many, other = BENCH.run(f"{name}-{ranks}", settings, ranks, inputs)
    expected, found = points(one), points(many)
    expect(expected.keys() == found.keys(), f"other points: {sorted(map(str, expected.keys() ^ found.keys()))[:4]}")
    expect(sum(key[0] == "train/loss" for key in found) == steps(settings), "not every step is reported once")
    for key, value in expected.items():
        bound = BOUND * max(1.0, abs(value))
        expect(abs(value - found[key]) <= bound, f"{key} is {found[key]}, on one rank {value}")
    gap = distance(tensors(folder / "final"), tensors(other / "final"))
    print(f"   {name}: weights within {gap:.1e}", flush=True)
    expect(gap <= BOUND, f"the weights differ by {gap}")
    if check_moved:
        moved = distance(tensors(folder / "final"), start_of(name, settings, inputs))
        expect(moved > 20 * BOUND, f"nothing was trained: the weights moved by {moved}")
    ends = [line for line in many if "finished" in line]
    expect(len(ends) == 1, f"{len(ends)} ranks reported the end")
    numbers = [json.loads(next(line for line in lines if "finished" in line)["finished"]["result"]) for lines in (one, many)]
    for key in ("steps", "epochs", "examples", "tokens", "epoch"):
        expect(numbers[0][key] == numbers[1][key], f"{key}: {numbers[1][key]}, on one rank {numbers[0][key]}")


def steps(settings):
    return settings["train"]["epochs"] * -(-ROWS // (settings["train"]["batch"] * settings["train"]["gradient_accumulation"]))


def start_of(name, settings, inputs):
    """The weights before any update: the same job with a learning rate that moves nothing."""
    frozen = {**settings, "train": {**settings["train"], "lr": 1e-12, "epochs": 1}}
    return tensors(BENCH.run(f"{name}-start", frozen, 1, inputs)[1] / "final")


def an_adapter_with_even_rows():
    same("even", BENCH.settings(train={"batch": EVEN}))


def an_adapter_with_uneven_rows():
    same("uneven", BENCH.settings(), check_moved=True)


def robust_training_on_two_ranks():
    same("robust", BENCH.settings(drop={"kind": "robust", "lo": 0, "hi": 5}, train={"epochs": 3}))


def three_ranks_and_accumulation():
    same("three", BENCH.settings(recipe="hf", drop={"kind": "specialized", "n": 2}, train={"batch": 4, "gradient_accumulation": 3}), ranks=3)


def a_fusion_with_uneven_rows():
    members = [{"name": task, "job": task, "folder": f"inputs/{task}"} for task in ("mr", "sms")]
    for seed, member in enumerate(members):
        settings = BENCH.settings(seed=seed, train={"epochs": 1, "lr": 1e-3})
        settings["task"] = {**settings["task"], "name": member["name"], "train": f"data/{member['name']}/train.tsv", "eval": f"data/{member['name']}/dev.tsv"}
        _, folder = BENCH.run(f"member-{member['name']}", settings, 1)
        shutil.copytree(folder / "final", BENCH.folder / "members" / member["name"])
    fusion = {"set": ["mr", "sms"], "target": "mr", "head": "fresh", "config": "dynamic"}
    same("fusion", BENCH.settings("fusion", fusion=fusion, drop={"kind": "robust", "lo": 0, "hi": 3}), inputs={"members": members}, check_moved=True)


def a_lost_rank_ends_the_gang_and_it_goes_on_from_its_checkpoint():
    settings = BENCH.settings(train={"epochs": 6})
    _, undisturbed = BENCH.run("undisturbed", settings, 2)
    folder, command = BENCH.files("disturbed", settings)
    gang = subprocess.Popen([*command, "--ranks", "2"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until("a checkpoint", lambda: (folder / "checkpoints" / "epoch-2.ckpt").exists(), 120, 0.02)
    os.kill(rank_of(gang.pid, 1), signal.SIGKILL)
    expect(gang.wait(30) != 0, "the gang ended as if nothing had happened")
    expect(not ranks_below(gang.pid), "a rank lives on")
    expect(not (folder / "final").exists(), "a broken gang left a result")
    shutil.copy(folder / "checkpoints" / "epoch-2.ckpt", folder / "resume.ckpt")
    done = subprocess.run([*command, "--ranks", "2"], capture_output=True, text=True, timeout=300)
    expect(done.returncode == 0 and '"resumed_epoch":2' in done.stdout, f"it did not go on: {done.stdout[:300]} {done.stderr[-300:]}")
    gap = distance(tensors(undisturbed / "final"), tensors(folder / "final"))
    expect(gap == 0, f"an undisturbed gang ends with other weights, by {gap}")


def ranks_below(pid):
    """{rank: pid} of the ranks that this mpirun started."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1]) != pid:
                continue
            for variable in (entry / "environ").read_bytes().split(b"\0"):
                if variable.startswith(b"OMPI_COMM_WORLD_RANK="):
                    found[int(variable.split(b"=")[1])] = int(entry.name)
        except OSError:
            pass  # it has just ended
    return found


def rank_of(pid, rank):
    return wait_until(f"rank {rank}", lambda: ranks_below(pid).get(rank), 10)


def a_mistake_ends_all_ranks_with_one_sentence():
    _, command = BENCH.files("mistake", BENCH.settings(drop={"kind": "specialized", "n": 6}))
    start = time.monotonic()
    done = subprocess.run([*command, "--ranks", "2"], capture_output=True, text=True, timeout=60)
    expect(done.returncode != 0, "it ended well")
    failures = [line for line in done.stdout.splitlines() if '"failed"' in line]
    expect(len(failures) == 1 and "6 layers" in failures[0], f"not one sentence: {done.stdout[-400:]}")
    expect(time.monotonic() - start < 20, "the other rank was waited for")


SWEEP = """version: 1
name: gang
model: {path: models/minilm}
tasks: {mr: {path: data/mr}}
adapter: {config: seq_bn, reduction: 16}
train: {lr: 1e-4, epochs: EPOCHS, batch: 7, max_length: 24}
seeds: [1]
resources: {ranks: 2}
stages:
  adapter: {drop: {robust: 0..3}}
  evaluate: {from: adapter, depths: [0, 2]}
"""


def cluster():
    return Cluster(trainer=BIN / "fathom-trainer", root=BENCH.root)


def ended(running, sweep):
    wait_until("the sweep ends", lambda: running.api("GET", f"/api/v1/sweeps/{sweep}")["state"] != "running", 240, 0.2)
    state = running.api("GET", f"/api/v1/sweeps/{sweep}")
    expect(state["state"] == "succeeded", f"the sweep ended as {state['state']}: {state['counts']}")
    path = f"/api/v1/sweeps/{sweep}/jobs"
    return {job["kind"]: running.api("GET", f"{path}/{job['id']}") for job in running.items(path)}


def weights_of(running, job):
    """The tensors of a job's result, out of the artifact store."""
    folder = BENCH.folder / f"fetched-{job['id']}"
    shutil.rmtree(folder, ignore_errors=True)
    for file in job["files"]:
        target = folder / file["path"]
        target.parent.mkdir(parents=True, exist_ok=True)
        status, data = running.request("GET", f"/api/v1/artifacts/{file['sha256']}")
        expect(status == 200, f"{file['path']}: status {status}")
        target.write_bytes(data)
    return tensors(folder)


def gang_of(running):
    """{rank: pid} of the ranks that this cluster runs."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        try:
            variables = (entry / "environ").read_bytes().split(b"\0") if entry.name.isdigit() else []
        except OSError:
            continue  # it has just ended
        rank = [v for v in variables if v.startswith(b"OMPI_COMM_WORLD_RANK=")]
        if rank and f"{TAG}={running.tag}".encode() in variables:
            found[int(rank[0].split(b"=")[1])] = int(entry.name)
    return found


def a_sweep_with_ranks_runs_a_gang_over_the_devices_of_a_worker():
    with cluster() as running:
        running.start_coordinator()
        running.start_worker()
        jobs = ended(running, running.submit(SWEEP.replace("EPOCHS", "2"))["id"])
        expect(jobs["adapter"]["device"] == "cpu:0+cpu:1", f"trained on {jobs['adapter']['device']}")
        expect(jobs["evaluate"]["device"] in ("cpu:0", "cpu:1"), f"measured on {jobs['evaluate']['device']}")
        wait_until("the gang's processes end with its job", lambda: not gang_of(running), 10)
        _, alone = BENCH.run("of-the-sweep", jobs["adapter"]["settings"], 1)
        gap = distance(tensors(alone / "final"), weights_of(running, jobs["adapter"]))
        print(f"   sweep: weights within {gap:.1e}", flush=True)
        expect(gap <= BOUND, f"the weights differ from those of one rank by {gap}")


def a_gang_under_a_worker_survives_the_loss_of_a_rank_and_of_the_worker():
    with cluster() as running:
        running.start_coordinator()
        running.start_worker()
        sweep = running.submit(SWEEP.replace("EPOCHS", "8"))["id"]
        path = f"/api/v1/sweeps/{sweep}/jobs"
        job = next(job["id"] for job in running.items(path) if job["kind"] == "adapter")

        def checkpoints(count):
            kinds = [event["type"] for event in running.items(f"{path}/{job}/events")]
            return kinds.count("checkpoint_committed") >= count

        wait_until("a checkpoint", lambda: checkpoints(2), 120)
        os.kill(gang_of(running)[1], signal.SIGKILL)
        wait_until("another checkpoint", lambda: checkpoints(4), 120)
        ranks = gang_of(running)
        running.kill("worker")
        wait_until("no rank outlives its worker", lambda: not set(ranks.values()) & set(gang_of(running).values()), 10)
        running.start_worker()
        done = ended(running, sweep)["adapter"]
        resumed = [attempt["resumed_epoch"] for attempt in done["attempts"]]
        expect(len(resumed) >= 3 and all(resumed[1:]), f"it did not go on from its checkpoints: {done['attempts']}")
        _, undisturbed = BENCH.run("undisturbed-sweep", done["settings"], 2)
        gap = distance(tensors(undisturbed / "final"), weights_of(running, done))
        expect(gap == 0, f"an undisturbed gang ends with other weights, by {gap}")


BENCH = None

if __name__ == "__main__":
    BENCH = Bench()
    try:
        code = run_tests([an_adapter_with_even_rows, an_adapter_with_uneven_rows, robust_training_on_two_ranks, three_ranks_and_accumulation,
                          a_fusion_with_uneven_rows, a_lost_rank_ends_the_gang_and_it_goes_on_from_its_checkpoint,
                          a_mistake_ends_all_ranks_with_one_sentence, a_sweep_with_ranks_runs_a_gang_over_the_devices_of_a_worker,
                          a_gang_under_a_worker_survives_the_loss_of_a_rank_and_of_the_worker])
    finally:
        shutil.rmtree(BENCH.folder, ignore_errors=True)
    raise SystemExit(code)
