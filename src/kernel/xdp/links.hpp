// The network devices of this namespace and the XDP programs on them (RTM_GETLINK).
#pragma once

#include <linux/netlink.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lbctl/base/result.hpp"
#include "lbctl/model/xdp.hpp"

namespace lbctl::kernel::xdp {

struct Link {
  std::uint32_t index = 0;
  std::string name;
  std::optional<model::MacAddress> mac;  ///< nothing: not an Ethernet-like device
  std::string kind;                      ///< "veth", …; empty for hardware
  std::uint32_t master = 0;              ///< interface index of its bridge or bond; 0: none
  std::uint32_t program = 0;             ///< id of the XDP program attached; 0: none
  model::XdpMode mode = model::XdpMode::automatic;  ///< of that program
};

/// One message of the dump.
Result<Link> decode_link(const nlmsghdr& message);

Result<std::vector<Link>> read_links();

}  // namespace lbctl::kernel::xdp
