#!/usr/bin/env python3
"""Fusions of adapters that another sweep trained, taken from it by name and from the folders that `collect` wrote of it: the
same members give the same fusion. What is not there is named; a folder that changed is another result."""
import json
import shutil
import subprocess
import sys
import tempfile

import demo
from harness import Cluster, wait_until

HEAD = """version: 1
name: {name}
model: {{path: models/minilm}}
tasks:
  mr:  {{path: data/mr}}
  sms: {{path: data/sms}}
adapter: {{reduction: 64}}
train: {{epochs: 1, batch: 8, max_length: 16, lr: 1e-3}}
stages:
"""
ADAPTERS = "  adapter: {parameters: {lr: [1e-3, 1e-4]}, seeds: [1, 2]}\n"
FUSION = "  fusion: {{needs: {{{needs}}}, sets: [all], targets: [mr], seeds: [2]}}\n  evaluate: {{from: fusion, depths: [0]}}\n"


class Sweeps:
    def __init__(self, cluster, folder):
        self.cluster, self.folder = cluster, demo.pathlib.Path(folder)

    def fathom(self, *arguments):
        command = [str(part) for part in (demo.BIN / "fathom", "--state", self.cluster.state, *arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=self.cluster.environment)
        demo.expect(done.returncode == 0, f"{' '.join(command[3:])}: {done.stderr}{done.stdout[-400:]}")
        return done.stdout

    def file(self, name, stages):
        file = self.folder / f"{name}.yaml"
        file.write_text(HEAD.format(name=name) + stages)
        return file

    def submit(self, name, stages):
        return self.cluster.submit(HEAD.format(name=name) + stages)["id"]

    def ended(self, sweep):
        wait_until(f"{sweep} ends", lambda: self.sweep(sweep)["state"] != "running", 300)
        return self.sweep(sweep)

    def sweep(self, sweep):
        return self.cluster.api("GET", f"/api/v1/sweeps/{sweep}")

    def job(self, sweep, job):
        return self.cluster.api("GET", f"/api/v1/sweeps/{sweep}/jobs/{job}")

    def fusion(self, sweep):
        """The one fusion of a sweep, with all that is known of it."""
        job = next(one for one in self.cluster.items(f"/api/v1/sweeps/{sweep}/jobs") if one["stage"] == "fusion")
        return self.job(sweep, job["id"])

    def run(self, name, stages):
        sweep = self.submit(name, stages)
        told = self.ended(sweep)
        demo.expect(told["state"] == "succeeded", f"{told}")
        out = self.folder / f"out-{sweep}"
        self.fathom("collect", sweep, "--out", out)
        return sweep, out

    def score(self, out):
        rows = [row for row in demo.table(out / "results.csv") if row["stage"] == "fusion"]
        demo.expect(rows and {row["status"] for row in rows} == {"succeeded"}, f"{rows}")
        attention = [(row["adapter"], row["layer"], row["mean_weight"]) for row in demo.table(out / "fusion_attention.csv")]
        return [(row["metric"], row["depth"], row["value"]) for row in rows], attention


def adapter_of(out, task, job):
    """The folder of a job's adapter among what was collected."""
    for card in (out / "adapters" / task).rglob("fathom.json"):
        if json.loads(card.read_text())["settings"] == job["settings"]:
            return card.parent
    raise demo.Failure(f"no collected adapter of {job['id']}")


def main():
    with tempfile.TemporaryDirectory(prefix="fathom-elsewhere-") as folder:
        root = demo.prepare_root(folder, 24, 16)
        with Cluster(trainer=demo.BIN / "fathom-trainer", root=root) as cluster:
            cluster.start_coordinator()
            cluster.start_worker()
            sweeps = Sweeps(cluster, folder)
            waiting = sweeps.submit("early", FUSION.format(needs="from: 'sweep:trained/adapter', on_missing: wait"))
            told = sweeps.fusion(waiting)["explain"]
            trained, out = sweeps.run("trained", ADAPTERS)
            sweeps.ended(waiting)
            chosen = {need["name"]: sweeps.job(trained, need["chosen"]) for need in sweeps.fusion(waiting)["needs"]}
            folders = {task: adapter_of(out, task, job) for task, job in chosen.items()}
            for task, source in folders.items():
                shutil.copytree(source, root / "adapters" / task)
            for name in ("head_config.json", "pytorch_model_head.bin", "model_head.safetensors", "fathom.json"):
                (root / "adapters" / "sms" / name).unlink()  # as an adapter of the library without a head
            by_folder = FUSION.format(needs="from: {mr: adapters/mr, sms: adapters/sms}")

            def who_waits_is_told_for_what():
                demo.expect("needs the model \"mr\"" in told and "there is no sweep trained here" in told, told)
                demo.expect(sweeps.ended(waiting)["counts"] == {"succeeded": 2}, f"{sweeps.sweep(waiting)}")

            def a_folder_and_a_sweep_give_the_same_fusion():
                _, by_sweep = sweeps.run("by-sweep", FUSION.format(needs="from: 'sweep:trained/adapter', where: {drop: standard}"))
                sweep, from_folders = sweeps.run("by-folder", by_folder)
                demo.expect(sweeps.score(by_sweep) == sweeps.score(from_folders), f"{sweeps.score(by_sweep)}\n{sweeps.score(from_folders)}")
                members = {row[0] for row in sweeps.score(from_folders)[1]}
                demo.expect(members == {"mr", "sms"}, f"{members}")
                hashes = [{row["stage"]: row["data_sha256"] for row in demo.table(o / "jobs.csv")} for o in (by_sweep, from_folders)]
                demo.expect(hashes[0]["fusion"] != hashes[1]["fusion"], "the folders are not in what the job says of its data")
                demo.expect("identical" in sweeps.fathom("replay", "by-sweep"), "the log does not replay")
                needs = {need["name"]: need for need in sweeps.fusion("by-sweep")["needs"]}
                demo.expect(needs["mr"]["sweep"] == trained and needs["mr"]["elsewhere"] == ["sweep:trained/adapter"], f"{needs}")

            def a_folder_that_changed_is_another_result():
                again, _ = sweeps.run("by-folder", by_folder)
                demo.expect(sweeps.sweep(again)["reused"] == 2, "an equal fusion was trained again")
                other = next(card.parent for card in (out / "adapters" / "mr").rglob("fathom.json") if card.parent != folders["mr"])
                shutil.rmtree(root / "adapters" / "mr")
                shutil.copytree(other, root / "adapters" / "mr")
                changed, _ = sweeps.run("by-folder", by_folder)
                demo.expect(sweeps.sweep(changed)["reused"] == 0, "a fusion of another adapter was taken")

            def what_does_not_fit_is_said():
                config = root / "adapters" / "sms" / "adapter_config.json"
                config.write_text(config.read_text().replace('"hidden_size": 384', '"hidden_size": 768'))
                bad = sweeps.submit("misfit", by_folder)
                demo.expect(sweeps.ended(bad)["state"] == "failed", f"{sweeps.sweep(bad)}")
                demo.expect("hidden_size 768" in sweeps.fusion(bad)["cause"], sweeps.fusion(bad)["cause"])
                plan = sweeps.fathom("plan", sweeps.file("misfit", by_folder))
                demo.expect("the member mr is the adapter in adapters/mr" in plan, plan)

            return demo.run_tests([who_waits_is_told_for_what, a_folder_and_a_sweep_give_the_same_fusion,
                                   a_folder_that_changed_is_another_result, what_does_not_fit_is_said])


if __name__ == "__main__":
    sys.exit(main())
