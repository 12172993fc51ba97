"""Exit status and texts that need no privilege."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

LBCTL, SOURCE = sys.argv[1], sys.argv[2]
EXAMPLE = f"{SOURCE}/etc/lbctl.toml"


def run(*args, text=None):
    return subprocess.run([LBCTL, *args], input=text, capture_output=True, text=True)


class Usage(unittest.TestCase):
    def test_a_wrong_command_line_is_64(self):
        for args in [[], ["frobnicate"], ["apply", "--frobnicate"], ["check", "-f"]]:
            result = run(*args)
            self.assertEqual((64, ""), (result.returncode, result.stdout), args)
            self.assertNotEqual("", result.stderr)

    def test_help_and_version_are_0(self):
        for args in [["--help"], ["apply", "--help"], ["--version"]]:
            self.assertEqual(0, run(*args).returncode, args)

    def test_check_says_what_the_file_holds(self):
        result = run("-f", EXAMPLE, "check")
        self.assertEqual(0, result.returncode)
        self.assertEqual(f"{EXAMPLE}: ok: cluster edge-ams: 1 director, 2 real servers, 1 service\n",
                         result.stdout)

    def test_a_wrong_file_is_3_with_the_place_and_the_line_for_every_command_that_reads_it(self):
        for command in ["check", "plan", "apply", "status"]:
            with tempfile.TemporaryDirectory() as state:
                state_dir = f"{state}/lbctl"
                result = run("-f", "-", "--state-dir", state_dir, command,
                             text='[cluster]\nname = "x"\nnmae = 3\n')
                self.assertEqual((3, ""), (result.returncode, result.stdout), command)
                self.assertIn(":3:1: error: ", result.stderr)
                self.assertIn("\n  nmae = 3\n  ^~~~\n", result.stderr)
                self.assertFalse(os.path.exists(state_dir), "nothing may be touched")

    def test_a_wrong_file_in_json(self):
        result = run("-f", "-", "-j", "check", text='[cluster]\nname = "x"\nnmae = 3\n')
        self.assertEqual(3, result.returncode)
        document = json.loads(result.stdout)
        self.assertEqual((1, "bad_file"), (document["schema_version"], document["result"]))
        first = document["diagnostics"][0]
        self.assertEqual(("error", 3, 1), (first["severity"], first["line"], first["column"]))

    def test_a_missing_file_is_named(self):
        result = run("-f", "/nonexistent/lbctl.toml", "check")
        self.assertEqual(3, result.returncode)
        self.assertIn("/nonexistent/lbctl.toml", result.stderr)

    def test_an_unknown_node_is_1_and_lists_the_nodes(self):
        result = run("-f", EXAMPLE, "--node", "rs9", "plan")
        self.assertEqual(1, result.returncode)
        for node in ["dir1", "rs1", "rs2"]:
            self.assertIn(node, result.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
