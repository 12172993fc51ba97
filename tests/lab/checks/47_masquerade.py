"""Masquerade as users of Polycube's lbrp have it: several VIPs, a pool for each protocol, ports mapped."""

import json

from labkit import Lab, on, wait_for, write_config
from livekit import Talk

VIPS = {"web": {4: "192.0.2.100", 6: "2001:db8:100::100"}, "dns": {4: "192.0.2.101", 6: "2001:db8:100::101"}}

UDP_SERVER = """
import socket, sys
name, port = sys.argv[1], int(sys.argv[2])
server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
server.bind(("::", port))
while True:
    data, sender = server.recvfrom(100)
    server.sendto(f"{name}:{port}".encode(), sender)
"""
# Connected sockets: an answer from anything but the VIP and its port is not seen.
UDP_CLIENT = """
import socket, sys
for _ in range(int(sys.argv[3])):
    client = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
    client.settimeout(5)
    client.connect((sys.argv[1], int(sys.argv[2])))
    client.send(b"who")
    try:
        print(client.recv(100).decode())
    except OSError as error:
        print(type(error).__name__)
"""


def write(lab, web_servers):
    text = '[cluster]\nname = "lab"\n[directors.dir1]\naddress = ["192.0.2.10", "2001:db8:100::10"]\n' \
           'interface = "eth0"\n'
    for number in range(1, len(lab.servers) + 1):
        text += (f'[servers.rs{number}]\naddress = ["192.0.2.{10 + number}", "2001:db8:100::{10 + number}"]\n'
                 f'interface = "eth0"\nid = {number}\n')
    pools = (("web", [80, 8000], "tcp", 8080, web_servers),
             ("dns", [53, 5300], "udp", 5353, "{ rs2 = 1, rs3 = { weight = 2, port = 5354 } }"))
    for name, ports, protocol, port, servers in pools:
        text += (f"[services.{name}]\nvip = {json.dumps(list(VIPS[name].values()))}\nports = {ports}\n"
                 f'protocols = ["{protocol}"]\nscheduler = "wrr"\nforward = "masquerade"\nserver_port = {port}\n'
                 f"servers = {servers}\n")
    write_config(text)


def shares(names):
    return {name: names.count(name) for name in sorted(set(names))}


def tcp_servers(lab, family, count, port):
    return [r.get("server") or r.get("error") for r in lab.connect(family, count, "--tcp", port=port)]


def pools(checks, lab):
    for family in (4, 6):
        for name, vips in VIPS.items():
            done = on("client", "ping", "-c", 1, "-W", 5, vips[family], check=False)
            checks.equal(f"IPv{family}: the VIP of {name} answers ping", done.returncode, 0)
        for port in (80, 8000):
            checks.equal(f"IPv{family}: TCP port {port} goes to 8080 of the servers, 3 to 1",
                         shares(tcp_servers(lab, family, 8, port)), {"rs1": 6, "rs2": 2})
        for port in (53, 5300):
            got = on("client", "python3", "-c", UDP_CLIENT, VIPS["dns"][family], port, 6).stdout.split()
            checks.equal(f"IPv{family}: UDP port {port} goes to 5353 and 5354, 1 to 2", shares(got),
                         {"rs2:5353": 2, "rs3:5354": 4})
    shown = on("rs1", "ip", "address", "show").stdout
    held = [vip for vips in VIPS.values() for vip in vips.values() if vip + "/" in shown]
    checks.equal("the servers hold no VIP", held, [])


def weights(server):
    """{"192.0.2.100:80": weight} of a server's web destinations."""
    number = 10 + int(server.removeprefix("rs"))
    out = {}
    for line in on("dir1", "ipvsadm", "-Sn").stdout.splitlines():
        words = line.split()
        if words[:2] == ["-a", "-t"] and words[4] in (f"192.0.2.{number}:8080", f"[2001:db8:100::{number}]:8080"):
            out[words[2]] = int(words[words.index("-w") + 1])
    return out


def changes_under_connections(checks, lab):
    talks = {family: Talk(lab, family, 4, "--tcp", every="200ms") for family in (4, 6)}
    for family, talk in talks.items():
        checks.equal(f"IPv{family}: long connections are spread", shares(talk.connected()), {"rs1": 3, "rs2": 1})

    write(lab, "{ rs1 = 3, rs2 = 1, rs3 = 4 }")
    done = lab.lbctl("dir1", "apply")
    checks.that("a server is added in place", "+ ipvs tcp 192.0.2.100:80 -> 192.0.2.13:8080  masquerade weight 4"
                in done.stdout, done.stdout)
    for family, talk in talks.items():
        checks.equal(f"IPv{family}: no long connection sees the addition", talk.failed_later(), 0)
        checks.equal(f"IPv{family}: the new server has its share", shares(tcp_servers(lab, family, 8, 80)),
                     {"rs1": 3, "rs2": 1, "rs3": 4})

    lab.lbctl("dir1", "drain", "rs1", "--deadline", "10m")
    ports = {f"{host}:{port}": 0 for host in (VIPS["web"][4], f"[{VIPS['web'][6]}]") for port in (80, 8000)}
    busy = {key: 0 for key in ports if key.endswith(":80")}
    have = weights("rs1")
    checks.that("the drained server has weight 0 where it has connections",
                busy.items() <= have.items() and set(have.values()) == {0}, have)
    for family, talk in talks.items():
        checks.equal(f"IPv{family}: no long connection sees the drain", talk.failed_later(), 0)
        checks.equal(f"IPv{family}: new ones go to the others", shares(tcp_servers(lab, family, 5, 8000)),
                     {"rs2": 1, "rs3": 4})
        reports = talk.stop()
        checks.equal(f"IPv{family}: the long connections ended well, on their servers",
                     shares([r["server"] for r in reports if r["bytes_ok"]]), {"rs1": 3, "rs2": 1})
    lab.lbctl("dir1", "undrain", "rs1")
    checks.equal("undrain brings it back", weights("rs1"), {key: 3 for key in ports})


def like_lbrp(checks):
    """two VIPs, TCP and UDP pools, ports mapped, VIPs that answer ping; changes under live connections"""
    with Lab(gateway="director") as lab:
        write(lab, "{ rs1 = 3, rs2 = 1 }")
        lab.apply()
        lab.serve_echo(8080, "--tcp")
        for server in lab.servers:
            for port in (5353, 5354):
                lab.start(server, "python3", "-c", UDP_SERVER, server, port)
        for server in lab.servers:
            wait_for(f"{server} listens for UDP", lambda: all(
                f":{port} " in on(server, "ss", "-Hlun").stdout for port in (5353, 5354)))
        pools(checks, lab)
        changes_under_connections(checks, lab)
        for node in lab.members:
            lab.lbctl(node, "down")


SCENARIOS = [like_lbrp]
