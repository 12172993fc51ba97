"""Under a real systemd: the unit of the boot, and a change that is reverted although its session died."""

import os
import shutil
import subprocess
import sys

from labkit import TOP, LabError, run, wait_for
from systemdkit import Systemd, as_real_server, in_a_machine


def state():
    """What the kernel holds of lbctl's here."""
    return [run(*words.split()).stdout for words in
            ("ip -o address show dev lo", "ip mptcp endpoint", "sysctl net.ipv4.conf.all.arp_ignore "
             "net.ipv4.conf.all.arp_announce net.mptcp.allow_join_initial_addr_port")]


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
