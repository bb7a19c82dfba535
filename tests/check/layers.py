"""Layers: which folder may include what, ours and third parties', and that the map in docs/architecture.md is whole."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
ALLOWED = {  # folder: folders of ours that it may include besides itself
    "common": [],
    "data": ["common"],
    "sweeps": ["common"],
    "coordinator/core": ["sweeps", "common"],
    "coordinator/store": ["coordinator/core", "sweeps", "common"],
    "coordinator/artifacts": ["common"],
    "coordinator/telemetry": ["common"],
    "coordinator/api": ["coordinator", "sweeps", "common"],
    "coordinator": ["coordinator", "sweeps", "common"],
    "worker": ["data", "common"],
    "trainer/tokenizer": ["common"],
    "trainer/gpu": ["trainer", "common"],
    "trainer/mpi": [],
    "trainer": ["trainer", "data", "common"],
    "cli": ["data", "sweeps", "common"],
}
FENCED = {  # pattern of an include: folders (or files) where it may stand
    r"(torch|ATen|c10)/": ["trainer"],
    r"(cuda|nccl)[\w./]*\.h$": ["trainer/gpu"],
    r"mpi[\w./]*\.h$": ["trainer/mpi"],
    r"sqlite3\.h|libpq-fe\.h": ["coordinator/store"],
    r"boost/beast": ["common/net", "coordinator/api", "cli"],
    r"yaml-cpp/": ["common/config", "common/yaml", "sweeps"],
    r"prometheus/": ["coordinator/telemetry"],
}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)
TOP = ("common", "data", "sweeps", "coordinator", "worker", "trainer", "cli")


def folder_of(name):
    return max((f for f in ALLOWED if name == f or name.startswith(f + "/")), key=len)


def main():
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    problems, files = [], 0
    for name in names:
        if not name.endswith((".cpp", ".hpp", ".cu")) or name.split("/")[0] not in TOP or not (ROOT / name).exists():
            continue
        files += 1
        folder = folder_of(name)
        for _, include in INCLUDE.findall((ROOT / name).read_text()):
            if include.split("/")[0] in TOP and "/" in include:
                allowed = [folder, *ALLOWED[folder]]
                if not any(include.startswith(a + "/") for a in allowed):
                    problems.append(f"{name}: {folder} may not include {include}")
            for pattern, places in FENCED.items():
                if re.match(pattern, include) and not any(name.startswith(p) for p in places):
                    problems.append(f"{name}: {include} is fenced to {', '.join(places)}")
    document = (ROOT / "docs" / "architecture.md").read_text()
    for folder in sorted({"/".join(n.split("/")[:-1]) for n in names if n.endswith(".cpp") and n.split("/")[0] in TOP}):
        if f"`{folder}/`" not in document:
            problems.append(f"docs/architecture.md does not name `{folder}/`")
    for problem in problems:
        print(problem)
    print(f"{files - len(problems)} passed, {len(problems)} failed, 0 skipped")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
