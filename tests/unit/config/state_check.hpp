// Comparing whole states part by part, so that a failure names the part.
#pragma once

#include "files.hpp"
#include "lbctl/model/node_state.hpp"

namespace lbctl::config::test {

/// Also whether each is announced, which equality leaves out.
inline void check_addresses(const std::map<model::AddressKey, model::AddressSettings>& got,
                            const std::map<model::AddressKey, model::AddressSettings>& want) {
  const auto text = [](const auto& addresses) {
    std::string out;
    for (const auto& [key, settings] : addresses) {
      out += key.text() + " protocol " + std::to_string(settings.protocol) +
             (settings.announce ? " announced\n" : "\n");
    }
    return out;
  };
  CHECK(text(got) == text(want));
}

inline void check_state(const model::NodeState& got, const model::NodeState& want) {
  CHECK(got.sysctls == want.sysctls);
  CHECK(got.ipvs == want.ipvs);
  CHECK(got.nft == want.nft);
  check_addresses(got.addresses, want.addresses);
  CHECK(got.mptcp == want.mptcp);
  CHECK(got.xdp == want.xdp);
  CHECK(got.ipvs_node == want.ipvs_node);
  CHECK(got.tunnels == want.tunnels);
  CHECK(got == want);
}

}  // namespace lbctl::config::test
