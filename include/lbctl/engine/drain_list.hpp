// The operator's drains (`lbctl drain`) of one node, kept apart from the file: in the state
// directory until the next boot, or in a directory that survives it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lbctl/base/result.hpp"
#include "lbctl/model/leaving.hpp"

namespace lbctl::engine {

inline constexpr const char* default_persist_dir = "/var/lib/lbctl";

using DrainList = std::vector<model::DrainIntent>;

std::string to_text(const DrainList& drains);  ///< JSON with "schema_version": 1
Result<DrainList> parse_drains(std::string_view text);

/// Where the lists of a node are. `node` keeps nodes apart that share a file system.
struct DrainPlaces {
  std::string state_root;   ///< as for StateDir
  std::string persist_dir;  ///< survives a reboot
  std::string node;
};

/// Both lists; empty where there is none. Makes nothing.
Result<DrainList> read_drains(const DrainPlaces& places);

/// To be called under the lock of the state directory.
Result<> write_drains(const DrainPlaces& places, const DrainList& drains);

/// `drain`: replaces an earlier one of the same server and service.
void add_drain(DrainList& drains, const model::DrainIntent& intent);
/// `undrain`: without a service every drain of the server. False if there was none.
bool remove_drain(DrainList& drains, const std::string& server,
                  const std::optional<std::string>& service);

}  // namespace lbctl::engine
