"""Every option of a service that IPVS knows: set by the first apply, changed by the second, read back with
ipvsadm and sysctl."""

import json
import re

from labkit import VIP, Lab, on, run, write_config

NODES = """[cluster]
name = "lab"
[directors.dir1]
address = ["192.0.2.10", "2001:db8:100::10"]
interface = "eth0"
[servers.rs1]
address = ["192.0.2.11", "2001:db8:100::11"]
interface = "eth0"
id = 1
"""
KNOWN = "rr wrr lc wlc lblc lblcr dh sed nq fo ovf sh twos mh".split()
SCHEDULERS = [one for one in KNOWN if run("modprobe", "-n", "-q", f"ip_vs_{one}", check=False).returncode == 0]
PLAIN = "-s wlc"

# What, then twice: lines of the file, what ipvsadm says of the service, and of its destination. The
# destination's port is 0 where it is the service's.
OPTIONS = [
    *((f"scheduler {one} -> {other}", (f'scheduler = "{one}"', f"-s {one}", "-g -w 1"),
       (f'scheduler = "{other}"', f"-s {other}", "-g -w 1"))
      for one, other in zip(SCHEDULERS, SCHEDULERS[1:] + SCHEDULERS[:1])),
    ("flags of sh", ('scheduler = "sh"\nscheduler_flags = ["sh-port"]', "-s sh -b sh-port", "-g -w 1"),
     ('scheduler = "sh"\nscheduler_flags = ["sh-fallback"]', "-s sh -b sh-fallback", "-g -w 1")),
    ("flags of mh", ('scheduler = "mh"\nscheduler_flags = ["mh-fallback"]', "-s mh -b mh-fallback", "-g -w 1"),
     ('scheduler = "mh"\nscheduler_flags = ["mh-port", "mh-fallback"]', "-s mh -b mh-fallback,mh-port", "-g -w 1")),
    ("persistence_timeout", ('persistence_timeout = "60s"', PLAIN + " -p 60", "-g -w 1"),
     ('persistence_timeout = "2m"', PLAIN + " -p 120", "-g -w 1")),
    ("persistence_netmask", ('persistence_timeout = "60s"\npersistence_netmask = { ipv4 = 24, ipv6 = 64 }',
                             {4: PLAIN + " -p 60 -M 255.255.255.0", 6: PLAIN + " -p 60 -M 64"}, "-g -w 1"),
     ('persistence_timeout = "60s"\npersistence_netmask = { ipv4 = 16, ipv6 = 48 }',
      {4: PLAIN + " -p 60 -M 255.255.0.0", 6: PLAIN + " -p 60 -M 48"}, "-g -w 1")),
    ("persistence ends", ('persistence_timeout = "60s"', PLAIN + " -p 60", "-g -w 1"), ("", PLAIN, "-g -w 1")),
    ("one_packet off", ("one_packet = true", PLAIN + " -o", "-g -w 1"), ("one_packet = false", PLAIN, "-g -w 1")),
    ("one_packet on", ("", PLAIN, "-g -w 1"), ("one_packet = true", PLAIN + " -o", "-g -w 1")),
    ("forward dr -> masquerade", ("", PLAIN, "-g -w 1"), ('forward = "masquerade"', PLAIN, "-m -w 1")),
    ("forward masquerade -> tunnel", ('forward = "masquerade"', PLAIN, "-m -w 1"),
     ('forward = "tunnel"', PLAIN, "-i -w 1 --tun-type ipip")),
    ("forward tunnel -> dr", ('forward = "tunnel"\ntunnel = { type = "gue" }', PLAIN,
                              "-i -w 1 --tun-type gue --tun-port 6080 --tun-nocsum"),
     ('forward = "dr"', PLAIN, "-g -w 1")),
    ("tunnel.type ipip -> gue", ('forward = "tunnel"', PLAIN, "-i -w 1 --tun-type ipip"),
     ('forward = "tunnel"\ntunnel = { type = "gue", port = 6090 }', PLAIN,
      "-i -w 1 --tun-type gue --tun-port 6090 --tun-nocsum")),
    ("tunnel.port", ('forward = "tunnel"\ntunnel = { type = "gue", port = 6090 }', PLAIN,
                     "-i -w 1 --tun-type gue --tun-port 6090 --tun-nocsum"),
     ('forward = "tunnel"\ntunnel = { type = "gue", port = 6091 }', PLAIN,
      "-i -w 1 --tun-type gue --tun-port 6091 --tun-nocsum")),
    ("tunnel.checksum of gue", ('forward = "tunnel"\ntunnel = { type = "gue", checksum = "full" }', PLAIN,
                                "-i -w 1 --tun-type gue --tun-port 6080 --tun-csum"),
     ('forward = "tunnel"\ntunnel = { type = "gue", checksum = "remote" }', PLAIN,
      "-i -w 1 --tun-type gue --tun-port 6080 --tun-remcsum")),
    ("tunnel.checksum of gre", ('forward = "tunnel"\ntunnel = { type = "gre" }', PLAIN,
                                "-i -w 1 --tun-type gre --tun-nocsum"),
     ('forward = "tunnel"\ntunnel = { type = "gre", checksum = "full" }', PLAIN,
      "-i -w 1 --tun-type gre --tun-csum")),
    ("server_port", ('forward = "masquerade"\nserver_port = 8080', PLAIN, "-m -w 1 port 8080"),
     ('forward = "masquerade"\nserver_port = 8081', PLAIN, "-m -w 1 port 8081")),
    ("port of a server", ('forward = "masquerade"\nserver_port = 8080\nservers = { rs1 = { port = 8082 } }', PLAIN,
                          "-m -w 1 port 8082"),
     ('forward = "masquerade"\nserver_port = 8080\nservers = { rs1 = 1 }', PLAIN, "-m -w 1 port 8080")),
    ("uthreshold, lthreshold", ("uthreshold = 100\nlthreshold = 80", PLAIN, "-g -w 1 -x 100 -y 80"),
     ("uthreshold = 200", PLAIN, "-g -w 1 -x 200 -y 0")),
    ("thresholds of a server", ("uthreshold = 100\nservers = { rs1 = { uthreshold = 9, lthreshold = 7 } }", PLAIN,
                                "-g -w 1 -x 9 -y 7"),
     ("uthreshold = 100\nlthreshold = 10\nservers = { rs1 = { uthreshold = 0, lthreshold = 0 } }", PLAIN, "-g -w 1")),
    ("weight of a server", ("servers = { rs1 = 3 }", PLAIN, "-g -w 3"),
     ("servers = { rs1 = { weight = 65535 } }", PLAIN, "-g -w 65535")),
]


def file_of(which):
    out = NODES
    for number, option in enumerate(OPTIONS):
        out += (f'[services.s{number}]\nvip = ["{VIP[4]}", "{VIP[6]}"]\nports = [{1000 + number}]\n'
                f'protocols = ["udp"]\n{option[which][0]}\n')
    return out


def flags_sorted(words):
    return re.sub(r"(?<=-b )\S+", lambda flags: ",".join(sorted(flags[0].split(","))), words)


def read_back():
    """{(family, port): (words of the service, words of its destination)}: the words of ipvsadm -A and -a."""
    services, destinations = {}, {}
    for line in on("dir1", "ipvsadm", "-Sn").stdout.splitlines():
        words = line.split()
        host, port = words[2].rsplit(":", 1)
        key = (6 if host.startswith("[") else 4, int(port))
        if words[0] == "-A":
            # In the order of this file: persistence, mask, flags.
            rest = " ".join(words[3:])
            flags = re.search(r" -b \S+", rest)
            rest = rest.replace(flags[0], "") if flags else rest
            services[key] = flags_sorted(re.sub(r"(-s \S+)", rf"\1{flags[0] if flags else ''}", rest))
        else:
            to = int(words[4].rsplit(":", 1)[1])
            destinations.setdefault(key, []).append(" ".join(words[5:]) + (f" port {to}" if to != key[1] else ""))
    key = None
    for line in on("dir1", "ipvsadm", "-Ln", "--thresholds").stdout.splitlines()[3:]:
        words = line.split()
        if words[0] == "->":
            if words[2] != "0":
                destinations[key] = [f"{one} -x {words[2]} -y {words[3]}" for one in destinations[key]]
        else:
            host, port = words[1].rsplit(":", 1)
            key = (6 if host.startswith("[") else 4, int(port))
    return {key: (words, destinations.get(key)) for key, words in services.items()}


def expected(which):
    out = {}
    for number, option in enumerate(OPTIONS):
        _, service, destination = option[which]
        for family in (4, 6):
            words = service[family] if isinstance(service, dict) else service
            out[(family, 1000 + number)] = (flags_sorted(words), [destination])
    return out


def each_option(checks):
    """at first apply and on change, read with ipvsadm; by the commands of the plan, too"""
    for one in set(KNOWN) - set(SCHEDULERS):
        checks.skip(f"scheduler {one}", "this kernel was built without it")
    with Lab(servers=1) as lab:
        for which, what in ((1, "set"), (2, "changed")):
            write_config(file_of(which))
            lab.lbctl("dir1", "apply")
            have, want = read_back(), expected(which)
            for number, option in enumerate(OPTIONS):
                for family in (4, 6):
                    key = (family, 1000 + number)
                    checks.equal(f"IPv{family}: {option[0]}: {what}", have.get(key), want[key])
            checks.equal(f"no other service: {what}", set(have) - set(want), set())
            again = lab.lbctl("dir1", "apply")
            checks.that(f"the second apply has nothing to do: {what}", "nothing to do" in again.stdout, again.stdout)
        json_of(checks, lab)
        write_config(file_of(1))
        script = lab.lbctl("dir1", "plan", "--commands").stdout
        done = on("dir1", "sh", "-eu", input=script, check=False)
        checks.equal("the plan's commands back to the first file run", (done.returncode, done.stderr), (0, ""))
        checks.equal("and lead there", read_back(), expected(1))
        lab.lbctl("dir1", "down")
        checks.equal("down leaves no service", on("dir1", "ipvsadm", "-Sn").stdout, "")


def json_of(checks, lab):
    services = json.loads(lab.lbctl("dir1", "status", "-j").stdout)["services"]
    number = {option[0]: 1000 + at for at, option in enumerate(OPTIONS)}

    def one(what):
        return next(s for s in services if s["port"] == number[what] and s["address"] == VIP[4])

    checks.equal("status -j tells one_packet",
                 (one("one_packet on")["one_packet"], one("one_packet off")["one_packet"]), (True, False))
    checks.equal("and the mask", one("persistence_netmask")["persistence_prefix"], 16)
    to = one("tunnel.checksum of gue")["destinations"][0]
    checks.equal("and the tunnel", (to["forward"], to["tunnel"]),
                 ("tunnel", {"type": "gue", "port": 6080, "checksum": "remote"}))
    to = one("uthreshold, lthreshold")["destinations"][0]
    checks.equal("and the thresholds", (to["uthreshold"], to["lthreshold"]), (200, 0))
    checks.equal("and the mapped port", one("server_port")["destinations"][0]["port"], 8081)


DIRECTOR = ["net.ipv4.conf.eth0.forwarding", "net.ipv4.conf.eth0.send_redirects", "net.ipv4.conf.all.send_redirects",
            "net.ipv6.conf.all.forwarding", "net.ipv4.ip_forward"]
SERVER = ["net.ipv4.conf.all.arp_ignore", "net.ipv4.conf.all.arp_announce", "net.ipv6.conf.eth0.accept_redirects"]


def sysctls(node, names):
    return on(node, "sysctl", "-n", *names).stdout.split()


def vips_on_lo():
    shown = on("rs1", "ip", "address", "show", "dev", "lo").stdout
    return [family for family in (4, 6) if VIP[family] + "/" in shown]


def sysctls_of_masquerade(checks):
    """what masquerade needs of director and servers: set at first apply and on change, put back after"""
    service = '[services.web]\nvip = {}\nports = [80]\nprotocols = ["tcp"]\nforward = "{}"\n'
    both, v4, v6 = (json.dumps(vips) for vips in ([VIP[4], VIP[6]], [VIP[4]], [VIP[6]]))
    steps = [(v4, "masquerade", "1 0 0 0 0", "0 0 1", []), (both, "masquerade", "1 0 0 1 0", "0 0 0", []),
             (both, "dr", "0 1 1 0 0", "1 2 1", [4, 6]), (v6, "masquerade", "0 1 1 1 0", "0 0 0", []),
             (both, "tunnel", "0 1 1 0 0", "1 2 1", [4, 6])]
    with Lab(servers=1) as lab:
        before = sysctls("dir1", DIRECTOR), sysctls("rs1", SERVER)
        checks.equal("at first", before, ("0 1 1 0 0".split(), "0 0 1".split()))
        for vips, forward, director, server, on_lo in steps:
            write_config(NODES + service.format(vips, forward))
            lab.apply()
            what = f"{vips} by {forward}"
            checks.equal(f"director: {what}", sysctls("dir1", DIRECTOR), director.split())
            checks.equal(f"server: {what}", sysctls("rs1", SERVER), server.split())
            checks.equal(f"the server's VIPs: {what}", vips_on_lo(), on_lo)
        for node in lab.members:
            lab.lbctl(node, "down")
        checks.equal("after down as before", (sysctls("dir1", DIRECTOR), sysctls("rs1", SERVER)), before)


SCENARIOS = [each_option, sysctls_of_masquerade]
