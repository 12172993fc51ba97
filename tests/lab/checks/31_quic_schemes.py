"""Every kind of connection ID under real QUIC traffic, all at once: a service and its servers for each."""

import json
import os

from labkit import FULL, Lab
from livekit import Cluster, number_of, service
from quickit import AT_ONCE, PATIENCE, Client, H3Servers, Movers, follow, lost, moves, use_uplink, wait_for

# h3_mover's connections to each service and family, and how often each of them moves: 200 migrations
# and 200 rebindings. Two hundred handshakes each would take the emulated machine an hour.
CONNECTIONS, MOVES = (20, 20) if FULL else (1, 8)
# gtlsclient's, likewise: each moves once; every second one, counted over both families, without noticing.
CLIENTS = 10 if FULL else 1
FIRST_PORT = 4431


def address_of(family):
    prefix = "2001:db8:100::" if family == 6 else "192.0.2."
    return lambda server: f"{prefix}{10 + number_of(server)}"


def layouts(key_file):
    """name -> (the layout, who a server is in it)."""
    key = f'key_file = "{key_file}"'
    return {
        "quic-lb": ('{ scheme = "quic-lb", config = 0, id_length = 2, nonce_length = 6 }', number_of),
        "quic-lb, single pass": (f'{{ scheme = "quic-lb", config = 1, id_length = 2, nonce_length = 14, {key} }}',
                                 number_of),
        "quic-lb, three passes": (f'{{ scheme = "quic-lb", config = 2, id_length = 3, nonce_length = 6, {key} }}',
                                  number_of),
        "quic-lb, four passes": (f'{{ scheme = "quic-lb", config = 6, id_length = 7, nonce_length = 4, {key} }}',
                                 number_of),
        "aws-nlb": ('{ scheme = "aws-nlb" }', number_of),
        "msquic": ('{ scheme = "msquic" }', number_of),
        "katran V1": ('{ scheme = "katran", version = 1 }', number_of),
        "katran V2": ('{ scheme = "katran", version = 2 }', number_of),
        "katran V3": ('{ scheme = "katran", version = 3 }', number_of),
        "dpvs, IPv4": ('{ scheme = "dpvs" }', address_of(4)),
        "dpvs, IPv6": ('{ scheme = "dpvs" }', address_of(6)),
        "raw": ('{ scheme = "raw", offset = 8, id_length = 2, length = 20 }', number_of),
    }


class Schemes:
    """The cluster with a service for each, and their servers."""

    def __init__(self, lab):
        key_file = os.path.join(lab.folder, "cid.key")
        with open(os.open(key_file, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as file:
            file.write("8f95f09245765f80256934e50c66207f\n")
        self.ports, self.servers, services = {}, {}, {}
        for port, (name, (layout, _)) in enumerate(layouts(key_file).items(), FIRST_PORT):
            self.ports[port] = name
            services[f"q{port}"] = service([port], ["quic"], dict.fromkeys(lab.servers, 1), scheduler="mh",
                                           flags=["mh-port", "mh-fallback"])
            services[f"q{port}"]["cid"] = layout
        Cluster(services).write()
        lab.apply()
        for port, (layout, id_of) in zip(self.ports, layouts(key_file).values()):
            self.servers[port] = H3Servers(lab, layout=layout, port=port, id_of=id_of)

    def count(self, kind):
        return {self.ports[port]: len(servers.events(kind)) for port, servers in self.servers.items()}


def steered(lab):
    """How many packets went from one server to another so far."""
    return sum(json.loads(lab.lbctl(server, "status", "-j").stdout)["steering"]["packets"]["steered"] for server in lab.servers)


def again_and_again(checks, lab, schemes):
    before = steered(lab)
    each = CONNECTIONS * MOVES // 2
    for family in (4, 6):
        reports = Movers(lab, family, schemes.ports, CONNECTIONS, MOVES).wait()
        for port, name in schemes.ports.items():
            own = [r for r in reports if r["target"].endswith(f":{port}")]
            checks.equal(f"IPv{family}, {name}: {each} migrations and as many rebindings, none lost",
                         (moves(own), lost(own)), ({"migrations": each, "rebindings": each}, []))
    total = 2 * len(schemes.ports) * CONNECTIONS * MOVES
    sent_on = steered(lab) - before
    checks.note(f"{total} moves, {sent_on} packets steered")
    # A move ends on another server two times in three; a half leaves room for chance.
    checks.that("a good part of the moves had to be steered", sent_on > total // 2, sent_on)
    failed = {name: [e for _, e in servers.events("close") if e["reason"] != "closed by the client"]
              for name, servers in zip(schemes.ports.values(), schemes.servers.values())}
    checks.equal("every connection was ended by its client", failed, dict.fromkeys(failed, []))


def another_client(checks, lab, schemes):
    clients = []
    shaken = sum(schemes.count("handshake").values())
    for family in (4, 6):
        use_uplink(family, 0)
        for port in schemes.ports:
            for number in range(CLIENTS):
                rebinding = ["--nat-rebinding"] if (number + (family == 6)) % 2 else []
                clients.append((port, Client(lab, family, f"/{family}-{port}-{number}", "--timeout=300s", *rebinding, port=port)))
                if len(clients) % AT_ONCE == 0:
                    wait_for("handshakes", lambda: sum(schemes.count("handshake").values()) - shaken >= len(clients),
                             PATIENCE)
        use_uplink(family, 1)
    for _, client in clients:
        client.wait()
    journeys = [(schemes.ports[port], journey) for port, servers in schemes.servers.items()
                for journey in follow(servers, [client for its_port, client in clients if its_port == port])]
    checks.equal(f"gtlsclient, {len(clients)} of them: each is answered by the server it began on",
                 [(name, j.path, j.first, j.moved, j.answered_by) for name, j in journeys if not j.stayed()], [])
    checks.equal("after it has moved", [(name, j.path) for name, j in journeys if j.moved and j.first[1] == j.moved[1]], [])


def every_scheme(checks):
    """Connections of every scheme migrate and are rebound many times: 0 lost; gtlsclient, which does so once"""
    with Lab() as lab:
        schemes = Schemes(lab)
        again_and_again(checks, lab, schemes)
        another_client(checks, lab, schemes)
        checks.equal("no server saw a connection ID that it does not know", schemes.count("unknown_dcid"),
                     dict.fromkeys(schemes.ports.values(), 0))


SCENARIOS = [every_scheme]
