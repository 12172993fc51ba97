"""`lbctl doctor` on a real server: each trap is made, found, mended as it says, and gone. Exits 77 where it cannot run."""
import json
import os
import re
import signal
import subprocess
import sys
import unittest

from doctorkit import PEER, WELL, DoctorCase, traps
from netns import EXAMPLE, LBCTL, NETNS, inside, sh

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

# Answers as no daemon does, and does not stop.
BABBLER = """
import socket
server = socket.create_server(("192.0.2.12", 9476))
print("up", flush=True)
while True:
    with server.accept()[0] as client:
        client.recv(1000)
        try:
            client.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 99999999999999\\r\\n\\r\\n")
            while True:
                client.sendall(b'lbctl_config_hash{hash="\\xff' + b"x" * 100000)
        except OSError:
            pass
"""


class Server(DoctorCase):
    def setUp(self):
        super().setUp()
        self.holder = self.well()

    def test_a_node_that_is_well(self):
        document = self.document([*self.words(), "--node", "rs1"])
        self.assertEqual((1, "doctor", "rs1", "real server", "clean"),
                         tuple(document[key] for key in ["schema_version", "command", "node", "role", "result"]))
        self.assertEqual({}, self.findings())
        self.assertEqual(["yes"] * 3 + ["elsewhere"] * 2, [line["tick"] for line in document["checklist"]])
        text = self.lbctl("--node", "rs1", "doctor")
        self.assertEqual((0, ""), (text.returncode, text.stderr))
        self.assertIn("  [x] Frontend, application: MPTCP is enabled", text.stdout)

    @traps("listener-missing", "listener-plain-tcp", "listener-vip-only", "listener-udp-wildcard")
    def test_listeners(self):
        self.release(self.holder)
        missing = self.only("listener-missing")
        self.assertIn("no tcp socket takes 192.0.2.100:443 (service web)", missing["evidence"])
        self.assertIn("no udp socket takes [2001:db8:100::100]:443 (service web)", missing["evidence"])
        self.assertIsNone(missing["command"])

        holder = self.hold("tcp :: 443", "udp :: 443")
        found = self.findings()
        self.assertEqual(["listener-plain-tcp", "listener-udp-wildcard"], list(found))
        plain = found["listener-plain-tcp"]
        self.assertEqual(["error", "warning"], [one["severity"] for one in found.values()])
        # `ip netns exec` becomes what it runs, and keeps its number.
        name = os.path.basename(sys.executable)[:15]
        self.assertIn(f"{name} (pid {holder.pid}", plain["evidence"][0])
        self.assertIn("listens on [::]:443 by plain TCP", plain["evidence"][0])
        self.assertIn("mptcpize", plain["mend"])
        text = self.lbctl("--node", "rs1", "doctor")
        self.assertEqual(1, text.returncode)
        self.assertRegex(text.stdout, r"error: listener-plain-tcp\n  seen   .*\n(  seen .*\n)*  means  .*\n  mend   ")
        self.assertIn("  [ ] Frontend, application: MPTCP is enabled", text.stdout)
        self.release(holder)

        holder = self.hold("mptcp 192.0.2.100 443", "mptcp 2001:db8:100::100 443", "udp :: 443 pktinfo")
        self.assertIn("192.0.2.111:443", self.only("listener-vip-only")["evidence"][0])
        self.release(holder)
        self.hold(*WELL)
        self.assertEqual({}, self.findings())

    @traps("mptcp-disabled", "c-flag", "arp-ignore", "arp-announce", "vip-missing", "signal-address-missing",
           "endpoint-missing", "endpoint-backup", "guard-missing", "limits-differ",
           "sysctl-differs", "steering-missing", "left-over")
    def test_what_apply_mends(self):
        more = ("\n[services.more]\nvip = [\"192.0.2.101\"]\nports = [443]\nprotocols = [\"tcp\"]\n"
                "[mptcp]\nsubflows = 3\nstale_loss_cnt = 5\n")
        file = self.variant(('# [mptcp]\n', more + "# [mptcp]\n"))
        self.apply(file)
        self.assertEqual({}, self.findings(file=file))
        ids = [line.split(" id ")[1].split()[0] for line in inside("ip mptcp endpoint show").splitlines()]
        for command in ["sysctl -qw net.mptcp.enabled=0 net.mptcp.allow_join_initial_addr_port=1 "
                        "net.mptcp.stale_loss_cnt=4 net.ipv4.conf.all.arp_ignore=0 net.ipv4.conf.all.arp_announce=0",
                        "ip mptcp limits set subflows 5 add_addr_accepted 0",
                        f"ip mptcp endpoint change id {ids[0]} backup", f"ip mptcp endpoint delete id {ids[1]}",
                        "nft delete table netdev lbctl", f"find {self.state}/bpf -name 'link*' -delete",
                        "ip addr del 192.0.2.100/32 dev lo", "ip addr del 192.0.2.111/32 dev lo"]:
            inside(command)
        found = self.findings(file=file)
        self.assertEqual({"lbctl apply does it"}, {one["mend"] for one in found.values()}, json.dumps(found, indent=1))
        self.assertEqual(12, len(found), list(found))
        self.assertEqual(["lbctl apply"], found["c-flag"]["command"])
        self.run_mends(*found.values(), file=file)
        self.assertEqual({}, self.findings(file=file))
        found = self.findings()
        self.assertEqual(["left-over", "sysctl-differs", "limits-differ"], list(found))
        self.assertIn("192.0.2.101", found["left-over"]["evidence"][0])
        self.assert_mended(*found.values())

    @traps("endpoint-foreign", "endpoint-v6-port", "endpoint-order", "endpoints-too-many", "endpoint-missing")
    def test_endpoints(self):
        inside("ip mptcp endpoint add 192.0.2.11 subflow")
        inside("ip mptcp endpoint add 2001:db8:100::111 port 8443 signal")
        found = self.all_findings()
        self.assertEqual(["endpoint-v6-port", "endpoint-foreign", "endpoint-foreign"], [one["id"] for one in found])
        self.assertIn("endpoint 192.0.2.11 subflow is not lbctl's", [one["evidence"][0] for one in found])
        self.assert_mended(*found)
        inside("ip mptcp endpoint flush")
        inside("ip mptcp endpoint add 2001:db8:100::111 signal")
        inside("ip mptcp endpoint add 192.0.2.111 signal")
        self.assert_mended(self.only("endpoint-order"))
        inside("ip mptcp endpoint flush")
        for number in range(20, 28):
            inside(f"ip mptcp endpoint add 192.0.2.{number} subflow")
        found = self.all_findings()
        self.assertEqual({"endpoints-too-many": "error", "endpoint-foreign": "warning", "endpoint-missing": "error"},
                         {one["id"]: one["severity"] for one in found})
        self.run_mends(*(one for one in found if one["id"] == "endpoint-foreign"))
        self.assert_mended(self.only("endpoint-missing"))

    @traps("foreign-in-the-way")
    def test_what_apply_refuses(self):
        file = self.variant(('"192.0.2.111"', '"192.0.2.119"'))
        inside("ip mptcp endpoint add 192.0.2.119 subflow")
        found = self.findings(file=file)["foreign-in-the-way"]
        self.assertIn("remove it (ip mptcp endpoint delete)", found["mend"])
        number = re.search(r"192\.0\.2\.119 id (\d+)", inside("ip mptcp endpoint show"))[1]
        inside(f"ip mptcp endpoint delete id {number}")
        self.assertNotIn("foreign-in-the-way", self.findings(file=file))
        self.assertEqual({}, self.findings())

    @traps("subflows-zero", "path-manager", "rp-filter", "c-flag")
    def test_what_fix_mends(self):
        inside("ip mptcp limits set subflows 0 add_addr_accepted 0")
        inside("sysctl -qw net.mptcp.pm_type=1 net.ipv4.conf.eth0.rp_filter=1")
        found = self.findings()
        self.assertEqual(["path-manager", "rp-filter", "subflows-zero"], sorted(found))
        self.assertTrue(all(one["fixable"] for one in found.values()))
        self.assertEqual(["sysctl -w net.ipv4.conf.eth0.rp_filter=2"], found["rp-filter"]["command"])
        self.run_mends(found["rp-filter"])
        fixed = self.lbctl("--node", "rs1", "doctor", "--fix")
        self.assertEqual((0, ""), (fixed.returncode, fixed.stderr))
        self.assertNotIn("rp-filter", fixed.stdout)
        self.assertLess(fixed.stdout.index("error: subflows-zero"), fixed.stdout.index("done: subflows-zero"))
        self.assertIn("done: path-manager: sysctl -w net.mptcp.pm_type=0\n", fixed.stdout)
        self.assertIn("nothing that --fix mends", self.lbctl("--node", "rs1", "doctor", "--fix").stdout)
        inside("sysctl -qw net.mptcp.pm_type=1 net.mptcp.allow_join_initial_addr_port=1")
        found = {one["id"]: one for one in
                 json.loads(self.lbctl("--node", "rs1", "-j", "doctor", "--fix").stdout)["findings"]}
        self.assertEqual((True, None), (found["path-manager"]["fixed"], found["c-flag"].get("fixed")))
        self.assert_mended(self.only("c-flag"))
        # As if typed: `down` leaves what --fix has set.
        inside("ip mptcp limits set subflows 0 add_addr_accepted 0")
        self.lbctl("--node", "rs1", "doctor", "--fix")
        self.assertEqual(0, self.lbctl("--node", "rs1", "down").returncode)
        self.assertIn("subflows 2", inside("ip mptcp limits show"))
        self.apply()

    @traps("vip-answers")
    def test_a_vip_on_a_device_that_answers(self):
        inside("ip addr add 192.0.2.100/32 dev eth0")
        found = self.findings()
        self.assertEqual("error", found["vip-answers"]["severity"])
        self.assert_mended(found["vip-answers"])

    def without_steering(self):
        """Its pins are gone, and the program with them."""
        inside(f"find {self.state}/bpf -name 'link*' -delete")

    @traps("xdp-taken", "xdp-native-veth", "xdp-mtu", "mtu-peer", "steering-missing")
    def test_xdp(self):
        program = os.path.join(os.path.dirname(LBCTL), "../kernel/xdp/quic_steer.bpf.o")
        self.without_steering()
        inside(f"ip link set dev eth0 xdpgeneric object {program} section xdp")
        taken = self.findings()["xdp-taken"]
        # One of the two lines fits.
        for line in taken["command"]:
            if line != "lbctl apply":
                inside(line, check=False)

        native = self.variant(('# steer   = "l2" ', 'xdp_mode = "native" #'))
        inside("ip link set dev eth0 mtu 9000")
        found = self.findings(file=native)
        self.assertEqual(["xdp-mtu", "steering-missing", "mtu-peer", "xdp-native-veth"],
                         [one for one in found if one != "xdp-taken"])
        self.assertEqual(["rs2 (192.0.2.12) answers a short ping and none of 9000 octets, the MTU of eth0"],
                         found["mtu-peer"]["evidence"])
        self.run_mends(found["xdp-mtu"])
        # "On rs2", and "write xdp_mode = "generic" in the file, then lbctl apply".
        found = self.findings(file=native)
        sh(f"ip netns exec {PEER} {found['mtu-peer']['mend'].split(': ')[1].split(';')[0]}")
        self.assertNotIn("xdp-mtu", found)
        self.run_mends(found["steering-missing"], file=self.variant(('# steer   = "l2" ', 'xdp_mode = "generic" #')))
        self.assertEqual({}, self.findings())
        for prefix in [f"ip -n {NETNS}", f"ip -n {PEER}"]:
            sh(f"{prefix} link set dev eth0 mtu 1500")

    @traps("listener-endpoint-clash", "endpoint-port-clash")
    def test_ports_that_two_want(self):
        self.release(self.holder)
        inside("ip mptcp endpoint add 192.0.2.11 port 443 signal")
        clash = self.findings()["endpoint-port-clash"]
        self.assertEqual("error", clash["severity"])
        self.run_mends(clash)
        self.assertEqual(["listener-missing"], list(self.findings()))
        self.assertEqual(0, self.lbctl("--node", "rs1", "down").returncode)

        file = self.file(PORT_MODE)
        holder = self.hold("mptcp 192.0.2.11 443", "mptcp 0.0.0.0 44301")
        self.assertEqual(1, self.lbctl("--node", "rs1", "apply", file=file).returncode)
        found = self.findings(file=file)
        self.assertRegex(found["listener-endpoint-clash"]["evidence"][0],
                         rf"\(pid {holder.pid}.*\) listens on 0.0.0.0:44301; endpoint 192.0.2.100:44301 needs that port")
        self.release(holder)
        self.apply(file)
        holder = self.hold("mptcp 0.0.0.0 443")
        self.assertEqual({}, self.findings(file=file))
        self.assertEqual(0, self.lbctl("--node", "rs1", "down", file=file).returncode)

    @traps("interface-down", "steering-unresolved")
    def test_a_device_that_is_down(self):
        inside("ip link set dev eth0 down")
        found = self.findings()
        self.assertIn("steering-unresolved", found)
        self.run_mends(found["interface-down"])
        # The kernel takes IPv6 addresses from a device that goes down.
        inside("ip addr add fe80::11/64 dev eth0 nodad")
        inside("ip addr add 2001:db8:100::11/64 dev eth0 nodad")
        self.apply()
        self.assertEqual({}, self.findings())

    @traps("node-name", "node-unknown", "kernel-feature", "setting-missing", "capability-missing", "nftables-unread",
           "steering-unread")
    def test_what_the_machine_lacks(self):
        words = [*self.words(), "--node", "rs1"]
        lost = self.document(["unshare", "-n", *self.words()[4:]])
        self.assertEqual((None, ["node-unknown"]), (lost["node"], [one["id"] for one in lost["findings"]]))
        self.assertEqual(1, self.lbctl("--node", "rs9", "doctor").returncode)

        name = self.findings(node="rs2")["node-name"]
        self.assertIn("takes this node for rs1", name["consequence"])
        self.assertEqual(["hostnamectl set-hostname rs2"], name["command"])
        renamed = self.document(["unshare", "-u", "sh", "-c", 'hostname rs2 && exec "$@"', "sh", *self.words(),
                                 "--node", "rs2"])
        self.assertNotIn("node-name", [one["id"] for one in renamed["findings"]])

        # A mount namespace without sysctls stands for a kernel without MPTCP.
        hidden = self.document(["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /proc/sys/net && exec "$@"', "sh",
                                *words])
        found = [one["mend"] for one in hidden["findings"] if one["id"] == "kernel-feature"]
        self.assertEqual([f"boot Linux {one} or newer with it; lbctl needs 6.1" for one in ("5.6", "5.14")], found)

        bare = self.document([*words[:4], "setpriv", "--bounding-set=-all", "--inh-caps=-all", *words[4:]])
        found = {one["id"]: one for one in bare["findings"]}
        self.assertIn("CAP_NET_ADMIN is missing: every change", found["capability-missing"]["evidence"])

        # `ip netns exec` hides /sys/fs/bpf, and what is mounted in it goes with it.
        nowhere = [LBCTL, "-f", EXAMPLE, "--state-dir", f"{self.state}/nowhere", "--node", "rs1"]
        unread = self.document([*words[:4], *nowhere])["findings"][0]
        self.assertEqual("steering-unread", unread["id"])
        there = self.document([*words[:4], "sh", "-c", f'{unread["mend"]} && exec "$@"', "sh", *nowhere])["findings"]
        self.assertNotIn("steering-unread", [one["id"] for one in there])
        self.assertEqual({}, self.findings())

    @traps("unit-plain-tcp")
    def test_a_unit_without_its_drop_in(self):
        file = self.variant(('# mptcpize = ["nginx.service"]', 'mptcpize = ["web.service"]'))
        look, apply = ([*self.words(file)[4:], "--node", "rs1", *more] for more in ([], ["apply"]))
        script = ("mount -t tmpfs none /etc/systemd/system; printf '[Service]\\nExecStart=/bin/true\\n' "
                  f"> /etc/systemd/system/web.service; {' '.join(look)} -j doctor; {' '.join(apply)} >&2; "
                  f"{' '.join(look)} -j doctor; {' '.join(apply[:-1])} down >&2")
        done = subprocess.run(["ip", "netns", "exec", NETNS, "unshare", "-m", "sh", "-c", script],
                              capture_output=True, text=True)
        decoder = json.JSONDecoder()
        first, end = decoder.raw_decode(done.stdout)
        second = json.loads(done.stdout[end:])
        self.seen |= {one["id"] for one in first["findings"]}
        self.last = {one["id"] for one in second["findings"]}
        self.assertNotIn("units-unread", self.last, done.stderr)

    @traps("peer-differs", "peer-key-differs")
    def test_peers_that_differ(self):
        here, there = ("00112233445566778899aabbccddeeff", "ffeeddccbbaa99887766554433221100")
        keys = {name: self.file(text, f"{name}.key") for name, text in [("cid", here), ("there", there)]}
        for path in keys.values():
            os.chmod(path, 0o600)
        changes = [("# [daemon]\n# metrics = \"127.0.0.1:9476\"      # Prometheus, and /healthz; or \"off\"\n",
                    '[daemon]\nmetrics = "0.0.0.0:9476"\n'),
                   ("nonce_length = 6 }", f'nonce_length = 6, key_file = "{keys["cid"]}" }}')]
        mine, theirs = self.variant(*changes), self.variant(*changes, ("edge-ams", "edge-fra"), name="theirs.toml")
        self.apply(mine)
        self.assertEqual({}, self.findings(file=mine))  # nobody is there
        os.makedirs(f"{self.state}/peer/bpf")
        # What the peer's key file holds is another key.
        script = (f"mount -t bpf bpf {self.state}/peer/bpf && mount --bind {keys['there']} {keys['cid']} && "
                  f"exec {LBCTL} -f {theirs} --state-dir {self.state}/peer --node rs2 daemon")
        daemon = subprocess.Popen(["ip", "netns", "exec", PEER, "sh", "-c", script], stderr=subprocess.DEVNULL)
        try:
            self.until(lambda: "peer-differs" in self.findings(file=mine))
            found = self.only("peer-differs", file=mine)
            self.assertRegex(found["evidence"][0], r"^the daemon of rs2 runs by a file with hash [0-9a-f]{16} "
                             r"\(http://192.0.2.12:9476/metrics\), this one has [0-9a-f]{16}$")
            self.assertIn("systemctl reload lbctl on rs2", found["mend"])
            self.variant(*changes, name="theirs.toml")
            daemon.send_signal(signal.SIGHUP)  # systemctl reload lbctl
            self.until(lambda: "peer-differs" not in self.findings(file=mine))
            found = self.only("peer-key-differs", file=mine)
            self.assertIn("192.0.2.100:443, scheme 1: rs2 has a key with check ", found["evidence"][0])
            self.assertNotIn(there[:8], json.dumps(found))
            self.file(here, "there.key")
            daemon.send_signal(signal.SIGHUP)
            self.until(lambda: self.findings(file=mine) == {})
        finally:
            daemon.terminate()
            daemon.wait()
        sh(f"ip netns exec {PEER} ip link set dev eth0 xdpgeneric off", check=False)
        babbler = subprocess.Popen(["ip", "netns", "exec", PEER, sys.executable, "-c", BABBLER], stdout=subprocess.PIPE)
        babbler.stdout.readline()
        self.assertEqual({}, self.findings(file=mine))
        babbler.kill()
        babbler.communicate()


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("skipped: network namespaces need root")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
