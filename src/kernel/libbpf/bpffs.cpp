#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include "lbctl/kernel/xdp.hpp"

namespace lbctl::kernel {

namespace {

bool is_bpffs(const std::string& path) {
  struct statfs info{};
  return statfs(path.c_str(), &info) == 0 &&
         static_cast<unsigned long>(info.f_type) == BPF_FS_MAGIC;
}

}  // namespace

Result<std::string> find_bpffs(const std::string& state_dir) {
  const std::string own = state_dir + "/bpf";
  for (const std::string& path : {own, std::string("/sys/fs/bpf")})
    if (is_bpffs(path)) return path;
  return fail(Error(Errc::unsupported,
                    fmt::format("no BPF file system: neither {} nor /sys/fs/bpf is one", own))
                  .with_hint(fmt::format("mkdir -p {0} && mount -t bpf bpf {0}", own)));
}

}  // namespace lbctl::kernel
