// QUIC steering by XDP: the program's tables, its attachments and its counters. Everything lives
// pinned in a BPF file system, so that it stays when lbctl exits.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lbctl/kernel/backend.hpp"
#include "lbctl/model/xdp.hpp"

namespace lbctl::kernel {

/// Where this network namespace's pins are: a folder of their own in a BPF file system, such as
/// "/sys/fs/bpf/lbctl/netns-4026531840". Made when needed and removed when the last attachment and
/// the last table entry are gone. It must not hold dots: the BPF file system refuses them.
struct XdpPlace {
  std::string pin_dir;
};

/// A BPF file system to pin in: `state_dir`/bpf if that is one (`ip netns exec` mounts a new /sys,
/// which hides the usual one; a sandbox may have made it read-only), else /sys/fs/bpf. Without
/// either: Errc::unsupported, and the mount command as hint.
Result<std::string> find_bpffs(const std::string& state_dir);

/// Digest (FNV-1a, 64 bits, 16 hexadecimal digits) of the BPF object in this binary: what
/// XdpAttachment::program holds when this very program is attached.
std::string program_digest();

/// The XDP backend of the caller's network namespace.
///
/// observe() reads the pinned tables and links, and names the XDP programs of others. A link whose
/// device is gone, or that was detached by hand, is not an attachment. An attachment that no
/// longer works as it should (its device changed its MAC address, or its program uses other tables
/// than the pinned ones) reads with those words in `program`, so that it differs from any wanted
/// one. Tables of an lbctl that lays them out otherwise are not read: apply fills tables of its own
/// and then replaces the program, so that every packet meets the old ones or the new ones, whole.
///
/// execute() changes tables in place, under traffic, by single stores. A program is replaced
/// atomically (BPF_LINK_UPDATE); only a change between native and generic mode detaches it for
/// a moment, with a note. `automatic` attaches generic on veth, where the peer loses what a native
/// XDP_TX sends, else native, else generic; with a note when it is generic. A device with somebody
/// else's program: Errc::conflict. At most 256 services, 4,096 servers, 1,024 of them by
/// tunnels, and 16 devices.
///
/// The one-hop rule takes every frame from a server's MAC address for steered already. So a server
/// must be on the segment itself: with a router's MAC address, all that comes by the router would
/// pass unsteered.
std::unique_ptr<Backend> open_xdp(XdpPlace place);

/// Packets for a steered service by what became of them, over all CPUs. "Passed" packets go to the
/// local stack.
struct XdpCounters {
  std::uint64_t steered = 0;        ///< sent to the server that the connection ID names
  std::uint64_t local = 0;          ///< passed: the connection ID names this server
  std::uint64_t from_peer = 0;      ///< passed: a peer steered it here
  std::uint64_t other_station = 0;  ///< passed: the frame is not for the device's MAC address
  std::uint64_t too_short = 0;      ///< passed: no room for a connection ID
  std::uint64_t unroutable = 0;     ///< passed: the connection ID is not of the service's scheme
  std::uint64_t long_header = 0;    ///< passed: the service keeps those
  std::uint64_t unknown_id = 0;     ///< passed or dropped, as the service wants: no server has it
  std::uint64_t unresolved = 0;     ///< passed: the server's MAC address is not known
  std::uint64_t ttl_expired = 0;    ///< dropped: TTL or hop limit used up
  std::uint64_t too_big = 0;        ///< passed: longer than its tunnel's MTU with the outer header
  std::uint64_t unwrapped = 0;      ///< passed, without the outer header: a peer steered it here
  /// Each with its name, which is that of its member.
  std::vector<std::pair<const char*, std::uint64_t>> named() const;
  XdpCounters& operator+=(const XdpCounters& other);
  friend bool operator==(const XdpCounters&, const XdpCounters&) = default;
};

/// Counted since the tables were made; services and servers since they were added. A change of a
/// service or of a server, and another program over the same tables, leave the counters as they
/// are.
struct XdpFigures {
  XdpCounters total;  ///< of all services, those that were removed too
  std::map<model::SteeredKey, XdpCounters> services;
  std::map<model::ServerId, std::uint64_t> servers;  ///< packets that were sent to each
};

/// Nothing if no steering is set up in `place`. Changes nothing, and may run beside an apply.
Result<std::optional<XdpFigures>> read_xdp_figures(const XdpPlace& place);

}  // namespace lbctl::kernel
