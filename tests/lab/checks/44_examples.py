"""The installed examples: each is right, and every node of it can be made so and brought back."""

import contextlib
import glob
import os
import tomllib

from labkit import LBCTL, TOP, on, run

FILES = sorted([os.path.join(TOP, "etc/lbctl.toml"), *glob.glob(os.path.join(TOP, "etc/examples/*.toml"))])


def devices_of(document, node, role):
    """By name, with the addresses that stand there."""
    table = {**document.get("defaults", {}).get(role, {}), **node}
    out = {name: [] for name in table.get("client_interfaces", [])}
    out[table["interface"]] = table["address"]
    return out


def nodes_of(document):
    for kind, role in (("directors", "director"), ("servers", "server")):
        for name, node in document[kind].items():
            yield name, devices_of(document, node, role)


@contextlib.contextmanager
def cluster(document):
    """A namespace for each node of the file, all on one bridge; their names."""
    nodes = dict(nodes_of(document))
    run("ip", "netns", "add", "lab-segment")
    try:
        run("ip", "-n", "lab-segment", "-b", "-", input="link add br0 type bridge mcast_snooping 0\nlink set br0 up\n")
        for number, (node, devices) in enumerate(nodes.items()):
            run("ip", "netns", "add", f"lab-{node}")
            run("ip", "-n", f"lab-{node}", "link", "set", "lo", "up")
            for device, addresses in devices.items():
                port = f"p{number}{device}"
                run("ip", "link", "add", "name", device, "netns", f"lab-{node}", "type", "veth", "peer", "name", port,
                    "netns", "lab-segment")
                run("ip", "-n", "lab-segment", "link", "set", port, "up", *(["master", "br0"] if addresses else []))
                lines = [f"addr add {a}{'/64' if ':' in a else '/24'} dev {device} {'nodad' if ':' in a else ''}"
                         for a in addresses]
                run("ip", "-n", f"lab-{node}", "-b", "-", input="\n".join([f"link set {device} up", *lines, ""]))
        yield list(nodes)
    finally:
        for namespace in ["segment", *nodes]:
            run("ip", "netns", "del", f"lab-{namespace}", check=False)


def go_through(checks, path, node):
    """plan, apply, apply, down, plan."""
    def lbctl(*words):
        return on(node, LBCTL, "-f", path, "--node", node, *words, check=False)
    plan = lbctl("plan")
    checks.that(f"{node}: plan says what would be done", plan.returncode == 0 and "\n" in plan.stdout.strip(),
                plan.stdout + plan.stderr)
    done = lbctl("apply")
    # The devices here are veths, on which XDP_TX is not to be trusted; lbctl says so, rightly.
    said = [line for line in done.stderr.splitlines() if "generic mode" not in line]
    if not checks.equal(f"{node}: apply makes it so, without a warning", (done.returncode, said), (0, [])):
        return
    again = lbctl("apply")
    checks.that(f"{node}: a second apply does nothing", again.returncode == 0 and "nothing to do" in again.stdout,
                again.stdout + again.stderr)
    down = lbctl("down")
    checks.equal(f"{node}: down succeeds", (down.returncode, down.stderr), (0, ""))
    checks.equal(f"{node}: after down all is to be done again", lbctl("plan").stdout, plan.stdout)


def scenario(path):
    name = os.path.relpath(path, TOP)

    def examples(checks):
        checked = run(LBCTL, "-f", path, "check", check=False)
        if not checks.equal("check finds no fault and no doubt", (checked.returncode, checked.stderr), (0, "")):
            return
        with open(path, "rb") as file:
            document = tomllib.load(file)
        with cluster(document) as nodes:
            # The first apply of a server asks for the others' Ethernet addresses: all are up by now.
            for node in nodes:
                go_through(checks, path, node)

    examples.__name__ = os.path.basename(path).removesuffix(".toml")
    examples.__doc__ = f"{name}: check, plan, apply twice, down on every node"
    return examples


SCENARIOS = [scenario(path) for path in FILES]
