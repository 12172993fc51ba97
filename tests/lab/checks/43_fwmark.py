"""Services by firewall mark: ranges of ports and whole addresses, TCP and UDP, over both families."""

import json
import sys

from labkit import CONFIG, VIP, Lab, changes, look, on, wait_for, write_config

SERVICES = """
[services.range]
vip = ["192.0.2.100", "2001:db8:100::100"]
ports = [443, "8000-8100"]
protocols = ["tcp", "udp"]
fwmark = 7
scheduler = "rr"
persistence_timeout = "60s"

[services.whole]
vip = ["192.0.2.101", "2001:db8:100::101"]
ports = "all"
protocols = ["tcp", "udp"]
fwmark = 8
scheduler = "rr"
"""
CHANGED = {'ports = [443, "8000-8100"]': 'ports = [443, "8050-8200"]', "fwmark = 8": "fwmark = 9"}
WHOLE = {4: "192.0.2.101", 6: "2001:db8:100::101"}
PORTS = [53, 443, 7999, 8000, 8050, 8100, 8150, 8200, 8201]

# Answers with its name on every port, TCP and UDP; a UDP socket has to have the VIP.
SERVER = """
import selectors, socket, sys
name, ports, vips = sys.argv[1].encode(), eval(sys.argv[2]), sys.argv[3:]
wait = selectors.DefaultSelector()
for vip in vips:
    family = socket.AF_INET6 if ":" in vip else socket.AF_INET
    for port in ports:
        tcp, udp = socket.socket(family, socket.SOCK_STREAM), socket.socket(family, socket.SOCK_DGRAM)
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for one in (tcp, udp):
            one.bind((vip, port))
            wait.register(one, selectors.EVENT_READ)
        tcp.listen(64)
print("ready", flush=True)
while True:
    for key, _ in wait.select():
        if key.fileobj.type == socket.SOCK_STREAM:
            peer = key.fileobj.accept()[0]
            peer.send(name)
            peer.close()
        else:
            key.fileobj.sendto(name, key.fileobj.recvfrom(9)[1])
"""

# One line of JSON: the servers that answered, in order; null where none did.
CLIENT = """
import json, socket, sys
out = []
for protocol, vip, port in json.loads(sys.argv[1]):
    family = socket.AF_INET6 if ":" in vip else socket.AF_INET
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(family, kind) as one:
        one.settimeout(3)
        try:
            one.connect((vip, port))
            if protocol == "udp":
                one.send(b"?")
            out.append(one.recv(9).decode() or None)
        except OSError:
            out.append(None)
print(json.dumps(out))
"""


def ask(requests):
    return json.loads(on("client", sys.executable, "-c", CLIENT, json.dumps(requests)).stdout)


def write(lab, text):
    with open(CONFIG, encoding="utf-8") as file:
        nodes = file.read().split("[services.web]")[0]
    servers = "".join(f"\n[servers.{name}]\naddress = [\"192.0.2.{10 + n}\", \"2001:db8:100::{10 + n}\"]\n"
                      f"interface = \"eth0\"\nid = {n}\n" for n, name in enumerate(lab.servers, 1))
    write_config(nodes + text + servers)


def serve(lab):
    logs = {}
    for server in lab.servers:
        logs[server] = f"{lab.folder}/answers-{server}.log"
        lab.start(server, sys.executable, "-c", SERVER, server, repr(PORTS), *VIP.values(), *WHOLE.values(),
                  log=logs[server])
    for server in lab.servers:
        wait_for(f"{server} answers", lambda: "ready" in open(logs[server], encoding="utf-8").read())


def ports_and_marks(checks):
    """Ranges of ports and a whole address reach the servers, at first apply and after a change"""
    with Lab() as lab:
        write(lab, SERVICES)
        before = {node: look(node) for node in lab.members}
        lab.apply()
        serve(lab)
        traffic(checks, lab, "first", {443, 8000, 8050, 8100})
        listing(checks, "first", "8000-8100", 7, 8)
        again = lab.lbctl("dir1", "apply").stdout
        checks.that("a second apply has nothing to do", "nothing to do" in again, again)

        lab.edit_config(CHANGED)
        lab.apply()
        # Persistence may still name servers for ports of before; new ports are new connections.
        traffic(checks, lab, "changed", {443, 8050, 8100, 8150, 8200})
        drains = [line for line in on("dir1", "ipvsadm", "-Sn").stdout.splitlines() if line.startswith("-a -f 8")]
        checks.that("changed: the servers of the old mark drain",
                    drains and all(line.endswith("-w 0") for line in drains), drains)
        lab.lbctl("dir1", "apply", "--no-drain")
        listing(checks, "changed", "8050-8200", 7, 9)

        on("dir1", "nft", "flush", "ruleset")
        checks.equal("without the table nobody answers", ask([("tcp", VIP[4], 443), ("tcp", WHOLE[6], 53)]), [None, None])
        lab.apply("dir1")
        checks.that("an apply makes a flushed table again",
                    all(ask([("tcp", VIP[4], 443), ("tcp", WHOLE[6], 53)])))
        on("dir1", "nft", "insert", "rule", "inet", "lbctl", "marking", "accept")
        lab.apply("dir1")
        checks.that("and one that was changed by hand", all(ask([("udp", VIP[6], 8050), ("udp", WHOLE[4], 53)])))
        listing(checks, "mended", "8050-8200", 7, 9)
        for process in lab.processes:
            process.kill()
            process.wait()
        for node in reversed(lab.members):
            lab.lbctl(node, "down")
        left = {node: changes(before[node], look(node)) for node in lab.members}
        checks.equal("down leaves nothing", {node: lines for node, lines in left.items() if lines}, {})


def traffic(checks, lab, when, answered):
    """Only the ports of the file are balanced; a client stays with its server over all of them."""
    for family in (4, 6):
        what = f"{when}, IPv{family}"
        requests = [(protocol, VIP[family], port) for protocol in ("tcp", "udp") for port in PORTS]
        found = ask(requests)
        checks.equal(f"{what}: the ports of the range answer, and no others",
                     [port for (_, _, port), server in zip(requests, found) if server],
                     2 * [port for port in PORTS if port in answered])
        checks.equal(f"{what}: persistence holds over ports and protocols", len({s for s in found if s}), 1)
        whole = [(protocol, WHOLE[family], port) for protocol in ("tcp", "udp") for port in PORTS]
        found = ask(whole)
        checks.equal(f"{what}: every port of the whole address answers",
                     [request for request, server in zip(whole, found) if not server], [])
        checks.equal(f"{what}: all servers have a share of it", sorted(set(found)), lab.servers)


def listing(checks, when, ports, mark, whole):
    """Read back with nft and ipvsadm."""
    nft = on("dir1", "nft", "-s", "list", "table", "inet", "lbctl").stdout
    for line in (f"{VIP[4]} . {ports} : {mark:#010x}", f"{VIP[6]} . {ports} : {mark:#010x}",
                 f"{VIP[4]} . 443 : {mark:#010x}", f"{WHOLE[6]} . 0-65535 : {whole:#010x}"):
        checks.that(f"{when}: nft lists {line} for tcp and udp", nft.count(line) == 2, nft)
    ipvs = on("dir1", "ipvsadm", "-Sn").stdout.splitlines()
    services = sorted(line for line in ipvs if line.startswith("-A"))
    checks.equal(f"{when}: ipvsadm lists a service for each mark and family", services,
                 sorted([f"-A -f {mark} -s rr -p 60", f"-A -f {mark} -6 -s rr -p 60",
                         f"-A -f {whole} -s rr", f"-A -f {whole} -6 -s rr"]))
    ports = {line.split(" -r ")[1].split()[0].rsplit(":", 1)[1] for line in ipvs if line.startswith("-a")}
    checks.equal(f"{when}: destinations keep the port", ports, {"0"})


SCENARIOS = [ports_and_marks]
