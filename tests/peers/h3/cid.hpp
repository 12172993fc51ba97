#pragma once

#include <gnutls/crypto.h>

#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/free_with.hpp"
#include "lbctl/cid.h"

namespace peer {

using Octets = std::vector<std::uint8_t>;

/// The connection IDs of one server, made and read by lbctl/cid.h; AES is GnuTLS'.
class CidFormat {
 public:
  /// `layout` as `cid` of lbctl.toml(5) has it: { scheme = "quic-lb", id_length = 2 }. `id` is a
  /// number, with scheme dpvs the server's address. The error is a sentence.
  static std::expected<CidFormat, std::string> parse(std::string_view layout, std::string_view id);

  std::size_t length() const { return lbctl_cid_length(&layout_); }
  /// `random`: at least length() octets; what the scheme does not claim stays.
  Octets make(Octets random) const;
  /// Whether a connection ID is one that this server could have issued.
  bool is_own(std::span<const std::uint8_t> cid) const;

 private:
  using Cipher = std::unique_ptr<api_cipher_hd_st, FreeWith<&gnutls_cipher_deinit>>;
  CidFormat() = default;
  std::expected<void, std::string> set_key(const std::string& key_file);
  std::expected<void, std::string> set_id(std::string_view text);

  lbctl_cid layout_{};
  Octets id_;  // in network order
  Cipher aes_;
};

std::expected<Octets, std::string> parse_hex(std::string_view text);
std::string to_hex(std::span<const std::uint8_t> octets);

}  // namespace peer
