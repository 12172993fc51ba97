// lbctl cid: connection IDs by hand.
#include <fmt/format.h>
#include <sys/random.h>

#include <algorithm>

#include "cid_names.hpp"
#include "lbctl/config/resolve.hpp"
#include "lbctl/explain/cid.hpp"
#include "lbctl/plan/render.hpp"
#include "output.hpp"
#include "session.hpp"

namespace lbctl::cli {
namespace {

using explain::CidCodec;
using explain::hex;
using explain::Octets;
using explain::parse_octets;

/// What connection IDs are made and read by: a service of the file, or the layout that was given.
struct Ground {
  config::Config config;
  const config::Service* service = nullptr;
  model::CidSchemes schemes;
};

/// A file with nothing but the layout in it, so that it is read as in a file.
config::Loaded read_layout(const std::string& layout) {
  const std::string text = fmt::format(
      "services.given = {{ vip = [\"192.0.2.1\", \"2001:db8::1\"], ports = [443], "
      "protocols = [\"quic\"], quic.cid = {} }}\n"
      "cluster.name = \"given\"\n"
      "directors.d = {{ address = [\"192.0.2.2\"], interface = \"eth0\" }}\n"
      "servers.s = {{ address = [\"192.0.2.3\", \"2001:db8::3\"], interface = \"eth0\", id = 1 "
      "}}\n",
      layout);
  return config::read_text(text, "--layout");
}

std::expected<Ground, Exit> find_ground(const Options& options) {
  if (options.layout.has_value() == options.service.has_value())
    return std::unexpected(give_up(
        options, "cid", Error(Errc::invalid, "name either --service, of the file, or --layout")));
  const config::Loaded loaded = options.layout ? read_layout(*options.layout) : read(options);
  const bool wrong = !loaded.config;
  for (const auto& diagnostic : loaded.diagnostics)
    if (wrong) fmt::print(stderr, "{}", config::render(diagnostic));
  if (wrong) return std::unexpected(Exit::bad_file);
  Ground out{.config = *loaded.config};
  const std::string name = options.service.value_or("given");
  const auto service = out.config.services.find(name);
  if (service == out.config.services.end() || !service->second.has(config::Protocol::quic))
    return std::unexpected(give_up(
        options, "cid", Error(Errc::not_found, fmt::format("no service \"{}\" with quic", name))));
  out.service = &service->second;
  auto schemes = schemes_of(service->second);
  if (!schemes) return std::unexpected(give_up(options, "cid", schemes.error()));
  out.schemes = std::move(*schemes);
  return out;
}

model::IdSpace space_of(const model::CidScheme& scheme) {
  return model::layout(scheme).value_or(model::CidLayout{}).space;
}

Exit decode(const Options& options, const Ground& ground) {
  auto cid = parse_octets(options.cid);
  if (!cid) return give_up(options, "cid", cid.error());
  Json json = document("cid");
  for (std::size_t i = 0; i < ground.schemes.size(); ++i) {
    const model::CidScheme& scheme = ground.schemes[i];
    const auto id = CidCodec(scheme).read(*cid);
    if (!id) continue;
    const std::string server =
        options.service ? server_with(ground.config, *ground.service, scheme, *id) : "";
    const bool unknown = id->is_zero() || (options.service && server.empty());
    if (options.json) {
      json["result"] = unknown ? "unknown_id" : "known_id";
      json["layout"] = i + 1;
      json["scheme"] = name(scheme.format);
      json["id"] = id->text();
      if (!server.empty()) json["server"] = server;
      print(json);
    } else {
      fmt::print("layout {}: {}\nserver id {}{}\n", i + 1, plan::describe(scheme), id->text(),
                 !server.empty() ? ": " + server
                 : unknown       ? ": no server has it"
                                 : "");
    }
    return Exit::done;
  }
  if (options.json) {
    json["result"] = "unroutable";
    print(json);
  } else {
    fmt::print("unroutable: it fits no layout\n");
  }
  return Exit::done;
}

/// For dpvs an address, else a number.
Result<model::ServerId> id_asked_for(const Options& options, const Ground& ground,
                                     const model::CidScheme& scheme) {
  if (options.id.empty()) return fail(Errc::invalid, "name the server by --id");
  std::optional<model::ServerId> id;
  const auto address = model::IpAddress::parse(options.id);
  if (options.service && ground.config.servers.contains(options.id))
    id = config::steering_id(scheme, ground.config.servers.at(options.id));
  else if (space_of(scheme) == model::IdSpace::number)
    id = model::ServerId::parse(options.id);
  else if (address && model::address_id(*address).space == space_of(scheme))
    id = model::address_id(*address);
  if (!id || id->is_zero() || id->bits() > model::layout(scheme)->id_bits)
    return fail(Errc::invalid,
                fmt::format("\"{}\" is no server id of {}", options.id, plan::describe(scheme)));
  return *id;
}

Exit encode(const Options& options, const Ground& ground) {
  Octets random(LBCTL_CID_LONGEST);
  if (getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size()))
    return give_up(options, "cid", Error::from_errno(errno, "get random octets"));
  if (!options.cid.empty()) {
    auto given = parse_octets(options.cid);
    if (!given) return give_up(options, "cid", given.error());
    std::ranges::copy(*given, random.begin());
  }
  Json json = document("cid");
  json["connection_ids"] = Json::array();
  std::optional<Error> last;
  for (const model::CidScheme& scheme : ground.schemes) {
    const auto id = id_asked_for(options, ground, scheme);
    if (!id) {
      last = id.error();
      continue;
    }
    const std::string cid = hex(CidCodec(scheme).make(*id, random));
    json["connection_ids"].push_back({{"cid", cid}, {"scheme", name(scheme.format)}});
    if (!options.json) fmt::print("{}\n", cid);
  }
  if (json["connection_ids"].empty() && last) return give_up(options, "cid", *last);
  if (options.json) print(json);
  return Exit::done;
}

Exit presets(const Options& options) {
  constexpr std::pair<const char*, const char*> all[] = {
      {"quic-lb", "{ scheme = \"quic-lb\", config = 0, id_length = 2, nonce_length = 6 }"},
      {"quic-lb, one pass of AES",
       "{ scheme = \"quic-lb\", config = 0, id_length = 2, nonce_length = 14, "
       "key_file = \"/etc/lbctl/cid.key\" }"},
      {"AWS NLB", "{ scheme = \"aws-nlb\" }"},
      {"Envoy (one octet for the worker follows)",
       "{ scheme = \"quic-lb\", config = 0, id_length = 2, nonce_length = 8 }"},
      {"MsQuic, EMQX (mode FIXED)", "{ scheme = \"msquic\" }"},
      {"Katran, mvfst", "{ scheme = \"katran\", version = 2 }"},
      {"DPVS", "{ scheme = \"dpvs\" }"},
      {"nginx (id behind the cookie)",
       "{ scheme = \"raw\", offset = 8, id_length = 2, length = 20 }"},
  };
  if (!options.json) {
    for (const auto& [what, layout] : all)
      fmt::print("# {}\ncid = {}\n", what, layout);
    return Exit::done;
  }
  Json json = document("cid");
  json["presets"] = Json::array();
  for (const auto& [what, layout] : all)
    json["presets"].push_back({{"for", what}, {"cid", layout}});
  print(json);
  return Exit::done;
}

}  // namespace

Exit cid(const Options& options) {
  if (options.action == "presets") return presets(options);
  const auto ground = find_ground(options);
  if (!ground) return ground.error();
  return options.action == "decode" ? decode(options, *ground) : encode(options, *ground);
}

}  // namespace lbctl::cli
