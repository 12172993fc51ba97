#include "lbctl/model/tunnel.hpp"

#include <fmt/format.h>

namespace lbctl::model {

std::string_view name(TunnelKind kind) {
  switch (kind) {
    case TunnelKind::ipip:
      return "ipip";
    case TunnelKind::ip6tnl:
      return "ip6tnl";
    case TunnelKind::gre:
      return "gre";
    case TunnelKind::ip6gre:
      return "ip6gre";
  }
  return "unknown";
}

std::optional<TunnelKind> tunnel_kind(std::string_view text) {
  using enum TunnelKind;
  for (const TunnelKind kind : {ipip, ip6tnl, gre, ip6gre})
    if (text == name(kind)) return kind;
  return std::nullopt;
}

std::string FouKey::text() const {
  return fmt::format("udp port {} {}", number(port), name(family));
}

}  // namespace lbctl::model
