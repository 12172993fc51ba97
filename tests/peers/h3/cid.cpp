#include "h3/cid.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace peer {

std::expected<CidFormat, std::string> make_cid_format(std::uint64_t config,
                                                      std::string_view server_id_hex,
                                                      std::uint64_t nonce_length) {
  auto id = parse_hex(server_id_hex);
  if (!id) return std::unexpected(id.error());
  if (config > 6) return std::unexpected("the config is 0 to 6");
  if (id->empty()) return std::unexpected("the server id has at least 1 octet");
  if (nonce_length < 4) return std::unexpected("the nonce has at least 4 octets");
  if (nonce_length > 18 || id->size() + nonce_length > 19)
    return std::unexpected("server id and nonce together have at most 19 octets");
  return CidFormat{static_cast<unsigned>(config), std::move(*id), nonce_length};
}

Octets encode_cid(const CidFormat& format, std::span<const std::uint8_t> nonce) {
  Octets cid;
  cid.reserve(format.length());
  cid.push_back(static_cast<std::uint8_t>(format.config << 5 | (format.length() - 1)));
  cid.insert(cid.end(), format.server_id.begin(), format.server_id.end());
  cid.insert(cid.end(), nonce.begin(), nonce.end());
  return cid;
}

bool is_own_cid(const CidFormat& format, std::span<const std::uint8_t> cid) {
  return cid.size() == format.length() && cid[0] >> 5 == format.config &&
         (cid[0] & 0x1f) == format.length() - 1 &&
         std::ranges::equal(cid.subspan(1, format.server_id.size()), format.server_id);
}

std::expected<Octets, std::string> parse_hex(std::string_view text) {
  Octets octets;
  if (text.size() % 2 != 0)
    return std::unexpected(fmt::format("'{}' has an odd number of hexadecimal digits", text));
  for (std::size_t i = 0; i < text.size(); i += 2) {
    std::uint8_t octet = 0;
    const auto* end = text.data() + i + 2;
    if (std::from_chars(text.data() + i, end, octet, 16).ptr != end)
      return std::unexpected(fmt::format("'{}' is not hexadecimal", text));
    octets.push_back(octet);
  }
  return octets;
}

std::string to_hex(std::span<const std::uint8_t> octets) {
  std::string text;
  for (const auto octet : octets)
    text += fmt::format("{:02x}", octet);
  return text;
}

}  // namespace peer
