"""lbctl on the running kernel, in network namespaces of its own. Exits 77 where it cannot run."""
import fcntl
import json
import os
import re
import subprocess
import sys
import signal
import unittest

from netns import EXAMPLE, NETNS, NodeCase, has_ip_vs, inside, sh


class Node(NodeCase):
    def dump(self):
        """Everything that lbctl may change, without what changes by itself."""
        commands = ["ip -d addr", "ip route show table all", "ip -6 route show table all", "ip rule",
                    "nft list ruleset", "ip mptcp endpoint", "ip mptcp limits",
                    "sysctl -a --pattern '^net'"]
        text = "\n".join(inside(c) for c in commands)
        text = re.sub(r"(valid|preferred)_lft \S+|expires \S+|net\.netfilter\.nf_conntrack_count.*", "", text)
        return text + sh(f"find {self.state}/bpf -mindepth 1")

    def assert_steering_counts(self, vip):
        """A datagram of the peer whose connection ID names rs1 is counted as local."""
        cid = bytes([8, 0, 1]) + bytes(6)
        sh(f"ip -n {NETNS}p route add {vip} via 192.0.2.11")
        # From a second MAC address: rs2's own would say that rs2 has steered it here.
        sh(f"ip -n {NETNS}p link set eth0 address 02:00:00:00:00:77")
        code = (f"import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
                f"s.sendto(bytes([0x40]) + bytes.fromhex('{cid.hex()}') + bytes(30), ('{vip}', 443))")
        subprocess.run(["ip", "netns", "exec", f"{NETNS}p", sys.executable, "-c", code], check=True)
        packets = json.loads(self.lbctl("--node", "rs1", "-j", "status").stdout)["steering"]["packets"]
        self.assertEqual((1, 0), (packets["local"], packets["unroutable"]))

    def look(self):
        """What the usual tools show, without what is new in every namespace."""
        commands = ["ip -d -o address show", "ip route show table all", "nft -s list ruleset", "ip mptcp endpoint",
                    "ip mptcp limits", "sysctl -a --pattern '^net[.](ipv4|ipv6|mptcp)'"]
        text = "\n".join(inside(c) for c in commands)
        return re.sub(r"(?m)^net\.ipv4\.tcp_fastopen_key.*", "", text).splitlines()

    def changes(self, text):
        return [line for line in text.splitlines() if re.match(r"[-+~] ", line)]

    def test_a_real_server_from_nothing_and_back(self):
        before = self.dump()
        planned = self.lbctl("--node", "rs1", "plan", "--detailed-exitcode")
        self.assertEqual(2, planned.returncode, planned.stderr)
        self.assertEqual(before, self.dump(), "plan touches nothing")

        applied = self.lbctl("--node", "rs1", "apply")
        self.assertEqual(0, applied.returncode, applied.stderr)
        self.assertEqual(self.changes(planned.stdout), self.changes(applied.stdout))
        self.assertGreater(len(self.changes(applied.stdout)), 8)

        addresses = inside("ip -o addr show dev lo")
        for address in ["192.0.2.100/32", "192.0.2.111/32", "2001:db8:100::100/128", "2001:db8:100::111/128"]:
            self.assertIn(f" {address} ", addresses)
        self.assertRegex(inside("ip mptcp endpoint"), r"192\.0\.2\.111 id \d+ signal")
        self.assertRegex(inside("ip mptcp endpoint"), r"2001:db8:100::111 id \d+ signal")
        self.assertEqual("0", inside("sysctl -n net.mptcp.allow_join_initial_addr_port").strip())
        self.assertEqual("1", inside("sysctl -n net.ipv4.conf.all.arp_ignore").strip())
        self.assertEqual("2", inside("sysctl -n net.ipv4.conf.all.arp_announce").strip())
        self.assertIn("xdpgeneric", inside("ip -d link show dev eth0"))

        again = self.lbctl("--node", "rs1", "apply")
        self.assertEqual((0, "rs1 (real server): nothing to do: the kernel matches the file\n"),
                         (again.returncode, again.stdout))
        status = json.loads(self.lbctl("--node", "rs1", "-j", "status").stdout)
        self.assertEqual("matches", status["result"])
        peer = json.loads(sh(f"ip -j -n {NETNS}p link show dev eth0"))[0]["address"]
        self.assertEqual([{"id": 1, "local": True}, {"id": 2, "local": False, "mac": peer, "sent": 0}],
                         status["steering"]["servers"])
        self.assert_steering_counts("192.0.2.100")

        down = self.lbctl("down")
        self.assertEqual(0, down.returncode, down.stderr)
        self.assertEqual(before, self.dump())
        self.assertIn("nothing to do", self.lbctl("down").stdout)

    def test_the_commands_of_a_plan_lead_where_apply_leads(self):
        bare = self.look()
        planned = self.lbctl("--node", "rs1", "plan", "--commands")
        self.assertEqual((0, ""), (planned.returncode, planned.stderr))
        self.assertEqual(bare, self.look(), "plan touches nothing")
        typed = subprocess.run(["ip", "netns", "exec", NETNS, "sh", "-eu"], input=planned.stdout,
                               capture_output=True, text=True)
        self.assertEqual((0, ""), (typed.returncode, typed.stderr), planned.stdout)
        by_commands = self.look()
        self.tearDown()
        self.setUp()
        self.assertEqual(0, self.lbctl("--node", "rs1", "apply").returncode)
        self.assertGreater(len(set(self.look()) - set(bare)), 8)
        self.assertEqual(self.look(), by_commands)

    def test_hand_edits_are_seen_and_mended(self):
        self.assertEqual(0, self.lbctl("--node", "rs1", "apply").returncode)
        whole = self.dump()
        inside("ip addr del 192.0.2.100/32 dev lo")
        inside("ip mptcp endpoint flush")
        inside("sysctl -w net.ipv4.conf.all.arp_ignore=0")
        seen = self.lbctl("--node", "rs1", "-j", "status")
        objects = [d["object"] for d in json.loads(seen.stdout)["differences"]]
        self.assertEqual(["net.ipv4.conf.all.arp_ignore", "192.0.2.100/32 dev lo", "endpoint 192.0.2.111",
                          "endpoint 2001:db8:100::111"], objects)
        self.assertEqual(0, self.lbctl("--node", "rs1", "apply").returncode)
        strip = lambda text: re.sub(r"(?m) id \d+", "", text)
        self.assertEqual(sorted(strip(whole).split("\n")), sorted(strip(self.dump()).split("\n")))

    def test_a_foreign_address_in_the_way_is_named_and_nothing_is_touched(self):
        inside("ip addr add 192.0.2.100/32 dev eth0")
        before = self.dump()
        refused = self.lbctl("--node", "rs1", "apply")
        self.assertEqual(1, refused.returncode)
        self.assertIn("address 192.0.2.100/32 dev eth0 is there already, and lbctl did not make it",
                      refused.stderr)
        self.assertEqual(before, self.dump())

    def test_without_ip_vs_a_director_says_so_and_how_to_mend_it(self):
        if has_ip_vs():
            self.skipTest("this kernel has ip_vs, so its absence cannot be shown here")
        before = self.dump()
        for command in ["apply", "plan", "status"]:
            result = self.lbctl("--node", "dir1", command)
            self.assertEqual((1, ""), (result.returncode, result.stdout), command)
            for words in ["IPVS", "modprobe ip_vs", "CONFIG_IP_VS"]:
                self.assertIn(words, result.stderr)
        self.assertEqual(before, self.dump())
        self.assertFalse([f for _, _, files in os.walk(self.state) for f in files if f.startswith("ledger")])

    def test_what_is_not_confirmed_goes_back_by_itself(self):
        before = self.dump()
        applied = self.lbctl("--node", "rs1", "apply", "--confirm", "15s")
        self.assertEqual(0, applied.returncode, applied.stderr)
        self.assertIn("unless you run: lbctl confirm", applied.stderr)
        self.assertNotEqual(before, self.dump())
        self.until(lambda: self.dump() == before)
        self.until(lambda: self.lbctl("confirm").returncode == 1)
        self.assertIn("nothing to do", self.lbctl("down").stdout)

    def test_what_is_confirmed_stays_and_nothing_comes_between(self):
        self.assertEqual(0, self.lbctl("--node", "rs1", "apply", "--confirm", "10m").returncode)
        for command in [["apply"], ["apply", "--confirm", "10m"], ["down"]]:
            refused = self.lbctl("--node", "rs1", *command)
            self.assertEqual((1, ""), (refused.returncode, refused.stdout))
            self.assertRegex(refused.stderr, "waits to be confirmed, .*m.*\n.*lbctl confirm")
        whole = self.dump()
        confirmed = self.lbctl("confirm")
        self.assertEqual(0, confirmed.returncode, confirmed.stderr)
        again = self.lbctl("confirm")
        self.assertEqual(1, again.returncode)
        self.assertIn("no change waits", again.stderr)
        self.assertEqual(whole, self.dump())
        self.assertIn("nothing to do", self.lbctl("--node", "rs1", "apply").stdout)

    def test_it_goes_back_although_the_terminal_is_gone(self):
        before = self.dump()
        # A login shell with lbctl in it, in a session of its own: all of it is killed.
        shell = subprocess.Popen(["sh", "-c", '"$@" && echo applied && sleep 600', "sh", *self.words(),
                                  "--node", "rs1", "apply", "--confirm", "20s"],
                                 stdout=subprocess.PIPE, text=True, start_new_session=True)
        for line in shell.stdout:
            if line == "applied\n":
                break
        else:
            self.fail("apply ended before it was done")
        self.assertNotEqual(before, self.dump())
        os.killpg(shell.pid, signal.SIGHUP)
        os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()
        shell.stdout.close()
        self.until(lambda: self.dump() == before)

    def test_what_stands_already_is_adopted_if_asked_to(self):
        inside("ip addr add 192.0.2.100/32 dev lo")
        inside("ip mptcp endpoint add 192.0.2.111 signal")
        before = self.dump()
        self.assertEqual(1, self.lbctl("--node", "rs1", "apply").returncode)
        adopted = self.lbctl("--node", "rs1", "apply", "--adopt")
        self.assertEqual(0, adopted.returncode, adopted.stderr)
        self.assertIn("address 192.0.2.100/32 dev lo is lbctl's from now on", adopted.stdout)
        self.assertIn("mptcp endpoint 192.0.2.111 is lbctl's from now on", adopted.stdout)
        self.assertIn("nothing to do", self.lbctl("--node", "rs1", "apply").stdout)
        self.assertEqual(0, self.lbctl("down").returncode)
        gone = set(before.splitlines()) - set(self.dump().splitlines())
        self.assertTrue(any("192.0.2.100/32" in line for line in gone), gone)
        self.assertTrue(any("192.0.2.111" in line for line in gone), gone)

    def test_a_service_that_leaves_stays_while_a_connection_uses_its_vip(self):
        self.assertEqual(0, self.lbctl("--node", "rs1", "apply").returncode)
        without = f"{self.state}/without.toml"
        with open(EXAMPLE, encoding="utf-8") as whole, open(without, "w", encoding="utf-8") as file:
            text = whole.read().replace('vip       = ["192.0.2.100", "2001:db8:100::100"]',
                                        'vip       = ["192.0.2.200", "2001:db8:100::200"]')
            file.write(text)
        talk = ("import socket, sys; s = socket.create_server(('192.0.2.100', 443)); "
                "c = socket.create_connection(('192.0.2.100', 443)); p, _ = s.accept(); s.close(); "
                "print('up', flush=True); sys.stdin.read()")
        talker = subprocess.Popen(["ip", "netns", "exec", NETNS, sys.executable, "-c", talk],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.assertEqual("up\n", talker.stdout.readline())
        moved = self.lbctl("--node", "rs1", "apply", file=without)
        self.assertEqual(0, moved.returncode, moved.stderr)
        self.assertRegex(moved.stdout, r"on its way out.*\n(.*\n)*  address 192\.0\.2\.100  2 connections")
        addresses = inside("ip -o addr show dev lo")
        self.assertIn(" 192.0.2.100/32 ", addresses)
        self.assertIn(" 192.0.2.200/32 ", addresses)
        self.assertIn("nothing to do", self.lbctl("--node", "rs1", "apply", file=without).stdout)
        at_once = self.lbctl("--node", "rs1", "plan", "--no-drain", file=without)
        self.assertIn("- address 192.0.2.100/32 dev lo  (not in the file; 2 connections cut off)",
                      at_once.stdout)
        talker.communicate("")

    def test_a_real_server_has_nothing_to_drain(self):
        before = self.dump()
        refused = self.lbctl("--node", "rs1", "drain", "rs1")
        self.assertEqual(1, refused.returncode)
        self.assertIn("rs1 is a real server: drains are a director's", refused.stderr)
        self.assertIn("no server \"rs9\"", self.lbctl("--node", "dir1", "drain", "rs9").stderr)
        self.assertEqual(before, self.dump())

    def test_explain_live_tells_what_becomes_of_packets(self):
        refused = self.lbctl("--node", "rs1", "explain", "--live")
        self.assertEqual(1, refused.returncode)
        self.assertIn("no device runs the XDP program of lbctl", refused.stderr)
        self.assertEqual(0, self.lbctl("--node", "rs1", "apply").returncode)
        director = self.lbctl("--node", "dir1", "explain", "--live")
        self.assertIn("dir1 is a director: real servers steer QUIC", director.stderr)
        before = sh("bpftool prog show | grep -c watch", check=False)
        live = subprocess.Popen([*self.words(), "-j", "--node", "rs1", "explain", "--live", "--count", "4"],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.until(lambda: live.poll() is not None or
                   sh("bpftool prog show | grep -c watch", check=False) != before)
        if live.poll() is not None:
            said = "".join(live.communicate())
            self.assertIn("load the watching program", said)
            print("skipped: this kernel refuses to trace BPF programs; the lab follows packets", flush=True)
            return
        sh(f"ip -n {NETNS}p route add 192.0.2.100 via 192.0.2.11; ip -n {NETNS}p route add 192.0.2.99 via 192.0.2.11")
        rs2 = sh(f"ip -n {NETNS}p -j link show eth0")
        sh(f"ip -n {NETNS}p link set eth0 address 02:00:00:00:00:77")  # not rs2's any more
        headers = ["40080001", "40080002", "40080009", "c00000000109080001"]
        code = ("import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                "s.bind(('192.0.2.12', 51000)); s.sendto(bytes(60), ('192.0.2.99', 443))\n"
                f"for head in {headers}: s.sendto(bytes.fromhex(head) + bytes(60), ('192.0.2.100', 443))")
        subprocess.run(["ip", "netns", "exec", f"{NETNS}p", sys.executable, "-c", code], check=True)
        told, errors = live.communicate(timeout=120)
        self.assertEqual((0, ""), (live.returncode, errors))
        lines = [json.loads(line) for line in told.splitlines()]
        self.assertEqual(["192.0.2.12:51000 -> 192.0.2.100:443/udp"] * 4, [line["flow"] for line in lines])
        self.assertEqual(["passed", "sent", "passed", "passed"], [line["action"] for line in lines])
        self.assertEqual([None, "rs2", None, None], [line.get("server") for line in lines])
        self.assertEqual(json.loads(rs2)[0]["address"], lines[1]["station"])
        for line, why in zip(lines, ["server id 1, rs1: this node", "server id 2, rs2: sent on to",
                                     "server id 9, which no server has", "server id 1, rs1: this node"]):
            self.assertIn(why, line["why"])
        self.assertEqual(["short", "short", "short", "long"], [line["header"] for line in lines])
        self.assertEqual("080001000000000000", lines[3]["cid"])
        self.assertEqual(before, sh("bpftool prog show | grep -c watch", check=False))

    def test_the_second_of_two_is_told_who_holds_the_lock(self):
        self.assertEqual(0, self.lbctl("--node", "rs1", "apply").returncode)
        [netns] = [d for d in os.listdir(self.state) if d.startswith("netns-")]
        with open(f"{self.state}/{netns}/lock", "r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            lock.truncate(0)  # the process ID of an lbctl before us may be longer than ours
            lock.write(str(os.getpid()))
            lock.flush()
            result = self.lbctl("--node", "rs1", "apply")
        self.assertEqual((1, ""), (result.returncode, result.stdout))
        self.assertIn(f"another lbctl (pid {os.getpid()}) is at work", result.stderr)


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("skipped: network namespaces need root")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
