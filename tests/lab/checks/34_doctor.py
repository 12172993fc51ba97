"""`lbctl doctor` on whole nodes: what is well has no findings; traps are found, mended as it says, and gone."""

import functools
import json
import os
import sys

from labkit import VIP, Lab, on, run, wait_for

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

# As iptables-legacy -L does it: asked about, a table stands (IPT_SO_GET_INFO, IP6T_SO_GET_INFO).
LEGACY = """
import ctypes, socket
for family, level in ((socket.AF_INET, 0), (socket.AF_INET6, 41)):
    one, size = socket.socket(family, socket.SOCK_RAW, 255), ctypes.c_uint(84)
    name = ctypes.create_string_buffer(b"filter", 84)
    if ctypes.CDLL(None).getsockopt(one.fileno(), level, 64, name, ctypes.byref(size)):
        raise SystemExit("no such table")
"""

# As a time service tells the kernel: struct timex with ADJ_STATUS, ADJ_MAXERROR and ADJ_ESTERROR, and no STA_UNSYNC.
IN_SYNC = """
import ctypes, struct
if ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(struct.pack("I4x4q", 0x1c, 0, 0, 0, 0), 208)) < 0:
    raise SystemExit("adjtimex")
"""

NINE_FLOWS = """
import socket
for port in range(1001, 1010):
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"?", ("192.0.2.1", port))
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

MORE = """[ipvs]
timeout_tcp = "10m"

[services.nat]
vip = ["192.0.2.101"]
ports = [8000]
protocols = ["tcp"]
forward = "masquerade"

[services.far]
vip = ["192.0.2.102"]
ports = [8001]
protocols = ["tcp"]
forward = "tunnel"

[services.two]
vip = ["192.0.2.103"]
ports = [8002]
protocols = ["tcp"]
scheduler = "SCHEDULER"

[services.web]
notrack = true
"""

SEEN, LAST = set(), {}  # ids; those of the last look, by node


def traps(*idents):
    """Each of these findings is seen in the scenario, and gone when it looks for the last time; tests/cli/doctorkit.py
    has the same for what needs no lab, docs_test.py holds both against lbctl-doctor(8)."""
    def wrap(scenario):
        @functools.wraps(scenario)
        def judge(checks):
            SEEN.clear()
            LAST.clear()
            scenario(checks)
            checks.equal("every trap was seen", set(idents) - SEEN, set())
            checks.equal("and is gone", set(idents) & set().union(*LAST.values()), set())
        return judge
    return wrap


def everything(lab, node, *words):
    """In the document's order."""
    done = lab.lbctl(node, "-j", "doctor", *words, check=False)
    found = json.loads(done.stdout)["findings"]
    sick = any(one["severity"] != "doubt" and not one.get("fixed") for one in found)
    assert done.returncode == (1 if sick else 0), (done.returncode, done.stdout, done.stderr)
    LAST[node] = {one["id"] for one in found}
    SEEN.update(LAST[node])
    return found


def found(lab, node, *words):
    """By id, without doubts."""
    return {one["id"]: one for one in everything(lab, node, *words) if one["severity"] != "doubt"}


def mend(lab, node, *findings):
    """Their command lines, each once; what the file is brought to comes last, as apply refuses what others left."""
    lines = dict.fromkeys(line for one in findings for line in one["command"] or [])
    for line in sorted(lines, key=lambda one: one == "lbctl apply"):
        if line == "lbctl apply":
            lab.lbctl(node, "apply")
        elif "nf_conntrack_max" in line:
            run("sh", "-c", line)  # the machine's: a network namespace may only read it
        else:
            on(node, "sh", "-c", line)


def trap(checks, lab, node, commands):
    """{id: command}: made together, seen, nothing else; mended by their own command lines, gone."""
    for command in commands.values():
        on(node, "sh", "-c", command)
    seen = everything(lab, node)
    ids = {one["id"] for one in seen if one["severity"] != "doubt"}
    if checks.equal(f"{node}: {', '.join(commands)}", ids, set(commands)):
        mend(lab, node, *(one for one in seen if one["severity"] != "doubt"))
        checks.equal("mended", found(lab, node), {})


def listen(lab):
    lab.serve_echo(443)
    lab.serve_echo(80)
    for server in lab.servers:
        lab.start(server, sys.executable, "-c", UDP, VIP[4], VIP[6])
        wait_for("UDP sockets", lambda: on(server, "ss", "-Hlun", "sport = 443").stdout.count("\n") == 2)


@traps("ipvs-nodest", "ipvs-reuse", "ipvs-conntrack", "service-missing", "service-differs", "service-foreign",
       "signal-forward", "vip-missing", "drops-invalid", "conntrack-full", "arp-other-host", "ndp-other-host",
       "arp-ignore", "vip-answers", "mtu-peer", "clock", "legacy-rules")
def healthy(checks):
    """A director and a server that are well, and traps of IPVS, nftables, ARP and NDP on them"""
    with Lab(servers=2) as lab:
        lab.apply()
        listen(lab)
        checks.equal("this machine has no time service", {one["id"] for one in everything(lab, "rs1")}, {"clock"})
        run(sys.executable, "-c", IN_SYNC)
        for node, ticks in (("dir1", ["elsewhere"] * 3 + ["yes"] * 2), ("rs1", ["yes"] * 3 + ["elsewhere"] * 2)):
            checks.equal(f"{node} is well, without a doubt", everything(lab, node), [])
            document = json.loads(lab.lbctl(node, "-j", "doctor").stdout)
            checks.equal("and its lines of the checklist", [line["tick"] for line in document["checklist"]], ticks)

        run("modprobe", "-a", "iptable_filter", "ip6table_filter")
        on("dir1", sys.executable, "-c", LEGACY)
        run("sysctl", "-qw", "net.netfilter.nf_conntrack_max=10")
        trap(checks, lab, "dir1", {
            "ipvs-nodest": "sysctl -qw net.ipv4.vs.expire_nodest_conn=0",
            "ipvs-reuse": "sysctl -qw net.ipv4.vs.conn_reuse_mode=0",
            "ipvs-conntrack": "sysctl -qw net.ipv4.vs.conntrack=1",
            "service-missing": f"ipvsadm -D -t {VIP[4]}:80",
            "service-differs": f"ipvsadm -e -t {VIP[4]}:443 -r 192.0.2.11:443 -g -w 7",
            "service-foreign": f"ipvsadm -A -t {VIP[4]}:8080 -s rr",
            "signal-forward": "nft delete table netdev lbctl",
            "vip-missing": f"ip address delete {VIP[4]}/32 dev eth0",
            "drops-invalid": "nft add table inet f && nft 'add chain inet f i { type filter hook input priority 0; }' "
                             "&& nft add rule inet f i ct state invalid drop",
            "conntrack-full": f"{sys.executable} -c '{NINE_FLOWS}'"})
        doubts = [one for one in everything(lab, "dir1") if one["severity"] == "doubt"]
        checks.equal("tables of iptables-legacy and ip6tables-legacy are doubts, and the command to look",
                     [(one["id"], one["command"]) for one in doubts],
                     [("legacy-rules", ["iptables-legacy-save"]), ("legacy-rules", ["ip6tables-legacy-save"])])
        run("modprobe", "-r", "iptable_filter", "ip6table_filter")
        checks.equal("they end with their modules", everything(lab, "dir1"), [])

        for command in (["sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=0"],
                        ["ip", "link", "set", "eth0", "mtu", "1400"], ["ip", "address", "add", f"{VIP[6]}/128", "dev", "eth0", "nodad"]):
            on("rs2", *command)
        seen = found(lab, "dir1")
        checks.equal("rs2 answers for both VIPs, and its MTU is smaller",
                     {ident: one["evidence"][0].split(" (")[0] for ident, one in seen.items()},
                     dict.fromkeys(["arp-other-host", "ndp-other-host", "mtu-peer"], "rs2"))
        on("rs2", *seen["mtu-peer"]["mend"].split(": ")[1].split(";")[0].split())
        there = found(lab, "rs2")
        checks.equal("there it is told why", set(there), {"arp-ignore", "vip-answers", "foreign-in-the-way"})
        mend(lab, "rs2", *there.values())
        checks.equal("mended", found(lab, "rs2"), {})
        checks.equal("then the director has no rival", found(lab, "dir1"), {})


def unload_ip_vs():
    """With its schedulers, when the network namespaces of others are gone; whether that is done."""
    with open("/proc/modules", encoding="utf-8") as file:
        names = [line.split()[0] for line in file if line.startswith("ip_vs")]
    return not names or run("modprobe", "-r", *sorted(names, reverse=True), check=False).returncode == 0


class SchedulerThatLacks:
    """The name of one whose module this kernel does not have; of one that has them all, twos' is hidden."""

    def __enter__(self):
        self.folder = f"/lib/modules/{os.uname().release}"
        with open(f"{self.folder}/modules.dep", encoding="utf-8") as file:
            known = file.read()
        lacking = [name for name in ("twos", "fo", "ovf") if f"/ip_vs_{name}.ko" not in known]
        self.hidden = not lacking
        if self.hidden:
            run("mount", "-t", "tmpfs", "none", self.folder)
            with open(f"{self.folder}/modules.dep", "w", encoding="utf-8") as file:
                file.writelines(line for line in known.splitlines(True) if "/ip_vs_twos.ko" not in line)
        return lacking[0] if lacking else "twos"

    def __exit__(self, *_):
        if self.hidden:
            run("umount", self.folder)


@traps("ipvs-unread", "scheduler-no-fallback", "scheduler-no-port", "ipvs-failover", "udp-timeout", "ipvs-settings",
       "forwarding", "marks-missing", "tunnel-missing", "scheduler-missing", "left-over")
def settings(checks):
    """Traps that the file or other hands set: flags of mh, several directors, timeouts, a module that is not there"""
    with Lab(servers=2) as lab:
        with open("/proc/sys/kernel/modprobe", encoding="utf-8") as file:
            loader = file.read().strip()
        run("sysctl", "-qw", "kernel.modprobe=/bin/false")
        wait_for("IPVS is unloaded", unload_ip_vs)
        unread = found(lab, "dir1")["ipvs-unread"]
        run("sysctl", "-qw", f"kernel.modprobe={loader}")
        run(*unread["mend"].split(" (")[0].split())
        lab.apply()
        checks.equal("IPVS is there, and set up", found(lab, "dir1"), {})

        lab.edit_config({'scheduler_flags = ["mh-port", "mh-fallback"]\n': ""})
        lab.lbctl("dir1", "apply")
        on("dir1", "ipvsadm", "-e", "-t", f"{VIP[4]}:443", "-r", "192.0.2.12:443", "-g", "-w", "0")
        seen = {one["id"]: one for one in everything(lab, "dir1")}
        checks.that("mh without fallback, and a weight of 0", "scheduler-no-fallback" in seen, seen)
        checks.that("and by address only", "scheduler-no-port" in seen, seen)
        lab.edit_config({'scheduler = "mh"\n': 'scheduler = "mh"\nscheduler_flags = ["mh-port"]\n'})
        mend(lab, "dir1", seen["scheduler-no-fallback"])
        checks.equal("mended", [one for one in everything(lab, "dir1") if one["id"] != "clock"], [])

        lab.edit_config({"[services.web]\n": SECOND})
        seen = found(lab, "dir1")
        checks.equal("two directors without sync", list(seen), ["ipvs-failover"])
        fixed = found(lab, "dir1", "--fix")
        checks.equal("--fix mends it", [one["fixed"] for one in fixed.values()], [True])
        checks.equal("and it is gone", found(lab, "dir1"), {})

        lab.edit_config({"[services.web]\n": DNS})
        lab.lbctl("dir1", "apply")
        trap(checks, lab, "dir1", {"udp-timeout": "ipvsadm --set 0 0 10"})

        with SchedulerThatLacks() as scheduler:
            lab.edit_config({"[services.web]\n": MORE.replace("SCHEDULER", scheduler)})
            seen = found(lab, "dir1")
        checks.that(f"this kernel does not have {scheduler}", "scheduler-missing" in seen, seen)
        lab.edit_config({f'scheduler = "{scheduler}"': 'scheduler = "rr"'})
        lab.apply()
        trap(checks, lab, "dir1", {"ipvs-settings": "ipvsadm --set 1 2 300",
                                   "forwarding": "sysctl -qw net.ipv4.conf.eth0.forwarding=0",
                                   "marks-missing": "nft list tables | grep -v netdev | sed 's/^/delete /' | nft -f -"})
        on("rs1", "ip", "link", "delete", "lbctl-ipip")
        seen = found(lab, "rs1")
        checks.that("no far end of the tunnel", "tunnel-missing" in seen, seen)
        mend(lab, "rs1", seen["tunnel-missing"])
        lab.edit_config({'vip = ["192.0.2.103"]': 'vip = ["192.0.2.104"]'})
        seen = found(lab, "rs1")
        checks.that("what is not in the file any more", "left-over" in seen and "tunnel-missing" not in seen, seen)
        mend(lab, "rs1", seen["left-over"])
        checks.that("mended", "left-over" not in found(lab, "rs1"), LAST["rs1"])


SCENARIOS = [healthy, settings]
