"""Connections of every kind exchange data all the time while the file changes again and again: none is dropped.

LBCTL_CONTINUITY=full takes 200 connections and 100 changes of the file (some minutes); else fewer.
"""

import os
import random
import time
from collections import Counter

from labkit import Lab, client_mptcp, wait_for
from livekit import Cluster, Drip, Talk, document, end_drips, plain, service, web
from quickit import AT_ONCE, H3Servers, use_uplink

FULL = os.environ.get("LBCTL_CONTINUITY") == "full"
# For each family.
TCP, MPTCP, QUIC, STEPS = (40, 40, 20, 100) if FULL else (10, 10, 4, 10)
# QUIC clients, every second one, change their address so long after their handshake.
MOVE = "60s" if FULL else "20s"
SERVERS = ["rs1", "rs2", "rs3"]


def base():
    return Cluster({"plain": plain(dict.fromkeys(SERVERS, 4), scheduler="wrr"),
                    "web": web(dict.fromkeys(SERVERS, 4), scheduler="mh", flags=["mh-port"])},
                   servers=SERVERS)


class Changes:
    """A file after another, the same ones for the same seed. What leaves comes back after a few steps."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.cluster = base()
        self.back = []  # (step, how to bring it back)
        self.number = 0
        self.extra = 0

    def step(self):
        """Up to three changes; what they are."""
        self.number += 1
        due = [how for step, how in self.back if step <= self.number]
        self.back = [(step, how) for step, how in self.back if step > self.number]
        for how in due:
            how()
        kinds = [self.weight, self.server_leaves, self.service_leaves, self.port, self.protocol, self.scheduler,
                 self.more, self.node_leaves]
        said = [words for kind in self.random.sample(kinds, 3) if (words := kind())]
        return said

    def file(self):
        """The cluster without the servers that are away."""
        out = self.cluster.copy()
        for one in out.services.values():
            one["servers"] = ({name: weight for name, weight in one["servers"].items() if name in out.servers}
                              or {out.servers[0]: 4})
        return out

    def later(self, how):
        self.back.append((self.number + self.random.randint(1, 3), how))

    def some_service(self):
        return self.random.choice(sorted(self.cluster.services))

    def weight(self):
        name = self.some_service()
        servers = self.cluster.services[name]["servers"]
        server = self.random.choice(sorted(servers))
        servers[server] = self.random.randint(1, 20)
        return f"{name}: {server} has weight {servers[server]}"

    def server_leaves(self):
        name = self.some_service()
        one = self.cluster.services[name]
        if len(one["servers"]) < 2:
            return None
        server = self.random.choice(sorted(one["servers"]))
        del one["servers"][server]
        self.later(lambda: one["servers"].setdefault(server, 4))
        return f"{name}: without {server}"

    def service_leaves(self):
        name = self.some_service()
        if len(self.cluster.services) < 2:
            return None
        gone = self.cluster.services.pop(name)
        self.later(lambda: self.cluster.services.setdefault(name, gone))
        return f"without service {name}"

    def port(self):
        if "web" not in self.cluster.services:
            return None
        ports = self.random.choice([[443, 8443], [443], [8443]])
        one = self.cluster.services["web"]
        one["ports"] = ports
        if ports == [8443]:
            self.later(lambda: one.update(ports=[443]))
        return f"web: ports {ports}"

    def protocol(self):
        if "web" not in self.cluster.services:
            return None
        one = self.cluster.services["web"]
        one["protocols"] = self.random.choice([["mptcp"], ["quic"], ["tcp", "quic"]])
        self.later(lambda: one.update(protocols=["mptcp", "quic"]))
        return f"web: protocols {one['protocols']}"

    def scheduler(self):
        name = self.some_service()
        one = self.cluster.services[name]
        one["scheduler"] = self.random.choice(["rr", "wrr", "wlc", "mh"])
        one["scheduler_flags"] = ["mh-port"] if one["scheduler"] == "mh" else []
        return f"{name}: scheduler {one['scheduler']}"

    def more(self):
        self.extra += 1
        name = f"more{self.extra}"
        number = 101 + self.extra % 8
        self.cluster.services[name] = service(
            [self.random.randint(1000, 9999)], self.random.choice([["tcp"], ["mptcp"], ["udp"]]),
            {self.random.choice(self.cluster.servers): 1}, vips=[f"192.0.2.{number}", f"2001:db8:100::{number}"])
        self.later(lambda: self.cluster.services.pop(name, None))
        return f"one more service, {name}"

    def node_leaves(self):
        """A server is in the file no more."""
        if len(self.cluster.servers) < len(SERVERS):
            return None
        server = self.random.choice(SERVERS)
        self.cluster.servers = [name for name in SERVERS if name != server]
        self.later(lambda: setattr(self.cluster, "servers", list(SERVERS)))
        return f"without [servers.{server}]"


class Applied:
    """Applies on servers and director, and what they did."""

    def __init__(self, lab):
        self.lab = lab
        self.applies = self.changes = self.drained = 0
        self.cut = []

    def all(self, cluster):
        cluster.write()
        # A server that is not in the file has nothing to apply.
        for node in [*cluster.servers, "dir1"]:
            done = document(self.lab, node, "apply")
            self.applies += 1
            self.changes += len(done["done"])
            for operation in done["done"]:
                effect = operation.get("disruption", {})
                if effect.get("effect") == "drain":
                    self.drained += effect["connections"]
                elif effect:
                    self.cut.append((node, operation))


class Connections:
    """All of them: 4 processes for TCP and MPTCP, one for each QUIC connection."""

    def __init__(self, lab, servers):
        self.servers = servers
        client_mptcp("uplinks")
        self.talks = {}
        for family in (4, 6):
            self.talks[f"TCP, IPv{family}"] = Talk(lab, family, TCP, "--tcp", every="1s")
            self.talks[f"MPTCP, IPv{family}"] = Talk(lab, family, MPTCP, "--want-subflows", 2, port=443, every="1s")
        self.drips = []
        for family in (4, 6):
            use_uplink(family, 0)
            for number in range(QUIC):
                moves = [f"--change-local-addr={MOVE}"] if number % 2 else []
                self.drips.append(Drip(lab, family, f"{family}-{number}", "--timeout=60s", *moves))
                if len(self.drips) % AT_ONCE == 0 or number == QUIC - 1:
                    wait_for("the QUIC connections",
                             lambda: len(servers.events("request")) >= len(self.drips), 120)
        self.shares = {what: Counter(talk.connected()) for what, talk in self.talks.items()}
        self.shares["QUIC"] = Counter(server for server, _ in servers.events("request"))
        self.began = time.monotonic()

    def failed(self):
        """How many of TCP and MPTCP have failed, after two more rounds."""
        return {what: talk.failed_later() for what, talk in self.talks.items()}

    def slowest(self):
        return max(e["milliseconds"] for talk in self.talks.values() for e in talk.events("round"))

    def close(self):
        """The reports of TCP and MPTCP, and of each QUIC connection who answered and how often."""
        lasted = time.monotonic() - self.began
        end_drips(self.servers)
        reports = {what: talk.stop() for what, talk in self.talks.items()}
        for drip in self.drips:
            drip.wait()
        return reports, [drip.lines() for drip in self.drips], lasted


def nothing_is_dropped(checks):
    """TCP, MPTCP and QUIC, IPv4 and IPv6, while weights, servers, services and ports change on all nodes"""
    with Lab() as lab:
        applied = Applied(lab)
        applied.all(base())
        lab.serve_echo(80, "--tcp")
        lab.serve_echo(443)
        live = Connections(lab, H3Servers(lab))
        count = sum(share.total() for share in live.shares.values())
        checks.note(f"{count} connections: " + "; ".join(f"{what} {dict(sorted(s.items()))}"
                                                         for what, s in live.shares.items()))
        for family in (4, 6):
            use_uplink(family, 1)  # where those that move will find themselves
        began = time.monotonic()
        walk = Changes(seed=8)
        for _ in range(STEPS):
            said = walk.step()
            applied.all(walk.file())
            if FULL:
                checks.note(f"{walk.number}: {'; '.join(said)}")
        applied.all(base())
        checks.note(f"{STEPS} files, {applied.applies} applies, {applied.changes} changes in "
                    f"{time.monotonic() - began:.0f} s; {applied.drained} times a connection's destination drained")
        checks.that("connections were drained on the way", applied.drained > 0, applied.drained)
        checks.equal("and none was cut off", applied.cut, [])
        checks.equal("at the end every TCP and MPTCP connection exchanges data", live.failed(),
                     dict.fromkeys(live.talks, 0))
        checks.note(f"the slowest round of lines took {live.slowest()} ms")
        after_the_deadline(checks, lab, live)


def after_the_deadline(checks, lab, live):
    """The same connections when one server leaves and its time is over: its own end, and no others."""
    short = base()
    short.drain = {"tcp": "2s", "udp": "2s"}
    for one in short.services.values():
        del one["servers"]["rs2"]
    short.write()
    document(lab, "dir1", "apply")
    time.sleep(3)
    done = document(lab, "dir1", "apply")["done"]
    cut = sum(o["disruption"]["connections"] for o in done if o["reason"] == "deadline")
    wanted = {what: live.shares[what]["rs2"] for what in live.talks}
    wait_for("the cut connections end", lambda: live.failed() == wanted or None, 90)
    reports, quic, lasted = live.close()
    checks.equal("past its deadline: the connections of that server end, and nobody else's",
                 {what: Counter(r["server"] for r in of if r.get("error")) for what, of in reports.items()},
                 {what: Counter({"rs2": number} if number else {}) for what, number in wanted.items()})
    checks.note(f"drained past its deadline: {sum(wanted.values())} connections, {cut} entries of IPVS cut off")
    checks.equal("every connection stayed with one server",
                 {what: Counter(r["server"] for r in of) for what, of in reports.items()},
                 {what: live.shares[what] for what in reports})
    checks.equal("every MPTCP connection was one to the end",
                 [r for what, of in reports.items() if what.startswith("MPTCP") for r in of if r["fallback"]], [])
    # Steering brings QUIC home even when the director has forgotten where the connection began.
    checks.equal("every QUIC connection got its answer to the end, from one server",
                 Counter(server for server, _ in quic), live.shares["QUIC"])
    checks.that("and a line in most seconds", all(lines > lasted / 2 for _, lines in quic), (quic, lasted))
    checks.equal("none of them was begun anew, and none ended but by its client",
                 (len(live.servers.events("new_connection")),
                  Counter(e["reason"] for _, e in live.servers.events("close"))),
                 (len(live.drips), Counter({"closed by the client": len(live.drips)})))
    checks.note(f"QUIC: {len(live.servers.events('path_change'))} changed their address; "
                f"packets with an unknown connection ID: {len(live.servers.events('unknown_dcid'))}")


SCENARIOS = [nothing_is_dropped]
