#include "confirm.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <syslog.h>
#include <unistd.h>

#include <span>

#include "lbctl/engine/confirmation.hpp"
#include "lbctl/kernel/systemd.hpp"
#include "lbctl/plan/render.hpp"
#include "output.hpp"

namespace lbctl::cli {

namespace {

constexpr auto revert_patience = std::chrono::hours(1);  // for another lbctl's lock

/// Neither the terminal nor what it sends reaches this process from here on.
void leave_terminal() {
  ::setsid();
  for (const int number : {SIGHUP, SIGINT, SIGQUIT, SIGPIPE})
    ::signal(number, SIG_IGN);
  ::signal(SIGTERM, SIG_DFL);
  if (const int null = ::open("/dev/null", O_RDWR); null >= 0) {
    for (int fd = 0; fd < 3; ++fd)
      ::dup2(null, fd);
    if (null > 2) ::close(null);
  }
}

void tell_log(int priority, const std::string& text) {
  ::syslog(priority, "%s", text.c_str());
}

/// Brings the node back. Opens everything anew: netlink sockets are not shared between processes.
int revert(const Options& options, const engine::Goal& back) {
  auto kernel = RealKernel::open(options.state_dir);
  auto state = engine::StateDir::open(options.state_dir);
  if (!kernel || !state) {
    tell_log(LOG_ERR, fmt::format("cannot revert what was not confirmed: {}",
                                  (!kernel ? kernel.error() : state.error()).text()));
    return 1;
  }
  const auto lock = state->lock(revert_patience, [](const std::string&) {});
  const auto report =
      lock ? engine::Engine(kernel->backends()).apply(back, *state, [] { return false; })
           : Result<engine::Report>(fail(lock.error()));
  if (!report) {
    tell_log(LOG_ERR, "cannot revert what was not confirmed: " + report.error().text());
    return 1;
  }
  for (const model::Operation& operation : std::span(report->operations).first(report->done))
    tell_log(LOG_NOTICE, "not confirmed, reverted: " + plan::render_line(operation));
  for (const Error& refusal : report->refusals)
    tell_log(LOG_ERR, "cannot revert what was not confirmed: " + refusal.text());
  if (report->error) tell_log(LOG_ERR, "reverting failed: " + report->error->text());
  tell_log(LOG_WARNING, fmt::format("the change was not confirmed: {} taken back",
                                    count(report->done, "change")));
  return report->ok() ? 0 : 1;
}

/// The process that waits. `lock` is the parent's.
[[noreturn]] void watch(const Options& options, engine::Confirmation confirmation,
                        const engine::Goal& back, engine::Lock lock) {
  leave_terminal();
  ::openlog("lbctl", LOG_PID, LOG_DAEMON);
  {
    const engine::Lock released = std::move(lock);
  }
  const auto answer = confirmation.wait(std::chrono::seconds(*options.confirm));
  const int status = answer == engine::Confirmation::Answer::late ? revert(options, back) : 0;
  ::_exit(status);
}

void warn_of_irrevocable(const engine::Preview& preview) {
  for (const std::string& line : plan::irrevocable(preview.plan.operations))
    warn("cannot be undone: " + line);
}

}  // namespace

Result<engine::Report> apply_unless_reverted(const Options& options, Session& session,
                                             const engine::Goal& goal) {
  const auto ledger = session.state.read_ledger();
  if (!ledger) return fail(ledger.error());
  const auto before = session.engine().preview(goal, *ledger);
  if (!before) return fail(before.error());
  if (!before->refusals.empty() || before->plan.operations.empty())
    return session.engine().apply(goal, session.state, stop_asked);
  warn_of_irrevocable(*before);

  auto confirmation = engine::Confirmation::open(session.state.store());
  if (!confirmation) return fail(std::move(confirmation.error()));
  const engine::Goal back = engine::as_before(before->split, *ledger, goal.want);
  const pid_t child = ::fork();
  if (child < 0) return fail_errno("start the process that would revert");
  if (child == 0) watch(options, std::move(*confirmation), back, std::move(session.lock));
  {
    const engine::Confirmation the_childs = std::move(*confirmation);
  }

  const auto tell = [&](engine::Word word) {
    return engine::tell_confirmation(session.state.store(), word);
  };
  if (auto moved = kernel::move_to_scope(child, fmt::format("lbctl-revert-{}.scope", child),
                                         "lbctl: reverts a change unless it is confirmed");
      !moved) {
    (void)tell(engine::Word::cancel);
    return fail(std::move(moved.error()).during("nothing was changed"));
  }
  auto report = session.engine().apply(goal, session.state, stop_asked);
  if (!report || !report->ok()) {
    (void)tell(engine::Word::cancel);
    return report;
  }
  const auto seconds = tell(engine::Word::started);
  if (!seconds)
    return fail(Error(seconds.error()).during("the changes took longer than the time to confirm"));
  if (!*seconds)
    report->notes.emplace_back("the process that would revert is gone: the change stays");
  else
    report->notes.push_back(fmt::format("this is reverted in {} unless you run: lbctl confirm",
                                        plan::duration(*options.confirm)));
  return report;
}

Exit confirm(const Options& options) {
  const auto store = engine::peek_state(options.state_dir);
  if (!store) return give_up(options, "confirm", store.error());
  Result<std::optional<std::int64_t>> left = std::optional<std::int64_t>();
  if (*store) left = engine::tell_confirmation(**store, engine::Word::confirm);
  if (!left) return give_up(options, "confirm", left.error());
  if (!*left)
    return give_up(options, "confirm",
                   Error(Errc::not_found, "no change waits to be confirmed here")
                       .with_hint("it was reverted, or confirmed before; see lbctl status"));
  if (options.json) {
    Json json = document("confirm");
    json["result"] = "confirmed";
    json["seconds_left"] = **left;
    print(json);
  } else {
    fmt::print("confirmed, {} before it would have been reverted\n", plan::duration(**left));
  }
  return Exit::done;
}

}  // namespace lbctl::cli
