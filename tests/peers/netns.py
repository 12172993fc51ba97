"""Network namespaces, processes and checks for the tests of the peers."""

import json
import os
import signal
import subprocess
import sys
import time

SKIPPED = 77


def skip(reason):
    print(f"SKIPPED: {reason}")
    sys.exit(SKIPPED)


def need_root_and(*programs):
    if os.geteuid() != 0:
        skip("making network namespaces needs root")
    for program in programs:
        if subprocess.run(["sh", "-c", f"command -v {program}"], capture_output=True).returncode:
            skip(f"{program} is not installed")


def run(*words, check=True):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(map(str, words))}: {done.stderr or done.stdout}")
    return done


class Lab:
    """Namespaces, processes and files that vanish at the end. Names carry the process id."""

    def __init__(self, folder):
        self.folder = folder
        self.processes = []
        self.namespaces = []
        os.makedirs(folder, exist_ok=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            stop(process)
        for name in self.namespaces:
            run("ip", "netns", "del", name, check=False)

    def namespace(self, role):
        name = f"peer-{role}-{os.getpid()}"
        if run("ip", "netns", "add", name, check=False).returncode:
            skip("this kernel or container allows no network namespace")
        self.namespaces.append(name)
        run("ip", "-n", name, "link", "set", "lo", "up")
        return name

    def cable(self, a, a_device, a_addresses, b, b_device, b_addresses):
        """A veth pair between two namespaces, each end with its addresses, and up."""
        run("ip", "-n", a, "link", "add", a_device, "type", "veth",
            "peer", "name", b_device, "netns", b)
        for name, device, addresses in ((a, a_device, a_addresses), (b, b_device, b_addresses)):
            for address in addresses:
                nodad = ["nodad"] if ":" in address else []
                run("ip", "-n", name, "address", "add", address, "dev", device, *nodad)
            run("ip", "-n", name, "link", "set", device, "up")

    def start(self, namespace, *words, output=subprocess.DEVNULL):
        process = subprocess.Popen(["ip", "netns", "exec", namespace, *map(str, words)],
                                   stdout=output, stderr=subprocess.STDOUT)
        self.processes.append(process)
        return process

    def file(self, name):
        path = os.path.join(self.folder, f"{name}-{os.getpid()}")
        if os.path.exists(path):
            os.remove(path)
        return path


def stop(process):
    """Ends a process of ours; returns its exit status."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        return process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def inside(namespace, *words, check=True):
    return run("ip", "netns", "exec", namespace, *words, check=check)


def objects(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def events(log, kind=None):
    """The events of a peer's log, or those of one kind."""
    if not os.path.exists(log):
        return []
    with open(log, encoding="utf-8") as file:
        return [e for e in objects(file.read()) if kind is None or e["event"] == kind]


def wait_for(what, condition, limit=20):
    """Polls until the condition holds; a test waits for what it needs, never for a time."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise RuntimeError(f"never came: {what}")


def counter(namespace, name):
    """One of the kernel's counters (nstat) of a namespace; absent counts as 0."""
    done = inside(namespace, "nstat", "-asz", name)
    for line in done.stdout.splitlines():
        words = line.split()
        if words and words[0] == name:
            return int(words[1])
    return 0


class Checks:
    """Prints each check, and remembers the failures."""

    def __init__(self):
        self.failures = 0

    def equal(self, what, have, want):
        good = have == want
        self.failures += not good
        print(f"{'ok  ' if good else 'FAIL'}  {what}" + ("" if good else f": {have!r}, not {want!r}"))

    def finish(self):
        print(f"{self.failures} failures")
        sys.exit(1 if self.failures else 0)
