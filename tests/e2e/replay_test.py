"""fathom replay and fathom simulate as a person uses them: decisions of a sweep that really ran, kills in between, come out of
its log the same; a spoiled log is told; a sweep file runs on learning curves."""
import json
import subprocess

import noop_sweep
from harness import BIN, Cluster, expect, run_tests, wait_until

RATES = ("1e-4", "3e-4", "1e-3", "3e-3", "1e-2", "3e-2")


def stopping(name, method="asha"):
    text = noop_sweep.sweep(name, rates=RATES, seeds=1, epochs=9)
    text = text.replace("specialized: [2]}}", "specialized: [2]}, stop: {method: " + method + ", eta: 3}}")
    return text + "cache: false\n"  # each sweep is to be trained, whatever others did


def replay(state, sweep, code):
    done = subprocess.run([BIN / "fathom", "--state", state, "replay", sweep], capture_output=True, text=True, timeout=60)
    expect(done.returncode == code, f"exit code {done.returncode}, not {code}: {done.stdout}{done.stderr}")
    return done.stdout


def a_sweep_that_was_killed_in_between_is_replayed_identically():
    with Cluster(environment={"FATHOM_NOOP_MS": "20"}) as cluster:
        cluster.start_coordinator()
        cluster.start_worker()
        sweep = cluster.submit(stopping("first"))["id"]
        other = cluster.submit(stopping("second", "asha, variant: promote"))["id"]
        third = cluster.submit(stopping("third", "halving"))["id"]
        wait_until("jobs end", lambda: cluster.api("GET", f"/api/v1/sweeps/{sweep}")["counts"].get("succeeded", 0) > 2, 60)
        cluster.kill("coordinator")
        cluster.start_coordinator()
        for one in (sweep, other, third):
            wait_until(f"{one} ends", lambda one=one: cluster.api("GET", f"/api/v1/sweeps/{one}")["state"] == "succeeded", 120)
        counts = cluster.api("GET", f"/api/v1/sweeps/{sweep}")["counts"]
        expect(counts.get("stopped", 0) > 0, f"nothing was stopped: {counts}")
        stopped = [job for job in cluster.items(f"/api/v1/sweeps/{sweep}/jobs") if job["state"] == "stopped"]
        saved = cluster.api("GET", f"/api/v1/sweeps/{sweep}")["saved"]
        expect(saved["epochs"] == sum(9 - job["epoch"] for job in stopped) > 0 and saved["of"] >= 9 * len(stopped), f"{saved}")
        watched = subprocess.run([BIN / "fathom", "--state", cluster.state, "watch", sweep], capture_output=True, text=True, timeout=60).stdout
        expect(f"stopping saved {saved['epochs']} of {saved['of']} epochs" in watched, watched)
        for one in (other, third):
            jobs = cluster.items(f"/api/v1/sweeps/{one}/jobs")
            whole = [job for job in jobs if job["kind"] == "adapter" and job["state"] == "succeeded"]
            expect(any(job["attempts"] > 1 for job in whole), f"{one}: no job was paused and came back")
            expect(all(job["epoch"] == 9 for job in whole), f"{one}: a job that succeeded did not train to its end")
        for one in (sweep, other, third):
            text = replay(cluster.state, one, 0)
            expect(text.startswith("identical: ") and int(text.split()[1]) > 60, text)
        expect("no sweep" in subprocess.run([BIN / "fathom", "--state", cluster.state, "replay", "nothing"], capture_output=True,
                                            text=True, timeout=60).stderr, "an unknown sweep is not told")


def members_of_a_population_are_cloned_and_that_is_replayed_identically():
    with Cluster(environment={"FATHOM_NOOP_MS": "20", "FATHOM_NOOP_CHECKPOINTS": "1"}) as cluster:
        cluster.start_coordinator()
        cluster.start_worker()
        text = noop_sweep.sweep("population", tasks=("a",), rates=RATES, seeds=2, epochs=6, stages=False, stop="{method: pbt}")
        sweep = cluster.submit(text + "  evaluate: {from: adapter, best: 1}\n")["id"]
        address = f"/api/v1/sweeps/{sweep}"
        clones = lambda: [(job, event) for job in cluster.items(address + "/jobs") if job["kind"] == "adapter"
                          for event in cluster.items(f"{address}/jobs/{job['id']}/events") if event["type"] == "exploited"]
        wait_until("one is cloned", clones, 60)
        cluster.kill("coordinator")
        cluster.start_coordinator()
        wait_until("it ends", lambda: cluster.api("GET", address)["state"] == "succeeded", 120)
        found = clones()
        expect(len(found) > 2 and all("goes on from the checkpoint of" in event["text"] for _, event in found), f"{found}")
        job, event = found[-1]
        detail = cluster.api("GET", f"{address}/jobs/{job['id']}")
        last = [event["text"] for other, event in found if other["id"] == job["id"]][-1]
        point = json.loads(last[last.index("{"):last.index("}") + 1])
        expect(detail["settings"]["train"]["lr"] == point["train.lr"], f"{detail['settings']} after {last}")
        expect(detail["parameters"]["train.lr"] in [float(rate) for rate in RATES], f"{detail['parameters']}")
        expect("cloned from" in detail["explain"], detail["explain"])
        text = replay(cluster.state, sweep, 0)
        expect(text.startswith("identical: "), text)


def drawing(name, sampler="tpe", seeds=2):
    text = noop_sweep.sweep(name, tasks=("a",), seeds=seeds, epochs=3, stages=False) + "  evaluate: {from: adapter}\n"
    text = text.replace("lr: {values: [1e-3, 3e-4]}", "lr: {min: 1e-6, max: 1, scale: log}, config: [seq_bn, par_bn]")
    text = text.replace("drop: {standard: true, specialized: [2]}", "drop: {standard: true}")
    return text + f"search: {{sampler: {sampler}, trials: 12, startup: 4}}\n"


def points_are_drawn_once_while_a_sweep_runs_and_stand_in_its_tables():
    with Cluster(environment={"FATHOM_NOOP_MS": "20"}) as cluster:
        cluster.start_coordinator()
        cluster.start_worker()
        sweep = cluster.submit(drawing("drawn"))["id"]
        address = f"/api/v1/sweeps/{sweep}"
        adapters = lambda: [job for job in cluster.items(address + "/jobs") if job["kind"] == "adapter"]
        wait_until("some have ended", lambda: sum(job["state"] == "succeeded" for job in adapters()) > 5, 60)
        cluster.kill("coordinator")
        cluster.start_coordinator()
        before = {job["id"]: job["parameters"] for job in adapters() if job["parameters"]}
        wait_until("it ends", lambda: cluster.api("GET", address)["state"] == "succeeded", 120)
        jobs = adapters()
        expect(len(jobs) == 24 and all(set(job["parameters"]) == {"train.lr", "adapter.config"} for job in jobs), f"{jobs[:2]}")
        expect(len(before) >= 6, f"{len(before)} jobs had parameters after the restart")
        expect(all(job["parameters"] == before.get(job["id"], job["parameters"]) for job in jobs), "a point is another one after a restart")
        measured = [job for job in cluster.items(address + "/jobs") if job["kind"] == "evaluate"]
        expect(len(measured) == 24 and all("train.lr" in job["parameters"] for job in measured), f"{measured[:2]}")
        points = {}
        for job in jobs:
            points.setdefault(json.dumps(job["parameters"], sort_keys=True), []).append(job["seed"])
        expect(len(points) == 12 and all(sorted(seeds) == [1, 2] for seeds in points.values()), f"{points}")
        one = jobs[-1]
        detail = cluster.api("GET", f"{address}/jobs/{one['id']}")
        expect(detail["settings"]["train"]["lr"] == one["parameters"]["train.lr"] and "search" not in detail["settings"], f"{detail}")
        events = [event for job in jobs for event in cluster.items(f"{address}/jobs/{job['id']}/events") if event["type"] == "point_drawn"]
        expect(len(events) == 12 and any("from what" in event["text"] for event in events), f"{len(events)} draws")
        folder = cluster.folder / "results"
        subprocess.run([BIN / "fathom", "--state", cluster.state, "collect", sweep, "--out", folder], check=True, timeout=120,
                       capture_output=True)
        table = (folder / "jobs.csv").read_text().splitlines()
        expect("param.train.lr" in table[0] and "param.adapter.config" in table[0], table[0])
        label = f"config={one['parameters']['adapter.config']},lr={json.dumps(one['parameters']['train.lr'])}"
        expect((folder / "adapters/a/standard" / label).is_dir(), f"no folder {label}: {sorted(folder.glob('adapters/a/standard/*'))}")
        text = replay(cluster.state, sweep, 0)
        expect(text.startswith("identical: "), text)


def sets_are_chosen_by_results_and_stand_in_the_tables():
    with Cluster(environment={"FATHOM_NOOP_MS": "20"}) as cluster:
        cluster.start_coordinator()
        cluster.start_worker()
        text = noop_sweep.sweep("transfer", tasks=("a", "b", "c"), seeds=2, epochs=3, stages=False)
        text += "  fusion: {needs: {from: adapter, where: {drop: standard}}, sets: {greedy: 2, budget: 1}, targets: [b]}\n"
        text += "  evaluate: {from: fusion}\n"
        file = cluster.folder / "transfer.yaml"
        file.write_text(text)
        plan = subprocess.run([BIN / "fathom", "--state", cluster.state, "plan", file], capture_output=True, text=True, timeout=60).stdout
        expect("fusion.greedy" in plan and "fusions on a budget" in plan, plan)
        sweep = cluster.submit(text)["id"]
        address = f"/api/v1/sweeps/{sweep}"
        jobs_of = lambda stage: [job for job in cluster.items(address + "/jobs") if job["stage"] == stage]
        expect(all(job["set"] == "greedy-2" for job in jobs_of("fusion")), "a set was known before anything ran")
        wait_until("one was tried", lambda: any(job["state"] == "succeeded" for job in jobs_of("fusion.greedy")), 60)
        cluster.kill("coordinator")
        cluster.start_coordinator()
        wait_until("it ends", lambda: cluster.api("GET", address)["state"] == "succeeded", 120)
        tried = jobs_of("fusion.greedy")
        expect(len(tried) == 4 and {job["set"] for job in tried} == {"a+b", "b+c"} and all(job["epoch"] == 1 for job in tried), f"{tried}")
        value = {}
        for job in tried:
            value[job["set"]] = value.get(job["set"], 0) + cluster.api("GET", f"{address}/jobs/{job['id']}")["result"]["objective"]
        best = max(value, key=value.get)
        for stage in ("fusion", "evaluate"):
            jobs = jobs_of(stage)
            expect(len(jobs) == 2 and {job["set"] for job in jobs} == {best}, f"{stage}: {jobs}, and {value}")
        one = jobs_of("fusion")[0]
        detail = cluster.api("GET", f"{address}/jobs/{one['id']}")
        expect(detail["settings"]["fusion"]["set"] == best.split("+") and [need["name"] for need in detail["needs"]] == best.split("+"), f"{detail}")
        expect(all(need["chosen"] for need in detail["needs"]), f"{detail['needs']}")
        events = [event["text"] for event in cluster.items(f"{address}/jobs/{one['id']}/events") if event["type"] == "set_chosen"]
        expect(len(events) == 1 and events[0].startswith("set chosen: b, then " + best.replace("b", "").strip("+")), f"{events}")
        folder = cluster.folder / "results"
        subprocess.run([BIN / "fathom", "--state", cluster.state, "collect", sweep, "--out", folder], check=True, timeout=120, capture_output=True)
        rows = [line for line in (folder / "results.csv").read_text().splitlines() if ",evaluate," in line]
        expect(rows and all(f",{best}," in row for row in rows), f"{rows}")
        expect(replay(cluster.state, sweep, 0).startswith("identical: "), "the choice is another one on replay")


def tpe_and_random_run_on_the_same_curves():
    with Cluster() as cluster:
        sweep, curves = cluster.folder / "s.yaml", cluster.folder / "curves.json"
        sweep.write_text(drawing("made-up", seeds=1).replace("trials: 12", "trials: 40"))
        curves.write_text(json.dumps({"epoch_seconds": 10, "synthetic": {"seed": 1, "noise": 0.001, "best": {"lr": 3e-5, "config": "par_bn"}}}))
        best = {}
        for sampler in ("tpe", "random"):
            override = "search={sampler: " + sampler + ", trials: 40}"
            done = subprocess.run([BIN / "fathom", "simulate", sweep, "--curves", curves, "--slots", "2", "--json", "--set", override],
                                  capture_output=True, text=True, timeout=60)
            expect(done.returncode == 0, done.stdout + done.stderr)
            best[sampler] = next(group for group in json.loads(done.stdout)["groups"] if "adapter" in group["group"])["best"]
        expect(best["tpe"]["value"] > best["random"]["value"], f"{best}")
        expect(best["tpe"]["parameters"]["adapter.config"] == "par_bn", f"{best}")


def a_sweep_file_runs_on_made_up_curves():
    with Cluster() as cluster:
        sweep, curves = cluster.folder / "s.yaml", cluster.folder / "curves.json"
        sweep.write_text(stopping("made-up"))
        curves.write_text(json.dumps({"epoch_seconds": 10, "synthetic": {"seed": 1, "noise": 0.01}}))
        command = [BIN / "fathom", "simulate", sweep, "--curves", curves, "--slots", "4"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        expect(done.returncode == 0 and "% saved" in done.stdout and "regret" in done.stdout, done.stdout + done.stderr)
        first = json.loads(subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=60, check=True).stdout)
        full = json.loads(subprocess.run([*command, "--json", "--set", "stages.adapter.stop.method=median", "--set",
                                          "stages.adapter.stop.eta=3"], capture_output=True, text=True, timeout=60).stdout or "{}")
        expect(first["run"]["epochs"] < first["full"]["epochs"] and first["run"]["states"]["stopped"] > 0, f"{first}")
        expect(full == {}, "eta belongs to asha, and median took it")
        sweep.write_text("version: 1\nnaem: x\n")
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        expect(done.returncode == 1 and "did you mean 'name'" in done.stderr, done.stderr)


if __name__ == "__main__":
    raise SystemExit(run_tests([a_sweep_that_was_killed_in_between_is_replayed_identically, points_are_drawn_once_while_a_sweep_runs_and_stand_in_its_tables,
                                sets_are_chosen_by_results_and_stand_in_the_tables,
                                members_of_a_population_are_cloned_and_that_is_replayed_identically,
                                tpe_and_random_run_on_the_same_curves, a_sweep_file_runs_on_made_up_curves]))
