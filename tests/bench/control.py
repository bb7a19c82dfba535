"""What the benchmarks of the coordinator share: a cluster of real programs with the no-op trainer, what a process has used, medians,
and JSON out. Method as HyperQueue's: workers answer at once, so that what is left is the way of a job through the programs; TLS 1.3 on,
every answer after its fsync."""
import json
import os
import pathlib
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
from harness import BIN, Cluster, expect, wait_until  # noqa: E402
from kept import Kept  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    """User and system time of a process so far."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def memory_mib(pid, field="VmRSS"):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    return 0.0


def written_mib(pid):
    """Bytes that the process caused to be sent to the disk."""
    for line in pathlib.Path(f"/proc/{pid}/io").read_text().splitlines():
        if line.startswith("write_bytes"):
            return int(line.split()[1]) / 2**20
    return 0.0


class Usage:
    """CPU seconds and disk bytes of the coordinator between two moments."""

    def __init__(self, cluster):
        self.pid = cluster.processes["coordinator"].pid
        self.cpu, self.written = cpu_seconds(self.pid), written_mib(self.pid)

    def since(self, jobs):
        return {"coordinator_cpu_us_per_job": 1e6 * (cpu_seconds(self.pid) - self.cpu) / max(jobs, 1),
                "coordinator_rss_mib": memory_mib(self.pid), "written_mib": written_mib(self.pid) - self.written}


def machine():
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown")
    return {"cpu": model, "cores": os.cpu_count(), "load": os.getloadavg()[0]}


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def medians(rounds):
    """The median of each number over the rounds; what is made of numbers is left to the rounds."""
    return {key: statistics.median(one[key] for one in rounds) for key, value in rounds[0].items() if not isinstance(value, dict)}


def publish(name, rounds, **more):
    print(json.dumps({"benchmark": name, "machine": machine(), **more, "median": medians(rounds), "rounds": rounds}, indent=1))


def grid(name, jobs, stages="  adapter: {}\n", **root):
    """A sweep of `jobs` adapters of one task that differ in their learning rate alone."""
    lines = ["version: 1", f"name: {name}", "model: {path: models/none}",
             "tasks: {a: {data: {train: a/train.tsv, eval: a/dev.tsv}, text: text, label: label}}", "train: {epochs: 1}",
             f"parameters: {{lr: {{min: 1e-6, max: 1e-1, scale: log, samples: {jobs}}}}}" if jobs > 1 else "parameters: {lr: [1e-3]}"]
    lines += [f"{key}: {value}" for key, value in root.items()] + ["stages:"]
    return "\n".join(lines) + "\n" + stages


def ended(cluster, sweep):
    return cluster.api("GET", f"/api/v1/sweeps/{sweep}")["state"] in ("succeeded", "failed", "cancelled")


def wait_for_end(cluster, sweep, seconds=600, every=0.02):
    """Asks over one kept connection, as `fathom watch` does: a TLS handshake for each question would cost more than the answers."""
    client = Kept(cluster)
    path = f"/api/v1/sweeps/{sweep}"
    wait_until(f"{sweep} ends", lambda: client.get(path)["state"] in ("succeeded", "failed", "cancelled"), seconds, every)
    state = client.get(path)
    if state["state"] != "succeeded":
        raise RuntimeError(f"{sweep} {state['state']}: {state['counts']}")
    return time.monotonic()
