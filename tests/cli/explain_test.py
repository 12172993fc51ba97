"""`lbctl explain --cid`, and how `explain` is misused: what needs no kernel."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

LBCTL, SOURCE = sys.argv[1], sys.argv[2]
OLD = 'cid = { scheme = "quic-lb", config = 0, id_length = 2, nonce_length = 6 }'
TWO = 'cid = [ { scheme = "quic-lb", config = 1, nonce_length = 8 }, { scheme = "quic-lb", config = 0 } ]'


def run(*args, text=None):
    return subprocess.run([LBCTL, *args], input=text, capture_output=True, text=True)


class Explain(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        with open(f"{SOURCE}/etc/lbctl.toml", encoding="utf-8") as file:
            text = file.read()
        self.assertIn(OLD, text)
        self.path = self.write(text.replace(OLD, TWO))
        self.drops = self.write(text.replace(OLD, 'unknown = "drop"\n' + OLD), "drops.toml")

    def write(self, text, name="lbctl.toml"):
        path = os.path.join(self.folder.name, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def test_the_slot_that_fits_decides_and_the_others_are_told_why_not(self):
        said = run("-f", self.path, "explain", "--cid", "080002a1a2a3a4a5a6")
        self.assertEqual((0, ""), (said.returncode, said.stderr))
        self.assertEqual("service web: rs2\n"
                         "  layout 1: quic-lb config 1 id 2 nonce 8 octets: does not fit: it has 9 octets, not 11\n"
                         "  layout 2: quic-lb config 0 id 2 nonce 6 octets: server id 2, which is rs2\n", said.stdout)
        said = run("-f", self.path, "explain", "--cid", "280001a1a2a3a4a5a6a7a8")
        self.assertIn("layout 2: quic-lb config 0 id 2 nonce 6 octets: not asked: layout 1 decides\n", said.stdout)

    def test_in_json(self):
        document = json.loads(run("-f", self.path, "-j", "explain", "--cid", "080002a1a2a3a4a5a6").stdout)
        self.assertEqual((1, "explain", "080002a1a2a3a4a5a6"),
                         (document["schema_version"], document["command"], document["cid"]))
        web, = document["services"]
        self.assertEqual(("web", "known_id", "rs2", 2), (web["service"], web["result"], web["server"], web["layout"]))
        self.assertEqual([(1, False, "it has 9 octets, not 11", None), (2, True, None, "2")],
                         [(one["layout"], one["fits"], one.get("why"), one.get("id")) for one in web["layouts"]])

    def test_what_names_nobody(self):
        for cid, result in [("080909a1a2a3a4a5a6", "unknown_id"), ("080000a1a2a3a4a5a6", "unknown_id"),
                            ("e80002a1a2a3a4a5a6", "unroutable"), ("08", "unroutable")]:
            said = run("-f", self.path, "-j", "explain", "--cid", cid)
            self.assertEqual(0, said.returncode, cid)
            web, = json.loads(said.stdout)["services"]
            self.assertEqual((result, None), (web["result"], web.get("server")), cid)
        for path, fate in [(self.path, "where IPVS sends it"), (self.drops, "dropped")]:
            said = run("-f", path, "explain", "--cid", "080909a1a2a3a4a5a6")
            self.assertTrue(said.stdout.startswith(f"service web: no server; {fate}\n"), said.stdout)

    def test_by_one_service_only(self):
        self.assertEqual(0, run("-f", self.path, "explain", "--cid", "08", "--service", "web").returncode)
        said = run("-f", self.path, "explain", "--cid", "08", "--service", "nobody")
        self.assertEqual(1, said.returncode)
        self.assertIn('no service "nobody" with quic', said.stderr)

    def test_misuse(self):
        flow = "198.51.100.7:51000 -> 192.0.2.100:443/udp"
        for arguments, status, words in [([], 64, "--cid"), (["x"], 64, '"x" is no flow'),
                                         ([flow.replace(" -> ", " ")[:-4]], 64, "is no flow"),
                                         ([flow, "--service", "web"], 64, "--service"),
                                         (["--cid", "0g"], 1, '"0g"'), (["--cid"], 64, "--cid")]:
            said = run("-f", self.path, "explain", *arguments)
            self.assertEqual((status, ""), (said.returncode, said.stdout), arguments)
            self.assertIn(words, said.stderr)
        wrong = run("-f", "-", "explain", "--cid", "08", text="[cluster]\nnmae = 3\n")
        self.assertEqual((3, ""), (wrong.returncode, wrong.stdout))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
