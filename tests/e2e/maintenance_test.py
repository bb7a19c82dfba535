"""fathom-coordinator verify, export, import and repair, and fathom export: what is damaged is named, what is sound is kept,
and a log that lost its end goes on without ever taking what was given out in the lost part."""
import json
import shutil
import sqlite3
import subprocess
import time

import noop_sweep
from harness import BIN, Cluster, expect, run_tests, wait_until


def tool(state, *arguments, code=0):
    """One of fathom-coordinator's subcommands; its text, or with --json its object."""
    done = subprocess.run([BIN / "fathom-coordinator", *arguments, "--state", state], capture_output=True, text=True, timeout=60)
    expect(done.returncode == code, f"{arguments}: exit code {done.returncode}, not {code}: {done.stdout}{done.stderr}")
    return json.loads(done.stdout) if "--json" in arguments and done.stdout else done.stdout + done.stderr


def ended(cluster, sweep, seconds=60):
    return wait_until(f"{sweep} ends", lambda: cluster.api("GET", f"/api/v1/sweeps/{sweep}")["state"] == "succeeded", seconds)


def finish_a_sweep(cluster, name="first"):
    cluster.start_coordinator()
    cluster.start_worker()
    sweep = cluster.submit(noop_sweep.sweep(name))["id"]
    ended(cluster, sweep)
    return sweep


def stop(cluster):
    for name in ("worker", "coordinator"):
        expect(cluster.terminate(name) == 0, f"{name} did not end well")


def change_log(cluster, sql, *values):
    log = sqlite3.connect(cluster.state / "coordinator" / "events.db")
    with log:
        log.execute(sql, values)
    log.close()


def a_sound_folder_is_well_and_a_running_one_is_left_alone():
    with Cluster() as cluster:
        finish_a_sweep(cluster)
        expect("another coordinator is running" in tool(cluster.state, "verify", code=1), "a running coordinator is not noticed")
        stop(cluster)
        check = tool(cluster.state, "verify", "--json")
        expect(check["jobs"] == 48 and check["open_jobs"] == 0 and not check["problems"], f"{check}")
        expect(check["files"] > 0 and check["bytes"] > 0, f"no file was looked at: {check}")
        expect("nothing to repair" in tool(cluster.state, "repair", "--apply"), "a sound log was repaired")
        artifact = next(p for p in (cluster.state / "coordinator" / "artifacts").glob("??/*") if p.stat().st_size)
        artifact.chmod(0o600)
        data = bytearray(artifact.read_bytes())
        data[len(data) // 2] ^= 1
        artifact.write_bytes(data)
        expect(f"{artifact.name}: its content has changed" in tool(cluster.state, "verify", code=1), "a flipped bit is not noticed")
        artifact.unlink()
        expect(f"{artifact.name} of a finished job is missing" in tool(cluster.state, "verify", code=1), "a missing file is not noticed")


def an_export_of_a_running_coordinator_starts_another_one():
    with Cluster() as cluster, Cluster() as second:
        sweep = finish_a_sweep(cluster)
        file = cluster.folder / "log.jsonl"
        subprocess.run([BIN / "fathom", "--state", cluster.state, "export", file], check=True, stdout=subprocess.DEVNULL)
        stop(cluster)
        offline = cluster.folder / "offline.jsonl"
        tool(cluster.state, "export", str(offline))
        lines = file.read_text().splitlines()
        expect(offline.read_text().splitlines()[1:len(lines) - 1] == lines[1:-1], "the two exports differ in what both have")

        cut = cluster.folder / "cut.jsonl"
        cut.write_text("\n".join(lines[:-2]) + "\n")
        expect("cut off" in tool(second.state, "import", str(cut), code=1), "a cut export was taken")
        expect(not (second.state / "coordinator" / "events.db").exists(), "a cut export left a log behind")
        expect(f"{len(lines) - 2} events" in tool(second.state, "import", str(file)), "the number of events is not said")
        expect("already" in tool(second.state, "import", str(file), code=1), "an import overwrote a log")
        shutil.copytree(cluster.state / "coordinator" / "artifacts", second.state / "coordinator" / "artifacts", dirs_exist_ok=True)
        expect(not tool(second.state, "verify", "--json")["problems"], "the imported folder is not well")
        second.start_coordinator()
        second.start_worker()
        expect(second.api("GET", f"/api/v1/sweeps/{sweep}")["counts"]["succeeded"] == 48, "the sweep did not come along")
        ended(second, second.submit(noop_sweep.sweep("after", stages=False))["id"])
        stop(second)


def a_damaged_log_is_refused_and_repaired():
    with Cluster() as cluster:
        sweep = finish_a_sweep(cluster)
        stop(cluster)
        events = tool(cluster.state, "verify", "--json")["events"]
        bad = events // 2
        change_log(cluster, "UPDATE events SET bytes = CAST(bytes || 'x' AS BLOB) WHERE seq = ?", bad)
        process = cluster.start_coordinator(wait=False)
        expect(process.wait(20) == 1, "a coordinator starts on a damaged log")
        advice = cluster.log_tail("coordinator")
        expect(f"record {bad} does not match its checksum" in advice and "repair" in advice, f"the advice is: {advice}")

        plan = tool(cluster.state, "repair", "--json")
        expect(plan["kept"] == bad - 1 and not plan["applied"], f"{plan}")
        expect("does not match" in tool(cluster.state, "verify", code=1), "a repair that only plans changed the log")
        done = tool(cluster.state, "repair", "--apply", "--json")
        expect(done["kept"] == bad - 1 and done["set_aside"].endswith("events.db.damaged-1"), f"{done}")

        cluster.start_coordinator()
        cluster.start_worker("worker")  # with the spool and the leases of the lost time
        ended(cluster, sweep)
        jobs = cluster.items(f"/api/v1/sweeps/{sweep}/jobs")
        expect(len(jobs) == 48 and all(job["state"] == "succeeded" for job in jobs), "jobs of the kept part did not end well")
        stop(cluster)
        expect(not tool(cluster.state, "verify", "--json")["problems"], "the repaired folder is not well")


def snapshots(cluster):
    """Events after which there are snapshots, the newest first."""
    return sorted((int(p.name[9:]) for p in (cluster.state / "coordinator" / "snapshots").glob("snapshot-*")), reverse=True)


def a_start_takes_the_newest_snapshot_that_can_be_used():
    with Cluster(environment={"FATHOM_COORDINATOR_SNAPSHOT_EVERY": "40"}) as cluster:
        sweep = finish_a_sweep(cluster)
        wait_until("snapshots are made", lambda: len(snapshots(cluster)) == 2)
        time.sleep(1)  # a pause: the last one is made
        jobs = cluster.items(f"/api/v1/sweeps/{sweep}/jobs")

        def starts(from_event):
            cluster.start_coordinator()
            # It answers a moment before it says so.
            wait_until(f"a start from snapshot {from_event}", lambda: f"snapshot={from_event}" in [
                line for line in cluster.log_tail("coordinator", 50).splitlines() if "coordinator started" in line][-1], 5)
            expect(cluster.items(f"/api/v1/sweeps/{sweep}/jobs") == jobs, "the jobs are not what they were")

        cluster.kill("coordinator")
        newest, older = snapshots(cluster)
        starts(newest)
        expect(not stop_and_verify(cluster)["problems"], "a snapshot is not what the log gives")
        damaged = cluster.state / "coordinator" / "snapshots" / f"snapshot-{newest}"
        data = bytearray(damaged.read_bytes())
        data[len(data) // 2] ^= 4
        damaged.write_bytes(data)
        expect("does not match its checksum" in tool(cluster.state, "verify", code=1), "a damaged snapshot is not noticed")
        starts(older)
        cluster.kill("coordinator")
        shutil.rmtree(damaged.parent)
        starts(0)
        cluster.start_worker()
        ended(cluster, cluster.submit(noop_sweep.sweep("after", stages=False))["id"])
        stop(cluster)


def stop_and_verify(cluster):
    stop(cluster)
    return tool(cluster.state, "verify", "--json")


def a_log_that_was_put_back_is_refused_and_repaired():
    with Cluster(environment={"FATHOM_COORDINATOR_SNAPSHOT_EVERY": "40"}) as cluster:
        cluster.start_coordinator()
        expect(cluster.terminate("coordinator") == 0, "the coordinator did not end well")
        old = cluster.folder / "old.db"
        shutil.copy(cluster.state / "coordinator" / "events.db", old)
        sweep = finish_a_sweep(cluster)
        wait_until("a snapshot is made", lambda: snapshots(cluster))
        stop(cluster)
        for suffix in ("-wal", "-shm"):
            (cluster.state / "coordinator" / f"events.db{suffix}").unlink(missing_ok=True)
        shutil.copy(old, cluster.state / "coordinator" / "events.db")
        process = cluster.start_coordinator(wait=False)
        expect(process.wait(20) == 1, "a coordinator starts on a log that was put back")
        advice = cluster.log_tail("coordinator")
        expect("was put back or lost its end" in advice and "repair" in advice, f"the advice is: {advice}")
        expect("a snapshot has seen it" in tool(cluster.state, "verify", code=1), "verify does not say so")
        tool(cluster.state, "repair", "--apply")
        cluster.start_coordinator()
        expect(cluster.request("GET", f"/api/v1/sweeps/{sweep}")[0] == 404, "the lost sweep is there")
        expect(cluster.terminate("coordinator") == 0, "the coordinator did not end well")
        expect(not tool(cluster.state, "verify", "--json")["problems"], "the repaired folder is not well")


def a_lost_sweep_leaves_nothing_to_the_next_one():
    with Cluster() as cluster:
        finish_a_sweep(cluster)
        file = cluster.folder / "log.jsonl"
        subprocess.run([BIN / "fathom", "--state", cluster.state, "export", file], check=True, stdout=subprocess.DEVNULL)
        ended(cluster, cluster.submit(noop_sweep.sweep("lost", seeds=1, stages=False))["id"])
        stop(cluster)
        (cluster.state / "coordinator" / "events.db").write_bytes(b"no database at all " * 1000)
        expect("repair" in tool(cluster.state, "verify", code=1), "no advice for a file that is no log")
        tool(cluster.state, "repair", "--from", str(file), "--apply")
        cluster.start_coordinator()
        names = wait_until("the read model is made anew", lambda: [s["id"] for s in cluster.items("/api/v1/sweeps")])
        expect(names == ["first"], f"the sweeps are {names}")
        # The same job numbers, now of another sweep; no worker runs, so nothing may be there yet.
        cluster.submit(noop_sweep.sweep("new", seeds=1, stages=False))
        for job in cluster.items("/api/v1/sweeps/new/jobs"):
            points = cluster.api("GET", f"/api/v1/sweeps/new/jobs/{job['id']}/metrics")["series"]
            expect(not points, f"job {job['id']} has curves of a lost job: {points}")
            status, log = cluster.request("GET", f"/api/v1/sweeps/new/jobs/{job['id']}/log")
            expect(status == 200 and not log, f"job {job['id']} has the log of a lost job: {log[:100]!r}")
        cluster.start_worker("worker")
        ended(cluster, "new")
        stop(cluster)


if __name__ == "__main__":
    raise SystemExit(run_tests([a_sound_folder_is_well_and_a_running_one_is_left_alone, an_export_of_a_running_coordinator_starts_another_one,
                                a_damaged_log_is_refused_and_repaired, a_lost_sweep_leaves_nothing_to_the_next_one,
                                a_start_takes_the_newest_snapshot_that_can_be_used, a_log_that_was_put_back_is_refused_and_repaired]))
