"""Servers leave while connections use them: none is dropped before its time, none begins there."""

import time
from collections import Counter

from labkit import Lab, client_mptcp, mptcp_counters, on, run, settles, wait_for
from livekit import Cluster, Drip, Talk, connections, document, end_drips, plain, quick_ends, web, weights
from quickit import H3Servers, use_uplink

ALL = {"rs1": 1, "rs2": 1, "rs3": 1}
WITHOUT_RS2 = {"rs1": 1, "rs3": 1}
NOTHING = "nothing to do"


def leaving(lab, node="dir1"):
    """What status -j says is on its way out, by object."""
    return {entry["object"]: entry for entry in document(lab, node, "status")["leaving"]}


def none_new(checks, lab, what, count=12, port=80):
    """New connections are all served, and not by rs2."""
    for family in (4, 6):
        reports = lab.connect(family, count, "--timeout", "10s", port=port)
        checks.equal(f"{what}: {count} new connections over IPv{family} are served, none by rs2",
                     [(r["server"], r.get("error")) for r in reports
                      if r.get("error") or r["server"] not in WITHOUT_RS2], [])


def gone(lab, limit=30):
    """Applies until the director has nothing of rs2 left; what the last apply did."""
    def once():
        done = lab.lbctl("dir1", "apply")
        return not weights(lab, "rs2") and done.stdout
    return wait_for("rs2's destinations go", once, limit)


def leaves_the_file(checks):
    """a server leaves the file: its connections live on, it gets no new ones, and goes when they have ended"""
    with Lab() as lab:
        cluster = Cluster({"plain": plain(ALL), "web": web(ALL)})
        cluster.write()
        lab.apply()
        quick_ends(lab)
        lab.serve_echo(80)
        talks = [Talk(lab, 4, 9), Talk(lab, 6, 6)]
        shares = [Counter(talk.connected()) for talk in talks]
        checks.equal("9 and 6 long connections, spread over 3 servers", shares,
                     [Counter(rs1=3, rs2=3, rs3=3), Counter(rs1=2, rs2=2, rs3=2)])

        cluster.services = {"plain": plain(WITHOUT_RS2), "web": web(WITHOUT_RS2)}
        cluster.write()
        plan = lab.lbctl("dir1", "plan").stdout
        for line in ("~ ipvs tcp 192.0.2.100:80 -> 192.0.2.12:80  weight 1 -> 0"
                     "  (not in the file; 3 connections to drain)",
                     "~ ipvs tcp [2001:db8:100::100]:80 -> [2001:db8:100::12]:80  weight 1 -> 0"
                     "  (not in the file; 2 connections to drain)"):
            checks.that(f"plan says: {line}", line in plan.splitlines(), plan)
        lab.apply("dir1")
        checks.equal("apply sets weight 0, and keeps only the destinations that have connections",
                     weights(lab, "rs2"), {"TCP 192.0.2.100:80": 0, "TCP [2001:db8:100::100]:80": 0})
        lab.apply("rs2")
        checks.equal("all connections go on, also when the server itself has applied",
                     [talk.failed_later() for talk in talks], [0, 0])
        none_new(checks, lab, "while it drains")
        left = leaving(lab)
        checks.equal("status -j: on its way out, with connections",
                     {name: entry.get("connections") for name, entry in left.items()},
                     {"tcp 192.0.2.100:80 -> 192.0.2.12:80": 3,
                      "tcp [2001:db8:100::100]:80 -> [2001:db8:100::12]:80": 2})
        checks.that("and the time left, out of 5 minutes",
                    all(200 < entry["seconds_left"] <= 300 for entry in left.values()), left)
        text = lab.lbctl("dir1", "status").stdout
        checks.that("status says it in words",
                    "on its way out" in text and "192.0.2.12:80  3 connections, at most 4m" in text, text)
        checks.equal("the server keeps the VIPs that connections use",
                     sorted(name for name in leaving(lab, "rs2") if name.endswith("100")),
                     ["192.0.2.100", "2001:db8:100::100"])
        for node in ("dir1", "rs2"):
            again = lab.lbctl(node, "apply")
            checks.that(f"{node}: a second apply does nothing", NOTHING in again.stdout, again.stdout)

        reports = [report for talk in talks for report in talk.stop()]
        checks.equal("no connection ever failed", [r for r in reports if r.get("error")], [])
        checks.that("and all exchanged data many times", all(r["exchanges"] > 5 for r in reports), reports)
        done = gone(lab)
        checks.that("when they have ended an apply removes the destination",
                    "- ipvs tcp 192.0.2.100:80 -> 192.0.2.12:80  (not in the file)" in done
                    or not connections(lab, "rs2"), done)
        checks.equal("nothing is on its way out any more", leaving(lab), {})
        lab.apply("rs2")
        checks.equal("nor TCP's addresses on the server",
                     [name for name in leaving(lab, "rs2") if name.startswith("192.0.2.112")], [])


def deadline(checks):
    """[drain] tcp = "5s": after that an apply removes the server, and what is left is cut off"""
    with Lab() as lab:
        cluster = Cluster({"plain": plain(ALL)}, drain={"tcp": "5s"})
        cluster.write()
        lab.apply()
        lab.serve_echo(80)
        talk = Talk(lab, 4, 9)
        talk.connected()
        cluster.services = {"plain": plain(WITHOUT_RS2)}
        cluster.write()
        lab.apply("dir1")
        lab.edit_config({'tcp = "5s"': 'tcp = "1h"'})
        entry = leaving(lab)["tcp 192.0.2.100:80 -> 192.0.2.12:80"]
        checks.that("a deadline that was set stays, whatever the file says later", entry["seconds_left"] <= 5, entry)
        time.sleep(entry["seconds_left"] + 1)
        checks.equal("no apply, no cut: all go on", talk.failed_later(1), 0)
        line = ("- ipvs tcp 192.0.2.100:80 -> 192.0.2.12:80  (the time to drain is over; 3 connections cut off)")
        plan = lab.lbctl("dir1", "plan").stdout
        checks.that("plan counts the connections that will be cut off", line in plan.splitlines(), plan)
        cut = [o for o in document(lab, "dir1", "plan")["operations"] if o["reason"] == "deadline"]
        checks.equal("and so does plan -j", [o["disruption"] for o in cut], [{"connections": 3, "effect": "cut"}])
        done = lab.lbctl("dir1", "apply").stdout
        checks.that("apply does that", line in done.splitlines(), done)
        checks.equal("the destination is gone", weights(lab, "rs2"), {})
        wait_for("the cut connections end", lambda: talk.failed_later(1) >= 3, 30)
        reports = talk.stop()
        checks.equal("its 3 connections are cut off at once, nobody else's",
                     Counter(r["server"] for r in reports if r.get("error")), Counter(rs2=3))
        checks.note(str(sorted({r["error"] for r in reports if r.get("error")})))
        again = lab.lbctl("dir1", "apply")
        checks.that("then there is nothing to do", NOTHING in again.stdout, again.stdout)


def maglev_trap(checks):
    """mh without its fallback flag: while a server drains no new connection is refused"""
    with Lab() as lab:
        cluster = Cluster({"plain": plain(ALL, scheduler="mh", flags=["mh-port"])})
        cluster.write()
        lab.apply()
        quick_ends(lab)
        lab.serve_echo(80)
        talk = Talk(lab, 4, 15)
        shares = Counter(talk.connected())
        checks.that("rs2 has a share", shares["rs2"] > 0, shares)
        cluster.services = {"plain": plain(WITHOUT_RS2, scheduler="mh", flags=["mh-port"])}
        cluster.write()
        done = lab.lbctl("dir1", "apply").stdout
        checks.that("the fallback flag comes with the drain, and before weight 0",
                    0 <= done.find("(mh-fallback, mh-port)") < done.find("weight 1 -> 0"), done)
        none_new(checks, lab, "mh-port alone", count=30)
        checks.equal("the old ones go on", talk.failed_later(), 0)
        talk.stop()
        gone(lab)
        checks.equal("with the drain the flag goes",
                     [line for line in on("dir1", "ipvsadm", "-Sn").stdout.splitlines() if "fallback" in line], [])
        none_new(checks, lab, "afterwards", count=30)


def drain_command(checks):
    """drain, --service, --until, --deadline, --wait, --persist, undrain; the intent survives an apply"""
    with Lab() as lab:
        cluster = Cluster({"plain": plain(ALL), "web": web(ALL, scheduler="mh", flags=["mh-port", "mh-fallback"])})
        cluster.write()
        lab.apply()
        quick_ends(lab)
        lab.serve_echo(80)
        full = weights(lab, "rs2")
        talk = Talk(lab, 4, 9)
        talk.connected()

        dry = lab.lbctl("dir1", "drain", "rs2", "--service", "plain", "--dry-run").stdout
        checks.that("--dry-run shows it, and touches nothing",
                    "(drain asked for; 3 connections to drain)" in dry and weights(lab, "rs2") == full, dry)
        lab.lbctl("dir1", "drain", "rs2", "--service", "plain", "--deadline", "1h")
        want = {name: weight for name, weight in full.items() if not name.endswith(":80")}
        checks.equal("--service: only that one's; idle destinations go, used ones have weight 0",
                     weights(lab, "rs2"), want | {"TCP 192.0.2.100:80": 0})
        left = leaving(lab)
        checks.that("--deadline: an hour", [e["reason"] for e in left.values()] == ["drain_asked"]
                    and all(3500 < e["seconds_left"] <= 3600 for e in left.values()), left)
        again = lab.lbctl("dir1", "apply").stdout
        checks.that("an apply leaves the drain in force", NOTHING in again, again)
        drains = document(lab, "dir1", "status")["drains"]
        checks.equal("status lists it", [(d["server"], d["service"], d["seconds"], d["persistent"]) for d in drains],
                     [("rs2", "plain", 3600, False)])
        none_new(checks, lab, "during the drain")

        lab.lbctl("dir1", "undrain", "rs2")
        checks.equal("undrain: the weights are back", weights(lab, "rs2"), full)
        checks.equal("and all connections went on", talk.failed_later(), 0)
        refused = lab.lbctl("dir1", "undrain", "rs2", check=False)
        checks.that("a second undrain is an error", refused.returncode == 1 and "no drain of server rs2" in
                    refused.stderr, refused.stderr)
        for words, says in ((("drain", "rs9"), 'no server "rs9"'),
                            (("drain", "rs2", "--service", "x"), 'no service "x"')):
            refused = lab.lbctl("dir1", *words, check=False)
            checks.that(f"{' '.join(words)}: an error", refused.returncode == 1 and says in refused.stderr,
                        refused.stderr)
        refused = lab.lbctl("rs1", "drain", "rs2", check=False)
        checks.that("on a real server: an error", refused.returncode == 1, refused.stdout)

        until_and_wait(checks, lab, talk, full)
        persistent(checks, lab, full)


def until_and_wait(checks, lab, talk, full):
    lab.lbctl("dir1", "drain", "rs2", "--until", "2")
    checks.equal("--until 2: with 3 connections it drains", weights(lab, "rs2"), {"TCP 192.0.2.100:80": 0})
    # The later drain takes the place of the earlier.
    waiting = lab.start("dir1", *lab.lbctl_words("dir1", "drain", "rs2", "--wait"), log=f"{lab.folder}/wait.log")
    wait_for("drain --wait says how many are left",
             lambda: "server rs2: 3 connections left, at most 4m" in read(f"{lab.folder}/wait.log"))
    checks.equal("--wait waits, and the connections go on", (talk.failed_later(), waiting.poll()), (0, None))
    talk.stop()
    checks.equal("--wait ends with 0 when the server is idle", waiting.wait(timeout=40), 0)
    checks.that("and says so", "server rs2: idle" in read(f"{lab.folder}/wait.log"), read(f"{lab.folder}/wait.log"))
    checks.equal("rs2 is out of all services", weights(lab, "rs2"), {})
    lab.lbctl("dir1", "undrain", "rs2")
    checks.equal("undrain brings it back", weights(lab, "rs2"), full)

    talk = Talk(lab, 4, 3)
    talk.connected()
    lab.lbctl("dir1", "drain", "rs2", "--until", "1")
    checks.equal("--until 1: with one connection it is idle enough", weights(lab, "rs2"), {})
    lab.lbctl("dir1", "undrain", "rs2")
    talk.stop()
    talk = Talk(lab, 4, 3)
    talk.connected()
    done = lab.lbctl("dir1", "drain", "rs2", "--deadline", "3s", "--wait", check=False)
    checks.that("--wait ends with 1 when the time is over first",
                done.returncode == 1 and "connections were cut off" in done.stderr, done.stderr)
    talk.stop()
    lab.lbctl("dir1", "undrain", "rs2")


def persistent(checks, lab, full):
    folder = f"{lab.folder}/persist"
    lab.lbctl("dir1", "--persist-dir", folder, "drain", "rs2", "--persist")
    run("find", "/run/lbctl", "-maxdepth", 2, "-name", "drains.json", "-delete")  # as after a reboot
    lab.lbctl("dir1", "--persist-dir", folder, "apply")
    checks.equal("--persist: in force without what /run had", weights(lab, "rs2"), {})
    lab.lbctl("dir1", "--persist-dir", folder, "undrain", "rs2")
    checks.equal("undrain takes a persistent one back, too", weights(lab, "rs2"), full)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def joins_and_moves(checks):
    """a drained server: MPTCP connections still get joins at its signal address, QUIC clients may move"""
    with Lab() as lab:
        Cluster({"web": web(ALL, scheduler="rr")}).write()
        lab.apply()
        lab.serve_echo()
        client_mptcp("accept")
        talk = Talk(lab, 4, 6, "--want-subflows", "2", port=443)
        checks.equal("6 MPTCP connections", Counter(talk.connected()), Counter(rs1=2, rs2=2, rs3=2))
        servers = H3Servers(lab)
        use_uplink(4, 0)
        drips = []
        for number in range(3):
            drips.append(Drip(lab, 4, number, "--change-local-addr=12s", "--timeout=20s"))
            wait_for("a QUIC connection", lambda: len(servers.events("request")) == len(drips))
        checks.equal("3 QUIC connections", Counter(server for server, _ in servers.events("request")),
                     Counter(rs1=1, rs2=1, rs3=1))
        lab.lbctl("dir1", "drain", "rs2")
        drained = weights(lab, "rs2")
        checks.equal("both drain", drained, {"TCP 192.0.2.100:443": 0, "UDP 192.0.2.100:443": 0})
        before = mptcp_counters("rs2")["MPJoinAckRx"]
        client_mptcp("fullmesh")
        joins = settles(lambda: mptcp_counters("rs2")["MPJoinAckRx"] - before >= 2, True, 20)
        checks.that("every MPTCP connection there gets a new subflow from the second uplink", joins,
                    mptcp_counters("rs2")["MPJoinAckRx"] - before)
        use_uplink(4, 1)
        wait_for("the clients move", lambda: len(servers.events("path_change")) == 3)
        checks.equal("the moved QUIC clients came to other servers, which handed them on",
                     [e["new"].startswith("203.0.113.2") for s, e in servers.events("path_change") if s == "rs2"],
                     [True])
        checks.equal("the MPTCP connections go on", talk.failed_later(), 0)
        end_drips(servers)
        for drip in drips:
            drip.wait()
        use_uplink(4, 0)
        checks.equal("every QUIC connection got its answer to the end from one server",
                     [(e["reason"], s) for s, e in servers.events("close") if e["reason"] != "closed by the client"]
                     + [drip.lines() for drip in drips if drip.lines()[1] < 8], [])
        checks.equal("no join met a server that does not know it",
                     [mptcp_counters(server)["MPJoinNoTokenFound"] for server in lab.servers], [0, 0, 0])
        talk.stop()


SCENARIOS = [leaves_the_file, deadline, maglev_trap, drain_command, joins_and_moves]
