"""kill -9 of coordinator, worker and trainer while real jobs train: the sweep ends complete, no finished job runs again, each
result is stored once, and the final weights are those of an undisturbed run, bit for bit. Then: a job goes on from its
checkpoint on a second worker with a state folder of its own, after the first one's is deleted.

Usage: kill_train_test.py [SEED [ROUNDS]]; the seed is printed, the same seed gives the same order of kills."""
import collections
import random
import shutil
import sys
import tempfile
import time

import demo
from harness import BIN, ROOT, Cluster, Unreachable, expect, run_tests, wait_until

SWEEP = (ROOT / "configs" / "sweeps" / "kill.yaml").read_text()
ROWS = 200
KILLS = 4
END = 240  # seconds: far more than a disturbed run takes


def cluster_on(root, **options):
    return Cluster(trainer=BIN / "fathom-trainer", root=root, **options)


def state_of(cluster, sweep):
    try:
        return cluster.api("GET", f"/api/v1/sweeps/{sweep}")
    except Unreachable:
        return {"state": "unknown"}


def wait_for_end(cluster, sweep):
    wait_until("the sweep ends", lambda: state_of(cluster, sweep)["state"] in ("succeeded", "failed", "cancelled"), END, 0.2)
    ended = state_of(cluster, sweep)
    expect(ended["state"] == "succeeded", f"the sweep ended as {ended['state']}: {ended['counts']}")


def details(cluster, sweep):
    """Every job with its files and events, after checking that it ended once and was not started again afterwards."""
    found = {}
    for job in cluster.items(f"/api/v1/sweeps/{sweep}/jobs"):
        path = f"/api/v1/sweeps/{sweep}/jobs/{job['id']}"
        kinds = [event["type"] for event in cluster.items(f"{path}/events")]
        expect(kinds.count("job_finished") == 1, f"job {job['id']} finished {kinds.count('job_finished')} times")
        expect("lease_granted" not in kinds[kinds.index("job_finished"):], f"job {job['id']} was started again after its end: {kinds}")
        found[job["id"]] = cluster.api("GET", path)
    rows = collections.Counter((r["job"], r["depth"], r["split"], r["metric"]) for r in cluster.items(f"/api/v1/sweeps/{sweep}/results"))
    expect(rows and max(rows.values()) == 1, "a result is stored twice")
    expect({key[0] for key in rows} == set(found), "a job has no result")
    return found


def weights(jobs):
    """{(job, path): SHA-256} of every file with tensors."""
    return {(name, file["path"]): file["sha256"] for name, job in jobs.items() for file in job["files"]
            if file["path"].endswith((".safetensors", ".bin"))}


def undisturbed(root):
    with cluster_on(root) as cluster:
        cluster.start_coordinator()
        cluster.start_worker()
        began = time.monotonic()
        sweep = cluster.submit(SWEEP)["id"]
        wait_for_end(cluster, sweep)
        seconds = time.monotonic() - began
        found = weights(details(cluster, sweep))
        expect(len(found) >= 4 * 4, f"only {len(found)} files of weights")
        print(f"undisturbed: {seconds:.1f} s", flush=True)
        return found, seconds


def kill_something(cluster, dice, what):
    if what == "trainer":
        return cluster.kill_trainer(dice)
    cluster.kill(what)
    time.sleep(dice.uniform(0, 0.5))
    return cluster.start_coordinator(wait=False) if what == "coordinator" else cluster.start_worker()


def disturbed(root, wanted, seconds, seed):
    dice = random.Random(seed)
    with cluster_on(root) as cluster:
        cluster.start_coordinator()
        cluster.start_worker()
        began = time.monotonic()
        sweep = cluster.submit(SWEEP)["id"]
        order = ["trainer", "worker", "coordinator"] + [dice.choice(["trainer", "worker", "coordinator"]) for _ in range(KILLS - 3)]
        dice.shuffle(order)
        for what in order:
            time.sleep(dice.uniform(0.1, 1.6 * seconds / KILLS))
            kill_something(cluster, dice, what)
        wait_for_end(cluster, sweep)
        jobs = details(cluster, sweep)
        got = weights(jobs)
        attempts = sum(job["attempt"] for job in jobs.values())
        print(f"seed {seed}: kills {order}, {time.monotonic() - began:.1f} s, {attempts} attempts of {len(jobs)} jobs", flush=True)
        expect(got.keys() == wanted.keys(), f"other files: {sorted(got.keys() ^ wanted.keys())[:4]}")
        changed = [key for key in wanted if got[key] != wanted[key]]
        expect(not changed, f"weights differ from the undisturbed run: {changed[:4]}")


def on_a_second_worker(root, wanted):
    with cluster_on(root, slots=4, devices="cpu:1") as cluster:
        cluster.start_coordinator()
        cluster.start_worker("first")
        sweep = cluster.submit(SWEEP)["id"]
        path = f"/api/v1/sweeps/{sweep}/jobs"

        def one_has_a_checkpoint():
            for job in cluster.items(path):
                if job["kind"] == "adapter" and job["state"] == "running":
                    kinds = [event["type"] for event in cluster.items(f"{path}/{job['id']}/events")]
                    if "checkpoint_committed" in kinds:
                        return True
            return False

        wait_until("a running job has a checkpoint", one_has_a_checkpoint, 120)
        cluster.kill("first")
        shutil.rmtree(cluster.folder / "first-state")
        cluster.start_worker("second")
        wait_for_end(cluster, sweep)
        jobs = details(cluster, sweep)
        resumed = [a for j in jobs.values() for a in j["attempts"] if a["worker"] == "second" and a["resumed_epoch"]]
        expect(resumed, f"no job went on from a checkpoint: {[j['attempts'] for j in jobs.values()]}")
        changed = [key for key, value in weights(jobs).items() if wanted[key] != value]
        expect(not changed, f"weights differ from the undisturbed run: {changed[:4]}")


def main():
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.SystemRandom().randrange(1 << 30)
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    with tempfile.TemporaryDirectory(prefix="fathom-kill-") as folder:
        root = demo.prepare_root(folder, ROWS, 100)
        wanted, seconds = undisturbed(root)
        tests = []
        for number in range(seed, seed + rounds):
            def same_weights_after_kills(number=number):
                disturbed(root, wanted, seconds, number)

            same_weights_after_kills.__name__ += f"_seed_{number}"
            tests.append(same_weights_after_kills)

        def resumes_on_a_second_worker():
            on_a_second_worker(root, wanted)

        return run_tests([*tests, resumes_on_a_second_worker])


if __name__ == "__main__":
    sys.exit(main())
