#!/usr/bin/env python3
"""schemathesis against the OpenAPI document of a running coordinator: no answer of 500, no status, header or content type that
the document does not name, no invalid input accepted, no route without its token."""
import os
import pathlib
import subprocess
import sys

import noop_sweep
from harness import CACHE, Cluster, Skip, expect, run_tests, wait_until

PROGRAM = pathlib.Path(os.environ.get("FATHOM_SCHEMATHESIS", CACHE / "venv-schemathesis" / "bin" / "schemathesis"))
# Not checked: positive_data_acceptance, since a sweep file and a cursor are languages of their own that a JSON schema does not
# describe; ignored_auth, since addresses that fail often are told to wait (unit: TokensTest asks every route with every role).
# Not asked: the event stream, which has no end (unit: EventsTest).
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance," \
         "response_schema_conformance,negative_data_rejection,missing_required_header,unsupported_method"
SWEEP = noop_sweep.sweep("one", tasks=("a",), rates=("1e-3",), seeds=1, epochs=2, stages=False).replace(", specialized: [2]", "")


def fuzz(cluster, parameters):
    """Runs schemathesis with these values for the parts of paths; any others are made up."""
    folder = cluster.folder / "schemathesis"
    folder.mkdir(exist_ok=True)
    (folder / "schemathesis.toml").write_text("[parameters]\n" + "".join(f'"path.{k}" = "{v}"\n' for k, v in parameters.items()))
    address = f"https://127.0.0.1:{cluster.port}"
    token = (cluster.state / "token").read_text().strip()
    done = subprocess.run(
        [PROGRAM, "run", f"{address}/api/v1/openapi.json", "--url", address, "--header", f"Authorization: Bearer {token}",
         "--exclude-path", "/api/v1/events", "--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--max-examples", "12",
         "--generation-deterministic", "--continue-on-failure", "--request-timeout", "20", "--suppress-health-check", "all", "--no-color"],
        cwd=folder, env=dict(cluster.environment, REQUESTS_CA_BUNDLE=str(cluster.state / "coordinator" / "tls" / "ca.pem")),
        capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)
    expect(done.returncode == 0, f"schemathesis found something:\n{done.stdout[-8000:]}{done.stderr[-2000:]}")
    print("\n".join(line for line in done.stdout.splitlines() if "generated" in line or "Tested" in line))


def the_document_and_the_coordinator_agree():
    if not PROGRAM.exists():
        raise Skip(f"no schemathesis at {PROGRAM}; deploy/install-deps tests installs it")
    with Cluster(devices="cpu:1") as cluster:
        cluster.start_coordinator()
        cluster.start_worker()
        cluster.submit(SWEEP)
        wait_until("the job succeeds", lambda: cluster.items("/api/v1/sweeps/one/jobs")[0]["state"] == "succeeded")
        fuzz(cluster, {})
        # What a job has to show is looked at only where there is one.
        fuzz(cluster, {"sweep": "one", "job": cluster.items("/api/v1/sweeps/one/jobs")[0]["id"], "worker": "worker"})
        cluster.alive("coordinator")
        log = (cluster.folder / "coordinator.log").read_text()
        expect("request failed" not in log, f"an exception of a handler: {log[-2000:]}")


if __name__ == "__main__":
    sys.exit(run_tests([the_document_and_the_coordinator_agree]))
