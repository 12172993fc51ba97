// What must hold between nodes: names, ids and addresses belong to one node each.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "draft.hpp"

namespace lbctl::config {
namespace {

constexpr const char* both_roles =
    "a node is a director or a real server; one that is both is not supported by this version";

/// Whose an address is.
struct Owner {
  enum class Kind : std::uint8_t { director, server, signal, vip };
  Kind kind = Kind::director;
  const std::string* name = nullptr;
  Span at;

  std::string text() const {
    switch (kind) {
      case Kind::director:
        return fmt::format("director {}", *name);
      case Kind::server:
        return fmt::format("server {}", *name);
      case Kind::signal:
        return fmt::format("signal address of server {}", *name);
      case Kind::vip:
        return fmt::format("VIP of service {}", *name);
    }
    return "unknown";
  }
};

/// Every address of the file once; several services may share a VIP.
class AddressBook {
 public:
  explicit AddressBook(Report& report) : report_(report) {}

  void add(const DraftList<model::IpAddress>& list, Owner::Kind kind, const std::string& name) {
    for (const auto& item : list.items) {
      const Owner owner{kind, &name, item.at};
      const auto [entry, is_new] = book_.emplace(item.value, owner);
      if (!is_new) clash(item.value, entry->second, owner);
    }
  }

 private:
  void clash(const model::IpAddress& address, const Owner& first, const Owner& second) {
    using enum Owner::Kind;
    if (first.kind == vip && second.kind == vip) return;
    // The same address twice within one list has been reported where the list was read.
    if (first.kind == director && second.kind == server) {
      return report_.error(second.at,
                           fmt::format("{} is the address of director {} and of server {}",
                                       address.text(), *first.name, *second.name),
                           both_roles);
    }
    report_.error(second.at, fmt::format("{} is taken", address.text()),
                  fmt::format("{}: {}{}", report_.place(first.at), first.text(), advice(second)));
  }

  static std::string_view advice(const Owner& second) {
    switch (second.kind) {
      case Owner::Kind::signal:
        return "; a signal address belongs to one server and to nothing else";
      case Owner::Kind::vip:
        return "; a VIP is nobody's own address";
      default:
        return "";
    }
  }

  Report& report_;
  std::map<model::IpAddress, Owner> book_;
};

void check_roles(const Draft& draft, Report& report) {
  std::map<std::string_view, Span> directors;
  for (const DraftDirector& director : draft.directors) {
    directors.emplace(director.name, director.at);
  }
  for (const DraftServer& server : draft.servers) {
    const auto director = directors.find(server.name);
    if (director == directors.end()) continue;
    report.error(server.at,
                 fmt::format("\"{}\" is a server here and a director on {}", server.name,
                             report.place(director->second)),
                 both_roles);
  }
}

void check_ids(const Draft& draft, Report& report) {
  struct First {
    const std::string* server;
    Span id;
  };
  std::map<model::ServerId, First> ids;
  for (const DraftServer& server : draft.servers) {
    if (!server.id) continue;
    const auto [first, is_new] = ids.emplace(server.id->value, First{&server.name, server.id->at});
    if (is_new) continue;
    report.error(
        server.id->at, fmt::format("id {} is taken", server.id->value.text()),
        fmt::format("{}: server {}", report.place(first->second.id), *first->second.server));
  }
}

void check_signals(const DraftServer& server, Report& report) {
  if (server.signal.items.size() > model::max_mptcp_endpoints) {
    report.error(server.signal.items[model::max_mptcp_endpoints].at,
                 fmt::format("server {} has {} signal addresses, the kernel holds {} endpoints",
                             server.name, server.signal.items.size(), model::max_mptcp_endpoints),
                 "each is announced on every connection: one per family is usual");
  }
  if (!server.addresses.whole || server.addresses.items.empty()) return;
  for (const auto& signal : server.signal.items) {
    const model::Family family = signal.value.family();
    if (server.has_address_of(family)) continue;
    report.error(signal.at,
                 fmt::format("server {} has an {} signal address, but no {} address of its own",
                             server.name, name(family), name(family)),
                 "directors bring the signal address to the server by its own address");
  }
}

}  // namespace

void check_nodes(const Draft& draft, Report& report) {
  check_roles(draft, report);
  check_ids(draft, report);
  AddressBook book(report);
  for (const auto& director : draft.directors) {
    book.add(director.addresses, Owner::Kind::director, director.name);
  }
  for (const auto& server : draft.servers) {
    book.add(server.addresses, Owner::Kind::server, server.name);
  }
  for (const auto& service : draft.services) {
    book.add(service.vips, Owner::Kind::vip, service.name);
  }
  for (const auto& server : draft.servers) {
    book.add(server.signal, Owner::Kind::signal, server.name);
    check_signals(server, report);
  }
}

}  // namespace lbctl::config
