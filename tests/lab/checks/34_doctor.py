"""`lbctl doctor` on whole nodes: what is well has no findings; traps are found, mended as it says, and gone."""

import json
import sys

from labkit import VIP, Lab, on, wait_for

# QUIC's port at both VIPs: nobody speaks here, and doctor only looks.
UDP = """
import socket, sys, time
held = []
for address in sys.argv[1:]:
    one = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    one.bind((address, 443))
    held.append(one)
time.sleep(3600)
"""

SECOND = """[directors.dir2]
address = ["192.0.2.20", "2001:db8:100::20"]
interface = "eth0"

[services.web]
"""

DNS = """[services.dns]
vip = ["192.0.2.100"]
ports = [53]
protocols = ["udp"]

[services.web]
"""


def found(lab, node, *words):
    """By id. What cannot be settled (this machine has no time service) is left out."""
    done = lab.lbctl(node, "-j", "doctor", *words, check=False)
    document = json.loads(done.stdout)
    out = {one["id"]: one for one in document["findings"] if one["severity"] != "doubt"}
    sick = any(not one.get("fixed") for one in out.values())
    assert done.returncode == (1 if sick else 0), (done.returncode, done.stdout, done.stderr)
    return out


def mend(lab, node, finding):
    for line in finding["command"] or []:
        if line == "lbctl apply":
            lab.lbctl(node, "apply")
        else:
            on(node, "sh", "-c", line)


def trap(checks, lab, ident, command, node="dir1"):
    """Made, seen alone, mended by its own command lines, gone."""
    on(node, "sh", "-c", command)
    seen = found(lab, node)
    if checks.equal(f"{ident}: {command}", list(seen), [ident]):
        mend(lab, node, seen[ident])
        checks.equal("mended", found(lab, node), {})


def listen(lab):
    lab.serve_echo(443)
    lab.serve_echo(80)
    for server in lab.servers:
        lab.start(server, sys.executable, "-c", UDP, VIP[4], VIP[6])
        wait_for("UDP sockets", lambda: on(server, "ss", "-Hlun", "sport = 443").stdout.count("\n") == 2)


def healthy(checks):
    """A director and a server that are well, and traps of IPVS, nftables and ARP on them"""
    with Lab(servers=2) as lab:
        lab.apply()
        listen(lab)
        for node, ticks in (("dir1", ["elsewhere"] * 3 + ["yes"] * 2), ("rs1", ["yes"] * 3 + ["elsewhere"] * 2)):
            checks.equal(f"{node} is well", found(lab, node), {})
            document = json.loads(lab.lbctl(node, "-j", "doctor").stdout)
            checks.equal("and its lines of the checklist", [line["tick"] for line in document["checklist"]], ticks)

        for ident, command in [("ipvs-nodest", "sysctl -qw net.ipv4.vs.expire_nodest_conn=0"),
                               ("ipvs-reuse", "sysctl -qw net.ipv4.vs.conn_reuse_mode=0"),
                               ("service-missing", f"ipvsadm -D -t {VIP[4]}:80"),
                               ("service-foreign", f"ipvsadm -A -t {VIP[4]}:8080 -s rr"),
                               ("signal-forward", "nft delete table netdev lbctl"),
                               ("vip-missing", f"ip address delete {VIP[4]}/32 dev eth0"),
                               ("drops-invalid", "nft add table inet f && nft 'add chain inet f i { type filter hook "
                                                 "input priority 0; }' && nft add rule inet f i ct state invalid drop")]:
            trap(checks, lab, ident, command)

        on("rs2", "sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=0")
        seen = found(lab, "dir1")
        checks.equal("another host answers ARP for the VIP, and which", [*seen, seen["arp-other-host"]["evidence"][0][:5]],
                     ["arp-other-host", "rs2 ("])
        trap(checks, lab, "arp-ignore", "true", "rs2")
        checks.equal("then the director has no rival", found(lab, "dir1"), {})


def settings(checks):
    """Traps that the file or other hands set: flags of mh, several directors, timeouts"""
    with Lab(servers=2) as lab:
        lab.apply()
        lab.edit_config({', "mh-fallback"': ""})
        lab.lbctl("dir1", "apply")
        on("dir1", "ipvsadm", "-e", "-t", f"{VIP[4]}:443", "-r", "192.0.2.12:443", "-g", "-w", "0")
        seen = found(lab, "dir1")
        checks.that("mh without fallback, and a weight of 0", "scheduler-no-fallback" in seen, seen)
        mend(lab, "dir1", seen["scheduler-no-fallback"])
        checks.equal("mended", found(lab, "dir1"), {})

        lab.edit_config({"[services.web]\n": SECOND})
        seen = found(lab, "dir1")
        checks.equal("two directors without sync", list(seen), ["ipvs-failover"])
        fixed = found(lab, "dir1", "--fix")
        checks.equal("--fix mends it", [one["fixed"] for one in fixed.values()], [True])
        checks.equal("and it is gone", found(lab, "dir1"), {})

        lab.edit_config({"[services.web]\n": DNS})
        lab.lbctl("dir1", "apply")
        trap(checks, lab, "udp-timeout", "ipvsadm --set 0 0 10")


SCENARIOS = [healthy, settings]
