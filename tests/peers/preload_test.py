#!/usr/bin/python3
"""Debian's gtlsserver, as it is, with liblbctl-cid.so preloaded, on two servers that steer.

A router stands in for the director: it sends to rs1 what comes from one of the client's addresses,
and to rs2 what comes from the other. A client that moves between them is lost without steering.
"""

import json
import os
import re
import sys

import quic_test
from netns import Checks, Lab, inside, need_root_and, run, stop, wait_for

VIP = "10.73.0.100"
OCTETS = 18  # of gtlsserver's connection IDs
LAYOUTS = {
    "plain": ('{ scheme = "quic-lb", id_length = 2, nonce_length = 15 }',
              {"LBCTL_CID_ID_LENGTH": 2, "LBCTL_CID_NONCE_LENGTH": 15}),
    "encrypted": ('{ scheme = "quic-lb", config = 2, id_length = 3, nonce_length = 14, key_file = "KEY" }',
                  {"LBCTL_CID_CONFIG": 2, "LBCTL_CID_ID_LENGTH": 3, "LBCTL_CID_NONCE_LENGTH": 14,
                   "LBCTL_CID_KEY_FILE": "KEY"}),
    "msquic": ('{ scheme = "msquic" }', {"LBCTL_CID_SCHEME": "msquic"}),
}
FILE = """
[cluster]
name = "preload"
[directors.dir1]
address = ["10.73.0.1"]
interface = "eth0"
[servers.rs1]
address = ["10.73.0.11"]
interface = "eth0"
id = 1
[servers.rs2]
address = ["10.73.0.12"]
interface = "eth0"
id = 2
[services.web]
vip = ["10.73.0.100"]
ports = [4433]
protocols = ["quic"]
[services.web.quic]
cid = LAYOUT
"""


class Site:
    """client --- router --- bridge --- rs1, rs2"""

    def __init__(self, lab, lbctl, shim):
        self.lab, self.lbctl_path, self.shim = lab, lbctl, shim
        self.client, self.router, self.segment = (lab.namespace(name) for name in ("client", "router", "segment"))
        self.servers = {name: lab.namespace(name) for name in ("rs1", "rs2")}
        run("ip", "-n", self.segment, "link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
        run("ip", "-n", self.segment, "link", "set", "br0", "up")
        lab.cable(self.client, "up1", ["10.73.1.2/24", "10.73.1.3/24"], self.router, "down1", ["10.73.1.1/24"])
        lab.cable(self.router, "eth0", ["10.73.0.1/24"], self.segment, "router", [])
        for number, (name, namespace) in enumerate(self.servers.items(), 1):
            lab.cable(namespace, "eth0", [f"10.73.0.1{number}/24"], self.segment, name, [])
            run("ip", "-n", namespace, "route", "add", "default", "via", "10.73.0.1")
            run("ip", "-n", self.router, "route", "add", f"{VIP}/32", "via", f"10.73.0.1{number}", "table", 100 + number)
            run("ip", "-n", self.router, "rule", "add", "from", f"10.73.1.{1 + number}", "lookup", 100 + number)
        for port in ("router", *self.servers):
            run("ip", "-n", self.segment, "link", "set", port, "master", "br0")
        inside(self.router, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=0",
               "net.ipv4.conf.down1.send_redirects=0")
        inside(self.client, "ethtool", "-K", "up1", "tx", "off")
        self.pem = quic_test.certificate(lab)
        self.key = lab.file("cid.key")
        with open(os.open(self.key, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as file:
            file.write("8f95f09245765f80256934e50c66207f\n")
        self.htdocs = lab.file("htdocs")
        os.makedirs(self.htdocs)
        with open(os.path.join(self.htdocs, "file"), "w", encoding="ascii") as file:
            file.write("here\n")
        self.state = lab.file("state")
        os.makedirs(f"{self.state}/bpf")
        run("mount", "-t", "bpf", "bpf", f"{self.state}/bpf")

    def lbctl(self, *words):
        return run(self.lbctl_path, "-f", self.file, "--state-dir", self.state, *words).stdout

    def apply(self, layout):
        self.file = self.lab.file("lbctl.toml")
        with open(self.file, "w", encoding="utf-8") as file:
            file.write(FILE.replace("LAYOUT", layout.replace("KEY", self.key)))
        for name, namespace in self.servers.items():
            inside(namespace, self.lbctl_path, "-f", self.file, "--state-dir", self.state, "--node", name, "apply")

    def down(self):
        for namespace in self.servers.values():
            inside(namespace, self.lbctl_path, "--state-dir", self.state, "down", check=False)

    def serve(self, environment):
        """gtlsserver on both; [(process, log)]"""
        out = []
        for number, (name, namespace) in enumerate(self.servers.items(), 1):
            log = self.lab.file(f"gtls-{name}.log")
            words = [f"{variable}={self.key if value == 'KEY' else value}" for variable, value in environment.items()]
            if environment:
                words += [f"LD_PRELOAD={self.shim}", f"LBCTL_CID_OCTETS={OCTETS}", f"LBCTL_CID_ID={number}"]
            with open(log, "wb") as output:
                process = self.lab.start(namespace, "env", *words, "gtlsserver", "--no-quic-dump", "--no-http-dump",
                                         "-d", self.htdocs, VIP, 4433, self.pem[1], self.pem[3], output=output)
            wait_for(f"{name} listens", lambda: VIP in inside(namespace, "ss", "-Hlun", "sport", "=", ":4433").stdout)
            out.append((process, log))
        return out

    def source(self, address):
        run("ip", "-n", self.client, "route", "replace", f"{VIP}/32", "via", "10.73.1.1", "dev", "up1", "src", address)

    def move(self, name, timeout="20s"):
        """A client that begins with rs1 and goes on from where the router sends it to rs2; its output."""
        self.source("10.73.1.2")
        output = self.lab.file(f"client-{name}")
        with open(output, "wb") as file:
            client = self.lab.start(self.client, "gtlsclient", "--exit-on-all-streams-close", "--no-quic-dump",
                                    "--change-local-addr=3s", "--delay-stream=4s", f"--timeout={timeout}",
                                    VIP, 4433, "https://lbctl.test/file", output=file)

        def text():
            with open(output, encoding="utf-8", errors="replace") as file:
                return file.read()

        wait_for("the handshake", lambda: "HANDSHAKE_DONE" in text())
        self.source("10.73.1.3")
        client.wait(timeout=60)
        return text()


def check(checks, site, name):
    layout, environment = LAYOUTS[name]
    site.apply(layout)
    servers = site.serve(environment)
    output = site.move(name)
    scids, frames = quic_test.issued_cids(output)
    issued = sorted(set(scids + frames))
    checks.equal(f"{name}: the client saw several connection IDs, of {OCTETS} octets",
                 (len(issued) > 2, {len(cid) // 2 for cid in issued}), (True, {OCTETS}))
    read = [json.loads(site.lbctl("-j", "cid", "decode", cid, "--service", "web")) for cid in issued]
    checks.equal(f"{name}: lbctl reads in each that it is of rs1", {one.get("server") for one in read}, {"rs1"})
    checks.equal(f"{name}: the client moved to the way to rs2, and was answered", ":status: 200" in output, True)
    for process, _ in servers:
        stop(process)
    site.down()


def check_without(checks, site):
    """The same without the library: nobody knows whose the packets are."""
    site.apply(LAYOUTS["plain"][0])
    servers = site.serve({})
    output = site.move("without", timeout="5s")
    checks.equal("without the library the client is lost", (":status: 200" in output, bool(re.search("HANDSHAKE_DONE", output))),
                 (False, True))
    for process, _ in servers:
        stop(process)
    site.down()


def main(build_folder, lbctl, shim):
    need_root_and("ip", "openssl", "gtlsclient", "gtlsserver", "ethtool")
    checks = Checks()
    with Lab(os.path.abspath(os.path.join(build_folder, "preload_test"))) as lab:
        site = Site(lab, lbctl, shim)
        try:
            for name in LAYOUTS:
                check(checks, site, name)
            check_without(checks, site)
        finally:
            site.down()
            run("umount", f"{site.state}/bpf", check=False)
    checks.finish()


if __name__ == "__main__":
    main(*sys.argv[1:])
