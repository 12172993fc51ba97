#include <fmt/format.h>

#include "common/options.hpp"
#include "h3/server.hpp"

namespace {

constexpr int exit_failed = 1;
constexpr int exit_usage = 64;

constexpr auto usage =
    "usage: h3_server --listen ADDR:PORT[,…] --name NAME --server-id HEX --key K.pem --cert C.pem\n"
    "                 [--cid-config 0] [--nonce-length 6] [--idle-timeout 30s] [--retry]\n"
    "                 [--log FILE]\n";

int complain(int status, const std::string& error) {
  fmt::print(stderr, "h3_server: {}\n{}", error, status == exit_usage ? usage : "");
  return status;
}

std::expected<peer::H3Settings, std::string> settings_of(const peer::Options& options) {
  const auto config = options.number("--cid-config", 0);
  const auto nonce_length = options.number("--nonce-length", 6);
  const auto idle = options.duration("--idle-timeout", std::chrono::seconds(30));
  if (!config) return std::unexpected(config.error());
  if (!nonce_length) return std::unexpected(nonce_length.error());
  if (!idle) return std::unexpected(idle.error());
  auto cid = peer::make_cid_format(*config, options.text("--server-id"), *nonce_length);
  if (!cid) return std::unexpected(cid.error());
  return peer::H3Settings{options.text("--name"), std::move(*cid), *idle, options.has("--retry")};
}

int serve(const peer::Options& options) {
  for (const auto* needed : {"--listen", "--name", "--server-id", "--key", "--cert"})
    if (!options.has(needed)) return complain(exit_usage, fmt::format("{} is needed", needed));
  auto settings = settings_of(options);
  if (!settings) return complain(exit_usage, settings.error());
  const auto addresses = peer::parse_address_ports(options.text("--listen"));
  if (!addresses) return complain(exit_usage, addresses.error());
  auto tls = peer::Tls::load(options.text("--key"), options.text("--cert"));
  if (!tls) return complain(exit_failed, tls.error());
  auto log = peer::EventLog::open(options.text("--log"));
  if (!log) return complain(exit_failed, log.error());

  peer::H3Server server(std::move(*settings), std::move(*tls), std::move(*log));
  if (const auto opened = server.listen(*addresses); !opened)
    return complain(exit_failed, opened.error());
  const auto done = server.run();
  return done ? 0 : complain(exit_failed, done.error());
}

}  // namespace

int main(int argc, char** argv) {
  const auto options =
      peer::Options::parse({argv + 1, argv + argc},
                           {"--listen", "--name", "--server-id", "--key", "--cert", "--cid-config",
                            "--nonce-length", "--idle-timeout", "--log"},
                           {"--retry"});
  if (!options) return complain(exit_usage, options.error());
  if (!options->positional().empty())
    return complain(exit_usage, fmt::format("what is '{}'?", options->positional()[0]));
  return serve(*options);
}
