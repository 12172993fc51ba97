#include "lbctl/model/ipvs_node.hpp"

namespace lbctl::model {

std::string_view name(SyncRole role) {
  return role == SyncRole::master ? "master" : "backup";
}

}  // namespace lbctl::model
