#include "toml_reader.hpp"

#include <algorithm>
#include <span>
#include <sstream>
#include <toml.hpp>

#include "scan.hpp"
#include "tree.hpp"

namespace lbctl::config {
namespace {

/// One value that is neither list nor table, without its place.
Node convert(const toml::value& value) {
  Node out;
  switch (value.type()) {
    case toml::value_t::string:
      out.kind = Node::Kind::text;
      out.text = value.as_string().str;
      break;
    case toml::value_t::integer:
      out.kind = Node::Kind::integer;
      out.integer = value.as_integer();
      break;
    case toml::value_t::boolean:
      out.kind = Node::Kind::boolean;
      out.boolean = value.as_boolean();
      break;
    case toml::value_t::floating:
      out.kind = Node::Kind::floating;
      break;
    default:
      out.kind = Node::Kind::date;
      break;
  }
  return out;
}

/// What toml11 makes of each text as a value; nothing if it stumbles over one.
std::optional<Scalars> read_together(std::span<const std::string_view> texts) {
  std::string list = "v = [\n";
  for (const std::string_view text : texts) {
    list += text;
    list += ",\n";
  }
  list += "]\n";
  std::istringstream stream(std::move(list));
  try {
    const toml::value root = toml::parse(stream, "values");
    const toml::array& values = root.at("v").as_array();
    if (values.size() != texts.size()) return std::nullopt;
    Scalars out;
    for (std::size_t i = 0; i < texts.size(); ++i)
      out.emplace(texts[i], convert(values[i]));
    return out;
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

/// All values in one go, which costs least. The scanner has judged them all, so that toml11 takes
/// them is not in doubt; if it ever does not, one by one tells which it was.
std::optional<Scalars> read_scalars(const File& file, const Scan& scan, Report& report) {
  const std::vector<std::string_view> texts = scalar_texts(file, scan);
  auto scalars = read_together(texts);
  if (scalars) return scalars;
  const auto wrong = std::ranges::find_if(
      texts, [](const std::string_view& text) { return !read_together({&text, 1}); });
  const std::string_view text = wrong == texts.end() ? texts.front() : *wrong;
  const Span at{static_cast<std::size_t>(text.data() - file.text().data()), text.size()};
  report.error(file.in_all(at), "this is not a value that TOML knows");
  return std::nullopt;
}

/// From places in one file to places in all of them.
void move_places(Node& node, std::size_t by) {
  node.at.offset += by;
  for (Node& item : node.items)
    move_places(item, by);
  for (Member& member : node.members) {
    member.key_at.offset += by;
    move_places(member.value, by);
  }
}

}  // namespace

std::string_view name(Node::Kind kind) {
  switch (kind) {
    case Node::Kind::text:
      return "a text";
    case Node::Kind::integer:
      return "a whole number";
    case Node::Kind::boolean:
      return "true or false";
    case Node::Kind::floating:
      return "a number with a fraction";
    case Node::Kind::date:
      return "a date or time";
    case Node::Kind::list:
      return "a list";
    case Node::Kind::table:
      return "a table";
  }
  return "unknown";
}

const Member* Node::find(std::string_view key) const {
  const auto found = std::ranges::find(members, key, &Member::key);
  return found == members.end() ? nullptr : &*found;
}

std::optional<Node> read_toml(const File& file, Report& report) {
  const auto scanned = scan(file);
  if (!scanned) {
    report.error(file.in_all(scanned.error().at), scanned.error().message, scanned.error().hint);
    return std::nullopt;
  }
  const auto scalars = read_scalars(file, *scanned, report);
  if (!scalars) return std::nullopt;
  auto tree = build_tree(file, *scanned, *scalars, report);
  if (tree && file.base() != 0) move_places(*tree, file.base());
  return tree;
}

}  // namespace lbctl::config
