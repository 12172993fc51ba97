"""Random trouble for a balancer that runs, from a seed, and what its clients see of it."""

import os
import random
import signal
import statistics
import time

from daemonkit import destinations, echo_on
from labkit import CONFIG, on, settles, stop, write_config

# A perfect balancer loses nothing to these; to the others it takes time to be seen.
HARMLESS = ("daemon", "good file", "bad file", "revive")
HARMFUL = ("kill", "clear", "flush", "address")


class Chaos:
    """Rounds of one to three events each. A round is over when the kernel is as the servers that live and
    the file want it; until then requests may fail, if the round held anything harmful, and after it none may."""

    def __init__(self, checks, lab, cluster, daemon, echoes):
        self.checks, self.lab, self.cluster, self.daemon, self.echoes = checks, lab, cluster, daemon, echoes
        self.seed = int(os.environ.get("LBCTL_SEED", "0")) or random.SystemRandom().randrange(1, 2 ** 31)
        self.dice = random.Random(self.seed)
        self.file_is_good = True
        self.rounds = self.made = self.failed = 0
        self.windows, self.unexcused, self.stuck = [], [], []
        self.counts = dict.fromkeys(HARMLESS + HARMFUL, 0)

    def happen(self, event, server):
        """Whether it could."""
        if event == "kill" and len(self.echoes) > 1 and server in self.echoes:
            stop(self.echoes.pop(server))
        elif event == "revive" and server not in self.echoes:
            self.echoes[server] = echo_on(self.lab, server, 80)
        elif event == "clear":
            on("dir1", "ipvsadm", "-C")
        elif event == "flush":
            on("dir1", "nft", "flush", "ruleset")
        elif event == "address":
            on("dir1", "ip", "address", "delete", "192.0.2.100/32", "dev", "eth0", check=False)
        elif event == "daemon" and self.file_is_good:  # by a wrong file no daemon begins
            self.daemon.kill(signal.SIGKILL)
            self.daemon.start()
        elif event == "good file":
            self.cluster.services["plain"]["servers"] = {name: self.dice.randint(1, 5) for name in self.lab.servers}
            self.cluster.write()
            self.file_is_good = True
        elif event == "bad file":
            with open(CONFIG, encoding="utf-8") as file:
                write_config(file.read() + "\nwrong = 1\n")
            self.file_is_good = False
        else:
            return False
        self.counts[event] += 1
        return True

    def wanted(self):
        """Of the last good file, those that live."""
        weights = self.cluster.services["plain"]["servers"]
        return {f"1{name.removeprefix('rs')}": weights[name] for name in self.echoes}

    def kernel(self):
        return destinations(80), "192.0.2.100/32" in on("dir1", "ip", "address").stdout, \
            "192.0.2.111" in on("dir1", "nft", "-s", "list", "ruleset").stdout

    def requests(self):
        """How many of three failed."""
        reports = self.lab.connect(4, 3, "--timeout", "2s", port=80)
        lost = [report for report in reports if report.get("error")]
        self.made, self.failed = self.made + len(reports), self.failed + len(lost)
        return lost

    def round(self):
        self.rounds += 1
        happened, lost = [], []
        start = time.monotonic()
        for _ in range(self.dice.randint(1, 3)):
            event, server = self.dice.choice(HARMLESS + HARMFUL), self.dice.choice(self.lab.servers)
            if self.happen(event, server):
                happened.append(event)
            lost += self.requests()
            time.sleep(self.dice.uniform(0, 1))
        whole = (self.wanted(), True, True)
        while time.monotonic() - start < 60 and self.kernel() != whole:
            lost += self.requests()
        have = settles(self.kernel, whole)
        if have != whole:
            self.stuck.append(f"round {self.rounds}, {happened}: {have} instead of {whole}")
        if set(happened) & set(HARMFUL):
            self.windows.append(time.monotonic() - start)
        elif lost:
            self.unexcused.append(f"round {self.rounds}, only {happened}: {lost}")
        lost = self.requests() + self.requests()
        if lost:
            self.unexcused.append(f"round {self.rounds}, after {happened}: {lost}")

    def run(self, seconds):
        self.checks.note(f"chaos with LBCTL_SEED={self.seed}")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.round()
        if not self.file_is_good:
            self.happen("good file", None)
        for server in sorted(set(self.lab.servers) - set(self.echoes)):
            self.happen("revive", server)
        self.checks.note(f"{self.rounds} rounds: " + ", ".join(f"{count} x {name}" for name, count in self.counts.items()))
        self.checks.equal("after every round it converged", self.stuck, [])
        self.checks.equal("no request failed outside the time that harm takes to be seen and mended", self.unexcused, [])
        self.checks.note(f"client error rate: {self.failed} of {self.made} requests, "
                         f"{100 * self.failed / max(self.made, 1):.1f} %")
        if self.windows:
            self.checks.note(f"seen and mended after {statistics.median(self.windows):.1f} s (median), "
                             f"{max(self.windows):.1f} s at most, what this program itself takes for it included")
        full = (self.wanted(), True, True)
        self.checks.equal("in the end everything is as the file wants it", settles(self.kernel, full, 40), full)
