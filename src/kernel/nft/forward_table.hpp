// What `table netdev lbctl` consists of, as libnftnl objects. rules/director-forward.nft is the
// same for people, with the reasons.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lbctl/model/nft.hpp"
#include "table.hpp"

namespace lbctl::kernel::nft {

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

/// Those that every table has where anything is forwarded.
std::span<const SetShape> forward_sets();

/// Of a VIP with a port for each server; IPv4 only.
struct PortSetNames {
  const char* signal;  ///< map: VIP and port -> real server
  const char* error;   ///< the same for what ICMP quotes: nft does not take a raw number for a port
  const char* join_only;  ///< set: VIPs and ports that take joins only
  const char* icmp;       ///< set: types of ICMP errors
};
inline constexpr PortSetNames port_names{"signal_port4", "signal_error4", "join_only_port4",
                                         "icmp_error4"};

/// Elements of every set for this forward, by set name; the ICMP types among them.
std::map<std::string, Elements> forward_elements(const model::SignalForward& forward);

/// An address and a port as a key, and back.
Octets port_key(const model::EndpointKey& key);
std::optional<model::EndpointKey> endpoint_of(const Octets& octets);

/// The table without elements. `server_index` is the interface index of forward.server_device, if
/// it has one.
TableObjects make_forward_table(const model::SignalForward& forward, std::uint32_t server_index);

}  // namespace lbctl::kernel::nft
