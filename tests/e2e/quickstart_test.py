"""The quickstart sweep on the real model and data: 66 jobs, some stopped early, adapters that learned, tables that add up."""
import sys
import tempfile

import demo

SWEEP = demo.ROOT / "configs" / "sweeps" / "quickstart.yaml"


def main():
    with tempfile.TemporaryDirectory(prefix="fathom-quickstart-") as folder:
        root = demo.prepare_root(folder)
        with demo.Fathom(root) as fathom:
            plan = fathom.json("plan", SWEEP)
            sweep, out = fathom.run_sweep(SWEEP)
            jobs = demo.table(out / "jobs.csv")
            results = demo.table(out / "results.csv")

            def sixty_six_jobs_as_planned():
                demo.expect(plan["jobs"] == 66, f"plan says {plan['jobs']} jobs")
                demo.expect(len(jobs) == 66, f"jobs.csv has {len(jobs)} rows")
                counts = {stage: sum(job["stage"] == stage for job in jobs) for stage in {job["stage"] for job in jobs}}
                demo.expect(sorted(counts.values()) == [3, 6, 9, 12, 36], f"jobs by stage: {counts}")

            def every_job_ended_well_and_some_were_stopped():
                states = {job["status"] for job in jobs}
                demo.expect(states <= {"succeeded", "stopped"}, f"states {states}")
                stopped = sum(job["status"] == "stopped" for job in jobs)
                demo.expect(stopped >= 3, f"early stopping ended {stopped} jobs")
                demo.expect(all(job["stage"] == "adapter" for job in jobs if job["status"] == "stopped"), "only adapter jobs are stopped")

            def best_standard_adapters_learned():
                for task in ("mr", "tweets"):
                    best = max(float(r["value"]) for r in results if r["stage"] == "adapter" and r["task"] == task and
                               r["drop"] == "standard" and r["metric"] == "accuracy" and r["split"] == "eval")
                    floor = demo.majority(root / "data" / task / "dev.tsv")
                    print(f"{task}: best standard adapter {best:.3f}, majority class {floor:.3f}")
                    demo.expect(best >= floor + 0.08, f"{task}: {best:.3f} is not 8 points above the majority class ({floor:.3f})")

            def every_depth_was_evaluated():
                for task in demo.TASKS:
                    for drop, depths in (("standard", range(6)), ("specialized-02", range(2, 6)), ("specialized-04", range(4, 6)), ("robust-00-05", range(6))):
                        got = {int(r["depth"]) for r in results if r["kind"] == "evaluate" and r["task"] == task and r["drop"] == drop and not r["set"]}
                        demo.expect(got == set(depths), f"{task} {drop}: depths {sorted(got)}")

            def trees_and_tables_are_complete():
                for name in ("sweep.yaml", "resolved.yaml", "manifest.json", "README.md", "summary.csv", "timing.csv", "fusion_attention.csv"):
                    demo.expect((out / name).is_file(), f"{name} is missing")
                attention = demo.table(out / "fusion_attention.csv")
                by_layer = {}
                for row in attention:
                    by_layer.setdefault((row["job"], row["layer"], row["site"]), []).append(float(row["mean_weight"]))
                demo.expect(by_layer and all(abs(sum(w) - 1) < 1e-3 for w in by_layer.values()), "attention of a layer does not sum to 1")
                for keep in (1, 2):
                    demo.expect(list(out.glob(f"fusions/mr/*/standard/keep-{keep}/seed1/adapter_setup.json")), f"no pruned fusion with {keep} adapters")

            def replaying_the_log_gives_the_same_decisions():
                before = {(j["job"], j["status"]) for j in jobs}
                fathom("down")
                fathom("up", *fathom.arguments[1:])
                again = fathom.json("show", sweep)
                demo.expect(again["counts"].get("stopped", 0) == sum(s == "stopped" for _, s in before), f"after a restart: {again['counts']}")

            return demo.run_tests([sixty_six_jobs_as_planned, every_job_ended_well_and_some_were_stopped, best_standard_adapters_learned,
                                   every_depth_was_evaluated, trees_and_tables_are_complete, replaying_the_log_gives_the_same_decisions])


if __name__ == "__main__":
    sys.exit(main())
