#include "drop_in.hpp"

#include <fmt/format.h>

namespace lbctl::kernel::units {

using model::AskedBy;
using model::MptcpizedUnit;
using model::MptcpWay;

namespace {

std::string mark(MptcpWay way, AskedBy asked_by) {
  return fmt::format("# lbctl mptcpize: way={} asked-by={}", name(way),
                     asked_by == AskedBy::hand ? "hand" : "file");
}

std::string head(const std::string& unit, MptcpWay way, AskedBy asked_by) {
  return fmt::format(
      "{}\n# {} listens with MPTCP. Written and removed by lbctl: see mptcpize in lbctl(8).\n"
      "[Service]\n",
      mark(way, asked_by), unit);
}

/// One word in double quotes, as systemd.syntax(7) unquotes it.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

/// No specifier begins in it.
std::string literal(std::string_view text) {
  std::string out;
  for (const char c : text)
    c == '%' ? out += "%%" : out += c;
  return out;
}

}  // namespace

std::string preload_text(const std::string& unit, AskedBy asked_by, const std::string& preload,
                         const std::string& library) {
  const std::string all = (preload.empty() ? "" : preload + " ") + literal(library);
  return head(unit, MptcpWay::preload, asked_by) +
         fmt::format("Environment={}\n", quoted("LD_PRELOAD=" + all));
}

std::string bpf_text(const std::string& unit, AskedBy asked_by, const std::string& program) {
  // "-": the unit starts in any case; "+": as root, whatever User= says.
  return head(unit, MptcpWay::bpf, asked_by) + fmt::format("ExecStartPre={} mptcpize --enter {}\n",
                                                           quoted("-+" + literal(program)),
                                                           quoted(unit));
}

std::optional<MptcpizedUnit> parse_mark(std::string_view text) {
  const std::string_view first = text.substr(0, text.find('\n'));
  for (const MptcpWay way : {MptcpWay::preload, MptcpWay::bpf})
    for (const AskedBy asked_by : {AskedBy::file, AskedBy::hand})
      if (first == mark(way, asked_by)) return MptcpizedUnit{way, asked_by, true};
  return std::nullopt;
}

}  // namespace lbctl::kernel::units
