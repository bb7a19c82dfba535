"""kill -9 of coordinator, worker and trainer at random moments of a sweep of 48 jobs: it ends complete all the same, what
was acknowledged is there, and nothing that was finished is done again. Side effects are counted outside of the programs:
noop_trainer appends a line for each job that it begins and ends.

Usage: kill_noop_test.py [SEED [ROUNDS]]; the seed is printed, the same seed gives the same order of kills."""
import collections
import json
import random
import sys
import threading
import time

import noop_sweep
from harness import Cluster, Failure, Unreachable, expect, run_tests, wait_until

KILLS = 14
ENDED_WELL = ("succeeded", "stopped")


class Effects:
    """What trainers really did, in the order they did it."""

    def __init__(self, path):
        self.path = path

    def lines(self):
        if not self.path.exists():
            return []
        return [line.split() for line in self.path.read_text().splitlines()]

    def starts(self):
        found = collections.defaultdict(list)
        for what, job, generation, attempt in self.lines():
            if what == "start":
                found[int(job)].append((int(generation), int(attempt)))
        return found


class Observer(threading.Thread):
    """Looks at the jobs all the while. For each that is seen finished it remembers how often it had been started by then."""

    def __init__(self, cluster, effects):
        super().__init__(daemon=True)
        self.cluster, self.effects = cluster, effects
        self.finished = {}  # job number: (starts, the job as it was shown)
        self.attempts = {}  # job number: the highest (generation, attempt) that was shown
        self.sweeps = []
        self.complaints = []
        self.ended = threading.Event()

    def run(self):
        while not self.ended.wait(0.1):
            for sweep in list(self.sweeps):
                try:
                    self.look(self.cluster.items(f"/api/v1/sweeps/{sweep}/jobs"))
                except (Unreachable, Failure, OSError, ValueError):
                    pass  # the coordinator is down; it is looked at again

    def look(self, jobs):
        starts = self.effects.starts()  # after the jobs: a start that is seen here and not there came before the end
        for job in jobs:
            number, attempt = job["number"], (job["generation"], job["attempt"])
            if attempt < self.attempts.get(number, (0, 0)):
                self.complaints.append(f"job {number} went back from attempt {self.attempts[number]} to {attempt}")
            self.attempts[number] = max(attempt, self.attempts.get(number, (0, 0)))
            if job["state"] in ENDED_WELL and number not in self.finished:
                self.finished[number] = (len(starts[number]), job)
            elif job["state"] not in ENDED_WELL and number in self.finished:
                self.complaints.append(f"job {number} was {self.finished[number][1]['state']} and is {job['state']}")

    def stop(self):
        self.ended.set()
        self.join()


def kill_something(cluster, dice):
    what = dice.choice(["coordinator", "worker", "trainer"])
    if what == "trainer":
        cluster.kill_trainer(dice)
    else:
        cluster.kill(what)
        time.sleep(dice.uniform(0, 0.4))
        if what == "coordinator":
            cluster.start_coordinator(wait=False)
        else:
            cluster.start_worker()
    return what


def tests_of(seed):
    dice = random.Random(seed)
    with Cluster(environment={"FATHOM_NOOP_MS": "60", "FATHOM_NOOP_CHECKPOINTS": "1"}) as cluster:
        effects = Effects(cluster.folder / "effects")
        cluster.environment["FATHOM_NOOP_EFFECTS"] = str(effects.path)
        cluster.start_coordinator()
        cluster.start_worker()
        main = cluster.submit(noop_sweep.sweep("main"))
        observer = Observer(cluster, effects)
        observer.sweeps.append(main["id"])
        observer.start()
        acknowledged = [main["id"]]
        killed = collections.Counter()
        began = time.monotonic()

        def submit_while_killing():
            for number in range(4):
                name = f"late-{number}"
                answer = cluster.submit_for_certain(noop_sweep.sweep(name, tasks=("a",), rates=(f"{number + 2}e-5",), seeds=1, stages=False), name)
                acknowledged.append(answer["id"])
                observer.sweeps.append(answer["id"])
                time.sleep(dice.uniform(0.2, 1))

        submitter = threading.Thread(target=submit_while_killing, daemon=True)
        submitter.start()
        for _ in range(KILLS):
            time.sleep(dice.uniform(0.05, 0.9))
            killed[kill_something(cluster, dice)] += 1
        submitter.join(60)

        def all_ended():
            try:
                return all(cluster.api("GET", f"/api/v1/sweeps/{sweep}")["state"] != "running" for sweep in acknowledged)
            except Unreachable:
                return False

        try:
            wait_until("the sweeps end", all_ended, 90, 0.2)
        finally:
            observer.stop()
        print(f"seed {seed}: kills {dict(killed)}, {time.monotonic() - began:.1f} s, starts {sum(map(len, effects.starts().values()))}", flush=True)
        check(cluster, effects, observer, main, acknowledged)


def check(cluster, effects, observer, main, acknowledged):
    expect(not observer.complaints, "; ".join(observer.complaints))
    listed = {sweep["id"]: sweep for sweep in cluster.items("/api/v1/sweeps")}
    expect(len(acknowledged) == 5 and len(set(acknowledged)) == 5, f"submits were acknowledged as {acknowledged}")
    expect(set(listed) == set(acknowledged), f"submitted {sorted(acknowledged)}, listed {sorted(listed)}")
    for name, sweep in listed.items():
        expect(sweep["state"] == "succeeded", f"{name} ended as {sweep['state']}: {sweep['counts']}")
        expect(sum(sweep["counts"].values()) == sweep["jobs"], f"{name}: counts {sweep['counts']} of {sweep['jobs']} jobs")
    expect(listed[main["id"]]["jobs"] == 48, f"{listed[main['id']]['jobs']} jobs")
    starts = effects.starts()
    for name in acknowledged:
        for job in cluster.items(f"/api/v1/sweeps/{name}/jobs"):
            check_job(cluster, name, job, starts[job["number"]], observer.finished)
        check_results(cluster, name, listed[name]["jobs"])


def check_job(cluster, sweep, job, starts, finished):
    number = job["number"]
    where = f"job {number} of {sweep}"
    expect(job["state"] == "succeeded", f"{where} is {job['state']}")
    expect(all(a < b for a, b in zip(starts, starts[1:])), f"{where}: attempts did not only grow: {starts}")
    expect((job["generation"], job["attempt"]) in starts, f"{where}: attempt {job['attempt']} has the result, started were {starts}")
    if number in finished:
        seen, shown = finished[number]
        expect(len(starts) <= seen, f"{where} was finished after {seen} starts and was started again: {starts}")
        expect(shown["objective"] == job["objective"], f"{where}: its result changed")
    detail = cluster.api("GET", f"/api/v1/sweeps/{sweep}/jobs/{job['id']}")
    ends = [event for event in cluster.items(f"/api/v1/sweeps/{sweep}/jobs/{job['id']}/events") if event["type"] == "job_finished"]
    expect(len(ends) == 1, f"{where} has {len(ends)} ends in its history")
    status, data = cluster.request("GET", f"/api/v1/artifacts/{detail['files'][0]['sha256']}")
    expect(status == 200, f"{where}: its file is not there: status {status}")
    tree = json.loads(data)
    expect(tree["settings"] == detail["settings"], f"{where}: its file is of other settings")
    expect(abs(tree["result"]["objective"] - job["objective"]) < 1e-12, f"{where}: file and result differ")
    # The same settings give the same numbers, however often an attempt was cut short and resumed.
    series = cluster.api("GET", f"/api/v1/sweeps/{sweep}/jobs/{job['id']}/metrics?name=eval/accuracy")["series"]
    steps = [point[0] for point in series[0]["points"]] if series else []
    expect(steps == sorted(set(steps)) and steps, f"{where}: steps {steps}")
    expect(max(point[1] for point in series[0]["points"]) <= job["objective"] + 1e-12, f"{where}: a better epoch was forgotten")


def check_results(cluster, sweep, jobs):
    rows = collections.Counter((row["job"], row["depth"], row["split"], row["metric"]) for row in cluster.items(f"/api/v1/sweeps/{sweep}/results"))
    twice = [key for key, count in rows.items() if count > 1]
    expect(not twice, f"{sweep}: results stored twice: {twice}")
    expect(len({key[0] for key in rows}) == jobs, f"{sweep}: {len(rows)} results of {jobs} jobs")


def main():
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.SystemRandom().randrange(1 << 30)
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    tests = []
    for number in range(seed, seed + rounds):
        def killed_sweep_ends_complete(number=number):
            tests_of(number)

        killed_sweep_ends_complete.__name__ += f"_seed_{number}"
        tests.append(killed_sweep_ends_complete)
    return run_tests(tests)


if __name__ == "__main__":
    sys.exit(main())
