// From the command line to what this node should hold, and the kernel to hold it against.
#pragma once

#include <chrono>
#include <expected>
#include <memory>
#include <optional>
#include <vector>

#include "lbctl/config/read.hpp"
#include "lbctl/config/resolve.hpp"
#include "lbctl/engine/drain_list.hpp"
#include "lbctl/engine/engine.hpp"
#include "lbctl/kernel/xdp.hpp"
#include "options.hpp"

namespace lbctl::cli {

/// Reads the file as the options want it.
config::Loaded read(const Options& options);

/// Reads the file. Prints its diagnostics; on an error the exit status: nothing was touched. What
/// is there has a config.
std::expected<config::Loaded, Exit> load_file(const Options& options, std::string_view command);
std::expected<config::Config, Exit> load(const Options& options, std::string_view command);

/// Which node of the file this is, and what the machine told.
struct Here {
  std::string node;
  model::NodeFacts facts;
};
Result<Here> find_here(const config::Config& config, const Options& options);

engine::DrainPlaces drain_places(const Options& options, const std::string& node);

/// How long peers' Ethernet addresses are waited for: ARP and NDP ask once a second.
inline constexpr std::chrono::milliseconds neighbour_patience{1500};

/// What becomes of peers that cannot even be asked for: no device, no privilege.
enum class Unasked : std::uint8_t { fail, leave_unknown };

/// What the node should hold, with drains and what is known of the servers' health; peers' Ethernet
/// addresses that the kernel does not know yet are asked for.
Result<config::Desired> resolve_here(const config::Config& config, Here here,
                                     std::span<const model::DrainIntent> drains,
                                     const model::Health& health,
                                     std::chrono::milliseconds patience = neighbour_patience,
                                     Unasked unasked = Unasked::fail);

/// What a command that only looks needs: the file, the node, its drains. Says itself what goes
/// wrong.
struct Wanted {
  config::Desired desired;
  engine::DrainList drains;
  config::Config config;
};
std::expected<Wanted, Exit> wanted_here(const Options& options, std::string_view command);
/// The same, of a node that was found.
std::expected<Wanted, Exit> wanted_of(const Options& options, std::string_view command,
                                      config::Config config, Here here,
                                      Unasked unasked = Unasked::fail);

/// The goal of `apply` here.
engine::Goal goal_of(const config::Desired& desired, const Options& options);

/// The real backends, in the order in which they are observed.
class RealKernel {
 public:
  static Result<RealKernel> open(const std::string& state_dir);
  std::vector<kernel::Backend*> backends() const;
  /// Nothing where no steering is set up.
  Result<std::optional<kernel::XdpFigures>> steering_counters() const;
  /// Nothing without a BPF file system.
  const std::optional<kernel::XdpPlace>& xdp_place() const { return xdp_place_; }

 private:
  std::optional<kernel::XdpPlace> xdp_place_;
  std::vector<std::unique_ptr<kernel::Backend>> backends_;
};

/// The kernel and the state directory, under its lock: for commands that change something.
struct Session {
  RealKernel kernel;
  engine::StateDir state;
  engine::Lock lock;
  /// Fails while a change waits for its confirmation.
  static Result<Session> open(const Options& options);
  engine::Engine engine() const { return engine::Engine(kernel.backends()); }
};

/// What `plan` says of it.
Exit show_plan(const Options& options, std::string_view command, const Wanted& wanted);

/// SIGINT, SIGTERM and SIGHUP let the run of operations under way finish; then stop_asked().
void listen_for_stop();
bool stop_asked();

}  // namespace lbctl::cli
