#include "lbctl/model/flow.hpp"

#include <fmt/format.h>

#include <charconv>

namespace lbctl::model {
namespace {

std::string_view trim(std::string_view text) {
  constexpr auto blanks = " \t";
  const auto first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) + 1 - first);
}

struct End {
  IpAddress address;
  Port port{};
};

/// "192.0.2.1:443", "[2001:db8::1]:443"
std::optional<End> parse_end(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon), digits = text.substr(colon + 1);
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed) host = host.substr(1, host.size() - 2);
  const auto address = IpAddress::parse(host);
  std::uint16_t port = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (!address || address->is_v4() == bracketed || read.ec != std::errc() ||
      read.ptr != digits.data() + digits.size() || port == 0)
    return std::nullopt;
  return End{*address, Port{port}};
}

}  // namespace

std::string Flow::text() const {
  return fmt::format("{} -> {}/{}", endpoint_text(client, client_port),
                     endpoint_text(address, port), name(protocol));
}

std::optional<Flow> Flow::parse(std::string_view text) {
  text = trim(text);
  const auto slash = text.rfind('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto protocol = text.substr(slash + 1);
  if (protocol != name(L4::tcp) && protocol != name(L4::udp)) return std::nullopt;
  const auto ends = text.substr(0, slash);
  const auto gap = ends.find_first_of(" \t-");
  if (gap == std::string_view::npos) return std::nullopt;
  auto rest = trim(ends.substr(gap));
  if (rest.starts_with("->")) rest = trim(rest.substr(2));
  const auto from = parse_end(ends.substr(0, gap)), to = parse_end(rest);
  if (!from || !to || from->address.family() != to->address.family()) return std::nullopt;
  return Flow{from->address, from->port, to->address, to->port,
              protocol == name(L4::tcp) ? L4::tcp : L4::udp};
}

bool Listener::takes(const IpAddress& to) const {
  const bool any = address == IpAddress() || address == IpAddress::parse("::");
  if (!any) return address == to;
  return to.family() == address.family() || (to.is_v4() && !v6_only);
}

}  // namespace lbctl::model
