"""Every option that says where and who: VIPs, devices, addresses, signal addresses, connection IDs. Set by
the first apply, changed by the second, read back with ip, nft, ipvsadm and bpftool."""

import json
import os
import re

from bpfmap import variable
from labkit import CONFIG, Lab, on, run, write_config

# One file; each option replaces a text that it has once, twice over.
FILE = """[cluster]
name = "lab"
[directors.dir1]
address = ["192.0.2.10", "2001:db8:100::10"]
interface = "eth0"
[servers.rs1]
address = ["192.0.2.11", "2001:db8:100::11"]
interface = "eth0"
id = 1
signal = ["192.0.2.111", "2001:db8:100::111"]
[servers.rs2]
address = ["192.0.2.12", "2001:db8:100::12"]
interface = "eth0"
id = 2
signal = ["192.0.2.112", "2001:db8:100::112"]
[services.web]
vip = ["192.0.2.100"]
ports = [443]
protocols = ["mptcp", "quic"]
scheduler = "mh"
servers = ["rs1", "rs2"]
[services.web.mptcp]
join_only = true
[services.web.quic]
cid = { scheme = "quic-lb", config = 0, id_length = 2, nonce_length = 6 }
[services.a]
vip = ["192.0.2.101"]
ports = [80]
protocols = ["tcp"]
scheduler = "rr"
[services.b]
vip = ["192.0.2.104"]
ports = [81]
protocols = ["tcp"]
scheduler = "rr"
[services.c]
vip = ["192.0.2.104"]
ports = [82]
protocols = [ "tcp" ]
scheduler = "rr"
servers = ["rs1"]
"""


def shown(node, command):
    return on(node, "sh", "-c", command).stdout


def device_of(address):
    """Where an address stands, or nothing."""
    return lambda node: [entry["ifname"] for entry in json.loads(on(node, "ip", "-j", "address").stdout)
                         for one in entry["addr_info"] if one["local"] == address]


def hooks(node):
    """The devices that the signal forward listens on."""
    found = re.search(r"hook ingress devices? = \{ ([^}]*) \}|hook ingress device (\S+)",
                      shown(node, "nft list chain netdev lbctl forward"))
    return sorted(one.strip('" ') for one in (found[1] or found[2]).split(","))


def out_device(node):
    return sorted(set(re.findall(r'fwd ip to .* device "(\S+)"', shown(node, "nft list table netdev lbctl"))))


def elements(name):
    """Of a set or a map of the director's table."""
    def read(node):
        found = re.search(r"elements = \{ ([^}]*) \}", shown(node, f"nft -s list table netdev lbctl | sed -n "
                                                            f"'/\\(set\\|map\\) {name} /,/}}$/p'"))
        return sorted(" ".join(one.replace(" counter", "").split()) for one in found[1].split(",")) if found else []
    return read


def untracked(node):
    """Keys that conntrack does not see, TCP and IPv4."""
    found = re.search(r"set untracked_tcp4 {[^}]*elements = { ([^}]*) }", shown(node, "nft list ruleset"))
    return [" ".join(one.split()) for one in found[1].split(",")] if found else []


def ipvs(node):
    """[protocol, VIP and port, servers that get new connections] of each service."""
    services = {}
    for line in on(node, "ipvsadm", "-Sn").stdout.splitlines():
        words = line.split()
        to = services.setdefault(f"{words[1]} {words[2]}", [])
        if words[0] == "-a" and words[words.index("-w") + 1] != "0":
            to.append(words[4])
    return services


def endpoints(node):
    return sorted(line.split()[0] for line in on(node, "ip", "mptcp", "endpoint").stdout.splitlines())


def limits(node):
    words = on(node, "ip", "mptcp", "limits").stdout.split()
    return [words[words.index(name) + 1] for name in ("add_addr_accepted", "subflows")]


def attached(node):
    return json.loads(on(node, "bpftool", "-j", "net", "show").stdout)[0]["xdp"]


def steered_from(node):
    return [one["devname"] for one in attached(node)]


def tables(node):
    """Those of the steering program that the node's device has."""
    program = json.loads(run("bpftool", "-j", "prog", "show", "id", attached(node)[0]["id"]).stdout)
    maps = [json.loads(run("bpftool", "-j", "map", "show", "id", one).stdout) for one in program["map_ids"]]
    number = next(one["id"] for one in maps if one.get("name", "").endswith(".bss"))
    return variable(number, "tables")


def tunnels(node):
    """How many servers are reached by one."""
    to_tunnel = 4
    return sum((way["target"] >> 56 & 15) == to_tunnel for bucket in tables(node)["servers"] for way in bucket["way"])


def quic_service(node):
    found = tables(node)
    row = next(way["row"] for bucket in found["vips"] for way in bucket["way"] if way["port_family"])
    return found["services"][row % len(found["services"])]  # above it stands the counters' place


def cid_layout(node):
    """Mask and value of the first octets, length of the connection ID, where its server id is."""
    slot = quic_service(node)["slot"][0]
    return [slot[key] for key in ("match_mask", "match_value", "cid_length", "id_octet", "id_shl", "id_shr")]


def server_ids(node):
    return sorted(way["id"] for bucket in tables(node)["servers"] for way in bucket["way"] if way["id"])


def tcp_udp(node, vip):
    return [one for one in ipvs(node) if f" 192.0.2.{vip}:" in one]


KEYS = os.path.join(os.path.dirname(CONFIG), "key")
NODE = 'interface = "eth0"\n[servers.rs1]'
SIGNAL = 'signal = ["192.0.2.111", "2001:db8:100::111"]'
CID = 'cid = { scheme = "quic-lb", config = 0, id_length = 2, nonce_length = 6 }'

# Groups of a node whose options are set together: the option, the text that it replaces, how it is
# read back; then twice the text in its place and what is read back.
GROUPS = [
    ("dir1", [
        ("vip", 'vip = ["192.0.2.101"]', lambda node: [tcp_udp(node, n) for n in (102, 103)],
         ('vip = ["192.0.2.102"]', [["-t 192.0.2.102:80"], []]), ('vip = ["192.0.2.103"]', [[], ["-t 192.0.2.103:80"]])),
        ("ports", "ports = [81]", lambda node: [one for one in tcp_udp(node, 104) if ":82" not in one],
         ("ports = [83]", ["-t 192.0.2.104:83"]), ("ports = [84, 85]", ["-t 192.0.2.104:84", "-t 192.0.2.104:85"])),
        ("protocols", 'protocols = [ "tcp" ]', lambda node: [one for one in tcp_udp(node, 104) if ":82" in one],
         ('protocols = ["tcp", "udp"]', ["-t 192.0.2.104:82", "-u 192.0.2.104:82"]),
         ('protocols = ["udp"]', ["-u 192.0.2.104:82"])),
        ("servers of a service", 'servers = ["rs1"]', lambda node: ipvs(node)["-u 192.0.2.104:82"],
         ('servers = ["rs2"]', ["192.0.2.12:82"]), ('servers = ["rs2", "rs1"]', ["192.0.2.12:82", "192.0.2.21:82"])),
        ("servers.address", 'address = ["192.0.2.11", "2001:db8:100::11"]',
         lambda node: (ipvs(node)["-t 192.0.2.100:443"], [one.split()[2] for one in elements("signal4")(node)]),
         ('address = ["192.0.2.31", "2001:db8:100::11"]', (["192.0.2.12:443", "192.0.2.31:443"], ["192.0.2.12", "192.0.2.31"])),
         ('address = ["192.0.2.21", "2001:db8:100::11"]', (["192.0.2.12:443", "192.0.2.21:443"], ["192.0.2.12", "192.0.2.21"]))),
        ("vip_on", NODE, device_of("192.0.2.100"), ('interface = "eth0"\nvip_on = "loopback"\n[servers.rs1]', ["lo"]),
         ('interface = "eth0"\nvip_on = "none"\n[servers.rs1]', [])),
        ("signal, on the director", SIGNAL, lambda node: [one.split()[0] for one in elements("signal4")(node)],
         ('signal = ["192.0.2.121", "2001:db8:100::111"]', ["192.0.2.112", "192.0.2.121"]),
         ('signal = ["192.0.2.131", "2001:db8:100::111"]', ["192.0.2.112", "192.0.2.131"])),
        ("guard.mptcp_only", "[services.web.mptcp]", elements("mptcp_only4"),
         ("[services.web.guard]\nmptcp_only = true\n[services.web.mptcp]", ["192.0.2.100 . 443"]),
         ("[services.web.guard]\nmptcp_only = false\n[services.web.mptcp]", [])),
        ("notrack", 'vip = ["192.0.2.104"]\nports = [82]', untracked,
         ('vip = ["192.0.2.104"]\nnotrack = true\nports = [82]', ["192.0.2.104 . 82"]),
         ('vip = ["192.0.2.104"]\nnotrack = false\nports = [82]', [])),
        ("join_only", "join_only = true", lambda node: len(elements("join_only4")(node)),
         ("join_only = false", 0), ("join_only = true", 2)),
    ]),
    ("dir1", [
        ("directors.interface", NODE, lambda node: (device_of("192.0.2.101")(node), out_device(node)),
         ('interface = "eth1"\n[servers.rs1]', (["eth1"], ["eth1"])),
         ('interface = "eth0"\n[servers.rs1]', (["eth0"], ["eth0"]))),
    ]),
    ("dir1", [
        ("client_interfaces", NODE, hooks,
         ('interface = "eth0"\nclient_interfaces = ["eth1"]\n[servers.rs1]', ["eth1"]),
         ('interface = "eth0"\nclient_interfaces = ["eth0", "eth1"]\n[servers.rs1]', ["eth0", "eth1"])),
    ]),
    ("rs1", [
        ("vip, on a server", 'vip = ["192.0.2.101"]', lambda node: [device_of(f"192.0.2.{n}")(node) for n in (102, 103)],
         ('vip = ["192.0.2.102"]', [["lo"], []]), ('vip = ["192.0.2.103"]', [[], ["lo"]])),
        ("signal, on its server", SIGNAL,
         lambda node: (endpoints(node), [device_of(f"192.0.2.{n}")(node) for n in (121, 131)]),
         ('signal = ["192.0.2.121", "2001:db8:100::111"]', (["192.0.2.121", "2001:db8:100::111"], [["lo"], []])),
         ('signal = ["192.0.2.131", "2001:db8:100::111"]', (["192.0.2.131", "2001:db8:100::111"], [[], ["lo"]]))),
        ("mptcp.add_addr_accepted, mptcp.subflows", "[cluster]", limits,
         ("[mptcp]\nadd_addr_accepted = 3\nsubflows = 4\n[cluster]", ["3", "4"]),
         ("[mptcp]\nadd_addr_accepted = 5\nsubflows = 6\n[cluster]", ["5", "6"])),
        ("servers.interface", 'interface = "eth0"\nid = 1', steered_from,
         ('interface = "eth1"\nid = 1', ["eth1"]), ('interface = "eth0"\nid = 1', ["eth0"])),
        ("servers.id", "id = 2", server_ids, ("id = 200", [1, 200]), ("id = 7", [1, 7])),
        ("cid.config, id_length, nonce_length", CID, cid_layout,
         (CID.replace("config = 0, id_length = 2, nonce_length = 6", "config = 1, id_length = 3, nonce_length = 8"),
          [0xE0, 0x20, 12, 1, 0, 40]),
         (CID.replace("config = 0, id_length = 2, nonce_length = 6", "config = 6, id_length = 1, nonce_length = 18"),
          [0xE0, 0xC0, 20, 1, 0, 56])),
    ]),
    ("rs1", [
        ("cid.scheme, version", CID, cid_layout,
         ('cid = { scheme = "katran", version = 1 }', [0xC0, 0x40, 8, 0, 2, 48]),
         ('cid = { scheme = "katran", version = 2 }', [0xC0, 0x80, 8, 1, 0, 40])),
    ]),
    ("rs1", [
        ("cid.id_length, offset, length; initial, unknown", CID,
         lambda node: [*cid_layout(node), quic_service(node)["flags"]],
         ('cid = { scheme = "raw", id_length = 2, offset = 3, length = 9 }\ninitial = "local"\nunknown = "drop"',
          [0, 0, 9, 3, 0, 48, 3]),
         ('cid = { scheme = "raw", id_length = 1, offset = 4, length = 12 }\ninitial = "steer"\nunknown = "pass"',
          [0, 0, 12, 4, 0, 56, 0])),
    ]),
    ("rs1", [
        ("cid.key_file", CID, lambda node: quic_service(node)["slot"][0]["round_key"][:4],
         (CID.replace(" }", f', key_file = "{KEYS}0.key" }}'), [0x00010203, 0x04050607, 0x08090A0B, 0x0C0D0E0F]),
         (CID.replace(" }", f', key_file = "{KEYS}1.key" }}'), [0x01020304, 0x05060708, 0x090A0B0C, 0x0D0E0F10])),
    ]),
    ("rs1", [
        ("xdp_mode", 'interface = "eth0"\nid = 1', lambda node: [one["mode"] for one in attached(node)],
         ('interface = "eth0"\nid = 1\nxdp_mode = "native"', ["driver"]),
         ('interface = "eth0"\nid = 1\nxdp_mode = "generic"', ["generic"])),
        ("steer", 'interface = "eth0"\nid = 1', lambda node: tunnels(node),
         ('interface = "eth0"\nid = 1\nsteer = "tunnel"', 1),
         ('interface = "eth0"\nid = 1\nsteer = "l2"', 0)),
    ]),
]


def only_root(path, flags):
    return os.open(path, flags, 0o600)


def each_option(checks):
    """at first apply and on change, read with ip, nft, ipvsadm and bpftool"""
    with Lab(servers=2) as lab:
        for first in (0, 1):
            with open(f"{KEYS}{first}.key", "w", encoding="utf-8", opener=only_root) as file:
                file.write(bytes(range(first, first + 16)).hex() + "\n")
        for node in ("dir1", "rs1"):
            run("ip", "-n", f"lab-{node}", "link", "add", "eth1", "type", "veth", "peer", "name", "peer1")
            for device in ("eth1", "peer1"):
                run("ip", "-n", f"lab-{node}", "link", "set", device, "up")
        for node, options in GROUPS:
            for step, what in ((3, "set"), (4, "changed")):
                text = FILE
                for option in options:
                    if FILE.count(option[1]) != 1:
                        raise ValueError(f"{option[0]}: the file has {FILE.count(option[1])} times {option[1]}")
                    text = text.replace(option[1], option[step][0])
                write_config(text)
                lab.lbctl(node, "apply", "--no-drain")
                for option in options:
                    checks.equal(f"{node}: {option[0]}: {what}", option[2](node), option[step][1])
            pending = lab.lbctl(node, "plan", "--detailed-exitcode", check=False)
            checks.that(f"{node}: and nothing is left to do", pending.returncode == 0, pending.stdout)
            lab.lbctl(node, "down")


SCENARIOS = [each_option]
