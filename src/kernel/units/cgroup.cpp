#include <fmt/format.h>
#include <sys/stat.h>

#include <fstream>
#include <sstream>

#include "socket_hook.hpp"

namespace lbctl::kernel::units {

namespace {

std::string slurp(const char* path) {
  std::ifstream file(path);
  std::ostringstream out;
  out << file.rdbuf();
  return std::move(out).str();
}

template <class EachLine>
void lines_of(std::string_view text, EachLine each) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    each(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
}

}  // namespace

std::string unit_cgroup(std::string_view proc_cgroup) {
  constexpr std::string_view unified = "0::", control = "/.control";
  std::string out;
  lines_of(proc_cgroup, [&](std::string_view line) {
    if (line.starts_with(unified)) out = line.substr(unified.size());
  });
  if (out.ends_with(control)) out.resize(out.size() - control.size());
  return out;
}

std::string cgroup2_mount(std::string_view mountinfo) {
  std::string out;
  lines_of(mountinfo, [&](std::string_view line) {
    // proc_pid_mountinfo(5): the fifth field is the mount point; the type stands behind " - ".
    if (!out.empty() || line.find(" - cgroup2 ") == std::string_view::npos) return;
    for (int field = 0; field < 4; ++field)
      line.remove_prefix(line.find(' ') + 1);
    out = line.substr(0, line.find(' '));
  });
  return out;
}

Result<std::uint64_t> own_unit_cgroup() {
  const std::string mount = cgroup2_mount(slurp("/proc/self/mountinfo"));
  const std::string cgroup = unit_cgroup(slurp("/proc/self/cgroup"));
  if (mount.empty() || cgroup.empty())
    return fail(Error(Errc::unsupported, "no unified cgroup hierarchy (cgroup2) is mounted")
                    .with_hint("lbctl mptcpize --way preload"));
  struct stat info{};
  const std::string path = mount + cgroup;
  if (::stat(path.c_str(), &info) != 0) return fail_errno("look at " + path);
  return info.st_ino;  // of kernfs: the cgroup's id, where inode numbers have 64 bits
}

}  // namespace lbctl::kernel::units
