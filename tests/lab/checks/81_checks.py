"""Each kind of check sees its service die and come back: http by header, udp, dns, quic, exec, agent, MPTCP joins."""

import os
import re
import shutil
import signal
import time

from daemonkit import QUICK, V4, Daemon, Web, certificate, destinations, echo_on, leaves_and_returns, metric
from labkit import HERE, Lab, on, settles, stop, wait_for
from livekit import Cluster, service
from quickit import H3Servers

PROGRAMS = "/var/lib/lbctl-lab-programs"
ALL = {"rs1": 10, "rs2": 10, "rs3": 10}
WITH, WITHOUT = {"11": 10, "12": 10, "13": 10}, {"11": 10, "13": 10}


class Answerers:
    """One on every server at a port; each answers as it was told last."""

    def __init__(self, lab, kind, port, text):
        self.lab, self.kind, self.port = lab, kind, port
        self.processes = {}
        for server in lab.servers:
            self.tell(text, server)
            self.start(server)

    def tell(self, text, server="rs2"):
        with open(self.mode(server), "w", encoding="utf-8") as file:
            file.write(text)

    def mode(self, server):
        return f"{self.lab.folder}/{self.kind}-{server}-{self.port}"

    def start(self, server="rs2"):
        self.processes[server] = self.lab.start(server, f"{HERE}/answerer", self.kind, self.port, self.mode(server))

    def stop(self, server="rs2"):
        stop(self.processes[server])


def all_together(checks, deaths):
    """{what: (port, protocol, die, revive)}: rs2 of each service goes, and comes back."""
    def used():
        return {what: destinations(port, protocol) for what, (port, protocol, _, _) in deaths.items()}

    def each(want):
        return dict.fromkeys(deaths, want)

    checks.equal("before, all are used", settles(used, each(WITH), 30), each(WITH))
    for half, want, what in ((2, WITHOUT, "dies: rs2 leaves, nobody else"), (3, WITH, "comes back: rs2, too")):
        began = time.monotonic()
        for death in deaths.values():
            death[half]()
        settles(used, each(want), 30)
        for name, have in used().items():
            checks.equal(f"{name} {what}", have, want)
        checks.note(f"all of them after {time.monotonic() - began:.1f} s")


def datagrams(checks):
    """udp, dns and quic: killed (ICMP port unreachable), and wrong answers; at the VIP and at the server"""
    with Lab() as lab:
        udp = QUICK | {"type": "udp", "send": "ping", "expect": "pong"}
        Cluster({
            "echo": service([9100], ["udp"], ALL, vips=V4) | {"check": udp},
            "through": service([9101], ["udp"], ALL, vips=V4) | {"check": QUICK | {
                "type": "udp", "via": "vip", "send_hex": "0001", "expect_hex": "6f6b"}},
            "silent": service([9102], ["udp"], ALL, vips=V4) | {"check": QUICK | {
                "type": "udp", "via": "vip", "port": 9103}},
            "names": service([53], ["udp"], ALL, vips=V4) | {"check": QUICK | {
                "type": "dns", "via": "vip", "query": "www.example.org", "record": "AAAA"}},
            "h3": service([443], ["quic"], ALL) | {"check": QUICK | {"type": "quic", "via": "vip"}},
        }, daemon={"reconcile": "5s", "metrics": "127.0.0.1:9476"}).write()
        lab.apply(*lab.servers)
        echo, through = Answerers(lab, "udp", 9100, "pong"), Answerers(lab, "udp", 9101, "ok")
        silent, names = Answerers(lab, "udp", 9103, "whatever"), Answerers(lab, "dns", 53, "ok")
        h3 = H3Servers(lab)
        # Beside its service rs2's packets of QUIC come from a program that can be frozen: it hangs.
        frozen = h3.processes[lab.servers.index("rs2")]
        daemon = Daemon(lab)
        all_together(checks, {
            "udp, another answer": (9100, "UDP", lambda: echo.tell("gone"), lambda: echo.tell("pong!")),
            # Only one is killed: a server sends one ICMP error a second to each host (icmp_ratelimit).
            "udp through the VIP, another answer": (9101, "UDP", lambda: through.tell("no"), lambda: through.tell("ok")),
            "udp without an answer, killed": (9102, "UDP", silent.stop, silent.start),
            "dns, SERVFAIL": (53, "UDP", lambda: names.tell("2"), lambda: names.tell("ok")),
            "quic, hung": (443, "UDP", lambda: frozen.send_signal(signal.SIGSTOP),
                           lambda: frozen.send_signal(signal.SIGCONT)),
        })
        said = daemon.said()
        for why in ("udp 192.0.2.12:9100: another answer", "udp 192.0.2.12:9101 through 192.0.2.100: ",
                    "answer: Connection refused", "dns 192.0.2.12:53 through 192.0.2.100: SERVFAIL",
                    "quic 192.0.2.12:443 through 192.0.2.100: no answer in time"):
            checks.that(f"it says why: {why}", why in said, said)
        leaves_and_returns_of(checks, "dns, killed", 53, names)


def leaves_and_returns_of(checks, what, port, answerers):
    began = time.monotonic()
    answerers.stop()
    checks.equal(f"{what}: rs2 leaves", settles(lambda: destinations(port, "UDP"), WITHOUT, 30), WITHOUT)
    answerers.start()
    checks.equal(f"{what}: and comes back", settles(lambda: destinations(port, "UDP"), WITH, 30), WITH)
    checks.note(f"{what}: both within {time.monotonic() - began:.1f} s")


def header_and_tls(checks):
    """http: a HEAD request and a header field; https: the oldest TLS that is taken"""
    with Lab() as lab:
        certificate(lab.folder, "good", "lab.example")
        Cluster({
            "site": service([8080], ["tcp"], ALL, vips=V4) | {"check": QUICK | {
                "type": "http", "method": "HEAD", "header": "x-mode: ^(ok|fine)$"}},
            "safe": service([8443], ["tcp"], ALL, vips=V4) | {"check": QUICK | {
                "type": "https", "method": "OPTIONS", "ca_file": f"{lab.folder}/good.pem", "tls_name": "lab.example",
                "min_tls": "1.3"}},
        }, daemon={"reconcile": "5s"}).write()
        lab.apply(*lab.servers)
        site, safe = Web(lab, 8080), Web(lab, 8443, tls=True)
        time.sleep(1)
        daemon = Daemon(lab)
        all_together(checks, {
            "http, another header": (8080, "TCP", lambda: site.tell("200"), lambda: site.tell("ok")),
            "https, TLS 1.2 only": (8443, "TCP", lambda: safe.tell("tls1.2"), lambda: safe.tell("ok")),
        })
        said = daemon.said()
        checks.that("it says why", "http 192.0.2.12:8080: x-mode does not match" in said and
                    "https 192.0.2.12:8443: TLS: " in said, said)


def program(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\n" + text)
    os.chmod(path, 0o755)


def programs(checks):
    """exec: exit status, hung, and what it may not; quorum commands"""
    with Lab() as lab:
        os.chmod(lab.folder, 0o755)
        # /run may be anybody's: what stands there is not run.
        shutil.rmtree(PROGRAMS, ignore_errors=True)
        os.makedirs(PROGRAMS, 0o755)
        check, hook, told = f"{PROGRAMS}/check", f"{PROGRAMS}/hook", f"{lab.folder}/told"
        program(check, f'test "$(id -un)" = nobody || exit 9\ncd {lab.folder} && read -r how < "on-$LBCTL_SERVER" || '
                       'exit 8\ntest "$how" != hang || sleep 1234\n'
                       'test "$how $LBCTL_SERVICE:$LBCTL_ADDRESS:$LBCTL_PORT" = "$1 run:192.0.2.1${LBCTL_SERVER#rs}:80"\n')
        program(hook, f'echo "$1 $LBCTL_SERVICE $LBCTL_QUORUM" >> {told}\n')

        def tell(text, server="rs2"):
            with open(f"{lab.folder}/on-{server}", "w", encoding="utf-8") as file:
                file.write(text + "\n")

        for server in lab.servers:
            tell("fine", server)
        cluster = Cluster({"run": service([80], ["tcp"], ALL, vips=V4) | {
            "check": QUICK | {"type": "exec", "command": [check, "fine"], "user": "nobody"},
            "quorum": {"up": 30, "up_command": [hook, "reached"], "down_command": [hook, "lost"], "user": "root"}}},
            daemon={"reconcile": "5s"})
        cluster.write()
        lab.apply(*lab.servers)
        daemon = Daemon(lab)
        leaves_and_returns(checks, "exec, exit status 1", 80, lambda: tell("bad"), lambda: tell("fine"), weight=10)
        checks.that("it says why", f"exec {check} for run 192.0.2.12:80: exit status 1" in daemon.said(), daemon.said())
        leaves_and_returns(checks, "exec, hung", 80, lambda: tell("hang"), lambda: tell("fine"), weight=10)
        checks.that("what hung was killed", "killed after 1 s" in daemon.said(), daemon.said())
        checks.equal("with all that it had started", settles(lambda: on("dir1", "pgrep", "-f", "sleep 123[4]", check=False)
                     .stdout, "", 10), "")

        def hooks():
            return open(told, encoding="utf-8").read().splitlines() if os.path.exists(told) else []

        want = ["lost run down", "reached run up"] * 2
        checks.equal("the quorum's commands were run, each time", settles(hooks, want), want)
        zombies = on("dir1", "sh", "-c", f"ps -o stat= --ppid {daemon_pid(daemon)} | grep -c Z", check=False).stdout
        checks.equal("no zombie is left", zombies.strip(), "0")

        os.chmod(check, 0o777)
        tell("bad")
        wait_for("it is not run any more", lambda: "can be written by others than root" in daemon.ask("checks").stdout)
        checks.equal("a program that anybody could write is not run, and nobody leaves for that", destinations(80), WITH)
        shutil.rmtree(PROGRAMS)


def daemon_pid(daemon):
    """`ip netns exec` became it."""
    return daemon.process.pid


def agents(checks):
    """agent: its words, and the weight that it asks for; the next daemon goes on with it"""
    with Lab() as lab:
        Cluster({"web": service([80], ["tcp"], ALL, vips=V4) | {
            "check": QUICK | {"type": "agent", "port": 9777, "send": "rs?\n"}}}, daemon={"reconcile": "5s"}).write()
        lab.apply(*lab.servers)
        agent = Answerers(lab, "agent", 9777, "ready up 100%")
        time.sleep(1)
        daemon = Daemon(lab)

        def says(line, want):
            agent.tell(line)
            checks.equal(f"the agent says {line}", settles(lambda: destinations(80), want, 20), want)

        says("50%", WITH | {"12": 5})
        checks.equal("its standing", daemon.standings("web")["rs2"], "reduced")
        daemon.kill(signal.SIGKILL)
        daemon.start()
        checks.that("the next daemon changes nothing", "weight" not in daemon.said(), daemon.said())
        says("down # disk full", WITHOUT)
        checks.that("it says why", 'agent 192.0.2.12:9777: the agent says "down # disk full"' in daemon.said(),
                    daemon.said())
        says("up 200%", WITH)
        says("drain", WITHOUT)
        checks.equal("which is no failure", daemon.standings("web")["rs2"], "reduced")
        says("ready", WITH)
        agent.stop()
        checks.equal("no agent is a failure", settles(lambda: destinations(80), WITHOUT, 20), WITHOUT)
        # An apply by hand while the daemon is dead brings it back; the next one begins from there.
        daemon.kill(signal.SIGKILL)
        agent.start()
        lab.lbctl("dir1", "apply")
        checks.equal("without a daemon the file alone counts", destinations(80), WITH)
        daemon.start()
        checks.that("the next daemon takes over without a change", "ipvs" not in daemon.said(), daemon.said())
        checks.that("the file's hash", "lbctl_config_hash{hash=" in metric())


def joins(checks):
    """mptcp: the C flag and a join to the signal address, at the server and at the VIP, by both families"""
    with Lab() as lab:
        def cluster(**mptcp):
            check = QUICK | {"type": "mptcp"}
            return Cluster({
                "joined": service([443], ["mptcp"], ALL) | {"check": check, "mptcp": mptcp},
                "through": service([8443], ["mptcp"], ALL) | {"check": check | {"via": "vip"}, "mptcp": mptcp},
            }, daemon={"reconcile": "5s"})

        cluster().write()
        lab.apply(*lab.servers)
        for server in lab.servers:
            echo_on(lab, server, 443)
            echo_on(lab, server, 8443)
        daemon = Daemon(lab)

        def dies_by(what, die, revive, *reasons):
            # Both services see it.
            all_together(checks, {f"mptcp, {what}": (443, "TCP", die, revive),
                                  f"mptcp through the VIP, {what}": (8443, "TCP", nothing, nothing)})
            for why in reasons:
                checks.that(f"it says why: {why}", why in daemon.said(), daemon.said())

        def on_rs2(*words):
            return lambda: on("rs2", *words)

        def limit(subflows):
            return on_rs2("ip", "mptcp", "limits", "set", "subflows", subflows)

        def flag(allowed):
            return on_rs2("sysctl", "-qw", f"net.mptcp.allow_join_initial_addr_port={allowed}")

        def signal6(action):
            return on_rs2("ip", "address", action, "2001:db8:100::112/128", "dev", "lo")

        dies_by("no C flag", flag(1), flag(0), "mptcp 192.0.2.12:443: it answers without the C flag",
                "mptcp [2001:db8:100::12]:8443 through 2001:db8:100::100: it answers without the C flag")
        dies_by("no further subflows", limit(0), limit(2),
                "the join to 192.0.2.112:443 was answered by RST",
                "the join to [2001:db8:100::112]:8443 was answered by RST")
        dies_by("no signal address of IPv6", signal6("delete"), signal6("add"),
                "the join to [2001:db8:100::112]:443 was not answered")
        cluster(via="ipvs").write()
        daemon.ask("reload")

        def by_ipvs():
            return "192.0.2.112:8443" in on("dir1", "ipvsadm", "-Sn").stdout

        checks.that("IPVS has the joins' services", settles(by_ipvs, True))
        dies_by("no further subflows, via = ipvs", limit(0), limit(2))


def handshake(checks):
    """quic: a whole handshake under a connection ID that names the server, at the server and at the VIP"""
    with Lab() as lab:
        check = QUICK | {"type": "quic", "handshake": True, "alpn": "h3", "ca_file": f"{lab.folder}/cert.pem",
                         "tls_name": "lbctl.test", "timeout": "4s", "interval": "4s", "fall": 1}
        Cluster({
            "h3": service([443], ["quic"], ALL) | {"check": check},
            "through": service([8443], ["quic"], ALL) | {"check": check | {"via": "vip"}},
        }, daemon={"reconcile": "5s"}).write()
        lab.apply(*lab.servers)
        h3, through = H3Servers(lab), H3Servers(lab, port=8443)
        daemon = Daemon(lab)
        all_together(checks, {
            "quic, another server's id": (443, "UDP", lambda: h3.restart("rs2", 3), lambda: h3.restart("rs2", 2)),
            # Nobody's, too; with another's, packets through the VIP would go there.
            "quic through the VIP, nobody's id": (8443, "UDP", lambda: through.restart("rs2", 9),
                                                  lambda: through.restart("rs2", 2)),
        })
        said = daemon.said()
        for why in (r"quic 192\.0\.2\.12:443: its connection ID [0-9a-f]{18} names server 3, not 2",
                    r"through 192\.0\.2\.100: its connection ID [0-9a-f]{18} names server 9, not 2",
                    r"through 2001:db8:100::100: its connection ID [0-9a-f]{18} names server 9, not 2"):
            checks.that(f"it says why: {why}", re.search(why, said), said)
        reasons = {event["reason"] for _, event in h3.events("close")}
        checks.equal("connections are closed, not left to time out", reasons, {"closed by the client"})


def nothing():
    pass


SCENARIOS = [datagrams, joins, handshake, header_and_tls, programs, agents]
