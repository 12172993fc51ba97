// Keys of encrypted connection IDs, one in a file.
#pragma once

#include <string>

#include "lbctl/base/result.hpp"
#include "lbctl/model/cid.hpp"

namespace lbctl::engine {

/// 32 hexadecimal digits and nothing else but white space around them. A file that everybody may
/// read or write is refused (Errc::permission), and so is one of somebody else's than root and the
/// caller. What was read is wiped but for the key.
Result<model::CidKey> read_key_file(const std::string& path);

}  // namespace lbctl::engine
