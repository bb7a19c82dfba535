"""Runs the tests part by part, counts results and prints the minutes of each part. Called by tests/run."""
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOG = ROOT / "build" / "tests.log"
RELEASE = ROOT / "build" / "release"
DEV = ROOT / "build" / "dev"
CACHE = pathlib.Path(os.environ["FATHOM_CACHE"])
SHARED = ROOT.parent / "shared"
CLOSING = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\s*$")
# What parses outside bytes (frames, tables, sweep files, tokenizer.json) is tested under the sanitizers, the rest as it
# ships; `tests/run long` puts all but the trainer under them.
SANITIZED = ["common", "data", "sweeps", "tasks", "tokenizer"]
AS_SHIPPED = ["coordinator", "worker", "cli", "sim", "trainer"]
SIM_SEEDS = 2000
PLANTED = {"skip-fence": 100, "early-ack": 400, "double-rung": 5}  # bug: worlds within which it has to be found
FUZZ_SECONDS = int(os.environ.get("FATHOM_FUZZ_SECONDS", "20"))


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.notes = []

    def add(self, passed=0, failed=0, skipped=0):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped

    def fail(self, what):
        self.failed += 1
        self.notes.append("FAILED " + what)

    def skip(self, what):
        if os.environ.get("CI") and re.search(r"\.\./shared|shared/", what) and SHARED.is_dir():  # not "shared object"
            self.fail(what + " (may not be skipped here)")
            return
        self.skipped += 1
        self.notes.append("skipped " + what)


TALLY = Tally()
LONG = False


def environment():
    env = dict(os.environ)
    env.setdefault("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=0")
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    env["FATHOM_BIN"] = str(RELEASE / "bin")
    env["FATHOM_PYTHON"] = str(CACHE / "venv-adapters" / "bin" / "python")
    env["PYTHONDONTWRITEBYTECODE"] = "1"
    return env


def run(command, what, timeout, env=None):
    """Output goes to the log and is returned; a command that hangs is ended with its process group."""
    with open(LOG, "a") as log:
        log.write(f"\n== {what}: {' '.join(map(str, command))}\n")
    process = subprocess.Popen([str(c) for c in command], cwd=ROOT, env=env or environment(), text=True, errors="replace",
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        output, _ = process.communicate(timeout=timeout)
        code = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        output, _ = process.communicate()
        output += f"\nended after {timeout} s\n"
        code = 124
    with open(LOG, "a") as log:
        log.write(output)
    return code, output


def tail(output, lines=25):
    return "\n".join("    " + line for line in output.splitlines()[-lines:])


def gtest(program, what, filter_="*", timeout=600):
    if not program.exists():
        return TALLY.fail(f"{what}: {program.name} was not built")
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        code, output = run([program, f"--gtest_filter={filter_}", f"--gtest_output=json:{report.name}", "--gtest_brief=1"], what, timeout)
        try:
            suites = json.load(open(report.name))["testsuites"]
        except (ValueError, KeyError):
            print(tail(output))
            return TALLY.fail(f"{what}: ended with exit code {code} before its report")
    failures = 0
    for case in (c for s in suites for c in s["testsuite"]):
        name = f"{what}: {case['classname']}.{case['name']}"
        if case.get("failures"):
            failures += 1
            TALLY.fail(name)
            print(tail(case["failures"][0]["failure"], 12))
        elif case.get("result") == "SKIPPED":
            reason = " ".join(m.get("message", "") for m in case.get("skipped", []))
            TALLY.skip(f"{name} {reason}".strip().replace("\n", " "))
        elif case.get("result") == "COMPLETED":
            TALLY.add(passed=1)
    if code and not failures:
        print(tail(output))
        TALLY.fail(f"{what}: exit code {code} (a sanitizer's report?)")


def script(command, what, timeout=900):
    """A test program of another kind: its closing line counts, or else its exit status as one test."""
    code, output = run(command, what, timeout)
    closing = [m for m in map(CLOSING.match, output.splitlines()) if m]
    counts = [int(n or 0) for n in closing[-1].groups()] if closing else ([1, 0, 0] if code == 0 else [0, 1, 0])
    if code and not counts[1]:
        counts[1] = 1
    TALLY.add(*counts)
    for line in output.splitlines():
        if line.startswith(("skipped", "SKIP")):
            TALLY.notes.append(f"{what}: {line}")
    if counts[1]:
        TALLY.notes.append(f"FAILED {what}")
        print(tail(output, 40))


def deploy(function, *arguments):
    command = f'. "{ROOT}/deploy/common.sh"; {function} ' + " ".join(arguments)
    code, output = run(["bash", "-euo", "pipefail", "-c", command], function, 3600, dict(os.environ, LOG=str(LOG)))
    if code:
        print(tail(output))
        raise SystemExit(finish(f"{function} {' '.join(arguments)} failed"))


def install():
    code, output = run([ROOT / "deploy" / "install-deps", "tests"], "install", 1800, dict(os.environ, LOG=str(LOG)))
    if code:
        print(tail(output))
        raise SystemExit(finish("installing failed"))


def build(parts):
    deploy("build", "release", "fathom", "fathom-coordinator", "fathom-worker", "fathom-trainer", "noop_trainer", "link_tests", "fathom_sim", "fathom_sim_planted",
           *[f"unit_{area}" for area in {*AS_SHIPPED, "trainer", "tokenizer", "sweeps"}])
    if "unit" in parts:
        deploy("build", "dev", *[f"unit_{area}" for area in SANITIZED])
    if "fuzz" in parts:
        deploy("build", "fuzz", "fuzzers")


def part_check():
    TALLY.add(passed=1)  # the link tests were built: each library links alone with what it declares
    for path in sorted((ROOT / "tests" / "check").glob("*.py")):
        script(["python3", path], f"check {path.stem}", 300)


def part_unit():
    for area in SANITIZED:
        gtest(DEV / "bin" / f"unit_{area}", f"unit {area}", "-*Golden*")
    for area in AS_SHIPPED:
        gtest(RELEASE / "bin" / f"unit_{area}", f"unit {area}", "-*Golden*:Gpu.*")
    # Theirs need nothing of ../shared.
    gtest(DEV / "bin" / "unit_sweeps", "unit sweeps, golden files", "*Golden*-RandomFilesGolden*")
    gtest(RELEASE / "bin" / "unit_sweeps", "unit sweeps, random files", "RandomFilesGolden*")  # minutes under the sanitizers


def part_golden():
    if not SHARED.is_dir():
        return TALLY.skip("golden: ../shared is absent, the reference outputs are not part of the project")
    for area in ("tokenizer", "trainer"):
        gtest(RELEASE / "bin" / f"unit_{area}", f"golden {area}", "*Golden*")


def scripts(folder, pattern, timeout):
    for path in sorted((ROOT / "tests" / folder).glob(pattern)):
        script(["python3", path], f"{folder} {path.stem}", timeout)


def part_interop():
    scripts("e2e", "interop_*_test.py", 600)


def part_e2e():
    for path in sorted((ROOT / "tests" / "e2e").glob("*_test.py")):
        if not path.name.startswith(("interop_", "kill_")):
            script(["python3", path], f"e2e {path.stem}", 1800)


def part_kills():
    scripts("e2e", "kill_*_test.py", 7200 if LONG else 900)


def part_sim():
    seeds = 20 * SIM_SEEDS if LONG else SIM_SEEDS
    halves = [["--seeds", seeds - seeds // 2], ["--first", 1 + seeds - seeds // 2, "--seeds", seeds // 2]]
    with concurrent.futures.ThreadPoolExecutor() as pool:  # two processes: worlds share nothing
        outputs = list(pool.map(lambda half: run([RELEASE / "bin" / "fathom_sim", *half], "sim", 600 + seeds), halves))
    for code, output in outputs:
        TALLY.add(passed=int(code == 0))
        if code:
            TALLY.fail("sim: a world is broken")
        print(tail(output, 60 if code else 1))
    for bug, worlds in PLANTED.items():
        code, output = run([RELEASE / "bin" / "fathom_sim_planted", "--planted", bug, "--seeds", worlds], f"sim {bug}", 600)
        TALLY.add(passed=int(code == 0))
        if code:
            TALLY.fail(f"sim: the planted bug {bug} was not found")
        print(tail(output, 1))


def part_browser():
    scripts("browser", "*_test.py", 600)


def part_fuzz():
    for program in sorted((ROOT / "build" / "fuzz" / "bin").glob("*_fuzz")):
        with tempfile.TemporaryDirectory() as corpus:
            seeds = ROOT / "tests" / "fuzz" / "corpus" / program.name
            folders = [corpus] + ([seeds] if seeds.is_dir() else [])
            seconds = 3600 if LONG else FUZZ_SECONDS
            code, output = run([program, f"-max_total_time={seconds}", "-rss_limit_mb=2048", "-timeout=10",
                                f"-artifact_prefix={ROOT}/build/fuzz/", *folders], f"fuzz {program.name}", seconds + 120)
            if code:
                print(tail(output))
                TALLY.fail(f"fuzz {program.name}")
            else:
                TALLY.add(passed=1)


def part_cuda():
    code, _ = run(["bash", "-c", f'. "{ROOT}/deploy/common.sh"; test -n "$(find_nvcc)"'], "look for nvcc", 10)
    if code:
        return TALLY.skip("cuda: no CUDA toolkit here, the CUDA module is not built")
    if pathlib.Path("/dev/nvidiactl").exists():  # with a driver, what the module loads has to be whole
        run([ROOT / "deploy" / "install-deps", "cuda"], "install cuda", 1800, dict(os.environ, LOG=str(LOG)))
    deploy("build", "cuda", "fathom-trainer", "unit_trainer")
    TALLY.add(passed=1)  # the CUDA trainer and its module compile and link
    gtest(ROOT / "build" / "cuda" / "bin" / "unit_trainer", "cuda", "Gpu.*")


PARTS = {"check": part_check, "unit": part_unit, "golden": part_golden, "interop": part_interop, "e2e": part_e2e,
         "kills": part_kills, "sim": part_sim, "browser": part_browser, "fuzz": part_fuzz, "cuda": part_cuda}


def finish(trouble=None):
    if trouble:
        TALLY.fail(trouble)
    for note in TALLY.notes:
        print(note)
    print(f"log: {LOG.relative_to(ROOT)}")
    print(f"{TALLY.passed} passed, {TALLY.failed} failed, {TALLY.skipped} skipped")
    return 1 if TALLY.failed or not TALLY.passed else 0


def timed(name, function, *arguments):
    start = time.monotonic()
    before = (TALLY.passed, TALLY.failed, TALLY.skipped)
    function(*arguments)
    counts = [now - then for now, then in zip((TALLY.passed, TALLY.failed, TALLY.skipped), before)]
    print(f"{name:8} {(time.monotonic() - start) / 60:5.1f} min   {counts[0]} passed, {counts[1]} failed, {counts[2]} skipped", flush=True)


def main(arguments):
    global LONG, SIM_SEEDS
    LONG = "long" in arguments
    arguments = list(arguments)
    if "--seeds" in arguments:
        at = arguments.index("--seeds")
        if not arguments[at + 1:] or not arguments[at + 1].isdigit() or int(arguments[at + 1]) < 2:
            print("tests/run: --seeds needs a number from 2 up", file=sys.stderr)
            return 2
        SIM_SEEDS = int(arguments[at + 1])
        del arguments[at:at + 2]
    parts = [a for a in arguments if a != "long"] or list(PARTS)
    unknown = [p for p in parts if p not in PARTS]
    if unknown:
        print(f"tests/run: unknown part '{unknown[0]}'; parts: {' '.join(PARTS)}", file=sys.stderr)
        return 2
    if LONG:
        os.environ["FATHOM_LONG"] = "1"
        SANITIZED.extend(area for area in AS_SHIPPED if area != "trainer")
        AS_SHIPPED[:] = ["trainer"]
    if not SHARED.is_dir():
        print("note: ../shared is absent; tests against the real library's outputs are skipped")
    timed("install", install)
    timed("build", build, parts)
    for part in parts:
        timed(part, PARTS[part])
    return finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
