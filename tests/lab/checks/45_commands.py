"""plan --commands: its lines, run by a shell, lead where apply leads."""

import difflib
import json

from labkit import Lab, on

# What an administrator would look at. Link-local addresses come from the MAC address, which is new
# in every lab; a service's place in ipvsadm's list comes from a hash.
LOOKS = {
    "ipvs": "ipvsadm -Sn | sort",
    "nft": "nft -s list ruleset",
    "addresses": "ip -d -o address show | grep -v 'scope link' | sort -k 2",
    "routes": "ip route show table all | grep -v fe80:",
    "endpoints": "ip mptcp endpoint; ip mptcp limits",
    "sysctls": "cd /proc/sys/net && grep -rs '' ipv4 ipv6 mptcp | grep -v tcp_fastopen_key | sort",
}


def look(node):
    return {name: on(node, "sh", "-c", command, check=False).stdout for name, command in LOOKS.items()}


def differences(one, other):
    out = []
    for name in LOOKS:
        out += [line for line in difflib.unified_diff(one[name].splitlines(), other[name].splitlines(),
                                                      f"{name} by commands", f"{name} by apply", lineterm="", n=0)]
    return out


def type_in(lab, node):
    """What plan --commands prints, run by a root shell; how that went."""
    script = lab.lbctl(node, "plan", "--commands").stdout
    return on(node, "sh", "-eu", input=script, check=False)


def lines_of(script):
    return [line for line in script.splitlines() if line and not line.startswith("#")]


def same_as_apply(checks):
    """on a director and on a real server: the commands make what apply makes"""
    bare, typed, applied = {}, {}, {}
    with Lab(servers=2) as lab:
        look("dir1")
        for node in lab.members:
            bare[node] = look(node)
            script = lab.lbctl(node, "plan", "--commands").stdout
            document = json.loads(lab.lbctl(node, "plan", "--commands", "-j").stdout)
            checks.equal(f"{node}: -j has the same lines", "\n".join(document["commands"]).splitlines(),
                         script.splitlines()[1:])
            checks.that(f"{node}: without --commands it has none",
                        "commands" not in json.loads(lab.lbctl(node, "plan", "-j").stdout))
            done = type_in(lab, node)
            checks.equal(f"{node}: sh -eu runs them all", (done.returncode, done.stderr), (0, ""))
            typed[node] = look(node)
            again = json.loads(lab.lbctl(node, "plan", "-j", check=False).stdout)
            checks.that(f"{node}: lbctl now calls the addresses foreign, and refuses",
                        again["result"] == "refused" and "lbctl did not make it" in str(again["refusals"]), again)
            left = [o for o in again["operations"] if o["subsystem"] in ("nft", "sysctl")]
            checks.equal(f"{node}: but the rules are its own, and the sysctls right", left, [])
    with Lab(servers=2) as lab:
        look("dir1")
        lab.apply()
        for node in lab.members:
            applied[node] = look(node)
    for node in bare:
        checks.that(f"{node}: there was something to compare", len(differences(bare[node], applied[node])) > 10)
        checks.equal(f"{node}: the state is that which apply makes", differences(typed[node], applied[node]), [])
    checks.that("the director has services, rules and endpoints' owners",
                "-A -t 192.0.2.100:443" in typed["dir1"]["ipvs"] and "192.0.2.111 counter : 192.0.2.11" in typed["dir1"]["nft"])


def later_changes(checks):
    """changes to what apply made: the commands leave nothing to do; a refused plan has no commands"""
    with Lab(servers=2) as lab:
        lab.apply()
        none = lab.lbctl("dir1", "plan", "--commands")
        checks.equal("with nothing to do there is only a comment", lines_of(none.stdout), [])
        lab.edit_config({'scheduler = "rr"': 'scheduler = "wrr"\nservers = { rs1 = 3 }',
                         "join_only = true": "join_only = false"})
        pending = lab.lbctl("dir1", "plan", "--commands", "--detailed-exitcode", check=False)
        checks.equal("--detailed-exitcode still exits 2", pending.returncode, 2)
        for begin in ("ipvsadm -E", "ipvsadm -e", "ipvsadm -d", "delete element netdev lbctl join_only4"):
            checks.that(f"dir1: there is a line '{begin}'",
                        any(line.startswith(begin) for line in lines_of(pending.stdout)), pending.stdout)
        done = type_in(lab, "dir1")
        checks.equal("dir1: sh -eu runs them all", (done.returncode, done.stderr), (0, ""))
        rest = lab.lbctl("dir1", "plan", "--detailed-exitcode", check=False)
        checks.that("dir1: then nothing is pending", rest.returncode == 0 and "nothing to do" in rest.stdout,
                    rest.stdout + rest.stderr)

        lab.lbctl("dir1", "down")
        on("dir1", "ip", "address", "add", "192.0.2.100/32", "dev", "eth0")
        refused = lab.lbctl("dir1", "plan", "--commands", check=False)
        checks.equal("refused: exit 1, and no command", (refused.returncode, lines_of(refused.stdout)), (1, []))
        document = json.loads(lab.lbctl("dir1", "plan", "--commands", "-j", check=False).stdout)
        checks.equal("nor one in the document", (document["result"], document["commands"]), ("refused", []))


SCENARIOS = [same_as_apply, later_changes]
