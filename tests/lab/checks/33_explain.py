"""`lbctl explain` says of a flow what the kernel then does with it."""

import ipaddress
import json
import random
import re
import signal
import subprocess
import sys

from labkit import FULL, VIP, Lab, on, run, settles, vip_port, wait_for
from livekit import Cluster, document, service, weights

FLOWS = 1000 if FULL else 24  # for each scheduler and phase, every second one IPv6
FIRST_PORT = 5001
FLAGS = [[], ["port"], ["fallback"], ["port", "fallback"]]
SCHEDULERS = [(name, [f"{name}-{flag}" for flag in flags]) for name in ("mh", "sh") for flags in FLAGS]

# In the client's namespace: a datagram for each flow, whatever its source address (IP_TRANSPARENT).
SENDER = """
import json, socket, sys
for source, source_port, target, port in json.load(sys.stdin):
    v6 = ":" in source
    with socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.setsockopt(*((41, 75) if v6 else (0, 19)), 1)
        out.bind((source, source_port))
        out.sendto(b"?", (target, port))
"""


def flows_to(port, seed):
    out = []
    dice = random.Random(f"{port} {seed}")
    for number in range(FLOWS):
        v6 = number % 2
        source = f"2001:db8:{dice.randrange(1, 0xffff):x}::{dice.randrange(1, 0xffff):x}" if v6 else \
            f"{dice.randrange(11, 100)}.{dice.randrange(256)}.{dice.randrange(256)}.{dice.randrange(1, 255)}"
        out.append((source, dice.randrange(1024, 65536), VIP[6 if v6 else 4], port))
    return list(dict.fromkeys(out))


def ends(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def text_of(flow, protocol="udp"):
    source, source_port, target, port = flow
    return f"{ends(source, source_port)} -> {ends(target, port)}/{protocol}"


def address(field):
    """Of /proc/net/ip_vs_conn, as lbctl writes it."""
    if ":" not in field:
        return ".".join(str(int(field[at:at + 2], 16)) for at in range(0, 8, 2))
    return str(ipaddress.ip_address(field))


def table():
    """(source, port, target, port) -> where IPVS sends it."""
    out = {}
    for line in on("dir1", "cat", "/proc/net/ip_vs_conn").stdout.splitlines():
        words = line.split()
        if words[0] == "UDP":
            key = (address(words[1]), int(words[2], 16), address(words[3]), int(words[4], 16))
            out[key] = address(words[5])
    return out


def explained(lab, node, flows, *words):
    return json.loads(lab.lbctl(node, "explain", "-j", *words, *flows).stdout)["flows"]


def sent(flows):
    on("client", sys.executable, "-c", SENDER, input=json.dumps(flows))
    return table()


def compare(checks, lab, what, seed):
    for port, (name, flags) in enumerate(SCHEDULERS, FIRST_PORT):
        flows = flows_to(port, seed)
        told = explained(lab, "dir1", [text_of(flow) for flow in flows])
        verdicts = {flow: one.get("address") for flow, one in zip(flows, told)}
        went = sent(flows)
        # A busy machine's receive queue (netdev_max_backlog) takes 1,000 packets and loses what is more.
        if lost := [flow for flow in flows if verdicts[flow] and flow not in went]:
            went = sent(lost)
        wrong = {text_of(flow): (said, went.get(flow)) for flow, said in verdicts.items() if said != went.get(flow)}
        checks.equal(f"{what}: {name} {' '.join(flags) or 'without flags'}: {len(flows)} flows go where explain said",
                     wrong, {})
        checks.that("not all to one server", len(set(verdicts.values())) > 1, verdicts)
        again = explained(lab, "dir1", [text_of(flows[0])])[0]
        checks.equal("now there is an entry, and explain says so",
                     (again.get("address"), any(step["part"] == "connection" for step in again["steps"])),
                     (went.get(flows[0]), flows[0] in went))


def without_fallback(lab):
    """Weight 0 as others give it: lbctl's drain would see to the fallback."""
    for port in range(FIRST_PORT, FIRST_PORT + len(SCHEDULERS)):
        for family, server in ((4, "192.0.2.12"), (6, "2001:db8:100::12")):
            on("dir1", "ipvsadm", "-e", "-u", vip_port(family, port), "-r", ends(server, port), "-g", "-w", 0)


def schedulers(checks):
    """mh and sh with all flags, weights and a drained server: each flow goes where explain said it would"""
    with Lab() as lab:
        services = {f"s{port}": service([port], ["udp"], {"rs1": 1, "rs2": 3, "rs3": 7}, scheduler=name, flags=flags)
                    for port, (name, flags) in enumerate(SCHEDULERS, FIRST_PORT)}
        services["rr"] = service([5100], ["udp"], {"rs1": 1, "rs2": 1}, scheduler="rr")
        cluster = Cluster(services)
        cluster.write()
        lab.apply()
        compare(checks, lab, "weights 1, 3 and 7", 1)
        depends = explained(lab, "dir1", [text_of(("198.51.100.7", 51000, VIP[4], 5100))])[0]
        checks.equal("rr depends, says explain, and names whom on",
                     (depends["verdict"], sum(step["part"] == "destination" for step in depends["steps"])), ("depends", 2))
        for one in services.values():
            one["servers"] = {"rs1": 40, "rs2": 100, "rs3": 6000} if "rs3" in one["servers"] else one["servers"]
        cluster.write()
        lab.apply("dir1")
        compare(checks, lab, "weights 40, 100 and 6000", 2)
        lab.lbctl("dir1", "drain", "rs2")
        checks.equal("rs2 is drained", set(weights(lab, "rs2").values()), {0})
        compare(checks, lab, "rs2 drained", 3)
        lab.lbctl("dir1", "undrain", "rs2")
        without_fallback(lab)
        compare(checks, lab, "rs2 of weight 0, by hand", 4)
        refused = [one["verdict"] for one in explained(lab, "dir1", [text_of(flow) for seed in range(4, 12)
                                                                     for flow in flows_to(FIRST_PORT, seed)])]
        checks.that("where there is no fallback some are refused", "refused" in refused, refused)


def part(one, name):
    return [step["says"] for step in one["steps"] if step["part"] == name]


def both_kinds_of_node(checks):
    """Signal addresses and their guard, connections, listeners, endpoints and steering"""
    with Lab() as lab:
        lab.apply()
        lab.serve_echo(443)
        report = lab.connect(4, 1, "--hold", "1s")[0]
        signal = explained(lab, "dir1", [f"198.51.100.2:40000 -> {lab.signal_address('rs2', 4)}:443/tcp"])[0]
        checks.equal("a signal address goes to its server", (signal["verdict"], signal["server"]), ("to_server", "rs2"))
        checks.that("and its guard is told", any("MP_JOIN" in one for one in part(signal, "guard")), signal)
        local = report["subflows"][0]["local"]
        entry = explained(lab, "dir1", [f"{local} -> {vip_port(4, 443)}/tcp"])[0]
        checks.equal("a connection that was", (entry["server"], len(part(entry, "connection"))), (report["server"], 1))
        nobody = explained(lab, "dir1", [f"198.51.100.2:40000 -> {VIP[4]}:999/tcp"])[0]
        checks.equal("a port that nobody serves", nobody["verdict"], "local")

        flow = f"[2001:db8:a::2]:40000 -> {vip_port(6, 443)}/tcp"
        here = explained(lab, "rs1", [flow])[0]
        checks.equal("on a server: taken", here["verdict"], "local")
        checks.that("by a listener with MPTCP", any("MPTCP" in one and "plain" not in one for one in part(here, "listener")), here)
        here = explained(lab, "rs1", [f"198.51.100.2:40000 -> {lab.signal_address('rs1', 4)}:443/tcp"])[0]
        checks.that("a signal address with its endpoint", any("signal" in one for one in part(here, "endpoint")), here)
        here = explained(lab, "rs1", [f"198.51.100.2:40000 -> {vip_port(4, 80)}/tcp"])[0]
        checks.equal("nobody listens on port 80", here["verdict"], "refused")

        udp = f"198.51.100.2:40000 -> {vip_port(4, 443)}/udp"
        checks.equal("QUIC depends on the connection ID", explained(lab, "rs1", [udp])[0]["verdict"], "depends")
        for server in lab.servers:
            cid = lab.lbctl("rs1", "cid", "encode", "--service", "web", "--id", server).stdout.strip()
            one = explained(lab, "rs1", [udp], "--cid", cid)[0]
            checks.equal(f"with one of {server}", (one["verdict"], one.get("server")),
                         ("to_server", server) if server != "rs1" else ("refused", None))
            named = document(lab, "dir1", "explain", "--cid", cid)["services"]
            checks.equal("which --cid alone names, too", [(of["service"], of["server"]) for of in named], [("web", server)])
        text = lab.lbctl("rs2", "explain", udp, "--cid", cid).stdout
        checks.that("as text", re.search(r"steering +layout 1: server id 3, rs3: sent on to ([0-9a-f:]{17})", text), text)


# In the client's namespace: a datagram from each of so many ports with this beginning.
DATAGRAMS = """
import socket, sys
for _ in range(int(sys.argv[1])):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.sendto(bytes.fromhex(sys.argv[3]) + bytes(40), (sys.argv[2], 443))
"""


def live(checks):
    """explain --live: every hop of packets whose connection ID names rs2, as the servers see it"""
    sent = 24
    with Lab() as lab:
        lab.apply()
        followers = {}
        for server in lab.servers:
            command = lab.lbctl_words(server, "-j", "explain", "--live", "--sample", "1")
            followers[server] = subprocess.Popen(["ip", "netns", "exec", f"lab-{server}", *command], text=True,
                                                 stdout=subprocess.PIPE)
        wait_for("all follow", lambda: run("bpftool", "prog", "show").stdout.count(" name watch ") == len(followers))
        cid = lab.lbctl("rs1", "cid", "encode", "--service", "web", "--id", "rs2").stdout.strip()
        on("client", sys.executable, "-c", DATAGRAMS, sent, VIP[4], "40" + cid)
        passed = settles(lambda: document(lab, "rs2", "status")["steering"]["packets"]["from_peer"] +
                         document(lab, "rs2", "status")["steering"]["packets"]["local"], sent)
        checks.equal("every packet came to rs2", passed, sent)
        told = {}
        for server, process in followers.items():
            process.send_signal(signal.SIGTERM)
            lines = [json.loads(line) for line in process.communicate()[0].splitlines()]
            checks.equal(f"{server}: the command ends when it is told", process.returncode, 0)
            told[server] = [line for line in lines if line.get("cid", "").startswith(cid)]
        away = [line for server in ("rs1", "rs3") for line in told[server]]
        checks.equal("rs1 and rs3 send them on to rs2",
                     {(line["action"], line.get("server")) for line in away}, {("sent", "rs2")})
        checks.that("and say why", all("server id 2, rs2: sent on to" in line["why"] for line in away), away)
        from_peer = [line for line in told["rs2"] if line["why"] in ("rs1 sent it here", "rs3 sent it here")]
        own = [line for line in told["rs2"] if "server id 2, rs2: this node" in line["why"]]
        checks.equal("rs2 tells them all, and who sent them",
                     (len(from_peer), len(own), {line["action"] for line in told["rs2"]}),
                     (len(away), sent - len(away), {"passed"}))
        checks.equal("nothing stays behind", run("bpftool", "prog", "show").stdout.count(" name watch "), 0)


SCENARIOS = [schedulers, both_kinds_of_node, live]
