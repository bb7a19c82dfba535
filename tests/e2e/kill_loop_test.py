"""Many short sweeps with early stopping, each disturbed: kill -9 at random moments, or at a named crash point (between two
steps of which the first must not be lost without the second). Counted over all rounds, and each has to be 0: acknowledged
submits lost, finished jobs run again, results stored twice, rungs entered twice. What trainers really did is counted
outside of the programs, through a file they append to.

Usage: kill_loop_test.py [SEED [ROUNDS]]: 100 rounds, FATHOM_LONG: 1,000; the seed is printed, round N of it has seed SEED + N.
A fifth of the rounds in which a trainer is ended at a point could as well be real ones: kill_train_test.py has those."""
import collections
import concurrent.futures
import os
import random
import sys
import threading
import time

import noop_sweep
from harness import Cluster, Failure, Unreachable, expect, wait_until
from kill_noop_test import ENDED_WELL, Effects, Observer, check_results, kill_something

AT_ONCE = 3  # clusters beside each other: they mostly wait
END = 90  # seconds: far more than a round takes
# Program and point (docs/reliability.md), and the highest passing that a round is sure to reach.
POINTS = {
    "fathom-coordinator": {"log.written": 30, "log.durable": 30, "answer.given": 40, "effects.sent": 20, "artifact.staged": 25,
                           "artifact.committed": 25, "view.written": 20, "snapshot.written": 3, "snapshot.renamed": 3,
                           "file.written": 6, "file.renamed": 6},
    "fathom-worker": {"spool.written": 30, "spool.durable": 30, "item.acknowledged": 30, "job.prepared": 8, "file.uploaded": 25,
                      "file.written": 3, "file.renamed": 3},
    "noop_trainer": {"file.written": 12, "file.renamed": 12, "final.written": 3},
}


def points():
    return [(program, point) for program, names in POINTS.items() for point in names]


class Round:
    def __init__(self, seed):
        self.seed, self.dice = seed, random.Random(seed)
        self.killed = collections.Counter()
        self.ended = threading.Event()

    def run(self):
        """What was killed; Failure names what is wrong."""
        with Cluster(environment={"FATHOM_NOOP_MS": "25", "FATHOM_NOOP_CHECKPOINTS": "1", "FATHOM_COORDINATOR_SNAPSHOT_EVERY": "10"}) as cluster:
            self.cluster, self.effects = cluster, Effects(cluster.folder / "effects")
            self.once = cluster.folder / "crashed"
            cluster.environment["FATHOM_NOOP_EFFECTS"] = str(self.effects.path)
            at = self.choose_point() if self.seed % 2 else None
            if at:
                cluster.environment.update(FATHOM_CRASH_AT=at, FATHOM_CRASH_ONCE=str(self.once))
            try:
                cluster.start_coordinator(wait=False)
            except Failure:  # its point came before it could listen
                expect(self.once.exists(), cluster.log_tail("coordinator"))
                cluster.start_coordinator(wait=False)
            cluster.start_worker()
            guard = threading.Thread(target=self.revive, daemon=True)
            if at:
                guard.start()
            try:
                self.disturb(at)
            finally:
                self.ended.set()
                if at:
                    guard.join(30)
        return self.killed

    def choose_point(self):
        """All points in turn, so that a hundred rounds meet each; the passing is drawn."""
        program, point = points()[self.seed // 2 % len(points())]
        return f"{program}@{point}:{self.dice.randint(1, POINTS[program][point])}"

    def revive(self):
        """Starts again what has ended at its crash point. A trainer is started by its worker."""
        while not self.ended.wait(0.03):
            for name, start in (("coordinator", lambda: self.cluster.start_coordinator(wait=False)), ("worker", self.cluster.start_worker)):
                if self.cluster.processes[name].poll() is not None:
                    start()

    def disturb(self, at):
        observer = Observer(self.cluster, self.effects)
        observer.start()
        try:
            names = [("main", self.main_sweep()), ("late", noop_sweep.sweep("late", tasks=("a",), rates=("2e-5",), seeds=1, stages=False))]
            sweeps = []
            for name, text in names:
                sweeps.append(self.cluster.submit_for_certain(text, name)["id"])
                observer.sweeps.append(sweeps[-1])
                if not at:
                    for _ in range(2):
                        time.sleep(self.dice.uniform(0.02, 0.5))
                        self.killed[kill_something(self.cluster, self.dice)] += 1
            wait_until("the sweeps end", lambda: self.over(sweeps), END, 0.1)
        finally:
            observer.stop()
        if at and self.once.exists():
            self.killed[at.split(":")[0]] += 1
        expect(not observer.complaints, "; ".join(observer.complaints))
        self.check(sweeps, observer)

    @staticmethod
    def main_sweep():
        return noop_sweep.sweep("main", rates=("1e-3", "3e-4", "1e-4"), seeds=1, stop="{method: asha, eta: 3, min: 1}")

    def over(self, sweeps):
        try:
            return all(self.cluster.api("GET", f"/api/v1/sweeps/{sweep}")["state"] != "running" for sweep in sweeps)
        except Unreachable:
            return False

    def check(self, sweeps, observer):
        listed = {sweep["id"]: sweep for sweep in self.cluster.items("/api/v1/sweeps")}
        expect(set(listed) == set(sweeps), f"submits lost or doubled: acknowledged {sweeps}, listed {sorted(listed)}")
        starts = self.effects.starts()
        for name, sweep in listed.items():
            expect(sweep["state"] == "succeeded", f"{name} ended as {sweep['state']}: {sweep['counts']}")
            jobs = self.cluster.items(f"/api/v1/sweeps/{name}/jobs")
            expect(len(jobs) == sweep["jobs"], f"{name}: {len(jobs)} of {sweep['jobs']} jobs")
            rungs = collections.Counter()
            for job in jobs:
                self.check_job(name, job, starts[job["number"]], observer.finished, rungs)
            twice = [key for key, count in rungs.items() if count > 1]
            expect(not twice, f"{name}: rungs entered twice: {twice}")
            if all(job["state"] == "succeeded" for job in jobs):
                check_results(self.cluster, name, sweep["jobs"])
        expect(any(listed[name]["jobs"] > 12 for name in sweeps), "the sweep with rungs has too few jobs")

    def check_job(self, sweep, job, starts, finished, rungs):
        number, where = job["number"], f"job {job['number']} of {sweep}"
        expect(job["state"] in (*ENDED_WELL, "skipped"), f"{where} is {job['state']}")
        expect(all(a < b for a, b in zip(starts, starts[1:])), f"{where}: attempts did not only grow: {starts}")
        if number in finished:
            seen, shown = finished[number]
            expect(len(starts) <= seen, f"{where} was finished after {seen} starts and was started again: {starts}")
            expect(shown["objective"] == job["objective"], f"{where}: its result changed")
        events = self.cluster.items(f"/api/v1/sweeps/{sweep}/jobs/{job['id']}/events")
        kinds = [event["type"] for event in events]
        # A job that was to stop and lost its lease is stopped by that: it has no end of its own.
        ends = [place for place, kind in enumerate(kinds) if kind in ("job_finished", "job_stopped")]
        fewest = {"succeeded": 1, "stopped": 0, "skipped": 0}[job["state"]]
        expect(fewest <= len(ends) <= (job["state"] != "skipped"), f"{where} has {len(ends)} ends in its history: {kinds}")
        expect(not ends or "lease_granted" not in kinds[ends[0]:], f"{where} was started again after its end: {kinds}")
        for event in events:
            if event["type"] == "rung_entered":
                rungs[(number, event["text"].split(":")[0])] += 1


def play(seed):
    began = time.monotonic()
    try:
        killed = Round(seed).run()
    except (AssertionError, OSError, ValueError, KeyError, Unreachable) as error:
        return seed, collections.Counter(), f"{type(error).__name__}: {error}", time.monotonic() - began
    return seed, killed, None, time.monotonic() - began


def main():
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.SystemRandom().randrange(1 << 30)
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else (1000 if os.environ.get("FATHOM_LONG") else 100)
    total, failed, began = collections.Counter(), 0, time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for number, killed, error, seconds in pool.map(play, range(seed, seed + rounds)):
            total += killed
            failed += error is not None
            print(f"{'FAILED' if error else 'ok'} round of seed {number}, {seconds:.1f} s {dict(killed)}{': ' + error if error else ''}", flush=True)
    at_points = {name: count for name, count in sorted(total.items()) if "@" in name}
    print(f"seeds {seed} to {seed + rounds - 1}: {sum(total.values())} ends, at random moments "
          f"{ {name: total[name] for name in ('coordinator', 'worker', 'trainer')} }, at points {at_points}; {time.monotonic() - began:.0f} s")
    missed = [f"{program}@{point}" for program, point in points() if f"{program}@{point}" not in at_points]
    if missed and rounds >= 4 * len(points()):  # each had its turn twice
        failed += 1
        print(f"FAILED crash points that were never met: {missed}")
    print(f"{rounds - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
