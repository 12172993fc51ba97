// What several tests of the reader need.
#pragma once

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "lbctl/config/read.hpp"

namespace lbctl::config::test {

inline std::string slurp(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE_MESSAGE(file.good(), path.string());
  std::ostringstream out;
  out << file.rdbuf();
  return out.str();
}

inline std::string said(const Loaded& loaded) {
  std::string out;
  for (const Diagnostic& diagnostic : loaded.diagnostics)
    out += render(diagnostic);
  return out;
}

/// The Config of a text that must be right.
inline Config config_of(std::string_view text) {
  const Loaded loaded = read_text(text, "test.toml");
  REQUIRE_MESSAGE(loaded.ok(), said(loaded));
  return *loaded.config;
}

inline model::IpAddress ip(std::string_view text) {
  const auto address = model::IpAddress::parse(text);
  REQUIRE_MESSAGE(address.has_value(), text);
  return *address;
}

/// Two servers and a director in both families, without services.
inline constexpr const char* nodes = R"(
[directors.dir1]
address = ["192.0.2.10", "2001:db8::10"]
interface = "eth0"
[servers.rs1]
address = ["192.0.2.11", "2001:db8::11"]
interface = "eth1"
id = 1
signal = ["192.0.2.111", "2001:db8::111"]
[servers.rs2]
address = ["192.0.2.12", "2001:db8::12"]
interface = "eth0"
id = 2
signal = ["192.0.2.112", "2001:db8::112"]
)";

inline std::string with_nodes(std::string_view services) {
  return std::string(nodes) + std::string(services);
}

}  // namespace lbctl::config::test
