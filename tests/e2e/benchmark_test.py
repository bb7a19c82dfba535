"""A benchmark sweep through coordinator, worker and trainer: every job measures, alone on the host, timing.csv sets the times
in relation to the baselines, and the table is printed."""
import sys
import tempfile

import demo

SWEEP = """version: 1
name: speed
model: {path: models/minilm}
tasks: {mr: {path: data/mr}}
stages:
  fusions:
    kind: benchmark
    measure: [train, infer]
    subjects: {adapter: {depths: [0, 3]}, fusion: {members: 2}}
    shape: {batch: 2, length: 8}
    warmup: 1
    steps: 3
    repeat: 2
    baseline: [finetune, adapter]
  tasks:
    kind: benchmark
    measure: infer
    subjects: {parallel: {members: 2, depths: [0, 3]}}
    shape: {batch: 2, length: 8}
    warmup: 1
    steps: 3
    repeat: 2
    baseline: separate
"""

TRAINED = """version: 1
name: trained
model: {path: models/minilm}
tasks: {mr: {path: data/mr}}
train: {epochs: 1, batch: 4, max_length: 16}
stages:
  adapter: {}
  speed: {kind: benchmark, measure: infer, from: adapter, members_init: trained, subjects: {adapter: {}}, shape: {batch: 2, length: 8}, warmup: 1, steps: 3, repeat: 2}
"""


def number(row, column):
    return float(row[column]) if row[column] else None


def main():
    with tempfile.TemporaryDirectory(prefix="fathom-benchmark-") as folder:
        root = demo.prepare_root(folder, 8, 8)
        with demo.Fathom(root) as fathom:
            file = demo.pathlib.Path(folder) / "speed.yaml"
            file.write_text(SWEEP)
            plan = fathom.json("plan", file)
            sweep, out = fathom.run_sweep(file)
            printed = fathom("show", sweep).stdout
            jobs = demo.table(out / "jobs.csv")
            rows = demo.table(out / "timing.csv")
            results = demo.table(out / "results.csv")

            def every_job_has_measured():
                demo.expect(plan["jobs"] == 2 * 4 + 3, f"plan says {plan['jobs']} jobs")
                demo.expect(len(jobs) == plan["jobs"] and all(job["status"] == "succeeded" for job in jobs), f"{[j['status'] for j in jobs]}")
                seconds = [float(row["value"]) for row in results if row["metric"] == "seconds"]
                demo.expect(len(seconds) == len(jobs) and min(seconds) > 0, f"seconds: {seconds}")
                demo.expect({row["split"] for row in results} == {"train", "infer"}, "splits of the results")

            def no_two_ran_at_once():
                spans = sorted((int(job["started"]), int(job["ended"])) for job in jobs)
                overlaps = [(a, b) for a, b in zip(spans, spans[1:]) if b[0] < a[1]]
                demo.expect(not overlaps, f"jobs overlap: {overlaps}")

            def parts_of_a_step_add_up():
                for row in rows:
                    if row["param.benchmark.measure"] != "train":
                        demo.expect(not row["backward"], f"a backward pass in {row}")
                        continue
                    parts = sum(float(row[name]) for name in ("forward", "backward", "optimizer"))
                    demo.expect(abs(parts - float(row["seconds"])) < 1e-6 * parts, f"{parts} is not {row['seconds']}")

            def every_row_is_set_in_relation_to_its_baseline():
                for row in rows:
                    relative, saved = number(row, "relative"), number(row, "saved")
                    demo.expect(row["baseline"] and relative and relative > 0, f"no baseline in {row}")
                    demo.expect(abs(saved - (1 - 1 / relative)) < 1e-9, f"saved {saved}, relative {relative}")
                own = [row for row in rows if row["param.benchmark.subject"] == "adapter" and row["depth"] == "0" and row["baseline"] == "adapter"]
                demo.expect(len(own) == 2 and all(float(row["relative"]) == 1 for row in own), "an adapter beside itself")
                kinds = {(row["param.benchmark.subject"], row["baseline"]) for row in rows}
                expected = {("finetune", "finetune"), ("adapter", "finetune"), ("adapter", "adapter"), ("fusion", "finetune"),
                            ("fusion", "adapter"), ("separate", "separate"), ("parallel", "separate")}
                demo.expect(kinds == expected, f"compared: {sorted(kinds)}")

            def shared_layers_have_their_column():
                shared = [row for row in rows if row["saved_per_layer"]]
                demo.expect([(row["param.benchmark.subject"], row["depth"]) for row in shared] == [("parallel", "3")], f"{shared}")
                demo.expect(abs(float(shared[0]["saved_per_layer"]) * 3 - float(shared[0]["saved"])) < 1e-9, "saved per layer")

            def a_trained_adapter_is_measured():
                file = demo.pathlib.Path(folder) / "trained.yaml"
                file.write_text(TRAINED)
                _, out = fathom.run_sweep(file)
                jobs = {job["stage"]: job for job in demo.table(out / "jobs.csv")}
                demo.expect(sorted(jobs) == ["adapter", "speed"] and all(job["status"] == "succeeded" for job in jobs.values()), f"{jobs}")
                demo.expect(int(jobs["speed"]["started"]) >= int(jobs["adapter"]["ended"]), f"measured before it was trained: {jobs}")
                row = next(row for row in demo.table(out / "timing.csv") if row["stage"] == "speed")
                demo.expect(row["param.benchmark.members_init"] == "trained" and float(row["seconds"]) > 0, f"{row}")

            def the_table_is_printed():
                lines = [line for line in printed.splitlines() if line.startswith("cpu ")]
                demo.expect(len(lines) == len(jobs), f"{len(lines)} lines of {len(jobs)} jobs: {printed}")
                demo.expect("x finetune" in printed and "a layer" in printed, printed)

            return demo.run_tests([every_job_has_measured, no_two_ran_at_once, parts_of_a_step_add_up,
                                   every_row_is_set_in_relation_to_its_baseline, shared_layers_have_their_column, a_trained_adapter_is_measured,
                                   the_table_is_printed])


if __name__ == "__main__":
    sys.exit(main())
