#include "output.hpp"

#include <fmt/format.h>

#include <cstdio>

namespace lbctl::cli {

Json document(std::string_view command) {
  Json out;
  out["schema_version"] = 1;
  out["command"] = command;
  return out;
}

void print(const Json& json) {
  // Octets that are not UTF-8 (a file name, a source line) become U+FFFD instead of an exception.
  fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
}

Json to_json(const Error& error) {
  Json out;
  out["message"] = error.text();
  if (error.sys() != 0) out["errno"] = error.sys();
  if (!error.hint().empty()) out["hint"] = error.hint();
  return out;
}

Json to_json(const config::Diagnostic& diagnostic) {
  Json out;
  out["severity"] =
      diagnostic.severity == config::Diagnostic::Severity::error ? "error" : "warning";
  out["file"] = diagnostic.file;
  out["line"] = diagnostic.line;
  out["column"] = diagnostic.column;
  out["message"] = diagnostic.message;
  if (!diagnostic.hint.empty()) out["hint"] = diagnostic.hint;
  return out;
}

void complain(const Error& error) {
  fmt::print(stderr, "lbctl: error: {}\n", error.text());
  if (!error.hint().empty()) fmt::print(stderr, "lbctl: hint: {}\n", error.hint());
}

void warn(std::string_view text) {
  fmt::print(stderr, "lbctl: warning: {}\n", text);
}

std::string title(const config::Desired& desired) {
  return fmt::format("{} ({})", desired.node, name(desired.role));
}

std::string count(std::size_t n, std::string_view what) {
  return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s");
}

Exit give_up(const Options& options, std::string_view command, const Error& error) {
  if (options.json) {
    Json json = document(command);
    json["result"] = "error";
    json["error"] = to_json(error);
    print(json);
  } else {
    complain(error);
  }
  return Exit::failed;
}

}  // namespace lbctl::cli
