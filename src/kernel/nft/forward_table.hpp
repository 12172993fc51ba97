// What `table netdev lbctl` consists of, as libnftnl objects. rules/director-forward.nft is the
// same for people, with the reasons.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "lbctl/model/nft.hpp"
#include "nftnl.hpp"

namespace lbctl::kernel::nft {

/// Key octets to value octets (empty in a plain set), network order.
using Octets = std::vector<std::uint8_t>;
using Elements = std::map<Octets, Octets>;

/// The sets of the table; what is per family is named once for each.
struct SetNames {
  const char* signal;     ///< map: signal address -> real server
  const char* join_only;  ///< set: signal addresses that take joins only
  const char* icmp;       ///< set: ICMP types that are brought home too
};
inline constexpr SetNames names_v4{"signal4", "join_only4", "icmp4"};
inline constexpr SetNames names_v6{"signal6", "join_only6", "icmp6"};
constexpr const SetNames& names(model::Family family) {
  return family == model::Family::v4 ? names_v4 : names_v6;
}

/// nft's numbers for data types (its datatype.h); the kernel stores them and reads nothing in
/// them, nft needs them to list a set.
struct SetShape {
  const char* name;
  std::uint32_t key_type, key_octets;
  std::uint32_t data_type = 0, data_octets = 0;  ///< 0: not a map
};
const std::array<SetShape, 6>& set_shapes();

struct ForwardTable {
  TableHandle table;
  std::vector<ChainHandle> chains;
  std::vector<SetHandle> sets;
  std::vector<RuleHandle> rules;  ///< in their order, the chain is in each
};

/// Elements of every set for this forward, by set name; the ICMP types among them.
std::map<std::string, Elements> forward_elements(const model::SignalForward& forward);

/// The table without elements. `server_index` is the interface index of forward.server_device.
ForwardTable make_forward_table(const std::set<std::string>& client_devices,
                                std::uint32_t server_index);

/// A set object that names one of the table's sets, to carry elements in.
SetHandle make_element_carrier(const std::string& set);
void add_element(nftnl_set& carrier, const Octets& key, const Octets& value);

}  // namespace lbctl::kernel::nft
