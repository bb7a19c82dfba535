#!/usr/bin/env python3
"""Population based training on a real model: a member that falls behind goes on from a better one's checkpoint, through a kill of
the coordinator; the log replays."""
import json
import subprocess
import sys
import tempfile

import demo
from harness import Cluster, wait_until

RATES, DECAYS = (3e-3, 1e-3, 1e-6, 2e-6), (0, 0.01)  # two rates learn, two cannot keep up
SWEEP = f"""version: 1
name: population
model: {{path: models/minilm}}
tasks: {{sms: {{path: data/sms}}}}
adapter: {{reduction: 64}}
train: {{epochs: 6, batch: 8, max_length: 16, schedule: constant}}
parameters: {{lr: {{values: {list(RATES)}}}, weight_decay: {{values: {list(DECAYS)}}}}}
objective: {{metric: f1, goal: maximize}}
cache: false
stages:
  adapter: {{stop: {{method: pbt, interval: 1, quantile: 0.5}}}}
  evaluate: {{from: adapter, best: 1, depths: [0]}}
"""


def main():
    with tempfile.TemporaryDirectory(prefix="fathom-population-") as folder:
        root = demo.prepare_root(folder, 48, 32)
        with Cluster(trainer=demo.BIN / "fathom-trainer", root=root) as cluster:
            cluster.start_coordinator()
            cluster.start_worker()

            def fathom(*arguments):
                command = [str(part) for part in (demo.BIN / "fathom", "--state", cluster.state, *arguments)]
                done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=cluster.environment)
                demo.expect(done.returncode == 0, f"{command[3:]}: {done.returncode}: {done.stdout}{done.stderr}")
                return done.stdout + done.stderr

            def members(sweep):
                return [job for job in cluster.items(f"/api/v1/sweeps/{sweep}/jobs") if job["stage"] == "adapter"]

            def events(sweep, kind):
                return [(job, event) for job in members(sweep) for event in cluster.items(f"/api/v1/sweeps/{sweep}/jobs/{job['id']}/events")
                        if event["type"] == kind]

            def members_that_fall_behind_are_cloned():
                sweep = cluster.submit(SWEEP)["id"]
                address = f"/api/v1/sweeps/{sweep}"
                wait_until("one was cloned", lambda: events(sweep, "exploited"), 300)
                cluster.kill("coordinator")
                cluster.start_coordinator()
                wait_until("it ends", lambda: cluster.api("GET", address)["state"] == "succeeded", 600)
                jobs = {job["id"]: cluster.api("GET", f"{address}/jobs/{job['id']}") for job in members(sweep)}
                demo.expect(len(jobs) == 8 and all(job["state"] == "succeeded" for job in jobs.values()), f"{jobs}")
                cloned = events(sweep, "exploited")
                print(f"{len(cloned)} clones of {len({job['id'] for job, _ in cloned})} members")
                for job, event in cloned:
                    demo.expect("goes on from the checkpoint of" in event["text"], event["text"])
                    demo.expect(any(other in event["text"] for other in jobs if other != job["id"]), f"{event['text']}: of whom?")
                last = cloned[-1][0]["id"]
                detail = jobs[last]
                demo.expect(len(detail["attempts"]) > 1 and detail["attempts"][-1]["resumed_epoch"] > 0, f"{detail['attempts']}")
                demo.expect("cloned from" in fathom("show", sweep, last), "show does not say where it comes from")
                text = [event["text"] for job, event in cloned if job["id"] == last][-1]
                point = json.loads(text[text.index("{"):text.index("}") + 1])
                demo.expect(detail["settings"]["train"]["lr"] == point["train.lr"], f"{detail['settings']['train']} after {text}")
                # Its row in tables is that of what was asked for.
                asked = [(job["parameters"]["train.lr"], job["parameters"]["train.weight_decay"]) for job in jobs.values()]
                demo.expect(sorted(asked) == sorted((lr, decay) for lr in RATES for decay in DECAYS), f"{asked}")
                demo.expect(detail["result"]["epochs"] == 6, f"{detail['result']}")
                demo.expect("identical" in fathom("replay", sweep), "the log does not replay")

            return demo.run_tests([members_that_fall_behind_are_cloned])


if __name__ == "__main__":
    sys.exit(main())
