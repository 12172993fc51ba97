"""Under a real systemd: the unit of the boot, and a change that is reverted although its session died."""

import os
import shutil
import subprocess
import sys

from labkit import LBCTL, TOP, LabError, run, wait_for

INIT = """
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system
# It would empty /tmp, where this source tree may stand.
ln -s /dev/null /run/systemd/system/systemd-tmpfiles-setup.service
mountpoint -q /sys/fs/bpf || mount -t bpf bpf /sys/fs/bpf
printf '[Unit]\\nRequires=basic.target\\nAfter=basic.target\\nAllowIsolate=yes\\n' >/run/systemd/system/lab.target
export container=lab
exec /lib/systemd/systemd --system --unit=lab.target --log-target=console --show-status=no
"""


class Systemd:
    """systemd as process 1 of namespaces of its own (pid, mount, cgroup); the network is shared."""

    def __enter__(self):
        os.makedirs("/sys/fs/cgroup", exist_ok=True)
        run("mount", "-t", "cgroup2", "none", "/sys/fs/cgroup", check=False)  # or it is there
        self.process = subprocess.Popen(["unshare", "--pid", "--mount", "--cgroup", "--fork", "--mount-proc",
                                         "sh", "-c", INIT], stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        self.pid = wait_for("its first process", self.first_process)
        wait_for("systemd runs", lambda: self("systemctl", "is-system-running", check=False).stdout.strip()
                 in ("running", "degraded"), 120)
        return self

    def first_process(self):
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="utf-8") as file:
            return file.read().strip()

    def __exit__(self, *_):
        self("systemctl", "poweroff", "--force", "--force", check=False)
        self.process.kill()
        self.process.wait()

    def words(self, *words):
        return ["nsenter", "--target", self.pid, "--pid", "--mount", "--cgroup", "--root", "--", *map(str, words)]

    def __call__(self, *words, check=True):
        return run(*self.words(*words), check=check)

    def show(self, unit, name):
        return self("systemctl", "show", "--value", "-p", name, unit).stdout.strip()


def as_real_server():
    """The machine's own network is that of rs1; its file is in its place."""
    run("ip", "link", "delete", "eth0", check=False)  # of a scenario that broke off
    run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "peer0")
    for device in ("lo", "eth0", "peer0"):
        run("ip", "link", "set", device, "up")
    run("ip", "address", "add", "192.0.2.11/24", "dev", "eth0")
    run("ip", "address", "add", "2001:db8:100::11/64", "dev", "eth0", "nodad")
    shutil.copy(LBCTL, "/usr/sbin/lbctl")
    os.makedirs("/etc/lbctl", exist_ok=True)
    shutil.copy(f"{TOP}/etc/lbctl.toml", "/etc/lbctl/lbctl.toml")


def state():
    """What the kernel holds of lbctl's here."""
    return [run(*words.split()).stdout for words in
            ("ip -o address show dev lo", "ip mptcp endpoint", "sysctl net.ipv4.conf.all.arp_ignore "
             "net.ipv4.conf.all.arp_announce net.mptcp.allow_join_initial_addr_port")]


def in_a_machine(checks, what):
    """These write to /etc and /usr: only where all of it is thrown away afterwards."""
    with open("/proc/mounts", encoding="utf-8") as file:
        if any(line.split()[1:3] == ["/", "overlay"] for line in file):
            return True
    checks.skip(what, "only in the virtual machine, whose files are thrown away (tests/lab/vm --force)")
    return False


def boot_unit(checks):
    """lbctl-apply.service, sandboxed as it is shipped: applies, reloads, and leaves all in place when stopped"""
    if not in_a_machine(checks, "lbctl-apply.service"):
        return
    with Systemd() as systemd:
        as_real_server()
        before = state()
        shutil.copy(f"{TOP}/systemd/lbctl-apply.service", f"/proc/{systemd.pid}/root/run/systemd/system/")
        systemd("systemctl", "daemon-reload")
        started = systemd("systemctl", "start", "lbctl-apply", check=False)
        log = systemd("journalctl", "--no-pager", "-u", "lbctl-apply").stdout
        checks.that("it starts", started.returncode == 0 and
                    systemd.show("lbctl-apply", "ActiveState") == "active", log)
        whole = state()
        checks.that("the VIP and the signal address stand", " 192.0.2.100/32 " in whole[0] and
                    " 192.0.2.111/32 " in whole[0], whole)
        checks.that("the endpoints stand", "192.0.2.111" in whole[1], whole)
        checks.that("the XDP program is attached", "xdp" in run("ip", "link", "show", "dev", "eth0").stdout)
        again = systemd("lbctl", "apply")
        checks.that("an apply by hand finds nothing to do", "nothing to do" in again.stdout, again.stdout)
        run("ip", "address", "delete", "192.0.2.100/32", "dev", "lo")
        systemd("systemctl", "reload", "lbctl-apply")
        checks.equal("a reload mends what was taken away", sorted(state()[0].split()), sorted(whole[0].split()))
        systemd("systemctl", "stop", "lbctl-apply")
        checks.equal("stopped, it leaves all in place", sorted(state()[0].split()), sorted(whole[0].split()))
        checks.that("and the ledger with it", "nothing to do" in systemd("lbctl", "apply").stdout)
        systemd("lbctl", "down")
        checks.equal("down leaves what was before", state(), before)
        run("ip", "link", "delete", "eth0")


def daemon_unit(checks):
    """lbctl.service, sandboxed as it is shipped: is ready, mends, reloads, is fed by its watchdog, and may be killed"""
    if not in_a_machine(checks, "lbctl.service"):
        return
    with Systemd() as systemd:
        as_real_server()
        units = f"/proc/{systemd.pid}/root/run/systemd/system"
        shutil.copy(f"{TOP}/systemd/lbctl.service", units)
        os.makedirs(f"{units}/lbctl.service.d")
        with open(f"{units}/lbctl.service.d/group.conf", "w", encoding="utf-8") as file:
            file.write("[Service]\nSupplementaryGroups=nogroup\n")
        with open("/etc/lbctl/lbctl.toml", "a", encoding="utf-8") as file:
            file.write("[daemon]\ngroup = \"nogroup\"\n")
        shutil.copy("/etc/lbctl/lbctl.toml", "/etc/lbctl/good.toml")
        systemd("systemctl", "daemon-reload")

        def log():
            return systemd("journalctl", "--no-pager", "-u", "lbctl").stdout

        started = systemd("systemctl", "start", "lbctl", check=False)
        checks.that("it starts and says that it is ready", started.returncode == 0 and
                    systemd.show("lbctl", "ActiveState") == "active", log())
        whole = state()
        checks.that("the VIP, the signal address and the endpoints stand", " 192.0.2.100/32 " in whole[0] and
                    " 192.0.2.111/32 " in whole[0] and "192.0.2.111" in whole[1], whole)
        checks.that("the XDP program is attached", "xdp" in run("ip", "link", "show", "dev", "eth0").stdout)
        checks.that("its status line names the node", systemd.show("lbctl", "StatusText").startswith("rs1:"),
                    systemd.show("lbctl", "StatusText"))
        [socket] = [name for name in os.listdir(f"/proc/{systemd.pid}/root/run/lbctl") if name.endswith(".control")]
        checks.equal("its socket is the group's, and others can't use it",
                     systemd("stat", "-c", "%U %G %a", f"/run/lbctl/{socket}").stdout, "root nogroup 660\n")
        checks.equal("systemd has a watchdog on it", systemd.show("lbctl", "WatchdogUSec"), "30s")
        run("ip", "address", "delete", "192.0.2.100/32", "dev", "lo")
        wait_for("it mends", lambda: sorted(state()[0].split()) == sorted(whole[0].split()))
        fields = systemd("journalctl", "--no-pager", "LBCTL_EVENT=change", "LBCTL_REASON=an address changed").stdout
        checks.that("the journal has what it did and why", "192.0.2.100/32" in fields, log())
        checks.that("and commands by hand find nothing to do", "nothing to do" in systemd("lbctl", "apply").stdout)
        systemd("systemctl", "reload", "lbctl")
        wait_for("it reads the file again", lambda: log().count("the file is in force") == 2)
        wait_for("and is active", lambda: systemd.show("lbctl", "ActiveState") == "active")
        with open("/etc/lbctl/lbctl.toml", "a", encoding="utf-8") as file:
            file.write("wrong = 1\n")
        systemd("systemctl", "reload", "lbctl")
        wait_for("it refuses a wrong one", lambda: "what ran before stays in force" in log())
        checks.equal("it runs on", (systemd.show("lbctl", "ActiveState"), state()[1]), ("active", whole[1]))
        shutil.copy("/etc/lbctl/good.toml", "/etc/lbctl/lbctl.toml")
        systemd("systemctl", "kill", "--signal=KILL", "lbctl")
        wait_for("systemd starts it again", lambda: systemd.show("lbctl", "NRestarts") == "1"
                 and systemd.show("lbctl", "ActiveState") == "active")
        systemd("systemctl", "stop", "lbctl")
        checks.equal("stopped, it leaves all in place", sorted(state()[0].split()), sorted(whole[0].split()))
        for unit in ("lbctl", "lbctl-apply"):
            done = systemd("systemd-analyze", "security", "--offline=true", f"{TOP}/systemd/{unit}.service", check=False)
            [verdict] = [line for line in done.stdout.splitlines() if "Overall" in line]
            checks.that(f"{unit}: its exposure is at most 2.2", float(verdict.split(": ")[1].split()[0]) <= 2.2, verdict)
        systemd("lbctl", "down")
        run("ip", "link", "delete", "eth0")


def session_dies(checks):
    """apply --confirm in a login session that is killed whole: the node goes back all the same"""
    if not in_a_machine(checks, "apply --confirm under systemd"):
        return
    with Systemd() as systemd:
        as_real_server()
        before = state()
        # What logind makes of a login, with KillUserProcesses: a scope, ended with all that is in it.
        shell = subprocess.Popen(systemd.words("systemd-run", "--quiet", "--scope", "--unit", "session-1.scope", "sh",
                                               "-c", "lbctl apply --confirm 8s && echo applied && sleep 600"),
                                 stdout=subprocess.PIPE, stderr=sys.stderr, text=True)
        for line in shell.stdout:
            if line == "applied\n":
                break
        else:
            raise LabError("apply --confirm failed")
        checks.that("it is applied", state() != before)
        scopes = systemd("systemctl", "list-units", "--plain", "--no-legend", "lbctl-revert-*").stdout.split()
        checks.that("a transient unit waits", scopes and scopes[0].endswith(".scope"), scopes)
        systemd("systemctl", "kill", "--signal=KILL", "session-1.scope")
        shell.wait()
        wait_for("the node is as before", lambda: state() == before)
        checks.that("the node is as before", True)
        wait_for("the unit is gone", lambda: not systemd("systemctl", "list-units", "--plain", "--no-legend",
                                                         "lbctl-revert-*").stdout.strip())
        log = systemd("journalctl", "--no-pager", "-t", "lbctl").stdout
        checks.that("the log tells what was taken back", "not confirmed" in log, log)
        run("ip", "link", "delete", "eth0")


SCENARIOS = [boot_unit, daemon_unit, session_dies]
