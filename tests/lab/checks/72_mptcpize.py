"""Services that ask for TCP listen with MPTCP: by both ways, by hand and by the file, and undone."""

import os
import shutil
import socket
import struct

from labkit import FULL, LBCTL, TOP, run, settles, wait_for
from systemdkit import Systemd, as_real_server, in_a_machine

IPPROTO_MPTCP = 262
SOL_MPTCP, MPTCP_INFO, FALLBACK = 284, 1, 1
UNITS = {
    # LD_PRELOAD of its own, which must stay; and a user without a privilege.
    "web": (8001, "User=nobody\nEnvironment=A=1 LD_PRELOAD=libutil.so.1"),
    "other": (8002, "Slice=system-apps.slice"),
}
NGINX_PORT = 80
# Of lbctl's traces; the kernel frees a program a moment after its link.
NOTHING = ([], "", "")


def unit_text(port, more):
    # Restart=no: one that fails to start must be seen.
    return (f"[Unit]\nDescription=lab\n[Service]\n{more}\nWorkingDirectory=/usr/share/doc\n"
            f"ExecStart=/usr/bin/python3 -m http.server --bind 127.0.0.1 {port}\n")


def ask(port, protocol):
    """An HTTP answer over one connection, and whether MPTCP carried it."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol) as client:
        client.settimeout(60)
        client.connect(("127.0.0.1", port))
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b""
        while piece := client.recv(65536):
            answer += piece
            if b"\r\n\r\n" in answer:
                break
        try:
            # struct mptcp_info: eight octets of numbers, then the flags.
            flags = struct.unpack_from("8xI", client.getsockopt(SOL_MPTCP, MPTCP_INFO, 64))[0]
        except OSError:  # the kernel has none for a connection that fell back
            return answer.startswith(b"HTTP/1."), False
        return answer.startswith(b"HTTP/1."), not flags & FALLBACK


class Services:
    """The units of this check under a systemd, and whether they speak MPTCP."""

    def __init__(self, systemd, checks):
        self.systemd, self.checks = systemd, checks
        self.ports = {f"{name}.service": port for name, (port, _) in UNITS.items()}
        self.folder = f"/proc/{systemd.pid}/root/etc/systemd/system"
        for name, (port, more) in UNITS.items():
            with open(f"{self.folder}/{name}.service", "w", encoding="utf-8") as file:
                file.write(unit_text(port, more))
        systemd("systemctl", "daemon-reload")
        if shutil.which("nginx"):
            self.ports["nginx.service"] = NGINX_PORT
        else:
            checks.skip("Debian's nginx", "it is not installed")
        for unit in self.ports:
            systemd("systemctl", "restart", unit)

    def listens(self, port):
        return bool(run("ss", "-Hltn", f"sport = :{port}").stdout.strip())

    def are(self, what, mptcp):
        """`mptcp`: the units that speak it; the others answer with TCP."""
        for unit, port in self.ports.items():
            wait_for(f"{unit} listens", lambda port=port: self.listens(port))
        seen = {unit: ask(port, IPPROTO_MPTCP) for unit, port in self.ports.items()}
        self.checks.equal(what, seen, {unit: (True, unit in mptcp) for unit in self.ports})
        self.checks.that(f"{what}: plain TCP is served", all(ask(port, 0) == (True, False)
                                                           for port in self.ports.values()))

    def restart(self):
        self.systemd("systemctl", "restart", *self.ports)

    def lbctl(self, *words, check=True):
        return self.systemd("lbctl", *words, check=check)

    def traces(self):
        """What lbctl has left: drop-ins, their folders, the program and its pins."""
        folders = sorted({f"{unit}.d" for unit in self.ports} & set(os.listdir(self.folder)))
        pins = self.systemd("sh", "-c", "ls /sys/fs/bpf/lbctl/mptcpize 2>/dev/null", check=False).stdout
        return folders, run("bpftool", "prog", "show", "name", "mptcpize", check=False).stdout, pins

    def environment(self, unit):
        pid = self.systemd.show(unit, "MainPID")
        with open(f"/proc/{self.systemd.pid}/root/proc/{pid}/environ", encoding="utf-8") as file:
            return file.read().split("\0")


def has_hook():
    return "update_socket_protocol" in run("bpftool", "btf", "dump", "file", "/sys/kernel/btf/vmlinux").stdout


def preload(checks, services):
    all_units = [*services.ports]
    told = services.lbctl("mptcpize", "--way", "preload", *all_units)
    checks.that("preload: it says how they come to listen so", "systemctl restart web.service" in told.stderr and
                "preload" in told.stderr, told.stderr)
    services.are("preload: what runs keeps its sockets", set())
    services.restart()
    services.are("preload: restarted, they are MPTCP listeners", set(all_units))
    preloaded = [word for word in services.environment("web.service") if word.startswith("LD_PRELOAD=")]
    checks.that("preload: the unit's own library stays", len(preloaded) == 1 and
                preloaded[0].startswith("LD_PRELOAD=libutil.so.1 /usr/lib/"), preloaded)
    checks.that("preload: and the rest of its environment", "A=1" in services.environment("web.service"))
    services.lbctl("mptcpize", "--undo", "--restart", *all_units)
    services.are("preload: undone and restarted, they are as before", set())
    checks.equal("preload: nothing is left", settles(services.traces, NOTHING), NOTHING)


def bpf(checks, services):
    if not has_hook():
        refused = services.lbctl("mptcpize", "--way", "bpf", "web.service", check=False)
        checks.that("bpf: without the hook it is refused, with the version that has it",
                    refused.returncode == 1 and "Linux 6.6" in refused.stderr, refused.stderr)
        checks.equal("bpf: and nothing is touched", settles(services.traces, NOTHING), NOTHING)
        default = services.lbctl("-j", "mptcpize", "-n", "web.service").stdout
        checks.that("bpf: the default is the other way", '"to": "preload, by hand"' in default, default)
        return
    some = sorted(set(services.ports) - {"other.service"})
    told = services.lbctl("mptcpize", "--restart", *some)
    checks.that("bpf: it is the default here, and says why", "note: bpf: this kernel has the hook" in told.stderr,
                told.stderr)
    services.are("bpf: restarted, they are MPTCP listeners, and the one beside them is not", set(some))
    services.restart()
    services.are("bpf: so they are after another restart, in new cgroups", set(some))
    services.systemd("systemctl", "stop", "web.service")
    services.lbctl("mptcpize", "--way", "preload", "web.service")
    services.systemd("systemctl", "start", "web.service")
    services.are("bpf: one of them goes the other way", set(some))
    services.lbctl("mptcpize", "--undo", *some)
    services.restart()
    services.are("bpf: undone and restarted, they are as before", set())
    checks.equal("bpf: nothing is left", settles(services.traces, NOTHING), NOTHING)


def by_hand(checks):
    """lbctl mptcpize: python's http.server and Debian's nginx become MPTCP listeners, by both ways, and undone"""
    if not in_a_machine(checks, "mptcpize by hand"):
        return
    with Systemd() as systemd:
        as_real_server()
        services = Services(systemd, checks)
        services.are("at first: TCP", set())
        preload(checks, services)
        bpf(checks, services)
        run("ip", "link", "delete", "eth0")


def by_file(checks):
    """servers.*.mptcpize: a part of plan, apply and down, and no quarrel with what was done by hand"""
    if not in_a_machine(checks, "mptcpize by the file"):
        return
    with Systemd() as systemd:
        as_real_server()
        services = Services(systemd, checks)
        with open(f"{TOP}/etc/lbctl.toml", encoding="utf-8") as file:
            plain = file.read()
        asking = plain.replace("[servers.rs1]\n", '[servers.rs1]\nmptcpize = ["web.service"]\n')

        def write(text):
            with open("/etc/lbctl/lbctl.toml", "w", encoding="utf-8") as file:
                file.write(text)

        write(asking)
        way = "bpf" if has_hook() else "preload"
        checks.that("the plan has it", f"+ unit mptcpize web.service  {way}\n" in services.lbctl("plan").stdout)
        done = services.lbctl("apply")
        checks.that("apply does it, and says what is left", "systemctl restart web.service" in done.stderr, done.stderr)
        services.are("it restarts nothing", set())
        services.restart()
        services.are("after a restart the service listens with MPTCP", {"web.service"})
        checks.that("a second apply finds nothing to do", "nothing to do" in services.lbctl("apply").stdout)
        refused = services.lbctl("mptcpize", "--undo", "web.service", check=False)
        checks.that("what the file asks for is not undone by hand", refused.returncode == 1 and
                    "servers.*.mptcpize" in refused.stderr, refused.stderr)
        services.lbctl("mptcpize", "--way", "preload", "--restart", "other.service")
        checks.that("what was done by hand is no matter of apply", "nothing to do" in services.lbctl("apply").stdout)
        write(plain)
        done = services.lbctl("apply").stdout
        checks.that("a file without it takes back its own", "- unit mptcpize web.service" in done and
                    "other.service" not in done, done)
        services.restart()
        services.are("and the other stays", {"other.service"})
        status = services.lbctl("status").stdout
        checks.that("status lists it", "other.service  preload, by hand" in status, status)
        services.lbctl("down")
        checks.equal("down leaves nothing", settles(services.traces, NOTHING), NOTHING)
        services.restart()
        services.are("and all listen with TCP", set())
        run("ip", "link", "delete", "eth0")


def command(checks):
    """tests/cli/mptcpize_test.py on this kernel: without systemd, cgroups made by the test"""
    if not in_a_machine(checks, "the command's own test"):
        return
    if not has_hook() and not FULL:
        checks.note("a kernel without the hook: here it would check what it checks outside of the lab")
        return
    os.makedirs("/sys/fs/cgroup", exist_ok=True)
    run("mount", "-t", "cgroup2", "none", "/sys/fs/cgroup", check=False)  # or it is there
    # The host's /run may be that of a systemd.
    done = run("unshare", "--mount", "sh", "-c", "mount -t tmpfs tmpfs /run && exec /usr/bin/python3 "
               f"{TOP}/tests/cli/mptcpize_test.py {LBCTL} {TOP}", check=False)
    checks.that("it passes", done.returncode == 0 and "\nOK" in done.stderr, done.stdout + done.stderr)
    checks.equal("all of it, where the kernel has the hook", "skipped" in done.stderr, not has_hook())


SCENARIOS = [command, by_hand, by_file]
