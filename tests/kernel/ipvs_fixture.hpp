// A fresh namespace with an IPVS backend, and short words for operations.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "lbctl/kernel/ipvs.hpp"
#include "namespace.hpp"

namespace lbctl::tests {

inline model::Operation op(model::Action action) {
  return {.phase = model::Phase::add_ipvs,
          .action = std::move(action),
          .why = model::Reason::not_in_kernel};
}

inline model::ServiceKey service(const char* address, std::uint16_t port,
                                 model::L4 protocol = model::L4::tcp) {
  return {.address = *model::IpAddress::parse(address),
          .protocol = protocol,
          .port = model::Port{port}};
}

inline model::ServiceKey mark(const char* any, std::uint32_t fwmark) {
  return {.address = *model::IpAddress::parse(any), .fwmark = fwmark};
}

inline model::DestinationKey to(const std::string& address, std::uint16_t port) {
  return {.address = *model::IpAddress::parse(address), .port = model::Port{port}};
}

inline model::Destination weighing(std::uint16_t weight,
                                   model::Forward forward = model::Forward::route) {
  return {.weight = model::Weight{weight}, .forward = forward};
}

/// Each line of a text, sorted: the kernel lists services by hash.
inline std::string sorted(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);)
    lines.push_back(line);
  std::ranges::sort(lines);
  std::string out;
  for (const auto& line : lines)
    out += line + "\n";
  return out;
}

class IpvsNamespace {
 public:
  IpvsNamespace() : inside_(net_) {
    auto backend = kernel::open_ipvs();
    REQUIRE(backend);
    backend_ = std::move(*backend);
  }
  kernel::Outcome execute(const std::vector<model::Operation>& run) {
    return backend_->execute(run);
  }
  model::Observed observe() {
    model::Observed out;
    auto read = backend_->observe({.sysctls = {}, .ipvs = true}, out);
    REQUIRE_MESSAGE(read.has_value(), (read ? "" : read.error().text()));
    return out;
  }

 private:
  Namespace net_;
  Inside inside_;
  std::unique_ptr<kernel::Backend> backend_;
};

inline std::string text(const kernel::Outcome& out) {
  return out.error ? out.error->text() : "done";
}

}  // namespace lbctl::tests
