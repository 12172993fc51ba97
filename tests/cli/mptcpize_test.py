"""lbctl mptcpize on the running kernel, in network and mount namespaces of its own: without systemd, with its files."""
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

LBCTL, SOURCE = sys.argv[1:3]
UNITS = "/etc/systemd/system"
DROP_IN = "zz-lbctl-mptcpize.conf"
PINS = "/sys/fs/bpf/lbctl/mptcpize"
# The protocol of a fresh TCP socket, as the kernel has it.
PROTOCOL = "import socket; print(socket.socket(socket.AF_INET6, socket.SOCK_STREAM).getsockopt(1, 38))"
TCP, MPTCP = "6", "262"


def sh(command, check=True):
    result = subprocess.run(command, shell=True, capture_output=True, text=True)
    if check and result.returncode:
        raise RuntimeError(f"{command}: {result.stdout}{result.stderr}")
    return result.stdout


def has_hook():
    return "'update_socket_protocol'" in sh("bpftool btf dump file /sys/kernel/btf/vmlinux", check=False)


def cgroup2():
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        return next((line.split()[4] for line in file if " - cgroup2 " in line), None)


class Mptcpize(unittest.TestCase):
    def setUp(self):
        self.state = tempfile.mkdtemp(prefix="lbctl-mptcpize-")
        for folder, kind in [(UNITS, "tmpfs"), ("/sys/fs/bpf", "bpf")]:
            os.makedirs(folder, exist_ok=True)
            sh(f"mount -t {kind} lbctl {folder}")
        self.unit("web.service")
        self.unit("odd.service", "Environment=LD_PRELOAD=libutil.so.1")

    def tearDown(self):
        sh(f"umount {UNITS} /sys/fs/bpf")
        shutil.rmtree(self.state)

    def unit(self, name, more=""):
        with open(f"{UNITS}/{name}", "w", encoding="utf-8") as file:
            file.write(f"[Service]\nExecStart=/bin/true\n{more}\n")

    def lbctl(self, *words, status=0, text=None):
        done = subprocess.run([LBCTL, "--state-dir", self.state, *words], capture_output=True, text=True, input=text)
        self.assertEqual(status, done.returncode, done.stdout + done.stderr)
        return done

    def default_way(self):
        """bpf where the kernel has the hook, and lets root use it (lockdown does not)."""
        shown = json.loads(self.lbctl("-j", "mptcpize", "-n", "web.service").stdout)
        way = shown["operations"][0]["to"].split(",")[0]
        self.assertTrue(shown["why"].startswith(way), shown)
        if not has_hook():
            self.assertEqual("preload", way)
            self.assertIn("Linux 6.6", shown["why"])
            self.assertIn("Linux 6.6", self.lbctl("mptcpize", "--way", "bpf", "web.service", status=1).stderr)
        return way

    def drop_ins(self):
        return sorted(path.split("/")[-2].removesuffix(".d") for path in glob.glob(f"{UNITS}/*/{DROP_IN}"))

    def text(self, unit):
        with open(f"{UNITS}/{unit}.d/{DROP_IN}", encoding="utf-8") as file:
            return file.read()

    def file(self, *units):
        """rs1 of a small cluster, which is this namespace."""
        asks = f"mptcpize = {json.dumps(units)}\n" if units else ""
        return ('[cluster]\nname = "c"\n[directors.dir1]\naddress = ["192.0.2.10"]\ninterface = "eth0"\n'
                f'[servers.rs1]\naddress = ["192.0.2.11"]\ninterface = "eth0"\nid = 1\n{asks}'
                '[services.web]\nvip = ["192.0.2.100"]\nports = [80]\nprotocols = ["tcp"]\n'
                'servers = ["rs1"]\nscheduler = "rr"\n')

    def apply(self, *units, command="apply", status=0):
        return self.lbctl("-f", "-", "--node", "rs1", command, status=status, text=self.file(*units))

    def test_by_hand_and_back(self):
        shown = self.lbctl("mptcpize", "-n", "--way", "preload", "web.service", "odd.service")
        self.assertEqual("mptcpize: 2 changes to make\n+ unit mptcpize odd.service  preload, by hand\n"
                         "+ unit mptcpize web.service  preload, by hand\n", shown.stdout)
        self.assertEqual([], self.drop_ins())
        done = self.lbctl("mptcpize", "--way", "preload", "web.service", "odd.service")
        self.assertIn("note: preload: as asked for", done.stderr)
        self.assertIn("note: systemd does not run here", done.stderr)
        self.assertEqual(["odd.service", "web.service"], self.drop_ins())
        self.assertRegex(self.text("odd.service"), r'\nEnvironment="LD_PRELOAD=libutil.so.1 /usr/lib/\S+"\n$')
        self.assertIn("nothing to do", self.lbctl("mptcpize", "--way", "preload", "web.service").stdout)
        undone = self.lbctl("-j", "mptcpize", "--undo", "odd.service")
        self.assertEqual(["by_hand"], [o["reason"] for o in json.loads(undone.stdout)["done"]])
        self.lbctl("mptcpize", "--undo", "web.service")
        self.assertEqual(["odd.service", "web.service"], sorted(os.listdir(UNITS)))
        self.assertIn("has not mptcpized", self.lbctl("mptcpize", "--undo", "web.service", status=1).stderr)

    def test_what_is_refused(self):
        for unit, why in [("web", "ends in .service"), ("../web.service", "no unit's name"),
                          ("none.service", "no unit none.service is installed")]:
            self.assertIn(why, self.lbctl("mptcpize", unit, status=1).stderr)
        self.lbctl("mptcpize", status=64)
        self.lbctl("mptcpize", "--way", "magic", "web.service", status=64)
        self.lbctl("mptcpize", "--way", "bpf", "--undo", "web.service", status=64)
        os.mkdir(f"{UNITS}/web.service.d")
        with open(f"{UNITS}/web.service.d/{DROP_IN}", "w", encoding="utf-8") as file:
            file.write("[Service]\nNice=5\n")
        self.assertIn("lbctl did not make it", self.lbctl("mptcpize", "web.service", status=1).stderr)
        refused = self.apply("web.service", status=1)
        self.assertIn("the drop-in of web.service is there already", refused.stderr)
        self.assertIn("nothing was touched", refused.stdout)
        self.assertEqual("[Service]\nNice=5\n", self.text("web.service"))

    def test_without_the_library(self):
        for folder in glob.glob("/usr/lib/*/mptcpize"):
            sh(f"mount -t tmpfs lbctl {folder}")
            self.addCleanup(sh, f"umount {folder}")
        failed = self.lbctl("mptcpize", "--way", "preload", "web.service", status=1)
        self.assertIn("libmptcpwrap is not installed", failed.stderr)
        self.assertIn("hint: apt install mptcpize", failed.stderr)
        self.assertEqual([], self.drop_ins())

    def test_the_file_and_the_hand(self):
        way = self.default_way()
        planned = self.apply("web.service", command="plan")
        self.assertIn(f"+ unit mptcpize web.service  {way}\n", planned.stdout)
        self.apply("web.service")
        self.assertIn(f"way={way} asked-by=file\n", self.text("web.service"))
        self.assertIn("nothing to do", self.apply("web.service").stdout)
        self.assertIn("servers.*.mptcpize", self.lbctl("mptcpize", "--undo", "web.service", status=1).stderr)
        self.lbctl("mptcpize", "--way", "preload", "odd.service")
        self.assertIn("nothing to do", self.apply("web.service").stdout)
        # Somebody's edit is mended; the library's or lbctl's new place would be no other difference.
        with open(f"{UNITS}/web.service.d/{DROP_IN}", "a", encoding="utf-8") as file:
            file.write("Nice=5\n")
        self.assertIn(f"~ unit mptcpize web.service  {way}, changed -> {way}", self.apply("web.service").stdout)
        self.assertNotIn("Nice", self.text("web.service"))
        status = json.loads(self.lbctl("-f", "-", "--node", "rs1", "-j", "status", text=self.file("web.service")).stdout)
        self.assertEqual([{"unit": "odd.service", "way": "preload", "asked_by": "hand", "intact": True},
                          {"unit": "web.service", "way": way, "asked_by": "file", "intact": True}], status["mptcpized"])
        gone = self.apply().stdout
        self.assertIn("- unit mptcpize web.service  (not in the file)", gone)
        self.assertEqual(["odd.service"], self.drop_ins())
        self.lbctl("down")
        self.assertEqual([], self.drop_ins())
        self.assertFalse(os.path.exists(PINS))

    def test_the_hand_goes_before_the_file(self):
        self.lbctl("mptcpize", "--way", "preload", "web.service")
        self.assertNotIn("mptcpize", self.apply("web.service").stdout)
        self.assertIn("way=preload asked-by=hand", self.text("web.service"))
        self.lbctl("mptcpize", "--undo", "web.service")
        self.assertIn("+ unit mptcpize web.service", self.apply("web.service").stdout)
        self.lbctl("down")

    def start(self, unit, cgroup):
        """What systemd does: a new cgroup, ExecStartPre= of the drop-in in it, then the service in it."""
        command = re.search(r'\nExecStartPre="-\+(.*)" (mptcpize --enter) "(.*)"\n', self.text(unit))
        os.mkdir(cgroup)
        self.addCleanup(lambda: os.path.isdir(cgroup) and os.rmdir(cgroup))
        entered = sh(f"echo $$ >{cgroup}/cgroup.procs && exec {command[1]} {command[2]} {command[3]} 2>&1")
        self.assertEqual("", entered)

    def protocol(self, cgroup=None):
        into = f"echo $$ >{cgroup}/cgroup.procs && " if cgroup else ""
        return sh(f'{into}exec {sys.executable} -c "{PROTOCOL}"').strip()

    def test_the_program_changes_sockets_of_the_units_cgroup_only(self):
        if self.default_way() != "bpf" or not cgroup2():
            self.skipTest("this kernel has no update_socket_protocol hook or refuses it, or no cgroup2 is mounted")
        place = f"{cgroup2()}/lbctl-{os.getpid()}"
        first, second, below, beside = f"{place}-1", f"{place}-2", f"{place}-2/worker", f"{place}-3"
        self.lbctl("mptcpize", "--way", "bpf", "web.service")
        self.assertFalse(os.path.exists(PINS), "nothing is attached before the unit starts")
        self.start("web.service", first)
        self.assertEqual((MPTCP, TCP), (self.protocol(first), self.protocol()))
        self.start("web.service", second)
        for cgroup in (below, beside):
            os.mkdir(cgroup)
            self.addCleanup(os.rmdir, cgroup)
        seen = {cgroup: self.protocol(cgroup) for cgroup in (first, second, below, beside)}
        self.assertEqual({first: TCP, second: MPTCP, below: MPTCP, beside: TCP}, seen)
        self.assertEqual(["cgroups", "link"], sorted(os.listdir(PINS)))
        # Not everything that a service opens is TCP.
        code = ("import socket as s; print([s.socket(f, t).getsockopt(1, 38) for f, t in "
                "((s.AF_INET, s.SOCK_DGRAM), (s.AF_UNIX, s.SOCK_STREAM), (s.AF_INET, s.SOCK_STREAM | s.SOCK_NONBLOCK))])")
        self.assertEqual("[17, 0, 262]", sh(f'echo $$ >{second}/cgroup.procs && exec {sys.executable} -c "{code}"').strip())
        self.lbctl("mptcpize", "--undo", "web.service")
        self.assertEqual(TCP, self.protocol(second))
        self.assertFalse(os.path.exists(PINS))

    def test_one_unit_of_two_is_undone(self):
        if self.default_way() != "bpf" or not cgroup2():
            self.skipTest("this kernel has no update_socket_protocol hook or refuses it, or no cgroup2 is mounted")
        place = f"{cgroup2()}/lbctl-{os.getpid()}"
        self.lbctl("mptcpize", "--way", "bpf", "web.service", "odd.service")
        for unit in ("web", "odd"):
            self.start(f"{unit}.service", f"{place}-{unit}")
        self.assertEqual([MPTCP, MPTCP], [self.protocol(f"{place}-{unit}") for unit in ("web", "odd")])
        self.lbctl("mptcpize", "--way", "preload", "web.service")
        self.assertEqual([TCP, MPTCP], [self.protocol(f"{place}-{unit}") for unit in ("web", "odd")])
        self.lbctl("mptcpize", "--undo", "web.service", "odd.service")
        self.assertFalse(os.path.exists(PINS))


if __name__ == "__main__":
    if os.environ.get("LBCTL_UNSHARED") != "1":
        if os.geteuid() != 0:
            print("SKIPPED: needs root")
            sys.exit(77)
        os.environ["LBCTL_UNSHARED"] = "1"
        os.execvp("unshare", ["unshare", "--net", "--mount", sys.executable, *sys.argv])
    sh("ip link set lo up; ip link add eth0 type veth peer name peer0; ip link set eth0 up; "
       "ip address add 192.0.2.11/24 dev eth0")
    if not glob.glob("/usr/lib/*/mptcpize/libmptcpwrap.so.0.*"):
        print("SKIPPED: libmptcpwrap0 is not installed")
        sys.exit(77)
    if os.path.isdir("/run/systemd/system"):
        print("SKIPPED: systemd runs here, and must not read what this test writes")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1])
