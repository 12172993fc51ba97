"""How joins come to their server: by nftables, IPVS or the network, and what routers on the way say of them."""

from labkit import CounterDelta, FULL, Lab, client_mptcp, extra_subflows, host_of, on, run, settles

CONNECTIONS = 100 if FULL else 8
ADDRESS = 'signal = "address"\nvia = "forward"'
BOTH_VIPS = 'vip = ["192.0.2.100", "2001:db8:100::100"]\nports = [443]'
# Each gives every server a port to announce.
TWO_VIPS = 'vip = ["192.0.2.100", "192.0.2.101"]\nports = [443]'
# 20_mptcp and 22_port_mode have the two of "forward" with one extra subflow.
CELLS = [("address", "ipvs"), ("address", "direct"), ("port", "ipvs")]
if FULL:
    CELLS += [("address", "forward"), ("port", "forward")]


def edits(signal, via):
    # An announcement that gets lost is repeated after the kernel's two minutes otherwise.
    out = {ADDRESS: f'signal = "{signal}"\nvia = "{via}"', "[services.web]\n": '[mptcp]\nadd_addr_timeout = "2s"\n\n[services.web]\n'}
    if signal == "port":
        out[ADDRESS] += "\nport_base = 44300"
        out[BOTH_VIPS] = TWO_VIPS
    return out


def two_signals():
    """A second signal address of each family: clients join by their own family, 6.1's also by the other."""
    return {f'"192.0.2.{n}", "2001:db8:100::{n}"':
            f'"192.0.2.{n}", "192.0.2.{n + 10}", "2001:db8:100::{n}", "2001:db8:100::{n + 10}"' for n in (111, 112, 113)}


def routes_to_signals(lab, verb):
    """What via = "direct" asks of the network."""
    for number, server in enumerate(lab.servers, 1):
        for family, real in ((4, f"192.0.2.{10 + number}"), (6, f"2001:db8:100::{10 + number}")):
            first = lab.signal_address(server, family)
            for signal in (first, first.replace("11", "12")):
                run("ip", "-n", "lab-router", "route", verb, signal, "via", real)


def check_cell(checks, lab, what, family):
    # More is announced, but servers take two extra subflows of each connection (the kernel's own limit).
    client_mptcp("accept")
    moved = CounterDelta(lab.servers)
    reports = lab.connect(family, CONNECTIONS, "--want-subflows", 3, "--timeout", "90s")
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
    checks.equal(f"{what}, IPv{family}, without it: the connections work",
                 [r for r in reports if not r["bytes_ok"]], [])
    checks.equal(f"{what}, IPv{family}, without it: no server takes a join",
                 moved.now("MPJoinAckRx"), dict.fromkeys(lab.servers, 0))


def take_the_way_away(lab, via):
    if via == "direct":
        return routes_to_signals(lab, "del")
    if via == "forward":
        return on("dir1", "nft", "flush", "ruleset")
    lines = on("dir1", "ipvsadm", "-Sn").stdout.splitlines()
    destinations = [line.split()[2] for line in lines if line.startswith("-a -t")]
    for service in set(destinations):
        if destinations.count(service) == 1:
            on("dir1", "ipvsadm", "-D", "-t", service)
    return None


def matrix(checks):
    """Connections with two extra subflows each, by every way that joins can take"""
    for signal, via in CELLS:
        with Lab(config=edits(signal, via) | (two_signals() if signal == "address" else {})) as lab:
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
    cells = [("address", "forward", (4, 6)), ("port", "forward", (4,))]
    if FULL:
        cells += [("address", "ipvs", (4, 6)), ("port", "ipvs", (4,))]
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
    reports = lab.connect(family, 4, "--want-subflows", 2, "--timeout", "90s", "--download", 10_000_000)
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
    reports = lab.connect(4, 4, "--want-subflows", 2, "--timeout", "90s", "--download", 2_000_000)
    checks.that("without the types in icmp4: there are extra subflows", any(map(extra_subflows, reports)), reports)
    checks.equal("without the types in icmp4: no server learned anything of the second uplink",
                 {server: learned_mtu(server, second) for server in lab.servers}, dict.fromkeys(lab.servers, "none"))
    lab.apply("dir1")


SCENARIOS = [matrix, impossible, small_path]
