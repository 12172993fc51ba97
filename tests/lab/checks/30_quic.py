"""QUIC connections that change their address mid-connection."""

from labkit import Lab
from quickit import H3Servers, move_clients

CONNECTIONS = 30
UNSTEERED = 12  # lost ones are waited for


def report(checks, what, servers, journeys, began):
    stayed = [j for j in journeys if j.stayed()]
    shares = {server: began.count(server) for server in sorted(set(began))}
    checks.note(f"{what}: {len(stayed)} of {len(journeys)} completed on the server they began on; began: {shares}; "
                f"{sum(j.changed_uplink() for j in journeys)} changed their IP address, "
                f"packets with unknown connection ID so far: {len(servers.events('unknown_dcid'))}")
    return stayed


def moved_clients_stay(checks):
    """30 QUIC connections that change their address all complete on the server they began on"""
    with Lab() as lab:
        lab.apply()
        servers = H3Servers(lab)
        for family in (4, 6):
            what = f"IPv{family}"
            journeys, began = move_clients(lab, servers, family, CONNECTIONS, f"steered{family}-")
            report(checks, what, servers, journeys, began)
            checks.equal(f"{what}: every connection completes on the server it began on",
                         [(j.path, j.first, j.moved, j.answered_by) for j in journeys if not j.stayed()], [])
            checks.equal(f"{what}: every request came from another address than the handshake",
                         [j.path for j in journeys if j.first and j.moved and j.first[1] == j.moved[1]], [])
            checks.that(f"{what}: clients changed their IP address, not the port alone",
                        any(j.changed_uplink() for j in journeys), journeys)
            checks.equal(f"{what}: nobody had to begin anew", len(began), CONNECTIONS)
            checks.equal(f"{what}: all servers had a share", sorted(set(began)), lab.servers)
        checks.equal("no server saw a connection ID that it does not know", servers.events("unknown_dcid"), [])


def without_steering(checks):
    """The same without lbctl's XDP part (the service is plain udp): a good part fails"""
    edits = {'protocols = ["mptcp", "quic"]': 'protocols = ["mptcp", "udp"]',
             "[services.web.quic]\ncid = { scheme = \"quic-lb\", config = 0, id_length = 2, nonce_length = 6 }\n": ""}
    with Lab(config=edits) as lab:
        lab.apply()
        servers = H3Servers(lab)
        for family in (4, 6):
            journeys, began = move_clients(lab, servers, family, UNSTEERED, f"unsteered{family}-")
            stayed = report(checks, f"IPv{family}, not steered", servers, journeys, began)
            # Two of three should be lost; a sixth leaves room for chance.
            checks.that(f"IPv{family}: a good part of the connections is lost",
                        UNSTEERED - len(stayed) >= UNSTEERED // 6, len(stayed))
        checks.that("the lost packets reached servers that do not know the connection",
                    len(servers.events("unknown_dcid")) > 0, "no unknown connection ID was seen")


SCENARIOS = [moved_clients_stay, without_steering]
