// What `table inet lbctl` consists of. rules/director-marks.nft is the same for people, with the
// reasons.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "lbctl/model/nft.hpp"
#include "table.hpp"

namespace lbctl::kernel::nft {

std::span<const SetShape> mark_sets();

/// Elements of the table's sets, by their names: "mark_tcp4", "untracked_tcp4".
std::map<std::string, Elements> mark_elements(const model::MarkKey& key, const model::Mark& mark);
std::map<std::string, Elements> mark_elements(const model::Marks& marks);
/// False if an element does not fit the model.
bool read_marks(const std::map<std::string, Elements>& elements, model::Marks& out);

/// The table without elements.
TableObjects make_mark_table(model::MarkChains chains);

}  // namespace lbctl::kernel::nft
