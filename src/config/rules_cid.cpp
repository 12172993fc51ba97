// What must hold between the connection IDs of a service, and between them and its servers.
#include <fmt/format.h>

#include <algorithm>

#include "draft.hpp"

namespace lbctl::config {
namespace {

using Servers = std::map<std::string_view, const DraftServer*>;

constexpr std::size_t most_slots = 8;  ///< QS_MAX_SLOTS of xdp/quic_steer.h

std::string largest_in(int bits) {
  model::ServerId out{~std::uint64_t{0}, 0};
  if (bits <= 64) {
    out.low >>= 64 - bits;
  } else {
    out.high = ~std::uint64_t{0} >> (128 - bits);
  }
  return out.text();
}

void check_ids_fit(const DraftService& service, const Spanned<DraftCid>& cid,
                   const Servers& servers, Report& report) {
  const auto layout = model::layout(cid.value.scheme);
  if (!layout || layout->space != model::IdSpace::number) return;
  for (const auto& use : service.servers.items) {
    const auto& id = servers.at(use.value.name)->id;
    if (!id || id->value.bits() <= layout->id_bits) continue;
    const int octets = layout->id_bits / 8;
    report.error(cid.at,
                 fmt::format("id {} of server {} does not fit in {} {}", id->value.text(),
                             use.value.name, octets, octets == 1 ? "octet" : "octets"),
                 fmt::format("the largest that fits is {}", largest_in(layout->id_bits)));
  }
}

/// dpvs names a server by the end of its address only.
void check_addresses_differ(const DraftService& service, const Spanned<DraftCid>& cid,
                            const Servers& servers, Report& report) {
  const auto layout = model::layout(cid.value.scheme);
  if (!layout || layout->space == model::IdSpace::number) return;
  std::map<model::ServerId, std::string_view> seen;
  for (const auto& use : service.servers.items) {
    const DraftServer& server = *servers.at(use.value.name);
    for (const auto& address : server.addresses.items) {
      const auto id = model::address_id(address.value);
      if (id.space != layout->space) continue;
      const auto [first, is_new] = seen.emplace(id, server.name);
      if (!is_new)
        report.error(address.at,
                     fmt::format("dpvs can't tell servers {} and {} apart: their addresses end in "
                                 "the same {} octets",
                                 first->second, server.name, cid.value.scheme.id_length));
      break;  // the first of a family names the server
    }
  }
}

/// Each must be asked at least sometimes.
void check_order(const DraftList<DraftCid>& cids, Report& report) {
  for (auto later = cids.items.begin(); later != cids.items.end(); ++later)
    for (auto earlier = cids.items.begin(); earlier != later; ++earlier) {
      if (!model::shadows(earlier->value.scheme, later->value.scheme)) continue;
      report.error(
          later->at,
          fmt::format("this is never read: every connection ID of it fits the {} on {}, too",
                      name(earlier->value.scheme.format), report.place(earlier->at)),
          later->value.scheme.format == model::CidFormat::quic_lb ? "give each another config"
                                                                  : "put it first");
      break;
    }
  if (cids.items.size() > most_slots)
    report.error(cids.items[most_slots].at,
                 fmt::format("{} layouts of connection IDs; at most {} are told apart",
                             cids.items.size(), most_slots));
}

}  // namespace

void check_cids(const DraftService& service, const Servers& servers, Report& report) {
  if (!service.has(Protocol::quic)) return;
  for (const auto& cid : service.cids.items) {
    check_ids_fit(service, cid, servers, report);
    check_addresses_differ(service, cid, servers, report);
  }
  check_order(service.cids, report);
}

}  // namespace lbctl::config
