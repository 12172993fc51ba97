// The XDP program, compiled for user space, against judge(): random packets and random tables.
//
//   xdp_differential [PACKETS [SEED]]
//
// Each packet ends where an unreadable page begins, so that a read behind it is seen.
#include <fmt/format.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <random>
#include <span>
#include <utility>

#include "bucket_table.hpp"
#include "codec.hpp"
#include "judge.hpp"
#include "layouts.hpp"
#include "reference.hpp"
#include "schemes.hpp"
#include "user/program.h"

namespace lbctl::tests {

namespace {

using Random = std::mt19937_64;

constexpr std::size_t packets_of_a_world = 4096;
constexpr std::size_t most_services = 6;

std::size_t below(Random& random, std::size_t end) {
  return random() % end;
}
bool one_in(Random& random, std::size_t n) {
  return below(random, n) == 0;
}
Bytes octets(Random& random, std::size_t length) {
  Bytes out(length);
  for (auto& octet : out)
    octet = static_cast<std::uint8_t>(random());
  return out;
}
template <class All>
const auto& any_of(Random& random, const All& all) {
  return all[below(random, all.size())];
}

/// A world, and connection IDs that mean something in it.
struct Scene {
  World world;
  std::vector<model::SteeredKey> vips;
  std::vector<Bytes> cids;
};

model::MacAddress station(std::size_t number) {
  return {{2, 0, 0, 0, static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)}};
}

model::CidScheme random_scheme(Random& random, const std::vector<model::CidScheme>& all) {
  model::CidScheme out = any_of(random, all);
  if (out.encrypted) out.key = key_of(octets(random, 16));
  if (out.format == model::CidFormat::quic_lb)
    out.config = static_cast<std::uint8_t>(below(random, 7));
  return out;
}

/// One of a few.
model::IpAddress some_address(Random& random, bool v4) {
  Bytes octets(v4 ? 4 : 16, 9);
  octets.back() = static_cast<std::uint8_t>(below(random, 8));
  return *model::IpAddress::from_octets(octets);
}

model::SteerTarget random_target(Random& random) {
  switch (below(random, 8)) {
    case 0:
      return {true, {}, {}};
    case 1:
      return {false, {}, {}};
    case 2:
    case 3: {
      const bool v4 = one_in(random, 2);
      return {false, one_in(random, 8) ? model::MacAddress{} : station(200 + below(random, 4)),
              model::SteerTunnel{some_address(random, v4), some_address(random, v4),
                                 static_cast<std::uint32_t>(576 + below(random, 100))}};
    }
    default:
      return {false, station(100 + below(random, 50)), {}};
  }
}

Scene make_scene(Random& random) {
  static const std::vector<model::CidScheme> all = all_schemes();
  Scene out;
  out.world.self = {station(1), station(2)};
  const std::size_t services = 1 + below(random, most_services);
  for (std::size_t i = 0; i < services; ++i) {
    const bool v4 = one_in(random, 2);
    const model::SteeredKey key{*model::IpAddress::from_octets(octets(random, v4 ? 4 : 16)),
                                model::Port{static_cast<std::uint16_t>(random())}};
    model::SteeredService service{{}, one_in(random, 4), one_in(random, 4)};
    for (std::size_t n = 1 + below(random, 8); n > 0; --n)
      service.cids.push_back(random_scheme(random, all));
    for (const auto& scheme : service.cids)
      for (int n = 0; n < 8; ++n) {
        model::ServerId id = some_id(scheme);
        id.low ^= one_in(random, 3) ? 0 : below(random, 200);
        if (id.high != 0) id.high ^= below(random, 4);  // of one low word several
        if (!id.is_zero() && !one_in(random, 4))
          out.world.state.servers.emplace(id, random_target(random));
        out.cids.push_back(encode_cid(scheme, id, octets(random, 20)));
      }
    out.world.state.services.insert_or_assign(key, std::move(service));
    out.vips.push_back(key);
  }
  for (const auto& [id, target] : out.world.state.servers)
    if (!target.local && !target.tunnel && !target.mac.is_zero())
      out.world.peers.insert(target.mac);
  return out;
}

template <class Layout, std::size_t size>
void fill(typename Layout::Bucket (&buckets)[size], auto&& entries) {
  std::memset(buckets, 0, sizeof buckets);
  kernel::xdp::BucketTable<Layout> table{buckets};
  for (const auto& [key, value] : entries)
    if (!table.set(key, value)) std::abort();
}

/// As lbctl would write it.
void put_on(const World& world) {
  using namespace kernel::xdp;
  std::vector<std::pair<VipLayout::Key, __u32>> vips;
  std::memset(::tables.services, 0, sizeof ::tables.services);
  for (const auto& [key, service] : world.state.services) {
    const auto row = static_cast<__u32>(vips.size());
    ::tables.services[row] = encode(service).value();
    vips.emplace_back(encode(key), QS_ROW(row, row));
  }
  fill<VipLayout>(::tables.vips, vips);
  std::vector<std::pair<ServerLayout::Key, ServerLayout::Value>> servers;
  std::size_t tunnels = 0;
  for (const auto& [id, target] : world.state.servers) {
    __u64 word = encode(target);
    if (target.tunnel) {
      word = static_cast<__u64>(QS_TO_TUNNEL) << QS_KIND_SHIFT | tunnels;
      ::tables.tunnels[tunnels++] = encode(*target.tunnel, target.mac).value();
    }
    servers.emplace_back(encode(id).value(),
                         ServerLayout::Value{word, static_cast<__u32>(servers.size())});
  }
  fill<ServerLayout>(::tables.servers, servers);
  std::vector<std::pair<VipLayout::Key, __u32>> senders;
  for (const auto& address : world.senders())
    senders.emplace_back(encode(model::SteeredKey{address, model::Port{0}}), 0);
  fill<SenderLayout>(::tables.senders, senders);
  std::vector<std::pair<__u64, MacLayout::Value>> macs;
  for (const auto& mac : world.peers)
    macs.emplace_back(mac_word(mac), MacLayout::Value{});
  fill<MacLayout>(::tables.peer_macs, macs);
  ::tables.settings = {};
  std::size_t place = 0;
  for (const auto& mac : world.self)
    ::tables.settings.self[place++] = mac_word(mac);
}

Bytes random_cid(Random& random, const Scene& scene) {
  if (one_in(random, 8)) return octets(random, below(random, 22));
  Bytes out = any_of(random, scene.cids);
  if (one_in(random, 8)) out[below(random, out.size())] ^= static_cast<std::uint8_t>(random());
  if (one_in(random, 8)) out.resize(below(random, 21));
  return out;
}

Bytes random_extensions(Random& random, std::uint8_t& first, std::uint8_t last) {
  constexpr std::uint8_t kinds[] = {0, 43, 60, 44};
  Bytes out;
  std::uint8_t kind = first = kinds[below(random, one_in(random, 8) ? 4 : 3)];
  for (std::size_t n = 1 + below(random, 5); n > 0; --n) {
    const std::uint8_t next = n == 1 ? last : kinds[below(random, 3)];
    const std::size_t units = one_in(random, 8) ? below(random, 12) : 0;
    Bytes header = octets(random, 8 * (units + 1));
    header[0] = next;
    header[1] = static_cast<std::uint8_t>(units);
    if (kind == 43 && !one_in(random, 4)) header[3] = 0;
    out.insert(out.end(), header.begin(), header.end());
    kind = next;
  }
  return out;
}

Frame random_frame(Random& random, const Scene& scene) {
  Frame out;
  const model::SteeredKey& vip = any_of(random, scene.vips);
  const bool v4 = vip.address.is_v4();
  const auto client = *model::IpAddress::from_octets(octets(random, v4 ? 4 : 16));
  const bool quoted = one_in(random, 5);
  const Bytes cid = random_cid(random, scene);
  const bool is_long = one_in(random, 2);
  const auto first = static_cast<std::uint8_t>((random() & 0x7f) | (is_long ? 0x80 : 0));
  out.payload = is_long ? long_packet(cid, static_cast<std::uint32_t>(random()), first)
                        : short_packet(cid, below(random, one_in(random, 12) ? 700 : 40), first);
  out.to = one_in(random, 12) ? station(below(random, 200)) : station(1 + below(random, 2));
  out.from = one_in(random, 12) ? station(100 + below(random, 50)) : station(77);
  out.source = client;
  out.destination = vip.address;
  out.port = one_in(random, 20) ? static_cast<std::uint16_t>(random()) : number(vip.port);
  out.ttl = static_cast<std::uint8_t>(one_in(random, 6) ? below(random, 3) : random());
  out.ip_id = static_cast<std::uint16_t>(random());
  out.fragment = static_cast<std::uint16_t>(one_in(random, 10) ? random() : 0x4000);
  if (v4 && one_in(random, 5)) out.options = octets(random, 4 * below(random, 11));
  for (std::size_t tags = one_in(random, 3) ? below(random, 4) : 0; tags > 0; --tags)
    out.tags.push_back(one_in(random, 2) ? 0x8100 : 0x88a8);
  if (quoted) {
    Frame inner = out;
    inner.tags.clear();
    inner.options.clear();
    std::swap(inner.source, inner.destination);
    std::swap(inner.source_port, inner.port);
    if (is_long) inner.payload = server_packet(octets(random, below(random, 23)), cid);
    out.fragment = 0x4000;
    out.icmp = icmp_error(static_cast<std::uint8_t>(one_in(random, 4) ? random()
                                                    : v4              ? 3
                                                                      : 1),
                          inner, one_in(random, 2) ? 2000 : below(random, 120));
  }
  if (!v4 && one_in(random, 4))
    out.options = random_extensions(random, out.next_header, quoted ? 58 : 17);
  return out;
}

Bytes random_packet(Random& random, const Scene& scene) {
  const Frame frame = random_frame(random, scene);
  const bool v4 = one_in(random, 2);
  Bytes out = one_in(random, 6) ? wrapped(frame, some_address(random, v4), some_address(random, v4))
                                : frame.bytes();
  if (one_in(random, 10)) out.resize(14 + below(random, out.size() - 13));
  if (one_in(random, 10))
    for (std::size_t n = 1 + below(random, 4); n > 0; --n)
      out[below(random, out.size())] = static_cast<std::uint8_t>(random());
  return out;
}

/// Memory below 4 GiB, where the program's 32-bit addresses reach, with a wall behind it.
class Arena {
 public:
  Arena() {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    void* start = mmap(nullptr, size + page, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    if (start == MAP_FAILED) std::abort();
    end_ = static_cast<std::uint8_t*>(start) + size;
    if (mprotect(end_, page, PROT_NONE) != 0) std::abort();
  }

  Judgement run(const Bytes& packet) {
    std::uint8_t* begin = end_ - packet.size();
    std::ranges::copy(packet, begin);
    __u32 start = address(begin);
    const int verdict = user_run(&start, address(end_));
    Judgement out;
    out.verdict = verdict == XDP_TX     ? Verdict::send
                  : verdict == XDP_DROP ? Verdict::drop
                                        : Verdict::pass;
    for (auto& service : std::span(user_counters.service).first(most_services))
      for (int i = 0; i < QS_NR_OUTCOMES; ++i)
        if (std::exchange(service[i], 0) != 0) out.counted = static_cast<qs_outcome>(i);
    // Of a dropped packet nothing is left.
    if (verdict == XDP_DROP)
      out.packet = packet;
    else
      out.packet.assign(end_ - (address(end_) - start), end_);
    return out;
  }

 private:
  static constexpr std::size_t size = std::size_t{1} << 16;
  static __u32 address(const std::uint8_t* at) {
    return static_cast<__u32>(reinterpret_cast<std::uintptr_t>(at));
  }
  std::uint8_t* end_ = nullptr;
};

std::string hex_of(const Bytes& all) {
  std::string out;
  for (const std::uint8_t octet : all)
    out += fmt::format("{:02x}", octet);
  return out;
}

int outcome(const Judgement& judgement) {
  return judgement.counted ? static_cast<int>(*judgement.counted) : -1;
}

int compare(std::size_t packets, std::uint64_t seed) {
  Random random(seed);
  Arena arena;
  Scene scene;
  std::array<std::size_t, QS_NR_OUTCOMES + 1> seen{};
  for (std::size_t i = 0; i < packets; ++i) {
    if (i % packets_of_a_world == 0) {
      scene = make_scene(random);
      put_on(scene.world);
    }
    const Bytes packet = random_packet(random, scene);
    const Judgement expected = judge(scene.world, packet);
    const Judgement got = arena.run(packet);
    ++seen[static_cast<std::size_t>(outcome(expected) + 1)];
    if (got == expected) continue;
    fmt::print(
        "packet {} of seed {}: {}\nexpected verdict {} counted {}: {}\n     got verdict {} "
        "counted {}: {}\n",
        i, seed, hex_of(packet), static_cast<int>(expected.verdict), outcome(expected),
        hex_of(expected.packet), static_cast<int>(got.verdict), outcome(got), hex_of(got.packet));
    return 1;
  }
  fmt::print("{} packets, seed {}, no difference; uncounted and by outcome:", packets, seed);
  for (const std::size_t n : seen)
    fmt::print(" {}", n);
  fmt::print("\n");
  // What never comes is not compared.
  return packets < 100'000 || std::ranges::all_of(
                                  seen, [](std::size_t n) { return n != 0; })
             ? 0
             : 1;
}

}  // namespace
}  // namespace lbctl::tests

int main(int argc, char** argv) {
  const std::size_t packets = argc > 1 ? std::stoull(argv[1]) : 200'000;
  const std::uint64_t seed = argc > 2 ? std::stoull(argv[2]) : 1;
  return lbctl::tests::compare(packets, seed);
}
