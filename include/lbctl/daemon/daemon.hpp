// `lbctl daemon`: asks the servers how they are, and keeps the node as the file and their health
// want it. It sees the node through Node and nothing else, so that tests can give it another.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lbctl/config/config.hpp"
#include "lbctl/config/read.hpp"
#include "lbctl/config/resolve.hpp"
#include "lbctl/engine/drain_list.hpp"
#include "lbctl/engine/engine.hpp"
#include "lbctl/engine/health_file.hpp"

namespace lbctl::daemon {

/// What a real server's steering did, in packets. Empty where there is none.
struct Steering {
  /// By service and what became of them, such as "steered".
  std::map<std::pair<model::SteeredKey, std::string>, std::uint64_t> verdicts;
  std::map<model::ServerId, std::uint64_t> sent;  ///< to each server
};

/// What one run of the engine did.
struct Round {
  config::Desired desired;
  engine::Report report;
  Steering steering;
};

class Node {
 public:
  virtual ~Node() = default;
  virtual config::Loaded read_file() = 0;
  /// Which node of the file this is.
  virtual Result<std::string> recognise(const config::Config& config) = 0;
  /// Makes the node match, as `lbctl apply` does. Errc::busy: another lbctl is at work.
  virtual Result<Round> reconcile(const config::Config& config, const std::string& node,
                                  const model::Health& health) = 0;
  /// Writes an operator's drain down or takes it back.
  virtual Result<> drain(const std::string& node, const model::DrainIntent& intent) = 0;
  virtual Result<bool> undrain(const std::string& node, const std::string& server,
                               const std::optional<std::string>& service) = 0;
  /// What is watched for a changed file: its folder, and that of its fragments.
  virtual std::vector<std::string> folders() const = 0;
};

struct Settings {
  std::string version;
  std::string control_socket;  ///< its path; see control_path()
};

/// Where the daemon of this network namespace is reached.
Result<std::string> control_path(const std::string& state_root);

/// Runs until SIGTERM or SIGINT; forwarding stays as it is. An error: it never began.
Result<> run(Node& node, engine::HealthPost& post, const Settings& settings);

/// Asks a running daemon; each line of its answer goes to `line` until that says false.
/// Errc::not_found: no daemon runs here.
Result<> ask(const std::string& socket, const std::string& request,
             const std::function<bool(const std::string&)>& line);

}  // namespace lbctl::daemon
