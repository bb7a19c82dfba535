"""`fathom-trainer check` on a folder that AdapterHub's library has just made: other names, widths, layers and seeds than those of
the stored reference data, base models in shards, and the layouts of the library's predecessors."""
import json
import pathlib
import subprocess
import sys
import tempfile

import demo
from harness import PYTHON

HERE = pathlib.Path(__file__).resolve().parent
TOOLS = demo.ROOT.parent / "shared" / "tools"
CASES = 2 * (6 + 4) + 2 * (5 + 1)


def check(folder, *arguments):
    command = [demo.BIN / "fathom-trainer", "check", folder, "--json", *arguments]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=300)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def main():
    if not TOOLS.is_dir():
        print("skipped: ../shared is absent, the scripts that make reference data are not part of the project")
        print("0 passed, 0 failed, 1 skipped")
        return 0
    with tempfile.TemporaryDirectory(prefix="fathom-check-") as folder:
        made = subprocess.run([PYTHON, str(HERE / "reference_folder.py"), str(TOOLS), folder], capture_output=True, text=True, timeout=500)

        def the_library_wrote_the_folder():
            demo.expect(made.returncode == 0, made.stderr[-2000:])

        def every_case_passes():
            code, cases, errors = check(folder)
            bad = [c for c in cases if c["status"] != "passed"]
            demo.expect(code == 0 and not bad and len(cases) == CASES, f"exit code {code}, {len(cases)} cases, {bad}, {errors}")

        def another_weight_fails():
            file = next(pathlib.Path(folder).glob("zwerg/heads/zweite/*.safetensors"))
            file.with_name("pytorch_model_head.bin").unlink()
            file.write_bytes(file.read_bytes()[:-2] + b"\x10\x41")  # the last weight is about 9
            code, cases, errors = check(folder, "--case", "zwerg/zwei*")
            demo.expect(code == 1 and [c["status"] for c in cases] == ["failed"], f"exit code {code}, {cases}, {errors}")

        return demo.run_tests([the_library_wrote_the_folder, every_case_passes, another_weight_fails])


if __name__ == "__main__":
    sys.exit(main())
