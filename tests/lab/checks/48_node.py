"""What a node sets once, read back with the usual tools: timeouts, connection sync, sysctls."""

import os
import re

from labkit import CONFIG, LBCTL, Lab, changes, look, on, run, wait_for, write_config

DIRECTOR = """
[cluster]
name = "node"
[directors.dir1]
address = ["192.0.2.10", "2001:db8:100::10"]
interface = "eth0"
{roles}
[servers.rs1]
address = ["192.0.2.11", "2001:db8:100::11"]
interface = "eth0"
id = 1
signal = ["192.0.2.111", "2001:db8:100::111"]
[services.web]
vip = ["192.0.2.100"]
ports = [443]
protocols = ["mptcp"]
scheduler = "rr"
"""

# Name: what the kernel starts with, and two other values, each as the file has it.
IPVS = {
    "am_droprate": (10, 11, 12), "amemthresh": (1024, 100, 200), "backup_only": (0, 1, 0), "cache_bypass": (0, 1, 0),
    "conn_reuse_mode": (1, 0, 2), "conntrack": (0, 1, 0), "drop_entry": (0, 1, 3), "drop_packet": (0, 3, 1),
    "expire_nodest_conn": (0, 0, 1), "expire_quiescent_template": (0, 1, 0), "ignore_tunneled": (0, 1, 0),
    "lblc_expiration": (86400, 600, 300), "lblcr_expiration": (86400, 700, 400),
    "nat_icmp_send": (0, 1, 0), "pmtu_disc": (1, 0, 1), "run_estimation": (1, 0, 1), "schedule_icmp": (0, 1, 0),
    "secure_tcp": (0, 3, 1), "sloppy_sctp": (0, 1, 0), "sloppy_tcp": (0, 1, 0), "snat_reroute": (1, 0, 1),
    "sync_persist_mode": (0, 1, 0), "sync_ports": (1, 4, 2), "sync_qlen_max": (None, 1000, 2000),
    "sync_refresh_period": (0, 10, 20), "sync_retries": (0, 3, 1), "sync_sock_size": (0, 65536, 131072),
    "sync_threshold": ([3, 50], [0, 10], [5, 100]), "sync_version": (1, 0, 1),
}
NEWER = {"est_cpulist": (None, '"0"', '"0-1"'), "est_nice": (0, 5, -5)}
MPTCP = {
    "add_addr_timeout": ("120", '"30s"', '"0s"'), "checksum": ("0", "true", "false"), "stale_loss_cnt": ("4", 2, 9),
    "scheduler": ("default", '"default"', '"default"'), "close_timeout": ("60", '"5m"', '"10s"'),
    "blackhole_timeout": ("3600", '"1m"', '"0s"'), "syn_retrans_before_tcp_fallback": ("2", 0, 5),
}
SECONDS = {'"30s"': "30", '"0s"': "0", '"5m"': "300", '"10s"': "10", '"1m"': "60"}
AUTOMATIC = ("drop_entry", "drop_packet", "secure_tcp")


def sysctls_of(node, folder):
    """All below that folder of /proc/sys/net, by name."""
    lines = on(node, "grep", "-rs", "", "/proc/sys/net/" + folder, check=False).stdout.splitlines()
    pairs = (line.removeprefix("/proc/sys/net/" + folder).split(":", 1) for line in lines)
    return {name.strip("/"): " ".join(value.split()) for name, value in pairs}


def as_read(value):
    if isinstance(value, list):
        return " ".join(map(str, value))
    text = str(value)
    return SECONDS.get(text, {"true": "1", "false": "0"}.get(text, text.strip('"')))


def write(text, roles=""):
    write_config(DIRECTOR.format(roles=roles) + text)


def table(name, values):
    return f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in values.items())


def read_all(node, folder, values, kernel_name=lambda name: name):
    """What is not as it should be."""
    out = {}
    all_have = sysctls_of(node, folder)
    for name, value in values.items():
        have, want = all_have[kernel_name(name)], as_read(value)
        if name in AUTOMATIC and {have, want} <= {"1", "2"}:
            continue
        if have != want:
            out[name] = (have, want)
    return out


def sysctls(checks):
    """every sysctl of IPVS: at first apply, on change, back when the key goes, back on down"""
    with Lab(servers=1) as lab:
        look("dir1")  # loads what looking loads
        for module in ("ip_vs_lblc", "ip_vs_lblcr"):
            run("modprobe", module)
        before = look("dir1")
        here = sysctls_of("dir1", "ipv4/vs")
        known = IPVS | {name: values for name, values in NEWER.items() if name in here}
        start = {name: here[name] for name in known}
        checks.equal("the kernel starts as its documentation says",
                     {n: start[n] for n, v in known.items() if v[0] is not None and start[n] != as_read(v[0])}, {})
        for step in (1, 2):
            values = {name: choice[step] for name, choice in known.items()}
            write("[ipvs.sync]\n" + table("ipvs.sysctl", values), 'sync = ["master"]')
            lab.lbctl("dir1", "apply")
            checks.equal(f"set {step}: sysctl reads each as in the file", read_all("dir1", "ipv4/vs", values), {})
            again = lab.lbctl("dir1", "plan", "--detailed-exitcode", check=False)
            checks.equal(f"set {step}: a second apply has nothing to do", again.returncode, 0)
        write("")
        lab.lbctl("dir1", "apply")
        own = {"expire_nodest_conn": "1", "conn_reuse_mode": "1", "conntrack": "0"}
        checks.equal("without [ipvs.sysctl]: what lbctl sets by itself, all else as it was",
                     {n: v for n, v in sysctls_of("dir1", "ipv4/vs").items() if n in known}, start | own)
        lab.lbctl("dir1", "down")
        checks.equal("after down the node is as before", changes(before, look("dir1")), [])

        for name in NEWER:
            if name in here:
                continue
            write(table("ipvs.sysctl", {name: NEWER[name][1], "sloppy_tcp": 1}))
            refused = lab.lbctl("dir1", "apply", check=False)
            checks.that(f"{name}: refused on this kernel, and it says since which there is one",
                        refused.returncode == 1 and "Linux 6.2" in refused.stdout + refused.stderr,
                        refused.stdout + refused.stderr)
            checks.equal(f"{name}: and nothing was changed", sysctls_of("dir1", "ipv4/vs"), here)


def mptcp(checks):
    """every sysctl of [mptcp] on a real server"""
    with Lab(servers=1) as lab:
        look("rs1")
        before = look("rs1")
        kernel_name = {"checksum": "checksum_enabled"}
        path = lambda name: kernel_name.get(name, name)
        here = sysctls_of("rs1", "mptcp")
        known = {name: values for name, values in MPTCP.items() if path(name) in here}
        checks.note("this kernel has " + ", ".join(known))
        for step in (1, 2):
            values = {name: choice[step] for name, choice in known.items()}
            write(table("mptcp", values))
            lab.lbctl("rs1", "apply")
            checks.equal(f"set {step}: sysctl reads each as in the file",
                         read_all("rs1", "mptcp", values, path), {})
            checks.that(f"set {step}: without limits in the file they stay",
                        "subflows 2" in on("rs1", "ip", "mptcp", "limits").stdout)
        write("")
        lab.lbctl("rs1", "apply")
        after = sysctls_of("rs1", "mptcp")
        checks.equal("without [mptcp] they are as before",
                     {n: after[path(n)] for n in known}, {n: v[0] for n, v in known.items()})
        for name in set(MPTCP) - set(known):
            write(table("mptcp", {name: MPTCP[name][1]}))
            refused = lab.lbctl("rs1", "apply", check=False)
            checks.that(f"{name}: refused on this kernel, and it says since which there is one",
                        refused.returncode == 1 and "needs Linux 6." in refused.stdout + refused.stderr,
                        refused.stdout + refused.stderr)
        write("")
        lab.lbctl("rs1", "down")
        checks.equal("after down the node is as before", changes(before, look("rs1")), [])


def timeouts_of(node):
    text = on(node, "ipvsadm", "-Ln", "--timeout").stdout
    return list(map(int, re.search(r": (\d+) (\d+) (\d+)", text).groups()))


def timeouts(checks):
    """[ipvs] timeouts as ipvsadm lists them: set, changed, left out one by one, back on down"""
    with Lab(servers=1) as lab:
        look("dir1")
        on("dir1", "ipvsadm", "--set", 800, 110, 290)
        before = look("dir1")
        for text, want in (('timeout_tcp = "1h"\ntimeout_tcp_fin = "30s"\ntimeout_udp = "10s"', [3600, 30, 10]),
                           ('timeout_tcp = "15m"\ntimeout_udp = "20s"', [900, 110, 20]),
                           ('timeout_udp = "24d"', [800, 110, 2073600])):
            write("[ipvs]\n" + text)
            lab.lbctl("dir1", "apply")
            checks.equal(f"{text.replace(chr(10), ', ')}: ipvsadm --timeout", timeouts_of("dir1"), want)
            checks.equal("and a second apply has nothing to do",
                         lab.lbctl("dir1", "plan", "--detailed-exitcode", check=False).returncode, 0)
        lab.lbctl("dir1", "down")
        checks.equal("down: as before", timeouts_of("dir1"), [800, 110, 290])
        checks.equal("after down the node is as before", changes(before, look("dir1")), [])


def daemons_of(node):
    return [line.strip() for line in on(node, "ipvsadm", "-Ln", "--daemon").stdout.splitlines() if line.strip()]


def threads():
    return sum(1 for pid in os.listdir("/proc") if pid.isdigit() and comm(pid).startswith(("ipvs-m:", "ipvs-b:")))


def comm(pid):
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def sync_daemons(checks):
    """[ipvs.sync]: both daemons, a change of settings, roles, somebody else's daemon, down"""
    with Lab(servers=1) as lab:
        look("dir1")
        before = look("dir1")
        write("[ipvs.sync]\nid = 7\n")
        lab.lbctl("dir1", "apply")
        usual = "group=224.0.0.81, port=8848, ttl=1"
        checks.equal("both run", daemons_of("dir1"),
                     [f"master sync daemon (mcast=eth0, syncid=7, maxlen=1472, {usual})",
                      f"backup sync daemon (mcast=eth0, syncid=7, maxlen=1472, {usual})"])
        write('[ipvs.sync]\nid = 8\ninterface = "eth0"\nmaxlen = 1400\ngroup = "ff02::82"\nport = 9000\nttl = 3\n'
              "[ipvs.sysctl]\nsync_ports = 2\n", 'sync = ["backup"]')
        plan = lab.lbctl("dir1", "plan").stdout
        checks.that("the plan says that a daemon stops to come again",
                    "- ipvs sync daemon backup  (to come again, changed)" in plan and
                    "- ipvs sync daemon master  (not in the file)" in plan, plan)
        lab.lbctl("dir1", "apply")
        changed = ["backup sync daemon (mcast=eth0, syncid=8, maxlen=1400, group=ff02::82, port=9000, ttl=3)"]
        checks.equal("other settings, one role", daemons_of("dir1"), changed)
        checks.equal("sync_ports counts: it has two threads", threads(), 2)
        write('[ipvs.sync]\nid = 8\ninterface = "eth0"\nmaxlen = 1400\ngroup = "ff02::82"\nport = 9000\nttl = 3\n'
              "[ipvs.sysctl]\nsync_ports = 4\n", 'sync = ["backup"]')
        lab.lbctl("dir1", "apply")
        checks.equal("sync_ports alone changes: it starts anew with four", (daemons_of("dir1"), threads()), (changed, 4))
        lab.lbctl("dir1", "down")
        checks.equal("down: none runs", (daemons_of("dir1"), threads()), ([], 0))
        checks.equal("after down the node is as before", changes(before, look("dir1")), [])

        on("dir1", "ipvsadm", "--start-daemon", "master", "--mcast-interface", "eth0", "--syncid", 99)
        foreign = daemons_of("dir1")
        write("[ipvs.sync]\nid = 7\n")
        refused = lab.lbctl("dir1", "apply", check=False)
        checks.that("somebody else's daemon: an error that names it",
                    refused.returncode == 1 and "sync daemon master (dev eth0 id 99)" in refused.stdout + refused.stderr,
                    refused.stdout + refused.stderr)
        write("[ipvs.sync]\nid = 7\n", 'sync = ["backup"]')
        lab.lbctl("dir1", "apply")
        checks.equal("beside it ours of the other role", len(daemons_of("dir1")), 2)
        lab.lbctl("dir1", "down")
        checks.equal("it outlives down", daemons_of("dir1"), foreign)
        on("dir1", "ipvsadm", "--stop-daemon", "master")


TWO = """
[cluster]
name = "two"
[directors.dir1]
address = ["192.0.2.10"]
interface = "eth0"
[directors.dir2]
address = ["192.0.2.12"]
interface = "eth0"
vip_on = "none"
[servers.rs1]
address = ["192.0.2.11"]
interface = "eth0"
id = 1
[services.plain]
vip = ["192.0.2.100"]
ports = [80]
protocols = ["tcp"]
scheduler = "rr"
[ipvs.sync]
id = 3
"""


def synced(checks):
    """a connection through one director stands in the table of the other (its node is lab-rs2)"""
    with Lab(servers=2) as lab:
        write_config(TWO)
        lab.lbctl("rs1", "apply")
        lab.servers = ["rs1"]
        on("rs2", LBCTL, "-f", CONFIG, "--node", "dir2", "apply")
        lab.lbctl("dir1", "apply")
        lab.serve_echo(80)
        reports = lab.connect(4, 3, port=80)
        checks.equal("the connections work", [r for r in reports if not r["bytes_ok"]], [])
        table_of = lambda node: [line.split() for line in on(node, "ipvsadm", "-Lnc").stdout.splitlines()
                                 if line.startswith("TCP")]
        mine = {(line[3], line[5]) for line in table_of("dir1")}
        checks.equal("dir1 has them in its table", len(mine), 3)
        theirs = wait_for("the table of dir2 fills", lambda: len(table_of("rs2")) >= 3 and table_of("rs2"), limit=20)
        checks.equal("dir2 has the same", {(line[3], line[5]) for line in theirs}, mine)
        on("rs2", LBCTL, "-f", CONFIG, "--node", "dir2", "down")
        lab.lbctl("dir1", "down")
        checks.equal("down: no daemon is left", threads(), 0)


SCENARIOS = [sysctls, mptcp, timeouts, sync_daemons, synced]
