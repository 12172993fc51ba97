"""Multipath TCP: extra subflows come home, and what happens when lbctl's part is missing."""

from labkit import CounterDelta, Lab, client_mptcp, extra_subflows, host_of, on, settles

CONNECTIONS = 30
# The client's modes: tests/lab/topology says what each does.
# Where a connection's second subflow may start: the client's second uplink.
SECOND_UPLINK = {"203.0.113.2", "2001:db8:b::2"}


def talk(lab, family, mode, subflows, *extra):
    """30 connections, and how far the servers' counters moved."""
    client_mptcp(mode)
    moved = CounterDelta(lab.servers)
    reports = lab.connect(family, CONNECTIONS, "--want-subflows", subflows, *extra)
    return reports, moved.now("MPJoinAckRx"), moved.now("MPJoinNoTokenFound")


def summary(checks, reports, joins, lost):
    shares = {}
    for report in reports:
        shares[report["server"]] = shares.get(report["server"], 0) + 1
    checks.note(f"connections: {dict(sorted(shares.items()))}; joins taken: {joins}; token unknown: {lost}")


def joins_come_home(checks):
    """30 connections over 3 servers: every extra subflow lands on the server of its first"""
    with Lab() as lab:
        lab.apply()
        lab.serve_echo()
        for family in (4, 6):
            for mode in ("uplinks", "accept"):
                check_joins(checks, lab, family, mode)


def check_joins(checks, lab, family, mode):
    what = f"IPv{family}, client {mode}"
    client_mptcp(mode)
    moved = CounterDelta(lab.servers)
    # Two addresses are announced, so two joins are on their way: wait for both, or until none comes.
    reports = lab.connect(family, CONNECTIONS, "--want-subflows", 3, "--timeout", "90s", "--download", 200000)
    wanted = {s: sum(len(extra_subflows(r)) for r in reports if r["server"] == s) for s in lab.servers}
    # A join stands for the client one packet earlier than for the server, which counts it then.
    joins = settles(lambda: moved.now("MPJoinAckRx"), wanted)
    lost = moved.now("MPJoinNoTokenFound")
    summary(checks, reports, joins, lost)
    checks.equal(f"{what}: every connection works and none fell back",
                 [r for r in reports if not r["bytes_ok"] or r["fallback"]], [])
    checks.equal(f"{what}: all servers have a share", sorted({r["server"] for r in reports}), lab.servers)
    checks.equal(f"{what}: every connection has an extra subflow",
                 [r for r in reports if not extra_subflows(r)], [])
    checks.equal(f"{what}: every join that the client tried is established",
                 [flow for r in reports for flow in r["subflows"] if flow["state"] != "established"], [])
    strays = [(r["server"], flow["remote"]) for r in reports for flow in extra_subflows(r)
              if host_of(flow["remote"]) not in
              (lab.signal_address(r["server"], 4), lab.signal_address(r["server"], 6))]
    checks.equal(f"{what}: every extra subflow goes to its own server's signal address", strays, [])
    checks.equal(f"{what}: the servers' kernels took exactly those joins (MPJoinAckRx)", joins, wanted)
    checks.equal(f"{what}: no join met a server that does not know it (MPJoinNoTokenFound)",
                 lost, dict.fromkeys(lab.servers, 0))
    if mode == "uplinks":
        starts = {host_of(flow["local"]) for r in reports for flow in extra_subflows(r)}
        checks.equal(f"{what}: they start at the second uplink", starts - SECOND_UPLINK, set())


def without_signal_addresses(checks):
    """The same without lbctl's MPTCP part (the service is plain tcp): joins meet the wrong server"""
    edits = {'protocols = ["mptcp", "quic"]': 'protocols = ["tcp", "quic"]',
             "[services.web.mptcp]\nsignal = \"address\"\nvia = \"forward\"\njoin_only = true\n": ""}
    with Lab(config=edits) as lab:
        lab.apply()
        lab.serve_echo()
        for family in (4, 6):
            reports, joins, lost = talk(lab, family, "fullmesh", 2, "--timeout", "5s")
            summary(checks, reports, joins, lost)
            checks.equal(f"IPv{family}: the connections themselves work",
                         [r.get("error") for r in reports if not r["bytes_ok"]], [])
            # Two of three joins should miss; 10 of 30 leaves room for chance.
            checks.that(f"IPv{family}: a good part of the joins meets a wrong server",
                        sum(lost.values()) >= CONNECTIONS // 3, lost)
            checks.that(f"IPv{family}: a good part of the connections stays without an extra subflow",
                        sum(not extra_subflows(r) for r in reports) >= CONNECTIONS // 3, reports)


def without_forwarding(checks):
    """The same without the director's nft table: no join arrives anywhere"""
    with Lab() as lab:
        lab.apply()
        on("dir1", "nft", "flush", "ruleset")
        lab.serve_echo()
        for family in (4, 6):
            reports, joins, lost = talk(lab, family, "uplinks", 2, "--timeout", "5s")
            summary(checks, reports, joins, lost)
            checks.equal(f"IPv{family}: the connections themselves work",
                         [r.get("error") for r in reports if not r["bytes_ok"]], [])
            checks.equal(f"IPv{family}: no connection has an extra subflow",
                         [r["server"] for r in reports if extra_subflows(r)], [])
            checks.equal(f"IPv{family}: no server took a join", joins, dict.fromkeys(lab.servers, 0))
        lab.apply("dir1")
        reports, joins, lost = talk(lab, 4, "uplinks", 2, "--timeout", "90s")
        summary(checks, reports, joins, lost)
        checks.equal("the next apply mends it: every connection has an extra subflow again",
                     [r["server"] for r in reports if not extra_subflows(r)], [])


SCENARIOS = [joins_come_home, without_signal_addresses, without_forwarding]
