"""How joins come to their server: by nftables, IPVS or the network; what stands before them; and what happens to live
connections when something of it goes away."""

import json
import os

from labkit import CounterDelta, ECHO, FULL, Lab, LabError, client_mptcp, host_of, objects, on, run, settles, vip_port, wait_for

CONNECTIONS = 100 if FULL else 20
ADDRESS = 'signal = "address"\nvia = "forward"'
BOTH_VIPS = 'vip = ["192.0.2.100", "2001:db8:100::100"]\nports = [443]'
# Each gives every server a port to announce.
TWO_VIPS = 'vip = ["192.0.2.100", "192.0.2.101"]\nports = [443]'
# 20_mptcp and 22_port_mode have the two of "forward" with one extra subflow.
CELLS = [("address", "ipvs"), ("address", "direct"), ("port", "ipvs")]
if FULL:
    CELLS += [("address", "forward"), ("port", "forward")]


def extra_subflows(report):
    return [flow for flow in report["subflows"][1:] if flow["state"] == "established"]


def edits(signal, via, guard=""):
    out = {ADDRESS: f'signal = "{signal}"\nvia = "{via}"'}
    if signal == "port":
        out[ADDRESS] += "\nport_base = 44300"
        out[BOTH_VIPS] = TWO_VIPS
    if guard:
        out["[services.web.quic]"] = f"[services.web.guard]\n{guard}\n[services.web.quic]"
    return out


def routes_to_signals(lab, verb):
    """What via = "direct" asks of the network."""
    for number, server in enumerate(lab.servers, 1):
        for family, real in ((4, f"192.0.2.{10 + number}"), (6, f"2001:db8:100::{10 + number}")):
            run("ip", "-n", "lab-router", "route", verb, lab.signal_address(server, family), "via", real)


def check_cell(checks, lab, what, family):
    client_mptcp("accept")  # two signal addresses or two ports are announced
    moved = CounterDelta(lab.servers)
    reports = lab.connect(family, CONNECTIONS, "--want-subflows", 3, "--timeout", "30s")
    wanted = {s: sum(len(extra_subflows(r)) for r in reports if r["server"] == s) for s in lab.servers}
    joins = settles(lambda: moved.now("MPJoinAckRx"), wanted)
    what = f"{what}, IPv{family}"
    checks.note(f"{what}: joins taken: {joins}")
    checks.equal(f"{what}: every connection works and none fell back",
                 [r for r in reports if not r["bytes_ok"] or r["fallback"]], [])
    checks.equal(f"{what}: every connection has two extra subflows",
                 [r["subflows"] for r in reports if len(extra_subflows(r)) != 2], [])
    checks.equal(f"{what}: the servers took exactly those joins", joins, wanted)
    checks.equal(f"{what}: no join met a wrong server", moved.now("MPJoinNoTokenFound"), dict.fromkeys(lab.servers, 0))


def without_the_way(checks, lab, what, family):
    moved = CounterDelta(lab.servers)
    client_mptcp("accept")
    reports = lab.connect(family, 5, "--want-subflows", 2, "--timeout", "3s")
    checks.equal(f"{what}, IPv{family}, without it: the connections work", [r for r in reports if not r["bytes_ok"]], [])
    checks.equal(f"{what}, IPv{family}, without it: no server takes a join",
                 moved.now("MPJoinAckRx"), dict.fromkeys(lab.servers, 0))


def take_the_way_away(lab, via):
    if via == "direct":
        return routes_to_signals(lab, "del")
    if via == "forward":
        return on("dir1", "nft", "flush", "ruleset")
    destinations = [line.split()[2] for line in on("dir1", "ipvsadm", "-Sn").stdout.splitlines() if line.startswith("-a -t")]
    for service in set(destinations):
        if destinations.count(service) == 1:
            on("dir1", "ipvsadm", "-D", "-t", service)
    return None


def matrix(checks):
    """Connections with two extra subflows each, by every way that joins can take"""
    for signal, via in CELLS:
        with Lab(config=edits(signal, via)) as lab:
            lab.apply()
            lab.serve_echo()
            if via == "direct":
                routes_to_signals(lab, "add")
            families = (4,) if signal == "port" else (4, 6)
            for family in families:
                check_cell(checks, lab, f"{signal} via {via}", family)
            if via == "ipvs":
                status = on("dir1", "cat", "/proc/sys/net/ipv4/vs/sloppy_tcp").stdout.strip()
                checks.equal("sloppy_tcp is on", status, "1")
            again = lab.lbctl("dir1", "apply").stdout
            checks.that(f"{signal} via {via}: a second apply does nothing", "nothing to do" in again, again)
            take_the_way_away(lab, via)
            without_the_way(checks, lab, f"{signal} via {via}", 4)


def impossible(checks):
    """What can't work is refused with the reason"""
    with Lab() as lab:
        for words, reason in (({ADDRESS: 'signal = "port"\nport_base = 44300'}, "never announced"),
                              ({ADDRESS: 'signal = "port"\nport_base = 44300\nvia = "direct"', BOTH_VIPS: TWO_VIPS},
                               "networks route by address")):
            with open("/run/lbctl-lab/lbctl.toml", encoding="utf-8") as file:
                before = file.read()
            lab.edit_config(words)
            done = lab.lbctl("dir1", "check", check=False)
            checks.equal(f"refused: {reason}", (done.returncode, reason in done.stderr), (3, True))
            with open("/run/lbctl-lab/lbctl.toml", "w", encoding="utf-8") as file:
                file.write(before)


def learned_mtu(server, client):
    words = on(server, "ip", "route", "get", client).stdout.split()
    return words[words.index("mtu") + 1] if "mtu" in words else "none"


def small_path(checks):
    """A path of 1300 octets: what routers say of it reaches the right server, also for extra subflows"""
    cells = [("address", "forward", (4, 6)), ("port", "forward", (4,)), ("address", "ipvs", (4, 6) if FULL else (4,))]
    for signal, via, families in cells:
        with Lab(config=edits(signal, via)) as lab:
            lab.apply()
            lab.serve_echo()
            for device in ("eth1", "eth2"):
                run("ip", "-n", "lab-router", "link", "set", device, "mtu", "1300")
            for family in families:
                what = f"{signal} via {via}, IPv{family}"
                # Extra subflows start at the second uplink, so what is learned of it came by the signal path.
                second = "2001:db8:b::2" if family == 6 else "203.0.113.2"
                if signal == "port":
                    client_mptcp("off")
                    on("client", "ip", "mptcp", "limits", "set", "subflows", 8, "add_addr_accepted", 8)
                    on("client", "ip", "mptcp", "endpoint", "add", second, "dev", "eth1", "subflow", "fullmesh")
                else:
                    client_mptcp("uplinks")
                check_downloads(checks, lab, what, family, second)
                if signal == "address" and family == 4 and via == "forward":
                    without_errors(checks, lab, second)


def check_downloads(checks, lab, what, family, second):
    reports = lab.connect(family, 4, "--want-subflows", 2, "--timeout", "20s", "--download", 10_000_000)
    checks.equal(f"{what}: downloads of 10 MB come through", [r for r in reports if not r["bytes_ok"]], [])
    used = {r["server"] for r in reports
            if second in {host_of(flow["local"]) for flow in extra_subflows(r)}}
    checks.that(f"{what}: with extra subflows from the second uplink", used, reports)
    checks.equal(f"{what}: their servers learned the size of the second uplink's path",
                 {server: learned_mtu(server, second) for server in used}, dict.fromkeys(used, "1300"))


def without_errors(checks, lab, second):
    """The twin: the rule forwards no ICMP."""
    for server in lab.servers:
        on(server, "ip", "route", "flush", "cache")
    on("dir1", "nft", "flush", "set", "netdev", "lbctl", "icmp4")
    reports = lab.connect(4, 4, "--want-subflows", 2, "--timeout", "20s", "--download", 2_000_000)
    checks.that("without the types in icmp4: there are extra subflows", any(map(extra_subflows, reports)), reports)
    checks.equal("without the types in icmp4: no server learned anything of the second uplink",
                 {server: learned_mtu(server, second) for server in lab.servers}, dict.fromkeys(lab.servers, "none"))
    lab.apply("dir1")


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
    guard = 'join_rate = "10/second"\njoin_burst = 20\nsyn_rate = "20/second"\nsyn_burst = 60'
    with Lab(config=edits("address", "forward", guard)) as lab:
        lab.apply()
        lab.serve_echo()
        target = lab.signal_address("rs1", 4)
        moved = CounterDelta(lab.servers)
        flood(target, 300, "plain")
        checks.equal("300 SYNs without MP_JOIN are dropped and counted",
                     settles(lambda: dropped("guard", "@join_only4 tcp flags syn / syn,ack counter"), 300), 300)
        flood(target, 300, "join")
        over = settles(lambda: dropped("limits", "@join4_web") >= 200, True)
        checks.that("of 300 joins from one source most are dropped", over, dropped("limits", "@join4_web"))
        seen = sum(moved.now("MPJoinNoTokenFound").values())
        checks.that("what came through is within the rate", 20 <= seen <= 100, seen)
        # Another source, while that one is above its rate.
        before = dropped("limits", "@join4_web")
        client_mptcp("uplinks")
        reports = lab.connect(4, 8, "--want-subflows", 3, "--timeout", "20s")
        checks.equal("joins from another source all come home",
                     [r["subflows"] for r in reports if len(extra_subflows(r)) != 2], [])
        checks.equal("and none of them was dropped", dropped("limits", "@join4_web"), before)
        sources = json.loads(on("dir1", "nft", "-j", "list", "set", "netdev", "lbctl", "join4_web").stdout)["nftables"]
        known = [one["set"] for one in sources if "set" in one][0]
        checks.equal("two sources are known, of 65535 at most", (len(known["elem"]), known["size"]), (2, 65535))
        flood("192.0.2.100", 300, "plain")
        checks.that("SYNs to the VIP above the rate are dropped",
                    settles(lambda: dropped("limits", "@syn4_web") >= 150, True), dropped("limits", "@syn4_web"))
        again = lab.lbctl("dir1", "apply").stdout
        checks.that("sources that are known are no difference", "nothing to do" in again, again)


def talk_on(lab, family, count=4):
    """Connections that exchange a line every second until stopped; waits until each has its extra subflow."""
    log = os.path.join(lab.folder, f"talk-{family}.log")
    process = lab.start("client", ECHO, "connect", vip_port(family, 443), "--count", count, "--want-subflows", 2,
                        "--timeout", "20s", "--every", "500ms", "--hold", "100s", log=log)

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
    run("ip", "link", "add", "name", "eth0", "netns", "lab-dir2", "type", "veth", "peer", "name", "dir2", "netns", "lab-segment")
    run("ip", "-n", "lab-segment", "link", "set", "dir2", "master", "br0", "up")
    on("dir2", "sh", "-c", "echo 0 >/proc/sys/net/ipv6/conf/all/accept_dad; echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad")
    run("ip", "-n", "lab-dir2", "-b", "-", input="link set lo up\nlink set eth0 up\naddr add 192.0.2.9/24 dev eth0\n"
        "addr add 2001:db8:100::9/64 dev eth0 nodad\nroute add default via 192.0.2.1\n"
        "route add default via 2001:db8:100::1\n")


def takeover(checks):
    """A second director takes the addresses over while connections talk: extra subflows live on"""
    more = {'[services.web]': '[directors.dir2]\naddress = ["192.0.2.9", "2001:db8:100::9"]\ninterface = "eth0"\n\n[services.web]'}
    with Lab(config={**edits("address", "forward"), **more}) as lab:
        lab.apply()
        lab.serve_echo()
        second_director(lab)
        client_mptcp("uplinks")
        talks = [talk_on(lab, family) for family in (4, 6)]
        lab.lbctl("dir1", "down")
        lab.lbctl("dir2", "apply")
        for family, talk in zip((4, 6), talks):
            go_on(checks, f"IPv{family}, after the takeover", talk, 6)
        reports = lab.connect(4, 8, "--want-subflows", 3, "--timeout", "20s")
        checks.equal("new connections have their extra subflows", [r for r in reports if len(extra_subflows(r)) != 2], [])


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

        on("dir1", "nft", "flush", "ruleset")
        mended("the director's ruleset flushed", "dir1")
        on("rs1", "nft", "flush", "ruleset")
        mended("a server's ruleset flushed", "rs1")
        on("rs1", "ip", "mptcp", "endpoint", "flush")
        mended("endpoints removed", "rs1")
        address = json.loads(run("ip", "-j", "-n", "lab-dir1", "link", "show", "eth0").stdout)[0]["address"]
        run("ip", "-n", "lab-dir1", "link", "del", "eth0")
        run("ip", "link", "add", "name", "eth0", "address", address, "netns", "lab-dir1", "type", "veth", "peer", "name",
            "dir1", "netns", "lab-segment")
        run("ip", "-n", "lab-segment", "link", "set", "dir1", "master", "br0", "up")
        run("ip", "-n", "lab-dir1", "-b", "-", input="link set eth0 up\naddr add 192.0.2.10/24 dev eth0\n"
            "addr add 2001:db8:100::10/64 dev eth0 nodad\nroute add default via 192.0.2.1\n"
            "route add default via 2001:db8:100::1\n")
        mended("the director's device made again", "dir1")
        reports = lab.connect(4, 8, "--want-subflows", 3, "--timeout", "20s")
        checks.equal("new connections have their extra subflows", [r for r in reports if len(extra_subflows(r)) != 2], [])


SCENARIOS = [matrix, impossible, small_path, floods, takeover, mends]
