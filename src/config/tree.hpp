// The tree of a file, put together from what the scanner found; the values are read elsewhere, each
// once however often it stands in the file (decision 0009). Here alone it is judged what TOML lets
// a file define twice, or add to later.
#pragma once

#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "node.hpp"
#include "scan.hpp"

namespace lbctl::config {

/// Every text that stands for a value: scalars, and key parts in quotes; each once, in the order of
/// the file.
std::vector<std::string_view> scalar_texts(const File& file, const Scan& scan);

/// What was read, by its text; the places are not those of the file.
using Scalars = std::unordered_map<std::string_view, Node>;

/// The top-level table. Nothing, and an error in `report`, if something is defined twice. `scalars`
/// has all of scalar_texts().
std::optional<Node> build_tree(const File& file, const Scan& scan, const Scalars& scalars,
                               Report& report);

}  // namespace lbctl::config
