"""Services forwarded through tunnels: real servers unpack what directors wrap, both families."""

from labkit import FULL, Lab, PacketCount, changes, look, on, run, write_config

FILE = """
[cluster]
name = "tunnel"
[directors.dir1]
address = ["192.0.2.10", "2001:db8:100::10"]
interface = "eth0"
[servers.rs1]
address = ["192.0.2.11", "2001:db8:100::11"]
interface = "eth0"
id = 1
[servers.rs2]
address = ["192.0.2.12", "2001:db8:100::12"]
interface = "eth0"
id = 2
[services.plain]
vip = ["192.0.2.100", "2001:db8:100::100"]
ports = [80]
protocols = ["tcp"]
scheduler = "rr"
forward = "tunnel"
tunnel = {{ {tunnel} }}
"""

KINDS = {
    "ipip": ('type = "ipip"', {"lbctl-ipip", "lbctl-ip6tnl"}, ["ip protocol 4", "ip6 nexthdr 41"]),
    "gue": ('type = "gue", port = 6080', {"lbctl-ipip", "lbctl-ip6tnl"},
            ["ip protocol 17 udp dport 6080", "ip6 nexthdr 17 udp dport 6080"]),
    "gue, full checksum": ('type = "gue", port = 6081, checksum = "full"', {"lbctl-ipip", "lbctl-ip6tnl"},
                           ["ip protocol 17 udp dport 6081", "ip6 nexthdr 17 udp dport 6081"]),
    "gue, remote checksum": ('type = "gue", port = 6081, checksum = "remote"', {"lbctl-ipip", "lbctl-ip6tnl"},
                             ["ip protocol 17 udp dport 6081", "ip6 nexthdr 17 udp dport 6081"]),
    "gre": ('type = "gre"', {"lbctl-gre", "lbctl-ip6gre"}, ["ip protocol 47", "ip6 nexthdr 47"]),
    "gre, full checksum": ('type = "gre", checksum = "full"', {"lbctl-gre", "lbctl-ip6gre"},
                           ["ip protocol 47", "ip6 nexthdr 47"]),
}
# Each takes a while, and what differs is in the checksums.
TRIED = list(KINDS) if FULL else ["ipip", "gue", "gre, full checksum"]
MODULES = ("ipip", "ip6_tunnel", "ip_gre", "ip6_gre", "fou", "fou6")


def write(kind):
    write_config(FILE.format(tunnel=KINDS[kind][0]))


def devices(node):
    lines = on(node, "ip", "-o", "link").stdout.splitlines()
    names = {line.split(": ")[1].split("@")[0] for line in lines}
    return {name for name in names if name.startswith("lbctl")}


def traffic(checks, lab, kind):
    for family, match in zip((4, 6), KINDS[kind][2]):
        counts = {server: PacketCount(server, "eth0", {"wrapped": match, "bare": bare(family)})
                  for server in lab.servers}
        reports = lab.connect(family, 4, "--payload", 20000, "--timeout", "10s", "--tcp", port=80)
        what = f"{kind}, IPv{family}"
        checks.equal(f"{what}: every connection works", [r for r in reports if not r["bytes_ok"]], [])
        checks.equal(f"{what}: all servers answer", sorted({r["server"] for r in reports}), lab.servers)
        seen = {server: count.read() for server, count in counts.items()}
        checks.that(f"{what}: servers get them wrapped, and none bare",
                    all(c["wrapped"] > 0 and c["bare"] == 0 for c in seen.values()), seen)
        for count in counts.values():
            count.remove()


def bare(family):
    return "ip6 daddr 2001:db8:100::100" if family == 6 else "ip daddr 192.0.2.100"


def kinds(checks):
    """ipip, gue and gre, one after the other by changes of the file, and down"""
    for module in MODULES:  # their fall-back devices are there before the first look
        run("modprobe", module, check=False)
    with Lab(servers=2) as lab:
        # The strictest setting that a server may have.
        for server in lab.servers:
            for device in ("all", "default", "eth0"):
                on(server, "sysctl", "-qw", f"net.ipv4.conf.{device}.rp_filter=1")
        on("dir1", "ipvsadm", "-Ln")
        before = {node: look(node) for node in lab.members}
        served = False
        for kind in TRIED:
            wanted = KINDS[kind][1]
            write(kind)
            lab.apply()
            if not served:
                lab.serve_echo(80)
                served = True
            for server in lab.servers:
                checks.equal(f"{kind}: {server} has the devices and no other of lbctl's", devices(server), wanted)
                again = lab.lbctl(server, "plan", "--detailed-exitcode", check=False)
                checks.equal(f"{kind}: a second apply on {server} has nothing to do", again.returncode, 0)
            traffic(checks, lab, kind)
        for node in ("dir1", *lab.servers):
            lab.lbctl(node, "down")
        for node in lab.members:
            checks.equal(f"{node}: after down it is as before", changes(before[node], look(node)), [])


def readback(checks):
    """ip and ip fou list what the file says; somebody else's device is in the way, and named"""
    for module in MODULES:
        run("modprobe", module, check=False)
    with Lab(servers=2) as lab:
        write("gue")
        lab.lbctl("rs1", "apply")
        ports = on("rs1", "ip", "fou", "show").stdout.split("\n")
        checks.equal("ip fou show: the port in both families", sorted(line.strip() for line in ports if line),
                     ["port 6080 gue", "port 6080 gue -6"])
        link = on("rs1", "ip", "-d", "link", "show", "lbctl-ipip").stdout
        checks.that("ip link: from anybody to its own address, up",
                    "ipip remote any local 192.0.2.11" in link and ",UP" in link, link)
        checks.equal("rp_filter is off", on("rs1", "cat", "/proc/sys/net/ipv4/conf/lbctl-ipip/rp_filter",
                                            "/proc/sys/net/ipv4/conf/all/rp_filter").stdout.split(), ["0", "0"])
        on("rs1", "ip", "link", "set", "lbctl-ipip", "down")
        lab.lbctl("rs1", "apply")
        checks.that("a device that was put down is put up again",
                    ",UP" in on("rs1", "ip", "link", "show", "lbctl-ipip").stdout)
        lab.lbctl("rs1", "down")
        checks.equal("down: none is left", (devices("rs1"), on("rs1", "ip", "fou", "show").stdout.strip()), (set(), ""))
        on("rs1", "ip", "link", "add", "mine", "type", "ipip", "local", "192.0.2.11", "remote", "any")
        refused = lab.lbctl("rs1", "apply", check=False)
        checks.that("somebody else's device: an error that names it",
                    refused.returncode == 1 and "tunnel device mine" in refused.stdout + refused.stderr,
                    refused.stdout + refused.stderr)
        checks.equal("and nothing was made", devices("rs1"), set())


SCENARIOS = [kinds, readback]
