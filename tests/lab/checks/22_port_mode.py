"""Multipath TCP by a port of the VIP for each server: joins come home over IPv4 without spare addresses."""

from labkit import VIP, CounterDelta, Lab, client_mptcp, extra_subflows, on, settles

CONNECTIONS = 30
BASE = 44300
PORT_MODE = {'vip = ["192.0.2.100", "2001:db8:100::100"]': 'vip = ["192.0.2.100"]',
             'signal = "address"': f'signal = "port"\nport_base = {BASE}'}


def joins_come_home(checks):
    """30 connections over 3 servers: every extra subflow lands on the port of its own server"""
    with Lab(config=PORT_MODE) as lab:
        lab.apply()
        lab.serve_echo()
        check_joins(checks, lab, "first", BASE)
        listing(checks, lab, "first", BASE)
        lab.edit_config({f"port_base = {BASE}": "port_base = 45000"})
        lab.apply()
        check_joins(checks, lab, "changed", 45000)
        listing(checks, lab, "changed", 45000)

        on("dir1", "nft", "flush", "map", "netdev", "lbctl", "signal_port4")
        moved = CounterDelta(lab.servers)
        reports = lab.connect(4, CONNECTIONS, "--want-subflows", 2, "--timeout", "5s")
        checks.equal("the map emptied: the connections themselves work",
                     [r.get("error") for r in reports if not r["bytes_ok"]], [])
        checks.equal("the map emptied: no connection has an extra subflow",
                     [r["server"] for r in reports if extra_subflows(r)], [])
        checks.equal("the map emptied: no server took a join", moved.now("MPJoinAckRx"), dict.fromkeys(lab.servers, 0))
        plan = lab.lbctl("dir1", "plan").stdout
        checks.that("lbctl sees it", "nft table netdev lbctl" in plan, plan)
        lab.apply("dir1")
        listing(checks, lab, "mended", 45000)


def check_joins(checks, lab, when, base):
    client_mptcp("accept")
    moved = CounterDelta(lab.servers)
    reports = lab.connect(4, CONNECTIONS, "--want-subflows", 2, "--timeout", "90s", "--download", 200000)
    wanted = {s: sum(len(extra_subflows(r)) for r in reports if r["server"] == s) for s in lab.servers}
    joins = settles(lambda: moved.now("MPJoinAckRx"), wanted)
    checks.note(f"joins taken: {joins}")
    checks.equal(f"{when}: every connection works and none fell back",
                 [r for r in reports if not r["bytes_ok"] or r["fallback"]], [])
    checks.equal(f"{when}: all servers have a share", sorted({r["server"] for r in reports}), lab.servers)
    checks.equal(f"{when}: every connection has an extra subflow", [r for r in reports if not extra_subflows(r)], [])
    own = {s: f"{VIP[4]}:{base + int(s.removeprefix('rs'))}" for s in lab.servers}
    strays = [(r["server"], flow["remote"]) for r in reports for flow in extra_subflows(r)
              if flow["remote"] != own[r["server"]]]
    checks.equal(f"{when}: every extra subflow goes to its own server's port of the VIP", strays, [])
    checks.equal(f"{when}: the servers' kernels took exactly those joins (MPJoinAckRx)", joins, wanted)
    checks.equal(f"{when}: no join met a server that does not know it (MPJoinNoTokenFound)",
                 moved.now("MPJoinNoTokenFound"), dict.fromkeys(lab.servers, 0))


def listing(checks, lab, when, base):
    """Read back with ip and nft."""
    nft = on("dir1", "nft", "-s", "list", "table", "netdev", "lbctl").stdout
    for number, server in enumerate(lab.servers, 1):
        port, own = base + number, f"192.0.2.{10 + number}"
        found = on(server, "ip", "mptcp", "endpoint").stdout.splitlines()
        checks.that(f"{when}: ip lists {server}'s endpoint and no other",
                    len(found) == 1 and found[0].startswith(f"{VIP[4]} port {port} ") and "signal" in found[0], found)
        checks.that(f"{when}: nft lists the port of {server}, for TCP and for ICMP errors",
                    f"{VIP[4]} . {port} counter : {own}" in nft and f"{VIP[4]} . {port:#x} counter : {own}" in nft, nft)


SCENARIOS = [joins_come_home]
