#include <fmt/format.h>

#include "common/options.hpp"
#include "mptcp/client.hpp"
#include "mptcp/server.hpp"

namespace {

constexpr int exit_failed = 1;
constexpr int exit_usage = 64;

constexpr auto usage =
    "usage: mptcp_echo serve --listen ADDR:PORT[,…] --name NAME [--log FILE] [--tcp]\n"
    "       mptcp_echo connect ADDR:PORT [--count N] [--hold 2s] [--payload OCTETS] [--tcp]\n"
    "                  [--want-subflows N] [--timeout 5s] [--bind ADDR] [--download OCTETS]\n"
    "                  [--every 1s]\n";

template <class T>
using Parsed = std::expected<T, std::string>;

Parsed<peer::ServeOptions> serve_options(const peer::Options& options) {
  if (!options.has("--listen") || !options.has("--name"))
    return std::unexpected("--listen and --name are needed");
  auto listen = peer::parse_address_ports(options.text("--listen"));
  if (!listen) return std::unexpected(listen.error());
  return peer::ServeOptions{std::move(*listen), options.text("--name"), options.has("--tcp")};
}

Parsed<peer::ConnectOptions> connect_options(const peer::Options& options) {
  if (options.positional().size() != 2) return std::unexpected("one ADDR:PORT is needed");
  peer::ConnectOptions wanted;
  std::string error;
  const auto set = [&error](auto& field, auto&& parsed) {
    if (parsed)
      field = *parsed;
    else
      error = parsed.error();
  };
  set(wanted.target, peer::parse_address_port(options.positional()[1]));
  if (options.has("--bind")) set(wanted.bind, peer::parse_address(options.text("--bind")));
  set(wanted.count, options.number("--count", wanted.count));
  set(wanted.hold, options.duration("--hold", wanted.hold));
  set(wanted.payload, options.number("--payload", wanted.payload));
  set(wanted.want_subflows, options.number("--want-subflows", wanted.want_subflows));
  set(wanted.timeout, options.duration("--timeout", wanted.timeout));
  set(wanted.download, options.number("--download", wanted.download));
  wanted.plain_tcp = options.has("--tcp");
  if (options.has("--every")) set(wanted.every, options.duration("--every", {}));
  if (!error.empty()) return std::unexpected(error);
  return wanted;
}

int complain(int status, const std::string& error) {
  fmt::print(stderr, "mptcp_echo: {}\n{}", error, status == exit_usage ? usage : "");
  return status;
}

int run_serve(const peer::Options& options) {
  const auto wanted = serve_options(options);
  if (!wanted) return complain(exit_usage, wanted.error());
  const auto log = peer::EventLog::open(options.text("--log"));
  if (!log) return complain(exit_failed, log.error());
  const auto done = peer::serve(*wanted, *log);
  return done ? 0 : complain(exit_failed, done.error());
}

int run_connect(const peer::Options& options) {
  const auto wanted = connect_options(options);
  if (!wanted) return complain(exit_usage, wanted.error());
  const auto good = peer::connect_and_talk(*wanted);
  if (!good) return complain(exit_failed, good.error());
  return *good ? 0 : exit_failed;
}

}  // namespace

int main(int argc, char** argv) {
  const auto options =
      peer::Options::parse({argv + 1, argv + argc},
                           {"--listen", "--name", "--log", "--count", "--hold", "--payload",
                            "--want-subflows", "--timeout", "--bind", "--download", "--every"},
                           {"--tcp"});
  if (!options) return complain(exit_usage, options.error());
  const auto& words = options->positional();
  if (!words.empty() && words[0] == "serve") return run_serve(*options);
  if (!words.empty() && words[0] == "connect") return run_connect(*options);
  return complain(exit_usage, "serve or connect?");
}
