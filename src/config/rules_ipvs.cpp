// What must hold of [ipvs] and [mptcp] as a whole, and what of them does nothing.
#include <fmt/format.h>

#include <algorithm>

#include "draft.hpp"

namespace lbctl::config {
namespace {

constexpr const char* below = "net/ipv4/vs/";

const Spanned<std::string>* find(const DraftSysctls& sysctls, std::string_view name) {
  const auto found = sysctls.find(below + std::string(name));
  return found == sysctls.end() ? nullptr : &found->second;
}

/// A director whose roles are not named has both.
bool is_backup(const DraftDirector& director) {
  return director.sync.items.empty() ||
         std::ranges::any_of(director.sync.items, [](const auto& role) {
           return role.value == model::SyncRole::backup;
         });
}

void check_roles(const Draft& draft, Report& report) {
  if (draft.ipvs.sync) return;
  for (const DraftDirector& director : draft.directors) {
    if (director.sync.items.empty()) continue;
    report.error(director.sync.key,
                 fmt::format("director {} has sync, but there is no [ipvs.sync]", director.name),
                 "add an empty [ipvs.sync], or leave sync out");
  }
}

void check_sync_sysctls(const Draft& draft, Report& report) {
  if (!draft.ipvs.sync) {
    for (const auto& [path, value] : draft.ipvs.sysctls)
      if (path.starts_with(std::string(below) + "sync_"))
        report.warning(value.at, "this has no effect: no director syncs connections",
                       "add [ipvs.sync], or leave this out");
    return;
  }
  const auto* backup_only = find(draft.ipvs.sysctls, "backup_only");
  if (backup_only == nullptr || backup_only->value == "0") return;
  for (const DraftDirector& director : draft.directors)
    if (is_backup(director))
      report.warning(backup_only->at,
                     fmt::format("director {} balances nothing as long as it is a backup of "
                                 "connection sync",
                                 director.name),
                     "give it sync = [\"master\"], or leave backup_only out");
}

void check_expirations(const Draft& draft, Report& report) {
  for (const std::string_view scheduler : {"lblc", "lblcr"}) {
    const auto* expiration = find(draft.ipvs.sysctls, fmt::format("{}_expiration", scheduler));
    const bool used = std::ranges::any_of(draft.services, [&](const DraftService& service) {
      return service.scheduler.value == scheduler;
    });
    if (expiration != nullptr && !used)
      report.warning(expiration->at,
                     fmt::format("this has no effect: no service has scheduler {}", scheduler));
  }
}

void check_defences(const DraftSysctls& sysctls, Report& report) {
  const auto is = [&](std::string_view name, std::initializer_list<std::string_view> values) {
    const auto* found = find(sysctls, name);
    return found != nullptr && std::ranges::find(values, found->value) != values.end();
  };
  if (const auto* rate = find(sysctls, "am_droprate"); rate && !is("drop_packet", {"3"}))
    report.warning(rate->at, "this has no effect without drop_packet = 3");
  if (const auto* pages = find(sysctls, "amemthresh"); pages && !is("drop_packet", {"1", "2"}) &&
                                                       !is("drop_entry", {"1", "2"}) &&
                                                       !is("secure_tcp", {"1", "2"}))
    report.warning(pages->at, "this has no effect: no defence is automatic",
                   "set drop_entry, drop_packet or secure_tcp to 1");
}

}  // namespace

void check_ipvs(const Draft& draft, Report& report) {
  check_roles(draft, report);
  check_sync_sysctls(draft, report);
  check_expirations(draft, report);
  check_defences(draft.ipvs.sysctls, report);
  const bool mptcp = std::ranges::any_of(
      draft.services, [](const DraftService& service) { return service.has(Protocol::mptcp); });
  if (draft.mptcp && !mptcp && !draft.services.empty() && !report.has_errors())
    report.warning(*draft.mptcp, "this has no effect: no service has mptcp",
                   "it is set on the real servers of such services");
}

}  // namespace lbctl::config
