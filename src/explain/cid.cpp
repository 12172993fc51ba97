#include "lbctl/explain/cid.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace lbctl::explain {
namespace {

void cipher(void* context, int decipher, std::uint8_t* block) {
  const auto& aes = *static_cast<const Aes128*>(context);
  Aes128::Block octets{};
  std::copy_n(block, octets.size(), octets.begin());
  octets = decipher != 0 ? aes.decrypt(octets) : aes.encrypt(octets);
  std::ranges::copy(octets, block);
}

}  // namespace

std::string hex(std::span<const std::uint8_t> octets) {
  std::string out;
  for (const std::uint8_t octet : octets)
    out += fmt::format("{:02x}", octet);
  return out;
}

Result<Octets> parse_octets(std::string_view text) {
  Octets out(text.size() / 2);
  bool right = text.size() % 2 == 0 && !out.empty() && out.size() <= LBCTL_CID_LONGEST;
  for (std::size_t i = 0; right && i < out.size(); ++i)
    right = std::from_chars(text.data() + 2 * i, text.data() + 2 * i + 2, out[i], 16).ptr ==
            text.data() + 2 * i + 2;
  if (!right)
    return fail(Errc::invalid, fmt::format("\"{}\" is not 1 to {} octets in hexadecimal", text,
                                           LBCTL_CID_LONGEST));
  return out;
}

CidCodec::CidCodec(const model::CidScheme& scheme)
    : scheme_(scheme), aes_(scheme.key ? scheme.key->octets() : Aes128::Block{}) {}

lbctl_cid CidCodec::layout() const {
  constexpr lbctl_cid_scheme names[] = {LBCTL_CID_QUIC_LB, LBCTL_CID_MSQUIC, LBCTL_CID_KATRAN,
                                        LBCTL_CID_DPVS, LBCTL_CID_RAW};
  lbctl_cid out{};
  out.scheme = names[static_cast<std::size_t>(scheme_.format)];
  out.config = scheme_.config;
  out.id_length = scheme_.id_length;
  out.nonce_length = scheme_.nonce_length;
  out.version = scheme_.version;
  out.offset = scheme_.offset;
  out.length = scheme_.length;
  out.tell_length = 1;
  if (scheme_.encrypted) out.aes = cipher;
  out.context = const_cast<Aes128*>(&aes_);  // cipher() takes it as const again
  return out;
}

Octets CidCodec::make(const model::ServerId& id, Octets random) const {
  const lbctl_cid shape = layout();
  Octets octets(lbctl_cid_id_length(&shape));
  for (std::size_t i = 0; i < octets.size(); ++i)
    octets[octets.size() - 1 - i] =
        static_cast<std::uint8_t>((i < 8 ? id.low : id.high) >> (8 * (i % 8)));
  random.resize(lbctl_cid_make(&shape, octets.data(), random.data()));
  return random;
}

std::optional<model::ServerId> CidCodec::read(std::span<const std::uint8_t> cid) const {
  const lbctl_cid shape = layout();
  Octets octets(LBCTL_CID_LONGEST);
  octets.resize(lbctl_cid_read(&shape, cid.data(), cid.size(), octets.data()));
  if (octets.empty()) return std::nullopt;
  model::ServerId out{.space = model::layout(scheme_).value_or(model::CidLayout{}).space};
  for (const std::uint8_t octet : octets) {
    out.high = out.high << 8 | out.low >> 56;
    out.low = out.low << 8 | octet;
  }
  return out;
}

std::string misfit(const model::CidScheme& scheme, std::span<const std::uint8_t> cid) {
  if (cid.size() < scheme.cid_length())
    return fmt::format("it has {} octets, not {}", cid.size(), scheme.cid_length());
  const auto shape = model::layout(scheme);
  const auto begin = static_cast<unsigned>(cid[0] << 8 | (cid.size() > 1 ? cid[1] : 0));
  if (!shape || (begin & shape->match_mask) == shape->match_value) return {};
  switch (scheme.format) {
    case model::CidFormat::quic_lb:
      return fmt::format("its config is {}, not {}", cid[0] >> 5, scheme.config);
    case model::CidFormat::katran:
      return fmt::format("its version is {}, not {}", cid[0] >> 6, scheme.version);
    case model::CidFormat::dpvs:
      return fmt::format("its address has {} octets, not {}", (cid[1] >> 5) + 1, scheme.id_length);
    case model::CidFormat::msquic:
    case model::CidFormat::raw:
      break;  // fit whatever is long enough
  }
  return "its first octets differ";
}

std::vector<Reading> read_slots(std::span<const model::CidScheme> slots,
                                std::span<const std::uint8_t> cid) {
  std::vector<Reading> out;
  bool decided = false;
  for (const model::CidScheme& slot : slots) {
    Reading reading{.misfit = misfit(slot, cid), .asked = !decided};
    if (reading.misfit.empty()) reading.id = CidCodec(slot).read(cid);
    decided = decided || reading.id.has_value();
    out.push_back(std::move(reading));
  }
  return out;
}

}  // namespace lbctl::explain
