"""A worker that is drained, alone, cut off, on a full disk or wrongly started: fault table rows 5, 8, 10 to 12, 17, 31, 34."""
import collections
import contextlib
import random
import shutil
import subprocess
import sys
import time

import noop_sweep
from harness import BIN, Cluster, Skip, expect, run_tests, wait_until
from tcp_proxy import Proxy

LONG = {"FATHOM_NOOP_MS": "150", "FATHOM_NOOP_CHECKPOINTS": "1"}
ONE_JOB = noop_sweep.sweep("one", tasks=("a",), rates=("1e-3",), seeds=1, epochs=20, stages=False).replace(", specialized: [2]", "")


def cluster_with(environment=None, **options):
    cluster = Cluster(environment=environment or LONG, devices="cpu:1", **options)
    cluster.environment["FATHOM_NOOP_EFFECTS"] = str(cluster.folder / "effects")
    return cluster


def effects(cluster):
    path = cluster.folder / "effects"
    return [tuple(line.split()) for line in path.read_text().splitlines()] if path.exists() else []


def the_job(cluster, sweep="one"):
    return cluster.items(f"/api/v1/sweeps/{sweep}/jobs")[0]


def wait_epoch(cluster, epoch):
    wait_until(f"epoch {epoch}", lambda: the_job(cluster)["epoch"] >= epoch)


def wait_success(cluster, seconds=30):
    wait_until("the job succeeds", lambda: the_job(cluster)["state"] == "succeeded", seconds)
    return cluster.api("GET", f"/api/v1/sweeps/one/jobs/{the_job(cluster)['id']}")


def sigterm_hands_the_job_to_another_worker_which_resumes_it():
    with cluster_with() as cluster:
        cluster.start_coordinator()
        cluster.start_worker("first")
        cluster.submit(ONE_JOB)
        wait_epoch(cluster, 3)
        cluster.start_worker("second")
        wait_until("both joined", lambda: len(cluster.items("/api/v1/workers")) == 2)
        began = time.monotonic()
        expect(cluster.terminate("first") == 0, "the drained worker did not exit with 0")
        expect(time.monotonic() - began < 10, "draining took longer than ten seconds")
        shutil.rmtree(cluster.folder / "first-state")  # nothing of it is needed
        job = wait_success(cluster)
        expect(len(job["attempts"]) == 2, f"attempts {job['attempts']}")
        expect(job["attempts"][1]["resumed_epoch"] >= 3, f"it resumed from epoch {job['attempts'][1]['resumed_epoch']}")
        expect(job["attempts"][1]["worker"] == "second", "it did not go to the other worker")
        waited = job["attempts"][1]["granted"] - job["attempts"][0]["ended"]
        expect(job["attempts"][0]["outcome"] != "expired" and waited < 1000, f"it was not handed back: {job['attempts']}")


def a_killed_workers_job_resumes_elsewhere_without_its_state():
    with cluster_with(lease_ms=1000, heartbeat_ms=250) as cluster:
        cluster.start_coordinator()
        cluster.start_worker("first")
        cluster.submit(ONE_JOB)
        wait_epoch(cluster, 4)
        cluster.kill("first")
        shutil.rmtree(cluster.folder / "first-state")
        cluster.start_worker("second")
        job = wait_success(cluster)
        expect(job["attempts"][-1]["resumed_epoch"] >= 3, f"resumed from {job['attempts'][-1]['resumed_epoch']}")
        whole, steps = [16 * epoch for epoch in range(1, 21)], []

        def complete():
            series = cluster.api("GET", f"/api/v1/sweeps/one/jobs/{job['id']}/metrics?name=eval/accuracy")["series"]
            steps[:] = [point[0] for point in series[0]["points"]]
            return steps == whole

        # Points have a store of their own, and a success may be seen before the last of them.
        try:
            wait_until("the whole curve", complete, 5)
        except AssertionError:
            expect(False, f"the curve has steps {steps}")


def a_coordinator_that_is_down_longer_than_the_lease_costs_nothing():
    with cluster_with(lease_ms=1000, heartbeat_ms=250) as cluster:
        cluster.start_coordinator()
        cluster.start_worker()
        cluster.submit(ONE_JOB)
        wait_epoch(cluster, 1)
        cluster.kill("coordinator")
        time.sleep(2.0)  # two leases
        cluster.start_coordinator()
        job = wait_success(cluster)
        expect(effects(cluster) == [("start", "1", "1", "1"), ("finish", "1", "1", "1")], f"the job was disturbed: {effects(cluster)}")
        expect(len(job["attempts"]) == 1, f"attempts {job['attempts']}")


def a_job_that_ends_while_the_coordinator_is_down_is_told_from_the_spool():
    with cluster_with({"FATHOM_NOOP_MS": "20"}) as cluster:
        cluster.start_coordinator()
        cluster.start_worker()
        cluster.submit(ONE_JOB)
        wait_until("it runs", lambda: effects(cluster))
        cluster.kill("coordinator")
        wait_until("it ends", lambda: len(effects(cluster)) == 2)
        cluster.start_coordinator()
        wait_success(cluster)
        expect(len(effects(cluster)) == 2, f"it ran again: {effects(cluster)}")


def a_silent_partition_past_the_lease_has_one_winner():
    with cluster_with() as cluster:
        cluster.start_coordinator()
        proxy = Proxy(cluster.port)
        direct, cluster.port = cluster.port, proxy.port
        cluster.start_worker("cut")
        cluster.port = direct
        try:
            cluster.submit(ONE_JOB)
            wait_epoch(cluster, 2)
            proxy.freeze()
            cluster.start_worker("other")
            wait_until("a second attempt begins", lambda: sum(line[0] == "start" for line in effects(cluster)) == 2)
            proxy.thaw()
            job = wait_success(cluster)
            expect([a["worker"] for a in job["attempts"]] == ["cut", "other"], f"attempts {job['attempts']}")
            expect(job["attempt"] == 2, "the fenced attempt won")
            wait_until("the cut worker is back", lambda: all(w["state"] == "ready" for w in cluster.items("/api/v1/workers")))
            counts = collections.Counter(line for line in effects(cluster) if line[0] == "finish")
            expect(counts == {("finish", "1", "1", "2"): 1}, f"finished: {counts}")
        finally:
            proxy.close()


def a_line_that_is_dead_one_way_is_replaced_without_a_second_attempt():
    with cluster_with(lease_ms=4000, heartbeat_ms=250) as cluster:
        cluster.start_coordinator()
        proxy = Proxy(cluster.port)
        direct, cluster.port = cluster.port, proxy.port
        cluster.start_worker("worker")
        cluster.port = direct
        try:
            cluster.submit(ONE_JOB)
            wait_epoch(cluster, 1)
            proxy.freeze(up=False, down=True)  # heartbeats pass, their answers do not
            wait_until("it notices", lambda: "no answer to heartbeats" in cluster.log_tail("worker", 50), 5)
            proxy.thaw()
            wait_success(cluster)
            expect(len(effects(cluster)) == 2, f"a second attempt: {effects(cluster)}")
        finally:
            proxy.close()


def a_crashing_trainer_costs_attempts_not_the_sweep():
    with cluster_with() as cluster:
        cluster.start_coordinator()
        cluster.start_worker()
        cluster.submit(ONE_JOB)
        wait_epoch(cluster, 2)
        cluster.kill_trainer(random.Random(1))
        job = wait_success(cluster)
        expect(job["attempts"][0]["outcome"] == "backed_off" or len(job["attempts"]) == 2, f"attempts {job['attempts']}")
        expect("signal 9" in job["attempts"][0]["text"], f"the reason is not told: {job['attempts'][0]}")
        expect(job["attempts"][1]["resumed_epoch"] >= 1, "it did not resume")


@contextlib.contextmanager
def small_disk(folder):
    """A file system of 256 KiB at `folder`."""
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], capture_output=True, text=True)
    if done.returncode:
        raise Skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(path):
    with contextlib.suppress(OSError), open(path, "wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


def a_full_disk_fails_the_job_with_a_clear_error_and_the_worker_serves_on():
    with cluster_with() as cluster, small_disk(cluster.folder / "worker-state") as disk:
        cluster.start_coordinator()
        cluster.start_worker()
        cluster.submit(ONE_JOB.replace("retry: {max: 50}", "retry: {max: 0}"))
        wait_epoch(cluster, 2)
        fill(disk / "filler")
        wait_until("the job ends", lambda: the_job(cluster)["state"] == "failed")
        expect(the_job(cluster)["cause"].startswith("disk: "), f"its cause: {the_job(cluster)['cause']}")
        expect("No space left" in the_job(cluster)["cause"], f"its cause: {the_job(cluster)['cause']}")
        cluster.alive("worker")
        wait_until("the worker says it", lambda: any("free" in note for note in cluster.items("/api/v1/workers")[0]["notes"]))
        cluster.submit(noop_sweep.sweep("two", tasks=("a",), rates=("1e-4",), seeds=1, epochs=1, stages=False))
        time.sleep(1)
        counts = cluster.api("GET", "/api/v1/sweeps/two")["counts"]
        expect(list(counts) == ["ready"], f"no job while there is no room: {counts}")
        (disk / "filler").unlink()
        wait_until("the next sweep succeeds", lambda: cluster.api("GET", "/api/v1/sweeps/two")["state"] == "succeeded")
        expect(cluster.items("/api/v1/workers")[0]["notes"] == [], "nothing more is said")
        cluster.end("worker")


def run_worker(cluster, *arguments):
    done = subprocess.run([BIN / "fathom-worker", *map(str, arguments)], capture_output=True, text=True, timeout=20,
                          stdin=subprocess.DEVNULL, env=cluster.environment)
    return done.returncode, done.stderr


def wrong_starts_end_with_one_sentence_and_their_exit_code():
    with cluster_with() as cluster:
        cluster.start_coordinator()
        cluster.start_worker()
        wait_until("it joined", lambda: cluster.items("/api/v1/workers"))
        good = {"--coordinator": f"127.0.0.1:{cluster.port}", "--join-token": cluster.state / "join-token", "--trainer": BIN / "noop_trainer",
                "--root": cluster.folder, "--state": cluster.folder / "fresh"}
        token = (cluster.state / "join-token").read_text()
        (cluster.folder / "bad-token").write_text(token.strip()[:-4] + "0000\n")
        (cluster.folder / "other").mkdir()
        (cluster.folder / "other" / "VERSION").write_text("fathom-worker 99\n")
        (cluster.folder / "bad.yaml").write_text("slots: many\nslotz: 3\n")
        cases = [
            (2, {"--nonsense": "1"}, "--nonsense"),
            (2, {"--devices": "gpu"}, "cpu:THREADS"),
            (2, {"--slots": "0"}, "slots"),
            (2, {"--join-token": ""}, "--join-token"),
            (2, {"--config": cluster.folder / "bad.yaml"}, "bad.yaml:1"),
            (1, {"--join-token": cluster.folder / "absent"}, "absent"),
            (1, {"--trainer": "/absent/trainer"}, "/absent/trainer"),
            (1, {"--root": "/absent/folder"}, "/absent/folder"),
            (1, {"--state": cluster.folder / "worker-state"}, "another fathom-worker"),
            (1, {"--state": cluster.folder / "other"}, "another version"),
            (1, {"--join-token": cluster.folder / "bad-token"}, "join token"),
        ]
        for code, changed, words in cases:
            got, said = run_worker(cluster, *[text for pair in {**good, **changed}.items() for text in pair])
            shown = str(changed)
            expect(got == code, f"{shown}: exit code {got}, {code} was expected: {said}")
            expect(words in said, f"{shown}: '{words}' is not in: {said}")


if __name__ == "__main__":
    sys.exit(run_tests([sigterm_hands_the_job_to_another_worker_which_resumes_it,
                        a_killed_workers_job_resumes_elsewhere_without_its_state,
                        a_coordinator_that_is_down_longer_than_the_lease_costs_nothing,
                        a_job_that_ends_while_the_coordinator_is_down_is_told_from_the_spool,
                        a_silent_partition_past_the_lease_has_one_winner,
                        a_line_that_is_dead_one_way_is_replaced_without_a_second_attempt,
                        a_crashing_trainer_costs_attempts_not_the_sweep,
                        a_full_disk_fails_the_job_with_a_clear_error_and_the_worker_serves_on,
                        wrong_starts_end_with_one_sentence_and_their_exit_code]))
