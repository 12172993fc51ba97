// IPVS by generic netlink (net/netfilter/ipvs/ip_vs_ctl.c).
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "lbctl/kernel/backend.hpp"
#include "lbctl/model/flow.hpp"
#include "lbctl/model/ipvs.hpp"

namespace lbctl::kernel {

/// The IPVS of the caller's network namespace. Opening does not touch the module ip_vs: that is
/// loaded, where the kernel can, by the first observe() with scope.ipvs or the first execute().
/// Without IPVS these fail with Errc::unsupported.
///
/// observe() gives every TCP, UDP and firewall-mark service, ours and foreign alike. SCTP services
/// are left out (the model has no word for them; lbctl never touches them). Weights above 65535,
/// which only other tools set, read as 65535.
///
/// execute() sends up to 128 operations in one system call, and the kernel carries out all of
/// them, also those after a refused one. So when it fails, [0, done) took effect, operation `done`
/// was refused, and some later ones may have taken effect as well: a note tells how many and
/// which. What stays true all the same: no operation that takes
/// capacity away (a removal, a weight of 0) is sent before all additions and edits ahead of it in
/// the run are known to have succeeded. Removing what is already gone is done, with a note.
Result<std::unique_ptr<Backend>> open_ipvs();

/// The entries of these flows in the table of connections. It is read as text, once
/// (/proc/net/ip_vs_conn; netlink has none), about a second for a million connections. Flows
/// without an entry are left out; where IPVS is not loaded none has one.
Result<std::map<model::Flow, model::IpvsConnection>> find_connections(
    std::span<const model::Flow> flows);

/// A line of that file, as ip_vs_conn_seq_show() writes it; nothing for its title and for SCTP.
std::optional<std::pair<model::Flow, model::IpvsConnection>> decode_connection(
    std::string_view line);

}  // namespace lbctl::kernel
