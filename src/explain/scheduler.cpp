#include "lbctl/explain/scheduler.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <numeric>

namespace lbctl::explain {
namespace {

using model::number;

/// HalfSipHash's stand-in on 64 bits: SipHash-1-3 of one 32-bit word, cut to 32 bits.
std::uint32_t hash_word(std::uint32_t word, std::uint64_t key) {
  std::uint64_t v0 = 0x736f6d6570736575 ^ key, v1 = 0x646f72616e646f6d ^ key;
  std::uint64_t v2 = 0x6c7967656e657261 ^ key, v3 = 0x7465646279746573 ^ key;
  const auto round = [&] {
    v0 += v1, v1 = std::rotl(v1, 13), v1 ^= v0, v0 = std::rotl(v0, 32);
    v2 += v3, v3 = std::rotl(v3, 16), v3 ^= v2;
    v0 += v3, v3 = std::rotl(v3, 21), v3 ^= v0;
    v2 += v1, v1 = std::rotl(v1, 17), v1 ^= v2, v2 = std::rotl(v2, 32);
  };
  const std::uint64_t block = std::uint64_t{sizeof word} << 56 | word;
  v3 ^= block;
  round();
  v0 ^= block;
  v2 ^= 0xff;
  round();
  round();
  round();
  return static_cast<std::uint32_t>(v0 ^ v1 ^ v2 ^ v3);
}

/// The address as 32 bits; of IPv6 the four words are xored.
std::uint32_t folded(const model::IpAddress& address) {
  std::uint32_t out = 0;
  const auto octets = address.octets();
  for (std::size_t i = 0; i < octets.size(); ++i)
    out ^= std::uint32_t{octets[i]} << (24 - 8 * (i % 4));
  return out;
}

/// Where a hash table has nobody.
constexpr std::size_t nobody = SIZE_MAX;

/// The tables of both schedulers hold places in the list of candidates.
using Table = std::vector<std::size_t>;

// --- mh

constexpr std::uint32_t mh_size = 4093;
constexpr int mh_bits = 6;
constexpr std::uint64_t mh_offset_key = 2654435761, mh_skip_key = 2654446892;

std::uint32_t mh_hash(std::uint32_t address, std::uint16_t port, std::uint64_t key,
                      std::uint32_t offset = 0) {
  return hash_word(offset + port + address, key);
}

/// How many places in a row a destination takes.
std::vector<unsigned> mh_turns(std::span<const Candidate> candidates) {
  unsigned divisor = 0, largest = 0;
  for (const Candidate& one : candidates) {
    divisor = std::gcd(divisor, unsigned{number(one.last_weight)});
    largest = std::max(largest, unsigned{number(one.last_weight)});
  }
  std::vector<unsigned> out(candidates.size());
  if (divisor == 0) return out;
  const int shift = std::max(0, static_cast<int>(std::bit_width(largest / divisor)) - mh_bits);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const unsigned weight = number(candidates[i].last_weight);
    out[i] = std::max(weight / divisor >> shift, weight != 0 ? 1u : 0u);
  }
  return out;
}

Table mh_table(std::span<const Candidate> candidates) {
  struct Walk {
    std::uint32_t place, skip;
  };
  std::vector<Walk> walks;
  for (const Candidate& one : candidates) {
    const auto address = folded(one.key.address);
    const auto port = number(one.key.port);
    walks.push_back({mh_hash(address, port, mh_offset_key) % mh_size,
                     mh_hash(address, port, mh_skip_key) % (mh_size - 1) + 1});
  }
  const auto turns = mh_turns(candidates);
  Table out(mh_size, nobody);
  if (std::ranges::all_of(turns, [](unsigned n) { return n == 0; })) return out;
  for (std::uint32_t filled = 0; filled < mh_size;)
    for (std::size_t i = 0; i < walks.size(); ++i)
      for (unsigned turn = 0; turn < turns[i] && filled < mh_size; ++turn, ++filled) {
        while (out[walks[i].place] != nobody)
          walks[i].place = (walks[i].place + walks[i].skip) % mh_size;
        out[walks[i].place] = i;
      }
  return out;
}

// --- sh

constexpr std::uint32_t sh_bits = 8, sh_size = 1u << sh_bits;

std::uint32_t sh_hash(std::uint32_t address, std::uint16_t port, std::uint32_t offset) {
  constexpr std::uint32_t golden_ratio = 0x61c88647;
  return (offset + ((port + address) * golden_ratio >> (32 - sh_bits))) % sh_size;
}

/// Filled by the weights of now; a weight of 0 takes a place all the same.
Table sh_table(std::span<const Candidate> candidates) {
  Table out(sh_size, nobody);
  std::size_t at = 0;
  unsigned taken = 0;
  for (std::size_t& place : out) {
    if (candidates.empty()) break;
    place = at;
    if (++taken < number(candidates[at].weight)) continue;
    at = (at + 1) % candidates.size();
    taken = 0;
  }
  return out;
}

}  // namespace

bool is_computable(const model::VirtualService& service) {
  return service.scheduler == "mh" || service.scheduler == "sh";
}

Choice choose(const model::VirtualService& service, std::span<const Candidate> candidates,
              const model::Flow& flow) {
  const bool mh = service.scheduler == "mh";
  const bool fallback = service.flags.sched1, with_port = service.flags.sched2;
  const Table table = mh ? mh_table(candidates) : sh_table(candidates);
  const std::uint32_t client = folded(flow.client);
  const std::uint16_t port = with_port ? number(flow.client_port) : std::uint16_t{0};
  const auto place = [&](std::uint32_t offset) {
    return mh ? mh_hash(client, port, mh_offset_key, offset) % mh_size
              : sh_hash(client, port, offset);
  };
  const auto takes = [&](std::size_t candidate) {
    return candidate != nobody && candidates[candidate].weight != model::Weight{};
  };

  const std::uint32_t home = place(0);
  const std::size_t first = table[home];
  if (first == nobody) return {};
  if (takes(first)) return {candidates[first].key, {}};
  Choice out{{}, candidates[first].key};
  for (std::uint32_t i = 0; fallback && i < table.size(); ++i) {
    const std::size_t next = table[place((i + home) % static_cast<std::uint32_t>(table.size()))];
    if (next == nobody) break;
    if (!takes(next)) continue;
    out.destination = candidates[next].key;
    break;
  }
  return out;
}

}  // namespace lbctl::explain
