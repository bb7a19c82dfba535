"""`fathom-trainer check` on the stored reference data: every case passes; a damaged copy fails and says where; a folder that
is incomplete or hostile gets a sentence that names the file."""
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

import demo

GOLDEN = demo.ROOT.parent / "shared" / "golden" / "adapters"
MINILM = demo.DEMO / "models" / "minilm"


def check(folder, *arguments):
    command = [demo.BIN / "fathom-trainer", "check", folder, *arguments]
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=600)


def results(folder, *arguments):
    done = check(folder, "--json", *arguments)
    return done.returncode, {c["case"]: c for c in map(json.loads, done.stdout.splitlines())}


def count(cases, status):
    return sum(c["status"] == status for c in cases.values())


def listed():
    with open(GOLDEN / "manifest.json", encoding="utf-8") as file:
        manifest = json.load(file)
    return sum(map(len, manifest["forward"].values())) + len(manifest["trajectories"]) + 1  # and MiniLM's own outputs


def every_stored_case_passes():
    code, cases = results(GOLDEN, "--model", f"minilm={MINILM}")
    bad = [c for c in cases.values() if c["status"] != "passed"]
    demo.expect(code == 0 and not bad, f"exit code {code}: {bad[:3]}")
    demo.expect(len(cases) == listed(), f"{len(cases)} cases of {listed()}")


def a_model_that_is_not_here_is_skipped_unless_asked_for():
    code, cases = results(GOLDEN)
    skipped = {name for name, c in cases.items() if c["status"] == "skipped"}
    demo.expect(code == 0 and len(skipped) == 8 and all(n.startswith("minilm/") for n in skipped), f"{code} {skipped}")
    demo.expect("--model minilm=DIR" in cases["minilm/base_model"]["message"], "the reason does not say what to do")
    code, cases = results(GOLDEN, "--case", "minilm/traj*")
    demo.expect(code == 1 and count(cases, "failed") == 7, f"{code} {cases}")
    code, cases = results(GOLDEN, "--case", "bert/fuse3*")
    demo.expect(code == 0 and count(cases, "passed") == len(cases) > 10, f"{code} {cases}")


def usage_is_exit_code_2():
    for arguments in (["--case", "nothing*"], ["--model", "minilm"], ["--model", "minilm=/no/such/folder"], ["--frobnicate"]):
        done = check(GOLDEN, *arguments)
        demo.expect(done.returncode == 2 and done.stderr + done.stdout, f"{arguments}: {done.returncode} {done.stderr}")
    demo.expect(check("/no/such/folder").returncode == 2, "a folder that is not there")


class Copy:
    """BERT's part of the folder, to be spoiled; the manifest keeps a few cases."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="fathom-check-"))
        shutil.copytree(GOLDEN / "bert", self.folder / "bert", ignore=shutil.ignore_patterns("setups", "quirks"))
        with open(GOLDEN / "manifest.json", encoding="utf-8") as file:
            manifest = json.load(file)
        keep = ("base", "single_alpha", "fuse3", "parallel3_skip0")
        self.forward = {c["id"]: c for c in manifest["forward"]["bert"] if c["id"] in keep}
        self.trajectories = [t for t in manifest["trajectories"] if t["id"] in ("bert/seq_bn_wd0", "bert/fusion_reg_before")]
        self.write()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder)

    def write(self):
        manifest = {"forward": {"bert": list(self.forward.values())}, "trajectories": self.trajectories}
        (self.folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")

    def edit(self, name, change):
        """Changes a trajectory.json in place."""
        file = self.folder / "bert" / "trajectories" / name / "trajectory.json"
        value = json.loads(file.read_text(encoding="utf-8"))
        change(value)
        file.write_text(json.dumps(value), encoding="utf-8")

    def fails(self, case, *words):
        """Exit code 1, this case alone failed, and the reason has these words."""
        code, cases = results(self.folder)
        failed = {n: c for n, c in cases.items() if c["status"] == "failed"}
        demo.expect(code == 1 and set(failed) == {case}, f"exit code {code}, failed: {failed}")
        text = json.dumps(failed[case], ensure_ascii=False)
        demo.expect(all(word in text for word in words), f"{words} are not all in {text}")

    def refused(self, *words):
        """No case can run."""
        done = check(self.folder)
        demo.expect(done.returncode == 1 and not done.stdout, f"exit code {done.returncode}: {done.stdout[:300]}")
        demo.expect(all(word in done.stderr for word in words), f"{words} are not all in {done.stderr}")


def add_to_float(file, at, amount):
    """Adds to the float32 at a byte from the end."""
    data = bytearray(file.read_bytes())
    (value,) = struct.unpack_from("<f", data, len(data) - at)
    struct.pack_into("<f", data, len(data) - at, value + amount)
    file.write_bytes(data)


def a_changed_number_fails_its_case():
    with Copy() as copy:
        code, cases = results(copy.folder)
        demo.expect(code == 0 and count(cases, "passed") == 6, f"{code} {cases}")
        add_to_float(copy.folder / "bert" / "expected" / "single_alpha.safetensors", 4, 1e-3)
        copy.fails("bert/single_alpha", "logits.alpha")
    with Copy() as copy:
        copy.edit("seq_bn_wd0", lambda t: t["loss"].__setitem__(7, t["loss"][7] + 1e-4))
        copy.fails("bert/trajectories/seq_bn_wd0", "loss of step 7")
        done = check(copy.folder)
        demo.expect("FAIL  bert/trajectories/seq_bn_wd0" in done.stdout and "5 passed, 1 failed" in done.stdout, done.stdout)
    with Copy() as copy:
        add_to_float(copy.folder / "bert" / "trajectories" / "seq_bn_wd0" / "first_grads.safetensors", 4, 1e-3)
        copy.fails("bert/trajectories/seq_bn_wd0", "first gradient of")
    with Copy() as copy:
        copy.edit("fusion_reg_before", lambda t: t["options"].pop("fusion_reg"))
        copy.fails("bert/trajectories/fusion_reg_before")


def two_weight_files_must_agree():
    with Copy() as copy:
        add_to_float(copy.folder / "bert" / "heads" / "trio" / "model_head.safetensors", 4, 1e-7)
        copy.fails("bert/fuse3", "heads/trio", "differ")


def what_is_missing_is_named():
    with Copy() as copy:
        (copy.folder / "bert" / "expected" / "fuse3.safetensors").unlink()
        copy.fails("bert/fuse3", "fuse3.safetensors")
    with Copy() as copy:
        shutil.rmtree(copy.folder / "bert" / "adapters" / "bravo")
        code, cases = results(copy.folder)
        demo.expect(code == 1 and "bravo" in cases["bert/fuse3"]["message"] and cases["bert/single_alpha"]["status"] == "passed", f"{cases}")
    with Copy() as copy:
        file = copy.folder / "bert" / "trajectories" / "seq_bn_wd0" / "final.safetensors"
        file.write_bytes(file.read_bytes()[:-100])
        copy.fails("bert/trajectories/seq_bn_wd0", "final.safetensors", "truncated")
    with Copy() as copy:
        copy.edit("seq_bn_wd0", lambda t: t["grad_norm"].pop())
        copy.fails("bert/trajectories/seq_bn_wd0", "trajectory.json", "grad_norm")
    with Copy() as copy:
        (copy.folder / "manifest.json").unlink()
        copy.refused("manifest.json")


def hostile_files_are_refused():
    with Copy() as copy:
        copy.forward["fuse3"]["expected"] = "../../../../etc/passwd"
        copy.write()
        copy.fails("bert/fuse3", "../../../../etc/passwd", "below")
    with Copy() as copy:
        copy.forward["fuse3"]["setup"] = {"type": "single", "children": ["../../alpha"]}
        copy.write()
        copy.fails("bert/fuse3", "../../alpha")
    with Copy() as copy:
        deep = {"type": "single", "children": ["alpha"]}
        for _ in range(50):
            deep = {"type": "stack", "children": [deep]}
        copy.forward["fuse3"]["setup"] = deep
        copy.write()
        copy.fails("bert/fuse3", "deep")
    with Copy() as copy:
        copy.forward["fuse3"]["skip_layers"] = ["all"]
        copy.forward["fuse3"]["tolerance"] = "2e-5"
        copy.write()
        copy.fails("bert/fuse3", "manifest.json", "tolerance")
    with Copy() as copy:
        copy.edit("seq_bn_wd0", lambda t: t["order"].__setitem__(3, [0, 1, 64]))
        copy.fails("bert/trajectories/seq_bn_wd0", "train.safetensors", "64")
    with Copy() as copy:
        copy.edit("seq_bn_wd0", lambda t: t["options"].update(momentum=0.9))
        copy.fails("bert/trajectories/seq_bn_wd0", "trajectory.json", "momentum")
    for text, word in (("[]", "object"), ('{"forward": {"..": []}}', ".."), ('{"forward": {"bert": [1]}}', "bert[0]"), ("{", "JSON"),
                       ('{"trajectories": [{"id": "flat", "path": "x"}]}', "GROUP/NAME"), ("{}", "no cases")):
        with Copy() as copy:
            (copy.folder / "manifest.json").write_text(text, encoding="utf-8")
            copy.refused("manifest.json", word)


def main():
    if not GOLDEN.is_dir():
        print("skipped: ../shared is absent, the reference data are not part of the project")
        print("0 passed, 0 failed, 1 skipped")
        return 0
    os.environ["OMP_NUM_THREADS"] = "1"
    return demo.run_tests([every_stored_case_passes, a_model_that_is_not_here_is_skipped_unless_asked_for, usage_is_exit_code_2,
                           a_changed_number_fails_its_case, two_weight_files_must_agree, what_is_missing_is_named,
                           hostile_files_are_refused])


if __name__ == "__main__":
    sys.exit(main())
