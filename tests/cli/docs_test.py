"""Help, man pages, completion, README and the example say the same as the program does."""
import re
import subprocess
import sys
import unittest

LBCTL, SOURCE = sys.argv[1], sys.argv[2]


def run(*args, text=None):
    return subprocess.run([LBCTL, *args], input=text, capture_output=True, text=True)


def read(path):
    with open(f"{SOURCE}/{path}") as file:
        return file.read()


def help_of(command=None):
    return run(*([command] if command else []), "--help").stdout


COMMANDS = re.findall(r"^  (\w+) +\S", help_of().split("Subcommands:")[1], re.M)
OPTIONS = {o for c in [None, *COMMANDS] for o in re.findall(r"--[a-z][a-z-]+", help_of(c).split("Exit status")[0])}


class Docs(unittest.TestCase):
    def test_there_is_something_to_compare(self):
        self.assertIn("apply", COMMANDS)
        self.assertIn("--state-dir", OPTIONS)

    def test_man_page_has_every_command_and_no_other(self):
        page = read("man/lbctl.8")
        section = page.split(".SH COMMANDS")[1].split(".SH")[0]
        self.assertEqual(sorted(COMMANDS), sorted(re.findall(r"^\.TP\n\.B (\w+)$", section, re.M)))

    def test_man_page_has_every_option_and_no_other(self):
        page = read("man/lbctl.8").replace("\\-", "-").split(".SH SEE ALSO")[0]
        self.assertEqual(sorted(OPTIONS), sorted(set(re.findall(r"--[a-z][a-z-]+", page))))

    def test_completion_has_every_command_and_option(self):
        text = read("etc/completions/lbctl")
        self.assertEqual(sorted(OPTIONS), sorted(set(re.findall(r"--[a-z][a-z-]+", text)) - {"--"}))
        self.assertIn(f'commands="{" ".join(COMMANDS)}"', text)

    def test_man_pages_are_well_formed(self):
        for page in ["lbctl.8", "lbctl.toml.5"]:
            lint = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", f"{SOURCE}/man/{page}"],
                                  capture_output=True, text=True)
            self.assertEqual("", lint.stdout)

    def test_version_is_the_one_of_the_man_page(self):
        version = run("--version").stdout.strip()
        self.assertIn(f'"{version}"', read("man/lbctl.8").splitlines()[0])

    def test_the_example_and_the_readme_are_right_without_a_warning(self):
        readme = re.search(r"```toml\n(.*?)```", read("README.md"), re.S).group(1)
        for text in [readme, read("etc/lbctl.toml")]:
            checked = run("check", "-f", "-", text=text)
            self.assertEqual((0, ""), (checked.returncode, checked.stderr))

    def test_exit_statuses_of_the_man_page_are_those_of_the_help(self):
        page = read("man/lbctl.8").split(".SH EXIT STATUS")[1].split(".SH")[0]
        self.assertEqual(re.findall(r"^\.TP\n\.B (\d+)$", page, re.M), ["0", "1", "2", "3", "64"])
        summary = " ".join(help_of().split("Exit status:")[1].split())
        for status in ["0 done", "1 a change", "2 changes", "3 the file", "64 usage"]:
            self.assertIn(status, summary)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
