// The event loop: when something is done. What is done stands in Keeper.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/inotify.h>
#include <syslog.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include "hooks.hpp"
#include "keeper.hpp"
#include "lbctl/kernel/events.hpp"
#include "prober.hpp"
#include "servers.hpp"

namespace lbctl::daemon {

namespace asio = boost::asio;
using boost::system::error_code;
using std::chrono::milliseconds;

namespace {

using Clock = health::Clock;

/// At least this between two rounds: what comes in a burst is dealt with in one.
constexpr milliseconds between_rounds{300};
/// After news of the kernel, which may have been made by the round before.
constexpr milliseconds after_news{1000};
constexpr milliseconds first_retry{1000};
constexpr milliseconds longest_retry{30000};
/// How often a node is looked at from which something is on its way out.
constexpr milliseconds while_leaving{2000};
/// Editors write a file in several steps.
constexpr milliseconds after_writing{500};

std::uint64_t monotonic_usec() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec) / 1000;
}

/// A timer that is set again and again; it calls nobody after its end.
class Alarm {
 public:
  explicit Alarm(asio::io_context& io) : timer_(io) {}
  void set(milliseconds wait, std::function<void()> call) {
    timer_.expires_after(wait);
    timer_.async_wait([call = std::move(call)](const error_code& error) {
      if (!error) call();
    });
  }

 private:
  asio::steady_timer timer_;
};

class Loop {
 public:
  Loop(Node& node, engine::HealthPost& post, const Settings& settings)
      : settings_(settings), keeper_(node, post, teller_), signals_(io_, SIGTERM, SIGINT, SIGHUP) {
    keeper_.on_quorum([this](const std::string& service, bool quorum) {
      if (const auto& commands = keeper_.config().services.at(service).quorum)
        hooks_.run(service, quorum, *commands);
    });
  }

  Result<> run();

 private:
  Result<> open_servers();
  void open_metrics();
  void open_news(kernel::News kind);
  void listen(std::shared_ptr<asio::posix::stream_descriptor> socket, kernel::News kind);
  void watch_files();
  void listen_for_files(std::shared_ptr<asio::posix::stream_descriptor> files);
  void listen_for_signals();
  void feed_watchdog();

  bool reload();
  void start_probes();
  milliseconds judged(const health::CheckId& id, health::Schedule& schedule,
                      const Verdict& verdict);

  /// A round is due, `wait` from now at the latest and not too soon after the last.
  void due(const std::string& why, milliseconds wait = {});
  void round(const std::string& why);
  void set_alarms(bool good);
  std::string status() const;

  struct Asked {
    health::Schedule schedule;
    std::unique_ptr<Probe> probe;
  };

  Settings settings_;
  Teller teller_;
  Keeper keeper_;
  asio::io_context io_{1};
  Hooks hooks_{io_, teller_};
  asio::signal_set signals_;
  Alarm round_alarm_{io_}, slow_alarm_{io_}, health_alarm_{io_}, file_alarm_{io_}, watchdog_{io_};
  std::optional<Clock::time_point> due_;
  std::string why_;
  Clock::time_point last_round_{};
  milliseconds retry_ = first_retry;
  std::unique_ptr<Server> control_, metrics_;
  std::optional<std::pair<model::IpAddress, model::Port>> metrics_at_;
  std::map<health::CheckId, Asked> probes_;
  bool hears_neighbours_ = false, watches_files_ = false;
};

Result<> Loop::run() {
  if (!keeper_.load(Clock::now()))
    return fail(Errc::invalid, "the file is wrong; nothing was touched");
  if (auto opened = open_servers(); !opened) return opened;
  listen_for_signals();
  open_news(kernel::News::rtnl);
  open_news(kernel::News::nft);
  watch_files();
  round("start");
  start_probes();
  feed_watchdog();
  notify("READY=1\nSTATUS=" + status());
  io_.run();
  notify("STOPPING=1");
  teller_.tell({LOG_NOTICE, "stop", "stopped; forwarding stays as it is"});
  return {};
}

Result<> Loop::open_servers() {
  auto control =
      serve_control(io_, keeper_, settings_.control_socket, keeper_.config().daemon.group,
                    {[this] { return reload(); }, [this](const auto& why) { due(why); }});
  if (!control) return fail(std::move(control.error()));
  control_ = std::move(*control);
  open_metrics();
  return {};
}

/// Without them the node is balanced all the same.
void Loop::open_metrics() {
  const auto& wanted = keeper_.config().daemon.metrics;
  if (metrics_ && wanted == metrics_at_) return;
  metrics_.reset();
  metrics_at_ = wanted;
  if (!wanted) return;
  auto metrics = serve_metrics(io_, keeper_, settings_.version, wanted->first, wanted->second);
  if (metrics)
    metrics_ = std::move(*metrics);
  else
    teller_.tell({LOG_ERR, "metrics", metrics.error().text()});
}

void Loop::open_news(kernel::News kind) {
  auto fd = kernel::open_news(kind);
  if (!fd) {
    teller_.tell({LOG_WARNING, "news", fd.error().text()});
    return;
  }
  // Asio closes what it has, and so does Fd: each has its own.
  const int own = ::fcntl(fd->get(), F_DUPFD_CLOEXEC, 0);
  if (own >= 0) listen(std::make_shared<asio::posix::stream_descriptor>(io_, own), kind);
}

void Loop::listen(std::shared_ptr<asio::posix::stream_descriptor> socket, kernel::News kind) {
  auto& ready = *socket;
  ready.async_wait(asio::posix::stream_descriptor::wait_read,
                   [this, kind, socket = std::move(socket)](const error_code& error) mutable {
                     if (error) return;
                     if (const auto news = kernel::read_news(socket->native_handle(), kind))
                       due(*news, after_news);
                     listen(std::move(socket), kind);
                   });
}

void Loop::watch_files() {
  if (watches_files_ || !keeper_.config().daemon.watch) return;
  const int fd = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0) {
    teller_.tell({LOG_WARNING, "file", "the file can't be watched"});
    return;
  }
  watches_files_ = true;
  for (const std::string& folder : keeper_.node().folders())
    ::inotify_add_watch(fd, folder.c_str(),
                        IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE);
  listen_for_files(std::make_shared<asio::posix::stream_descriptor>(io_, fd));
}

void Loop::listen_for_files(std::shared_ptr<asio::posix::stream_descriptor> files) {
  auto& ready = *files;
  ready.async_wait(asio::posix::stream_descriptor::wait_read,
                   [this, files = std::move(files)](const error_code& error) mutable {
                     if (error) return;
                     std::array<char, 4096> buffer;
                     while (::read(files->native_handle(), buffer.data(), buffer.size()) > 0) {
                     }
                     if (keeper_.config().daemon.watch)
                       file_alarm_.set(after_writing, [this] {
                         if (reload()) due("the file was written");
                       });
                     listen_for_files(std::move(files));
                   });
}

void Loop::listen_for_signals() {
  signals_.async_wait([this](const error_code& error, int number) {
    if (error) return;
    if (number != SIGHUP) return io_.stop();
    reload();
    due("SIGHUP");
    listen_for_signals();
  });
}

void Loop::feed_watchdog() {
  std::uint64_t usec = 0;
  if (sd_watchdog_enabled(0, &usec) <= 0) return;
  notify("WATCHDOG=1");
  watchdog_.set(milliseconds(usec / 2000), [this] { feed_watchdog(); });
}

bool Loop::reload() {
  notify(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", monotonic_usec()));
  const std::string group = keeper_.config().daemon.group;
  const bool good = keeper_.load(Clock::now());
  if (good) {
    start_probes();
    open_metrics();
    watch_files();
    if (group != keeper_.config().daemon.group)
      teller_.tell({LOG_WARNING, "file", "[daemon] group counts from the next start on"});
  }
  notify("READY=1\nSTATUS=" + status());
  return good;
}

void Loop::start_probes() {
  std::erase_if(probes_,
                [&](const auto& entry) { return !keeper_.probes().contains(entry.first); });
  for (const auto& [id, spec] : keeper_.probes()) {
    if (probes_.contains(id)) continue;
    const auto interval = std::chrono::seconds(spec.check.interval);
    const auto longest = std::chrono::seconds(spec.check.max_interval);
    const auto seed = static_cast<std::uint32_t>(std::hash<std::string>{}(id) ^ monotonic_usec());
    // Told what it is, so that it need not look for itself among thousands.
    auto& entry =
        *probes_.emplace(id, Asked{health::Schedule(interval, longest, seed), nullptr}).first;
    entry.second.probe = start_probe(io_, spec, entry.second.schedule.first(),
                                     [this, &entry](const Verdict& verdict) {
                                       return judged(entry.first, entry.second.schedule, verdict);
                                     });
  }
}

milliseconds Loop::judged(const health::CheckId& id, health::Schedule& schedule,
                          const Verdict& verdict) {
  if (keeper_.take(id, verdict, Clock::now())) due("health");
  const bool right = verdict.answer != Answer::wrong;
  const health::Judge* judge = right ? nullptr : keeper_.board().judge(id);
  return schedule.next(right, !judge || judge->up());
}

void Loop::due(const std::string& why, milliseconds wait) {
  const auto now = Clock::now();
  const auto at = std::max(now + wait, last_round_ + between_rounds);
  if (due_ && *due_ <= at) return;
  due_ = at;
  why_ = why;
  round_alarm_.set(std::chrono::ceil<milliseconds>(at - now), [this] { round(why_); });
}

void Loop::round(const std::string& why) {
  due_.reset();
  const bool good = keeper_.round(why, Clock::now());
  last_round_ = Clock::now();
  notify("STATUS=" + status());
  if (keeper_.last() && !keeper_.last()->desired.neighbours_wanted.empty() && !hears_neighbours_) {
    hears_neighbours_ = true;
    open_news(kernel::News::neighbours);
  }
  set_alarms(good);
}

void Loop::set_alarms(bool good) {
  if (good) {
    retry_ = first_retry;
  } else {
    due("again after a failure", retry_);
    retry_ = std::min(retry_ * 2, longest_retry);
  }
  const auto& last = keeper_.last();
  const bool leaving = good && last && !last->report.stays.empty();
  const milliseconds usual = std::chrono::seconds(keeper_.config().daemon.reconcile);
  slow_alarm_.set(leaving ? std::min(usual, while_leaving) : usual,
                  [this, leaving] { due(leaving ? "something is on its way out" : "timer"); });
  if (const auto next = keeper_.board().next_change(Clock::now()))
    health_alarm_.set(std::chrono::ceil<milliseconds>(*next - Clock::now()),
                      [this] { due("health"); });
}

std::string Loop::status() const {
  std::size_t out = 0;
  for (const auto& [place, standing] : keeper_.board().standings())
    out += used(standing) && standing != health::Standing::fail_open ? 0 : 1;
  std::string text = fmt::format("{}: {} checks, {} servers out", keeper_.node_name(),
                                 keeper_.probes().size(), out);
  if (!keeper_.file_is_good()) text += "; the file is wrong";
  if (!keeper_.rounds().trouble.empty()) text += "; " + keeper_.rounds().trouble;
  return text;
}

}  // namespace

Result<> run(Node& node, engine::HealthPost& post, const Settings& settings) {
  return Loop(node, post, settings).run();
}

}  // namespace lbctl::daemon
