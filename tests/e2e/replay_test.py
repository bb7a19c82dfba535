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
    raise SystemExit(run_tests([a_sweep_that_was_killed_in_between_is_replayed_identically, a_sweep_file_runs_on_made_up_curves]))
