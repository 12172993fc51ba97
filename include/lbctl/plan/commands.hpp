// A plan as command lines of the usual tools: ipvsadm, nft, ip, sysctl.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "lbctl/model/operation.hpp"

namespace lbctl::plan {

/// What a root shell (`sh -eu`) runs to do the same, in the same order. An entry is a command,
/// which takes several lines if it holds a here-document, or a comment line that begins with '#'.
/// Joined by newlines they are the script. Empty for an empty plan. XDP operations come out as
/// comments: no tool has lbctl's program and the layout of its tables.
std::vector<std::string> commands(std::span<const model::Operation> operations);

/// The statements that `nft -f` takes for a run of nft operations: together one transaction.
/// A table is written as rules/director-forward.nft has it, with the addresses that follow it.
std::vector<std::string> nft_statements(std::span<const model::Operation> run);

}  // namespace lbctl::plan
