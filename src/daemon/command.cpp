#include "command.hpp"

namespace lbctl::daemon {
namespace {

/// All that a program of Debian's may look for.
constexpr const char* path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

}  // namespace

std::vector<std::string> environment_of(const ProbeSpec& spec) {
  return {path, "LBCTL_SERVICE=" + spec.service, "LBCTL_SERVER=" + spec.server,
          "LBCTL_ADDRESS=" + spec.address.text(),
          "LBCTL_PORT=" + std::to_string(number(spec.port))};
}

std::vector<std::string> environment_of(const std::string& service, bool quorum) {
  return {path, "LBCTL_SERVICE=" + service, quorum ? "LBCTL_QUORUM=up" : "LBCTL_QUORUM=down"};
}

}  // namespace lbctl::daemon
