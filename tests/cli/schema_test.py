"""`lbctl check --schema` against files right and wrong, by a JSON Schema validator that is not ours."""
import copy
import glob
import json
import os
import re
import subprocess
import sys
import tomllib
import unittest

try:
    import jsonschema
except ImportError:
    print("SKIPPED: python3-jsonschema is not installed")
    sys.exit(77)

LBCTL, SOURCE = sys.argv[1], sys.argv[2]
WRONG = f"{SOURCE}/tests/unit/config/wrong"
SCHEMA = json.loads(subprocess.run([LBCTL, "check", "--schema"], capture_output=True, text=True, check=True).stdout)
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def refusals(document):
    return [error.message for error in VALIDATOR.iter_errors(document)]


def load(path):
    with open(path, "rb") as file:
        return tomllib.load(file)


def base():
    return load(f"{SOURCE}/etc/lbctl.toml")


class Schema(unittest.TestCase):
    def test_it_is_a_schema(self):
        jsonschema.Draft202012Validator.check_schema(SCHEMA)

    def test_every_example_is_right(self):
        examples = glob.glob(f"{SOURCE}/etc/**/*.toml", recursive=True)
        self.assertIn(f"{SOURCE}/etc/lbctl.toml", examples)
        for path in examples:
            self.assertEqual([], refusals(load(path)), path)

    def test_every_doubtful_file_is_right(self):
        for path in glob.glob(f"{WRONG}/warning-*.toml"):
            self.assertEqual([], refusals(load(path)), path)

    def test_every_file_with_a_wrong_key_or_kind_of_value_is_refused(self):
        seen = 0
        for kind in ["unknown", "shape", "later"]:
            for path in glob.glob(f"{WRONG}/{kind}-*.toml"):
                seen += 1
                self.assertNotEqual([], refusals(load(path)), path)
        self.assertGreater(seen, 10)

    def test_what_it_refuses_lbctl_refuses(self):
        """The other way round there are rules that a schema can't tell."""
        refused = 0
        for path in glob.glob(f"{WRONG}/*.toml"):
            try:
                document = load(path)
            except (tomllib.TOMLDecodeError, UnicodeDecodeError):
                continue
            if refusals(document):
                refused += 1
                self.assertFalse(os.path.basename(path).startswith("warning-"), path)
        self.assertGreater(refused, 20)

    def test_a_wrong_key_in_every_table(self):
        def tables(node, way=()):
            if isinstance(node, dict):
                yield way
                for key, value in node.items():
                    yield from tables(value, (*way, key))

        seen = 0
        for way in tables(base()):
            document = copy.deepcopy(base())
            table = document
            for key in way:
                table = table[key]
            if way in [("directors",), ("servers",), ("services",)]:
                table["-x"] = next(iter(table.values()))  # no name begins so
            else:
                table["frobnicate"] = "x"
            seen += 1
            self.assertNotEqual([], refusals(document), way)
        self.assertGreater(seen, 8)

    def test_defaults_take_what_is_not_a_tables_own(self):
        document = base()
        document["defaults"] = {"service": {"scheduler": "mh", "quic": {"cid": {"config": 1}}},
                                "server": {"interface": "eth0"}}
        for server in document["servers"].values():
            del server["interface"]
        self.assertEqual([], refusals(document))
        for kind, key, value in [("service", "vip", ["192.0.2.1"]), ("server", "id", 1),
                                 ("server", "signal", ["192.0.2.1"]), ("director", "address", ["192.0.2.1"])]:
            wrong = copy.deepcopy(document)
            wrong["defaults"].setdefault(kind, {})[key] = value
            self.assertNotEqual([], refusals(wrong), key)

    def test_every_key_is_read_back_in_the_lab(self):
        """Each stands in a file of the lab's checks: what they set they read back, and change."""
        checks = ""
        for path in glob.glob(f"{SOURCE}/tests/lab/**/*.py", recursive=True) + [f"{SOURCE}/tests/lab/lbctl.toml"]:
            with open(path, encoding="utf-8") as file:
                checks += file.read().replace(r"\n", "\n")

        def keys(node, way=()):
            for name, below in node.get("properties", {}).items():
                yield (*way, name)
                yield from keys(below, (*way, name))
            for further in ("additionalProperties", "patternProperties", "anyOf", "oneOf"):
                found = node.get(further)
                for below in found.values() if further == "patternProperties" and found else \
                        found if isinstance(found, list) else [found]:
                    if isinstance(below, dict):
                        yield from keys(below, way)

        unread = {way for way in keys(SCHEMA) if not re.search(rf"\b{way[-1]}\b", checks)}
        self.assertEqual(set(), unread)
        self.assertGreater(len(set(keys(SCHEMA))), 100)

    def test_values(self):
        for way, value in [("services.web.ports", [0]), ("services.web.ports", []), ("services.web.ports", ["x"]),
                           ("services.web.protocols", ["sctp"]), ("services.web.scheduler", "mhh"),
                           ("services.web.persistence_timeout", "300"), ("services.web.servers", {"rs1": 65536}),
                           ("services.web.servers", {}), ("servers.rs1.id", 0), ("drain", {"tcp": 5}),
                           ("services.web.quic.cid.nonce_length", 3)]:
            document = base()
            table = document
            *path, last = way.split(".")
            for key in path:
                table = table[key]
            table[last] = value
            self.assertNotEqual([], refusals(document), way)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
