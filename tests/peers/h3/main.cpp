#include <fmt/format.h>

#include "common/options.hpp"
#include "h3/server.hpp"

namespace {

constexpr int exit_failed = 1;
constexpr int exit_usage = 64;

constexpr auto usage =
    "usage: h3_server --listen ADDR:PORT[,…] --name NAME --layout CID --id ID --key K.pem --cert "
    "C.pem\n"
    "                 [--next-layout CID] [--idle-timeout 30s] [--retry] [--log FILE]\n"
    "CID as in lbctl.toml(5): '{ scheme = \"quic-lb\", id_length = 2, nonce_length = 6 }'\n";

int complain(int status, const std::string& error) {
  fmt::print(stderr, "h3_server: {}\n{}", error, status == exit_usage ? usage : "");
  return status;
}

std::expected<peer::H3Settings, std::string> settings_of(const peer::Options& options) {
  const auto idle = options.duration("--idle-timeout", std::chrono::seconds(30));
  if (!idle) return std::unexpected(idle.error());
  auto cid = peer::CidFormat::parse(options.text("--layout"), options.text("--id"));
  if (!cid) return std::unexpected(cid.error());
  peer::H3Settings settings{
      options.text("--name"), std::move(*cid), {}, *idle, options.has("--retry")};
  if (!options.has("--next-layout")) return settings;
  auto next = peer::CidFormat::parse(options.text("--next-layout"), options.text("--id"));
  if (!next) return std::unexpected(next.error());
  // ngtcp2 takes every short header's connection ID for one of the first one's length.
  if (next->length() != settings.cid.length())
    return std::unexpected("--next-layout must have the length of --layout");
  settings.next_cid = std::move(*next);
  return settings;
}

int serve(const peer::Options& options) {
  for (const auto* needed : {"--listen", "--name", "--layout", "--id", "--key", "--cert"})
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
  const auto options = peer::Options::parse({argv + 1, argv + argc},
                                            {"--listen", "--name", "--layout", "--next-layout",
                                             "--id", "--key", "--cert", "--idle-timeout", "--log"},
                                            {"--retry"});
  if (!options) return complain(exit_usage, options.error());
  if (!options->positional().empty())
    return complain(exit_usage, fmt::format("what is '{}'?", options->positional()[0]));
  return serve(*options);
}
