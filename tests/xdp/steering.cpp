#include "steering.hpp"

#include <bpf/bpf.h>

#include <stdexcept>

namespace lbctl::tests {

namespace {

template <class T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().text());
  return std::move(*result);
}

const char* verdict_name(std::uint32_t verdict) {
  switch (verdict) {
    case XDP_ABORTED:
      return "ABORTED";
    case XDP_DROP:
      return "DROP";
    case XDP_PASS:
      return "PASS";
    case XDP_TX:
      return "TX";
    default:
      return "another";
  }
}

}  // namespace

Steering::Steering() {
  auto program = must(kernel::xdp::load_program({}));
  program_ = std::move(program.fd);
  tables_ = must(kernel::xdp::Tables::open(std::move(program.maps)));
}

Answer Steering::run(const Bytes& packet) {
  const auto before = tables_->figures().total;
  Bytes out(packet.size() + 256);
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet.data(), .data_out = out.data(),
              .data_size_in = static_cast<__u32>(packet.size()),
              .data_size_out = static_cast<__u32>(out.size()), .repeat = 1);
  if (const int error = bpf_prog_test_run_opts(program_.get(), &options); error < 0)
    throw std::runtime_error("BPF_PROG_TEST_RUN: " + std::to_string(error));
  out.resize(options.data_size_out);
  const auto now = tables_->figures().total;
  return {verdict_name(options.retval),
          out,
          {now.steered - before.steered, now.local - before.local, now.from_peer - before.from_peer,
           now.other_station - before.other_station, now.too_short - before.too_short,
           now.unroutable - before.unroutable, now.long_header - before.long_header,
           now.unknown_id - before.unknown_id, now.unresolved - before.unresolved,
           now.ttl_expired - before.ttl_expired, now.too_big - before.too_big,
           now.unwrapped - before.unwrapped}};
}

}  // namespace lbctl::tests
