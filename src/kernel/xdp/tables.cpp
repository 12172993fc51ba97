#include "tables.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>

#include <algorithm>

#include "codec.hpp"
#include "libbpf/libbpf_error.hpp"

namespace lbctl::kernel::xdp {

namespace {

/// The MAC word of a peer's target, 0 if it has none.
__u64 peer_mac(__u64 target) {
  const bool is_peer = (target & QS_KIND) >> QS_KIND_SHIFT == QS_TO_PEER;
  return is_peer ? QS_MAC_WORD(target & QS_OPERAND) : 0;
}

__u32 row_in(__u32 word) {
  return word % QS_SERVICE_ROWS;
}
__u32 counter_in(__u32 word) {
  return word >> QS_COUNTER_SHIFT;
}

}  // namespace

Tables::Tables(MapFds maps, Mapping mapping, Counters counters)
    : maps_(std::move(maps)),
      mapping_(std::move(mapping)),
      counters_(std::move(counters)),
      vips_(mapping_.as<qs_tables>().vips),
      services_(mapping_.as<qs_tables>().services),
      servers_(mapping_.as<qs_tables>().servers),
      peers_(mapping_.as<qs_tables>().peer_macs),
      tunnels_(mapping_.as<qs_tables>().tunnels),
      senders_(mapping_.as<qs_tables>().senders),
      settings_(&mapping_.as<qs_tables>().settings) {
  servers_.each([this](const ServerLayout::Key&, const ServerLayout::Value& value) {
    server_counters_.insert(value.counter);
    if (const __u64 mac = peer_mac(value.target)) ++peer_uses_[mac];
    if (const qs_tunnel* tunnel = tunnel_of(value.target))
      ++sender_uses_[decode(*tunnel).tunnel->destination];
  });
}

Result<Tables> Tables::open(MapFds maps) {
  auto mapping = Mapping::open(maps[MapName::tables], sizeof(qs_tables));
  if (!mapping) return fail(std::move(mapping.error()));
  auto counters = Counters::open(maps[MapName::counters]);
  if (!counters) return fail(std::move(counters.error()));
  return Tables(std::move(maps), std::move(*mapping), std::move(*counters));
}

std::vector<bool> Tables::used_rows() const {
  std::vector<bool> used(services_.size());
  vips_.each([&](const VipLayout::Key&, __u32 row) { used.at(row_in(row)) = true; });
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
  return vips_.set(encode(key), QS_ROW(*row, service_counter(encode(key))));
}

/// The one that it has; else a free one, at zero. None is left only where the table refuses too.
__u32 Tables::service_counter(const VipLayout::Key& key) {
  if (const auto row = vips_.find(key)) return counter_in(*row);
  std::set<__u32> used;
  vips_.each([&](const VipLayout::Key&, __u32 row) { used.insert(counter_in(row)); });
  const auto counter = free_counter(used, QS_MAX_VIPS);
  if (counter) counters_.clear_service(*counter);
  return counter.value_or(0);
}

bool Tables::remove_service(const model::SteeredKey& key) {
  const auto row = vips_.find(encode(key));
  if (!row) return false;
  vips_.erase(encode(key));
  counters_.retire_service(counter_in(*row));
  return true;
}

const qs_tunnel* Tables::tunnel_of(__u64 target) const {
  const bool is_tunnel = (target & QS_KIND) >> QS_KIND_SHIFT == QS_TO_TUNNEL;
  return is_tunnel ? &tunnels_[(target & QS_OPERAND) % QS_TUNNEL_ROWS] : nullptr;
}

/// The next row in turn that no server uses.
Result<__u32> Tables::free_tunnel() {
  std::vector<bool> used(tunnels_.size());
  servers_.each([&](const ServerLayout::Key&, const ServerLayout::Value& value) {
    if (const qs_tunnel* tunnel = tunnel_of(value.target))
      used[static_cast<std::size_t>(tunnel - tunnels_.data())] = true;
  });
  for (std::size_t tries = 0; tries < used.size(); ++tries) {
    const __u32 row = read_word(settings_->next_tunnel) % static_cast<__u32>(used.size());
    write_word(settings_->next_tunnel, row + 1);
    if (!used[row]) return row;
  }
  return fail(Errc::unsupported, "the XDP table of tunnels is full");
}

Result<__u64> Tables::place(const model::SteerTarget& target) {
  if (!target.tunnel) return encode(target);
  auto tunnel = encode(*target.tunnel, target.mac);
  if (!tunnel) return fail(std::move(tunnel.error()));
  auto row = free_tunnel();
  if (!row) return fail(std::move(row.error()));
  tunnels_[*row] = *tunnel;  // nobody reads this row yet
  return static_cast<__u64>(QS_TO_TUNNEL) << QS_KIND_SHIFT | *row;
}

Result<model::SteerTarget> Tables::read_target(__u64 word) const {
  const qs_tunnel* tunnel = tunnel_of(word);
  return tunnel != nullptr ? decode(*tunnel) : decode(word);
}

Result<> Tables::add_peer(__u64 target) {
  if (const qs_tunnel* tunnel = tunnel_of(target)) {
    const model::IpAddress sender = decode(*tunnel).tunnel->destination;
    if (auto ok = senders_.set(encode(model::SteeredKey{sender, model::Port{0}}), 0); !ok)
      return ok;
    ++sender_uses_[sender];
  }
  const __u64 mac = peer_mac(target);
  if (mac == 0) return {};
  if (auto ok = peers_.set(mac, {}); !ok) return ok;
  ++peer_uses_[mac];
  return {};
}

void Tables::drop_peer(__u64 target) {
  if (const qs_tunnel* tunnel = tunnel_of(target)) {
    const auto use = sender_uses_.find(decode(*tunnel).tunnel->destination);
    if (use == sender_uses_.end() || --use->second > 0) return;
    senders_.erase(encode(model::SteeredKey{use->first, model::Port{0}}));
    sender_uses_.erase(use);
  }
  const auto use = peer_uses_.find(peer_mac(target));
  if (use == peer_uses_.end() || --use->second > 0) return;
  peers_.erase(use->first);
  peer_uses_.erase(use);
}

Result<> Tables::set_server(const model::ServerId& id, const model::SteerTarget& target) {
  auto key = encode(id);
  if (!key) return fail(std::move(key.error()));
  auto placed = place(target);
  if (!placed) return fail(std::move(placed.error()));
  const __u64 word = *placed;
  const auto before = servers_.find(*key);
  if (auto ok = add_peer(word); !ok) return ok;
  const __u32 counter = server_counter(*key);
  if (auto ok = servers_.set(*key, {word, counter}); !ok) {
    drop_peer(word);
    return ok;
  }
  server_counters_.insert(counter);
  if (before) drop_peer(before->target);
  return {};
}

/// The same of a server.
__u32 Tables::server_counter(const ServerLayout::Key& key) {
  if (const auto value = servers_.find(key)) return value->counter;
  const auto counter = free_counter(server_counters_, QS_MAX_SERVERS);
  if (counter) counters_.clear_server(*counter);
  return counter.value_or(0);
}

bool Tables::remove_server(const model::ServerId& id) {
  auto key = encode(id);
  if (!key) return false;
  const auto before = servers_.find(*key);
  if (!before) return false;
  servers_.erase(*key);
  server_counters_.erase(before->counter);
  drop_peer(before->target);
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
    auto steered = decode(services_[row_in(row)]);
    if (steered)
      out.services.insert_or_assign(service, std::move(*steered));
    else
      error = std::move(steered.error()).during(service.text());
  });
  servers_.each([&](const ServerLayout::Key& key, const ServerLayout::Value& value) {
    const auto id = decode(key);
    const auto target = read_target(value.target);
    if (id && target)
      out.servers.insert_or_assign(*id, *target);
    else
      error = !id ? id.error() : target.error();
  });
  if (error) return fail(std::move(*error).during("read the XDP tables"));
  return {};
}

XdpFigures Tables::figures() const {
  XdpFigures out;
  vips_.each([&](const VipLayout::Key& key, __u32 row) {
    out.services.insert_or_assign(decode(key), counters_.service(counter_in(row)));
  });
  servers_.each([&](const ServerLayout::Key& key, const ServerLayout::Value& value) {
    if (const auto id = decode(key))
      out.servers.insert_or_assign(*id, counters_.server(value.counter));
  });
  out.total = counters_.gone();
  for (const auto& [key, service] : out.services)
    out.total += service;
  return out;
}

}  // namespace lbctl::kernel::xdp
