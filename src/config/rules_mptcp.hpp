// What the mptcp services ask of their servers.
#pragma once

#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "rules_listeners.hpp"

namespace lbctl::config {

using Servers = std::map<std::string_view, const DraftServer*>;

/// Signal addresses belong to servers, who share them among their services; ports belong to VIPs.
class SignalUse {
 public:
  SignalUse(const Servers& servers, Report& report) : servers_(servers), report_(report) {}

  void add(const DraftService& service);
  /// When every service has been added.
  void check_ports(const Listeners& listeners);

 private:
  struct PortOwner {
    const DraftService* service = nullptr;
    const DraftServer* server = nullptr;
  };

  void by_address(const DraftService& service);
  void by_port(const DraftService& service);
  void claim_port(const DraftService& service, const DraftServer& server,
                  const model::IpAddress& vip);
  void need_signal(const DraftService& service, const DraftServer& server, model::Family family);
  /// Two services that announce the same of one server.
  void agree(const DraftService& service, const DraftService& first, const DraftServer& server);
  void check_endpoints();

  const Servers& servers_;
  Report& report_;
  std::set<std::pair<const DraftServer*, model::Family>> reported_;
  std::map<const DraftServer*, const DraftService*> by_address_;  ///< the first that uses it
  std::map<model::EndpointKey, PortOwner> ports_;
  std::set<const DraftService*> disagreeing_, clashing_;
};

}  // namespace lbctl::config
