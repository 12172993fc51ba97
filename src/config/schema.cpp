#include "schema.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <vector>

#include "text.hpp"

namespace lbctl::config {
namespace {

constexpr std::array keys = {
    KeySpec{"cluster", Shape::table},
    KeySpec{"cluster.name", Shape::text, true},
    KeySpec{"directors", Shape::table},
    KeySpec{"directors.*", Shape::table},
    KeySpec{"directors.*.address", Shape::texts, true},
    KeySpec{"directors.*.interface", Shape::text, true},
    KeySpec{"directors.*.client_interfaces", Shape::texts},
    KeySpec{"directors.*.vip_on", Shape::text},
    KeySpec{"servers", Shape::table},
    KeySpec{"servers.*", Shape::table},
    KeySpec{"servers.*.address", Shape::texts, true},
    KeySpec{"servers.*.interface", Shape::text, true},
    KeySpec{"servers.*.id", Shape::whole, true},
    KeySpec{"servers.*.signal", Shape::texts},
    KeySpec{"services", Shape::table},
    KeySpec{"services.*", Shape::table},
    KeySpec{"services.*.vip", Shape::texts, true},
    KeySpec{"services.*.ports", Shape::wholes, true},
    KeySpec{"services.*.protocols", Shape::texts, true},
    KeySpec{"services.*.scheduler", Shape::text},
    KeySpec{"services.*.scheduler_flags", Shape::texts},
    KeySpec{"services.*.persistence_timeout", Shape::duration},
    KeySpec{"services.*.servers", Shape::texts_or_weights},
    KeySpec{"services.*.servers.*", Shape::whole},
    KeySpec{"services.*.mptcp", Shape::table},
    KeySpec{"services.*.mptcp.signal", Shape::text},
    KeySpec{"services.*.mptcp.via", Shape::text},
    KeySpec{"services.*.mptcp.join_only", Shape::boolean},
    KeySpec{"services.*.quic", Shape::table},
    KeySpec{"services.*.quic.cid", Shape::table, true},
    KeySpec{"services.*.quic.cid.scheme", Shape::text, true},
    KeySpec{"services.*.quic.cid.config", Shape::whole},
    KeySpec{"services.*.quic.cid.id_length", Shape::whole},
    KeySpec{"services.*.quic.cid.nonce_length", Shape::whole},
    KeySpec{"mptcp", Shape::table},
    KeySpec{"mptcp.subflows", Shape::whole},
    KeySpec{"mptcp.add_addr_accepted", Shape::whole},
    KeySpec{"drain", Shape::table},
    KeySpec{"drain.tcp", Shape::duration},
    KeySpec{"drain.udp", Shape::duration},
};

constexpr std::array later = {
    LaterKey{"ipvs", "set IPVS timeouts and sysctls with ipvsadm(8) and sysctl(8)"},
    LaterKey{"services.*.forward",
             "leave it out: every service is forwarded by direct routing (DR)"},
    LaterKey{"services.*.fwmark", "name the VIPs and ports instead"},
    LaterKey{"services.*.one_packet", "leave it out"},
    LaterKey{"services.*.persistence_netmask", "leave it out: each client address counts alone"},
    LaterKey{"services.*.uthreshold", "leave it out: there is no limit of connections"},
    LaterKey{"services.*.lthreshold", "leave it out: there is no limit of connections"},
    LaterKey{"services.*.sorry_server", "leave it out"},
    LaterKey{"services.*.check", "leave it out: set the weight of a failed server to 0"},
    LaterKey{"services.*.quorum", "leave it out: servers are not checked"},
    LaterKey{"services.*.hysteresis", "leave it out: servers are not checked"},
    LaterKey{"services.*.mptcp.port_base", "give each server signal addresses of its own"},
    LaterKey{"services.*.mptcp.syn_rate", "leave it out: SYNs are not limited"},
    LaterKey{"services.*.mptcp.syn_burst", "leave it out: SYNs are not limited"},
    LaterKey{"services.*.quic.cid.key_file", "leave it out: the connection IDs are not encrypted"},
};

std::string joined(std::string_view pattern, std::string_view key) {
  std::string out(pattern);
  if (!out.empty()) out += '.';
  out += key;
  return out;
}

/// The keys right below one pattern, as every key of the file is looked up here.
struct Level {
  std::vector<std::pair<std::string_view, const KeySpec*>> keys;
  const KeySpec* any = nullptr;  ///< the * of names that the file chooses

  const KeySpec* find(std::string_view key) const {
    if (any) return any;
    const auto found = std::ranges::find(keys, key, [](const auto& entry) { return entry.first; });
    return found == keys.end() ? nullptr : found->second;
  }
};

/// By pattern; the top level's is empty.
using Levels = std::map<std::string_view, Level>;

Levels make_levels() {
  Levels out;
  for (const KeySpec& spec : keys) {
    const std::size_t dot = spec.pattern.rfind('.');
    const bool top = dot == std::string_view::npos;
    Level& level = out[top ? std::string_view() : spec.pattern.substr(0, dot)];
    const std::string_view key = top ? spec.pattern : spec.pattern.substr(dot + 1);
    if (key == "*") {
      level.any = &spec;
    } else {
      level.keys.emplace_back(key, &spec);
    }
  }
  return out;
}

/// "services.web.mptcp", put together only where a message names it. Empty: the top level.
struct TableName {
  const TableName* parent = nullptr;
  std::string_view key;
  std::string text() const { return parent ? joined(parent->text(), key) : std::string(); }
};

class ShapeCheck {
 public:
  explicit ShapeCheck(Report& report) : report_(report) {}

  /// `name` is the table's in messages.
  void table(const Node& node, Span at, std::string_view pattern, const TableName& name) {
    const auto level = levels_.find(pattern);
    if (level == levels_.end()) return;  // no table of the language is without keys
    for (const Member& member : node.members) {
      if (const KeySpec* spec = level->second.find(member.key)) {
        value(member, *spec, {&name, member.key});
      } else {
        unknown(member, level->second, pattern, name.text());
      }
    }
    for (const auto& [key, spec] : level->second.keys) {
      if (spec->required && !node.find(key)) {
        report_.error(at, fmt::format("{} lacks \"{}\"", name.text(), key), example(*spec));
      }
    }
  }

 private:
  void unknown(const Member& member, const Level& level, std::string_view pattern,
               const std::string& what) {
    const std::string full = joined(pattern, member.key);
    for (const LaterKey& key : later) {
      if (key.pattern == full) {
        return report_.error(member.key_at,
                             fmt::format("\"{}\" is not supported by this version", member.key),
                             std::string(key.instead));
      }
    }
    std::vector<std::string> known;
    for (const auto& [key, spec] : level.keys)
      known.emplace_back(key);
    const std::string near = report_.full() ? "" : nearest(member.key, known);
    report_.error(member.key_at,
                  what.empty() ? fmt::format("unknown key \"{}\"", member.key)
                               : fmt::format("unknown key \"{}\" in {}", member.key, what),
                  near.empty() ? fmt::format("known here: {}", listed(known))
                               : fmt::format("did you mean \"{}\"?", near));
  }

  void value(const Member& member, const KeySpec& spec, const TableName& what) {
    const Node& node = member.value;
    switch (spec.shape) {
      case Shape::table:
        if (!node.is(Node::Kind::table)) return wrong(node, what.text(), "a table", example(spec));
        return table(node, member.key_at, spec.pattern, what);
      case Shape::text:
        if (!node.is(Node::Kind::text)) wrong(node, what.text(), "a text", example(spec));
        return;
      case Shape::duration:
        if (!node.is(Node::Kind::text)) wrong(node, what.text(), "a duration", example(spec));
        return;
      case Shape::whole:
        if (!node.is(Node::Kind::integer))
          wrong(node, what.text(), "a whole number", example(spec));
        return;
      case Shape::boolean:
        if (!node.is(Node::Kind::boolean)) wrong(node, what.text(), "true or false", example(spec));
        return;
      case Shape::texts:
        return list(member, spec, what, Node::Kind::text, "a list of texts");
      case Shape::wholes:
        return list(member, spec, what, Node::Kind::integer, "a list of whole numbers");
      case Shape::texts_or_weights:
        if (!node.is(Node::Kind::table)) {
          return list(member, spec, what, Node::Kind::text,
                      "a list of names or a table of weights");
        }
        if (node.members.empty()) report_.error(node.at, fmt::format("{} is empty", what.text()));
        return table(node, member.key_at, spec.pattern, what);
    }
  }

  void list(const Member& member, const KeySpec& spec, const TableName& what, Node::Kind kind,
            std::string_view wanted) {
    const Node& node = member.value;
    if (!node.is(Node::Kind::list)) return wrong(node, what.text(), wanted, example(spec));
    if (node.items.empty())
      report_.error(node.at, fmt::format("{} is empty", what.text()), example(spec));
    for (const Node& item : node.items) {
      if (!item.is(kind))
        wrong(item, fmt::format("each of {}", what.text()), name(kind), example(spec));
    }
  }

  void wrong(const Node& node, const std::string& what, std::string_view wanted, std::string hint) {
    report_.error(node.at, fmt::format("{} must be {}, this is {}", what, wanted, name(node.kind)),
                  std::move(hint));
  }

  /// What the key looks like in a right file.
  static std::string example(const KeySpec& spec) {
    const std::string_view key = spec.pattern.substr(spec.pattern.rfind('.') + 1);
    if (key == "address" || key == "signal") {
      return spec.shape == Shape::text
                 ? "for example: signal = \"address\""
                 : fmt::format("for example: {} = [\"192.0.2.10\", \"2001:db8::10\"]", key);
    }
    struct Example {
      std::string_view key, text;
    };
    static constexpr std::array examples = {
        Example{"interface", "interface = \"eth0\""},
        Example{"client_interfaces", "client_interfaces = [\"eth1\"]"},
        Example{"vip", "vip = [\"192.0.2.100\", \"2001:db8::100\"]"},
        Example{"ports", "ports = [80, 443]"},
        Example{"protocols", "protocols = [\"tcp\"]"},
        Example{"id", "id = 1"},
        Example{"scheduler_flags", "scheduler_flags = [\"mh-port\"]"},
        Example{"persistence_timeout", "persistence_timeout = \"300s\""},
        Example{"servers", "servers = [\"rs1\"], or servers = { rs1 = 10 }"},
        Example{"cid",
                "cid = { scheme = \"quic-lb\", config = 0, id_length = 2, nonce_length = 6 }"},
        Example{"scheme", "scheme = \"quic-lb\""},
        Example{"join_only", "join_only = true"},
        Example{"tcp", "tcp = \"5m\""},
        Example{"udp", "udp = \"2m\""},
    };
    const auto found = std::ranges::find(examples, key, &Example::key);
    return found == examples.end() || (key == "servers" && spec.shape == Shape::table)
               ? ""
               : fmt::format("for example: {}", found->text);
  }

  Report& report_;
  Levels levels_ = make_levels();
};

}  // namespace

std::span<const KeySpec> schema() {
  return keys;
}
std::span<const LaterKey> later_keys() {
  return later;
}

void check_shape(const Node& root, Report& report) {
  ShapeCheck(report).table(root, {0, 1}, "", {});
}

std::vector<std::string> known_keys() {
  std::vector<std::string> out;
  out.reserve(keys.size());
  for (const KeySpec& spec : keys)
    out.emplace_back(spec.pattern);
  std::ranges::sort(out);
  return out;
}

}  // namespace lbctl::config
