"""What an apply of 10,000 destinations asks of the kernel, counted from outside by an nlmon device."""

import json
import os

import bigfile
from labkit import HERE, LBCTL, Lab, on

SERVICES = 1000
DESTINATIONS = SERVICES * bigfile.SERVERS


def requests(lab, weight):
    """What `apply` printed, and its IPVS requests by kind."""
    path = os.path.join(lab.folder, "big.toml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(bigfile.text(SERVICES, weight=weight))
    done = on("dir1", os.path.join(HERE, "netlink_count"), "IPVS", "--", LBCTL, "-f", path, "--node", "dir1", "apply")
    said, counts = done.stdout.rstrip("\n").rsplit("\n", 1)
    return said, json.loads(counts)


def changes(counts):
    return {kind: number for kind, number in counts.items() if not kind.startswith("GET_")}


def requests_of_an_apply(checks):
    """from empty one request an object, nothing for nothing, one for one changed weight"""
    with Lab(servers=1) as lab:
        _, counts = requests(lab, 1)
        checks.equal("from empty: each service and each destination is added by one request",
                     changes(counts), {"NEW_SERVICE": SERVICES, "NEW_DEST": DESTINATIONS})
        said, counts = requests(lab, 1)
        checks.that("a second apply says that there is nothing to do", "nothing to do" in said, said)
        checks.equal("and changes nothing, and reads every list once",
                     counts, {"GET_SERVICE": 1, "GET_DEST": SERVICES})
        said, counts = requests(lab, 2)
        checks.that("one changed weight is one change", "1 change made" in said, said)
        checks.equal("and one request that changes something", changes(counts), {"SET_DEST": 1})
        lab.lbctl("dir1", "down")


SCENARIOS = [requests_of_an_apply]
