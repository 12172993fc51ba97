#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <functional>
#include <map>

#include "options.hpp"

namespace {

using lbctl::cli::Exit;
using lbctl::cli::Options;

constexpr const char* footer =
    "Exit status: 0 done, or nothing to do; 1 a change failed; 2 changes pending (plan "
    "--detailed-exitcode);\n3 the file is wrong, nothing was touched; 64 usage.\n"
    "See lbctl(8) and lbctl.toml(5).";

/// A time with its unit, in whole seconds. A bare number is refused.
void add_duration(CLI::App* command, const std::string& name, std::optional<std::uint32_t>& value,
                  const std::string& does) {
  const std::map<std::string, std::uint32_t> units{{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
  command->add_option(name, value, does)
      ->transform(CLI::AsNumberWithUnit(
          units,
          CLI::AsNumberWithUnit::Options(CLI::AsNumberWithUnit::CASE_SENSITIVE |
                                         CLI::AsNumberWithUnit::UNIT_REQUIRED),
          "TIME"));
}

template <class Command>
void add_drains(const Command& command, Options& options) {
  CLI::App* drain = command("drain", "take a server out: no new connections, the old ones may end",
                            lbctl::cli::drain);
  CLI::App* undrain =
      command("undrain", "give a server new connections again", lbctl::cli::undrain);
  for (CLI::App* one : {drain, undrain}) {
    one->add_option("SERVER", options.server, "its name in the file")->required();
    one->add_option("--service", options.service, "only in this service");
    one->add_flag("-n,--dry-run", options.dry_run, "only show what would be done");
  }
  add_duration(drain, "--deadline", options.deadline,
               "when the connections that are left are cut off: 5m");
  drain->add_option("--until", options.until, "as many connections may be left")
      ->capture_default_str();
  drain->add_flag("--wait", options.wait, "wait until it is idle, and show how far it is");
  drain->add_flag("--persist", options.persist, "keep it up across a reboot");
}

template <class Command>
void add_cid(const Command& command, Options& options) {
  CLI::App* cid = command("cid", "make and read connection IDs by hand", lbctl::cli::cid);
  cid->add_option("ACTION", options.action, "encode, decode, presets")
      ->required()
      ->check(CLI::IsMember({"encode", "decode", "presets"}));
  cid->add_option("CID", options.cid,
                  "in hexadecimal; encode: octets to use where the scheme leaves them open");
  cid->add_option("--service", options.service, "by the layouts of this service of the file");
  cid->add_option("--layout", options.layout, "by this layout, as cid in the file");
  cid->add_option("--id", options.id, "encode: the server's id, name in the file, or address");
}

template <class Command>
void add_explain(const Command& command, Options& options) {
  CLI::App* explain = command(
      "explain", "which server a flow or a connection ID belongs to, and why", lbctl::cli::explain);
  explain->add_option("FLOW", options.flows,
                      "\"198.51.100.7:51000 -> 192.0.2.100:443/udp\", each in quotes");
  explain->add_option("--cid", options.cid,
                      "a connection ID in hexadecimal; with a flow: that of its packet");
  explain->add_option("--service", options.service, "--cid: only by the layouts of this service");
  explain->add_flag("--live", options.live,
                    "follow what the steering of this real server does with packets; with flows: "
                    "with theirs");
  explain->add_option("--sample", options.one_in, "--live: of so many packets tell one")
      ->check(CLI::PositiveNumber);
  explain->add_option("--count", options.count, "--live: end after so many packets")
      ->check(CLI::PositiveNumber);
}

template <class Command>
void add_mptcpize(const Command& command, Options& options) {
  CLI::App* mptcpize =
      command("mptcpize", "make services listen with MPTCP, or undo it", lbctl::cli::mptcpize);
  // Units say this of themselves, when they start; nobody else has a use for it.
  CLI::Option* enter = mptcpize->add_option("--enter", options.enter)->group("");
  mptcpize->add_option("UNIT", options.units, "systemd services, such as nginx.service")
      ->excludes(enter);
  mptcpize->add_option("--way", options.way, "preload or bpf; else the better one that there is")
      ->check(CLI::IsMember({"preload", "bpf"}));
  mptcpize->add_flag("--undo", options.undo, "they listen as they would without it")
      ->excludes("--way");
  mptcpize->add_flag("--restart", options.restart, "restart those that run");
  mptcpize->add_flag("-n,--dry-run", options.dry_run, "only show what would be done");
}

void add_commands(CLI::App& app, Options& options, std::function<Exit(const Options&)>& chosen) {
  const auto command = [&](const char* name, const char* does, Exit (*run)(const Options&)) {
    CLI::App* sub = app.add_subcommand(name, does);
    sub->fallthrough();  // global options may stand after the command, too
    sub->callback([&chosen, run] { chosen = run; });
    return sub;
  };
  CLI::App* check =
      command("check", "validate the file for every node; touches nothing", lbctl::cli::check);
  check->add_option("FILE", options.check_file, "the file, instead of -f");
  check->add_flag("--schema", options.schema, "print a JSON Schema of the file, for editors");
  CLI::App* plan =
      command("plan", "show what apply would do, each change with its reason", lbctl::cli::plan);
  plan->add_flag("--detailed-exitcode", options.detailed_exitcode, "exit 2 if changes are pending");
  CLI::App* apply = command("apply", "make the node match the file, and verify by reading back",
                            lbctl::cli::apply);
  plan->add_flag("--commands", options.commands,
                 "print the equivalent ipvsadm, nft, ip and sysctl command lines");
  for (CLI::App* one : {plan, apply}) {
    one->add_flag("--adopt", options.adopt, "take over foreign objects that are exactly as wanted");
    one->add_flag("--no-drain", options.no_drain, "what the file no longer wants goes at once");
  }
  apply->add_flag("-n,--dry-run", options.dry_run, "only show what would be done, as plan does");
  add_duration(apply, "--confirm", options.confirm,
               "revert after this time unless lbctl confirm comes: 60s");
  command("confirm", "keep what apply --confirm has changed", lbctl::cli::confirm);
  add_drains(command, options);
  add_cid(command, options);
  add_explain(command, options);
  CLI::App* doctor = command("doctor", "what is wrong with this node, or may be, and what mends it",
                             lbctl::cli::doctor);
  doctor->add_flag("--fix", options.fix, "apply the mends that are safe, after showing them");
  add_mptcpize(command, options);
  CLI::App* daemon = command("daemon", "ask the servers how they are, and keep the node matching",
                             lbctl::cli::daemon);
  daemon
      ->add_option("ACTION", options.action,
                   "run; or of one that runs: status, checks, events, reload")
      ->default_str("run")
      ->check(CLI::IsMember({"run", "status", "checks", "events", "reload"}));
  daemon->preparse_callback([&options](std::size_t) { options.action = "run"; });
  command("status", "what runs, what differs from the file, what is foreign", lbctl::cli::status);
  command("down", "remove all that lbctl owns and restore what it changed", lbctl::cli::down);
}

int run(int argc, char** argv) {
  Options options;
  std::function<Exit(const Options&)> chosen;

  CLI::App app{"lbctl: a layer-4 balancer for Multipath TCP and QUIC out of the Linux kernel",
               "lbctl"};
  app.footer(footer);
  app.set_version_flag("--version", "lbctl " LBCTL_VERSION);
  app.add_option("-f,--file", options.file, "the cluster's file; - reads standard input")
      ->capture_default_str();
  app.add_option("--node", options.node,
                 "which node of the file this is; else the host name, else a local address tells");
  app.add_option("--state-dir", options.state_dir, "where ledger, lock and (below bpf/) pins are")
      ->capture_default_str();
  app.add_option("--persist-dir", options.persist_dir, "where drains are that survive a reboot")
      ->capture_default_str();
  app.add_option("-W,--warnings", options.warnings, "error: a doubtful file is a wrong one")
      ->check(CLI::IsMember({"error"}));
  app.add_flag("-j,--json", options.json, "print JSON");
  app.require_subcommand(1);
  add_commands(app, options, chosen);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    const bool asked = e.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success);
    app.exit(e);  // prints help, the version or the complaint
    return static_cast<int>(asked ? Exit::done : Exit::usage);
  }
  if (options.check_file && app.count("--file") > 0) {
    std::fputs("lbctl: error: the file is named twice, by -f and behind check\n", stderr);
    return static_cast<int>(Exit::usage);
  }
  return static_cast<int>(chosen(options));
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& e) {
    // Only what no code of ours throws: out of memory, standard output that is gone.
    std::fputs("lbctl: error: ", stderr);
    std::fputs(e.what(), stderr);
    std::fputs("\n", stderr);
    return static_cast<int>(Exit::failed);
  }
}
