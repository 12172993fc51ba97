// Several files as one, and the defaults of [defaults.KIND] in the tables of that kind.
#pragma once

#include <vector>

#include "node.hpp"

namespace lbctl::config {

/// Tables add up key by key; a key that stands in two files, or a table with a name of its own, is
/// an error at the second. In the order of the files.
Node merge(std::vector<Node> files, Report& report);

/// Every director, server and service gets the members that it lacks. To be called when the shape
/// of the file is known: what is of a wrong kind is left alone.
void fill_defaults(Node& root);

}  // namespace lbctl::config
