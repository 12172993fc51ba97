#include "quic_cid.hpp"

#include <fmt/format.h>

#include "lbctl/explain/cid.hpp"
#include "octets.hpp"

namespace lbctl::daemon {

namespace {

constexpr std::uint32_t long_header = 0x80, version_1 = 1;
constexpr std::uint32_t type_bits = 0x30, type_retry = 0x30;  // of version 1

}  // namespace

std::optional<std::string_view> issued_cid(std::string_view datagram) {
  Reader reader(datagram);
  const auto first = reader.number(1), version = reader.number(4);
  if (!version || (*first & long_header) == 0 || *version != version_1) return std::nullopt;
  if ((*first & type_bits) == type_retry) return std::nullopt;
  const auto destination = reader.number(1);
  if (!destination || !reader.take(*destination)) return std::nullopt;
  const auto source = reader.number(1);
  if (!source || *source > model::longest_cid) return std::nullopt;
  return reader.take(*source);
}

std::string wrong_cid(std::span<const ProbeSpec::CidSlot> slots, std::string_view cid) {
  const explain::Octets octets(cid.begin(), cid.end());
  std::vector<model::CidScheme> schemes;
  for (const auto& slot : slots)
    schemes.push_back(slot.cid.scheme);
  const std::string text = cid.empty() ? "its empty connection ID"
                                       : fmt::format("its connection ID {}", explain::hex(octets));
  const auto readings = explain::read_slots(schemes, octets);
  for (std::size_t i = 0; i < readings.size(); ++i) {
    if (!readings[i].id) continue;
    if (*readings[i].id == slots[i].id) return "";
    return fmt::format("{} names server {}, not {}", text, readings[i].id->text(),
                       slots[i].id.text());
  }
  return text + " has no layout of the service";
}

}  // namespace lbctl::daemon
