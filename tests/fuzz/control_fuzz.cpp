// Fuzzes what clients write to the daemon's control socket. What must hold for any line: one answer
// that is JSON on one line, and nothing is drained but what the file has.
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "control.hpp"

using namespace lbctl;
using namespace lbctl::daemon;

namespace {

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

constexpr const char* file = R"(
[directors.dir1]
address = ["192.0.2.10"]
interface = "eth0"
[servers.rs1]
address = ["192.0.2.11"]
interface = "eth0"
id = 1
[services.web]
vip = ["192.0.2.100"]
ports = [80]
protocols = ["tcp"]
check = {}
)";

/// A director that takes drains and has no kernel.
class OnlyDrains : public Node {
 public:
  config::Loaded read_file() override { return config::read_text(file, "lbctl.toml"); }
  Result<std::string> recognise(const config::Config&) override { return "dir1"; }
  Result<Round> reconcile(const config::Config&, const std::string&,
                          const model::Health&) override {
    return fail(Errc::invalid, "no kernel here");
  }
  Result<> drain(const std::string&, const model::DrainIntent& intent) override {
    require(intent.server == "rs1", "only servers of the file are drained");
    require(!intent.service || *intent.service == "web", "only in services of the file");
    drained = true;
    return {};
  }
  Result<bool> undrain(const std::string&, const std::string&,
                       const std::optional<std::string>&) override {
    return std::exchange(drained, false);
  }
  std::vector<std::string> folders() const override { return {}; }
  bool drained = false;
};

struct World {
  World()
      : state(*engine::StateDir::open(folder())),
        post(*engine::HealthPost::open(state)),
        keeper(node, post, teller) {
    require(keeper.load({}), "the file is right");
  }
  static std::string folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "lbctl-fuzz-XXXXXX").string();
    require(::mkdtemp(pattern.data()) != nullptr, "a folder of its own");
    return pattern;
  }
  OnlyDrains node;
  engine::StateDir state;
  engine::HealthPost post;
  Teller teller;
  Keeper keeper;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static World world;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  while (!text.empty()) {
    // As the socket cuts it: the line with its end, never longer.
    const std::string_view line = text.substr(0, std::min(text.find('\n') + 1, longest_request));
    const std::string_view one = line.empty() ? text.substr(0, longest_request) : line;
    text.remove_prefix(one.size());
    const Reply reply = reply_to(one, world.keeper);
    const std::string answer = reply.answer.dump(-1, ' ', false, Json::error_handler_t::replace);
    require(answer.find('\n') == std::string::npos, "the answer is one line");
    const Json again = Json::parse(answer, nullptr, false);
    require(again.is_object() && again.contains("schema_version"), "the answer is a document");
    require(!reply.reload || !reply.events, "a request asks for one thing");
  }
  return 0;
}
