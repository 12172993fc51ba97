#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "lbctl/kernel/ipvs.hpp"
#include "namespace.hpp"

namespace {

bool loaded() {
  return std::filesystem::exists("/proc/net/ip_vs");
}

// True if a node that does not need IPVS leaves the module alone. Only the first look at a kernel
// can tell, so this stands before everything else.
bool lazy(lbctl::kernel::Backend& backend) {
  if (loaded()) {
    std::puts("ip_vs is loaded already: whether it is left alone is not checked");
    return true;
  }
  lbctl::model::Observed out;
  return backend.observe({.sysctls = {}}, out).has_value() && !loaded();
}

}  // namespace

int main(int argc, char** argv) {
  if (::geteuid() != 0) {
    std::puts("skipped: these tests make network namespaces and need root");
    return 77;
  }
  const lbctl::tests::Namespace net;
  const lbctl::tests::Inside inside(net);
  auto backend = lbctl::kernel::open_ipvs();
  if (!backend) return std::puts(backend.error().text().c_str()), 1;
  if (!lazy(**backend)) return std::puts("failed: ip_vs was loaded without need"), 1;

  lbctl::model::Observed out;
  if (auto read = (*backend)->observe({.sysctls = {}, .ipvs = true}, out); !read) {
    const auto& error = read.error();
    std::printf("%s; %s\n", error.text().c_str(), error.hint().c_str());
    if (error.code() != lbctl::Errc::unsupported || !error.hint().starts_with("modprobe ip_vs"))
      return std::puts("failed: not the refusal of a kernel without IPVS"), 1;
    std::puts("skipped: this kernel has no IPVS (tests/lab/vm runs this test in a machine)");
    return 77;
  }
  return doctest::Context(argc, argv).run();
}
