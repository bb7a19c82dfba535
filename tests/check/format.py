"""Style: every C++ file is as .clang-format says. clang-format 14, Debian 12's: versions differ in their judgement."""
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def main():
    tool = shutil.which("clang-format-14")
    if not tool:
        print("skipped format: clang-format-14 is not installed")
        print("0 passed, 0 failed, 1 skipped")
        return 0
    files = subprocess.run(["git", "ls-files", "*.cpp", "*.hpp"], cwd=ROOT, capture_output=True, text=True, check=True)
    present = [name for name in files.stdout.split() if (ROOT / name).exists()]
    report = subprocess.run([tool, "--dry-run", "-Werror", *present], cwd=ROOT, capture_output=True, text=True)
    wrong = sorted({line.split(":")[0] for line in report.stderr.splitlines() if ": error:" in line})
    for name in wrong:
        print(f"{name}: not formatted; run clang-format-14 -i {name}")
    failed = 1 if wrong or report.returncode else 0
    print(f"{1 - failed} passed, {failed} failed, 0 skipped")
    return failed


if __name__ == "__main__":
    sys.exit(main())
