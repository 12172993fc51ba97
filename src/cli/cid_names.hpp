// What the file knows of connection IDs: the layouts of its services with their keys, and whose an
// id is.
#pragma once

#include <string>

#include "lbctl/base/result.hpp"
#include "lbctl/config/config.hpp"

namespace lbctl::cli {

/// The layouts of a service with quic; reads the key files.
Result<model::CidSchemes> schemes_of(const config::Service& service);

/// The service's server with this id; empty: none has it.
std::string server_with(const config::Config& config, const config::Service& service,
                        const model::CidScheme& scheme, const model::ServerId& id);

}  // namespace lbctl::cli
