"""QUIC clients that move, and the servers that should keep them."""

import os
import subprocess

from labkit import H3_MOVER, H3_SERVER, VIP, LabError, events, host_of, objects, run, stop, vip_port, wait_for

# The client's two uplinks: gateway, device and address, by family.
UPLINKS = {
    4: [("198.51.100.1", "eth0", "198.51.100.2"), ("203.0.113.1", "eth1", "203.0.113.2")],
    6: [("2001:db8:a::1", "eth0", "2001:db8:a::2"), ("2001:db8:b::1", "eth1", "2001:db8:b::2")],
}
# The lab's file has it, too.
LAYOUT = '{ scheme = "quic-lb", config = 0, id_length = 2, nonce_length = 6 }'
# After its handshake each client waits, moves, waits a little and sends its request. The first wait is
# meant to see all handshakes done; a client that moves earlier changes its port, not its uplink.
MOVE, REQUEST = "15s", "16s"
# So many shake hands at once: an emulated machine needs a good part of a second for each, and a
# client gives up after a while.
AT_ONCE = 6
# Seconds in the machine, whose clock runs ahead when its host is busy: the limit only ends a hang.
PATIENCE = 900


def use_uplink(family, number):
    """From now on new sockets of the client reach the VIP from this uplink."""
    gateway, device, source = UPLINKS[family][number]
    length = 128 if family == 6 else 32
    run("ip", "-n", "lab-client", "route", "replace", f"{VIP[family]}/{length}",
        "via", gateway, "dev", device, "src", source)


def certificate(lab):
    """The lab's, made when it is first asked for; as options of h3_server."""
    key, pem = (os.path.join(lab.folder, name) for name in ("key.pem", "cert.pem"))
    if not os.path.exists(pem):
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", key, "-out", pem, "-days", "30", "-subj", "/CN=lbctl.test",
            "-addext", "subjectAltName=DNS:lbctl.test")
    return ["--key", key, "--cert", pem]


class H3Servers:
    """One h3_server on each real server; its connection IDs carry the server's id of the file."""

    def __init__(self, lab, *extra, layout=LAYOUT, port=443, id_of=lambda server: int(server.removeprefix("rs"))):
        self.lab = lab
        self.extra, self.layout, self.port = extra, layout, port
        self.logs = {server: os.path.join(lab.folder, f"h3-{server}-{port}.log") for server in lab.servers}
        self.processes = [self.start(server, id_of(server)) for server in lab.servers]
        self.wait()

    def start(self, server, number):
        return self.lab.start(
            server, H3_SERVER, "--listen", f"0.0.0.0:{self.port},[::]:{self.port}", "--name", server,
            "--layout", self.layout, "--id", number, *certificate(self.lab), "--idle-timeout", "300s",
            "--log", self.logs[server], *self.extra)

    def wait(self):
        for server in self.lab.servers:
            wait_for(f"{server}'s HTTP/3 server", lambda: len(events(self.logs[server], "listening")) == 2)

    def restart(self, server, number):
        """With this server id, right or wrong."""
        at = self.lab.servers.index(server)
        stop(self.processes[at])
        os.remove(self.logs[server])
        self.processes[at] = self.start(server, number)
        self.wait()

    def events(self, kind):
        """[(server, event)] of all servers."""
        return [(server, event) for server, log in self.logs.items() for event in events(log, kind)]


class Client:
    def __init__(self, lab, family, path, *extra, port=443,
                 move=(f"--change-local-addr={MOVE}", f"--delay-stream={REQUEST}")):
        self.path = path
        self.output = os.path.join(lab.folder, f"client{path.replace('/', '-')}.log")
        self.process = lab.start("client", "gtlsclient", "--exit-on-all-streams-close", "--no-quic-dump",
                                 "--handshake-timeout=60s", *(move or ()), *extra,
                                 VIP[family], port, f"https://lbctl.test{path}", log=self.output)

    def wait(self):
        try:
            self.process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            stop(self.process)

    def answered_by(self):
        """The server that answered, or None. The exit status says nothing."""
        with open(self.output, encoding="utf-8", errors="replace") as file:
            text = file.read()
        if ":status: 200" not in text or "[server: lbctl-h3 " not in text:
            return None
        return text.split("[server: lbctl-h3 ", 1)[1].split("]", 1)[0]


class Journey:
    """One connection: where it began, where the request arrived, who answered."""

    def __init__(self, client):
        self.path = client.path
        self.answered_by = client.answered_by()
        self.first = self.moved = None  # (server, client address)

    def stayed(self):
        return (self.answered_by is not None and self.first and self.moved
                and self.answered_by == self.first[0] == self.moved[0])

    def changed_uplink(self):
        return bool(self.first and self.moved) and host_of(self.first[1]) != host_of(self.moved[1])


def move_clients(lab, servers, family, count, tag, *, idle="20s"):
    """`count` clients shake hands from the first uplink, move to the second, then ask.

    Every second one moves as behind a NAT that forgot it: without noticing. Gives the journeys, and
    the server of each connection that was made: more than `count` means that somebody began anew.
    """
    known = {(server, e["scid"]) for server, e in servers.events("new_connection")}
    shaken = len(servers.events("handshake"))
    use_uplink(family, 0)
    clients = []
    for number in range(count):
        rebinding = ["--nat-rebinding"] if number % 2 else []
        clients.append(Client(lab, family, f"/{tag}{number}", f"--timeout={idle}", *rebinding))
        if len(clients) % AT_ONCE == 0 or len(clients) == count:
            wait_for(f"the handshakes of {len(clients)} clients",
                     lambda: len(servers.events("handshake")) - shaken >= len(clients), PATIENCE)
    use_uplink(family, 1)
    for client in clients:
        client.wait()
    use_uplink(family, 0)
    began = [server for server, e in servers.events("new_connection") if (server, e["scid"]) not in known]
    return follow(servers, clients), began


def follow(servers, clients):
    """Joins the clients' logs and the servers' by the path that each client asked for."""
    journeys = {client.path: Journey(client) for client in clients}
    starts = {(server, e["scid"]): e["remote"] for server, e in servers.events("new_connection")}
    for server, event in servers.events("request"):
        journey = journeys.get(event["path"])
        if journey:
            journey.moved = (server, event["from"])
            journey.first = (server, starts[(server, event["scid"])])
    return list(journeys.values())


class Movers:
    """Connections that change their uplink again and again: by turns as a client that migrates, and as
    one whose NAT has forgotten it. `count` of them to each of the ports; a new port each time."""

    made = 0

    def __init__(self, lab, family, ports, count, moves, *extra):
        Movers.made += 1
        self.wanted = count * len(ports)
        self.log = os.path.join(lab.folder, f"movers-{Movers.made}.log")
        self.process = lab.start("client", H3_MOVER, ",".join(vip_port(family, port) for port in ports),
                                 "--connections", count, "--moves", moves, "--at-once", AT_ONCE,
                                 "--sources", ",".join(source for _, _, source in UPLINKS[family]),
                                 "--timeout", "300s", *extra, log=self.log)

    def shaken_hands(self):
        """Waits until all connections stand."""
        wait_for(f"{self.wanted} connections", lambda: len(events(self.log, "handshake")) == self.wanted, PATIENCE)
        return self

    def stop(self):
        """No more moves; the reports."""
        self.process.terminate()
        return self.wait()

    def wait(self, limit=4 * PATIENCE):
        """The reports, once all moves are made."""
        try:
            self.process.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            raise LabError(f"the movers never end: {self.log}") from None
        with open(self.log, encoding="utf-8") as file:
            return [report for report in objects(file.read()) if "event" not in report]


def lost(reports):
    """Those that ended before their time, or got an answer from somebody else."""
    return [r for r in reports if r["error"] or r["strays"]]


def moves(reports):
    return {kind: sum(r[kind] for r in reports) for kind in ("migrations", "rebindings")}
