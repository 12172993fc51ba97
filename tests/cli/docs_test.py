"""Help, man pages, completion, README and the example say the same as the program does."""
import ast
import glob
import json
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


def trapped_findings():
    """The ids that tests really make, by their @traps; and those that they say they cannot."""
    trapped, untrapped = set(), set()
    for path in [*glob.glob("tests/cli/doctor*.py", root_dir=SOURCE), *glob.glob("tests/lab/checks/*.py", root_dir=SOURCE)]:
        for node in ast.walk(ast.parse(read(path))):
            for call in getattr(node, "decorator_list", []):
                if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "traps":
                    trapped |= {one.value for one in call.args}
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "UNTRAPPED":
                untrapped |= set(ast.literal_eval(node.value))
    return trapped, untrapped


# How lbctl.toml(5) words a shape of `check --schema`.
TYPES = {
    "text": ["text", "name", "interface", "address"],
    "texts": ["list of texts", "list of names", "list of addresses", "list of interfaces"],
    "whole": ["whole number"],
    "wholes": ["list of whole numbers"],
    "whole_or_table": ["whole number, or table", "whole number or table"],
    "whole_or_hex": ["whole number or text"],
    "table_or_tables": ["table or list of tables"],
    "ports": ["list of ports"],
    "boolean": ["true or false"],
    "duration": ["duration"],
    "rate": ["rate"],
    "texts_or_weights": ["list of names, or table of weights"],
    "table": ["table"],
}
SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(duration):
    number, unit = re.fullmatch(r"(\d+)(\w+)", duration.strip('"')).groups()
    return int(number) * SECONDS[unit]


def keys_of(schema, section=()):
    """(section, key) -> x-lbctl of every key with a value; names of the file's choice are NAME."""
    for key, value in schema.get("properties", {}).items():
        if section == () and key == "defaults":
            continue  # their keys are those of the tables that they are for
        below = [value, *value.get("oneOf", [])]
        about = value.get("x-lbctl", {})
        tables = any("properties" in b or "patternProperties" in b or isinstance(b.get("additionalProperties"), dict)
                     for b in below)
        if about.get("shape") != "table" or about.get("required"):
            yield (section, key), about
        if about.get("shape") == "table" or tables:
            for b in below:
                yield from keys_of(b, (*section, key))
    for named in [*schema.get("patternProperties", {}).values(), schema.get("additionalProperties")]:
        if isinstance(named, dict):
            for b in [named, *named.get("oneOf", [])]:
                yield from keys_of(b, (*section, "NAME"))


def plain(text):
    """What a reader of the page sees of a line."""
    text = re.sub(r"\\f[BIRP]", "", text).replace("\\(dq", '"').replace("\\-", "-").replace('\\&', "").replace("\\(aq", "'")
    return text


def documented_keys():
    """(section, key) -> (what stands in parentheses, the description below)."""
    out, sections, item = {}, [], None
    lines = read("man/lbctl.toml.5").splitlines()
    for number, line in enumerate(lines):
        if line.startswith((".SH", ".SS")):
            sections = [tuple(name.split(".")) for name in re.findall(r"\[([A-Za-z_.]+)\]", line)
                        if not name.startswith("defaults.")]
            item = None
        match = re.fullmatch(r'\.BR ([a-z_0-9]+) " \((.*)\)"', line)
        if match and lines[number - 1] == ".TP" and sections:
            item = [plain(match[2]), ""]
            for section in sections:
                out[section, match[1]] = item
        elif item:
            item[1] += plain(line) + "\n"
    return out


SCHEMA = dict(keys_of(json.loads(run("check", "--schema").stdout)))
PAGE = documented_keys()


class Language(unittest.TestCase):
    """lbctl.toml(5) against `lbctl check --schema`."""

    def test_there_is_something_to_compare(self):
        self.assertIn((("services", "NAME", "quic", "cid"), "id_length"), SCHEMA)
        self.assertIn((("drain",), "tcp"), SCHEMA)

    def test_every_key_is_described_in_its_section_and_no_other(self):
        self.assertEqual(sorted(SCHEMA), sorted(PAGE))

    def each(self):
        for key, about in SCHEMA.items():
            if key in PAGE:
                self.key = ".".join((*key[0], key[1]))
                yield about, *PAGE[key]

    def _formatMessage(self, msg, standard):  # noqa: names the key in every failure
        return f"{getattr(self, 'key', '')}: {super()._formatMessage(msg, standard)}"

    def test_types(self):
        for about, told, _ in self.each():
            self.assertTrue(told.startswith(tuple(TYPES[about["shape"]])), told)

    def test_what_is_required(self):
        for about, told, _ in self.each():
            self.assertEqual(about.get("required", False), "required" in told, told)

    def test_defaults(self):
        for about, told, _ in self.each():
            default = re.search(r"default: (.*)", told)
            self.assertEqual(about.get("fallback"), default and default[1], told)

    def test_ranges_and_units(self):
        for about, told, _ in self.each():
            found = re.search(r'("?-?\d+\w*"?) to ("?\d+\w*"?)', told)
            read_as = seconds if about["shape"] == "duration" else int
            self.assertEqual(about.get("range"), found and [read_as(found[1]), read_as(found[2])], told)

    def test_words(self):
        for about, _, text in self.each():
            for word in about.get("words", []):
                self.assertRegex(text, rf"(?<![\w-]){re.escape(word)}(?![\w-])")

    def test_kernels(self):
        for about, told, text in self.each():
            if "kernel" in about:
                self.assertIn(f"Linux {about['kernel']}", told + text)


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
        for page in ["lbctl.8", "lbctl-daemon.8", "lbctl-doctor.8", "lbctl.toml.5", "lbctl-quic.7"]:
            lint = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", f"{SOURCE}/man/{page}"],
                                  capture_output=True, text=True)
            self.assertEqual("", lint.stdout)

    def test_man_page_has_every_finding_of_doctor_and_no_other(self):
        source = "".join(read(path) for path in sorted(glob.glob("src/doctor/*.cpp", root_dir=SOURCE)))
        source += read("src/cli/doctor.cpp") + read("src/cli/doctor_look.cpp")
        ids = re.findall(r'\.id = "([a-z0-9-]+)"|\{"([a-z0-9-]+)",\s+(?:Severity|"[A-Za-z ]+"\})|'
                         r'constexpr Trouble \w+\{\s*"([a-z0-9-]+)"|'
                         r'"1", "(ipvs-[a-z]+)"', source)
        section = read("man/lbctl-doctor.8").split(".SH FINDINGS")[1].split(".SH")[0]
        told = [plain(name) for line in re.findall(r"^\.TP\n(.*)$", section, re.M)
                for name in re.sub(r"^\.B ", "", plain(line)).split(", ")]
        self.assertGreater(len(told), 50)
        self.assertEqual(sorted({name for found in ids for name in found if name}), sorted(told))
        trapped, untrapped = trapped_findings()
        self.assertEqual(set(), trapped & untrapped)
        self.assertEqual(sorted(trapped | untrapped), sorted(told))

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
