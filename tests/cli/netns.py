"""What tests of lbctl on the running kernel stand on: a node in a network namespace, and its peer."""
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

LBCTL, SOURCE = sys.argv[1:3]
EXAMPLE = f"{SOURCE}/etc/lbctl.toml"
NETNS = f"cli{os.getpid()}"


def sh(command, check=True):
    result = subprocess.run(command, shell=True, capture_output=True, text=True)
    if check and result.returncode != 0:
        raise RuntimeError(f"{command}: {result.stdout}{result.stderr}")
    return result.stdout


def inside(command, check=True):
    return sh(f"ip netns exec {NETNS} {command}", check)


def has_ip_vs():
    return bool(inside("sh -c 'ipvsadm -Sn >/dev/null 2>&1 && echo yes'", check=False).strip())


class NodeCase(unittest.TestCase):
    """A namespace with eth0, a peer that is rs2, and a state directory with a BPF file system."""

    def setUp(self):
        self.state = tempfile.mkdtemp(prefix="lbctl-cli-")
        os.mkdir(f"{self.state}/bpf")
        sh(f"mount -t bpf bpf {self.state}/bpf")
        sh(f"ip netns add {NETNS}; ip netns add {NETNS}p")
        sh(f"ip -n {NETNS} link add eth0 type veth peer name eth0 netns {NETNS}p")
        for netns, last in [(NETNS, 11), (f"{NETNS}p", 12)]:
            # The kernel's own link-local address appears, and stops being tentative, when it pleases.
            sh(f"ip -n {netns} link set eth0 addrgenmode none; ip -n {netns} link set lo up; "
               f"ip -n {netns} link set eth0 up")
            sh(f"ip -n {netns} addr add 192.0.2.{last}/24 dev eth0")
            # What the kernel asks its neighbours by itself it asks from there.
            sh(f"ip -n {netns} addr add fe80::{last}/64 dev eth0 nodad")
            sh(f"ip -n {netns} addr add 2001:db8:100::{last}/64 dev eth0 nodad")

    def tearDown(self):
        sh(f"ip netns del {NETNS}; ip netns del {NETNS}p; umount {self.state}/bpf")
        shutil.rmtree(self.state)

    def lbctl(self, *args, file=EXAMPLE):
        return subprocess.run([*self.words(file), *args], capture_output=True, text=True)

    def words(self, file=EXAMPLE):
        return ["ip", "netns", "exec", NETNS, LBCTL, "-f", file, "--state-dir", self.state,
                "--persist-dir", f"{self.state}/persist"]

    def until(self, condition, limit=120):
        """The limit only ends a hang."""
        end = time.monotonic() + limit
        while not condition():
            self.assertLess(time.monotonic(), end, "it never came")
            time.sleep(0.1)
