#!/usr/bin/env python3
"""More epochs for a sweep that has ended: its jobs go on from their checkpoints, and end as those of a sweep that was to train
so long from the start."""
import subprocess
import sys
import tempfile

import demo
from harness import Cluster, wait_until

SWEEP = """version: 1
name: {name}
model: {{path: models/minilm}}
tasks: {{mr: {{path: data/mr}}, sms: {{path: data/sms}}}}
adapter: {{reduction: 64}}
train: {{epochs: {epochs}, batch: 8, max_length: 16, lr: 1e-3, schedule: {schedule}}}
cache: false
stages:
  adapter: {{drop: {{robust: 0..3}}}}
  fusion: {{needs: {{from: adapter}}, sets: [all], targets: [mr]}}
"""


def main():
    with tempfile.TemporaryDirectory(prefix="fathom-extend-") as folder:
        root = demo.prepare_root(folder, 24, 16)
        with Cluster(trainer=demo.BIN / "fathom-trainer", root=root) as cluster:
            cluster.start_coordinator()
            cluster.start_worker()

            def fathom(*arguments, code=0):
                command = [str(part) for part in (demo.BIN / "fathom", "--state", cluster.state, *arguments)]
                done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=cluster.environment)
                demo.expect(done.returncode == code, f"{command[3:]}: {done.returncode}: {done.stdout}{done.stderr}")
                return done.stdout + done.stderr

            def ended(sweep):
                wait_until(f"{sweep} ends", lambda: cluster.api("GET", f"/api/v1/sweeps/{sweep}")["state"] != "running", 300)
                jobs = cluster.items(f"/api/v1/sweeps/{sweep}/jobs")
                demo.expect(all(job["state"] == "succeeded" for job in jobs), f"{jobs}")
                return [cluster.api("GET", f"/api/v1/sweeps/{sweep}/jobs/{job['id']}") for job in jobs]

            def more_epochs_end_where_a_longer_sweep_does():
                short = ended(cluster.submit(SWEEP.format(name="short", epochs=1, schedule="constant"))["id"])
                extended = ended(cluster_extend("short"))
                whole = ended(cluster.submit(SWEEP.format(name="whole", epochs=2, schedule="constant"))["id"])
                demo.expect([job["id"] for job in extended] == [job["id"] for job in whole] != [job["id"] for job in short], "ids")
                for a, b in zip(extended, whole):
                    resumed = a["attempts"][0]["resumed_epoch"]
                    demo.expect(resumed == (1 if a["stage"] == "adapter" else 0), f"{a['stage']} began after epoch {resumed}")
                    # Files but the one with the times.
                    files = [{f["path"]: f["sha256"] for f in job["files"] if f["path"] != "fathom.json"} for job in (a, b)]
                    demo.expect(files[0] == files[1] and files[0], f"{a['stage']} {a['task']}: other weights")
                    demo.expect(a["result"]["rows"] == b["result"]["rows"] and a["result"]["steps"] == 6, f"{a['result']}")
                demo.expect("identical" in fathom("replay", "short-2"), "the log does not replay")

            def cluster_extend(sweep):
                fathom("extend", sweep, "--epochs", 2)
                return f"{sweep}-2"

            def what_would_be_another_training_is_refused():
                ended(cluster.submit(SWEEP.format(name="linear", epochs=1, schedule="linear"))["id"])
                told = fathom("extend", "linear", "--epochs", 2, code=1)
                demo.expect("train.schedule linear runs over train.epochs" in told and "fathom fork" in told, told)
                told = fathom("extend", "short", "--epochs", 1, code=1)
                demo.expect("train 1 epochs already" in told, told)

            return demo.run_tests([more_epochs_end_where_a_longer_sweep_does, what_would_be_another_training_is_refused])


if __name__ == "__main__":
    sys.exit(main())
