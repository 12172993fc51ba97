"""Connections that live long, and the lab's file written from values, so that it can change under them."""

import copy
import json
import os
import re
import signal

from labkit import CONFIG, ECHO, VIP, events, objects, on, stop, vip_port, wait_for
from quickit import LAYOUT, Client

VIPS = [VIP[4], VIP[6]]


def number_of(server):
    return int(server.removeprefix("rs"))


def service(ports, protocols, servers, scheduler="rr", flags=(), vips=None):
    return {"vip": vips or VIPS, "ports": ports, "protocols": protocols, "servers": servers,
            "scheduler": scheduler, "scheduler_flags": list(flags)}


def plain(servers, **settings):
    return service([80], ["tcp"], servers, **settings)


def web(servers, **settings):
    return service([443], ["mptcp", "quic"], servers, **settings)


def toml(value):
    """As JSON has it, but for tables."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(one)}" for key, one in value.items()) + " }"
    return json.dumps(value)


class Cluster:
    """What the file says. Change it, write it, apply."""

    def __init__(self, services, servers=("rs1", "rs2", "rs3"), drain=None, daemon=None):
        self.services = services
        self.servers = list(servers)
        self.drain = drain or {}
        self.daemon = daemon or {}

    def copy(self):
        return copy.deepcopy(self)

    def text(self):
        out = ['[cluster]\nname = "lab"\n', '[directors.dir1]\naddress = ["192.0.2.10", "2001:db8:100::10"]\n'
               'interface = "eth0"\n']
        if self.daemon:
            out.append("[daemon]\n" + "".join(f"{key} = {toml(value)}\n" for key, value in self.daemon.items()))
        if self.drain:
            out.append("[drain]\n" + "".join(f'{key} = "{value}"\n' for key, value in self.drain.items()))
        for server in self.servers:
            number = number_of(server)
            out.append(f'[servers.{server}]\naddress = ["192.0.2.{10 + number}", "2001:db8:100::{10 + number}"]\n'
                       f'interface = "eth0"\nid = {number}\n'
                       f'signal = ["192.0.2.{110 + number}", "2001:db8:100::{110 + number}"]\n')
        for name, one in self.services.items():
            weights = ", ".join(f"{server} = {weight}" for server, weight in sorted(one["servers"].items()))
            values = {key: value for key, value in one.items() if key not in ("servers", "cid") and value != []}
            out.append(f"[services.{name}]\n" + "".join(f"{k} = {toml(v)}\n" for k, v in values.items())
                       + f"servers = {{ {weights} }}\n")
            if "quic" in one["protocols"]:
                out.append(f"[services.{name}.quic]\ncid = {one.get('cid', LAYOUT)}\n")
        return "\n".join(out)

    def write(self):
        # As an operator's tool would: the old file or the new one, never half of it.
        with open(CONFIG + ".new", "w", encoding="utf-8") as file:
            file.write(self.text())
        os.rename(CONFIG + ".new", CONFIG)


class Talk:
    """Connections from the client that exchange a line each again and again, until stop()."""

    made = 0

    def __init__(self, lab, family, count, *extra, port=80, every="500ms"):
        Talk.made += 1
        self.count = count
        self.log = os.path.join(lab.folder, f"talk-{Talk.made}.log")
        self.process = lab.start("client", ECHO, "connect", vip_port(family, port), "--count", count, "--every", every,
                                 "--timeout", "20s", *extra, log=self.log)

    def connected(self):
        """The server of each connection, once all are made."""
        return [e["server"] for e in wait_for(f"{self.count} long connections",
                                              lambda: len(self.events("connected")) == self.count
                                              and self.events("connected"))]

    def events(self, kind):
        return events(self.log, kind)

    def failed_later(self, rounds=2):
        """How many connections have failed when that many more rounds have begun and ended."""
        have = len(self.events("round"))
        # One round may be under way already.
        wait_for("more rounds", lambda: len(self.events("round")) > have + rounds)
        return self.events("round")[-1]["failed"]

    def stop(self):
        """Ends the connections; a report of each."""
        stop(self.process)
        with open(self.log, encoding="utf-8") as file:
            return [o for o in objects(file.read()) if "event" not in o]


class Drip(Client):
    """A QUIC connection on which the server sends a line every second, until end_drips()."""

    def __init__(self, lab, family, name, *extra):
        super().__init__(lab, family, f"/drip/{name}", *extra, move=None)

    def lines(self):
        """(server, how many of its lines came)."""
        with open(self.output, encoding="utf-8", errors="replace") as file:
            text = file.read()
        return self.answered_by(), len(re.findall(r"http: stream 0x[0-9a-f]+ body \d+ bytes", text))


def end_drips(servers):
    for process in servers.processes:
        process.send_signal(signal.SIGUSR1)


def connections(lab, server, port=None):
    """Of a server, in any state, as the director's IPVS counts them now."""
    number = 10 + number_of(server)
    out = 0
    for line in on("dir1", "ipvsadm", "-Ln").stdout.splitlines():
        words = line.split()
        if len(words) == 6 and words[0] == "->" and words[2] == "Route":
            address, _, its_port = words[1].rpartition(":")
            if address.strip("[]") in (f"192.0.2.{number}", f"2001:db8:100::{number}") \
                    and port in (None, int(its_port)):
                out += int(words[4]) + int(words[5])
    return out


def weights(lab, server):
    """{"TCP 192.0.2.100:80": weight} of the director's destinations on that server."""
    number = 10 + number_of(server)
    out = {}
    for line in on("dir1", "ipvsadm", "-Sn").stdout.splitlines():
        words = line.split()
        if words[0] == "-a" and words[4].rpartition(":")[0].strip("[]") in (
                f"192.0.2.{number}", f"2001:db8:100::{number}"):
            kind = {"-t": "TCP", "-u": "UDP"}[words[1]]
            out[f"{kind} {words[2]}"] = int(words[words.index("-w") + 1])
    return out


def quick_ends(lab):
    """IPVS forgets a TCP connection 2 seconds after its FIN, not 2 minutes. Direct routing shows the
    director the client's half only, so an ended connection stands in FIN_WAIT."""
    on("dir1", "ipvsadm", "--set", 900, 2, 300)


def operations(text):
    """A plan's or a report's lines below its title."""
    return [line for line in text.splitlines()[1:] if line[:2] in ("+ ", "~ ", "- ")]


def document(lab, node, *words, check=True):
    return json.loads(lab.lbctl(node, *words, "-j", check=check).stdout)
