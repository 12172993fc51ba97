#include "lbctl/config/json_schema.hpp"

#include <nlohmann/json.hpp>

#include "levels.hpp"

namespace lbctl::config {
namespace {

using Json = nlohmann::ordered_json;

std::string_view name(Shape shape) {
  switch (shape) {
    case Shape::table:
      return "table";
    case Shape::text:
      return "text";
    case Shape::texts:
      return "texts";
    case Shape::whole:
      return "whole";
    case Shape::wholes:
      return "wholes";
    case Shape::ports:
      return "ports";
    case Shape::boolean:
      return "boolean";
    case Shape::duration:
      return "duration";
    case Shape::rate:
      return "rate";
    case Shape::texts_or_weights:
      return "texts_or_weights";
    case Shape::whole_or_table:
      return "whole_or_table";
    case Shape::whole_or_hex:
      return "whole_or_hex";
    case Shape::table_or_tables:
      return "table_or_tables";
  }
  return "unknown";
}

Json words(std::string_view all) {
  Json out = Json::array();
  while (!all.empty()) {
    const std::size_t end = all.find(' ');
    out.push_back(all.substr(0, end));
    all.remove_prefix(end == std::string_view::npos ? all.size() : end + 1);
  }
  return out;
}

Json text(const KeySpec& spec) {
  Json out{{"type", "string"}};
  if (!spec.words.empty()) out["enum"] = words(spec.words);
  return out;
}

Json whole(const KeySpec& spec) {
  Json out{{"type", "integer"}};
  if (!spec.range.empty()) {
    out["minimum"] = spec.range.least;
    out["maximum"] = spec.range.most;
  }
  return out;
}

Json list(Json items) {
  return {{"type", "array"}, {"minItems", 1}, {"items", std::move(items)}};
}

/// `shared`: the table is one that [defaults.KIND] fills in, so that only what is its own must be
/// there; `as_default`: it is [defaults.KIND] itself.
struct Place {
  bool shared = false;
  bool as_default = false;
};

Json table(std::string_view pattern, Place place);

Json value(const KeySpec& spec, Place place) {
  switch (spec.shape) {
    case Shape::table:
      return table(spec.pattern, place);
    case Shape::text:
      return text(spec);
    case Shape::texts:
      return list(text(spec));
    case Shape::whole:
      return whole(spec);
    case Shape::wholes:
      return list(whole(spec));
    case Shape::ports: {
      Json range{{"type", "string"}, {"pattern", "^[0-9]+-[0-9]+$"}};
      Json all{{"const", "all"}};
      return {{"oneOf", {list({{"oneOf", {whole(spec), std::move(range)}}}), std::move(all)}}};
    }
    case Shape::boolean:
      return {{"type", "boolean"}};
    case Shape::duration:
      return {{"type", "string"}, {"pattern", "^[0-9]+(ms|s|m|h|d)$"}};
    case Shape::rate:
      return {{"type", "string"}, {"pattern", "^[0-9]+/(second|minute|hour)$"}};
    case Shape::texts_or_weights: {
      Json weights = table(spec.pattern, place);
      weights["minProperties"] = 1;
      return {{"oneOf", {list(text(spec)), std::move(weights)}}};
    }
    case Shape::whole_or_table:
      return {{"oneOf", {whole(spec), table(spec.pattern, place)}}};
    case Shape::whole_or_hex: {
      Json hex{{"type", "string"}, {"pattern", "^0x[0-9A-Fa-f]{1,30}$"}};
      return {{"oneOf", {whole(spec), std::move(hex)}}};
    }
    case Shape::table_or_tables:
      return {{"oneOf", {table(spec.pattern, place), list(table(spec.pattern, {}))}}};
  }
  return Json::object();
}

/// What the schema table says beyond JSON Schema's words.
Json further(const KeySpec& spec) {
  Json out{{"shape", name(spec.shape)}};
  if (spec.required) out["required"] = true;
  if (!spec.range.empty()) out["range"] = {spec.range.least, spec.range.most};
  if (!spec.words.empty()) out["words"] = words(spec.words);
  if (!spec.fallback.empty()) out["fallback"] = spec.fallback;
  if (!spec.kernel.empty()) out["kernel"] = spec.kernel;
  return out;
}

Json key(const KeySpec& spec, Place place) {
  if (spec.pattern.ends_with(".*")) place.shared = defaults_of(spec.pattern) != nullptr;
  Json out{{"description", spec.about}};
  out.update(value(spec, place));
  const Json fallback = Json::parse(spec.fallback, nullptr, false);
  if (!fallback.is_discarded()) out["default"] = fallback;
  out["x-lbctl"] = further(spec);
  return out;
}

Json table(std::string_view pattern, Place place) {
  Json out{{"type", "object"}};
  const DefaultsKind* kind = defaults_kind(pattern);
  if (kind) place.as_default = true;
  const Level* level = level_below(kind ? kind->tables : pattern);
  if (!level) return out;
  if (level->any) {
    if (!defaults_of(level->any->pattern)) {
      out["additionalProperties"] = key(*level->any, place);
      return out;
    }
    // Names of nodes and services, as check_name() wants them.
    out["patternProperties"]["^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$"] = key(*level->any, place);
    out["additionalProperties"] = false;
    return out;
  }
  Json required = Json::array();
  out["properties"] = Json::object();
  out["additionalProperties"] = false;
  for (const auto& [name, spec] : level->keys) {
    if (kind && spec->own) continue;
    out["properties"][std::string(name)] = key(*spec, place);
    const bool elsewhere = place.as_default || (place.shared && !spec->own);
    if (spec->required && !elsewhere) required.push_back(name);
  }
  if (!required.empty()) out["required"] = std::move(required);
  return out;
}

}  // namespace

std::string json_schema() {
  Json out{{"$schema", "https://json-schema.org/draft/2020-12/schema"},
           {"title", "lbctl.toml"},
           {"description", "The cluster of lbctl(8); see lbctl.toml(5)"}};
  out.update(table("", {}));
  return out.dump(2);
}

}  // namespace lbctl::config
