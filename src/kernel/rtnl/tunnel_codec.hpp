// Tunnel devices and foo-over-UDP ports as messages (include/uapi/linux/if_tunnel.h, fou.h). Pure.
#pragma once

#include <string>

#include "codec.hpp"
#include "lbctl/model/tunnel.hpp"
#include "netlink/genl.hpp"

namespace lbctl::kernel::rtnl {

struct TunnelLink {
  std::uint32_t index = 0;
  std::string name;
  model::TunnelDevice device;
};

/// Errc::invalid for devices of other kinds, which a reader skips.
Result<TunnelLink> decode_tunnel(const nlmsghdr& message);
/// RTM_NEWLINK: a new device, down, with the settings of new devices.
Result<Message> encode_add_tunnel(const std::string& name, const model::TunnelDevice& device);
/// RTM_SETLINK: up or down, and rp_filter where the device carries IPv4.
Result<Message> encode_set_tunnel(std::uint32_t index, const model::TunnelDevice& device);
Result<Message> encode_remove_tunnel(std::uint32_t index);

struct FouEntry {
  model::FouKey key;
  model::FouPort port;
};
Result<FouEntry> decode_fou(const nlmsghdr& message);
Result<genl::Message> encode_list_fou();
Result<genl::Message> encode_add_fou(const model::FouKey& key, const model::FouPort& port);
Result<genl::Message> encode_remove_fou(const model::FouKey& key);

}  // namespace lbctl::kernel::rtnl
