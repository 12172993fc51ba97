// Parts of the text that nft(8) takes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lbctl/model/operation.hpp"

namespace lbctl::plan {

/// A set or map as it stands in a table: what, name, type and flags, elements.
std::string set_text(const char* what, const std::string& name, std::string_view type,
                     const std::vector<std::string>& elements);

inline constexpr const char* marks_table = "inet lbctl";
/// `whole`: what it holds once made.
void create_marks(const model::CreateMarks& action, const model::Marks& whole,
                  std::vector<std::string>& out);
void set_mark(const model::SetMark& action, std::vector<std::string>& out);
void remove_mark(const model::RemoveMark& action, std::vector<std::string>& out);

}  // namespace lbctl::plan
