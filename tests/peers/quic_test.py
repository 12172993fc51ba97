#!/usr/bin/python3
"""h3_server with Debian's gtlsclient, in namespaces: clients that change their address.

The server stands like a real server behind DR: the VIP on lo, wildcard sockets. The judges are the
client's own log and the server's event log.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time

from netns import Checks, Lab, events, inside, need_root_and, objects, run, stop, wait_for

CLIENTS = 10
LAYOUT = '{ scheme = "quic-lb", config = 0, id_length = 2, nonce_length = 6 }'
SERVER_ID = 1
OWN_CID = re.compile(r"080001[0-9a-f]{12}")  # config 0, 8 more octets, the id, a nonce
FAMILIES = {
    "IPv4": {"vip": "10.72.0.100", "before": "10.72.1.2", "after": "10.72.1.3", "via": "10.72.1.1",
             "prefix": "10.72.0.100/32"},
    "IPv6": {"vip": "fd72::100", "before": "fd72:1::2", "after": "fd72:1::3", "via": "fd72:1::1",
             "prefix": "fd72::100/128"},
}
PORT = 4433


def build(lab):
    client, server = lab.namespace("client"), lab.namespace("server")
    lab.cable(client, "up1", ["10.72.1.2/24", "10.72.1.3/24", "fd72:1::2/64", "fd72:1::3/64"],
              server, "down1", ["10.72.1.1/24", "fd72:1::1/64"])
    for where in FAMILIES.values():
        run("ip", "-n", server, "address", "add", where["prefix"], "dev", "lo")
        use_source(client, where, where["before"])
    return client, server


def use_source(client, where, source):
    """From now on the client's new sockets get this address: gtlsclient asks the routing table."""
    run("ip", "-n", client, "route", "replace", where["prefix"], "via", where["via"],
        "dev", "up1", "src", source)


def certificate(lab):
    key, certificate_file = lab.file("key.pem"), lab.file("cert.pem")
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
        "-nodes", "-keyout", key, "-out", certificate_file, "-days", "30",
        "-subj", "/CN=lbctl.test", "-addext", "subjectAltName=DNS:lbctl.test")
    return ["--key", key, "--cert", certificate_file]


def serve(lab, binary, namespace, name, server_id, *extra):
    log = lab.file(f"{name}.log")
    process = lab.start(namespace, binary, "--listen", f"0.0.0.0:{PORT},[::]:{PORT}",
                        "--name", name, "--layout", LAYOUT, "--id", server_id, "--log", log, *extra)
    wait_for(f"{name} listens", lambda: len(events(log, "listening")) == 2)
    return process, log


class Client:
    """A gtlsclient that asks for one path; its exit status says nothing, its output all."""

    def __init__(self, lab, namespace, vip, path, *extra):
        self.path = path
        self.output = lab.file(path.replace("/", "client-"))
        with open(self.output, "wb") as output:
            self.process = lab.start(
                namespace, "gtlsclient", "--exit-on-all-streams-close", "--no-quic-dump", *extra,
                vip, PORT, f"https://lbctl.test{path}", output=output)

    def text(self):
        with open(self.output, encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait(self):
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            stop(self.process)
        return self.text()

    def was_answered_by(self, name):
        text = self.text()
        return (":status: 200" in text and f"[server: lbctl-h3 {name}]" in text
                and f"body {len(name) + len(self.path) + 2} bytes" in text)


def issued_cids(output):
    """The server's connection IDs as the client saw them: the SCID of long headers, then frames."""
    scids = re.findall(r"pkt rx .* scid=0x([0-9a-f]+)", output)
    frames = re.findall(r"frm rx .* NEW_CONNECTION_ID\(0x18\) seq=\d+ cid=0x([0-9a-f]+)", output)
    return scids, frames


def check_moves(checks, lab, client, server, h3_server, family, mode):
    """CLIENTS clients at once; each has a new port before it sends its request."""
    where = FAMILIES[family]
    what = f"{family} {mode}"
    process, log = serve(lab, h3_server, server, "rs1", SERVER_ID, *certificate(lab))
    flags = ["--nat-rebinding"] if mode == "rebinding" else []
    clients = [Client(lab, client, where["vip"], f"/{family}-{mode}-{i}", "--delay-stream=300ms",
                      "--change-local-addr=150ms", *flags) for i in range(CLIENTS)]
    outputs = [c.wait() for c in clients]
    status = stop(process)

    checks.equal(f"{what}: every client got 200 and the body from rs1",
                 [c.path for c in clients if not c.was_answered_by("rs1")], [])
    new = {e["scid"]: e["remote"] for e in events(log, "new_connection")}
    requests = {e["scid"]: e["from"] for e in events(log, "request")}
    checks.equal(f"{what}: one connection and one request for each client",
                 (len(new), requests.keys()), (CLIENTS, new.keys()))
    checks.equal(f"{what}: no request came from the address of its handshake",
                 [scid for scid, source in requests.items() if source == new[scid]], [])
    changes = {e["scid"]: (e["old"], e["new"]) for e in events(log, "path_change")}
    checks.equal(f"{what}: every path changed from the handshake's address to the request's",
                 changes, {scid: (new[scid], requests.get(scid)) for scid in new})
    check_cids(checks, what, outputs)
    last = events(log, "exit")[0]
    checks.equal(f"{what}: no unknown DCID, nothing malformed, no send refused, exit 0",
                 (last["unknown_dcid"], last["malformed"], last["send_errors"], status),
                 (0, 0, 0, 0))


def check_cids(checks, what, outputs):
    scids, frames = [], []
    for output in outputs:
        one_scids, one_frames = issued_cids(output)
        scids += one_scids
        frames += one_frames
    checks.equal(f"{what}: the clients saw SCIDs and NEW_CONNECTION_ID frames",
                 (len(scids) >= CLIENTS, len(frames) >= CLIENTS), (True, True))
    checks.equal(f"{what}: every connection ID that they saw names this server",
                 [cid for cid in scids + frames if not OWN_CID.fullmatch(cid)], [])


def check_new_address(checks, lab, client, server, h3_server, family):
    """Not the port alone: the client leaves its IP address."""
    where = FAMILIES[family]
    process, log = serve(lab, h3_server, server, "rs1", SERVER_ID, *certificate(lab))
    moving = Client(lab, client, where["vip"], f"/{family}-new-address",
                    "--change-local-addr=3s", "--delay-stream=4s")
    wait_for("the handshake", lambda: events(log, "handshake"))
    use_source(client, where, where["after"])
    moving.wait()
    use_source(client, where, where["before"])
    stop(process)
    host = [e["from"].rsplit(":", 1)[0].strip("[]") for e in events(log, "request")]
    first = [e["remote"].rsplit(":", 1)[0].strip("[]") for e in events(log, "new_connection")]
    checks.equal(f"{family}: a client that changes its IP address is answered there",
                 (moving.was_answered_by("rs1"), first, host),
                 (True, [where["before"]], [where["after"]]))


def check_drip(checks, lab, client, server, h3_server):
    """A line a second on a connection that moves meanwhile, until the server is told to end it."""
    where = FAMILIES["IPv4"]
    process, log = serve(lab, h3_server, server, "rs1", SERVER_ID, *certificate(lab))
    dripping = Client(lab, client, where["vip"], "/drip/one", "--change-local-addr=2s")
    line = b"rs1 /drip/one\n".hex()
    time.sleep(4)
    still = dripping.process.poll() is None
    process.send_signal(signal.SIGUSR1)
    output = dripping.wait()
    stop(process)
    bodies = re.findall(r"http: stream 0x0 body (\d+) bytes", output)
    checks.equal("drip: a line a second; it goes on after a move, and ends when the server is told",
                 (still, ":status: 200" in output, 4 <= len(bodies) <= 7, set(bodies),
                  [e["reason"] for e in events(log, "close")], len(events(log, "path_change"))),
                 (True, True, True, {str(len(line) // 2)}, ["closed by the client"], 1))


def check_mover(checks, lab, client, server, h3_server, family):
    """Connections that move ten times each, by turns with and without noticing."""
    where = FAMILIES[family]
    process, log = serve(lab, h3_server, server, "rs1", SERVER_ID, *certificate(lab))
    vip = f"[{where['vip']}]:{PORT}" if ":" in where["vip"] else f"{where['vip']}:{PORT}"
    mover = os.path.join(os.path.dirname(h3_server), "h3_mover")
    done = inside(client, mover, vip, "--connections", 4, "--moves", 10,
                  "--sources", f"{where['before']},{where['after']}", check=False)
    stop(process)
    reports = [o for o in objects(done.stdout) if "event" not in o]
    checks.equal(f"{family}, mover: every answer came, from one server",
                 [(r["server"], r["answers"], r["migrations"], r["rebindings"], r["strays"], r["error"])
                  for r in reports], [("rs1", 21, 5, 5, 0, "")] * 4)
    sources = {}
    for event in events(log, "request"):
        sources.setdefault(event["scid"], []).append(event["from"])
    hosts = {where["before"], where["after"]}
    checks.equal(f"{family}, mover: every request came from another port, and by turns from both addresses",
                 [(len(set(seen)), {s.rsplit(":", 1)[0].strip("[]") for s in seen}) for seen in sources.values()],
                 [(11, hosts)] * 4)
    dcids = {e["scid"]: set() for e in events(log, "new_connection")}
    for event in events(log, "cid"):
        dcids[event["scid"]].add(event["cid"])
    checks.equal(f"{family}, mover: each migration used up a connection ID, which the server made good",
                 [scid for scid, cids in dcids.items() if len(cids) < 5 + 6], [])


def check_next_layout(checks, lab, client, server, h3_server):
    """From SIGUSR2 on the server issues other connection IDs, on connections that it has, too."""
    process, log = serve(lab, h3_server, server, "rs1", SERVER_ID, *certificate(lab),
                         "--next-layout", LAYOUT.replace("config = 0", "config = 3"))
    mover = os.path.join(os.path.dirname(h3_server), "h3_mover")
    moving = lab.start(client, mover, f"{FAMILIES['IPv4']['vip']}:{PORT}", "--moves", 100, "--pause", "20ms",
                       output=subprocess.PIPE)
    wait_for("some moves", lambda: len(events(log, "request")) > 5)
    process.send_signal(signal.SIGUSR2)
    wait_for("the other layout", lambda: len([e for e in events(log, "cid") if e["cid"].startswith("68")]) > 5)
    moving.send_signal(signal.SIGTERM)
    report = objects(moving.communicate(timeout=30)[0].decode())[-1]
    stop(process)
    checks.equal("another layout: the connection goes on", (report["error"], report["strays"]), ("", 0))
    first = [e["cid"][:2] for e in events(log, "cid")]
    checks.equal("another layout: all of the first come before all of the second",
                 (first == sorted(first), set(first)), (True, {"08", "68"}))


def check_wrong_server(checks, lab, client, server, h3_server):
    """The client's packets reach another server: what a missing steering looks like."""
    pem = certificate(lab)
    first, log = serve(lab, h3_server, server, "rs1", SERVER_ID, *pem)
    lost = Client(lab, client, FAMILIES["IPv4"]["vip"], "/lost", "--delay-stream=4s")
    # Before this frame the client would repeat its handshake packets, which have long headers.
    wait_for("the client's end of the handshake", lambda: "HANDSHAKE_DONE" in lost.text())
    scids = {e["scid"] for e in events(log, "new_connection")}
    cids = scids | {e["cid"] for e in events(log, "cid")}
    first.kill()
    first.wait()
    second, other_log = serve(lab, h3_server, server, "rs2", 2, *pem)
    unknown = wait_for("an unknown DCID", lambda: events(other_log, "unknown_dcid"))
    stop(lost.process)
    stop(second)
    last = events(other_log, "exit")[0]
    checks.equal("another server: it logs the first server's connection ID as unknown, not its own",
                 (unknown[0]["dcid"] in cids, unknown[0]["own"], unknown[0]["header"]),
                 (True, False, "short"))
    checks.equal("another server: it counts them, resets each, and takes no connection",
                 (last["unknown_dcid"] >= 1, last["resets_sent"] == last["unknown_dcid"],
                  last["connections"]), (True, True, 0))
    checks.equal("another server: the client gets no answer", ":status:" in lost.text(), False)


def check_retry(checks, lab, client, server, h3_server):
    process, log = serve(lab, h3_server, server, "rs1", SERVER_ID, *certificate(lab), "--retry")
    asking = Client(lab, client, FAMILIES["IPv6"]["vip"], "/retry")
    output = asking.wait()
    stop(process)
    retried = re.findall(r"pkt rx .* scid=0x([0-9a-f]+) .* type=Retry", output)
    checks.equal("retry: one Retry, its SCID names this server, then 200",
                 (len(retried), all(OWN_CID.fullmatch(cid) for cid in retried),
                  asking.was_answered_by("rs1")), (1, True, True))
    checks.equal("retry: the log says so", [e["retried"] for e in events(log, "new_connection")],
                 [True])


def check_stateless(checks, lab, client, server, h3_server):
    process, log = serve(lab, h3_server, server, "rs1", SERVER_ID, *certificate(lab),
                         "--idle-timeout", "300ms")
    vip = FAMILIES["IPv4"]["vip"]
    dcid, scid = "aabbccddeeff00112233", "0102030405"
    answer = ask(client, vip, f"c01a2a3a4a0a{dcid}05{scid}".ljust(2400, "0"))
    checks.equal("an unknown version: version 1 is offered, the connection IDs swapped",
                 (answer[2:], int(answer[:2] or "0", 16) >= 0x80),
                 (f"0000000005{scid}0a{dcid}00000001", True))
    answer = ask(client, vip, f"c01a2a3a4a0a{dcid}05{scid}".ljust(2398, "0"))
    checks.equal("an unknown version in less than 1200 octets: no answer", answer, "")
    answer = ask(client, vip, "40080003a1a2a3a4a5a6".ljust(80, "0"))
    checks.equal("an unknown connection ID: a shorter stateless reset",
                 (len(answer) // 2 < 40, int(answer[:2] or "0", 16) & 0xc0), (True, 0x40))
    answer = ask(client, vip, "40080003a1a2a3a4a5a6".ljust(42, "0"))
    checks.equal("an unknown connection ID in 21 octets: no answer", answer, "")

    checks.equal("an empty datagram: no answer", ask(client, vip, ""), "")

    silent = Client(lab, client, vip, "/silent", "--delay-stream=20s")
    wait_for("the handshake", lambda: events(log, "handshake"))
    silent.process.kill()
    closed = wait_for("the idle timeout", lambda: events(log, "close"))
    stop(process)
    checks.equal("a silent client: its connection is closed by the idle timeout",
                 [e["reason"] for e in closed], ["idle timeout"])
    last = events(log, "exit")[0]
    checks.equal("the counters",
                 (last["version_negotiations"], last["unknown_dcid"], last["resets_sent"],
                  last["malformed"]), (1, 2, 1, 2))


def ask(namespace, address, packet):
    return inside(namespace, sys.executable, __file__, "--ask", address, packet).stdout.strip()


def ask_inside(address, packet):
    """Sends one datagram and prints the answer in hexadecimal; nothing when none comes."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.settimeout(0.5)
        sender.connect((address, PORT))
        sender.send(bytes.fromhex(packet))
        try:
            print(sender.recv(2000).hex())
        except TimeoutError:
            pass


def main(build_folder):
    need_root_and("ip", "openssl", "gtlsclient")
    h3_server = os.path.join(build_folder, "h3_server")
    checks = Checks()
    with Lab(os.path.join(build_folder, "quic_test")) as lab:
        client, server = build(lab)
        for family in FAMILIES:
            for mode in ("migration", "rebinding"):
                check_moves(checks, lab, client, server, h3_server, family, mode)
            check_new_address(checks, lab, client, server, h3_server, family)
            check_mover(checks, lab, client, server, h3_server, family)
        check_next_layout(checks, lab, client, server, h3_server)
        check_drip(checks, lab, client, server, h3_server)
        check_wrong_server(checks, lab, client, server, h3_server)
        check_retry(checks, lab, client, server, h3_server)
        check_stateless(checks, lab, client, server, h3_server)
    checks.finish()


if __name__ == "__main__":
    if sys.argv[1] == "--ask":
        ask_inside(sys.argv[2], sys.argv[3])
    else:
        main(sys.argv[1])
