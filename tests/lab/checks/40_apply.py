"""What apply, plan and down promise about the node."""

import json
import os

from labkit import CONFIG, Lab, changes, look


def operations(text):
    """A plan's lines below its title."""
    return text.splitlines()[1:]


def plan_apply_and_again(checks):
    """plan says what apply then does; a second apply does nothing and says so"""
    with Lab() as lab:
        for node in [*lab.servers, "dir1"]:
            plan = lab.lbctl(node, "plan")
            pending = lab.lbctl(node, "plan", "--detailed-exitcode", check=False)
            applied = lab.lbctl(node, "apply")
            checks.that(f"{node}: plan lists changes and exits 2 when asked to",
                        len(operations(plan.stdout)) > 3 and pending.returncode == 2, plan.stdout + plan.stderr)
            checks.equal(f"{node}: apply did what plan had said, line by line",
                         operations(applied.stdout), operations(plan.stdout))
        for node in lab.members:
            before = look(node)
            again = lab.lbctl(node, "apply")
            document = json.loads(lab.lbctl(node, "apply", "-j").stdout)
            checks.that(f"{node}: a second apply says that there is nothing to do",
                        "nothing to do" in again.stdout and document["result"] == "nothing_to_do", again.stdout)
            checks.equal(f"{node}: and changes nothing", changes(before, look(node)), [])
            rest = lab.lbctl(node, "plan", "--detailed-exitcode", check=False)
            checks.equal(f"{node}: and nothing is pending", rest.returncode, 0)


def down_leaves_no_trace(checks):
    """after down every namespace is exactly as it was before apply"""
    with Lab() as lab:
        look("dir1")
        before = {node: look(node) for node in lab.members}
        lab.apply()
        for node in lab.members:
            checks.that(f"{node}: apply changed the namespace", changes(before[node], look(node)), "no change seen")
        for node in lab.members:
            lab.lbctl(node, "down")
        for node in lab.members:
            checks.equal(f"{node}: down left everything as it was", changes(before[node], look(node)), [])
            again = lab.lbctl(node, "down")
            checks.that(f"{node}: a second down says that there is nothing to do",
                        "nothing to do" in again.stdout, again.stdout)


def wrong_file(checks):
    """an error in the file: file:line:column, the line, a marker, exit 3, nothing touched"""
    with Lab() as lab:
        bad = os.path.join(lab.folder, "bad.toml")
        with open(CONFIG, encoding="utf-8") as file:
            text = file.read()
        with open(bad, "w", encoding="utf-8") as file:
            file.write(text.replace("scheduler_flags", "schedular_flags"))
        number = next(n for n, line in enumerate(open(bad, encoding="utf-8"), 1) if "schedular" in line)
        for node in ("dir1", "rs1"):
            look(node)
            before = look(node)
            for command in ("apply", "plan", "check"):
                done = lab.lbctl(node, command, check=False, config=bad)
                said = done.stdout + done.stderr
                checks.equal(f"{node}: {command} exits 3", done.returncode, 3)
                checks.that(f"{node}: {command} names file, line and column", f"{bad}:{number}:1" in said, said)
                checks.that(f"{node}: {command} shows the line and a marker",
                            "schedular_flags = [" in said and "^" in said, said)
            checks.equal(f"{node}: nothing was touched", changes(before, look(node)), [])


SCENARIOS = [plan_apply_and_again, down_leaves_no_trace, wrong_file]
