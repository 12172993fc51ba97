// What the services claim: VIPs with ports and protocols, and firewall marks.
#pragma once

#include <map>
#include <utility>

#include "draft.hpp"

namespace lbctl::config {

class Listeners {
 public:
  explicit Listeners(Report& report) : report_(report) {}

  /// Reports what is another service's already.
  void add(const DraftService& service);
  /// The service that has this port; null if none has it.
  const DraftService* owner(const model::IpAddress& vip, model::L4 protocol,
                            model::Port port) const;

 private:
  struct Owner {
    const DraftService* service = nullptr;
    Span vip;
    model::PortRange ports;
  };
  /// By the last port: they do not overlap, so that one look finds the one that may.
  using Stretches = std::map<model::Port, Owner>;

  void add_mark(const DraftService& service);
  void add(const DraftService& service, const Spanned<model::IpAddress>& vip, model::L4 protocol,
           const model::PortRange& ports);

  Report& report_;
  std::map<std::pair<model::IpAddress, model::L4>, Stretches> taken_;
  std::map<std::uint32_t, std::pair<const DraftService*, Span>> marks_;
};

}  // namespace lbctl::config
