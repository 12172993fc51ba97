"""What tests of `lbctl doctor` stand on: one node for all tests of a class, and traps."""
import functools
import json
import subprocess
import sys

from netns import EXAMPLE, NETNS, NodeCase, inside

PEER = f"{NETNS}p"
WELL = ["mptcp :: 443", "udp 192.0.2.100 443", "udp 2001:db8:100::100 443"]

# Sockets that stay until standard input ends: "KIND ADDRESS PORT [pktinfo]".
HOLDER = """
import socket, sys
held = []
for words in map(str.split, sys.argv[1:]):
    v6 = ":" in words[1]
    kind = socket.SOCK_DGRAM if words[0] == "udp" else socket.SOCK_STREAM
    one = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, kind, 262 if words[0] == "mptcp" else 0)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if v6:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, words[1] != "::")
    if "pktinfo" in words:
        one.setsockopt(*((socket.IPPROTO_IPV6, 49) if v6 else (socket.IPPROTO_IP, 8)), 1)
    one.bind((words[1], int(words[2])))
    if kind == socket.SOCK_STREAM:
        one.listen()
    held.append(one)
print("up", flush=True)
sys.stdin.read()
"""

# What neither these tests nor those of the lab can make, and why. docs_test.py holds the man page against it.
UNTRAPPED = {
    "xdp-generic": "only of hardware: every device that a test can make names its kind",
    "sysctls-unread": "needs a /proc/sys that answers with errors; one that is empty is setting-missing",
    "addresses-unread": "rtnetlink answers everybody",
    "mptcp-unread": "needs a kernel without MPTCP; its limits and endpoints are told to everybody",
    "tunnels-unread": "rtnetlink answers everybody",
    "units-unread": "needs a folder of units that root can't read",
    "sockets-unread": "sock_diag answers everybody",
}


def traps(*idents):
    """Each of these findings is seen in the test, and gone when it looks for the last time. Every one of
    lbctl-doctor(8) has such a test here or in the lab, or stands in UNTRAPPED with the reason (docs_test.py)."""
    def wrap(test):
        @functools.wraps(test)
        def run(self):
            self.seen, self.last = set(), set()
            test(self)
            self.assertEqual((set(), set()), (set(idents) - self.seen, set(idents) & self.last), "not seen; not gone")
        return run
    return wrap


class DoctorCase(NodeCase):
    """A node for all tests of the class, which each leave it well."""

    node = "rs1"

    @classmethod
    def setUpClass(cls):
        NodeCase.setUp(cls)

    @classmethod
    def tearDownClass(cls):
        NodeCase.tearDown(cls)

    def setUp(self):
        self.holders = []
        self.seen, self.last = set(), set()

    def tearDown(self):
        for holder in self.holders:
            self.release(holder)

    def hold(self, *sockets):
        holder = subprocess.Popen(["ip", "netns", "exec", NETNS, sys.executable, "-c", HOLDER, *sockets],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.holders.append(holder)
        self.assertEqual("up\n", holder.stdout.readline())
        return holder

    def release(self, holder):
        holder.communicate("")
        self.holders = [one for one in self.holders if one is not holder]

    def file(self, text, name="other.toml"):
        path = f"{self.state}/{name}"
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        return path

    def variant(self, *changes, name="other.toml"):
        """The example with texts replaced; each must be there."""
        with open(EXAMPLE, encoding="utf-8") as file:
            text = file.read()
        for old, new in changes:
            self.assertIn(old, text)
            text = text.replace(old, new)
        return self.file(text, name)

    def document(self, words):
        """What a command line says, whose findings are remembered."""
        done = subprocess.run([*words, "-j", "doctor"], capture_output=True, text=True)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        document = json.loads(done.stdout)
        self.assertIn("findings", document, done.stdout)
        self.assertEqual(done.returncode == 1, any(one["severity"] != "doubt" for one in document["findings"]))
        self.last = {one["id"] for one in document["findings"]}
        self.seen |= self.last
        return document

    def all_findings(self, node=None, file=EXAMPLE):
        """Without doubts about this machine's clock."""
        found = self.document([*self.words(file), "--node", node or self.node])["findings"]
        return [one for one in found if one["id"] != "clock"]

    def findings(self, **options):
        """By id."""
        return {one["id"]: one for one in self.all_findings(**options)}

    def only(self, ident, **options):
        found = self.findings(**options)
        self.assertEqual([ident], list(found), json.dumps(found, indent=1))
        for part in ["consequence", "mend"]:
            self.assertTrue(found[ident][part])
        return found[ident]

    def run_mends(self, *findings, file=EXAMPLE):
        """Their command lines to the letter, each once, but with this test's program, file and node."""
        for line in dict.fromkeys(line for finding in findings for line in finding["command"]):
            if line == "lbctl apply":
                self.apply(file)
            else:
                inside(line)

    def apply(self, file=EXAMPLE):
        done = self.lbctl("--node", self.node, "apply", file=file)
        self.assertEqual(0, done.returncode, done.stderr)

    def well(self):
        if self.lbctl("--node", self.node, "apply").returncode != 0:  # another test broke off
            self.tearDownClass()
            self.setUpClass()
            self.apply()
        return self.hold(*WELL)

    def assert_mended(self, *findings, **options):
        self.run_mends(*findings)
        self.assertEqual({}, self.findings(**options))
