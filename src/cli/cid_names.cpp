#include "cid_names.hpp"

#include "lbctl/config/resolve.hpp"
#include "lbctl/engine/key_file.hpp"

namespace lbctl::cli {

Result<model::CidSchemes> schemes_of(const config::Service& service) {
  model::CidSchemes out;
  for (const config::QuicCid& cid : service.quic.cids) {
    out.push_back(cid.scheme);
    if (cid.key_file.empty()) continue;
    auto key = engine::read_key_file(cid.key_file);
    if (!key) return fail(std::move(key.error()));
    out.back().key = *key;
  }
  return out;
}

std::string server_with(const config::Config& config, const config::Service& service,
                        const model::CidScheme& scheme, const model::ServerId& id) {
  for (const auto& [name, use] : service.servers)
    if (config::steering_id(scheme, config.servers.at(name)) == id) return name;
  return {};
}

}  // namespace lbctl::cli
