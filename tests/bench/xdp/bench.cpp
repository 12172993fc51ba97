// What steering costs for each packet, beside bare floors, in one run.
//
//   xdp_bench [--instructions]
//
// Nanoseconds are the least of several rounds. With --instructions they are instructions, on a
// machine whose clock counts them: tests/lab/vm --count -- xdp_bench --instructions.
// The harness that puts the packet back is in every figure. Exit status 1: a limit is passed.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "harness.h"
#include "quic_steer.h"
// Needs the types of the former.
#include <bench_floors.skel.h>

#include "packet.hpp"
#include "program.hpp"
#include "reference.hpp"
#include "schemes.hpp"
#include "tables.hpp"

namespace lbctl::tests {

namespace {

using model::Port;
using model::ServerId;

template <class T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().text());
  return std::move(*result);
}

void must(const Result<>& done) {
  if (!done) throw std::runtime_error(done.error().text());
}

void must(int error, const char* what) {
  if (error < 0) throw std::runtime_error(fmt::format("{}: {}", what, std::strerror(-error)));
}

using Object = CHandle<bpf_object, &bpf_object__close>;

int fd_of(const Object& object, const char* program) {
  const int fd = bpf_program__fd(bpf_object__find_program_by_name(object.get(), program));
  must(fd, program);
  return fd;
}

/// What is in the tables.
struct Size {
  __u32 servers = 4095;
  unsigned vips = 255;  ///< of IPv4; IPv6 has one more
};

/// The programs and their tables.
class Bench {
 public:
  explicit Bench(bool instructions, Size size = {}) : instructions_(instructions), size_(size) {
    auto program = must(kernel::xdp::load_program({}));
    ours_ = std::move(program.fd);
    tables_ = must(kernel::xdp::Tables::open(std::move(program.maps)));
    std::size_t octets = 0;
    const void* elf = bench_floors__elf_bytes(&octets);
    floors_.reset(bpf_object__open_mem(elf, octets, nullptr));
    must(bpf_map__reuse_fd(bpf_object__find_map_by_name(floors_.get(), ".bss"),
                           tables_->maps()[kernel::xdp::MapName::tables].get()),
         "share the tables");
    must(bpf_object__load(floors_.get()), "load the floors");
    fill();
  }

  kernel::xdp::Tables& tables() { return *tables_; }
  int ours() const { return ours_.get(); }
  int floor(const char* name) const { return fd_of(floors_, name); }

  /// Nanoseconds (or instructions) of one packet through `program`, which must end with `verdict`.
  double measure(int program, const Bytes& packet, std::uint32_t verdict,
                 const harness& turns = {}) {
    const __u32 row = 0;
    must(bpf_map_update_elem(map("measured"), &row, &program, BPF_ANY), "put the program in");
    harness state = turns;
    std::memcpy(state.packet, packet.data(), sizeof state.packet);
    must(bpf_map_update_elem(map("harness_state"), &row, &state, BPF_ANY), "put the packet in");
    double best = 1e9;
    for (int round = 0; round < (instructions_ ? 2 : 15); ++round)
      best = std::min(best, run(packet, verdict));
    return best;
  }

 private:
  int map(const char* name) const {
    return bpf_map__fd(bpf_object__find_map_by_name(floors_.get(), name));
  }

  double run(const Bytes& packet, std::uint32_t verdict) const {
    Bytes out(packet.size() + 64);
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet.data(), .data_out = out.data(),
                .data_size_in = static_cast<__u32>(packet.size()),
                .data_size_out = static_cast<__u32>(out.size()),
                .repeat = instructions_ ? 20'000 : 1'000'000);
    must(bpf_prog_test_run_opts(fd_of(floors_, "harness"), &options), "BPF_PROG_TEST_RUN");
    if (options.retval != verdict)
      throw std::runtime_error(fmt::format("verdict {} instead of {}", options.retval, verdict));
    return options.duration;
  }

  /// From id 2 on, the one of the packets, in a ring; so are VIPs from 192.0.2.100 on.
  void fill() {
    must(tables_->set_self({mac("02:00:00:00:00:01")}));
    for (__u32 n = 0; n < size_.servers; ++n) {
      const __u32 id = 1 + (1 + n) % Size{}.servers;
      const model::MacAddress peer{
          {2, 1, 0, 0, static_cast<std::uint8_t>(id >> 8), static_cast<std::uint8_t>(id)}};
      must(tables_->set_server(ServerId{id}, {.local = id == 4000, .mac = peer}));
      const __u64 word = 0x020000000002;
      must(bpf_map_update_elem(map("flat_servers"), &id, &word, BPF_ANY),
           "fill the floor's servers");
    }
    use(quic_lb(0, 2, 8));
  }

 public:
  void use(const model::CidScheme& scheme) {
    for (unsigned n = 0; n < size_.vips; ++n) {
      const Bytes address = {192, 0, 2, static_cast<std::uint8_t>((100 + n) % Size{}.vips)};
      must(tables_->set_service({*model::IpAddress::from_octets(address), Port{443}}, {{scheme}}));
    }
    must(tables_->set_service({ip("2001:db8:100::100"), Port{443}}, {{scheme}}));
  }

 private:
  bool instructions_;
  Size size_;
  Fd ours_;
  std::optional<kernel::xdp::Tables> tables_;
  Object floors_;
};

Frame frame(int version, const Bytes& payload) {
  Frame out;
  if (version == 6) {
    out.source = ip("2001:db8:7::7");
    out.destination = ip("2001:db8:100::100");
  }
  out.payload = payload;
  return out;
}

Bytes cid_of(const model::CidScheme& scheme, std::uint64_t id) {
  return encode_cid(scheme, ServerId{id}, Bytes(20, 0x5a));
}

/// The figures, and the ratios that have a limit.
class Report {
 public:
  double line(const std::string& what, double figure) {
    fmt::print("  {:<52} {:7.1f}\n", what, figure);
    return figure;
  }
  void ratio(const std::string& what, double figure, double to, double limit) {
    const double is = figure / to;
    if (is > limit) ++missed_;
    fmt::print("  {:<52} {:7.2f}  limit {:.2f}{}\n", what, is, limit, is > limit ? "  MISSED" : "");
  }
  int missed() const { return missed_; }

 private:
  int missed_ = 0;
};

constexpr std::uint32_t pass = XDP_PASS, tx = XDP_TX;

void ciphers(Bench& bench, Report& report, double plain) {
  struct Kind {
    const char* what;
    model::CidScheme scheme;
    double limit;
  };
  for (const Kind& kind : {Kind{"single pass (id 2, nonce 14)", encrypted(0, 2, 14), 2.2},
                           Kind{"three passes (id 2, nonce 8)", encrypted(0, 2, 8), 5.5},
                           Kind{"four passes (id 6, nonce 4)", encrypted(0, 6, 4), 7.0}}) {
    bench.use(kind.scheme);
    const Bytes packet = frame(4, short_packet(cid_of(kind.scheme, 2))).bytes();
    const double figure = report.line(kind.what, bench.measure(bench.ours(), packet, tx));
    report.ratio(fmt::format("{} to plain", kind.what), figure, plain, kind.limit);
  }
}

void schemes(Bench& bench, Report& report) {
  for (const auto& [what, scheme] : {std::pair{"msquic", msquic()},
                                     {"katran version 2", katran(2)},
                                     {"raw", raw(8, 2, 20)},
                                     {"quic-lb id 10 (wide)", quic_lb(0, 10, 6)}}) {
    bench.use(scheme);
    const Bytes packet = frame(4, short_packet(cid_of(scheme, 2))).bytes();
    report.line(what, bench.measure(bench.ours(), packet, tx));
  }
}

void kinds(Bench& bench, Report& report) {
  const auto scheme = quic_lb(0, 2, 8);
  const Bytes remote = cid_of(scheme, 2), local = cid_of(scheme, 4000);
  const auto ours = [&](const char* what, const Frame& of, std::uint32_t verdict) {
    return report.line(what, bench.measure(bench.ours(), of.bytes(), verdict));
  };
  ours("short header, remote, IPv6", frame(6, short_packet(remote)), tx);
  ours("short header, local", frame(4, short_packet(local)), pass);
  ours("long header, remote", frame(4, long_packet(remote)), tx);
  ours("long header, client's connection ID (8)", frame(4, long_packet(Bytes(8, 0xe1))), pass);
  ours("unknown id", frame(4, short_packet(cid_of(scheme, 5000))), pass);
  Frame other = frame(4, short_packet(remote));
  other.from = model::MacAddress{{2, 1, 0, 0, 0, 2}};
  ours("from a peer", other, pass);
  other = frame(4, short_packet(remote));
  other.tags = {0x88a8, 0x8100};
  ours("short header, remote, two VLAN tags", other, tx);
  other = frame(4, short_packet(remote));
  other.options = Bytes(12, 1);
  ours("short header, remote, IPv4 options", other, tx);
}

void scale(Bench& bench, Report& report, const Bytes& packet, bool instructions) {
  constexpr std::uint32_t id_at = 14 + 20 + 8 + 1 + 1, vip_at = 14 + 19;
  const double ids = bench.measure(bench.ours(), packet, tx, {.id_at = id_at, .id_mask = 2047});
  const double vips = bench.measure(bench.ours(), packet, tx, {.vip_at = vip_at, .vip_mask = 127});
  const double one_id = bench.measure(bench.ours(), packet, tx, {.id_at = id_at, .id_mask = 1});
  const double one_vip = bench.measure(bench.ours(), packet, tx, {.vip_at = vip_at, .vip_mask = 1});
  report.line("2 ids in turn, 4,095 in the table", one_id);
  report.line("2,048 ids in turn", ids);
  report.line("2 VIPs in turn, 256 in the table", one_vip);
  report.line("128 VIPs in turn", vips);
  report.ratio("2,048 ids to 2", ids, one_id, 1.15);
  report.ratio("128 VIPs to 2", vips, one_vip, 1.15);
  Bench small(instructions, {.servers = 1, .vips = 1});
  const double least =
      report.line("1 server and 2 VIPs in the table", small.measure(small.ours(), packet, tx));
  report.ratio("4,095 servers and 256 VIPs to that", bench.measure(bench.ours(), packet, tx), least,
               1.15);
}

int run(bool instructions) {
  Bench bench(instructions);
  Report report;
  const auto scheme = quic_lb(0, 2, 8);
  const Bytes packet = frame(4, short_packet(cid_of(scheme, 2))).bytes();
  fmt::print("{} for each packet, harness included\n",
             instructions ? "instructions" : "nanoseconds");
  const double bare =
      report.line("floor: pass", bench.measure(bench.floor("floor_pass"), packet, pass));
  report.line("floor: parse, send", bench.measure(bench.floor("floor_tx"), packet, tx));
  report.line("floor: parse, hash, send", bench.measure(bench.floor("floor_hash"), packet, tx));
  const double full = report.line("floor: parse, hash, server array, TTL, send",
                                  bench.measure(bench.floor("floor_full"), packet, tx));
  const double plain = report.line("short header, remote", bench.measure(bench.ours(), packet, tx));
  Frame other = frame(4, short_packet(cid_of(scheme, 2)));
  other.port = 444;
  const double not_vip = report.line("not a VIP", bench.measure(bench.ours(), other.bytes(), pass));
  report.ratio("short header, remote, to the full floor", plain, full, instructions ? 1.45 : 1.10);
  if (!instructions) report.ratio("not a VIP to pass", not_vip, bare, 1.12);
  kinds(bench, report);
  scale(bench, report, packet, instructions);
  schemes(bench, report);
  ciphers(bench, report, plain);
  return report.missed() == 0 ? 0 : 1;
}

}  // namespace
}  // namespace lbctl::tests

int main(int argc, char** argv) {
  const bool instructions = argc > 1 && std::string_view(argv[1]) == "--instructions";
  try {
    return lbctl::tests::run(instructions);
  } catch (const std::exception& e) {
    fmt::print(stderr, "xdp_bench: {}\n", e.what());
    return 2;
  }
}
