#include "vectors.hpp"

#include <toml.hpp>

#include "schemes.hpp"

namespace lbctl::tests {

std::vector<Vector> vectors() {
  std::vector<Vector> out;
  const auto file = toml::parse(LBCTL_SOURCE_DIR "/tests/data/quic-lb-vectors.toml");
  for (const char* table : {"plaintext", "encrypted"})
    for (const auto& vector : toml::find<toml::array>(file, table)) {
      const auto octets = [&](const char* key) {
        return hex(toml::find<std::string>(vector, key));
      };
      const auto id = toml::find<std::string>(vector, "server_id");
      Vector one{quic_lb(static_cast<unsigned>(toml::find<int>(vector, "config")),
                         static_cast<unsigned>(octets("server_id").size()),
                         static_cast<unsigned>(octets("nonce").size())),
                 model::ServerId::parse("0x" + id).value(), octets("nonce"), octets("cid")};
      if (vector.contains("key")) {
        one.scheme.encrypted = true;
        one.scheme.key = key_of(octets("key"));
      }
      out.push_back(std::move(one));
    }
  return out;
}

}  // namespace lbctl::tests
