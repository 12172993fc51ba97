// Connection IDs in words: how they are made and read, and why one does not fit.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lbctl/base/result.hpp"
#include "lbctl/cid.h"
#include "lbctl/model/cid.hpp"

namespace lbctl::explain {

using Octets = std::vector<std::uint8_t>;

std::string hex(std::span<const std::uint8_t> octets);
/// 1 to 20 octets in hexadecimal.
Result<Octets> parse_octets(std::string_view text);

/// A scheme as lbctl/cid.h has it. An encrypted one needs its key.
class CidCodec {
 public:
  explicit CidCodec(const model::CidScheme& scheme);

  /// `random`: LBCTL_CID_LONGEST octets, kept where the scheme leaves them open.
  Octets make(const model::ServerId& id, Octets random) const;
  /// Nothing: it does not fit.
  std::optional<model::ServerId> read(std::span<const std::uint8_t> cid) const;

 private:
  lbctl_cid layout() const;
  model::CidScheme scheme_;
  Aes128 aes_;
};

/// Why a connection ID does not fit the scheme, such as "its config is 3, not 0"; empty: it does.
std::string misfit(const model::CidScheme& scheme, std::span<const std::uint8_t> cid);

/// What one slot of a service says of a connection ID.
struct Reading {
  std::string misfit;                 ///< empty: it fits
  std::optional<model::ServerId> id;  ///< when it fits
  bool asked = true;  ///< false: an earlier slot fits, and that is the one that decides
};

/// One reading for each slot. The first that fits decides, whatever its id.
std::vector<Reading> read_slots(std::span<const model::CidScheme> slots,
                                std::span<const std::uint8_t> cid);

}  // namespace lbctl::explain
