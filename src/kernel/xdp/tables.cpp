#include "tables.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>

#include <algorithm>

#include "codec.hpp"
#include "libbpf_error.hpp"

namespace lbctl::kernel::xdp {

namespace {

/// The MAC word of a peer's target, 0 if it has none.
__u64 peer_mac(__u64 target) {
  const bool is_peer = (target & QS_KIND) >> QS_KIND_SHIFT == QS_TO_PEER;
  return is_peer && (target & QS_OPERAND) != 0 ? (target & QS_OPERAND) | QS_MAC_USED : 0;
}

}  // namespace

Tables::Tables(MapFds maps, Mapping mapping)
    : maps_(std::move(maps)),
      mapping_(std::move(mapping)),
      vips_(mapping_.as<qs_tables>().vips),
      services_(mapping_.as<qs_tables>().services),
      servers_(mapping_.as<qs_tables>().servers),
      peers_(mapping_.as<qs_tables>().peer_macs),
      settings_(&mapping_.as<qs_tables>().settings) {
  servers_.each([this](const ServerLayout::Key&, __u64 target) {
    if (const __u64 mac = peer_mac(target)) ++peer_uses_[mac];
  });
}

Result<Tables> Tables::open(MapFds maps) {
  auto mapping = Mapping::open(maps[MapName::tables], sizeof(qs_tables));
  if (!mapping) return fail(std::move(mapping.error()));
  __u32& layout = mapping->as<qs_tables>().settings.layout;
  if (read_word(layout) == 0) write_word(layout, __u32{QS_LAYOUT});
  if (read_word(layout) != QS_LAYOUT)
    return fail(
        Error(Errc::conflict,
              fmt::format("the pinned XDP tables were made by another version of lbctl: layout {} "
                          "instead of {}",
                          read_word(layout), QS_LAYOUT))
            .with_hint("run \"lbctl down\" with the version that made them, then apply"));
  return Tables(std::move(maps), std::move(*mapping));
}

std::vector<bool> Tables::used_rows() const {
  std::vector<bool> used(services_.size());
  vips_.each([&](const VipLayout::Key&, __u32 row) { used.at(row % used.size()) = true; });
  return used;
}

void Tables::wipe_unused_rows() {
  const std::vector<bool> used = used_rows();
  for (std::size_t row = 0; row < used.size(); ++row)
    if (!used[row] && services_[row].nr_slots != 0) services_[row] = {};
}

/// The next row in turn that no service uses.
Result<__u32> Tables::free_row() {
  const std::vector<bool> used = used_rows();
  for (std::size_t tries = 0; tries < used.size(); ++tries) {
    const __u32 row = read_word(settings_->next_row) % static_cast<__u32>(used.size());
    write_word(settings_->next_row, row + 1);
    if (!used[row]) return row;
  }
  return fail(Errc::unsupported, "the XDP table of services is full");
}

Result<> Tables::set_service(const model::SteeredKey& key, const model::SteeredService& steered) {
  auto row = free_row();
  if (!row) return fail(std::move(row.error()));
  auto service = encode(steered);
  if (!service) return fail(std::move(service.error()));
  services_[*row] = *service;  // nobody reads this row yet
  wipe(&*service, sizeof *service);
  return vips_.set(encode(key), *row);
}

bool Tables::remove_service(const model::SteeredKey& key) {
  return vips_.erase(encode(key));
}

Result<> Tables::add_peer(__u64 target) {
  const __u64 mac = peer_mac(target);
  if (mac == 0) return {};
  if (auto ok = peers_.set(mac, {}); !ok) return ok;
  ++peer_uses_[mac];
  return {};
}

void Tables::drop_peer(__u64 target) {
  const auto use = peer_uses_.find(peer_mac(target));
  if (use == peer_uses_.end() || --use->second > 0) return;
  peers_.erase(use->first);
  peer_uses_.erase(use);
}

Result<> Tables::set_server(const model::ServerId& id, const model::SteerTarget& target) {
  auto key = encode(id);
  if (!key) return fail(std::move(key.error()));
  const __u64 word = encode(target);
  const auto before = servers_.find(*key);
  if (auto ok = add_peer(word); !ok) return ok;
  if (auto ok = servers_.set(*key, word); !ok) {
    drop_peer(word);
    return ok;
  }
  if (before) drop_peer(*before);
  return {};
}

bool Tables::remove_server(const model::ServerId& id) {
  auto key = encode(id);
  if (!key) return false;
  const auto before = servers_.find(*key);
  if (!before) return false;
  servers_.erase(*key);
  drop_peer(*before);
  return true;
}

Result<> Tables::set_self(const std::vector<model::MacAddress>& devices) {
  std::vector<__u64> missing;
  for (const auto& mac : devices)
    if (!has_self(mac)) missing.push_back(mac_word(mac));
  std::ranges::sort(missing);
  missing.erase(std::ranges::unique(missing).begin(), missing.end());
  for (__u64& place : settings_->self) {
    const __u64 old = read_word(place);
    if (old != 0 && std::ranges::find(devices, old, mac_word) != devices.end()) continue;
    write_word(place, missing.empty() ? __u64{0} : missing.back());
    if (!missing.empty()) missing.pop_back();
  }
  if (!missing.empty())
    return fail(Errc::unsupported,
                fmt::format("XDP steering serves at most {} devices", QS_MAX_DEVICES));
  return {};
}

bool Tables::has_self(const model::MacAddress& mac) const {
  return std::ranges::any_of(settings_->self, [word = mac_word(mac)](const __u64& place) {
    return read_word(place) == word;
  });
}

Result<> Tables::read(model::XdpState& out) const {
  std::optional<Error> error;
  vips_.each([&](const VipLayout::Key& key, __u32 row) {
    const model::SteeredKey service = decode(key);
    auto steered = decode(services_[row % services_.size()]);
    if (steered)
      out.services.insert_or_assign(service, std::move(*steered));
    else
      error = std::move(steered.error()).during(service.text());
  });
  servers_.each([&](const ServerLayout::Key& key, __u64 value) {
    const auto id = decode(key);
    const auto target = decode(value);
    if (id && target)
      out.servers.insert_or_assign(*id, *target);
    else
      error = !id ? id.error() : target.error();
  });
  if (error) return fail(std::move(*error).during("read the XDP tables"));
  return {};
}

Result<XdpCounters> Tables::counters() const {
  const int cpus = libbpf_num_possible_cpus();
  if (cpus < 0) return fail(bpf_error(cpus, "count the CPUs"));
  std::vector<qs_counters> per_cpu(static_cast<std::size_t>(cpus));
  const __u32 row = 0;
  if (const int error = bpf_map_lookup_elem(maps_[MapName::counters].get(), &row, per_cpu.data());
      error < 0)
    return fail(bpf_error(error, "read the XDP counters"));
  qs_counters sum{};
  for (const auto& cpu : per_cpu)
    std::ranges::transform(sum.packets, cpu.packets, sum.packets, std::plus{});
  return XdpCounters{
      .steered = sum.packets[QS_STEERED],
      .local = sum.packets[QS_LOCAL],
      .from_peer = sum.packets[QS_FROM_PEER],
      .other_station = sum.packets[QS_OTHER_STATION],
      .too_short = sum.packets[QS_TOO_SHORT],
      .unroutable = sum.packets[QS_UNROUTABLE],
      .long_header = sum.packets[QS_LONG_HEADER],
      .unknown_id = sum.packets[QS_UNKNOWN_ID],
      .unresolved = sum.packets[QS_UNRESOLVED],
      .ttl_expired = sum.packets[QS_TTL_EXPIRED],
  };
}

}  // namespace lbctl::kernel::xdp
