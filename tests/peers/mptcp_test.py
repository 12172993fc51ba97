#!/usr/bin/python3
"""mptcp_echo on this kernel: a client with two uplinks, a server that signals a second address.

Real joins, counted by the server's kernel; and what must not count as one: no signal address, a
join whose SYN is dropped, a client or a server without MPTCP.
"""

import os
import sys

from netns import Checks, Lab, counter, events, inside, need_root_and, objects, skip, stop, wait_for

CONNECTIONS = 30
FAMILIES = {
    "IPv4": {"service": "10.71.1.1:8080", "signal": "10.71.2.1", "client": "10.71.2.2"},
    "IPv6": {"service": "[fd71:1::1]:8080", "signal": "fd71:2::1", "client": "fd71:2::2"},
}


def build(lab):
    client, server = lab.namespace("client"), lab.namespace("server")
    lab.cable(client, "up1", ["10.71.1.2/24", "fd71:1::2/64"],
              server, "down1", ["10.71.1.1/24", "fd71:1::1/64"])
    lab.cable(client, "up2", ["10.71.2.2/24", "fd71:2::2/64"],
              server, "down2", ["10.71.2.1/24", "fd71:2::1/64"])
    for name in (client, server):
        inside(name, "sysctl", "-qw", "net.mptcp.enabled=1")
    inside(client, "ip", "mptcp", "limits", "set", "subflows", "2", "add_addr_accepted", "2")
    return client, server


def serve(lab, binary, namespace, name, *extra):
    log = lab.file(f"{name}.log")
    process = lab.start(namespace, binary, "serve", "--listen", "0.0.0.0:8080,[::]:8080",
                        "--name", name, "--log", log, *extra)
    wait_for(f"{name} listens", lambda: len(events(log, "listening")) == 2)
    return process, log


def talk(client, binary, service, count, *extra):
    done = inside(client, binary, "connect", service, "--count", count, *extra, check=False)
    return done.returncode, objects(done.stdout)


def check_joins(checks, lab, binary, client, server, family, where):
    inside(server, "ip", "mptcp", "endpoint", "flush")
    inside(server, "ip", "mptcp", "endpoint", "add", where["signal"], "signal")
    before = counter(server, "MPTcpExtMPJoinAckRx")
    name = f"rs-{family}"
    process, log = serve(lab, binary, server, name)
    status, got = talk(client, binary, where["service"], CONNECTIONS,
                       "--want-subflows", 2, "--payload", 20000, "--download", 300000)
    stop(process)
    checks.equal(f"{family}: the client exits 0", status, 0)
    checks.equal(f"{family}: the server's name and all bytes came back on every connection",
                 [(c["server"], c["bytes_ok"]) for c in got], [(name, True)] * CONNECTIONS)
    checks.equal(f"{family}: no connection fell back", [c["fallback"] for c in got],
                 [False] * CONNECTIONS)
    checks.equal(f"{family}: two established subflows on every connection",
                 [c["established"] for c in got], [2] * CONNECTIONS)
    ends = {(f["local"].rsplit(":", 1)[0].strip("[]"), f["remote"].rsplit(":", 1)[0].strip("[]"))
            for c in got for f in c["subflows"][1:]}
    checks.equal(f"{family}: every second subflow runs to the signal address", ends,
                 {(where["client"], where["signal"])})
    checks.equal(f"{family}: the server's kernel counted the joins (MPTcpExtMPJoinAckRx)",
                 counter(server, "MPTcpExtMPJoinAckRx") - before, CONNECTIONS)
    checks.equal(f"{family}: the server reports the same subflows as the client",
                 server_side(events(log, "close")), client_side(got))


def client_side(connections):
    return sorted(sorted((f["remote"], f["local"]) for f in c["subflows"]) for c in connections)


def server_side(connections):
    return sorted(sorted((f["local"], f["remote"]) for f in c["subflows"]) for c in connections)


def check_no_join(checks, lab, binary, client, server):
    process, _ = serve(lab, binary, server, "rs1")
    service = FAMILIES["IPv4"]["service"]

    inside(server, "ip", "mptcp", "endpoint", "flush")
    status, got = talk(client, binary, service, 1, "--want-subflows", 2, "--timeout", "500ms")
    checks.equal("without a signal endpoint: one subflow, and the data is good",
                 (status, got[0]["established"], len(got[0]["subflows"])), (0, 1, 1))

    inside(server, "ip", "mptcp", "endpoint", "add", "10.71.2.1", "signal")
    inside(server, "nft", "table inet peer { chain in { type filter hook input priority 0;"
           " ip daddr 10.71.2.1 drop; }; }")
    status, got = talk(client, binary, service, 1, "--want-subflows", 2, "--timeout", "500ms")
    checks.equal("the join's SYN is dropped: it is listed as syn_sent, and not counted",
                 (status, got[0]["established"], [f["state"] for f in got[0]["subflows"]]),
                 (0, 1, ["established", "syn_sent"]))
    inside(server, "nft", "delete table inet peer")

    status, got = talk(client, binary, service, 1, "--tcp")
    checks.equal("a plain TCP client: fallback", (status, got[0]["fallback"]), (0, True))
    stop(process)
    process, log = serve(lab, binary, server, "plain", "--tcp")
    status, got = talk(client, binary, service, 1)
    stop(process)
    checks.equal("an MPTCP client and a plain TCP server: fallback on both sides",
                 (status, got[0]["fallback"], [e["fallback"] for e in events(log, "close")]),
                 (0, True, [True]))


def check_rounds(checks, lab, binary, client, server):
    """--every: lines all the time, until SIGTERM; a server that dies shows in the very round."""
    inside(server, "ip", "mptcp", "endpoint", "flush")
    process, _ = serve(lab, binary, server, "rs1")
    service = FAMILIES["IPv4"]["service"]
    status, got = talk(client, binary, service, 5, "--every", "100ms", "--hold", "1s")
    rounds = [o for o in got if o.get("event") == "round"]
    reports = [o for o in got if "event" not in o]
    checks.equal("--every: 5 connections are told of, several rounds, none fails, all lines come back",
                 (status, sum(o.get("event") == "connected" for o in got), len(rounds) >= 5,
                  {o["failed"] for o in rounds}, {o["exchanges"] == len(rounds) + 2 for o in reports}),
                 (0, 5, True, {0}, {True}))
    output = lab.file("rounds.txt")
    with open(output, "wb") as file:
        talking = lab.start(client, binary, "connect", service, "--count", 5, "--every", "100ms", output=file)
    wait_for("a round", lambda: events(output, "round"))
    stop(talking)
    checks.equal("--every: SIGTERM ends it with a report of each connection",
                 (talking.returncode, len(reports_of(output))), (0, 5))
    with open(output, "wb") as file:
        talking = lab.start(client, binary, "connect", service, "--count", 5, "--every", "100ms", output=file)
    wait_for("a round", lambda: events(output, "round"))
    stop(process)
    wait_for("a round that fails", lambda: [e for e in events(output, "round") if e["failed"]])
    stop(talking)
    checks.equal("--every: a server that ends is seen on every connection, and in the exit status",
                 (talking.returncode, {bool(r.get("error")) for r in reports_of(output)}), (1, {True}))


def reports_of(path):
    with open(path, encoding="utf-8") as file:
        return [o for o in objects(file.read()) if "event" not in o]


def check_wrong_data(checks, lab, binary, client, server):
    """A server that answers wrongly must make the client fail."""
    process = lab.start(server, "python3", "-c", (
        "import socket\n"
        "s = socket.create_server(('', 8080))\n"
        "c, _ = s.accept()\n"
        "while line := c.recv(100): c.sendall(b'liar ' + line.upper())\n"))
    wait_for("the liar listens", lambda: ":8080" in inside(server, "ss", "-Hltn").stdout)
    status, got = talk(client, binary, FAMILIES["IPv4"]["service"], 1)
    stop(process)
    checks.equal("a wrong answer: exit status 1",
                 (status, got[0]["bytes_ok"], got[0].get("error")), (1, False, "a wrong answer"))


def main(build_folder):
    need_root_and("ip", "nft", "nstat", "ss", "sysctl")
    if not os.path.exists("/proc/sys/net/mptcp/enabled"):
        skip("this kernel has no MPTCP (CONFIG_MPTCP)")
    binary = os.path.join(build_folder, "mptcp_echo")
    checks = Checks()
    with Lab(os.path.join(build_folder, "mptcp_test")) as lab:
        client, server = build(lab)
        for family, where in FAMILIES.items():
            check_joins(checks, lab, binary, client, server, family, where)
        check_rounds(checks, lab, binary, client, server)
        check_no_join(checks, lab, binary, client, server)
        check_wrong_data(checks, lab, binary, client, server)
    checks.finish()


if __name__ == "__main__":
    main(sys.argv[1])
