"""lbctl daemon on the director, and what its checks ask on the servers."""

import json
import time

from labkit import ECHO, HERE, events, on, run, settles, stop, wait_for

# Detected after two questions at most.
QUICK = {"interval": "1s", "timeout": "1s", "rise": 1, "fall": 2}
V4 = ["192.0.2.100"]


class Daemon:
    """lbctl daemon on the director."""

    def __init__(self, lab):
        self.lab = lab
        self.runs = 0
        self.start()

    def start(self):
        self.runs += 1
        self.log = f"{self.lab.folder}/daemon-{self.runs}.log"
        self.process = self.lab.start("dir1", *self.lab.lbctl_words("dir1", "daemon"), log=self.log)
        wait_for("the daemon answers", lambda: self.ask("status", check=False).returncode == 0)

    def ask(self, action, check=True):
        return self.lab.lbctl("dir1", "daemon", action, check=check)

    def said(self):
        with open(self.log, encoding="utf-8") as file:
            return file.read()

    def standings(self, name):
        return json.loads(self.ask("status").stdout)["services"][name]["servers"]

    def kill(self, number):
        self.process.send_signal(number)
        self.process.wait()


def destinations(port, protocol="TCP"):
    """{last octet of the server: weight} of the service at that port."""
    out, ours = {}, False
    for line in on("dir1", "ipvsadm", "-Ln").stdout.splitlines():
        words = line.split()
        if words[:1] == ["->"]:
            if ours and words[1][0].isdigit():
                out[words[1].rpartition(":")[0].rpartition(".")[2]] = int(words[3])
        else:
            ours = words[:2] == [protocol, f"192.0.2.100:{port}"]
    return out


def metric(path="metrics"):
    text = f"import urllib.request as u; print(u.urlopen('http://127.0.0.1:9476/{path}').read().decode())"
    return on("dir1", "python3", "-c", text, check=False).stdout


def leaves_and_returns(checks, what, port, die, revive, weight=1):
    """rs2 of the service at `port` goes within the time that the check allows for, and comes back."""
    full = {"11": weight, "12": weight, "13": weight}
    without = {"11": weight, "13": weight}
    checks.equal(f"{what}: before, all are used", settles(lambda: destinations(port), full, 20), full)
    start = time.monotonic()
    die()
    gone = settles(lambda: destinations(port), without, 30)
    detected = time.monotonic() - start
    checks.equal(f"{what}: rs2 leaves, nobody else", gone, without)
    start = time.monotonic()
    revive()
    checks.equal(f"{what}: rs2 comes back", settles(lambda: destinations(port), full, 30), full)
    checks.note(f"{what}: detected after {detected:.1f} s, restored after {time.monotonic() - start:.1f} s")


def echo_on(lab, server, port, *extra):
    log = f"{lab.folder}/one-{server}-{port}-{time.monotonic()}.log"
    process = lab.start(server, ECHO, "serve", "--listen", f"0.0.0.0:{port},[::]:{port}", "--name", server,
                        "--log", log, *extra)
    wait_for("it listens", lambda: len(events(log, "listening")) == 2)
    return process


class Web:
    """web_server on every server at a port; rs2's can be told what to answer."""

    def __init__(self, lab, port, tls=False):
        self.lab, self.port, self.tls = lab, port, tls
        self.processes = {}
        for server in lab.servers:
            self.tell("ok", server)
            self.start(server, "good")

    def tell(self, text, server="rs2"):
        with open(f"{self.lab.folder}/mode-{server}-{self.port}", "w", encoding="utf-8") as file:
            file.write(text)

    def start(self, server, name):
        keys = [f"{self.lab.folder}/{name}.pem", f"{self.lab.folder}/{name}.key"] if self.tls else []
        self.processes[server] = self.lab.start(
            server, f"{HERE}/web_server", "0.0.0.0", self.port, f"{self.lab.folder}/mode-{server}-{self.port}", *keys)

    def stop(self, server="rs2"):
        stop(self.processes[server])


def certificate(folder, name, subject):
    """By an authority of its own, NAME-ca.pem."""
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
        "-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.pem", "-subj", f"/CN={subject}",
        "-addext", f"subjectAltName=DNS:{subject}")
