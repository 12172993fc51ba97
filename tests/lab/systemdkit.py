"""A real systemd in the lab's machine, with everything that it starts thrown away at the end."""

import os
import shutil
import subprocess

from labkit import LBCTL, TOP, run, wait_for

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


def in_a_machine(checks, what):
    """These write to /etc and /usr: only where all of it is thrown away afterwards."""
    with open("/proc/mounts", encoding="utf-8") as file:
        if any(line.split()[1:3] == ["/", "overlay"] for line in file):
            return True
    checks.skip(what, "only in the virtual machine, whose files are thrown away (tests/lab/vm --force)")
    return False


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
