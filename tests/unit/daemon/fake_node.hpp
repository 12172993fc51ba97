// A director whose kernel is in memory and whose file is a text.
#pragma once

#include <doctest/doctest.h>

#include "fake_kernel.hpp"
#include "lbctl/daemon/daemon.hpp"
#include "temp_dir.hpp"

namespace lbctl::daemon::test {

inline constexpr const char* nodes = R"(
[directors.dir1]
address = ["192.0.2.10"]
interface = "eth0"
[servers.rs1]
address = ["192.0.2.11", "2001:db8::11"]
interface = "eth0"
id = 1
[servers.rs2]
address = ["192.0.2.12", "2001:db8::12"]
interface = "eth0"
id = 2
[services.web]
vip = ["192.0.2.100"]
ports = [80]
protocols = ["tcp"]
servers = { rs1 = 10, rs2 = 20 }
)";

class FakeNode : public Node {
 public:
  FakeNode() {
    for (const char* name : {"conn_reuse_mode", "conntrack", "expire_nodest_conn"})
      kernel.state.sysctls[std::string("net/ipv4/vs/") + name] = "0";
  }
  config::Loaded read_file() override { return config::read_text(file, "lbctl.toml"); }
  Result<std::string> recognise(const config::Config&) override { return "dir1"; }
  Result<Round> reconcile(const config::Config& config, const std::string& node,
                          const model::Health& health) override {
    auto desired = config::resolve(config, node, {}, drains, health);
    REQUIRE(desired);
    engine::Engine engine(kernel.backends(), [] { return model::UnixTime{1000}; });
    auto report = engine.apply({.want = desired->state, .asked = desired->drains}, state,
                               [] { return false; });
    if (!report) return fail(std::move(report.error()));
    report->figures.signal_counters = counters;
    return Round{std::move(*desired), std::move(*report), steering};
  }
  Result<> drain(const std::string&, const model::DrainIntent& intent) override {
    engine::add_drain(drains, intent);
    return {};
  }
  Result<bool> undrain(const std::string&, const std::string& server,
                       const std::optional<std::string>& service) override {
    return engine::remove_drain(drains, server, service);
  }
  std::vector<std::string> folders() const override { return {}; }

  /// "192.0.2.11:80=10 "
  std::string weights() const {
    std::string out;
    for (const auto& [key, service] : kernel.state.ipvs)
      for (const auto& [to, destination] : service.destinations)
        out += to.text() + "=" + std::to_string(number(destination.weight)) + " ";
    return out;
  }

  std::string file = std::string(nodes) + "check = { rise = 1, fall = 1 }\n";
  engine::DrainList drains;
  std::optional<model::SignalCounters> counters;  ///< as if the kernel had counted
  Steering steering;
  fakes::FakeKernel kernel;
  TempDir temp;
  engine::StateDir state = *engine::StateDir::open(temp.path);
};

}  // namespace lbctl::daemon::test
