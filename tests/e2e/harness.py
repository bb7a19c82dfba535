"""Starts, kills and restarts the real programs on temporary folders. Nothing outlives a Cluster: on leaving it every
process it started is ended by its pid, and one that got away (an orphan) is a failure."""
import http.client
import importlib.util
import json
import os
import pathlib
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("FATHOM_BIN", ROOT / "build" / "release" / "bin"))
CACHE = pathlib.Path(os.environ.get("FATHOM_CACHE", pathlib.Path.home() / ".cache" / "fathom"))
PYTHON = os.environ.get("FATHOM_PYTHON", str(CACHE / "venv-adapters" / "bin" / "python"))  # has AdapterHub's library
TAG = "FATHOM_TEST_TAG"  # in the environment of everything that is started here, so that orphans can be found

# An ended test ends what it started, as an interrupted one does.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


class Failure(AssertionError):
    pass


class Skip(Exception):
    """The machine lacks what this test needs; the text says what."""


def expect(condition, text):
    if not condition:
        raise Failure(text)


def wait_until(what, condition, seconds=30.0, step=0.05):
    """Returns the first true value of condition(); Failure when there is none in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(step)
    raise Failure(f"{what}: not within {seconds:.0f} s")


def run_tests(tests):
    """Runs each function, prints what failed and the closing line; returns the exit code."""
    failed = skipped = 0
    for test in tests:
        name = test.__name__.replace("_", " ")
        try:
            test()
            print(f"ok {name}", flush=True)
        except Skip as reason:
            skipped += 1
            print(f"skipped {name}: {reason}", flush=True)
        except (AssertionError, OSError, ValueError, KeyError) as error:
            failed += 1
            print(f"FAILED {name}: {type(error).__name__}: {error}", flush=True)
    print(f"{len(tests) - failed - skipped} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


def use_library_interpreter(module):
    """Goes on in the interpreter that has AdapterHub's library where this one lacks `module`. False: there is none, and the
    closing line of a skipped test has been printed."""
    if importlib.util.find_spec(module):
        return True
    if sys.executable == PYTHON or not pathlib.Path(PYTHON).exists():
        print(f"skipped: no interpreter with {module}\n0 passed, 0 failed, 1 skipped")
        return False
    sys.stdout.flush()
    os.execv(PYTHON, [PYTHON, *sys.argv])


class Unreachable(Exception):
    """The coordinator did not answer; whether it took the request is not known."""


class Cluster:
    """One coordinator and any number of workers, each killed and restarted as the test likes."""

    def __init__(self, trainer=None, root=None, devices="cpu:1,cpu:1", slots=2, lease_ms=2000, heartbeat_ms=500, environment=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="fathom-e2e-"))
        self.folder.chmod(0o777)  # trainers of a worker that runs as root are another user and write their side effects here
        self.state = self.folder / "state"
        self.root = pathlib.Path(root) if root else self.folder
        self.trainer = trainer or BIN / "noop_trainer"
        self.devices, self.slots = devices, slots
        self.timing = ["--lease-ms", str(lease_ms), "--heartbeat-ms", str(heartbeat_ms)]
        self.tag = uuid.uuid4().hex
        self.environment = dict(os.environ, **(environment or {}), **{TAG: self.tag})
        self.port = 0
        self.processes = {}  # name: Popen

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        for name in sorted(self.processes, reverse=True):  # workers before their coordinator
            self.end(name)
        orphans = self.survivors(3.0)
        for pid in orphans:
            os.kill(pid, signal.SIGKILL)
        if kind is not None and kind is not Skip:
            self.show_logs()
        shutil.rmtree(self.folder, ignore_errors=True)
        if kind is None:
            expect(not orphans, f"processes {orphans} outlived the programs that started them")

    # ---- processes
    def start(self, name, command):
        with open(self.folder / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                    cwd=self.folder, env=self.environment)
        return self.processes[name]

    def start_coordinator(self, *arguments, wait=True):
        address = self.state / "coordinator" / "address"
        if not self.port:
            address.unlink(missing_ok=True)
        process = self.start("coordinator", [BIN / "fathom-coordinator", "--state", self.state, "--listen",
                                             f"127.0.0.1:{self.port}", *self.timing, *arguments])
        if not self.port:
            wait_until("the coordinator's address", lambda: self.alive("coordinator") and address.exists())
            self.port = int(address.read_text().rsplit(":", 1)[1])
        if wait:
            wait_until("the coordinator answers", lambda: self.alive("coordinator") and self.reachable())
        return process

    def start_worker(self, name="worker", *arguments):
        return self.start(name, [BIN / "fathom-worker", "--coordinator", f"127.0.0.1:{self.port}", "--join-token", self.state / "join-token",
                                 "--state", self.folder / f"{name}-state", "--root", self.root, "--devices", self.devices, "--slots",
                                 str(self.slots), "--trainer", self.trainer, "--name", name, *arguments])

    def alive(self, name):
        code = self.processes[name].poll()
        expect(code is None, f"{name} ended with {code}: {self.log_tail(name)}")
        return True

    def kill(self, name):
        """kill -9, as a power cut would: no handler runs."""
        process = self.processes[name]
        process.kill()
        process.wait()

    def terminate(self, name, seconds=20):
        """SIGTERM; the exit code."""
        process = self.processes[name]
        process.terminate()
        return process.wait(seconds)

    def end(self, name):
        process = self.processes[name]
        if process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def trainers(self, name="worker"):
        """Pids of a worker's trainers."""
        found = []
        for task in pathlib.Path(f"/proc/{self.processes[name].pid}/task").glob("*"):
            try:
                found += [int(pid) for pid in (task / "children").read_text().split()]
            except OSError:
                pass  # the thread or the worker has just ended
        return sorted(found)

    def kill_trainer(self, random, name="worker"):
        trainers = self.trainers(name)
        if trainers:
            try:
                os.kill(random.choice(trainers), signal.SIGKILL)
            except ProcessLookupError:
                pass

    def survivors(self, seconds):
        """Pids of processes with our tag that are left after so long."""
        wanted = f"{TAG}={self.tag}".encode()
        deadline = time.monotonic() + seconds
        while True:
            found = []
            for entry in pathlib.Path("/proc").iterdir():
                if not entry.name.isdigit() or int(entry.name) == os.getpid():
                    continue
                try:
                    if wanted in (entry / "environ").read_bytes().split(b"\0"):
                        found.append(int(entry.name))
                except OSError:
                    pass
            if not found or time.monotonic() > deadline:
                return found
            time.sleep(0.05)

    def log_tail(self, name, lines=15):
        try:
            return "\n".join((self.folder / f"{name}.log").read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""

    def show_logs(self):
        for name in self.processes:
            print(f"---- {name}.log\n{self.log_tail(name, 40)}", file=sys.stderr)

    # ---- the coordinator's interface
    def request(self, method, path, body=None, headers=None, timeout=10):
        """(status, body); Unreachable when there is no whole answer."""
        try:
            context = ssl.create_default_context(cafile=self.state / "coordinator" / "tls" / "ca.pem")
            token = (self.state / "token").read_text().strip()
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=context)
            try:
                data = None if body is None else json.dumps(body)
                fields = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", **(headers or {})}
                connection.request(method, path, data, fields)
                answer = connection.getresponse()
                return answer.status, answer.read()
            finally:
                connection.close()
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(str(error)) from error

    def reachable(self):
        try:
            return self.request("GET", "/healthz")[0] == 200
        except Unreachable:
            return False

    def api(self, method, path, body=None, headers=None, ok=(200, 201, 202)):
        status, data = self.request(method, path, body, headers)
        expect(status in ok, f"{method} {path}: status {status}: {data[:500]!r}")
        return json.loads(data)

    def items(self, path):
        """Every item of a paged list."""
        found, cursor = [], None
        while True:
            separator = "&" if "?" in path else "?"
            page = self.api("GET", f"{path}{separator}limit=1000" + (f"&cursor={cursor}" if cursor else ""))
            found += page["items"]
            cursor = page.get("next")
            if not cursor:
                return found

    def submit(self, yaml, name=None, key=None):
        body = {"yaml": yaml, "file": "test.yaml"}
        if name:
            body["name"] = name
        return self.api("POST", "/api/v1/sweeps", body, {"Idempotency-Key": key or uuid.uuid4().hex})

    def submit_for_certain(self, yaml, name, seconds=30):
        """Submits through a coordinator that comes and goes: the same key until there is an answer."""
        key = uuid.uuid4().hex

        def once():
            try:
                return self.submit(yaml, name, key)
            except Unreachable:
                return None

        return wait_until(f"submit of {name}", once, seconds)
