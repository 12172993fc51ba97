// Network addresses as values. Nothing here converts silently: an address is made by parse() or
// from its octets in network order, and its family is always known.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace lbctl::model {

enum class Family : std::uint8_t { v4, v6 };

/// The layer-4 protocols that IPVS balances.
enum class L4 : std::uint8_t { tcp, udp };
std::string_view name(L4 protocol);
std::string_view name(Family family);  ///< "IPv4" or "IPv6"

/// A TCP or UDP port, host order.
enum class Port : std::uint16_t {};
constexpr std::uint16_t number(Port port) {
  return static_cast<std::uint16_t>(port);
}

/// An IPv4 or IPv6 address. Ordered IPv4 first, then by octets.
class IpAddress {
 public:
  IpAddress() = default;  ///< 0.0.0.0
  /// Dotted or colon form without brackets, prefix or zone; nothing otherwise.
  static std::optional<IpAddress> parse(std::string_view text);
  /// `octets` in network order: 4 of them or 16.
  static std::optional<IpAddress> from_octets(std::span<const std::uint8_t> octets);

  Family family() const { return family_; }
  bool is_v4() const { return family_ == Family::v4; }
  /// 4 or 16 octets in network order.
  std::span<const std::uint8_t> octets() const { return {octets_.data(), is_v4() ? 4u : 16u}; }
  /// /32 or /128.
  std::uint8_t full_prefix() const { return is_v4() ? 32 : 128; }
  std::string text() const;  ///< canonical, without brackets

  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;

 private:
  Family family_ = Family::v4;
  std::array<std::uint8_t, 16> octets_{};
};

/// "192.0.2.100:443" or "[2001:db8::100]:443".
std::string endpoint_text(const IpAddress& address, Port port);

/// An Ethernet address. All zeros means "not resolved".
struct MacAddress {
  std::array<std::uint8_t, 6> octets{};
  bool is_zero() const { return octets == std::array<std::uint8_t, 6>{}; }
  std::string text() const;  ///< "02:00:5e:00:00:01"
  friend auto operator<=>(const MacAddress&, const MacAddress&) = default;
};

}  // namespace lbctl::model
