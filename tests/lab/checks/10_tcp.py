"""Plain TCP through IPVS in direct-return mode."""

from labkit import VIP, Lab, PacketCount, mac

CONNECTIONS = 30


def spread_and_direct(checks):
    """TCP is spread by IPVS and answered by the servers themselves"""
    with Lab() as lab:
        lab.apply()
        lab.serve_echo(80, "--tcp")
        for family in (4, 6):
            check_family(checks, lab, family)


def check_family(checks, lab, family):
    word = "ip6" if family == 6 else "ip"
    answer = f"{word} saddr {VIP[family]} tcp sport 80"
    request = f"{word} daddr {VIP[family]} tcp dport 80"
    senders = {node: f"ether saddr {mac(node)} {answer}" for node in lab.members}
    at_router = PacketCount("router", "eth0", senders | {"any": answer})
    at_director = PacketCount("dir1", "eth0", {"requests": request, "answers": answer})
    reports = lab.connect(family, CONNECTIONS, "--tcp", port=80)
    seen, director = at_router.read(), at_director.read()
    at_router.remove()
    at_director.remove()

    checks.equal(f"IPv{family}: all {CONNECTIONS} connections are answered",
                 [r.get("error") for r in reports if not r["bytes_ok"]], [])
    share = {server: sum(r["server"] == server for r in reports) for server in lab.servers}
    checks.equal(f"IPv{family}: rr gives every server the same share", share,
                 {server: CONNECTIONS // len(lab.servers) for server in lab.servers})
    checks.that(f"IPv{family}: the requests pass the director", director["requests"] >= 3 * CONNECTIONS, director)
    checks.equal(f"IPv{family}: no answer passes the director", (director["answers"], seen["dir1"]), (0, 0))
    checks.that(f"IPv{family}: every answer reaches the router from a server's own MAC",
                all(seen[s] > 0 for s in lab.servers) and sum(seen[s] for s in lab.servers) == seen["any"], seen)
    checks.note(f"answers at the router: {seen}")


SCENARIOS = [spread_and_direct]
