"""`lbctl doctor` on a director: each trap is made, found, mended as it says, and gone. Exits 77 where it cannot run."""
import os
import sys
import unittest

from doctorkit import PEER, DoctorCase, traps
from netns import has_ip_vs, inside, sh


class Director(DoctorCase):
    """A director as far as a kernel without IPVS goes; the lab has the rest. The peer is rs2."""

    node = "dir1"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for old, new in [("192.0.2.11/24", "192.0.2.10/24"), ("2001:db8:100::11/64", "2001:db8:100::10/64 nodad")]:
            inside(f"ip addr del {old} dev eth0")
            inside(f"ip addr add {new} dev eth0")

    def all_findings(self, **options):
        # Nothing stands yet, so these are about all of it.
        about_apply = ["service-missing", "signal-forward", "vip-missing", "signal-address-missing", "ipvs-nodest",
                       "ipvs-reuse", "ipvs-conntrack", "setting-missing"]
        found = [one for one in super().all_findings(**options) if one["id"] not in about_apply]
        if not has_ip_vs():
            self.assertEqual(["modprobe ip_vs (kernel option CONFIG_IP_VS)"],
                             [one["mend"] for one in found if one["id"] == "ipvs-unread"])
        return [one for one in found if one["id"] != "ipvs-unread"]

    @traps("arp-other-host", "ndp-other-host", "mtu-smaller", "mtu-peer")
    def test_the_segment(self):
        self.assertEqual({}, self.findings())
        sh(f"ip -n {PEER} addr add 192.0.2.100/32 dev lo; ip -n {PEER} addr add 2001:db8:100::100/128 dev eth0 nodad")
        sh(f"ip -n {PEER} link set dev eth0 mtu 1400")
        inside("ip link add eth1 type veth peer name eth2")
        inside("ip link set eth2 up")
        inside("ip link set eth1 addrgenmode none up mtu 9000")
        inside("ip addr add fe80::20/64 dev eth1 nodad")
        file = self.variant(('# client_interfaces = ["eth1"] ', 'client_interfaces = ["eth0", "eth1"] #'))
        found = self.findings(file=file)
        self.assertEqual({"arp-other-host", "ndp-other-host", "mtu-smaller", "mtu-peer"}, set(found))
        for ident, what in [("arp", r"ARP for 192\.0\.2\.100"),
                            ("ndp", "neighbour solicitations for 2001:db8:100::100")]:
            other = found[f"{ident}-other-host"]
            self.assertRegex(other["evidence"][0], rf"^rs2 \([0-9a-f:]{{17}}\) answers {what}$")
            self.assertEqual("on rs2: lbctl apply, or lbctl doctor there", other["mend"])
        # The question has told rs2 nothing but where the asker is.
        neighbours = sh(f"ip -n {PEER} -6 neigh")
        self.assertNotIn("::100", neighbours)
        # There: what arp-ignore and vip-answers say.
        sh(f"ip netns exec {PEER} sysctl -qw net.ipv4.conf.all.arp_ignore=1")
        sh(f"ip -n {PEER} address delete 2001:db8:100::100/128 dev eth0")
        sh(f"ip netns exec {PEER} {found['mtu-peer']['mend'].split(': ')[1].split(';')[0]}")
        self.assertEqual(["mtu-smaller"], list(self.findings(file=file)))
        inside("ip link set dev eth1 mtu 1500")
        self.assertEqual({}, self.findings(file=file))
        inside("ip link del eth1")

    @traps("segment-unread")
    def test_a_segment_that_cannot_be_asked(self):
        inside("ip addr flush dev eth0 scope link")
        inside("ip addr del 2001:db8:100::10/64 dev eth0")
        found = self.findings()["segment-unread"]
        self.assertEqual(["eth0 has no IPv6 address of its own to ask from"], found["evidence"])
        self.assertEqual("give eth0 a link-local address", found["mend"])
        inside("ip addr add fe80::10/64 dev eth0 nodad")
        inside("ip addr add 2001:db8:100::10/64 dev eth0 nodad")
        self.assertEqual({}, self.findings())

    @traps("drops-invalid", "drops-reverse-path")
    def test_rules_that_drop_what_is_half(self):
        inside("nft add table inet filter")
        inside("nft add chain inet filter input '{ type filter hook input priority 0; }'")
        inside("nft add chain inet filter forward '{ type filter hook forward priority 0; }'")
        inside("nft add chain inet filter more")
        inside("nft add rule inet filter input jump more")
        for harmless in ["input ct state established,related accept", "input ct state != { invalid } drop",
                         "input ct state vmap { invalid : accept, new : drop }", "input ct state new drop",
                         "forward ct state invalid drop", "input ct state invalid counter"]:
            inside(f"nft add rule inet filter '{harmless}'")
        self.assertEqual({}, self.findings())
        rules = ["input ct state invalid drop", "input ct state invalid log counter reject",
                 "input ct state { invalid, untracked } drop", "input ct state vmap { invalid : drop, new : accept }",
                 "more tcp dport 443 ct state invalid drop", "input ct state invalid,new counter drop"]
        deletions = set()
        for rule in rules:
            handle = inside(f"nft -e -a add rule inet filter '{rule}'").split("# handle ")[1].split()[0]
            deletions.add(f"nft delete rule inet filter {rule.split()[0]} handle {handle}")
        inside("nft add rule inet filter input fib saddr . iif oif missing drop")
        found = self.all_findings()
        invalid = [one for one in found if one["id"] == "drops-invalid"]
        self.assertEqual(deletions, {one["command"][0] for one in invalid})
        self.assertIn("notrack = true in the file for web", invalid[0]["mend"])
        reverse = [one for one in found if one["id"] == "drops-reverse-path"]
        self.assertEqual(["doubt"], [one["severity"] for one in reverse])
        self.assertEqual(len(invalid) + 1, len(found), found)
        self.assert_mended(*invalid, *reverse)
        inside("nft delete table inet filter")


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("skipped: network namespaces need root")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
