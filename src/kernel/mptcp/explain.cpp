#include <fmt/format.h>

#include <algorithm>

#include "codec.hpp"

namespace lbctl::kernel::mptcp {

namespace {

std::string endpoint_hint(const model::EndpointKey& key, int sys) {
  switch (sys) {
    case EEXIST:
      return fmt::format(
          "there is an endpoint for {} already (ip mptcp endpoint); lbctl does not take over what "
          "it did not make",
          key.address.text());
    case ERANGE:
      return fmt::format(
          "the kernel holds at most {} endpoints per network namespace: ip mptcp endpoint lists "
          "them",
          model::max_mptcp_endpoints);
    case EADDRNOTAVAIL:
      return fmt::format(
          "with a port the kernel listens on {}, so the address must stand on a device first (an "
          "IPv6 address also must have passed duplicate address detection)",
          key.address.text());
    case EADDRINUSE:
      return fmt::format("a program listens on port {} already, maybe on all addresses",
                         number(key.port));
    default:
      return "";
  }
}

}  // namespace

std::string describe(const model::Action& action) {
  if (const auto* add = std::get_if<model::AddEndpoint>(&action))
    return fmt::format("add endpoint {} {}", add->key.text(), add->endpoint.text());
  if (const auto* remove = std::get_if<model::RemoveEndpoint>(&action))
    return "remove endpoint " + remove->key.text();
  if (const auto* set = std::get_if<model::SetEndpoint>(&action))
    return fmt::format("change endpoint {} to {}", set->key.text(), set->to.text());
  if (const auto* set = std::get_if<model::SetMptcpLimits>(&action))
    return fmt::format("set MPTCP limits: subflows {}, add_addr_accepted {}", set->to.subflows,
                       set->to.add_addr_accepted);
  return "operation";
}

genl::Verdict refine(const model::EndpointKey& refused, genl::Verdict verdict,
                     std::span<const EndpointEntry> present) {
  if (verdict.sys != EINVAL) return verdict;
  if (std::ranges::any_of(present, [&](const EndpointEntry& entry) {
        return !entry.implicit && entry.key == refused;
      }))
    verdict.sys = EEXIST;
  else if (present.size() >= model::max_mptcp_endpoints)
    verdict.sys = ERANGE;
  return verdict;
}

Error explain(const model::Action& action, const genl::Verdict& verdict) {
  Error error = verdict.sys == EEXIST ? Error(Errc::conflict, describe(action), EEXIST)
                                      : Error::from_errno(verdict.sys, describe(action));
  std::string hint;
  if (verdict.sys == EPERM)
    hint = "needs the capability CAP_NET_ADMIN: run as root";
  else if (const auto* add = std::get_if<model::AddEndpoint>(&action))
    hint = endpoint_hint(add->key, verdict.sys);
  return std::move(error).kernel_said(verdict.words).with_hint(std::move(hint));
}

Error explain_family(Error error) {
  if (error.sys() == ENOENT)
    return Error(Errc::unsupported, "this kernel has no MPTCP path manager")
        .with_hint("boot a kernel with the option CONFIG_MPTCP (Linux 5.6 or newer)");
  return error;
}

}  // namespace lbctl::kernel::mptcp
