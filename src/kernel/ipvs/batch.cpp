#include "batch.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace lbctl::kernel::ipvs {

namespace {

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};

bool removes(const model::Action& action) {
  return std::holds_alternative<model::RemoveService>(action) ||
         std::holds_alternative<model::RemoveDestination>(action) ||
         std::holds_alternative<model::StopSync>(action);
}

bool takes_away(const model::Action& action) {
  const auto* edit = std::get_if<model::EditDestination>(&action);
  return removes(action) || (edit != nullptr && number(edit->to.weight) == 0);
}

bool already_gone(const model::Action& action, const genl::Verdict& verdict) {
  return removes(action) && (verdict.sys == ESRCH || verdict.sys == ENOENT);
}

std::string service_hint(const model::VirtualService& service, const genl::Verdict& verdict) {
  switch (verdict.sys) {
    case ENOENT:
      return fmt::format("the scheduler is missing: modprobe ip_vs_{}", service.scheduler);
    case EEXIST:
      return "another program added it meanwhile: run again";
    case EAFNOSUPPORT:
      return "this kernel's IPVS lacks IPv6 (kernel option CONFIG_IP_VS_IPV6)";
    default:
      return "";
  }
}

std::string destination_hint(const model::DestinationKey& key, const genl::Verdict& verdict) {
  switch (verdict.sys) {
    case EINVAL:
      // ip_vs_new_dest(): must be local or unicast; "unicast" needs a local routing table at all.
      return fmt::format(
          "{} is no unicast address here: is it a broadcast, multicast or link-local address, or "
          "is no device up yet (ip route get {})? With connection sync, a destination of the other "
          "family is refused too",
          key.address.text(), key.address.text());
    case ESRCH:
      return "its service is gone: run again";
    case ENOENT:
    case EEXIST:
      return "another program changed it meanwhile: run again";
    case ERANGE:
      return "the lower threshold must not exceed the upper one";
    case EAFNOSUPPORT:
      return "this kernel's IPVS lacks IPv6 (kernel option CONFIG_IP_VS_IPV6)";
    default:
      return "";
  }
}

std::string sync_hint(const model::StartSync& start, const genl::Verdict& verdict) {
  switch (verdict.sys) {
    case EEXIST:
      return "another program started one meanwhile: run again";
    case ENODEV:
      return fmt::format("is there a device {} (ip link), and does it carry multicast?",
                         start.daemon.device);
    case EINVAL:
      return "sync does not go with destinations of another family than their service";
    case EADDRNOTAVAIL:
      return fmt::format("the device {} needs an address of the group's family, and must be up",
                         start.daemon.device);
    default:
      return "";
  }
}

std::string hint(const model::Action& action, const genl::Verdict& verdict) {
  if (verdict.sys == EPERM) return "needs the capability CAP_NET_ADMIN: run as root";
  return std::visit(
      Overloaded{[&](const model::AddService& a) { return service_hint(a.service, verdict); },
                 [&](const model::EditService& a) {
                   if (verdict.sys == ESRCH)
                     return std::string("another program removed it: run again");
                   return service_hint(a.to, verdict);
                 },
                 [&](const model::AddDestination& a) { return destination_hint(a.key, verdict); },
                 [&](const model::EditDestination& a) { return destination_hint(a.key, verdict); },
                 [&](const model::StartSync& a) { return sync_hint(a, verdict); },
                 [](const auto&) { return std::string(); }},
      action);
}

// Says what was carried out although an operation before it was refused.
void note_later(std::span<const model::Operation> batch, std::size_t first,
                const std::vector<bool>& refused, Outcome& out) {
  std::vector<std::string> carried_out;
  for (std::size_t i = first + 1; i < batch.size(); ++i)
    if (!refused[i]) carried_out.push_back(describe(batch[i].action));
  if (carried_out.empty()) return;
  const std::size_t shown = std::min<std::size_t>(carried_out.size(), 3);
  out.notes.push_back(fmt::format(
      "took effect all the same, sent before the refusal was known: {}{}",
      fmt::join(carried_out.begin(), carried_out.begin() + static_cast<std::ptrdiff_t>(shown),
                ", "),
      carried_out.size() > shown ? fmt::format(" and {} more", carried_out.size() - shown) : ""));
}

}  // namespace

std::size_t batch_length(std::span<const model::Operation> run) {
  const auto most = std::min(run.size(), genl::Socket::batch_max);
  std::size_t n = 1;
  while (n < most && (takes_away(run[n - 1].action) || !takes_away(run[n].action)))
    ++n;
  return std::min(n, most);
}

std::string describe(const model::Action& action) {
  const auto destination = [](std::string_view verb, std::string_view where,
                              const model::DestinationKey& key, const model::ServiceKey& service) {
    return fmt::format("{} destination {} {} {}", verb, key.text(), where, service.text());
  };
  return std::visit(
      Overloaded{
          [](const model::AddService& a) { return "add service " + a.key.text(); },
          [](const model::EditService& a) { return "edit service " + a.key.text(); },
          [](const model::RemoveService& a) { return "remove service " + a.key.text(); },
          [&](const model::AddDestination& a) {
            return destination("add", "to", a.key, a.service);
          },
          [&](const model::EditDestination& a) {
            return destination("edit", "of", a.key, a.service);
          },
          [&](const model::RemoveDestination& a) {
            return destination("remove", "from", a.key, a.service);
          },
          [](const model::SetIpvsTimeouts&) { return std::string("set the timeouts"); },
          [](const model::StartSync& a) {
            return fmt::format("start sync daemon {} dev {}", name(a.role), a.daemon.device);
          },
          [](const model::StopSync& a) { return fmt::format("stop sync daemon {}", name(a.role)); },
          [](const auto&) { return std::string("operation"); }},
      action);
}

Error explain(const model::Action& action, const genl::Verdict& verdict) {
  Error error = verdict.sys == EEXIST ? Error(Errc::conflict, describe(action), EEXIST)
                                      : Error::from_errno(verdict.sys, describe(action));
  return std::move(error).kernel_said(verdict.words).with_hint(hint(action, verdict));
}

Error explain_family(Error error) {
  if (error.sys() == ENOENT)
    return Error(Errc::unsupported, "this kernel has no IPVS (ip_vs)")
        .with_hint("modprobe ip_vs (kernel option CONFIG_IP_VS)");
  if (error.code() == Errc::permission)
    return std::move(error).with_hint("needs the capability CAP_NET_ADMIN: run as root");
  return error;
}

void settle(std::span<const model::Operation> batch, std::span<const genl::Failure> failures,
            Outcome& out) {
  std::vector<bool> refused(batch.size());
  std::optional<std::size_t> first;
  for (const genl::Failure& failure : failures) {
    if (failure.index >= batch.size()) continue;
    refused[failure.index] = true;
    const model::Action& action = batch[failure.index].action;
    if (already_gone(action, failure.verdict)) {
      out.notes.push_back(describe(action) + ": was already gone");
    } else if (!first) {
      first = failure.index;
      out.error = explain(action, failure.verdict);
    }
  }
  out.done += first.value_or(batch.size());
  if (first) note_later(batch, *first, refused, out);
}

}  // namespace lbctl::kernel::ipvs
