"""Every test that docs/reliability.md and docs/security.md name exists."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def main():
    units = {f"{suite}.{name}" for path in (ROOT / "tests" / "unit").rglob("*.cpp")
             for suite, name in re.findall(r"^TEST(?:_F|_P)?\((\w+),\s*(\w+)\)", path.read_text(), re.M)}
    scripts = {f"{path.stem}: {name}" for folder in ("e2e", "browser") for path in (ROOT / "tests" / folder).glob("*.py")
               for name in re.findall(r"^\s*def (\w+)\(", path.read_text(), re.M)}
    fuzzers = {path.stem for path in (ROOT / "tests" / "fuzz").glob("*_fuzz.cpp")}
    text = (ROOT / "docs" / "reliability.md").read_text()
    rows = [line for line in text.splitlines() if re.match(r"\| \d+ \|", line)]
    missing = [] if [int(line.split("|")[1]) for line in rows] == list(range(1, 43)) else ["a row of the table"]
    named = [name for line in rows for name in re.findall(r"`([^`]+)`", line.split("|")[4])]
    security = (ROOT / "docs" / "security.md").read_text()
    named += re.findall(r"`([A-Z]\w*\.[A-Z]\w+|\w+_test: \w+)`", security)
    missing += [name for name in named if name not in units | scripts | fuzzers]
    for name in missing:
        print(f"docs name {name}, which does not exist")
    print(f"{len(named) + 1 - len(missing)} passed, {len(missing)} failed, 0 skipped")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
