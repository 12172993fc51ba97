// h3_mover: HTTP/3 clients that never stay where they are.
#include <fmt/format.h>
#include <poll.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <csignal>

#include "common/options.hpp"
#include "h3/clock.hpp"
#include "mover/mover.hpp"

namespace {

constexpr int exit_failed = 1;
constexpr int exit_usage = 64;
constexpr int wakeup = 1000;  // milliseconds: at least so often the clock is looked at

constexpr auto usage =
    "usage: h3_mover ADDR:PORT[,…] [--connections N] [--moves N] [--sources ADDR,ADDR…]\n"
    "                [--pause 0s] [--timeout 20s] [--at-once N]\n";

struct Run {
  std::vector<peer::SocketAddress> targets;
  peer::Journey journey;
  std::uint64_t connections = 1;  // to each target
  std::uint64_t at_once = 6;      // handshakes
};

std::expected<std::vector<peer::SocketAddress>, std::string> parse_sources(std::string_view text) {
  std::vector<peer::SocketAddress> out;
  while (!text.empty()) {
    const auto one = text.substr(0, text.find(','));
    text.remove_prefix(std::min(one.size() + 1, text.size()));
    auto address = peer::parse_address(one);
    if (!address) return std::unexpected(address.error());
    out.push_back(std::move(*address));
  }
  return out;
}

std::expected<Run, std::string> parse(const peer::Options& options) {
  if (options.positional().size() != 1) return std::unexpected("name the target");
  Run out;
  std::string error;
  const auto set = [&error](auto& field, auto&& parsed) {
    if (parsed)
      field = *parsed;
    else
      error = parsed.error();
  };
  set(out.targets, peer::parse_address_ports(options.positional()[0]));
  set(out.journey.sources, parse_sources(options.text("--sources")));
  set(out.journey.moves, options.number("--moves", out.journey.moves));
  set(out.journey.pause, options.duration("--pause", out.journey.pause));
  set(out.journey.patience, options.duration("--timeout", out.journey.patience));
  set(out.connections, options.number("--connections", out.connections));
  set(out.at_once, options.number("--at-once", out.at_once));
  if (!error.empty()) return std::unexpected(error);
  return out;
}

/// All connections of a run, at most a few of which shake hands at a time.
class Crowd {
 public:
  Crowd(const Run& run, peer::TlsCredentials credentials, peer::EventLog log)
      : run_(run), credentials_(std::move(credentials)), log_(std::move(log)) {}

  /// Until all have made their moves; SIGTERM lets each come to the end of the one under way.
  bool run() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    const peer::Fd signals(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    while (start_more() && !all_finished()) {
      std::vector<pollfd> entries = {{signals.get(), POLLIN, 0}};
      for (const auto& mover : movers_)
        entries.push_back({mover->finished() ? -1 : mover->fd(), POLLIN, 0});
      poll(entries.data(), entries.size(), timeout());
      if (entries[0].revents != 0)
        for (const auto& mover : movers_)
          mover->stop();
      for (std::size_t i = 0; i < movers_.size(); ++i)
        drive(*movers_[i], entries[i + 1].revents != 0);
    }
    for (const auto& mover : movers_)
      log_.write(mover->report());
    return all_finished();
  }

 private:
  bool start_more() {
    auto shaking = std::ranges::count(movers_, false, &peer::Mover::shaken_hands);
    for (; std::cmp_less(shaking, run_.at_once) && movers_.size() < wanted(); ++shaking) {
      const auto& target = run_.targets[movers_.size() % run_.targets.size()];
      auto made = peer::Mover::start(run_.journey, credentials_, target,
                                     static_cast<unsigned>(movers_.size() / run_.targets.size()));
      if (!made) return false;
      movers_.push_back(std::move(made));
    }
    return true;
  }

  void drive(peer::Mover& mover, bool readable) {
    const bool had_shaken = mover.shaken_hands();
    if (mover.finished()) return;
    if (readable) mover.on_readable();
    if (!mover.finished() && mover.expiry() <= peer::now()) mover.on_time();
    if (!had_shaken && mover.shaken_hands())
      log_.write(peer::JsonObject().add("event", "handshake").add("done", ++shaken_));
  }

  int timeout() const {
    const auto time = peer::now();
    auto earliest = time + wakeup * NGTCP2_MILLISECONDS;
    for (const auto& mover : movers_)
      if (!mover->finished()) earliest = std::min(earliest, mover->expiry());
    return earliest <= time ? 0 : static_cast<int>((earliest - time) / NGTCP2_MILLISECONDS) + 1;
  }

  std::size_t wanted() const { return run_.targets.size() * run_.connections; }
  bool all_finished() const {
    return movers_.size() == wanted() && std::ranges::all_of(movers_, &peer::Mover::finished);
  }

  const Run& run_;
  peer::TlsCredentials credentials_;
  peer::EventLog log_;
  std::vector<std::unique_ptr<peer::Mover>> movers_;
  std::uint64_t shaken_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  const auto options = peer::Options::parse(
      {argv + 1, argv + argc},
      {"--connections", "--moves", "--sources", "--pause", "--timeout", "--at-once"}, {});
  const auto run = options ? parse(*options) : std::unexpected(options.error());
  if (!run) {
    fmt::print(stderr, "h3_mover: {}\n{}", run.error(), usage);
    return exit_usage;
  }
  gnutls_certificate_credentials_t made = nullptr;
  auto log = peer::EventLog::open("");
  if (!log || gnutls_certificate_allocate_credentials(&made) != 0) return exit_failed;
  return Crowd(*run, peer::TlsCredentials(made), std::move(*log)).run() ? 0 : exit_failed;
}
