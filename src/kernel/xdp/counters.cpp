#include "counters.hpp"

#include "layouts.hpp"

namespace lbctl::kernel {

std::vector<std::pair<const char*, std::uint64_t>> XdpCounters::named() const {
  return {{"steered", steered},         {"local", local},
          {"from_peer", from_peer},     {"other_station", other_station},
          {"too_short", too_short},     {"unroutable", unroutable},
          {"long_header", long_header}, {"unknown_id", unknown_id},
          {"unresolved", unresolved},   {"ttl_expired", ttl_expired},
          {"too_big", too_big},         {"unwrapped", unwrapped}};
}

XdpCounters& XdpCounters::operator+=(const XdpCounters& other) {
  steered += other.steered;
  local += other.local;
  from_peer += other.from_peer;
  other_station += other.other_station;
  too_short += other.too_short;
  unroutable += other.unroutable;
  long_header += other.long_header;
  unknown_id += other.unknown_id;
  unresolved += other.unresolved;
  ttl_expired += other.ttl_expired;
  too_big += other.too_big;
  unwrapped += other.unwrapped;
  return *this;
}

namespace xdp {

namespace {

constexpr std::size_t outcomes = std::size_t{1} << QS_OUTCOME_BITS;
using Row = __u64[outcomes];

void add(const Row& row, qs_outcome outcome, std::uint64_t& sum) {
  sum += read_word(row[outcome]);
}

void add(const Row& row, XdpCounters& sum) {
  add(row, QS_STEERED, sum.steered);
  add(row, QS_LOCAL, sum.local);
  add(row, QS_FROM_PEER, sum.from_peer);
  add(row, QS_OTHER_STATION, sum.other_station);
  add(row, QS_TOO_SHORT, sum.too_short);
  add(row, QS_UNROUTABLE, sum.unroutable);
  add(row, QS_LONG_HEADER, sum.long_header);
  add(row, QS_UNKNOWN_ID, sum.unknown_id);
  add(row, QS_UNRESOLVED, sum.unresolved);
  add(row, QS_TTL_EXPIRED, sum.ttl_expired);
  add(row, QS_TOO_BIG, sum.too_big);
  add(row, QS_UNWRAPPED, sum.unwrapped);
}

}  // namespace

Result<Counters> Counters::open(const Fd& map) {
  auto mapping = Mapping::open(map, sizeof(qs_counters) * possible_cpus());
  if (!mapping) return fail(std::move(mapping.error()));
  return Counters(std::move(*mapping));
}

XdpCounters Counters::service(std::uint32_t counter) const {
  XdpCounters sum;
  for (const auto& cpu : cpus())
    add(cpu.service[counter % QS_MAX_VIPS], sum);
  return sum;
}

std::uint64_t Counters::server(std::uint32_t counter) const {
  std::uint64_t sum = 0;
  for (const auto& cpu : cpus())
    sum += read_word(cpu.server[counter % QS_MAX_SERVERS]);
  return sum;
}

XdpCounters Counters::gone() const {
  XdpCounters sum;
  add(cpus().front().gone, sum);
  return sum;
}

void Counters::clear_service(std::uint32_t counter) {
  for (auto& cpu : cpus())
    for (__u64& word : cpu.service[counter])
      write_word(word, __u64{0});
}

void Counters::clear_server(std::uint32_t counter) {
  for (auto& cpu : cpus())
    write_word(cpu.server[counter], __u64{0});
}

void Counters::retire_service(std::uint32_t counter) {
  Row& gone = cpus().front().gone;
  for (const auto& cpu : cpus())
    for (std::size_t i = 0; i < outcomes; ++i)
      write_word(gone[i], read_word(gone[i]) + read_word(cpu.service[counter % QS_MAX_VIPS][i]));
}

std::optional<std::uint32_t> free_counter(const std::set<std::uint32_t>& used, std::uint32_t end) {
  std::uint32_t free = 0;
  for (const std::uint32_t taken : used) {
    if (taken != free) break;
    ++free;
  }
  return free < end ? std::optional(free) : std::nullopt;
}

}  // namespace xdp
}  // namespace lbctl::kernel
