// What the resolve step needs to know of the machine and cannot read in the file.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "lbctl/model/address.hpp"
#include "lbctl/model/cid.hpp"
#include "lbctl/model/units.hpp"

namespace lbctl::model {

struct LinkFacts {
  std::uint32_t index = 0;
  MacAddress mac;
  std::string kind;  ///< "veth", "vlan", …; empty for hardware
  bool up = false;
  std::uint32_t mtu = 0;  ///< octets; 0: not known
};

/// Where packets to an address leave.
struct NextHop {
  std::string device;
  IpAddress address;  ///< of the gateway; the address itself where there is none
  friend bool operator==(const NextHop&, const NextHop&) = default;
};

/// What mptcpizing depends on.
struct UnitFacts {
  bool socket_hook =
      false;             ///< update_socket_protocol takes BPF programs; told only where it matters
  bool library = false;  ///< libmptcpwrap is installed
  std::map<std::string, MptcpizedUnit> by_hand;  ///< what `lbctl mptcpize` was told
};

struct NodeFacts {
  std::string host_name;  ///< as gethostname(2) gives it
  std::map<std::string, LinkFacts> links;
  std::set<IpAddress> local_addresses;
  std::map<IpAddress, MacAddress> neighbours;  ///< resolved ones only, any device
  std::map<IpAddress, NextHop> next_hops;      ///< of addresses that were asked about
  std::string xdp_program;                     ///< digest of the BPF object in this binary
  std::map<std::string, CidKey> cid_keys;      ///< by the path of their file
  UnitFacts units;
};

}  // namespace lbctl::model
