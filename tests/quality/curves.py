"""Records learning curves of real training for `fathom simulate`: the sweep of tests/golden/search/asha.yaml without its stop.

  curves.py OUT.json [--seeds 1..10] [--train 128] [--dev 200] [--devices cpu:1]

Trains the demo's MiniLM on the first rows of the demo's tasks (deploy/quickstart fetches both), seed by seed, and adds each
seed that is done to OUT.json: per job its task, drop, learning rate and seed, and the objective after each epoch. Seeds that
the file has are left out, so it goes on where it was interrupted. Scores only, no rows.
"""
import argparse
import json
import pathlib
import ssl
import sys
import tempfile
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from demo import Fathom, prepare_root  # noqa: E402

SWEEP = pathlib.Path(__file__).resolve().parents[1] / "golden" / "search" / "asha.yaml"


def exhaustive(seed):
    lines = SWEEP.read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith("stop:")).replace("seeds: [1]", f"seeds: [{seed}]") + "\n"


def fetch(state, path):
    context = ssl.create_default_context(cafile=state / "coordinator" / "tls" / "ca.pem")
    context.check_hostname = False
    address = (state / "coordinator" / "address").read_text().strip()
    request = urllib.request.Request(f"https://{address}{path}")
    request.add_header("Authorization", "Bearer " + (state / "token").read_text().strip())
    with urllib.request.urlopen(request, context=context, timeout=60) as answer:
        return answer.read().decode()


def record(fathom, seed):
    file = pathlib.Path(fathom.folder) / f"seed-{seed}.yaml"
    file.write_text(exhaustive(seed), encoding="utf-8")
    sweep = fathom.json("submit", file, "--name", f"seed-{seed}")["id"]
    fathom("watch", sweep, timeout=7200)
    jobs = json.loads(fetch(fathom.state, f"/api/v1/sweeps/{sweep}/jobs?limit=1000"))["items"]
    curves = {job["number"]: {} for job in jobs}
    for line in fetch(fathom.state, "/api/v1/log").splitlines():
        report = json.loads(line).get("report_recorded")
        if report and int(report["fence"]["job"]) in curves:
            curves[int(report["fence"]["job"])][report["epoch"]] = round(report.get("objective", 0.0), 6)
    for job in jobs:
        values = [curves[job["number"]][epoch] for epoch in sorted(curves[job["number"]])]
        if job["state"] == "diverged":
            values += [None] * (job["epochs"] - len(values))
        yield {"where": {"task": job["task"], "drop": job["drop"], "param.lr": job["parameters"]["train.lr"], "seed": seed}, "values": values}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--seeds", default="1..10")
    parser.add_argument("--train", type=int, default=128)
    parser.add_argument("--dev", type=int, default=200)
    parser.add_argument("--devices", default="cpu:1")
    options = parser.parse_args()
    first, last = (int(part) for part in options.seeds.split(".."))
    found = json.loads(options.out.read_text()) if options.out.exists() else {"epoch_seconds": 1, "curves": []}
    done = {curve["where"]["seed"] for curve in found["curves"]}
    with tempfile.TemporaryDirectory() as folder:
        root = prepare_root(folder, train_rows=options.train, dev_rows=options.dev)
        with Fathom(root, devices=options.devices) as fathom:
            for seed in range(first, last + 1):
                if seed in done:
                    continue
                found["curves"] += record(fathom, seed)
                lines = ",\n ".join(json.dumps(curve) for curve in found["curves"])
                options.out.write_text('{"epoch_seconds": 1, "curves": [\n ' + lines + "\n]}\n")
                print(f"seed {seed} recorded", flush=True)


if __name__ == "__main__":
    main()
