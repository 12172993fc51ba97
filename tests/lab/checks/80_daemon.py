"""lbctl daemon: who fails leaves and comes back, drift is mended, no death of the daemon is felt."""

import os
import signal
import subprocess
import time

from chaoskit import Chaos
from daemonkit import QUICK, V4, Daemon, Web, certificate, destinations, echo_on, leaves_and_returns, metric
from labkit import CONFIG, FULL, Lab, on, settles, stop, wait_for, write_config
from livekit import Cluster, Talk, plain, service, web, weights

ALL = {"rs1": 1, "rs2": 1, "rs3": 1}


def kinds(checks):
    """tcp, mptcp, http and https: each sees its service die and come back"""
    with Lab() as lab:
        certificate(lab.folder, "good", "lab.example")
        certificate(lab.folder, "other", "lab.example")
        tls = QUICK | {"type": "https", "path": "/health", "ca_file": f"{lab.folder}/good.pem",
                       "tls_name": "lab.example", "min_tls": "1.3", "verify": True}
        Cluster({
            "plain": service([80], ["tcp"], ALL, vips=V4) | {"check": QUICK | {"type": "tcp"}},
            "joined": service([443], ["mptcp"], ALL, vips=V4) | {"check": QUICK | {"type": "mptcp"}},
            "site": service([8080], ["tcp"], ALL, vips=V4) | {"check": QUICK | {
                "type": "http", "path": "/health", "host": "lab.example", "status": 200,
                "body": "host=lab.example path=/health"}},
            "safe": service([8443], ["tcp"], ALL, vips=V4) | {"check": tls},
        }, daemon={"reconcile": "5s", "metrics": "127.0.0.1:9476"}).write()
        lab.apply(*lab.servers)
        echoes = {server: echo_on(lab, server, 80) for server in lab.servers}
        joined = {server: echo_on(lab, server, 443) for server in lab.servers}
        site, safe = Web(lab, 8080), Web(lab, 8443, tls=True)
        time.sleep(1)
        daemon = Daemon(lab)

        def restart(processes, port, *extra):
            stop(processes["rs2"])
            processes["rs2"] = echo_on(lab, "rs2", port, *extra)

        leaves_and_returns(checks, "tcp, killed process", 80, lambda: stop(echoes["rs2"]),
                           lambda: restart(echoes, 80))
        leaves_and_returns(checks, "tcp, no way back", 80,
                           lambda: on("rs2", "ip", "route", "add", "blackhole", "192.0.2.10"),
                           lambda: on("rs2", "ip", "route", "delete", "blackhole", "192.0.2.10"))
        # The file is still the same: what the daemon took out stays out, whatever is applied.
        stop(echoes["rs2"])
        wait_for("rs2 leaves", lambda: "12" not in destinations(80))
        again = lab.lbctl("dir1", "apply").stdout
        checks.that("an apply by hand beside it leaves it out", "nothing to do" in again, again)
        restart(echoes, 80)
        leaves_and_returns(checks, "mptcp, plain TCP instead", 443, lambda: restart(joined, 443, "--tcp"),
                           lambda: restart(joined, 443))
        checks.that("it says why", "the server speaks TCP without MPTCP" in daemon.said(), daemon.said())
        for mode, what in (("hang", "hung"), ("503 no", "wrong status"), ("200 no", "wrong text")):
            leaves_and_returns(checks, f"http, {what}", 8080, lambda mode=mode: site.tell(mode),
                               lambda: site.tell("ok"))

        def serve(name):
            safe.stop()
            safe.start("rs2", name)

        def impostor():
            serve("other")
            wait_for("the certificate is why", lambda: "certificate: self-signed certificate" in
                     daemon.ask("checks").stdout)

        leaves_and_returns(checks, "https, another's certificate", 8443, impostor, lambda: serve("good"))
        page = metric()
        checks.that("metrics count the answers", 'lbctl_check_answers_total{type="https",address="192.0.2.12",'
                    'port="8443",through="",answer="wrong"}' in page and "lbctl_ipvs_connections_active" in page, page[:2000])
        checks.equal("/healthz is well", metric("healthz").strip(), "ok")


def through_vip(checks):
    """via = "vip": a VIP that the server lacks is seen, by IPv4 and by IPv6; at its own address it is not"""
    with Lab() as lab:
        Cluster({"web": service([443], ["mptcp"], ALL) | {"check": QUICK | {"type": "mptcp", "via": "vip"}},
                 "plain": service([80], ["tcp"], ALL, vips=V4) | {"check": QUICK | {"via": "address"}}},
                daemon={"reconcile": "5s"}).write()
        lab.apply(*lab.servers)
        for server in lab.servers:
            echo_on(lab, server, 80)
            echo_on(lab, server, 443)
        daemon = Daemon(lab)

        def vip(action, address):
            on("rs2", "ip", "address", action, address, "dev", "lo")

        for address in ("192.0.2.100/32", "2001:db8:100::100/128"):
            leaves_and_returns(checks, f"no {address} on the server", 443, lambda a=address: vip("delete", a),
                               lambda a=address: vip("add", a))
        checks.that("it was the way through the VIP that failed", "through 2001:db8:100::100" in daemon.said())
        checks.that("at its own address the server is well", "tcp 192.0.2.12:80" not in daemon.said(), daemon.said())
        checks.equal("the marks' services bring clients to nobody", [r for r in lab.connect(4, 12) if r.get("error")],
                     [])


def signal_goes(checks):
    """joins to a failed server are not brought to it; slow_start, sorry_server, track, fail_open"""
    with Lab() as lab:
        cluster = Cluster({
            "web": web(ALL) | {"check": QUICK | {"type": "tcp", "max_interval": "2s", "start": "up",
                                                 "slow_start": "20s", "on_failure": "drain"}},
            "plain": plain({"rs1": 1, "rs2": 1}) | {"track": "web", "quorum": {"up": 1, "hysteresis": 0},
                                                    "sorry_server": "rs3"},
            "open": service([9000], ["tcp"], ALL) | {"check": QUICK | {"type": "tcp", "port": 9001, "fail_open": 34,
                                                                       "hold_down": "2s"}},
        }, daemon={"reconcile": "5s"})
        cluster.services["web"]["servers"] = {"rs1": 10, "rs2": 10, "rs3": 10}
        cluster.write()
        lab.apply(*lab.servers)
        echoes = {server: echo_on(lab, server, 443) for server in lab.servers}
        opens = {server: echo_on(lab, server, 9001) for server in lab.servers}
        daemon = Daemon(lab)

        def signals():
            return on("dir1", "nft", "-s", "list", "table", "netdev", "lbctl").stdout

        checks.that("joins to rs2 are forwarded", "192.0.2.112 counter : 192.0.2.12" in signals(), signals())
        checks.equal("rs3 is the sorry server only", settles(lambda: destinations(80), {"11": 1, "12": 1}),
                     {"11": 1, "12": 1})
        stop(echoes["rs2"])
        wait_for("rs2 leaves", lambda: weights(lab, "rs2").get("TCP 192.0.2.100:443") is None)
        checks.that("then joins to rs2 are not", "192.0.2.112 counter : 192.0.2.12" not in signals(), signals())
        checks.that("its address stays", "192.0.2.112/32" in on("dir1", "ip", "address", "show").stdout)
        checks.equal("a service that tracks it has left rs2, too", destinations(80), {"11": 1})
        checks.equal("and says so", daemon.standings("plain")["rs2"], "tracked")
        stop(echoes["rs1"])
        checks.equal("without the quorum the sorry server stands in", settles(lambda: destinations(80), {"13": 1}),
                     {"13": 1})
        echoes["rs1"], echoes["rs2"] = echo_on(lab, "rs1", 443), echo_on(lab, "rs2", 443)
        checks.equal("with it, it goes", settles(lambda: destinations(80), {"11": 1, "12": 1}, 20), {"11": 1, "12": 1})
        some = weights(lab, "rs2")["TCP 192.0.2.100:443"]
        checks.that("rs2 begins with a part of its weight", 1 <= some < 10, some)
        wait_for("it has all of it", lambda: weights(lab, "rs2").get("TCP 192.0.2.100:443") == 10, 40)
        checks.that("joins come again", "192.0.2.112 counter : 192.0.2.12" in signals(), signals())
        stop(opens["rs1"])
        checks.equal("one of three fails: it leaves", settles(lambda: sorted(destinations(9000)), ["12", "13"], 20),
                     ["12", "13"])
        stop(opens["rs2"])
        checks.equal("fewer than fail_open: all are used", settles(lambda: sorted(destinations(9000)),
                     ["11", "12", "13"], 20), ["11", "12", "13"])


def drift(checks):
    """what somebody else takes away comes back; a wrong file changes nothing; SIGHUP and watch"""
    with Lab() as lab:
        cluster = Cluster({"web": web(ALL), "plain": plain(ALL)}, daemon={"reconcile": "3s", "watch": True})
        cluster.write()
        lab.apply(*lab.servers)
        daemon = Daemon(lab)
        want = on("dir1", "ipvsadm", "-Sn").stdout
        rules = on("dir1", "nft", "-s", "list", "ruleset").stdout

        def kernel():
            return (on("dir1", "ipvsadm", "-Sn").stdout, on("dir1", "nft", "-s", "list", "ruleset").stdout,
                    "192.0.2.100/32" in on("dir1", "ip", "address").stdout)

        whole = (want, rules, True)
        checks.that("it stands", "192.0.2.100:443" in want and "192.0.2.111" in rules)
        on("dir1", "ipvsadm", "-C")
        checks.equal("ipvsadm -C is mended", settles(kernel, whole, 20), whole)
        on("dir1", "nft", "flush", "ruleset")
        checks.equal("nft flush ruleset is mended", settles(kernel, whole, 20), whole)
        for _ in range(10):  # the timer may come first by chance
            on("dir1", "ip", "address", "delete", "192.0.2.100/32", "dev", "eth0")
            mended = settles(kernel, whole, 20)
            if mended != whole or "192.0.2.100/32 dev eth0  announced  [an address changed]" in daemon.said():
                break
        checks.equal("a VIP that was taken away is mended", mended, whole)
        checks.that("news of it had it mended, not the timer",
                    "192.0.2.100/32 dev eth0  announced  [an address changed]" in daemon.said(), daemon.said())

        with open(CONFIG, encoding="utf-8") as file:
            right = file.read()
        write_config(right + "\n[services.web]\nno = 1\n")
        wait_for("it says so", lambda: "what ran before stays in force" in daemon.said())
        checks.equal("a wrong file changes nothing", kernel(), whole)
        checks.that("/healthz tells", "HTTP Error 503" in on(
            "dir1", "python3", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:9476/healthz')",
            check=False).stderr)
        checks.equal("reload says so, too", daemon.ask("reload", check=False).returncode, 1)
        on("dir1", "ipvsadm", "-C")
        checks.equal("meanwhile it goes on mending", settles(kernel, whole, 20), whole)
        cluster.services["plain"]["servers"] = {"rs1": 5}
        cluster.write()
        checks.equal("a right file is read when it is written", settles(lambda: destinations(80), {"11": 5}, 20),
                     {"11": 5})
        cluster.daemon["watch"] = False
        cluster.services["plain"]["servers"] = {"rs1": 6}
        cluster.write()
        daemon.process.send_signal(signal.SIGHUP)
        checks.equal("SIGHUP has it read", settles(lambda: destinations(80), {"11": 6}, 20), {"11": 6})
        whole = kernel()
        daemon.kill(signal.SIGTERM)
        checks.equal("stopped, it leaves all in place", kernel(), whole)


def killed(checks):
    """SIGKILL, a new daemon, and SIGTERM, under traffic: no connection fails, nothing is made again"""
    with Lab() as lab:
        cluster = Cluster({"plain": plain(ALL) | {"check": QUICK}}, daemon={"reconcile": "3s"})
        cluster.write()
        lab.apply(*lab.servers)
        echoes = {server: echo_on(lab, server, 80) for server in lab.servers}
        daemon = Daemon(lab)
        talk = Talk(lab, 4, 9)
        talk.connected()
        stop(echoes.pop("rs3"))
        wait_for("rs3 leaves", lambda: "13" not in destinations(80))
        cut = talk.failed_later()
        before = on("dir1", "ipvsadm", "-Sn").stdout
        daemon.kill(signal.SIGKILL)
        daemon.start()
        checks.that("the new daemon changes nothing", "weight" not in daemon.said() and "+ ipvs" not in daemon.said(),
                    daemon.said())
        checks.equal("what was out is out, the rest stands", on("dir1", "ipvsadm", "-Sn").stdout, before)
        checks.equal("no further connection failed", talk.failed_later(), cut)
        reports = lab.connect(4, 12, "--timeout", "5s", port=80)
        checks.equal("new connections are served, none by rs3",
                     [r for r in reports if r.get("error") or r["server"] == "rs3"], [])
        daemon.kill(signal.SIGTERM)
        checks.equal("stopped, it costs no connection either", talk.failed_later(), cut)
        reports = lab.connect(4, 12, "--timeout", "5s", port=80)
        checks.equal("and new ones are served", [r for r in reports if r.get("error") or r["server"] == "rs3"], [])
        talk.stop()


def chaos(checks):
    """a random run with a seed: whatever happens it converges, and requests fail only until harm is seen and mended"""
    with Lab() as lab:
        cluster = Cluster({"web": web(ALL), "plain": plain(ALL) | {"check": QUICK}},
                          daemon={"reconcile": "3s", "watch": True})
        cluster.write()
        lab.apply(*lab.servers)
        echoes = {server: echo_on(lab, server, 80) for server in lab.servers}
        Chaos(checks, lab, cluster, Daemon(lab), echoes).run(600 if FULL else 40)
        plan = settles(lambda: "nothing to do" in lab.lbctl("dir1", "apply").stdout, True, 20)
        checks.that("and an apply finds nothing to do", plan)


def group(checks):
    """[daemon] group: its members may ask, others are hung up on; bad requests hurt nobody"""
    with Lab() as lab:
        Cluster({"plain": plain(ALL)}, daemon={"group": "nogroup", "metrics": "off"}).write()
        daemon = Daemon(lab)
        [socket] = [f"/run/lbctl/{name}" for name in os.listdir("/run/lbctl") if name.endswith(".control")]
        ask = ("import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); "
               "s.sendall(bytes.fromhex(sys.argv[2])); print(s.makefile().readline())")

        def as_user(user, text=b'{"command":"status"}\n'):
            return subprocess.run(["setpriv", "--reuid", user, "--regid", user, "--clear-groups", "python3", "-c", ask,
                                   socket, text.hex()], capture_output=True, text=True, check=False)

        checks.that("a member of the group is answered", '"node":"dir1"' in as_user("65534").stdout)
        checks.that("somebody else is not", "Permission denied" in as_user("12345").stderr)
        for text in (b"\n", b"\xff\n", b"[" * 4000 + b"\n", b"{" * 9000, b'{"command":"drain"}\n'):
            as_user("65534", text)
        checks.that("bad requests hurt nobody", '"node":"dir1"' in as_user("65534").stdout, daemon.said())
        second = lab.lbctl("dir1", "daemon", check=False)
        checks.that("there is one daemon in a network namespace", second.returncode == 1 and
                    "another lbctl daemon runs" in second.stderr, second.stderr)


SCENARIOS = [kinds, through_vip, signal_goes, drift, killed, chaos, group]
