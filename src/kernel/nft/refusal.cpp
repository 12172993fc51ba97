#include "refusal.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <variant>

namespace lbctl::kernel::nft {
namespace {

std::string step(const model::Action& action) {
  if (std::holds_alternative<model::CreateForward>(action)) return "nft: create the forward";
  if (std::holds_alternative<model::RemoveForward>(action)) return "nft: remove the forward";
  if (const auto* set = std::get_if<model::SetSignal>(&action))
    return fmt::format("nft: set signal address {} -> {}", set->signal.text(),
                       set->to.server ? set->to.server->text() : "nowhere");
  if (const auto* remove = std::get_if<model::RemoveSignal>(&action))
    return fmt::format("nft: remove signal address {}", remove->signal.text());
  if (std::holds_alternative<model::CreateMarks>(action)) return "nft: create the marks";
  if (std::holds_alternative<model::RemoveMarks>(action)) return "nft: remove the marks";
  if (const auto* set = std::get_if<model::SetMark>(&action))
    return fmt::format("nft: set mark {} for {}", set->to.text(), set->key.text());
  if (const auto* remove = std::get_if<model::RemoveMark>(&action))
    return fmt::format("nft: remove the mark for {}", remove->key.text());
  return "nft";
}

bool absent(int sys) {
  return sys == ENOENT || sys == EOPNOTSUPP || sys == EAFNOSUPPORT || sys == EPROTONOSUPPORT;
}

}  // namespace

Error refusal(const netlink::Verdict& verdict, const Batch::Note& note,
              const model::Action& action) {
  const std::string what = fmt::format("{}: {}", step(action), note.object);
  const bool creates = std::holds_alternative<model::CreateForward>(action);
  // The devices and sets that a new table names are there, so that "no such" means the feature.
  if (creates && note.carries == Batch::Carries::chain && absent(verdict.sys))
    return Error(Errc::unsupported, what, verdict.sys)
        .kernel_said(verdict.words)
        .with_hint("kernel option CONFIG_NF_TABLES_NETDEV is needed, and the devices must exist");
  if (creates && note.carries == Batch::Carries::rule && absent(verdict.sys))
    return Error(Errc::unsupported, what, verdict.sys)
        .kernel_said(verdict.words)
        .with_hint("modprobe nft_fwd_netdev (kernel option CONFIG_NFT_FWD_NETDEV)");
  const auto* marks = std::get_if<model::CreateMarks>(&action);
  if (marks != nullptr && marks->chains.untracking && note.carries == Batch::Carries::rule &&
      absent(verdict.sys))
    return Error(Errc::unsupported, what, verdict.sys)
        .kernel_said(verdict.words)
        .with_hint("modprobe nft_ct (kernel option CONFIG_NFT_CT)");
  if (marks != nullptr && absent(verdict.sys))
    return Error(Errc::unsupported, what, verdict.sys)
        .kernel_said(verdict.words)
        .with_hint("modprobe nf_tables (kernel options CONFIG_NF_TABLES, CONFIG_NF_TABLES_INET)");
  if (verdict.sys == EEXIST || verdict.sys == ENOTEMPTY)
    return Error(Errc::conflict, what, verdict.sys)
        .kernel_said(verdict.words)
        .with_hint("the table changed since it was read: run lbctl again");
  Error error = Error::from_errno(verdict.sys, what).kernel_said(verdict.words);
  if (verdict.sys == EPERM) return std::move(error).with_hint("run as root (CAP_NET_ADMIN)");
  if (verdict.sys == ENOENT)
    return std::move(error).with_hint("the table changed since it was read: run lbctl again");
  return error;
}

}  // namespace lbctl::kernel::nft
