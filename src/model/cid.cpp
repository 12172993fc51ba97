#include "lbctl/model/cid.hpp"

#include <fmt/format.h>

#include <bit>
#include <charconv>

namespace lbctl::model {
namespace {

constexpr int octet = 8;

CidLayout of_quic_lb(const CidScheme& scheme) {
  CidLayout out;
  out.match_mask = 0xe000;
  out.match_value = static_cast<std::uint16_t>(scheme.config << 13);
  out.cid_length = scheme.cid_length();
  out.id_bit = octet;
  out.id_bits = octet * scheme.id_length;
  out.block_length = scheme.encrypted ? scheme.id_length + scheme.nonce_length : 0;
  return out;
}

CidLayout of_katran(const CidScheme& scheme) {
  CidLayout out;
  out.match_mask = 0xc000;
  out.match_value = static_cast<std::uint16_t>(scheme.version << 14);
  out.cid_length = scheme.cid_length();
  out.id_bit = scheme.version == 1 ? 2 : octet;
  out.id_bits = octet * (scheme.version + 1);
  return out;
}

CidLayout of_dpvs(const CidScheme& scheme) {
  CidLayout out;
  // Octet 1: the address's length less 1, a flag for the port, the address's first nibble.
  out.match_mask = 0x00e0;
  out.match_value = static_cast<std::uint16_t>((scheme.id_length - 1) << 5);
  out.cid_length = scheme.cid_length();
  out.id_bit = 12;
  out.id_bits = octet * scheme.id_length;
  out.space = scheme.id_length == 3 ? IdSpace::ipv4 : IdSpace::ipv6;
  return out;
}

bool within_limits(const CidScheme& s) {
  switch (s.format) {
    case CidFormat::quic_lb:
      return s.config <= 6 && s.id_length >= 1 && s.id_length <= longest_server_id &&
             s.nonce_length >= 4 && s.cid_length() <= longest_cid;
    case CidFormat::msquic:
      return true;
    case CidFormat::katran:
      return s.version >= 1 && s.version <= 3;
    case CidFormat::dpvs:
      return s.id_length == 3 || s.id_length == 4;
    case CidFormat::raw:
      return s.id_length >= 1 && s.id_length <= 8 && s.cid_length() <= longest_cid &&
             s.offset + s.id_length <= s.cid_length();
  }
  return false;
}

}  // namespace

int ServerId::bits() const {
  return high != 0 ? 128 - std::countl_zero(high) : 64 - std::countl_zero(low);
}

std::string ServerId::text() const {
  switch (space) {
    case IdSpace::ipv4:
      return fmt::format("ipv4 0x{:06x}", low);
    case IdSpace::ipv6:
      return fmt::format("ipv6 0x{:08x}", low);
    case IdSpace::number:
      break;
  }
  if (high != 0) return fmt::format("0x{:x}{:016x}", high, low);
  return low >> 63 != 0 ? fmt::format("0x{:x}", low) : fmt::format("{}", low);
}

std::optional<ServerId> ServerId::parse(std::string_view text) {
  ServerId out;
  const auto number = [](std::string_view digits, int base, std::uint64_t& value) {
    const char* end = digits.data() + digits.size();
    const auto read = std::from_chars(digits.data(), end, value, base);
    return !digits.empty() && read.ec == std::errc() && read.ptr == end;
  };
  if (!text.starts_with("0x"))
    return number(text, 10, out.low) && out.low >> 63 == 0 ? std::optional(out) : std::nullopt;
  text.remove_prefix(2);
  if (text.size() > 2 * longest_server_id) return std::nullopt;
  constexpr std::size_t digits = 16;
  if (text.size() > digits) {
    if (!number(text.substr(0, text.size() - digits), 16, out.high)) return std::nullopt;
    text.remove_prefix(text.size() - digits);
  }
  return number(text, 16, out.low) ? std::optional(out) : std::nullopt;
}

ServerId address_id(const IpAddress& address) {
  const auto octets = address.octets();
  ServerId out{.space = address.is_v4() ? IdSpace::ipv4 : IdSpace::ipv6};
  for (const std::uint8_t one : octets.last(address.is_v4() ? 3 : 4))
    out.low = out.low << octet | one;
  return out;
}

std::string CidKey::check() const {
  const auto block = Aes128(octets_).encrypt({});
  return fmt::format("{:02x}{:02x}{:02x}", block[0], block[1], block[2]);
}

std::string_view name(CidFormat format) {
  switch (format) {
    case CidFormat::quic_lb:
      return "quic-lb";
    case CidFormat::msquic:
      return "msquic";
    case CidFormat::katran:
      return "katran";
    case CidFormat::dpvs:
      return "dpvs";
    case CidFormat::raw:
      return "raw";
  }
  return "unknown";
}

std::uint8_t CidScheme::cid_length() const {
  switch (format) {
    case CidFormat::quic_lb:
      return static_cast<std::uint8_t>(1 + id_length + nonce_length);
    case CidFormat::msquic:
      return 14;
    case CidFormat::katran:
      return 8;
    case CidFormat::dpvs:
      return static_cast<std::uint8_t>(id_length + 6);  // 12 bits, the address, a nonce of 32
    case CidFormat::raw:
      return length;
  }
  return 0;
}

std::optional<CidLayout> layout(const CidScheme& scheme) {
  if (!within_limits(scheme)) return std::nullopt;
  CidLayout out;
  switch (scheme.format) {
    case CidFormat::quic_lb:
      return of_quic_lb(scheme);
    case CidFormat::katran:
      return of_katran(scheme);
    case CidFormat::dpvs:
      return of_dpvs(scheme);
    case CidFormat::msquic:
      out.id_bit = octet;
      out.id_bits = 4 * octet;
      out.reversed = true;
      break;
    case CidFormat::raw:
      out.id_bit = octet * scheme.offset;
      out.id_bits = octet * scheme.id_length;
      break;
  }
  out.cid_length = scheme.cid_length();
  return out;
}

bool shadows(const CidScheme& earlier, const CidScheme& later) {
  const auto a = layout(earlier), b = layout(later);
  if (!a || !b) return false;
  // The length of a short header's connection ID is not known: there it does not tell them apart.
  return (a->match_mask & b->match_mask) == a->match_mask &&
         a->match_value == (b->match_value & a->match_mask);
}

}  // namespace lbctl::model
