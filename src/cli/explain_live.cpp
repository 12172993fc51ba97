// lbctl explain --live: what the steering of this real server does with packets, as it does it.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <ctime>

#include "explain_view.hpp"
#include "lbctl/explain/flow.hpp"
#include "lbctl/explain/frame.hpp"
#include "lbctl/kernel/xdp_live.hpp"
#include "output.hpp"

namespace lbctl::cli {
namespace {

using namespace std::chrono_literals;

/// One line.
struct Line {
  const kernel::SteeredFrame& seen;
  explain::Frame frame;
  std::string station;  ///< where a frame was sent: a server's name; empty: nobody's
  std::string why;      ///< what the layouts and tables say
};

std::chrono::system_clock::time_point wall_clock(std::chrono::nanoseconds monotonic) {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const auto ago =
      std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec) - monotonic;
  return std::chrono::system_clock::now() -
         std::chrono::duration_cast<std::chrono::system_clock::duration>(ago);
}

void print_text(const Line& line) {
  const auto time = wall_clock(line.seen.time);
  const auto micros =
      std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()) % 1s;
  std::string what{name(line.seen.action)};
  if (line.seen.action == kernel::SteerAction::sent)
    what += line.station.empty() ? " to " + line.frame.to.text() : " to " + line.station;
  fmt::print("{:%H:%M:%S}.{:06} {} {}: {} header, {}: {}; {}\n",
             fmt::localtime(std::chrono::system_clock::to_time_t(time)), micros.count(),
             line.seen.device, line.frame.flow.text(), line.frame.long_header ? "long" : "short",
             line.frame.cid ? "CID " + explain::hex(*line.frame.cid) : "no CID", what, line.why);
}

void print_json(const Line& line) {
  Json json = document("explain");
  json["time"] = fmt::format(
      "{:%FT%TZ}", fmt::gmtime(std::chrono::system_clock::to_time_t(wall_clock(line.seen.time))));
  json["interface"] = line.seen.device;
  json["flow"] = line.frame.flow.text();
  json["header"] = line.frame.long_header ? "long" : "short";
  if (line.frame.cid) json["cid"] = explain::hex(*line.frame.cid);
  json["octets"] = line.seen.length;
  json["action"] = name(line.seen.action);
  if (line.seen.action == kernel::SteerAction::sent) {
    json["station"] = line.frame.to.text();
    if (!line.station.empty()) json["server"] = line.station;
  }
  json["why"] = line.why;
  fmt::print("{}\n", json.dump());
}

/// What the tables say, and the names of those that they hold.
class Reader {
 public:
  Reader(const Wanted& wanted, const Seen& seen) : config_(wanted.config), seen_(seen) {}

  /// Nothing: the frame is not for a steered service.
  std::optional<Line> read(const kernel::SteeredFrame& seen,
                           std::span<const model::Flow> flows) const {
    auto frame = explain::read_frame(seen.octets);
    if (!frame || !xdp().services.contains({frame->flow.address, frame->flow.port}))
      return std::nullopt;
    if (!flows.empty() && std::ranges::find(flows, frame->flow) == flows.end()) return std::nullopt;
    return Line{.seen = seen, .frame = *frame, .station = station(frame->to), .why = why(*frame)};
  }

 private:
  const model::XdpState& xdp() const { return seen_.observed.state.xdp; }

  std::string station(const model::MacAddress& mac) const {
    for (const auto& [id, target] : xdp().servers)
      if (!target.local && target.mac == mac) return server_called(config_, id);
    return {};
  }

  std::string why(const explain::Frame& frame) const {
    if (const std::string peer = station(frame.from); !peer.empty()) return peer + " sent it here";
    if (!frame.cid) return "too short for a connection ID";
    auto service = xdp().services.at({frame.flow.address, frame.flow.port});
    if (frame.long_header && service.keep_long) return "initial = \"local\"";
    const auto of = explain::explain_on_server(
        frame.flow, {seen_.observed.state, {}, frame.cid, [&](const auto& id) {
                       return server_called(config_, id);
                     }});
    std::string out;  // the last word decides
    for (const explain::Step& step : of.steps)
      if (step.part == "steering") out = step.says;
    return out;
  }

  const config::Config& config_;
  const Seen& seen_;
};

Result<> follow(const Options& options, const Wanted& wanted, const kernel::XdpPlace& place,
                std::span<const model::Flow> flows) {
  auto live = kernel::XdpLive::open(place, options.one_in);
  if (!live) return fail(std::move(live.error()));
  auto seen = look(options, wanted, {});
  std::uint64_t told = 0;
  std::uint64_t lost = 0;
  while (!stop_asked() && (!options.count || told < *options.count)) {
    if (!seen) return fail(std::move(seen.error()));
    const Reader reader(wanted, *seen);
    const auto before = told;
    auto ok = live->wait(500ms, [&](const kernel::SteeredFrame& frame) {
      if (options.count && told == *options.count) return;
      const auto line = reader.read(frame, flows);
      if (!line) return;
      ++told;
      options.json ? print_json(*line) : print_text(*line);
    });
    if (!ok) return ok;
    std::fflush(stdout);
    if (std::ferror(stdout) != 0) return {};  // nobody listens any more
    if (live->lost() > lost) fmt::print(stderr, "lbctl: {} packets lost\n", live->lost() - lost);
    lost = live->lost();
    if (told != before) seen = look(options, wanted, {});  // tables change
  }
  return {};
}

}  // namespace

Exit explain_live(const Options& options, std::span<const model::Flow> flows) {
  const auto wanted = wanted_here(options, "explain");
  if (!wanted) return wanted.error();
  if (wanted->desired.role == config::Role::director)
    return give_up(
        options, "explain",
        Error(Errc::unsupported, wanted->desired.node + " is a director: real servers steer QUIC"));
  const auto kernel = RealKernel::open(options.state_dir);
  if (!kernel) return give_up(options, "explain", kernel.error());
  const auto place = kernel->xdp_place();
  if (!place)
    return give_up(options, "explain", Error(Errc::unsupported, "there is no BPF file system"));
  listen_for_stop();
  if (auto ok = follow(options, *wanted, *place, flows); !ok)
    return give_up(options, "explain", ok.error());
  return Exit::done;
}

}  // namespace lbctl::cli
