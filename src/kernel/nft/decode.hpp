// From nf_tables' messages to the model. Pure: bytes in, values out.
#pragma once

#include <linux/netlink.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "lbctl/model/nft.hpp"
#include "table_text.hpp"

namespace lbctl::kernel::nft {

/// What a series of dumps said of lbctl's tables; other tables in it are passed over.
struct TableDump {
  bool present = false;
  TableText text;
  std::map<std::string, std::vector<std::uint64_t>> packets;  ///< that rules counted, by chain
  /// Those that elements counted, by set.
  std::map<std::string, std::map<Octets, std::uint64_t>> found;
  std::optional<std::uint32_t> server_index;         ///< of the first fwd rule
  std::map<std::string, model::SourceLimit> limits;  ///< of its rules, not yet what they are for
};
struct Dump {
  TableDump forward, marks;
  TableDump& of(TableId id) { return id == TableId::forward ? forward : marks; }
};

/// Takes one answer of a dump of tables, chains, sets, rules or elements. What is not well formed
/// or not of the kinds that lbctl uses becomes a line that no table of lbctl has, so that the table
/// counts as changed by hand.
void take_message(const nlmsghdr& message, Dump& dump);

/// NFTA_GEN_ID of a generation message; 0 if it has none.
std::uint32_t generation(const nlmsghdr& message);

struct Decoded {
  model::NftState state;
  std::optional<model::SignalCounters> counters;  ///< if the forward's table stands, intact
};

using NameOfIndex = std::function<std::optional<std::string>(std::uint32_t)>;
using DeviceExists = std::function<bool(const std::string&)>;

/// Since Linux 6.16 a chain keeps the name of a device that went away; such a name is not hooked
/// to anything and is left out.
Decoded decode(const Dump& dump, const NameOfIndex& name_of, const DeviceExists& exists);

}  // namespace lbctl::kernel::nft
