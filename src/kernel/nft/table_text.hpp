// A table in canonical words, so that what stands in the kernel and what lbctl would make can be
// compared to the letter. Handles, counter values and generations have no place in it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lbctl/base/result.hpp"
#include "table.hpp"

namespace lbctl::kernel::nft {

struct TableText {
  std::string head;                                       ///< flags, number of objects inside
  std::map<std::string, std::string> chains;              ///< by name: hook, priority, policy
  std::map<std::string, std::set<std::string>> devices;   ///< by base chain
  std::map<std::string, std::vector<std::string>> rules;  ///< by chain, in order
  std::map<std::string, std::string> sets;                ///< by name: key, data, flags
  std::map<std::string, Elements> elements;               ///< by set
  std::set<std::string> filled_by_packets;                ///< sets whose elements do not count
  friend bool operator==(const TableText&, const TableText&) = default;

  void set_head(std::uint32_t flags, std::uint32_t objects);
  void add_chain(const nftnl_chain& chain);
  void add_rule(const nftnl_rule& rule);
  void add_set(const nftnl_set& set);
  void add_elements(const nftnl_set& set);
  /// Readable, one thing a line: what tests and debugging look at.
  std::string text() const;
};

/// What the rule's counter stands at; 0 if it has none.
std::uint64_t packets_counted(const nftnl_rule& rule);
/// What the elements' counters stand at, by key.
std::map<Octets, std::uint64_t> packets_counted(const nftnl_set& set);

/// The interface index that the first `fwd` of the rule sends to.
std::optional<std::uint32_t> forward_device(const nftnl_rule& rule);

/// What lbctl makes of these objects, with these elements in its sets.
TableText make_text(const TableObjects& made, std::map<std::string, Elements> elements);

}  // namespace lbctl::kernel::nft
