"""Changes that are taken back: not confirmed, or failed half-way. And what apply --adopt takes over."""

import os
import pty
import signal
import time

from labkit import FULL, Lab, changes, look, on, run, wait_for
from livekit import Cluster, Talk, document, operations, plain, service, web, weights

# Enough for an apply on a busy machine.
LIMIT = "15s"
# Where something is looked at before the time is over: an emulated machine needs some seconds for that.
LONG = "30s"
ALL = {"rs1": 1, "rs2": 1}


def base():
    return Cluster({"plain": plain(ALL), "web": web(ALL)}, servers=["rs1", "rs2"])


def changed():
    """Additions, changes in place, and removals; on the director and on a real server."""
    out = base()
    out.services["plain"] = plain({"rs1": 7}, scheduler="wrr")
    out.services["web"]["ports"] = [443, 8443]
    out.services["more"] = service([81], ["tcp"], {"rs2": 1}, vips=["192.0.2.101"])
    return out


def waits(node):
    """Whether a process listens there for `lbctl confirm`."""
    return any(line.endswith("/confirm") for line in on(node, "cat", "/proc/net/unix").stdout.splitlines())


def back_again(node, before):
    """What still differs from before once the time for confirming is over."""
    wait_for("the end of the wait for a confirmation", lambda: not waits(node), 60)
    return changes(before, look(node))


def not_confirmed(checks):
    """apply --confirm without confirm: the node is back as before; other commands are refused meanwhile"""
    with Lab(servers=2) as lab:
        base().write()
        for node in lab.members:
            look(node)
        bare = {node: look(node) for node in lab.members}
        for node in ("rs1", "dir1"):
            lab.lbctl(node, "apply", "--confirm", LIMIT)
            checks.equal(f"{node}: everything is new, not confirmed: the node is bare again",
                         back_again(node, bare[node]), [])
        lab.apply()
        lab.serve_echo(80)
        talk = Talk(lab, 4, 4)
        talk.connected()
        before = {node: look(node) for node in lab.members}
        changed().write()
        for node in ("rs1", "dir1") if FULL else ("dir1",):
            done = lab.lbctl(node, "apply", "--confirm", LONG)
            checks.that(f"{node}: apply says what will happen", "this is reverted in 30s unless you run: lbctl confirm"
                        in done.stderr, done.stderr)
            refused_meanwhile(checks, lab, node)
            checks.that(f"{node}: it has changed something", " made, read back and found right" in done.stdout,
                        done.stdout)
            checks.equal(f"{node}: then it is as before", back_again(node, before[node]), [])
            late = lab.lbctl(node, "confirm", check=False)
            checks.that(f"{node}: confirm comes too late, and says so",
                        late.returncode == 1 and "no change waits to be confirmed" in late.stderr, late.stderr)
        checks.equal("the connections went on, also those of the server that left", talk.failed_later(), 0)
        talk.stop()


def refused_meanwhile(checks, lab, node):
    for words in (["apply"], ["down"], ["drain", "rs2"]):
        if words[0] == "drain" and node != "dir1":
            continue
        refused = lab.lbctl(node, *words, check=False)
        checks.that(f"{node}: {words[0]} is refused meanwhile",
                    refused.returncode == 1 and "an apply waits to be confirmed" in refused.stderr
                    and "lbctl confirm" in refused.stderr, refused.stderr + refused.stdout)
    checks.equal(f"{node}: plan and status are not",
                 [lab.lbctl(node, word, check=False).returncode for word in ("plan", "status")], [0, 0])


def killed(checks):
    """the process that ran apply --confirm is killed, or its terminal and session end: reverted all the same"""
    with Lab(servers=2) as lab:
        base().write()
        lab.apply()
        changed().write()
        look("dir1")
        before = look("dir1")
        for after in (0.0, 0.05, 0.2) if FULL else (0.05,):
            process = lab.start("dir1", *lab.lbctl_words("dir1", "apply", "--confirm", LIMIT))
            wait_for("the watcher", lambda: waits("dir1") or process.poll() is not None)
            time.sleep(after)
            process.kill()  # `ip netns exec` has become lbctl
            process.wait()
            checks.equal(f"SIGKILL {after} s after it began: as before", back_again("dir1", before), [])
            again = lab.lbctl("dir1", "plan", "--detailed-exitcode", check=False)
            checks.equal("and a later plan works", again.returncode, 2)

        pid, terminal = in_terminal(lab, "dir1", "apply", "--confirm", LIMIT)
        # First the terminal hangs up, then everything of its session is killed.
        os.close(terminal)
        for one in run("ps", "-o", "pid=", "-s", pid, check=False).stdout.split():
            try:
                os.kill(int(one), signal.SIGKILL)
            except ProcessLookupError:
                pass
        os.waitpid(pid, 0)
        checks.that("the watcher outlives the session", waits("dir1"))
        checks.equal("its terminal and session end: as before", back_again("dir1", before), [])


def in_terminal(lab, node, *words):
    """Runs lbctl below a shell with a terminal and a session of its own, which then goes on; when it has ended."""
    pid, terminal = pty.fork()
    if pid == 0:
        command = " ".join(lab.lbctl_words(node, *words))
        os.execvp("ip", ["ip", "netns", "exec", f"lab-{node}", "sh", "-c", f"{command}; echo ended; sleep 1000"])
    text = ""
    while "ended" not in text:
        text += os.read(terminal, 4096).decode(errors="replace")
    return pid, terminal


def confirmed(checks):
    """lbctl confirm in time: the change stays"""
    with Lab(servers=2) as lab:
        base().write()
        lab.apply()
        changed().write()
        for node in ("rs1", "dir1"):
            lab.lbctl(node, "apply", "--confirm", LIMIT)
            said = lab.lbctl(node, "confirm").stdout
            checks.that(f"{node}: confirm says so", said.startswith("confirmed, "), said)
            checks.that(f"{node}: and nobody waits any more", not waits(node))
            after = look(node)
            time.sleep(7)
            checks.equal(f"{node}: the change stays", changes(after, look(node)), [])
            again = lab.lbctl(node, "apply").stdout
            checks.that(f"{node}: and there is nothing to do", "nothing to do" in again, again)


def adopted(checks):
    """apply --adopt takes over an equal IPVS service; an unequal one stays an error"""
    with Lab(servers=2) as lab:
        cluster = Cluster({"plain": plain({"rs1": 1, "rs2": 3}, scheduler="wrr", vips=["192.0.2.100"])},
                          servers=["rs1", "rs2"])
        cluster.write()
        lab.apply("rs1", "rs2")

        def by_hand(weight):
            on("dir1", "ipvsadm", "-R", input="-A -t 192.0.2.100:80 -s wrr\n"
               "-a -t 192.0.2.100:80 -r 192.0.2.11:80 -g -w 1\n"
               f"-a -t 192.0.2.100:80 -r 192.0.2.12:80 -g -w {weight}\n")
        by_hand(2)
        on("dir1", "ip", "address", "add", "192.0.2.100/32", "dev", "eth0")
        before = look("dir1")
        refused = lab.lbctl("dir1", "apply", "--adopt", check=False)
        checks.that("another weight: refused", refused.returncode == 1 and "refused; nothing was touched" in
                    refused.stdout and "IPVS service tcp 192.0.2.100:80 is there already" in refused.stderr,
                    refused.stdout + refused.stderr)
        checks.equal("and nothing was touched", changes(before, look("dir1")), [])

        on("dir1", "ipvsadm", "-e", "-t", "192.0.2.100:80", "-r", "192.0.2.12:80", "-g", "-w", 3)
        lab.serve_echo(80)
        talk = Talk(lab, 4, 4)
        talk.connected()
        services = on("dir1", "ipvsadm", "-Sn").stdout
        refused = lab.lbctl("dir1", "apply", check=False)
        checks.that("without --adopt: refused, with a hint", refused.returncode == 1 and "--adopt" in refused.stderr,
                    refused.stderr)
        done = lab.lbctl("dir1", "apply", "--adopt").stdout
        checks.that("with it: taken over", "ipvs tcp 192.0.2.100:80 is lbctl's from now on" in done, done)
        checks.equal("as it stands", on("dir1", "ipvsadm", "-Sn").stdout, services)
        checks.equal("nothing is foreign any more", document(lab, "dir1", "status")["foreign"]["services"], [])
        checks.equal("its connections go on", talk.failed_later(), 0)
        talk.stop()
        lab.lbctl("dir1", "down")
        checks.equal("and down removes it, as lbctl's own", weights(lab, "rs1"), {})


def failing_changes(checks):
    """a change that fails half-way leaves the node exactly as before"""
    with Lab(servers=2) as lab:
        base().write()
        lab.apply()
        fails(checks, lab, "dir1", "an interface that does not exist",
              changed().text().replace('interface = "eth0"', 'interface = "eth9"', 1))
        fails(checks, lab, "rs1", "an interface that does not exist",
              changed().text().replace('1"]\ninterface = "eth0"', '1"]\ninterface = "eth9"'))
        # Nobody can load a module as long as this is not modprobe.
        helper = run("sysctl", "-n", "kernel.modprobe").stdout.strip()
        run("rmmod", "ip_vs_ovf", check=False)
        run("sysctl", "-qw", "kernel.modprobe=/bin/false")
        try:
            missing = changed()
            missing.services["plain"]["scheduler"] = "ovf"
            fails(checks, lab, "dir1", "a scheduler whose module is missing", missing.text(), "ovf")
        finally:
            run("sysctl", "-qw", f"kernel.modprobe={helper}")


def fails(checks, lab, node, what, text, named="eth9"):
    bad = os.path.join(lab.folder, "bad.toml")
    with open(bad, "w", encoding="utf-8") as file:
        file.write(text)
    look(node)
    before = look(node)
    pending = operations(lab.lbctl(node, "plan", check=False, config=bad).stdout)
    done = lab.lbctl(node, "apply", check=False, config=bad)
    checks.that(f"{node}: {what}: exit 1, and it is named", done.returncode == 1 and named in done.stderr,
                done.stdout + done.stderr)
    checks.note(f"{node}: {len(pending)} changes planned; {(done.stderr.splitlines() or [''])[0]}")
    checks.equal(f"{node}: {what}: the node is exactly as before", changes(before, look(node)), [])
    again = lab.lbctl(node, "apply")
    checks.that(f"{node}: the old file finds nothing to do", "nothing to do" in again.stdout, again.stdout)


SCENARIOS = [not_confirmed, killed, confirmed, adopted, failing_changes]
