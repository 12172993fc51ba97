"""`lbctl doctor`: each trap is made, found, mended as it says, and gone. Exits 77 where it cannot run."""
import json
import os
import subprocess
import sys
import unittest

from netns import EXAMPLE, LBCTL, NETNS, NodeCase, has_ip_vs, inside, sh

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

PORT_MODE = """[cluster]
name = "test"
[directors.dir1]
address = ["192.0.2.10"]
interface = "eth0"
[servers.rs1]
address = ["192.0.2.11"]
interface = "eth0"
id = 1
[services.web]
vip = ["192.0.2.100"]
ports = [443]
protocols = ["mptcp"]
[services.web.mptcp]
signal = "port"
port_base = 44300
"""


class DoctorCase(NodeCase):
    def setUp(self):
        super().setUp()
        self.holders = []

    def tearDown(self):
        for holder in self.holders:
            self.release(holder)
        super().tearDown()

    def hold(self, *sockets):
        holder = subprocess.Popen(["ip", "netns", "exec", NETNS, sys.executable, "-c", HOLDER, *sockets],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.holders.append(holder)
        self.assertEqual("up\n", holder.stdout.readline())
        return holder

    def release(self, holder):
        holder.communicate("")
        self.holders = [one for one in self.holders if one is not holder]

    def examine(self, *args, node="rs1", file=EXAMPLE):
        done = self.lbctl("--node", node, "-j", "doctor", *args, file=file)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        document = json.loads(done.stdout)
        self.assertIn("findings", document, done.stdout)
        self.assertEqual(done.returncode == 1,
                         any(one["severity"] != "doubt" and not one.get("fixed") for one in document["findings"]))
        return document

    def findings(self, *args, **options):
        """By id, without doubts about this machine's clock."""
        return {one["id"]: one for one in self.examine(*args, **options)["findings"] if one["id"] != "clock"}

    def only(self, ident, **options):
        found = self.findings(**options)
        self.assertEqual([ident], list(found), json.dumps(found, indent=1))
        for part in ["consequence", "mend"]:
            self.assertTrue(found[ident][part])
        return found[ident]

    def run_mend(self, finding, file=EXAMPLE, node="rs1"):
        """The command lines to the letter, but with this test's program, file and node."""
        for line in finding["command"]:
            if line == "lbctl apply":
                done = self.lbctl("--node", node, "apply", file=file)
                self.assertEqual(0, done.returncode, done.stderr)
            else:
                inside(line)

    def well(self):
        self.assertEqual(0, self.lbctl("--node", "rs1", "apply").returncode)
        return self.hold(*WELL)

    def assert_mended(self, ident):
        self.run_mend(self.only(ident))
        self.assertEqual({}, self.findings())


class Server(DoctorCase):
    def test_a_node_that_is_well(self):
        self.well()
        document = self.examine()
        self.assertEqual((1, "doctor", "rs1", "real server", "clean"),
                         tuple(document[key] for key in ["schema_version", "command", "node", "role", "result"]))
        self.assertEqual({}, self.findings())
        self.assertEqual(["yes"] * 3 + ["elsewhere"] * 2, [line["tick"] for line in document["checklist"]])
        text = self.lbctl("--node", "rs1", "doctor")
        self.assertEqual((0, ""), (text.returncode, text.stderr))
        self.assertIn("  [x] Frontend, application: MPTCP is enabled", text.stdout)

    def test_listeners(self):
        holder = self.well()
        self.release(holder)
        missing = self.only("listener-missing")
        self.assertIn("no tcp socket takes 192.0.2.100:443 (service web)", missing["evidence"])
        self.assertIn("no udp socket takes [2001:db8:100::100]:443 (service web)", missing["evidence"])
        self.assertIsNone(missing["command"])

        holder = self.hold("tcp :: 443", *WELL[1:])
        plain = self.only("listener-plain-tcp")
        self.assertEqual("error", plain["severity"])
        # `ip netns exec` becomes what it runs, and keeps its number.
        name = os.path.basename(sys.executable)[:15]
        self.assertIn(f"{name} (pid {holder.pid}", plain["evidence"][0])
        self.assertIn("listens on [::]:443 by plain TCP", plain["evidence"][0])
        self.assertIn("mptcpize", plain["mend"])
        self.assertEqual("no", self.examine()["checklist"][0]["tick"])
        text = self.lbctl("--node", "rs1", "doctor")
        self.assertEqual(1, text.returncode)
        self.assertRegex(text.stdout, r"error: listener-plain-tcp\n  seen   .*\n(  seen .*\n)*  means  .*\n  mend   ")
        self.release(holder)

        holder = self.hold("mptcp 192.0.2.100 443", "mptcp 2001:db8:100::100 443", *WELL[1:])
        self.assertIn("192.0.2.111:443", self.only("listener-vip-only")["evidence"][0])
        self.release(holder)

        holder = self.hold(WELL[0], "udp :: 443")
        self.assertEqual("warning", self.only("listener-udp-wildcard")["severity"])
        self.release(holder)
        self.hold(WELL[0], "udp :: 443 pktinfo")
        self.assertEqual({}, self.findings())

    def test_endpoints(self):
        self.well()
        inside("ip mptcp endpoint add 192.0.2.11 subflow")
        self.assertIn("endpoint 192.0.2.11 subflow is not lbctl's",
                      self.findings()["endpoint-foreign"]["evidence"][0])
        self.assert_mended("endpoint-foreign")
        inside("ip mptcp endpoint flush")
        self.assert_mended("endpoint-missing")
        inside("ip mptcp endpoint flush")
        inside("ip mptcp endpoint add 2001:db8:100::111 signal")
        inside("ip mptcp endpoint add 192.0.2.111 signal")
        self.assert_mended("endpoint-order")
        inside("ip mptcp endpoint add 2001:db8:100::111 port 8443 signal")
        self.assertEqual(["endpoint-v6-port", "endpoint-foreign"], list(self.findings()))
        self.run_mend(self.findings()["endpoint-v6-port"])
        self.assertEqual({}, self.findings())

    def test_more_endpoints_than_the_kernel_takes(self):
        for number in range(20, 28):
            inside(f"ip mptcp endpoint add 192.0.2.{number} subflow")
        self.assertEqual("error", self.findings()["endpoints-too-many"]["severity"])
        for line in self.findings()["endpoint-foreign"]["command"]:
            inside(line)

    def test_what_fix_mends(self):
        self.well()
        inside("ip mptcp limits set subflows 0 add_addr_accepted 0")
        inside("sysctl -qw net.mptcp.pm_type=1 net.ipv4.conf.eth0.rp_filter=1")
        found = self.findings()
        self.assertEqual(["path-manager", "rp-filter", "subflows-zero"], sorted(found))
        self.assertTrue(all(one["fixable"] for one in found.values()))
        self.assertEqual(["sysctl -w net.ipv4.conf.eth0.rp_filter=2"], found["rp-filter"]["command"])
        self.run_mend(found["rp-filter"])
        self.assertEqual(["path-manager", "subflows-zero"], sorted(self.findings()))
        fixed = self.lbctl("--node", "rs1", "doctor", "--fix")
        self.assertEqual((0, ""), (fixed.returncode, fixed.stderr))
        self.assertLess(fixed.stdout.index("error: subflows-zero"), fixed.stdout.index("done: subflows-zero"))
        self.assertIn("done: path-manager: sysctl -w net.mptcp.pm_type=0\n", fixed.stdout)
        self.assertEqual({}, self.findings())
        self.assertIn("nothing that --fix mends", self.lbctl("--node", "rs1", "doctor", "--fix").stdout)
        inside("sysctl -qw net.mptcp.pm_type=1 net.mptcp.allow_join_initial_addr_port=1")
        found = self.findings("--fix")
        self.assertEqual((True, None), (found["path-manager"]["fixed"], found["c-flag"].get("fixed")))
        self.assert_mended("c-flag")

    def test_what_apply_mends(self):
        self.well()
        for command, ident in [("sysctl -qw net.mptcp.enabled=0", "mptcp-disabled"),
                               ("sysctl -qw net.ipv4.conf.all.arp_ignore=0", "arp-ignore"),
                               ("sysctl -qw net.ipv4.conf.all.arp_announce=0", "arp-announce"),
                               ("ip addr del 192.0.2.100/32 dev lo", "vip-missing"),
                               ("ip addr del 192.0.2.111/32 dev lo", "signal-address-missing"),
                               ("nft delete table netdev lbctl", "guard-missing")]:
            inside(command)
            self.assert_mended(ident)

    def test_a_vip_on_a_device_that_answers(self):
        self.well()
        inside("ip addr add 192.0.2.100/32 dev eth0")
        found = self.findings()
        self.assertEqual("error", found["vip-answers"]["severity"])
        self.run_mend(found["vip-answers"])
        self.assertEqual({}, self.findings())

    def test_an_xdp_program_of_somebody_else(self):
        program = os.path.join(os.path.dirname(LBCTL), "../kernel/xdp/quic_steer.bpf.o")
        inside(f"ip link set dev eth0 xdpgeneric object {program} section xdp")
        self.assertIn("xdp-taken", self.findings())
        # One of the two lines fits.
        for line in self.findings()["xdp-taken"]["command"]:
            if line != "lbctl apply":
                inside(line, check=False)
        self.well()
        self.assertEqual({}, self.findings())

    def test_ports_that_two_want(self):
        file = f"{self.state}/port.toml"
        with open(file, "w", encoding="utf-8") as out:
            out.write(PORT_MODE)
        holder = self.hold("mptcp 192.0.2.11 443", "mptcp 0.0.0.0 44301")
        self.assertEqual(1, self.lbctl("--node", "rs1", "apply", file=file).returncode)
        found = self.findings(file=file)
        self.assertRegex(found["listener-endpoint-clash"]["evidence"][0],
                         rf"\(pid {holder.pid}.*\) listens on 0.0.0.0:44301; endpoint 192.0.2.100:44301 needs that port")
        self.release(holder)
        self.assertEqual(0, self.lbctl("--node", "rs1", "apply", file=file).returncode)
        self.hold("mptcp 0.0.0.0 443")
        self.assertEqual({}, self.findings(file=file))

    def test_a_device_that_is_down(self):
        inside("ip link set dev eth0 down")
        found = self.findings()
        self.assertIn("steering-unresolved", found)
        self.run_mend(found["interface-down"])
        self.assertNotIn("interface-down", self.findings())

    def test_the_name_of_the_node(self):
        found = self.findings(node="rs2")["node-name"]
        self.assertIn("takes this node for rs1", found["consequence"])
        inside("ip addr flush dev eth0")
        lost = self.lbctl("-j", "doctor")
        self.assertEqual(1, lost.returncode)
        document = json.loads(lost.stdout)
        self.assertEqual((None, ["node-unknown"]), (document["node"], [one["id"] for one in document["findings"]]))
        self.assertEqual(1, self.lbctl("--node", "rs9", "doctor").returncode)

    def test_without_a_feature_of_the_kernel(self):
        """A mount namespace without sysctls of MPTCP stands for a kernel without it."""
        hidden = subprocess.run(["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /proc/sys/net && exec "$@"', "sh",
                                 *self.words(), "--node", "rs1", "-j", "doctor"], capture_output=True, text=True)
        found = [one["mend"] for one in json.loads(hidden.stdout)["findings"] if one["id"] == "kernel-feature"]
        self.assertEqual([f"boot Linux {one} or newer with it; lbctl needs 6.1" for one in ("5.6", "5.14")], found)

    def test_without_privileges(self):
        bare = subprocess.run(["ip", "netns", "exec", NETNS, "setpriv", "--bounding-set=-all", "--inh-caps=-all",
                               *self.words()[4:], "--node", "rs1", "-j", "doctor"], capture_output=True, text=True)
        self.assertEqual(1, bare.returncode)
        found = {one["id"]: one for one in json.loads(bare.stdout)["findings"]}
        self.assertIn("CAP_NET_ADMIN is missing: every change", found["capability-missing"]["evidence"])


class Director(DoctorCase):
    """A director as far as a kernel without IPVS goes; the lab has the rest. The peer is rs2."""

    def setUp(self):
        super().setUp()
        for old, new in [("192.0.2.11/24", "192.0.2.10/24"), ("2001:db8:100::11/64", "2001:db8:100::10/64 nodad")]:
            inside(f"ip addr del {old} dev eth0")
            inside(f"ip addr add {new} dev eth0")

    def findings(self, *args, **options):
        found = super().findings(*args, node="dir1", **options)
        # Nothing stands yet, so these are about all of it.
        about_apply = ["service-missing", "signal-forward", "vip-missing", "signal-address-missing", "ipvs-nodest",
                       "ipvs-reuse", "ipvs-conntrack", "setting-missing"]
        return {key: value for key, value in found.items() if key not in about_apply}

    def but_for_ipvs(self):
        found = self.findings()
        if not has_ip_vs():
            self.assertIn("modprobe ip_vs", found.pop("ipvs-unread")["mend"])
        return found

    def test_another_host_that_answers(self):
        self.assertEqual({}, self.but_for_ipvs())
        sh(f"ip -n {PEER} addr add 192.0.2.100/32 dev lo")
        other = self.but_for_ipvs()["arp-other-host"]
        self.assertRegex(other["evidence"][0], r"^rs2 \([0-9a-f:]{17}\) answers ARP for 192\.0\.2\.100$")
        self.assertEqual("on rs2: lbctl apply, or lbctl doctor there", other["mend"])
        sh(f"ip netns exec {PEER} sysctl -qw net.ipv4.conf.all.arp_ignore=1")
        self.assertEqual({}, self.but_for_ipvs())

    def test_rules_that_drop_what_is_half(self):
        inside("nft add table inet filter")
        inside("nft add chain inet filter input '{ type filter hook input priority 0; }'")
        inside("nft add chain inet filter forward '{ type filter hook forward priority 0; }'")
        inside("nft add chain inet filter more")
        inside("nft add rule inet filter input jump more")
        for rule in ["input ct state invalid drop", "input ct state invalid log counter reject",
                     "input ct state { invalid, untracked } drop", "input ct state vmap { invalid : drop, new : accept }",
                     "more tcp dport 443 ct state invalid drop", "input ct state invalid,new counter drop"]:
            inside(f"nft add rule inet filter '{rule}'")
            found = self.but_for_ipvs()
            self.assertEqual(["drops-invalid"], list(found), rule)
            self.assertIn("notrack = true in the file for web", found["drops-invalid"]["mend"])
            self.run_mend(found["drops-invalid"])
            self.assertEqual({}, self.but_for_ipvs(), rule)
        for harmless in ["input ct state established,related accept", "input ct state != { invalid } drop",
                         "input ct state vmap { invalid : accept, new : drop }", "input ct state new drop",
                         "forward ct state invalid drop", "input ct state invalid counter"]:
            inside(f"nft add rule inet filter '{harmless}'")
            self.assertEqual({}, self.but_for_ipvs(), harmless)
        inside("nft add rule inet filter input fib saddr . iif oif missing drop")
        reverse = self.but_for_ipvs()["drops-reverse-path"]
        self.assertEqual("doubt", reverse["severity"])
        self.run_mend(reverse)
        self.assertEqual({}, self.but_for_ipvs())


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("skipped: network namespaces need root")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
