#include "metrics.hpp"

#include <fmt/format.h>

#include <iterator>
#include <map>
#include <utility>
#include <vector>

#include "lbctl/model/diagnosis.hpp"

namespace lbctl::daemon {
namespace {

/// One metric with its samples; escapes label values.
class Page {
 public:
  using Labels = std::vector<std::pair<std::string_view, std::string>>;

  void begin(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    fmt::format_to(std::back_inserter(text_), "# HELP lbctl_{} {}\n# TYPE lbctl_{} {}\n", name,
                   help, name, type);
  }
  template <class T>
  void sample(const Labels& labels, T value, std::string_view suffix = "") {
    text_ += fmt::format("lbctl_{}{}", name_, suffix);
    std::string_view before = "{";
    for (const auto& [key, label] : labels) {
      text_ += fmt::format("{}{}=\"{}\"", before, key, escaped(label));
      before = ",";
    }
    text_ += fmt::format("{} {}\n", labels.empty() ? "" : "}", value);
  }
  std::string take() { return std::move(text_); }

 private:
  static std::string escaped(const std::string& text) {
    std::string out;
    for (const char c : text) {
      if (c == '\\' || c == '"') out += '\\';
      out += c == '\n' ? ' ' : c;
    }
    return out;
  }
  std::string name_, text_;
};

void rounds(Page& page, const Keeper& keeper) {
  const RoundRecord& record = keeper.rounds();
  page.begin("rounds_total", "counter", "Comparisons of the kernel with what it should hold.");
  page.sample({{"result", "good"}}, record.good);
  page.sample({{"result", "failed"}}, record.failed);
  page.begin("changes_total", "counter", "Changes made to the kernel.");
  page.sample({}, record.changes);
  page.begin("last_round_timestamp_seconds", "gauge", "When the kernel was last compared.");
  page.sample({}, record.last.value_or(0));
  page.begin("last_good_round_timestamp_seconds", "gauge", "When it was last found or made right.");
  page.sample({}, record.last_good.value_or(0));
  page.begin("file_good", "gauge", "Whether the file was right when it was last read.");
  page.sample({}, keeper.file_is_good() ? 1 : 0);
  page.begin("file_loaded_timestamp_seconds", "gauge", "Since when the file in force is.");
  page.sample({}, keeper.loaded_at());
}

/// What nodes compare each other by (peer_page.hpp): first, as they read the beginning only.
void sameness(Page& page, const Keeper& keeper) {
  page.begin("config_hash", "gauge", "Of the file in force; the same where the file is.");
  page.sample({{"hash", keeper.file_hash()}}, 1);
  if (!keeper.last()) return;
  page.begin("cid_key_check", "gauge", "Of keys of connection IDs; the same where the keys are.");
  for (const auto& [place, check] : model::key_checks(keeper.last()->desired.state.xdp))
    page.sample(
        {{"service", place.first}, {"scheme", std::to_string(place.second)}, {"check", check}}, 1);
}

void servers(Page& page, const Keeper& keeper) {
  page.begin("server_up", "gauge", "Whether a server is used in a service.");
  for (const auto& [place, standing] : keeper.board().standings())
    page.sample({{"service", place.first},
                 {"server", place.second},
                 {"standing", std::string(health::name(standing))}},
                used(standing) ? 1 : 0);
  page.begin("service_quorum", "gauge", "Whether a service has its quorum.");
  std::string last;
  for (const auto& [place, standing] : keeper.board().standings()) {
    if (place.first == last) continue;
    last = place.first;
    page.sample({{"service", last}}, keeper.board().has_quorum(last) ? 1 : 0);
  }
}

Page::Labels check_labels(const ProbeSpec& probe) {
  Page::Labels out{{"type", std::string(name(probe.check.type))},
                   {"address", probe.address.text()},
                   {"port", std::to_string(number(probe.port))},
                   {"through", probe.through ? probe.through->vip.text() : ""}};
  // Only of checks that services do not share.
  if (!probe.service.empty()) out.emplace_back("service", probe.service);
  return out;
}

/// Checks that differ only in what they ask are one to Prometheus, which takes no sample twice.
std::map<std::string, std::pair<const ProbeSpec*, CheckRecord>> merged(const Keeper& keeper) {
  std::map<std::string, std::pair<const ProbeSpec*, CheckRecord>> out;
  for (const auto& [id, record] : keeper.checks()) {
    const ProbeSpec& probe = keeper.probes().at(id);
    auto& [spec, sum] = out[probe.title()];
    spec = &probe;
    sum.right += record.right;
    sum.wrong += record.wrong;
    sum.unknown += record.unknown;
    sum.sum += record.sum;
    for (std::size_t i = 0; i < sum.within.size(); ++i)
      sum.within[i] += record.within[i];
  }
  return out;
}

void checks(Page& page, const Keeper& keeper) {
  const auto all = merged(keeper);
  page.begin("check_answers_total", "counter", "Answers of a check.");
  for (const auto& [title, one] : all) {
    const auto& [probe, record] = one;
    for (const auto& [answer, count] :
         {std::pair("right", record.right), {"wrong", record.wrong}, {"unknown", record.unknown}}) {
      auto labels = check_labels(*probe);
      labels.emplace_back("answer", answer);
      page.sample(labels, count);
    }
  }
  page.begin("check_duration_seconds", "histogram", "How long answers took.");
  for (const auto& [title, one] : all) {
    const auto& [probe, record] = one;
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < latency_bounds.size(); ++i) {
      sum += record.within[i];
      auto labels = check_labels(*probe);
      labels.emplace_back("le", fmt::format("{}", static_cast<double>(latency_bounds[i]) / 1e6));
      page.sample(labels, sum, "_bucket");
    }
    auto labels = check_labels(*probe);
    page.sample(labels, static_cast<double>(record.sum.count()) / 1e6, "_sum");
    page.sample(labels, record.right + record.wrong, "_count");
    labels.emplace_back("le", "+Inf");
    page.sample(labels, record.right + record.wrong, "_bucket");
  }
}

/// node_exporter's labels.
Page::Labels destination_labels(const model::ServiceKey& service, const model::DestinationKey& to) {
  const bool marked = service.fwmark != 0;
  return {{"local_address", marked ? "" : service.address.text()},
          {"local_port", marked ? "" : std::to_string(number(service.port))},
          {"remote_address", to.address.text()},
          {"remote_port", std::to_string(number(to.port))},
          {"proto", marked                               ? "FWM"
                    : service.protocol == model::L4::tcp ? "TCP"
                                                         : "UDP"},
          {"local_mark", marked ? std::to_string(service.fwmark) : ""}};
}

void destinations(Page& page, const model::IpvsCounters& counters) {
  const auto each = [&](std::string_view name, std::string_view type, std::string_view help,
                        auto member) {
    page.begin(name, type, help);
    for (const auto& [key, one] : counters)
      page.sample(destination_labels(key.first, key.second), one.*member);
  };
  using Counters = model::DestinationCounters;
  each("ipvs_connections_active", "gauge", "Connections, as of the last round.",
       &Counters::active_connections);
  each("ipvs_connections_inactive", "gauge", "Connections that end or are UDP.",
       &Counters::inactive_connections);
  each("ipvs_connections_total", "counter", "Connections so far.", &Counters::connections);
  each("ipvs_incoming_packets_total", "counter", "Packets so far.", &Counters::packets_in);
  each("ipvs_incoming_bytes_total", "counter", "Octets so far.", &Counters::bytes_in);
}

void signals(Page& page, const model::SignalCounters& counters) {
  page.begin("signal_packets_total", "counter", "Packets of a signal address brought home.");
  for (const auto& [signal, packets] : counters.brought_home)
    page.sample({{"address", signal.address.text()}, {"port", std::to_string(number(signal.port))}},
                packets);
  page.begin("guard_dropped_packets_total", "counter", "Packets that the guard dropped.");
  page.sample({{"reason", "not_joins"}}, counters.not_joins);
  page.sample({{"reason", "not_mptcp"}}, counters.not_mptcp);
  page.sample({{"reason", "over_rate"}}, counters.over_rate);
  page.sample({{"reason", "fragments"}}, counters.fragments);
}

void steering(Page& page, const Steering& steering) {
  page.begin("steering_packets_total", "counter", "QUIC packets by what steering did with them.");
  for (const auto& [key, packets] : steering.verdicts)
    page.sample({{"address", key.first.address.text()},
                 {"port", std::to_string(number(key.first.port))},
                 {"verdict", key.second}},
                packets);
  page.begin("steering_sent_packets_total", "counter", "QUIC packets sent to each server.");
  for (const auto& [server, packets] : steering.sent)
    page.sample({{"server_id", server.text()}}, packets);
}

}  // namespace

std::string metrics_of(const Keeper& keeper, const std::string& version) {
  Page page;
  page.begin("build_info", "gauge", "The version.");
  page.sample({{"version", version}}, 1);
  sameness(page, keeper);
  rounds(page, keeper);
  servers(page, keeper);
  checks(page, keeper);
  if (const auto& last = keeper.last()) {
    destinations(page, last->report.figures.ipvs_counters);
    if (const auto& counters = last->report.figures.signal_counters) signals(page, *counters);
    steering(page, last->steering);
  }
  return page.take();
}

std::string trouble_of(const Keeper& keeper) {
  if (!keeper.file_is_good()) return "the file is wrong";
  if (!keeper.rounds().last_good) return "the node was not compared with the file yet";
  return keeper.rounds().trouble;
}

}  // namespace lbctl::daemon
