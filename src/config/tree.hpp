// The tree of a file that uses TOML in the plain way, put together from what the scanner found.
// toml11 reads each value once however often it stands in the file, and it alone judges every file
// that is not plain (decision 0009).
#pragma once

#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "node.hpp"
#include "scan.hpp"

namespace lbctl::config {

/// No key with dots outside a [header], and no [[array of tables]].
bool is_plain(const Scan& scan);

/// Every text that has to be read by toml11: scalars, and key parts in quotes; each once, in the
/// order of the file.
std::vector<std::string_view> scalar_texts(const File& file, const Scan& scan);

/// What toml11 read, by its text; the places are not those of the file.
using Scalars = std::unordered_map<std::string_view, Node>;

/// Only for a plain scan. Nothing if a key may stand twice, or if a table gets its own [header]
/// after another has named it: toml11 knows what of that is allowed.
std::optional<Node> build_tree(const File& file, const Scan& scan, const Scalars& scalars);

}  // namespace lbctl::config
