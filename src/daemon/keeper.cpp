#include "keeper.hpp"

#include <fmt/format.h>
#include <syslog.h>

#include <algorithm>

#include "lbctl/plan/render.hpp"

namespace lbctl::daemon {

namespace {

std::int64_t wall_clock() {
  return number(engine::Engine::system_time());
}

/// The first line; the rest, the source line and its marker, is for terminals.
std::string one_line(const config::Diagnostic& diagnostic) {
  const std::string all = config::render(diagnostic);
  return all.substr(0, all.find('\n'));
}

}  // namespace

void Keeper::tell_file(const config::Loaded& loaded) {
  for (const config::Diagnostic& diagnostic : loaded.diagnostics)
    teller_.tell(
        {diagnostic.severity == config::Diagnostic::Severity::error ? LOG_ERR : LOG_WARNING, "file",
         one_line(diagnostic)});
  if (!loaded.config)
    teller_.tell({LOG_ERR, "file",
                  config_ ? "the file is wrong: what ran before stays in force"
                          : "the file is wrong: nothing was touched"});
}

bool Keeper::load(Time now) {
  config::Loaded loaded = node_.read_file();
  tell_file(loaded);
  file_is_good_ = loaded.config.has_value();
  if (!loaded.config) return false;
  auto name = node_.recognise(*loaded.config);
  if (!name) {
    file_is_good_ = false;
    teller_.tell({LOG_ERR, "file", name.error().text()});
    return false;
  }
  const bool first = !config_;
  config_ = std::move(*loaded.config);
  name_ = std::move(*name);
  file_hash_ = loaded.hash;
  loaded_at_ = wall_clock();
  // Only directors send anybody to a server.
  const auto director = config_->directors.find(name_);
  questions_ =
      director == config_->directors.end() ? Questions{} : questions_of(*config_, director->second);
  board_.set(questions_.plan, first ? post_.left() : model::Health{}, now);
  std::erase_if(checks_,
                [&](const auto& entry) { return !questions_.probes.contains(entry.first); });
  teller_.tell(
      {LOG_INFO, "file",
       fmt::format("the file is in force: node {}, {} checks", name_, questions_.probes.size())});
  return true;
}

bool Keeper::take(const health::CheckId& id, const Verdict& verdict, Time now) {
  CheckRecord& record = checks_[id];
  record.last = verdict.why;
  record.took = verdict.took;
  if (verdict.answer == Answer::unknown) {
    if (record.unknown++ == 0)
      teller_.tell({LOG_WARNING, "check",
                    fmt::format("{}: {}", questions_.probes.at(id).title(), verdict.why)});
    return false;
  }
  const bool right = verdict.answer == Answer::right;
  ++(right ? record.right : record.wrong);
  record.sum += verdict.took;
  const auto bound = std::ranges::lower_bound(latency_bounds, verdict.took.count());
  if (bound != latency_bounds.end())
    ++record.within[static_cast<std::size_t>(bound - latency_bounds.begin())];
  const bool other_weight = verdict.percent && board_.want(id, *verdict.percent);
  if (!board_.take(id, right, now)) return other_weight;
  const std::string title = questions_.probes.at(id).title();
  teller_.tell({right ? LOG_NOTICE : LOG_WARNING,
                "check",
                fmt::format("{}: {}", title, right ? "right again" : verdict.why),
                {{"check", title}, {"state", right ? "up" : "down"}}});
  return true;
}

void Keeper::tell_health(const std::vector<health::Change>& changes) {
  for (const health::Change& change : changes) {
    Event event{LOG_NOTICE, "health", "", {{"service", change.service}}};
    event.text = fmt::format("service {}: ", change.service);
    if (!change.server.empty()) {
      event.text += fmt::format("server {}: ", change.server);
      event.fields.emplace_back("server", change.server);
    } else if (quorum_changed_) {
      quorum_changed_(change.service, board_.has_quorum(change.service));
    }
    event.text += change.what;
    event.fields.emplace_back("change", change.what);
    teller_.tell(event);
  }
}

bool Keeper::tell_trouble(const std::string& why, const std::string& text, bool busy) {
  if (text != rounds_.trouble && !busy)
    teller_.tell({LOG_ERR, "round", fmt::format("{}: {}", why, text), {{"reason", why}}});
  rounds_.trouble = text;
  if (!busy) ++rounds_.failed;
  return false;
}

bool Keeper::tell_round(const std::string& why, const Round& round) {
  const engine::Report& report = round.report;
  rounds_.changes += report.done;
  for (std::size_t i = 0; i < report.done; ++i)
    teller_.tell({LOG_NOTICE,
                  "change",
                  fmt::format("{}  [{}]", plan::render_line(report.operations[i]), why),
                  {{"reason", why}, {"why", std::string(name(report.operations[i].why))}}});
  if (!report.reverted.empty())
    teller_.tell(
        {LOG_NOTICE,
         "round",
         fmt::format("{} changes were taken back, as a later one failed", report.reverted.size()),
         {{"reason", why}}});
  if (report.ok()) {
    if (!rounds_.trouble.empty())
      teller_.tell({LOG_NOTICE, "round", "the node matches again", {{"reason", why}}});
    rounds_.trouble.clear();
    ++rounds_.good;
    rounds_.last_good = rounds_.last;
    return true;
  }
  if (!report.refusals.empty()) return tell_trouble(why, report.refusals.front().text(), false);
  if (report.error) return tell_trouble(why, report.error->text(), false);
  return tell_trouble(why, "somebody else writes, too: the kernel still differs", false);
}

bool Keeper::round(const std::string& why, Time now) {
  std::vector<health::Change> changes;
  const model::Health health = board_.health(now, changes);
  tell_health(changes);
  rounds_.last = wall_clock();
  // Before the change: another lbctl must not bring back what is about to be taken out.
  if (written_ != health) {
    if (auto written = post_.write(health); !written)
      return tell_trouble(why, written.error().text(), false);
    written_ = health;
  }
  auto done = node_.reconcile(*config_, name_, health);
  if (!done) return tell_trouble(why, done.error().text(), done.error().code() == Errc::busy);
  last_ = std::move(*done);
  return tell_round(why, *last_);
}

}  // namespace lbctl::daemon
