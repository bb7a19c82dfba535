#!/usr/bin/env python3
"""Results that are taken: an equal sweep trains nothing, also after a kill of the coordinator; --no-cache and pin."""
import json
import subprocess
import sys

import noop_sweep
from harness import BIN, Cluster, expect, run_tests, wait_until


def fathom(cluster, *arguments, code=0):
    command = [str(BIN / "fathom"), "--state", str(cluster.state), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=cluster.environment)
    expect(done.returncode == code, f"{' '.join(command[3:])}: exit code {done.returncode}, not {code}: {done.stdout}{done.stderr}")
    return done.stdout if code == 0 else done.stderr


def sweep_of(cluster, sweep):
    return cluster.api("GET", f"/api/v1/sweeps/{sweep}")


def ended(cluster, sweep):
    return wait_until(f"{sweep} ends", lambda: sweep_of(cluster, sweep)["state"] != "running", 120) and sweep_of(cluster, sweep)


def trained(effects):
    return sum(line.startswith("finish") for line in effects.read_text().splitlines())


def an_equal_sweep_trains_nothing_also_after_a_kill():
    with Cluster(environment={"FATHOM_NOOP_MS": "100"}) as cluster:
        effects = cluster.folder / "effects"  # what trainers really did
        cluster.environment["FATHOM_NOOP_EFFECTS"] = str(effects)
        text = noop_sweep.sweep("first")
        file = cluster.folder / "first.yaml"
        file.write_text(text)
        told = json.loads(fathom(cluster, "plan", file, "--json"))
        expect(told["cache"]["known"] is None and told["cache"]["why"], f"a plan without a coordinator knows what is cached: {told['cache']}")
        cluster.start_coordinator()
        cluster.start_worker()
        expect(json.loads(fathom(cluster, "plan", file, "--json"))["cache"]["known"] == 0, "a plan knows results that nobody made")
        first = cluster.submit(text)["id"]
        jobs = ended(cluster, first)["jobs"]
        expect(trained(effects) == jobs, f"{trained(effects)} trainings of {jobs} jobs")
        cluster.kill("coordinator")
        cluster.start_coordinator()
        expect(f"{jobs} of {jobs} jobs have a result already" in fathom(cluster, "plan", file), "plan does not say what is cached")
        second = cluster.submit(text)["id"]
        told = ended(cluster, second)
        expect(told["state"] == "succeeded" and told["reused"] == jobs, f"{told}")
        expect(trained(effects) == jobs, f"{trained(effects) - jobs} jobs were trained again")

        rows = {key: cluster.items(f"/api/v1/sweeps/{key}/results") for key in (first, second)}
        expect(len(rows[first]) == len(rows[second]) > 0, "the second sweep has other results")
        for a, b in zip(rows[first], rows[second]):
            expect(not a["cached"] and b["cached"] and all(a[k] == b[k] for k in ("job", "value", "sha256", "epoch", "device")), f"{a}\n{b}")
        listed = cluster.items(f"/api/v1/sweeps/{second}/jobs")
        expect(all(job["cached"] and job["source"] == first for job in listed), f"{listed}")
        # One of each task began, to say which model and data there are.
        expect(sum(job["attempts"] for job in listed) == 2, f"{[job['attempts'] for job in listed]}")
        job = next(job for job in listed if job["attempts"] == 0)
        detail = cluster.api("GET", f"/api/v1/sweeps/{second}/jobs/{job['id']}")
        expect(detail["files"] and "result of job" in detail["explain"], f"{detail}")
        expect(cluster.api("GET", f"/api/v1/sweeps/{second}/jobs/{job['id']}/metrics")["series"], "no curves of the source")
        expect(f"in sweep {first}" in fathom(cluster, "show", second, job["id"]), "show does not say where the result is from")
        expect(f"{jobs} reused" in fathom(cluster, "show", second), "show does not count what was reused")
        expect("identical" in fathom(cluster, "replay", second), "the log with results that were taken does not replay")
        _, metrics = cluster.request("GET", "/metrics")
        expect(f"fathom_results_reused_total {jobs}" in metrics.decode(), "/metrics does not count what was reused")
        row = next(line.split() for line in fathom(cluster, "list").splitlines() if line.split()[:1] == [second])
        expect(row[2:4] == [str(jobs), str(jobs)], f"list does not count what was reused: {row}")
        fathom(cluster, "collect", second, "--out", cluster.folder / "out", "--curves")
        # Curves of what was taken over are those of its source.
        curves = (cluster.folder / "out" / "curves.csv").read_text().splitlines()
        expect(curves[0] == "job,name,depth,step,value" and job["id"] in {line.split(",")[0] for line in curves[1:]} <= {one["id"] for one in listed},
               f"curves.csv: {curves[:5]}")
        told = cluster.api("GET", f"/api/v1/sweeps/{second}/jobs/{job['id']}/metrics?max=100000")["series"]
        expect(sum(line.startswith(job["id"] + ",") for line in curves) == sum(len(one["points"]) for one in told), "points are missing")
        tables = [(cluster.folder / "out" / name).read_text() for name in ("results.csv", "jobs.csv")]
        expect(all(",true," in line for table in tables for line in table.splitlines()[1:]), "a table does not say cached")

        # What is pinned is known by it; what may not be taken is trained.
        expect("is pinned" in fathom(cluster, "pin", second, job["id"][:8]), "pin says nothing")
        expect(cluster.api("GET", f"/api/v1/sweeps/{first}/jobs/{job['id']}")["pinned"], "a pin of what was taken is not the source's")
        expect("is not pinned" in fathom(cluster, "unpin", first, job["id"]), "unpin says nothing")
        file = cluster.folder / "again.yaml"
        file.write_text(noop_sweep.sweep("again", stages=False))
        again = json.loads(fathom(cluster, "submit", file, "--no-cache", "--json"))["id"]
        told = ended(cluster, again)
        expect(told["reused"] == 0 and trained(effects) == jobs + told["jobs"], f"{told}")


def two_equal_sweeps_share_the_work():
    with Cluster(environment={"FATHOM_NOOP_MS": "40"}) as cluster:
        effects = cluster.folder / "effects"
        cluster.environment["FATHOM_NOOP_EFFECTS"] = str(effects)
        cluster.start_coordinator()
        cluster.start_worker()
        names = [cluster.submit(noop_sweep.sweep("twins"))["id"] for _ in range(2)]
        told = [ended(cluster, name) for name in names]
        expect(all(one["state"] == "succeeded" for one in told), f"{told}")
        jobs = told[0]["jobs"]
        expect(trained(effects) == jobs, f"{trained(effects)} trainings of {jobs} different jobs")
        expect(sum(one["reused"] for one in told) == jobs, f"{[one['reused'] for one in told]} reused of {jobs}")


def a_fork_trains_what_is_new():
    with Cluster(environment={"FATHOM_NOOP_MS": "5"}) as cluster:
        effects = cluster.folder / "effects"
        cluster.environment["FATHOM_NOOP_EFFECTS"] = str(effects)
        cluster.start_coordinator()
        cluster.start_worker()
        file = cluster.folder / "base.yaml"
        file.write_text(noop_sweep.sweep("base", seeds=1, stages=False))
        base = json.loads(fathom(cluster, "submit", file, "--set", "seeds=[4]", "--json"))["id"]
        jobs = ended(cluster, base)["jobs"]
        expect("more seeds" in fathom(cluster, "extend", "--help") and "nothing to extend" in fathom(cluster, "extend", base, code=1), "extend")
        more = json.loads(fathom(cluster, "extend", base, "--seeds", "[4, 5]", "--json"))["id"]
        told = ended(cluster, more)
        expect(told["jobs"] == 2 * jobs and told["reused"] == jobs and more == f"{base}-2", f"{told}")
        expect(trained(effects) == 2 * jobs, f"{trained(effects)} trainings")
        # What a stage says for itself is extended there.
        own = noop_sweep.sweep("own", seeds=1, rates=("5e-3",), stages=False).replace("seeds: [1]\n", "").replace("adapter: {", "adapter: {seeds: [1], ")
        stage = cluster.submit(own)["id"]
        ended(cluster, stage)
        told = ended(cluster, json.loads(fathom(cluster, "extend", stage, "--seeds", "[1, 2]", "--json"))["id"])
        expect(told["jobs"] == 8 and told["reused"] == 4, f"{told}")
        other = json.loads(fathom(cluster, "fork", base, "--set", "train.batch=16", "--name", "other", "--json"))["id"]
        told = ended(cluster, other)
        expect(other == "other" and told["jobs"] == jobs and told["reused"] == 0, f"{told}")
        expect("mistakes" in fathom(cluster, "fork", base, "--set", "train.batch=none", code=1), "a fork with a mistake was sent")


def more_samples_and_trials_train_what_is_new():
    with Cluster(environment={"FATHOM_NOOP_MS": "5"}) as cluster:
        effects = cluster.folder / "effects"
        cluster.environment["FATHOM_NOOP_EFFECTS"] = str(effects)
        cluster.start_coordinator()
        cluster.start_worker()
        listed = "lr: {values: [1e-3, 3e-4]}"
        text = noop_sweep.sweep("samples", seeds=1, stages=False)
        expect(listed in text, text)
        base = cluster.submit(text.replace(listed, "lr: {min: 1e-4, max: 1e-2, scale: log, samples: 3}"))["id"]
        jobs = ended(cluster, base)["jobs"]
        # Five points have the three among them: both ends, and the middle of the scale.
        more = json.loads(fathom(cluster, "extend", base, "--samples", "lr=5", "--json"))["id"]
        told = ended(cluster, more)
        expect(told["jobs"] == jobs // 3 * 5 and told["reused"] == jobs, f"{told}")
        expect(trained(effects) == told["jobs"], f"{trained(effects)} trainings of {told['jobs']} different jobs")
        expect("PARAMETER=N" in fathom(cluster, "extend", base, "--samples", "lr", code=1), "samples of nothing")
        expect("has no search.trials" in fathom(cluster, "extend", base, "--trials", "9", code=1), "a grid was given trials")

        before = trained(effects)
        drawn = text.replace("name: samples", "name: trials").replace(listed, "lr: {min: 1e-4, max: 1e-2, scale: log}")
        base = cluster.submit(drawn + "search: {sampler: random, trials: 2}\n")["id"]
        jobs = ended(cluster, base)["jobs"]
        more = json.loads(fathom(cluster, "extend", base, "--trials", "5", "--json"))["id"]
        told = ended(cluster, more)
        expect(told["jobs"] == jobs // 2 * 5 and told["reused"] == jobs, f"{told}")
        expect(trained(effects) == before + told["jobs"], f"{trained(effects) - before} trainings of {told['jobs']} different jobs")
        watched = fathom(cluster, "watch", more)
        expect(f"{jobs} reused" in watched, f"watch does not count what was reused: {watched}")


if __name__ == "__main__":
    sys.exit(run_tests([an_equal_sweep_trains_nothing_also_after_a_kill, a_fork_trains_what_is_new, more_samples_and_trials_train_what_is_new, two_equal_sweeps_share_the_work]))
