"""Exit status and texts that need no privilege."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

LBCTL, SOURCE = sys.argv[1], sys.argv[2]
EXAMPLE = f"{SOURCE}/etc/lbctl.toml"


def run(*args, text=None, cwd=None):
    return subprocess.run([LBCTL, *args], input=text, capture_output=True, text=True, cwd=cwd)


class Usage(unittest.TestCase):
    def test_a_wrong_command_line_is_64(self):
        for args in [[], ["frobnicate"], ["apply", "--frobnicate"], ["check", "-f"], ["doctor", "--mend"]]:
            result = run(*args)
            self.assertEqual((64, ""), (result.returncode, result.stdout), args)
            self.assertNotEqual("", result.stderr)

    def test_help_and_version_are_0(self):
        for args in [["--help"], ["apply", "--help"], ["--version"]]:
            self.assertEqual(0, run(*args).returncode, args)

    def test_check_says_what_the_file_holds(self):
        result = run("-f", EXAMPLE, "check")
        self.assertEqual(0, result.returncode)
        lines = result.stdout.splitlines()
        self.assertEqual(f"{EXAMPLE}: ok: cluster edge-ams: 1 director, 2 real servers, 1 service", lines[0])
        self.assertEqual(["dir1 (director)", "rs1 (real server)", "rs2 (real server)"],
                         [line for line in lines[1:] if not line.startswith("  ")])
        self.assertIn("  VIPs      192.0.2.100 dev eth0, 2001:db8:100::100 dev eth0", lines)
        self.assertIn("  signal    192.0.2.112 dev lo, 2001:db8:100::112 dev lo", lines)
        self.assertIn("  ipvs      4 virtual services, 8 destinations", lines)

    def test_check_takes_the_file_as_its_argument(self):
        by_option = run("-f", EXAMPLE, "check")
        self.assertEqual(by_option.stdout, run("check", EXAMPLE).stdout)
        with open(EXAMPLE) as file:
            text = file.read()
        self.assertEqual(by_option.stdout.replace(EXAMPLE, "-"), run("check", "-", text=text).stdout)
        self.assertEqual(64, run("-f", EXAMPLE, "check", EXAMPLE).returncode)

    def test_check_in_json_tells_every_object_of_every_node(self):
        document = json.loads(run("-j", "check", EXAMPLE).stdout)
        self.assertEqual(("ok", []), (document["result"], document["diagnostics"]))
        dir1, rs1, _ = document["nodes"]
        self.assertEqual(("dir1", "director", ["web"]), (dir1["name"], dir1["role"], dir1["services"]))
        self.assertEqual({"address": "192.0.2.100", "devices": ["eth0"]}, dir1["vips"][0])
        self.assertEqual("0", rs1["sysctls"]["net.mptcp.allow_join_initial_addr_port"])
        objects = [(o["subsystem"], o["object"]) for o in dir1["objects"]]
        self.assertIn(("ipvs", "udp 192.0.2.100:443 -> 192.0.2.11:443"), objects)

    def test_check_says_of_which_node_a_warning_is(self):
        with open(EXAMPLE) as file:
            text = file.read().replace("{ rs1 = 10, rs2 = 10 }", '["rs1"]')
        result = run("check", "-", text=text)
        self.assertEqual((0, "-: warning: rs2: no service uses server rs2: it holds nothing\n"),
                         (result.returncode, result.stderr))
        refused = run("-W", "error", "check", "-", text=text)
        self.assertEqual((3, ""), (refused.returncode, refused.stdout))
        self.assertIn("-: error: rs2: ", refused.stderr)

    def test_with_W_error_a_warning_is_an_error_for_every_command(self):
        with open(EXAMPLE) as file:
            text = file.read().replace(', "mh-fallback"', "")
        for command in ["check", "plan", "apply", "status"]:
            with tempfile.TemporaryDirectory() as state:
                result = run("-f", "-", "-W", "error", "--state-dir", f"{state}/lbctl", command, text=text)
                self.assertEqual((3, ""), (result.returncode, result.stdout), command)
                self.assertIn("error: mh without mh-fallback", result.stderr)
                self.assertFalse(os.path.exists(f"{state}/lbctl"), "nothing may be touched")
        self.assertEqual(0, run("check", "-", text=text).returncode)
        self.assertEqual(64, run("-W", "all", "check", "-", text=text).returncode)

    def test_fragments_belong_to_the_file_but_not_to_standard_input(self):
        with tempfile.TemporaryDirectory() as folder:
            os.mkdir(f"{folder}/conf.d")
            with open(EXAMPLE) as file:
                nodes, services = file.read().split("# --- Services")
            with open(f"{folder}/lbctl.toml", "w") as file:
                file.write(nodes)
            with open(f"{folder}/conf.d/web.toml", "w") as file:
                file.write("# " + services)
            self.assertIn("1 service\n", run("check", f"{folder}/lbctl.toml").stdout)
            with open(f"{folder}/conf.d/bad.toml", "w") as file:
                file.write("[drain]\ntcp = 5\n")
            result = run("check", "lbctl.toml", cwd=folder)
            self.assertEqual(3, result.returncode)
            self.assertIn("conf.d/bad.toml:2:7: error: drain.tcp must be a duration", result.stderr)
            self.assertEqual(0, run("check", "-", cwd=folder, text=nodes + "# " + services).returncode)

    def test_a_wrong_file_is_3_with_the_place_and_the_line_for_every_command_that_reads_it(self):
        for command in ["check", "plan", "apply", "status", "doctor"]:
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
