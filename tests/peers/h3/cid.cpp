#include "h3/cid.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <map>

namespace peer {
namespace {

constexpr std::size_t block_length = 16;

/// One block of ECB is one of CBC after a vector of zeros; GnuTLS has no ECB.
void cipher_block(void* context, int decipher, std::uint8_t* block) {
  auto* aes = static_cast<gnutls_cipher_hd_t>(context);
  std::array<std::uint8_t, block_length> zeros{};
  gnutls_cipher_set_iv(aes, zeros.data(), zeros.size());
  if (decipher != 0)
    gnutls_cipher_decrypt(aes, block, block_length);
  else
    gnutls_cipher_encrypt(aes, block, block_length);
}

using Table = std::map<std::string, std::string, std::less<>>;

std::string_view trim(std::string_view text) {
  constexpr auto blanks = " \t\"";
  const auto first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) + 1 - first);
}

/// As much of TOML's inline tables as layouts need.
std::expected<Table, std::string> parse_table(std::string_view text) {
  const auto whole = trim(text);
  if (!whole.starts_with('{') || !whole.ends_with('}'))
    return std::unexpected(fmt::format("'{}' is no table in braces", text));
  Table out;
  for (auto rest = whole.substr(1, whole.size() - 2); !rest.empty();) {
    const auto item = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(item.size() + 1, rest.size()));
    const auto equals = item.find('=');
    if (equals == std::string_view::npos)
      return std::unexpected(fmt::format("'{}' is no KEY = VALUE", item));
    out.emplace(trim(item.substr(0, equals)), trim(item.substr(equals + 1)));
  }
  return out;
}

/// Takes the number out of the table.
std::expected<std::uint8_t, std::string> take(Table& table, std::string_view key,
                                              std::uint8_t otherwise) {
  const auto found = table.find(key);
  if (found == table.end()) return otherwise;
  const auto text = table.extract(found).mapped();
  std::uint8_t out = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), out);
  if (read.ec != std::errc{} || read.ptr != text.data() + text.size())
    return std::unexpected(fmt::format("{}: '{}' is not 0 to 255", key, text));
  return out;
}

struct Scheme {
  lbctl_cid_scheme scheme;
  std::uint8_t id_length = 2, nonce_length = 6;
};

const std::map<std::string, Scheme, std::less<>> schemes = {
    {"quic-lb", {LBCTL_CID_QUIC_LB}}, {"aws-nlb", {LBCTL_CID_QUIC_LB, 8, 7}},
    {"msquic", {LBCTL_CID_MSQUIC}},   {"katran", {LBCTL_CID_KATRAN}},
    {"dpvs", {LBCTL_CID_DPVS, 3}},    {"raw", {LBCTL_CID_RAW}},
};

std::expected<void, std::string> fill(lbctl_cid& out, Table& table, const Scheme& preset) {
  out.scheme = preset.scheme;
  out.tell_length = 1;
  const std::tuple<const char*, std::uint8_t*, std::uint8_t> keys[] = {
      {"config", &out.config, 0},
      {"id_length", &out.id_length, preset.id_length},
      {"nonce_length", &out.nonce_length, preset.nonce_length},
      {"version", &out.version, 1},
      {"offset", &out.offset, 0},
      {"length", &out.length, 0},
  };
  for (const auto& [key, place, otherwise] : keys) {
    const auto value = take(table, key, otherwise);
    if (!value) return std::unexpected(value.error());
    *place = *value;
  }
  if (out.length == 0) out.length = static_cast<std::uint8_t>(out.offset + out.id_length);
  return {};
}

}  // namespace

std::expected<CidFormat, std::string> CidFormat::parse(std::string_view layout,
                                                       std::string_view id) {
  auto table = parse_table(layout);
  if (!table) return std::unexpected(table.error());
  const auto name = table->extract("scheme");
  const auto preset = name ? schemes.find(name.mapped()) : schemes.end();
  if (preset == schemes.end()) return std::unexpected(fmt::format("no scheme in '{}'", layout));
  CidFormat out;
  if (const auto ok = fill(out.layout_, *table, preset->second); !ok)
    return std::unexpected(ok.error());
  if (const auto key = table->extract("key_file"))
    if (const auto ok = out.set_key(key.mapped()); !ok) return std::unexpected(ok.error());
  if (!table->empty())
    return std::unexpected(fmt::format("unknown key '{}'", table->begin()->first));
  if (const auto ok = out.set_id(id); !ok) return std::unexpected(ok.error());
  if (out.length() == 0) return std::unexpected(fmt::format("'{}' is impossible", layout));
  return out;
}

std::expected<void, std::string> CidFormat::set_key(const std::string& key_file) {
  std::string text;
  std::ifstream(key_file) >> text;
  auto key = parse_hex(text);
  if (!key || key->size() != block_length)
    return std::unexpected(fmt::format("{}: not 32 hexadecimal digits", key_file));
  std::array<std::uint8_t, block_length> zeros{};
  const gnutls_datum_t octets{key->data(), block_length}, vector{zeros.data(), block_length};
  gnutls_cipher_hd_t made = nullptr;
  if (gnutls_cipher_init(&made, GNUTLS_CIPHER_AES_128_CBC, &octets, &vector) != 0)
    return std::unexpected("GnuTLS has no AES-128-CBC");
  aes_.reset(made);
  layout_.aes = cipher_block;
  layout_.context = made;
  return {};
}

std::expected<void, std::string> CidFormat::set_id(std::string_view text) {
  std::array<std::uint8_t, 16> address{};
  const std::string c_text(text);
  std::size_t octets = 8;
  if (layout_.scheme == LBCTL_CID_DPVS) {
    const bool v4 = inet_pton(AF_INET, c_text.c_str(), address.data()) == 1;
    if (!v4 && inet_pton(AF_INET6, c_text.c_str(), address.data()) != 1)
      return std::unexpected(fmt::format("'{}' is no address", text));
    octets = v4 ? 4 : 16;
    layout_.id_length = v4 ? 3 : 4;
  } else {
    std::uint64_t number = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
    if (read.ec != std::errc{} || read.ptr != text.data() + text.size() || number == 0)
      return std::unexpected(fmt::format("'{}' is no server id", text));
    for (std::size_t i = 0; i < octets; ++i)
      address[octets - 1 - i] = static_cast<std::uint8_t>(number >> (8 * i));
  }
  id_.assign(lbctl_cid_id_length(&layout_), 0);
  const auto used = std::min(id_.size(), octets);
  std::copy_n(address.begin() + static_cast<std::ptrdiff_t>(octets - used), used,
              id_.end() - static_cast<std::ptrdiff_t>(used));
  return {};
}

Octets CidFormat::make(Octets random) const {
  random.resize(lbctl_cid_make(&layout_, id_.data(), random.data()));
  return random;
}

bool CidFormat::is_own(std::span<const std::uint8_t> cid) const {
  Octets id(LBCTL_CID_LONGEST);
  if (cid.size() != length()) return false;
  id.resize(lbctl_cid_read(&layout_, cid.data(), cid.size(), id.data()));
  return id == id_;
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
