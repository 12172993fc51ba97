#include "lbctl/model/mptcp.hpp"

namespace lbctl::model {

std::string EndpointKey::text() const {
  return number(port) == 0 ? address.text() : endpoint_text(address, port);
}

std::string Endpoint::text() const {
  std::string out;
  const auto add = [&](const std::string& word) { out += (out.empty() ? "" : " ") + word; };
  if (signal) add("signal");
  if (subflow) add("subflow");
  if (backup) add("backup");
  if (fullmesh) add("fullmesh");
  if (!device.empty()) add("dev " + device);
  return out;
}

}  // namespace lbctl::model
