#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <functional>

#include "options.hpp"

namespace {

using lbctl::cli::Exit;
using lbctl::cli::Options;

constexpr const char* footer =
    "Exit status: 0 done, or nothing to do; 1 a change failed; 2 changes pending (plan "
    "--detailed-exitcode);\n3 the file is wrong, nothing was touched; 64 usage.\n"
    "See lbctl(8) and lbctl.toml(5).";

void add_commands(CLI::App& app, Options& options, std::function<Exit(const Options&)>& chosen) {
  const auto command = [&](const char* name, const char* does, Exit (*run)(const Options&)) {
    CLI::App* sub = app.add_subcommand(name, does);
    sub->fallthrough();  // global options may stand after the command, too
    sub->callback([&chosen, run] { chosen = run; });
    return sub;
  };
  command("check", "validate the file for every node; touches nothing", lbctl::cli::check);
  CLI::App* plan =
      command("plan", "show what apply would do, each change with its reason", lbctl::cli::plan);
  plan->add_flag("--detailed-exitcode", options.detailed_exitcode, "exit 2 if changes are pending");
  plan->add_flag("--commands", options.commands,
                 "print the equivalent ipvsadm, nft, ip and sysctl command lines");
  command("apply", "make the node match the file, and verify by reading back", lbctl::cli::apply)
      ->add_flag("-n,--dry-run", options.dry_run, "only show what would be done, as plan does");
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
