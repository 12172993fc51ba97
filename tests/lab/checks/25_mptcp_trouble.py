"""What stands before signal addresses, and what happens to live connections when something of it goes away."""

import json
import os

from labkit import (CounterDelta, ECHO, Lab, LabError, client_mptcp, extra_subflows, host_of, objects, on, run, settles,
                    vip_port, wait_for)

DIR2 = """[directors.dir2]
address = ["192.0.2.9", "2001:db8:100::9"]
interface = "eth0"

[services.web]
"""
JOINS = """join_only = true
syn_rate = "10/second"
syn_burst = 20"""
GUARD = """[services.web.guard]
syn_rate = "20/second"
syn_burst = 60

[services.web.quic]"""

# SYNs from any port, with or without MP_JOIN; nobody answers what comes back but the kernel, with RST.
FLOOD = """
import socket, struct, sys
source, target, port, count, join = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5] == "join"
option = bytes.fromhex("1e0c10011122334455667788") if join else b""
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
raw.bind((source, 0))
def checksum(octets):
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff
for n in range(count):
    head = struct.pack("!HHIIBBHHH", 20000 + n, port, n, 0, (20 + len(option)) // 4 << 4, 2, 65535, 0, 0) + option
    pseudo = socket.inet_aton(source) + socket.inet_aton(target) + struct.pack("!BBH", 0, 6, len(head))
    head = head[:16] + struct.pack("!H", checksum(pseudo + head)) + head[18:]
    raw.sendto(head, (target, 0))
"""


def flood(target, count, kind, source="198.51.100.2", port=443):
    on("client", "python3", "-c", FLOOD, source, target, port, count, kind)


def dropped(chain, text):
    """Packets that the rule of that chain with that text dropped on dir1."""
    rules = on("dir1", "nft", "list", "chain", "netdev", "lbctl", chain).stdout.splitlines()
    found = [line.split() for line in rules if text in line and "drop" in line]
    if len(found) != 1:
        raise LabError(f"{len(found)} rules with {text}: {rules}")
    words = found[0]
    return int(words[words.index("packets", words.index("counter")) + 1])


def floods(checks):
    """SYNs that are no joins, and too many joins from one source, end at the director; others are not concerned"""
    with Lab(config={"[services.web.quic]": GUARD, "join_only = true": JOINS}) as lab:
        lab.apply()
        lab.serve_echo()
        target = lab.signal_address("rs1", 4)
        moved = CounterDelta(lab.servers)
        flood(target, 300, "plain")
        checks.equal("300 SYNs without MP_JOIN are dropped and counted",
                     settles(lambda: dropped("guard", "@join_only4 tcp flags syn / syn,ack counter"), 300), 300)
        flood(target, 300, "join")
        over = settles(lambda: dropped("rates", "@join4_web") >= 200, True)
        checks.that("of 300 joins from one source most are dropped", over, dropped("rates", "@join4_web"))
        seen = sum(moved.now("MPJoinNoTokenFound").values())
        checks.that("what came through is within the rate", 20 <= seen <= 100, seen)
        # Another source, while that one is above its rate.
        before = dropped("rates", "@join4_web")
        client_mptcp("uplinks")
        reports = lab.connect(4, 8, "--want-subflows", 2, "--timeout", "90s")
        checks.equal("joins from another source all come home",
                     [r["subflows"] for r in reports if not extra_subflows(r)], [])
        checks.equal("and none of them was dropped", dropped("rates", "@join4_web"), before)
        sources = json.loads(on("dir1", "nft", "-j", "list", "set", "netdev", "lbctl", "join4_web").stdout)["nftables"]
        known = [one["set"] for one in sources if "set" in one][0]
        checks.equal("two sources are known, of 65535 at most", (len(known["elem"]), known["size"]), (2, 65535))
        flood("192.0.2.100", 300, "plain")
        checks.that("SYNs to the VIP above the rate are dropped",
                    settles(lambda: dropped("rates", "@syn4_web") >= 150, True), dropped("rates", "@syn4_web"))
        again = lab.lbctl("dir1", "apply").stdout
        checks.that("sources that are known are no difference", "nothing to do" in again, again)


def talk_on(lab, family, count=4):
    """Connections that exchange a line every second until stopped; waits until each has its extra subflow."""
    log = os.path.join(lab.folder, f"talk-{family}.log")
    process = lab.start("client", ECHO, "connect", vip_port(family, 443), "--count", count, "--want-subflows", 2,
                        "--timeout", "90s", "--every", "500ms", "--hold", "100s", log=log)

    def lines(kind):
        with open(log, encoding="utf-8") as file:
            return [one for one in objects(file.read()) if one.get("event") == kind]
    wait_for("all connections", lambda: len(lines("connected")) == count)
    return process, log, lines


def go_on(checks, what, talk, rounds=4):
    process, log, lines = talk
    before = len(lines("round"))
    wait_for("more rounds", lambda: len(lines("round")) >= before + rounds)
    checks.equal(f"{what}: no connection failed", [r for r in lines("round") if r["failed"]], [])


def second_director(lab):
    """dir2, .9, on the segment."""
    run("ip", "netns", "add", "lab-dir2")
    plug("dir2")
    on("dir2", "sh", "-c", "cd /proc/sys/net/ipv6/conf; echo 0 >all/accept_dad; echo 0 >eth0/accept_dad")
    set_up("dir2", 9)


def plug(node, *more):
    """A new eth0 for the node, on the segment."""
    run("ip", "link", "add", "name", "eth0", *more, "netns", f"lab-{node}", "type", "veth", "peer", "name", node,
        "netns", "lab-segment")
    run("ip", "-n", "lab-segment", "link", "set", node, "master", "br0", "up")


def set_up(node, last):
    run("ip", "-n", f"lab-{node}", "-b", "-",
        input="link set lo up\nlink set eth0 up\n"
        f"addr add 192.0.2.{last}/24 dev eth0\n"
        f"addr add 2001:db8:100::{last}/64 dev eth0 nodad\nroute add default via 192.0.2.1\n"
        "route add default via 2001:db8:100::1\n")


DOWNLOAD = 10_000_000


class Downloads:
    """Two of 10 MB by each family, which a narrow way keeps under way for as long as it is needed."""

    def __init__(self, lab):
        self.way("add", "16mbit")
        self.began = self.received()
        self.logs = [os.path.join(lab.folder, f"download-{family}.log") for family in (4, 6)]
        self.processes = [lab.start("client", ECHO, "connect", vip_port(family, 443), "--count", 2, "--want-subflows",
                                    2, "--timeout", "90s", "--download", DOWNLOAD, log=log)
                          for family, log in zip((4, 6), self.logs)]

    @staticmethod
    def way(verb, rate):
        for device in ("eth1", "eth2"):
            run("tc", "-n", "lab-router", "qdisc", verb, "dev", device, "root", "tbf", "rate", rate,
                "burst", "64k", "latency", "200ms")

    @staticmethod
    def received():
        links = json.loads(run("ip", "-j", "-s", "-n", "lab-client", "link").stdout)
        return sum(link["stats64"]["rx"]["bytes"] for link in links if link["ifname"] != "lo")

    def wait_until_under_way(self):
        wait_for("a good part of the downloads", lambda: self.received() - self.began > DOWNLOAD / 2)
        self.way("change", "1mbit")

    def under_way(self):
        return all(process.poll() is None for process in self.processes)

    def hurry(self):
        self.way("change", "100mbit")

    def reports(self):
        for process in self.processes:
            process.wait(timeout=120)
        found = []
        for log in self.logs:
            with open(log, encoding="utf-8") as file:
                found += objects(file.read())
        return found


def takeover(checks):
    """A second director takes the addresses over while connections talk and download: extra subflows live on"""
    with Lab(config={"[services.web]\n": DIR2}) as lab:
        lab.apply()
        lab.serve_echo()
        second_director(lab)
        client_mptcp("uplinks")
        talks = [talk_on(lab, family) for family in (4, 6)]
        downloads = Downloads(lab)
        downloads.wait_until_under_way()
        lab.lbctl("dir1", "down")
        lab.lbctl("dir2", "apply")
        checks.that("all downloads are under way after the takeover", downloads.under_way())
        downloads.hurry()
        for family, talk in zip((4, 6), talks):
            go_on(checks, f"IPv{family}, after the takeover", talk, 6)
        reports = downloads.reports()
        checks.equal("four downloads of 10 MB come through, too",
                     (len(reports), [r for r in reports if not r["bytes_ok"]]), (4, []))
        # IPVS on dir2 knows none of the connections; what came through is what nftables forwarded. A
        # connection may have all its extra subflows by the other family.
        status = json.loads(lab.lbctl("dir2", "-j", "status").stdout)["signal_addresses"]["addresses"]
        packets = {one["signal"]: one["packets"] for one in status}
        for report in reports:
            home = {signal: packets.get(signal, 0) for signal in
                    {host_of(flow["remote"]) for flow in extra_subflows(report)}}
            checks.that(f"the download from {report['server']} lived by the second director's table",
                        sum(home.values()) > 100, (home, packets, report["subflows"]))
        check_new(checks, lab)


def check_new(checks, lab):
    reports = lab.connect(4, 8, "--want-subflows", 2, "--timeout", "90s")
    checks.equal("new connections have their extra subflows",
                 [r["subflows"] for r in reports if not extra_subflows(r)], [])


def troubles(mended):
    """Each is made, and `mended(what, node)` told."""
    on("dir1", "nft", "flush", "ruleset")
    mended("the director's ruleset flushed", "dir1")
    on("rs1", "nft", "flush", "ruleset")
    mended("a server's ruleset flushed", "rs1")
    on("rs1", "ip", "mptcp", "endpoint", "flush")
    mended("endpoints removed", "rs1")
    address = json.loads(run("ip", "-j", "-n", "lab-dir1", "link", "show", "eth0").stdout)[0]["address"]
    run("ip", "-n", "lab-dir1", "link", "del", "eth0")
    plug("dir1", "address", address)
    set_up("dir1", 10)
    mended("the director's device made again", "dir1")


def mends(checks):
    """A device made again, an emptied ruleset, endpoints removed: status tells, apply mends, connections live"""
    with Lab() as lab:
        lab.apply()
        lab.serve_echo()
        client_mptcp("uplinks")
        talk = talk_on(lab, 4)

        def mended(what, node):
            plan = lab.lbctl(node, "plan").stdout
            checks.that(f"{what}: plan says it", "nothing to do" not in plan and plan.strip(), plan)
            status = lab.lbctl(node, "status").stdout
            checks.that(f"{what}: status says it", "in sync" not in status, status)
            lab.apply(node)
            again = lab.lbctl(node, "apply").stdout
            checks.that(f"{what}: apply mends it", "nothing to do" in again, again)
            go_on(checks, what, talk)

        troubles(mended)
        check_new(checks, lab)


def daemons_mend(checks):
    """The same, with a daemon on the director and on the server: nobody applies, and connections live"""
    with Lab(config={"[services.web]\n": '[daemon]\nreconcile = "3s"\n\n[services.web]\n'}) as lab:
        lab.apply()
        lab.serve_echo()
        client_mptcp("uplinks")
        talk = talk_on(lab, 4)
        for node in ("dir1", "rs1"):
            lab.start(node, *lab.lbctl_words(node, "daemon"), log=f"{lab.folder}/daemon-{node}.log")

        def mended(what, node):
            checks.that(f"{what}: the daemon mends it",
                        settles(lambda: "nothing to do" in lab.lbctl(node, "plan", check=False).stdout, True, 40))
            go_on(checks, what, talk)

        for node in ("dir1", "rs1"):
            wait_for("the daemon answers", lambda: lab.lbctl(node, "daemon", "status", check=False).returncode == 0)
        troubles(mended)
        check_new(checks, lab)


FIREWALL = "table inet firewall { chain in { type filter hook input priority 0; ct state invalid counter drop; }; }"


def conntrack(checks):
    """A firewall on the director that drops what conntrack calls invalid: with notrack it drops nothing of ours"""
    with Lab(config={'via = "forward"': 'via = "ipvs"', "[services.web]\n": "[services.web]\nnotrack = true\n"}) as lab:
        lab.apply()
        lab.serve_echo()
        on("dir1", "nft", FIREWALL)
        client_mptcp("uplinks")
        for family in (4, 6):
            reports = lab.connect(family, 8, "--want-subflows", 2, "--timeout", "90s")
            checks.equal(f"IPv{family}: connections and their joins come through the firewall",
                         [r for r in reports if not r["bytes_ok"] or not extra_subflows(r)], [])
        listing = on("dir1", "nft", "list", "table", "inet", "firewall").stdout
        checks.that("it dropped nothing", "invalid counter packets 0 " in listing, listing)
        lab.edit_config({"notrack = true\n": ""})
        lab.lbctl("dir1", "apply")
        # Conntrack takes up again what the client repeats, so they get through, but late.
        lab.connect(4, 4, "--timeout", "30s")
        listing = on("dir1", "nft", "list", "table", "inet", "firewall").stdout
        checks.that("without notrack it drops packets of such connections", "invalid counter packets 0 " not in listing, listing)


SCENARIOS = [floods, takeover, mends, daemons_mend, conntrack]
