"""What the lab checks stand on: nodes, processes, counters, and the list of what held."""

import difflib
import json
import os
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("LBCTL_BUILD", os.path.join(TOP, "build/release"))
LBCTL = os.path.join(BUILD, "src/cli/lbctl")
ECHO = os.path.join(BUILD, "tests/peers/mptcp_echo")
H3_MOVER = os.path.join(BUILD, "tests/peers/h3_mover")
H3_SERVER = os.path.join(BUILD, "tests/peers/h3_server")
TOPOLOGY = os.path.join(HERE, "topology")
CONFIG = "/run/lbctl-lab/lbctl.toml"
# Everything, however long it takes (scripts/test --full); otherwise a slice of what is alike.
FULL = bool(os.environ.get("LBCTL_FULL"))
VIP = {4: "192.0.2.100", 6: "2001:db8:100::100"}


class LabError(Exception):
    """The lab itself failed, not what it judges."""


def run(*words, check=True, **options):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, **options)
    if check and done.returncode:
        raise LabError(f"{' '.join(map(str, words))}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def on(node, *words, check=True, **options):
    """Runs a command in a node's namespace."""
    return run("ip", "netns", "exec", f"lab-{node}", *words, check=check, **options)


def objects(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def events(log, kind):
    """The events of one kind in a peer's log."""
    try:
        with open(log, encoding="utf-8") as file:
            return [event for event in objects(file.read()) if event.get("event") == kind]
    except FileNotFoundError:
        return []


def wait_for(what, condition, limit=120):
    """Polls until the condition holds and returns what it gave. The limit only ends a hang."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise LabError(f"never came: {what}")


def settles(read, expected, limit=10):
    """What `read` gives once it is as expected, or at last: for what a kernel does a moment later."""
    end = time.monotonic() + limit
    while True:
        found = read()
        if found == expected or time.monotonic() > end:
            return found
        time.sleep(0.05)


def vip_port(family, port):
    return f"[{VIP[6]}]:{port}" if family == 6 else f"{VIP[4]}:{port}"


def host_of(address_port):
    return address_port.rsplit(":", 1)[0].strip("[]")


def write_config(text):
    """The lab's file is this from now on."""
    with open(CONFIG, "w", encoding="utf-8") as file:
        file.write(text)


class Lab:
    """The topology, from up to down, with the processes in it."""

    def __init__(self, servers=3, config=None, gateway="router"):
        self.servers = [f"rs{number}" for number in range(1, servers + 1)]
        self.members = ["dir1", *self.servers]
        self.processes = []
        self.config = config
        self.gateway = gateway

    def __enter__(self):
        run(TOPOLOGY, "up", "--servers", len(self.servers), "--gateway", self.gateway)
        self.folder = os.path.dirname(CONFIG)
        if self.config:
            self.edit_config(self.config)
        return self

    def __exit__(self, *_):
        for process in self.processes:
            stop(process)
        run(TOPOLOGY, "down")

    def edit_config(self, replacements):
        """Replaces texts in the lab's file; each must be there, or the check would test nothing."""
        with open(CONFIG, encoding="utf-8") as file:
            text = file.read()
        for old, new in replacements.items():
            if old not in text:
                raise LabError(f"{CONFIG} has no '{old}'")
            text = text.replace(old, new)
        write_config(text)

    def lbctl_words(self, node, *words, config=CONFIG):
        return [LBCTL, "-f", config, "--node", node, *words]

    def lbctl(self, node, *words, check=True, config=CONFIG):
        return on(node, *self.lbctl_words(node, *words, config=config), check=check)

    def apply(self, *nodes):
        """Servers before the director: nothing is sent to a server that does not know the VIP."""
        for node in nodes or [*self.servers, "dir1"]:
            self.lbctl(node, "apply")

    def start(self, node, *words, log=None):
        output = open(log, "w", encoding="utf-8") if log else subprocess.DEVNULL
        process = subprocess.Popen(["ip", "netns", "exec", f"lab-{node}", *map(str, words)],
                                   stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        self.processes.append(process)
        return process

    def serve_echo(self, port=443, *extra):
        """mptcp_echo on every server, on all addresses: VIP and signal alike."""
        logs = {}
        for server in self.servers:
            logs[server] = os.path.join(self.folder, f"echo-{server}-{port}.log")
            self.start(server, ECHO, "serve", "--listen", f"0.0.0.0:{port},[::]:{port}",
                       "--name", server, "--log", logs[server], *extra)
        for server in self.servers:
            wait_for(f"{server} listens on {port}", lambda: len(events(logs[server], "listening")) == 2)
        return logs

    def connect(self, family, count, *extra, port=443):
        """That many connections from the client at once; one report for each."""
        done = on("client", ECHO, "connect", vip_port(family, port), "--count", count, *extra, check=False)
        reports = objects(done.stdout)
        if len(reports) != count:
            raise LabError(f"{len(reports)} reports for {count} connections: {done.stderr}{done.stdout}")
        return reports

    def signal_address(self, server, family):
        number = 110 + int(server.removeprefix("rs"))
        return f"2001:db8:100::{number}" if family == 6 else f"192.0.2.{number}"


def stop(process):
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def extra_subflows(report):
    """The established ones of mptcp_echo's report, but the first."""
    return [flow for flow in report["subflows"][1:] if flow["state"] == "established"]


def client_mptcp(mode):
    run(TOPOLOGY, "client-mptcp", mode)


def mptcp_counters(node):
    """MPTcpExt of /proc/net/netstat, as nstat names them without the prefix."""
    lines = on(node, "cat", "/proc/net/netstat").stdout.splitlines()
    names, values = [line.split()[1:] for line in lines if line.startswith("MPTcpExt:")]
    return dict(zip(names, map(int, values)))


class CounterDelta:
    """How MPTCP counters of several nodes moved since this was made."""

    def __init__(self, nodes):
        self.before = {node: mptcp_counters(node) for node in nodes}

    def now(self, name):
        return {node: mptcp_counters(node).get(name, 0) - before.get(name, 0)
                for node, before in self.before.items()}


def mac(node, device="eth0"):
    return json.loads(run("ip", "-j", "-n", f"lab-{node}", "link", "show", device).stdout)[0]["address"]


# Each of these is compared before and after; not the counters of rules (nft -s). Reading IPVS and
# nft also loads their modules.
LOOKS = {
    "ipvs": "ipvsadm -Sn",
    "nft": "nft -s list ruleset",
    "links": "ip -d link",
    "addresses": "ip address",
    "routes": "ip route show table all; ip -6 route show table all",
    "rules": "ip rule; ip -6 rule",
    "proxies": "ip neighbour show proxy; ip -6 neighbour show proxy",
    "endpoints": "ip mptcp endpoint; ip mptcp limits",
    # Not `sysctl -a`: it reads ten times as much.
    "sysctls": "cd /proc/sys/net && grep -rs '' ipv4 ipv6 mptcp | sort",
    "xdp": "bpftool net show",
    "programs": "bpftool prog show; bpftool link show; bpftool map show",
    "pins": "find /run/lbctl /sys/fs/bpf -type f ! -name '*lock*' | sort",
}


def look(node):
    return {name: on(node, "sh", "-c", command, check=False).stdout for name, command in LOOKS.items()}


def changes(before, after):
    out = []
    for name in LOOKS:
        out += [line for line in difflib.unified_diff(before[name].splitlines(), after[name].splitlines(),
                                                      f"{name} before", f"{name} after", lineterm="", n=0)]
    return out


class PacketCount:
    """Counts packets that come in at a node's device, by named nft matches, in a table of its own."""

    def __init__(self, node, device, matches):
        self.node = node
        counters = "".join(f"counter {name} {{}}\n" for name in matches)
        rules = "".join(f"{match} counter name {name}\n" for name, match in matches.items())
        # Priority -500: before any chain that may take the packet away.
        on(node, "nft", "-f", "-", input=f"table netdev lab_count {{ {counters} chain in {{ type filter hook"
           f" ingress device {device} priority -500;\n{rules}}}\n}}\n")

    def read(self):
        listing = json.loads(on(self.node, "nft", "-j", "list", "counters", "table", "netdev", "lab_count").stdout)
        return {c["name"]: c["packets"] for c in (item.get("counter") for item in listing["nftables"]) if c}

    def remove(self):
        on(self.node, "nft", "delete", "table", "netdev", "lab_count")


class Checks:
    """Prints each check as it is made and counts them."""

    def __init__(self):
        self.made = 0
        self.failures = []
        self.skipped = []
        self.scenario = ""

    def that(self, what, good, why=""):
        self.made += 1
        if not good:
            self.failures.append(f"{self.scenario}: {what}\n    {why}")
        print(f"  {'ok  ' if good else 'FAIL'}  {what}" + ("" if good else f"\n        {why}"), flush=True)
        return good

    def equal(self, what, have, want):
        return self.that(what, have == want, f"got  {have!r}\n        want {want!r}")

    def note(self, text):
        print(f"        {text}", flush=True)

    def skip(self, what, why):
        self.skipped.append((what, why))
        print(f"  SKIP  {what}: {why}", flush=True)

    def error(self, error):
        self.made += 1
        self.failures.append(f"{self.scenario}: the scenario broke off: {error}")
        print(f"  FAIL  the scenario broke off: {error}", flush=True)
