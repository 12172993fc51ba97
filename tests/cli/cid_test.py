"""`lbctl cid`: connection IDs by hand, and keys that are never shown."""
import json
import os
import subprocess
import sys
import tempfile
import tomllib
import unittest

LBCTL, SOURCE = sys.argv[1], sys.argv[2]
KEY = "8f95f09245765f80256934e50c66207f"


def run(*args):
    return subprocess.run([LBCTL, *args], capture_output=True, text=True)


def vectors():
    with open(f"{SOURCE}/tests/data/quic-lb-vectors.toml", "rb") as file:
        data = tomllib.load(file)
    return data["plaintext"] + data["encrypted"]


class Cid(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def key_file(self, key, mode=0o600):
        path = os.path.join(self.folder.name, key)
        with open(path, "w", encoding="ascii") as file:
            file.write(key + "\n")
        os.chmod(path, mode)
        return path

    def layout(self, vector):
        key = f', key_file = "{self.key_file(vector["key"])}"' if "key" in vector else ""
        return (f'{{ scheme = "quic-lb", config = {vector["config"]}, id_length = {len(vector["server_id"]) // 2}, '
                f'nonce_length = {len(vector["nonce"]) // 2}{key} }}')

    def test_every_vector_both_ways(self):
        self.assertEqual(7, len(vectors()))
        for vector in vectors():
            layout = self.layout(vector)
            read = run("-j", "cid", "decode", vector["cid"], "--layout", layout)
            self.assertEqual(0, read.returncode, read.stderr)
            id_read = json.loads(read.stdout)["id"]
            self.assertEqual(int(vector["server_id"], 16), int(id_read, 0))
            nonce = "00" + vector["server_id"] + vector["nonce"]
            made = run("cid", "encode", nonce, "--id", "0x" + vector["server_id"], "--layout", layout)
            self.assertEqual(vector["cid"][2:] + "\n", made.stdout[2:], made.stderr)

    def file(self, cid):
        path = os.path.join(self.folder.name, "lbctl.toml")
        with open(f"{SOURCE}/etc/lbctl.toml", encoding="utf-8") as file:
            text = file.read()
        old = 'cid = { scheme = "quic-lb", config = 0, id_length = 2, nonce_length = 6 }'
        self.assertIn(old, text)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace(old, "cid = " + cid))
        return path

    def test_a_service_tells_the_server_and_the_layout(self):
        path = self.file('[ { scheme = "quic-lb", config = 0, nonce_length = 8 }, '
                         f'{{ scheme = "quic-lb", config = 1, key_file = "{self.key_file(KEY)}" }} ]')
        made = run("-f", path, "cid", "encode", "--service", "web", "--id", "rs2")
        self.assertEqual(0, made.returncode, made.stderr)
        self.assertEqual(2, len(made.stdout.split()))
        for number, cid in enumerate(made.stdout.split(), 1):
            read = json.loads(run("-f", path, "-j", "cid", "decode", cid, "--service", "web").stdout)
            self.assertEqual(("known_id", number, "rs2"), (read["result"], read["layout"], read["server"]))
        text = run("-f", path, "cid", "decode", "e" + made.stdout[1:22], "--service", "web").stdout
        self.assertEqual("unroutable: it fits no layout\n", text)
        text = run("-f", path, "cid", "decode", "00ffff0102030405060708", "--service", "web").stdout
        self.assertEqual("layout 1: quic-lb config 0 id 2 nonce 8 octets\nserver id 65535: no server has it\n", text)

    def test_presets_are_layouts(self):
        presets = json.loads(run("-j", "cid", "presets").stdout)["presets"]
        self.assertGreater(len(presets), 5)
        for preset in presets:
            layout = preset["cid"].replace("/etc/lbctl/cid.key", self.key_file(KEY))
            server = "192.0.2.7" if "dpvs" in layout else "7"
            made = run("cid", "encode", "--id", server, "--layout", layout)
            self.assertEqual(0, made.returncode, (preset, made.stderr))
            self.assertRegex(made.stdout, "^[0-9a-f]+\n$")

    def test_a_key_is_never_shown_and_an_open_file_refused(self):
        layout = f'{{ scheme = "quic-lb", key_file = "{self.key_file(KEY, 0o644)}" }}'
        refused = run("cid", "encode", "--id", "5", "--layout", layout)
        self.assertEqual(1, refused.returncode)
        self.assertIn("others may read it (mode 0644)", refused.stderr)
        os.chmod(self.key_file(KEY), 0o600)
        path = os.path.join(self.folder.name, "k")
        os.rename(self.key_file(KEY), path)
        layout = f'{{ scheme = "quic-lb", nonce_length = 14, key_file = "{path}" }}'
        cid = run("cid", "encode", "--id", "5", "--layout", layout).stdout.strip()
        text = run("cid", "decode", cid, "--layout", layout).stdout
        self.assertIn("(key check d59d5b)", text)
        self.assertIn("server id 5\n", text)
        self.assertNotIn(KEY[:8], text)

    def test_what_is_wrong_is_said(self):
        for arguments, words in [(["decode", "00"], "--service"), (["decode", "0g", "--layout", '{scheme="msquic"}'], "0g"),
                                 (["encode", "--layout", '{scheme="msquic"}'], "--id"),
                                 (["encode", "--id", "0", "--layout", '{scheme="msquic"}'], '"0"'),
                                 (["encode", "--id", "65536", "--layout", '{scheme="quic-lb"}'], "65536")]:
            said = run("cid", *arguments)
            self.assertEqual(1, said.returncode, arguments)
            self.assertIn(words, said.stderr)
        wrong = run("cid", "decode", "00", "--layout", '{ scheme = "quic" }')
        self.assertEqual(3, wrong.returncode)
        self.assertIn('unknown scheme "quic"', wrong.stderr)
        self.assertEqual(64, run("cid", "guess").returncode)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
