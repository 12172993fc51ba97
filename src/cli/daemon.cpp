// `daemon`: the real node for the daemon, and questions to one that runs.
#include "lbctl/daemon/daemon.hpp"

#include <fmt/format.h>

#include <filesystem>

#include "lbctl/engine/confirmation.hpp"
#include "output.hpp"
#include "session.hpp"

namespace lbctl::cli {

namespace {

/// An apply at boot may take its time.
constexpr std::chrono::seconds patience_at_start{60};

/// Who is there answers at once; who does not answers later, and that is news.
constexpr std::chrono::milliseconds neighbour_patience_here{100};

class RealNode : public daemon::Node {
 public:
  RealNode(const Options& options, RealKernel kernel, engine::StateDir state)
      : options_(options), kernel_(std::move(kernel)), state_(std::move(state)) {}

  config::Loaded read_file() override { return read(options_); }

  Result<std::string> recognise(const config::Config& config) override {
    auto here = find_here(config, options_);
    if (!here) return fail(std::move(here.error()));
    return std::move(here->node);
  }

  Result<daemon::Round> reconcile(const config::Config& config, const std::string& node,
                                  const model::Health& health) override {
    auto here = find_here(config, options_);
    if (!here) return fail(std::move(here.error()));
    here->node = node;
    auto lock = lock_state();
    if (!lock) return fail(std::move(lock.error()));
    const auto drains = engine::read_drains(drain_places(options_, node));
    if (!drains) return fail(drains.error());
    auto desired = resolve_here(config, std::move(*here), *drains, health, neighbour_patience_here);
    if (!desired) return fail(std::move(desired.error()));
    engine::Engine engine(kernel_.backends());
    auto report = engine.apply(goal_of(*desired, options_), state_, [] { return false; });
    if (!report) return fail(std::move(report.error()));
    return daemon::Round{std::move(*desired), std::move(*report), steering()};
  }

  Result<> drain(const std::string& node, const model::DrainIntent& intent) override {
    const auto done = edit_drains(node, [&](engine::DrainList& drains) {
      engine::add_drain(drains, intent);
      return true;
    });
    return done ? Result<>() : fail(done.error());
  }

  Result<bool> undrain(const std::string& node, const std::string& server,
                       const std::optional<std::string>& service) override {
    return edit_drains(node, [&](engine::DrainList& drains) {
      return engine::remove_drain(drains, server, service);
    });
  }

  std::vector<std::string> folders() const override {
    const auto folder = std::filesystem::absolute(options_.file).parent_path();
    return {folder.string(), (folder / "conf.d").string()};
  }

  engine::StateDir& state() { return state_; }

 private:
  /// Not waited for: the daemon tries again.
  Result<engine::Lock> lock_state() {
    auto lock = state_.lock({}, [](const std::string&) {});
    if (!lock) return lock;
    const auto waiting = engine::tell_confirmation(state_.store(), engine::Word::ask);
    if (!waiting) return fail(waiting.error());
    if (*waiting) return fail(Errc::busy, "an apply waits to be confirmed");
    return lock;
  }

  /// Nothing to see is no reason to fail.
  daemon::Steering steering() const {
    daemon::Steering out;
    const auto figures = kernel_.steering_counters();
    if (!figures || !*figures) return out;
    for (const auto& [key, counters] : (*figures)->services)
      for (const auto& [verdict, packets] : counters.named())
        out.verdicts[{key, verdict}] = packets;
    out.sent = (*figures)->servers;
    return out;
  }

  Result<bool> edit_drains(const std::string& node,
                           const std::function<bool(engine::DrainList&)>& edit) {
    auto lock = lock_state();
    if (!lock) return fail(std::move(lock.error()));
    const auto places = drain_places(options_, node);
    auto drains = engine::read_drains(places);
    if (!drains) return fail(std::move(drains.error()));
    if (!edit(*drains)) return false;
    if (auto written = engine::write_drains(places, *drains); !written)
      return fail(std::move(written.error()));
    return true;
  }

  const Options& options_;
  RealKernel kernel_;
  engine::StateDir state_;
};

Result<> run_daemon(const Options& options) {
  auto kernel = RealKernel::open(options.state_dir);
  if (!kernel) return fail(std::move(kernel.error()));
  auto state = engine::StateDir::open(options.state_dir);
  if (!state) return fail(std::move(state.error()));
  auto socket = daemon::control_path(options.state_dir);
  if (!socket) return fail(std::move(socket.error()));
  RealNode node(options, std::move(*kernel), std::move(*state));
  auto post = [&]() -> Result<engine::HealthPost> {
    const auto lock = node.state().lock(patience_at_start, [](const std::string&) {});
    if (!lock) return fail(lock.error());
    return engine::HealthPost::open(node.state());
  }();
  if (!post) return fail(std::move(post.error()));
  return daemon::run(node, *post, {LBCTL_VERSION, std::move(*socket)});
}

/// One answer, or every event until this is stopped.
Exit ask_daemon(const Options& options) {
  const auto socket = daemon::control_path(options.state_dir);
  if (!socket) return give_up(options, "daemon", socket.error());
  bool failed = false;
  const bool events = options.action == "events";
  const auto asked =
      daemon::ask(*socket, Json{{"command", options.action}}.dump(), [&](const std::string& line) {
        const Json answer = Json::parse(line, nullptr, false);
        failed = answer.is_object() && answer.contains("result") &&
                 (answer["result"] == "error" || answer["result"] == "bad_file");
        fmt::print("{}\n", events || answer.is_discarded() ? line : answer.dump(2));
        std::fflush(stdout);
        return events;
      });
  if (!asked) return give_up(options, "daemon", asked.error());
  return failed ? Exit::failed : Exit::done;
}

}  // namespace

Exit daemon(const Options& options) {
  if (options.action != "run") return ask_daemon(options);
  if (options.file == "-") {
    complain(Error(Errc::invalid, "a daemon reads its file again and again: it can't be -"));
    return Exit::usage;
  }
  const auto ran = run_daemon(options);
  if (ran) return Exit::done;
  complain(ran.error());
  return ran.error().code() == Errc::invalid ? Exit::bad_file : Exit::failed;
}

}  // namespace lbctl::cli
