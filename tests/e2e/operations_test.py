#!/usr/bin/env python3
"""Operations on sweeps that run, with the commands that people type: pause, resume, set; a killed coordinator remembers them."""
import json
import subprocess
import sys

import noop_sweep
from harness import BIN, Cluster, expect, run_tests, wait_until


def fathom(cluster, *arguments, code=0):
    command = [str(BIN / "fathom"), "--state", str(cluster.state), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=cluster.environment)
    expect(done.returncode == code, f"{' '.join(command[3:])}: exit code {done.returncode}, not {code}: {done.stdout}{done.stderr}")
    return done.stdout if code == 0 else done.stderr


def a_paused_sweep_stands_still_and_others_go_on():
    with Cluster(devices="cpu:1,cpu:1", slots=1, environment={"FATHOM_NOOP_MS": "30"}) as cluster:
        cluster.start_coordinator()
        cluster.start_worker()
        first = cluster.submit(noop_sweep.sweep("first"))["id"]

        def counts(sweep=first):
            return cluster.api("GET", f"/api/v1/sweeps/{sweep}")["counts"]

        wait_until("a job ends", lambda: counts().get("succeeded", 0) > 0)
        expect("first is paused" in fathom(cluster, "pause", first), "pause does not say what holds now")
        fathom(cluster, "pause", first)
        wait_until("what runs ends", lambda: not any(counts().get(s) for s in ("leased", "running")))
        before = counts()
        cluster.kill("coordinator")
        cluster.start_coordinator()
        other = cluster.submit(noop_sweep.sweep("other", tasks=("a",), rates=("5e-3",), seeds=1, stages=False))["id"]
        wait_until("the other sweep ends", lambda: cluster.api("GET", f"/api/v1/sweeps/{other}")["state"] == "succeeded", 60)
        expect(counts() == before, f"a paused sweep went on: {before}, then {counts()}")
        waits = next(job for job in cluster.items(f"/api/v1/sweeps/{first}/jobs") if job["state"] == "ready")
        expect("fathom resume first" in fathom(cluster, "show", first, waits["id"]), "nobody says that it is paused")
        told = json.loads(fathom(cluster, "set", first, "--concurrency", 1, "--priority", 80, "--wall", "2h", "--json"))
        expect(told["limits"]["concurrency"] == 1 and told["limits"]["wall"] == 7200 and told["priority"] == 80, f"{told}")
        expect(told["state"] == "paused", "a change of limits resumed the sweep")
        expect("first is running" in fathom(cluster, "resume", first), "resume does not say what holds now")
        most = 0

        def ended():
            nonlocal most
            now = counts()
            most = max(most, now.get("leased", 0) + now.get("running", 0))
            return cluster.api("GET", f"/api/v1/sweeps/{first}")["state"] == "succeeded"

        wait_until("half of it ended", lambda: ended() or counts().get("succeeded", 0) > 24, 60)
        expect(most == 1, f"{most} jobs ran at once with a concurrency of 1")
        fathom(cluster, "set", first, "--concurrency", 0)
        wait_until("the sweep ends", ended, 120)
        expect(sum(counts().values()) == 48 and counts()["succeeded"] == 48, f"{counts()}")
        expect("identical" in fathom(cluster, "replay", first), "the log with pauses does not replay")
        expect("already ended" in fathom(cluster, "pause", first, code=1), "an ended sweep was paused")
        expect("--wall takes a time" in fathom(cluster, "set", first, "--wall", "soon", code=1), "a time that is none was taken")
        expect("nothing to change" in fathom(cluster, "set", first, code=1), "an empty change was sent")


def paused_now_a_sweep_gives_its_slots_back_and_goes_on_from_its_checkpoints():
    with Cluster(devices="cpu:1", slots=2, environment={"FATHOM_NOOP_MS": "300", "FATHOM_NOOP_CHECKPOINTS": "1"}) as cluster:
        cluster.environment["FATHOM_NOOP_EFFECTS"] = str(cluster.folder / "effects")
        cluster.start_coordinator()
        cluster.start_worker()
        sweep = cluster.submit(noop_sweep.sweep("first", tasks=("a",), seeds=1, stages=False, epochs=20))["id"]

        def show():
            return cluster.api("GET", f"/api/v1/sweeps/{sweep}")

        def active():
            return sum(show()["counts"].get(state, 0) for state in ("leased", "running", "stopping"))

        wait_until("two jobs have a checkpoint", lambda: sum(job["epoch"] >= 2 for job in cluster.items(f"/api/v1/sweeps/{sweep}/jobs")) == 2)
        fathom(cluster, "pause", sweep, "--now")
        wait_until("the slots are free", lambda: active() == 0, 5)
        expect(show()["state"] == "paused" and show()["counts"].get("ready") == 4, f"{show()}")
        other = cluster.submit(noop_sweep.sweep("other", tasks=("b",), seeds=1, stages=False, epochs=1))["id"]
        wait_until("another sweep has the slots", lambda: cluster.api("GET", f"/api/v1/sweeps/{other}")["state"] == "succeeded")
        fathom(cluster, "resume", sweep)
        wait_until("the sweep ends", lambda: show()["state"] == "succeeded", 90)
        resumed = [event["text"] for job in cluster.items(f"/api/v1/sweeps/{sweep}/jobs")
                   for event in cluster.items(f"/api/v1/sweeps/{sweep}/jobs/{job['id']}/events") if event["type"] == "job_started"]
        expect(len(resumed) == 6, f"{resumed}")
        expect("already ended" in fathom(cluster, "pause", sweep, "--now", code=1), "an ended sweep was paused")


def what_failed_runs_again_and_what_has_a_result_does_not():
    with Cluster(environment={"FATHOM_NOOP_MS": "600"}) as cluster:
        cluster.start_coordinator()
        cluster.start_worker()
        text = noop_sweep.sweep("walls", seeds=1, rates=("1e-3",), epochs=5)
        text = text.replace("  a: {data", "  a: {train: {epochs: 1}, data").replace("retry:", "limits: {job_wall: 2s}\nretry:")
        sweep = cluster.submit(text)["id"]

        def jobs():
            return {job["id"]: job for job in cluster.items(f"/api/v1/sweeps/{sweep}/jobs")}

        def state():
            return cluster.api("GET", f"/api/v1/sweeps/{sweep}")["state"]

        wait_until("the sweep fails", lambda: state() == "failed", 90)
        before = jobs()
        states = [job["state"] for job in before.values()]
        expect({"succeeded", "failed", "skipped"} == set(states), f"{states}")
        fathom(cluster, "set", sweep, "--job-wall", "none")
        key = {"Idempotency-Key": "once"}
        opened = cluster.api("POST", f"/api/v1/sweeps/{sweep}/retry", {}, key)["reopened"]
        expect(opened == sum(s in ("failed", "skipped") for s in states), f"{opened} of {states}")
        expect(cluster.api("POST", f"/api/v1/sweeps/{sweep}/retry", {}, key)["reopened"] == opened, "the key got another answer")
        cluster.kill("coordinator")
        cluster.start_coordinator()
        wait_until("the sweep succeeds", lambda: state() == "succeeded", 120)
        after = jobs()
        for one, job in after.items():
            expect(job["state"] == "succeeded", f"{one}: {job}")
            expect(job["generation"] == (1 if before[one]["state"] == "succeeded" else 2), f"{one}: {job}")
        done = next(iter(after))
        expect("never overwritten" in fathom(cluster, "rerun", sweep, done, code=1), "a result was given up")
        expect("0 jobs run again" in fathom(cluster, "retry", sweep, "--failed"), "something was retried that has a result")
        expect("identical" in fathom(cluster, "replay", sweep), "the log with a retry does not replay")


def a_cancelled_job_runs_again_with_what_was_skipped_for_its_sake():
    with Cluster(environment={"FATHOM_NOOP_MS": "100"}) as cluster:
        cluster.start_coordinator()
        sweep = cluster.submit(noop_sweep.sweep("again", seeds=1, rates=("1e-3",)))["id"]
        job = cluster.items(f"/api/v1/sweeps/{sweep}/jobs")[0]["id"]
        fathom(cluster, "cancel", sweep, job)
        cluster.start_worker()
        wait_until("the sweep ends", lambda: cluster.api("GET", f"/api/v1/sweeps/{sweep}")["state"] == "cancelled", 60)
        expect("jobs run again" in fathom(cluster, "rerun", sweep, job[:6]), "rerun says nothing")
        wait_until("the sweep succeeds", lambda: cluster.api("GET", f"/api/v1/sweeps/{sweep}")["state"] == "succeeded", 60)


def a_stopped_sweep_ends_with_what_runs():
    with Cluster(devices="cpu:1", slots=2, environment={"FATHOM_NOOP_MS": "300"}) as cluster:
        cluster.start_coordinator()
        cluster.start_worker()
        sweep = cluster.submit(noop_sweep.sweep("enough", epochs=3))["id"]
        show = lambda one=sweep: cluster.api("GET", f"/api/v1/sweeps/{one}")
        wait_until("two jobs run", lambda: show()["counts"].get("running", 0) == 2)
        expect("2 jobs go on to their ends" in fathom(cluster, "stop", sweep), "stop does not say what goes on")
        expect(show()["counts"].get("cancelled", 0) > 40 and show()["counts"].get("running", 0) == 2, f"{show()['counts']}")
        cluster.kill("coordinator")
        cluster.start_coordinator()
        wait_until("the sweep ends", lambda: show()["state"] == "cancelled", 60)
        expect(show()["counts"].get("succeeded", 0) >= 2 and not show()["counts"].get("ready"), f"{show()['counts']}")
        expect("identical" in fathom(cluster, "replay", sweep), "the log with a stop does not replay")
        other = cluster.submit(noop_sweep.sweep("at-once", epochs=50))["id"]
        wait_until("two jobs run", lambda: show(other)["counts"].get("running", 0) == 2)
        expect("2 jobs are being ended" in fathom(cluster, "stop", other, "--now"), "stop --now does not say what is ended")
        wait_until("the other sweep ends", lambda: show(other)["state"] == "cancelled", 20)
        expect(not show(other)["counts"].get("succeeded"), f"{show(other)['counts']}")
        status, _ = cluster.request("POST", f"/api/v1/sweeps/{other}/stop", {"now": 1})[:2]
        expect(status == 400, f"a body that is none was taken: {status}")


if __name__ == "__main__":
    sys.exit(run_tests([a_paused_sweep_stands_still_and_others_go_on,
                        paused_now_a_sweep_gives_its_slots_back_and_goes_on_from_its_checkpoints,
                        what_failed_runs_again_and_what_has_a_result_does_not,
                        a_cancelled_job_runs_again_with_what_was_skipped_for_its_sake,
                        a_stopped_sweep_ends_with_what_runs]))
