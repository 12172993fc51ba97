#include "toml_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>
#include <toml.hpp>

#include "key_index.hpp"
#include "scan.hpp"
#include "tree.hpp"

namespace lbctl::config {
namespace {

/// toml11 knows where each value starts but computes its line by counting from the start of the
/// file every time; the region below location() gives the offset at once.
Span span_of(const toml::value& value) {
  const auto* region = dynamic_cast<const toml::detail::region*>(toml::detail::get_region(value));
  if (!region) return {};
  return {static_cast<std::size_t>(region->first() - region->begin()), region->size()};
}

class Converter {
 public:
  explicit Converter(const KeyIndex& index) : index_(index) {}

  /// `depth`: how many keys lead from the top level to `value`.
  Node convert(const toml::value& value, std::size_t depth) const {
    Node out;
    out.at = span_of(value);
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
      case toml::value_t::array:
        out.kind = Node::Kind::list;
        for (const toml::value& item : value.as_array())
          out.items.push_back(convert(item, depth));
        break;
      case toml::value_t::table:
        out.kind = Node::Kind::table;
        out.members = members(value.as_table(), depth);
        break;
      default:
        out.kind = Node::Kind::date;
        break;
    }
    return out;
  }

 private:
  std::vector<Member> members(const toml::table& table, std::size_t depth) const {
    std::vector<Member> out;
    for (const auto& [key, value] : table) {
      Node node = convert(value, depth + 1);
      const Span at = key_span(node.at, depth);
      out.push_back({key, at, std::move(node)});
    }
    std::ranges::sort(out, {}, [](const Member& member) { return member.key_at.offset; });
    return out;
  }

  /// The part of the key that stands `depth` tables deep, of the key whose value (or which itself,
  /// for a table that a dotted key or a header makes) is at `value`.
  Span key_span(Span value, std::size_t depth) const {
    const auto found = index_.keys.find(value.offset);
    if (found == index_.keys.end()) return value;
    const KeyPath& path = found->second;
    if (depth < path.depth || depth - path.depth >= path.parts.size()) return value;
    return path.parts[depth - path.depth];
  }

  const KeyIndex& index_;
};

/// Comments say nothing to toml11, but it walks over them again and again.
std::string without_comments(const File& file, const Scan& scan) {
  std::string out(file.text());
  for (const Span& comment : scan.comments) {
    std::fill_n(out.begin() + static_cast<std::ptrdiff_t>(comment.offset), comment.length, ' ');
  }
  return out;
}

/// What the scanner let pass and toml11 did not: mostly a key that is defined twice.
void report_refusal(const toml::exception& exception, const File& file, const KeyIndex& index,
                    Report& report) {
  const auto& location = exception.location();
  const std::size_t offset = file.start_of_line(location.line()) + location.column() - 1;
  const bool twice = std::string_view(exception.what()).contains("already exists");
  const auto key = index.keys.find(offset);
  if (!twice || key == index.keys.end()) {
    const Span at{offset, std::max<std::size_t>(1, location.region())};
    return report.error(file.in_all(at), "this is not valid TOML");
  }
  const Span at = key->second.parts.back();
  const auto first = index.first_use.find(key->second.full);
  report.error(file.in_all(at), fmt::format("{} is defined twice", file.text(at)),
               first != index.first_use.end() && first->second.offset < at.offset
                   ? fmt::format("first on {}", report.place(file.in_all(first->second)))
                   : "");
}

/// What toml11 makes of each text as a value; nothing if it stumbles over one.
std::optional<Scalars> read_scalars(const std::vector<std::string_view>& texts) {
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
    const KeyIndex nothing;
    const Converter converter(nothing);
    Scalars out;
    for (std::size_t i = 0; i < texts.size(); ++i)
      out.emplace(texts[i], converter.convert(values[i], 0));
    return out;
  } catch (const std::exception&) {
    return std::nullopt;  // reading the whole text says where
  }
}

std::optional<Node> read_plain(const File& file, const Scan& scan) {
  if (!is_plain(scan)) return std::nullopt;
  const auto scalars = read_scalars(scalar_texts(file, scan));
  if (!scalars) return std::nullopt;
  return build_tree(file, scan, *scalars);
}

std::optional<Node> read_whole(const File& file, const Scan& scan, Report& report) {
  const KeyIndex index = index_keys(file, scan);
  std::istringstream stream(without_comments(file, scan));
  try {
    return Converter(index).convert(toml::parse(stream, file.name()), 0);
  } catch (const toml::exception& exception) {
    report_refusal(exception, file, index, report);
  } catch (const std::exception& exception) {
    report.error(file.in_all({0, 1}),
                 fmt::format("the file can't be read as TOML: {}", exception.what()));
  }
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

std::optional<Node> read_toml(const File& file, Report& report, Way way) {
  const auto scanned = scan(file);
  if (!scanned) {
    report.error(file.in_all(scanned.error().at), scanned.error().message, scanned.error().hint);
    return std::nullopt;
  }
  std::optional<Node> tree;
  if (way == Way::fast) tree = read_plain(file, *scanned);
  if (!tree) tree = read_whole(file, *scanned, report);
  if (tree && file.base() != 0) move_places(*tree, file.base());
  return tree;
}

}  // namespace lbctl::config
