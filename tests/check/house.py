"""House numbers: sizes of files and functions, share of comments, words that do not belong. See docs/contributing.md."""
import pathlib
import re
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FILE_MEDIAN, FILE_MAX = 120, 400
FUNCTION_MEDIAN, FUNCTION_P90, FUNCTION_MAX = 10, 35, 70
HEADER_COMMENTS = 0.25
FORBIDDEN = re.compile(r"\b(TODO|FIXME|XXX)\b|not implemented", re.I)


def tracked(*suffixes):
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    return [ROOT / n for n in names if n.endswith(suffixes) and (ROOT / n).exists()]


def blank(match):
    return re.sub(r"[^\n]", " ", match.group())


def code_only(text):
    """The text with comments and literals blanked out, line by line in place."""
    pattern = r'R"(\w*)\((?:.|\n)*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'|//[^\n]*|/\*(?:.|\n)*?\*/'
    return re.sub(r"^[ \t]*#[^\n]*", blank, re.sub(pattern, blank, text), flags=re.M)


def functions(text):
    """(first line, lines) of every function body that is not inside another one."""
    found, stack, start, line = [], [], 0, 1
    code = code_only(text)
    for i, c in enumerate(code):
        if c == "\n":
            line += 1
        elif c == "{":
            head = code[start:i]
            inside = any(kind == "function" for kind, _ in stack)
            scope = re.search(r"\b(namespace|class|struct|union|enum|extern)\b[^()]*$", head) or re.search(r"=\s*$", head)
            is_function = not inside and not scope and ")" in head
            lead = len(head) - len(head.lstrip())
            first = line - head[lead:].count("\n")
            stack.append(("function" if is_function else "other", first))
            start = i + 1
        elif c == "}":
            if stack:
                kind, first = stack.pop()
                if kind == "function":
                    found.append((first, line - first + 1))
            start = i + 1
        elif c == ";" and not any(kind == "function" for kind, _ in stack):
            start = i + 1
    return found


def comment_lines(text):
    """(lines that are or carry a comment, lines that are not blank)"""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    return sum("//" in line or line.startswith(("/*", "*")) for line in lines), len(lines)


def main():
    problems, checks = [], 0
    sources = tracked(".cpp", ".hpp", ".cu")
    lengths, sizes, comments = [], [], []
    for path in sources:
        text = path.read_text()
        name = path.relative_to(ROOT)
        count = text.count("\n")
        sizes.append(count)
        if count > FILE_MAX:
            problems.append(f"{name}: {count} lines, at most {FILE_MAX}")
        for first, length in functions(text):
            lengths.append(length)
            if length > FUNCTION_MAX:
                problems.append(f"{name}:{first}: a function of {length} lines, at most {FUNCTION_MAX}")
        if path.suffix == ".hpp" and "tests" not in name.parts:
            comments.append(comment_lines(text))
    for path in tracked(".cpp", ".hpp", ".cu", ".py", ".js", ".sh"):
        if path == pathlib.Path(__file__).resolve():
            continue
        for number, line in enumerate(path.read_text().split("\n"), 1):
            if FORBIDDEN.search(line):
                problems.append(f"{path.relative_to(ROOT)}:{number}: an unfinished place: {line.strip()[:80]}")
    lengths.sort()
    p90 = lengths[int(len(lengths) * 0.9)]
    for what, value, limit in (("median file", statistics.median(sizes), FILE_MEDIAN),
                               ("median function", statistics.median(lengths), FUNCTION_MEDIAN),
                               ("90th percentile of functions", p90, FUNCTION_P90)):
        checks += 1
        print(f"{what}: {value} lines (limit {limit})")
        if value > limit:
            problems.append(f"{what} has {value} lines, at most {limit}")
    share = sum(c for c, _ in comments) / max(1, sum(n for _, n in comments))
    checks += 1
    print(f"comments in public headers: {share:.0%} of lines (at least {HEADER_COMMENTS:.0%})")
    if share < HEADER_COMMENTS:
        problems.append(f"public headers have {share:.0%} comment lines, at least {HEADER_COMMENTS:.0%}")
    for problem in problems:
        print(problem)
    print(f"{checks + len(sources) - len(problems)} passed, {len(problems)} failed, 0 skipped")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
