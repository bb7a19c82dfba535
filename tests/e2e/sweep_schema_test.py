#!/usr/bin/env python3
"""docs/sweep.schema.json says of a file what the parser says: it takes every golden and ready-made file and every example of the
documents, and refuses the files of tests/golden/sweeps/errors, but for mistakes that a schema cannot see. Those are listed here by
their kind, each file once, so that a new one has to be looked at."""
import json
import os
import pathlib
import re
import sys

from harness import CACHE, Skip, expect, run_tests

PYTHON = CACHE / "venv-schemathesis" / "bin" / "python"  # has jsonschema-rs and PyYAML
ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
ERRORS = GOLDEN / "sweeps" / "errors"
# Kinds of mistakes that a schema cannot see, and the files that hold nothing else.
UNSEEN = {
    "names that the file does not have, has twice under two names, or has in another order": [
        "folder-lacks-member", "greedy-tries-are-no-stage", "head-of-a-stranger", "parameter-twice", "stage-order",
        "stage-wrong-kind", "task-name-reserved", "unknown-task", "when-circle", "where-nothing"],
    "numbers that depend on others": [
        "depth-beyond-the-model", "draw-warmup-both", "drop-backwards", "greedy-more-than-there-are", "needs-seed", "stop-max",
        "stop-max-of-tasks", "too-many-jobs", "too-many-points", "zip-lengths"],
    "what one part of the file allows another": [
        "greedy-elsewhere", "greedy-tpe", "range-in-a-grid", "stop-epochs-sampled", "where-of-a-draw", "zip-of-ranges"],
    "what only expansion shows": ["follow-on", "from-makes-no-job", "needs-nothing"],
    "how it is written": ["duplicate-key", "not-utf8", "tag"],
    "other files": ["include-circle", "include-missing"],
}


def core_schema_loader():
    """YAML 1.2's core schema, as editors read it: 1e-4 is a number, `no` is a text."""
    import yaml

    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers = {}

    for tag, pattern, first in [("bool", r"^(?:true|false)$", "tf"), ("int", r"^[-+]?[0-9]+$", "-+0123456789"),
                                ("float", r"^[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$", "-+.0123456789"),
                                ("null", r"^(?:~|null|)$", ["~", "n", ""])]:
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), list(first))
    Loader.add_constructor("tag:yaml.org,2002:float", lambda loader, node: float(node.value))
    Loader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(node.value))
    return Loader


def problems(text):
    """What the schema has against the text; None where it is no YAML at all."""
    import jsonschema_rs
    import yaml
    if not hasattr(problems, "validator"):
        problems.validator = jsonschema_rs.Draft202012Validator(json.loads((ROOT / "docs" / "sweep.schema.json").read_text()))
        problems.loader = core_schema_loader()
    try:
        document = yaml.load(text, problems.loader)
    except (yaml.YAMLError, RecursionError):
        return None
    try:
        return [f"{'/'.join(map(str, e.instance_path))}: {e.message[:200]}" for e in problems.validator.iter_errors(document)]
    except ValueError:  # deeper than a reader goes, or without an end
        return None


def valid_files():
    for pattern in ("tests/golden/sweeps/*.yaml", "tests/golden/sweeps/table/*.yaml", "tests/golden/search/*.yaml",
                    "tests/quality/*.yaml", "configs/sweeps/*.yaml"):
        for file in sorted(ROOT.glob(pattern)):
            text = file.read_text()
            # Files to be included are no sweeps by themselves.
            whole = all(re.search(rf"^{key}:", text, re.M) for key in ("name", "model", "tasks", "stages"))
            yield file.relative_to(ROOT), text if whole or re.search("^include:", text, re.M) else "include: x.yaml\n" + text
    for name in ("docs/sweeps.md", "README.md"):
        for i, block in enumerate(re.findall(r"```yaml\n(version: 1\n.*?)```", (ROOT / name).read_text(), re.S)):
            yield f"{name}, example {i + 1}", block
    specification = ROOT.parent / "shared" / "SWEEPS.md"
    if specification.exists():
        yield specification.name, re.search(r"```yaml\n(version: 1.*?)```", specification.read_text(), re.S)[1]
    for file in sorted(GOLDEN.glob("sweeps/import/*.txt")):
        text = file.read_text()
        if "# to be changed:" not in text:
            yield file.relative_to(ROOT), text


def what_the_parser_takes_the_schema_takes():
    files = list(valid_files())
    expect(len(files) > 60, f"only {len(files)} files")
    refused = [f"{name}: {found}" for name, text in files if (found := problems(text)) != []]
    expect(not refused, "refused:\n" + "\n".join(refused))


def mistakes_of_structure_are_refused():
    listed = [name for names in UNSEEN.values() for name in names]
    expect(len(listed) == len(set(listed)), "a file is listed twice")
    passed = []
    for file in sorted(ERRORS.glob("*.yaml")):
        found = problems(file.read_text(errors="replace"))
        if found == []:
            passed.append(file.stem)
    passed.sort()
    expect(sorted(listed) == passed, f"passed without being listed: {sorted(set(passed) - set(listed))}; "
                                     f"listed and refused: {sorted(set(listed) - set(passed))}")


def keys_belong_where_the_parser_has_them():
    head = "version: 1\nname: t\nmodel: {path: m}\ntasks: {a: {path: d}}\n"
    good = ["stages: {adapter: }", "stages: {big: {kind: adapter, drop: {robust: true}}}", "stages: {fusion: {kind: adapter}}",
            "parameters: {lr: {min: 1e-5, max: 1e-3, scale: log, samples: 3}, train.batch: 8..10}\nstages: {adapter: {}}"]
    bad = ["stages: {adapter: {keep: 1}}", "stages: {big: {drop: {robust: true}}}", "stages: {fusion: {kind: adapter, sets: [all]}}",
           "parameters: {lr: {vlaues: [1]}}\nstages: {adapter: {}}", "parameters: {lr: {values: [1], min: 2}}\nstages: {adapter: {}}",
           "parameters: {lr: {min: 0, max: 1, samples: 3}}\nstages: {adapter: {}}", "parameters: {batch: [8.5]}\nstages: {adapter: {}}",
           "stages: {adapter: {}, fusion: {needs: {from: adapter}, sets: [all]}, prune: {from: fusion, keep: 1, retrain: true}}",
           "stages: {adapter: {stop: {method: asha, quantile: 0.2}}}", "stages: {}", "limits: {wall: 90}\nstages: {adapter: {}}"]
    for text in good:
        expect(problems(head + text) == [], f"refused: {text}: {problems(head + text)}")
    for text in bad:
        expect(problems(head + text), f"taken: {text}")
    expect(problems("include: base.yaml\ntrain: {epochs: 2}\nstages: {adapter: {drop: {robust: 0..2}}}") == [], "a file laid over another")
    expect(problems("include: base.yaml\ntrain: {epcohs: 2}"), "an unknown key in a file laid over another")


def with_tools():
    if not PYTHON.exists():
        raise Skip(f"no {PYTHON}; deploy/install-deps tests installs it")


if __name__ == "__main__":
    if PYTHON.exists() and pathlib.Path(sys.prefix) != PYTHON.parent.parent:
        os.execv(PYTHON, [str(PYTHON), *sys.argv])
    sys.exit(run_tests([with_tools] if not PYTHON.exists() else
                       [what_the_parser_takes_the_schema_takes, mistakes_of_structure_are_refused, keys_belong_where_the_parser_has_them]))
