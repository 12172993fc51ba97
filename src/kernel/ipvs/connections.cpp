#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <set>
#include <sstream>

#include "lbctl/kernel/ipvs.hpp"

namespace lbctl::kernel {
namespace {

constexpr const char* table = "/proc/net/ip_vs_conn";

/// IPv4 as 8 hexadecimal digits, IPv6 in full with colons.
std::optional<model::IpAddress> decode_address(const std::string& text) {
  if (text.find(':') != std::string::npos) return model::IpAddress::parse(text);
  std::array<std::uint8_t, 4> octets{};
  if (text.size() != 2 * octets.size()) return std::nullopt;
  for (std::size_t i = 0; i < octets.size(); ++i) {
    const char* at = text.data() + 2 * i;
    if (std::from_chars(at, at + 2, octets[i], 16).ptr != at + 2) return std::nullopt;
  }
  return model::IpAddress::from_octets(octets);
}

/// 4 hexadecimal digits.
std::optional<model::Port> decode_port(const std::string& text) {
  std::uint16_t out = 0;
  const char* end = text.data() + text.size();
  if (std::from_chars(text.data(), end, out, 16).ptr != end) return std::nullopt;
  return model::Port{out};
}

}  // namespace

std::optional<std::pair<model::Flow, model::IpvsConnection>> decode_connection(
    std::string_view line) {
  std::istringstream words{std::string(line)};
  std::string protocol, client, client_port, vip, port, server, server_port;
  model::IpvsConnection connection;
  words >> protocol >> client >> client_port >> vip >> port >> server >> server_port;
  words >> connection.state >> connection.expires;
  if (!words || (protocol != "TCP" && protocol != "UDP")) return std::nullopt;
  const auto from = decode_address(client), to = decode_address(vip), real = decode_address(server);
  const auto from_port = decode_port(client_port), to_port = decode_port(port),
             real_port = decode_port(server_port);
  if (!from || !to || !real || !from_port || !to_port || !real_port) return std::nullopt;
  connection.destination = {*real, *real_port};
  const auto l4 = protocol == "TCP" ? model::L4::tcp : model::L4::udp;
  return std::pair{model::Flow{*from, *from_port, *to, *to_port, l4}, std::move(connection)};
}

Result<std::map<model::Flow, model::IpvsConnection>> find_connections(
    std::span<const model::Flow> flows) {
  const std::set<model::Flow> wanted(flows.begin(), flows.end());
  std::map<model::Flow, model::IpvsConnection> out;
  std::ifstream file(table);
  if (!file) {
    if (errno == ENOENT) return out;
    return fail(Error::from_errno(errno, fmt::format("read {}", table)));
  }
  for (std::string line; std::getline(file, line);)
    if (auto entry = decode_connection(line); entry && wanted.contains(entry->first))
      out.insert(std::move(*entry));
  return out;
}

}  // namespace lbctl::kernel
