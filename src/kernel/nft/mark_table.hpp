// What `table inet lbctl` consists of. rules/director-marks.nft is the same for people, with the
// reasons.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "lbctl/model/nft.hpp"
#include "table.hpp"

namespace lbctl::kernel::nft {

/// Which map of the table that key belongs in: "mark_tcp4".
const SetShape& mark_set(model::Family family, model::L4 protocol);
std::span<const SetShape> mark_sets();

Octets mark_key(const model::MarkKey& key);
Octets mark_value(std::uint32_t mark);

/// Elements of every map, by its name.
std::map<std::string, Elements> mark_elements(const model::Marks& marks);
/// False if an element does not fit the model.
bool read_marks(const std::map<std::string, Elements>& elements, model::Marks& out);

/// The table without elements.
TableObjects make_mark_table();

}  // namespace lbctl::kernel::nft
