"""lbctl against the files of toml-test, the TOML suite: toml_suite.py LBCTL TOML-TEST/tests

Each right file must be read, each wrong one refused for what is no TOML. That keys and values of a
right one mean nothing to lbctl is no matter.
"""
import os
import re
import subprocess
import sys

LBCTL, TESTS = os.path.abspath(sys.argv[1]), sys.argv[2]
ABOUT_MEANING = re.compile(r'unknown key| must be | lacks "')


def is_toml(path):
    done = subprocess.run([LBCTL, "check", path], capture_output=True, text=True, errors="replace", cwd=TESTS,
                          check=False)
    if done.returncode not in (0, 3):
        return f"exit status {done.returncode}"
    errors = [line for line in done.stderr.splitlines() if line.startswith(path) and ": error: " in line]
    return not any(not ABOUT_MEANING.search(line) for line in errors)


with open(f"{TESTS}/files-toml-1.0.0", encoding="utf-8") as listing:
    files = [line.strip() for line in listing if line.strip().endswith(".toml")]
wrongly = [(path, found) for path in files if (found := is_toml(path)) is not path.startswith("valid/")]
for path, found in wrongly:
    print(path, {True: "read", False: "refused"}.get(found, found))
print(f"{len(files)} files, {len(wrongly)} judged wrongly")
sys.exit(bool(wrongly) or not files)
