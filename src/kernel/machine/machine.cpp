#include "lbctl/kernel/machine.hpp"

#include <sys/timex.h>
#include <sys/utsname.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "text.hpp"

namespace lbctl::kernel {
namespace {

namespace fs = std::filesystem;

std::optional<std::string> whole(const fs::path& path) {
  std::ifstream file(path);
  if (!file) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

void read_modules(model::MachineFacts& out) {
  machine::add_loaded_modules(whole("/proc/modules").value_or(""), out.modules);
  const fs::path folder = fs::path("/lib/modules") / out.release;
  for (const auto* name : {"modules.dep", "modules.builtin"})
    if (const auto text = whole(folder / name)) {
      machine::add_module_files(*text, out.modules);
      out.modules_known = true;
    }
}

/// Their rules are not nftables' and can't be read by its means; these files name what there is.
void read_legacy_tables(model::MachineFacts& out) {
  for (const auto& [family, path] : {std::pair(model::Family::v4, "/proc/net/ip_tables_names"),
                                     {model::Family::v6, "/proc/net/ip6_tables_names"}}) {
    std::ifstream file(path);
    for (std::string name; std::getline(file, name);)
      out.legacy_tables[family].insert(name);
  }
}

/// Programs that add endpoints by themselves.
std::set<std::string> running_path_managers() {
  constexpr std::array<std::string_view, 2> known{"mptcpd", "NetworkManager"};
  std::set<std::string> out;
  std::error_code error;
  fs::directory_iterator it("/proc", error);
  for (; !error && it != fs::directory_iterator(); it.increment(error)) {
    std::ifstream file(it->path() / "comm");
    std::string name;
    if (!std::getline(file, name)) continue;
    for (const std::string_view one : known)
      if (name == one) out.insert(name);
  }
  return out;
}

}  // namespace

model::MachineFacts read_machine() {
  model::MachineFacts out;
  utsname names{};
  if (::uname(&names) == 0) out.release = names.release;
  out.capabilities = machine::capabilities(whole("/proc/self/status").value_or(""));
  timex clock{};  // modes 0: only reads
  const int state = ::adjtimex(&clock);
  if (state >= 0) out.clock_in_sync = state != TIME_ERROR && (clock.status & STA_UNSYNC) == 0;
  read_modules(out);
  read_legacy_tables(out);
  out.path_managers = running_path_managers();
  return out;
}

}  // namespace lbctl::kernel
