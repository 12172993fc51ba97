"""The value of a BPF array map, read from the kernel by its type information (BTF). `bpftool map dump` puts the
megabytes of the steering tables into JSON, which takes a machine without KVM a quarter of a minute each time."""

import ctypes
import json
import os
import struct

from labkit import run

SYS_BPF = 321  # x86_64
MAP_LOOKUP_ELEM, MAP_GET_FD_BY_ID = 1, 14
LIBC = ctypes.CDLL(None, use_errno=True)


def bpf(command, attributes):
    buffer = ctypes.create_string_buffer(attributes, 128)
    result = LIBC.syscall(SYS_BPF, command, buffer, 128)
    if result < 0:
        raise OSError(ctypes.get_errno(), f"bpf({command})")
    return result


class View:
    """A value of some type at its place: members by name, elements by number; numbers are given as they are."""

    def __init__(self, types, octets, type_id, at):
        self.types, self.octets, self.type, self.at = types, octets, types[type_id], at

    def __len__(self):
        return self.type["nr_elems"]

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __getitem__(self, key):
        if self.type["kind"] == "ARRAY":
            if isinstance(key, slice):
                return [self[i] for i in range(*key.indices(len(self)))]
            element = self.type["type_id"]
            return self.of(element, self.at + key * self.size(element))
        member = next(one for one in self.type["members"] if one["name"] == key)
        return self.of(member["type_id"], self.at + member["bits_offset"] // 8)

    def bare(self, type_id):
        """Without typedef, const and volatile."""
        while self.types[type_id]["kind"] in ("TYPEDEF", "CONST", "VOLATILE"):
            type_id = self.types[type_id]["type_id"]
        return type_id

    def size(self, type_id):
        of = self.types[self.bare(type_id)]
        return of["nr_elems"] * self.size(of["type_id"]) if of["kind"] == "ARRAY" else of["size"]

    def of(self, type_id, at):
        type_id = self.bare(type_id)
        of = self.types[type_id]
        if of["kind"] in ("INT", "ENUM"):
            return struct.unpack_from({1: "<B", 2: "<H", 4: "<I", 8: "<Q"}[of["size"]], self.octets, at)[0]
        return View(self.types, self.octets, type_id, at)


def variable(map_id, name):
    """A global variable of a BPF program, in the map that holds it."""
    shown = json.loads(run("bpftool", "-j", "map", "show", "id", map_id).stdout)
    types = {one["id"]: one for one in
             json.loads(run("bpftool", "-j", "btf", "dump", "id", shown["btf_id"]).stdout)["types"]}
    key, value = ctypes.c_uint32(0), ctypes.create_string_buffer(shown["bytes_value"])
    fd = bpf(MAP_GET_FD_BY_ID, struct.pack("<I", map_id))
    bpf(MAP_LOOKUP_ELEM, struct.pack("<IIQQQ", fd, 0, ctypes.addressof(key), ctypes.addressof(value), 0))
    os.close(fd)
    section = next(one for one in types.values() if one["kind"] == "DATASEC" and one["name"] == ".bss")
    for one in section["vars"]:
        if types[one["type_id"]]["name"] == name:
            octets = value.raw
            return View(types, octets, one["type_id"], 0).of(types[one["type_id"]]["type_id"], one["offset"])
    raise KeyError(name)
