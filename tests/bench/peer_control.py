"""The peers of the coordinator's benchmarks, each on the load of bench_dispatch.py or bench_trials.py: HyperQueue, Ray, Dask, Optuna. One run prints one
JSON object. What they are not: durable before they answer (HyperQueue's wheel keeps no journal, Ray and Dask have none), encrypted.

  PYTHON peer_control.py hyperqueue|ray|dask|optuna --load noop|process|dag|submit|trials|reports [--jobs N] [--slots N]

noop: functions that return at once, in worker processes that are there (Ray, Dask). process: `true`, started by the worker. dag: 100 jobs, then
900 that need two of them. submit: one submit of N jobs, acknowledged and first started. trials, reports: Optuna, 10 reports a trial, with and without
its successive-halving pruner, two processes, journal file.
PYTHON has the peer: hyperqueue 0.27, ray 2.60, distributed 2026.8, optuna 5.0."""
import argparse
import json
import os
import subprocess
import tempfile
import time


def pairs(count):
    """Members of the 900 of a dag: two of the 100."""
    return [(i % 100, (i * 7 + 1 + i // 100) % 100) for i in range(count)]


def rate(jobs, begin, **more):
    seconds = time.monotonic() - begin
    return {"jobs": jobs, "seconds": seconds, "jobs_per_s": jobs / seconds, **more}


def run_true():
    subprocess.run(["/bin/true"], check=True)


def hyperqueue(options):
    from hyperqueue import Job, LocalCluster
    from hyperqueue.cluster import WorkerConfig

    with LocalCluster() as cluster:
        cluster.start_worker(WorkerConfig(cores=options.slots))
        client = cluster.client()
        job = Job()
        if options.load == "dag":
            first = [job.program(["/bin/true"], stdout=None, stderr=None) for _ in range(100)]
            for a, b in pairs(900):
                job.program(["/bin/true"], stdout=None, stderr=None, deps=[first[a], first[b]])
            count = 1000
        else:
            for _ in range(options.jobs):
                job.program(["/bin/true"], stdout=None, stderr=None)
            count = options.jobs
        begin = time.monotonic()
        submitted = client.submit(job)
        accepted = time.monotonic() - begin
        if options.load == "submit":
            return {"jobs": count, "submit_s": accepted}
        client.wait_for_jobs([submitted])
        return rate(count, begin, submit_s=accepted)


def ray(options):
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray as peer

    peer.init(num_cpus=options.slots, include_dashboard=False, _node_ip_address="127.0.0.1", log_to_driver=False, logging_level="ERROR")
    answer = peer.remote(lambda *members: None)
    started = peer.remote(lambda: run_true())
    peer.get([answer.remote() for _ in range(200)])  # its workers are there
    begin = time.monotonic()
    if options.load == "dag":
        first = [answer.remote() for _ in range(100)]
        peer.get(first + [answer.remote(first[a], first[b]) for a, b in pairs(900)])
        return rate(1000, begin)
    one = started if options.load == "process" else answer
    waiting = [one.remote() for _ in range(options.jobs)]
    accepted = time.monotonic() - begin
    if options.load != "submit":
        peer.get(waiting)
    return {"jobs": options.jobs, "submit_s": accepted} if options.load == "submit" else rate(options.jobs, begin, submit_s=accepted)


def nothing(*members):
    return None


def dask(options):
    from distributed import Client, LocalCluster, wait

    with LocalCluster(n_workers=options.slots, threads_per_worker=1, dashboard_address=None, silence_logs=40) as cluster, Client(cluster) as client:
        wait(client.map(nothing, range(100), pure=False))
        begin = time.monotonic()
        if options.load == "dag":
            first = [client.submit(nothing, pure=False) for _ in range(100)]
            wait(first + [client.submit(nothing, first[a], first[b], pure=False) for a, b in pairs(900)])
            return rate(1000, begin)
        work = (lambda _: run_true()) if options.load == "process" else nothing
        waiting = client.map(work, range(options.jobs), pure=False)
        accepted = time.monotonic() - begin
        if options.load == "submit":
            return {"jobs": options.jobs, "submit_s": accepted}
        wait(waiting)
        return rate(options.jobs, begin, submit_s=accepted)


def optuna_share(journal, trials, prunes):
    """Trials of one process; reports made."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(journal))
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=4) if prunes else optuna.pruners.NopPruner()
    study = optuna.load_study(study_name="bench", storage=storage, pruner=pruner, sampler=optuna.samplers.RandomSampler())
    reports = 0

    def objective(trial):
        nonlocal reports
        x = trial.suggest_float("x", 0, 1)
        for step in range(1, 11):
            trial.report(x * (1 - 0.5 ** step), step)
            reports += 1
            if trial.should_prune():
                raise optuna.TrialPruned()
        return x

    study.optimize(objective, n_trials=trials)
    print(json.dumps(reports), flush=True)


def optuna(options):
    import optuna as peer

    with tempfile.TemporaryDirectory(prefix="fathom-optuna-") as folder:
        journal = f"{folder}/journal"
        peer.logging.set_verbosity(peer.logging.ERROR)
        peer.create_study(study_name="bench", storage=peer.storages.JournalStorage(peer.storages.journal.JournalFileBackend(journal)))
        begin = time.monotonic()
        command = [os.sys.executable, __file__, "optuna", "--load", options.load, "--jobs", str(options.jobs // 2), "--journal", journal]
        running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        reports = sum(json.loads(process.communicate()[0].splitlines()[-1]) for process in running)
        told = rate(options.jobs, begin)
        return {**told, "reports": reports, "reports_per_s": reports / told["seconds"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", choices=("hyperqueue", "ray", "dask", "optuna"))
    parser.add_argument("--load", choices=("noop", "process", "dag", "submit", "trials", "reports"), default="noop")
    parser.add_argument("--jobs", type=int, default=5000)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--journal", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.journal:
        return optuna_share(options.journal, options.jobs, options.load == "trials")
    made = {"hyperqueue": hyperqueue, "ray": ray, "dask": dask, "optuna": optuna}[options.peer](options)
    print(json.dumps({"benchmark": "peer", "peer": options.peer, "load": options.load, **made}), flush=True)


if __name__ == "__main__":
    main()
