// The XDP backend's life on a real device: attach, survive, replace, detach, leave nothing.
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <random>

#include "attachments.hpp"
#include "program.hpp"
#include "xdp_node.hpp"

namespace lbctl::tests {

namespace {

/// What an older lbctl would have attached to the same tables. Its program's id.
std::uint32_t replace_by_older(const std::string& pins) {
  auto program = kernel::xdp::load_program(*kernel::xdp::open_pinned_maps(pins));
  REQUIRE(program);
  REQUIRE(kernel::xdp::pin_program(*program, "older", pins));
  auto attachments = kernel::xdp::read_attachments(pins);
  REQUIRE(attachments);
  REQUIRE(attachments->size() == 1);
  REQUIRE(kernel::xdp::replace(attachments->front(), program->fd));
  return kernel::xdp::read_attachments(pins)->front().program;
}

}  // namespace

TEST_CASE("operations in another process; what they made survives it and reads back the same") {
  Node node;
  CHECK(observe(*node.backend) == XdpState{});
  if (const pid_t child = fork(); child == 0) {
    const auto outcome = execute(*node.backend, set_up());
    _exit(outcome.error ? 1 : 0);
  } else {
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(status == 0);
  }
  CHECK(observe(*kernel::open_xdp({node.pins})) == as_set_up());
  CHECK(run("ip -d link show eth0").find("xdpgeneric") != std::string::npos);
}

TEST_CASE("frames for another server come back to the wire with its MAC address; ours go in") {
  Node node;
  carry_out(*node.backend, set_up());
  const Tap stack("eth0");
  const Inside outside(node.outside);
  const Tap wire("wire");
  for (const bool v6 : {false, true}) {
    Frame frame;
    if (v6) {
      frame.source = ip("2001:db8:7::7");
      frame.destination = ip("2001:db8:100::100");
    }
    frame.payload = short_packet(hex("080002aabbccddeeff"));
    wire.send(frame.bytes());
    Frame steered = frame;
    steered.to = rs2.mac;
    steered.from = mac(Wire::server_mac);
    --steered.ttl;
    CHECK(wire.receive() == steered.bytes());

    frame.payload = short_packet(hex("080001aabbccddeeff"));
    wire.send(frame.bytes());
    // The first one never came to the stack: this is the next that does.
    CHECK(stack.receive() == frame.bytes());
  }
  const auto read = kernel::read_xdp_figures({node.pins});
  REQUIRE(read);
  REQUIRE(*read);
  const kernel::XdpFigures& figures = **read;
  CHECK(figures.total == kernel::XdpCounters{.steered = 2, .local = 2});
  CHECK(figures.services.at(web4) == kernel::XdpCounters{.steered = 1, .local = 1});
  CHECK(figures.services.at(web6) == kernel::XdpCounters{.steered = 1, .local = 1});
  CHECK(figures.servers == std::map<ServerId, std::uint64_t>{{ServerId{1}, 0}, {ServerId{2}, 2}});
}

TEST_CASE("down leaves nothing: no link, no map, no program, no pin, the device as before") {
  Node node;
  const std::string device = run("ip -d link show eth0");
  const auto parent = std::filesystem::path(node.pins).parent_path();
  carry_out(*node.backend, set_up());
  CHECK(run("ip -d link show eth0") != device);
  CHECK(try_run("bpftool net show").find("eth0") != std::string::npos);

  CHECK(carry_out(*node.backend, take_down()).empty());
  CHECK(observe(*node.backend) == XdpState{});
  CHECK(run("ip -d link show eth0") == device);
  CHECK(try_run("bpftool net show").find("eth0") == std::string::npos);
  CHECK_FALSE(std::filesystem::exists(parent));
}

TEST_CASE("the kernel's objects go when the last user goes") {
  Node node;
  carry_out(*node.backend, set_up());
  const std::uint32_t link = link_id(node.pins);
  const std::uint32_t program = kernel::xdp::read_attachments(node.pins)->front().program;
  std::vector<std::string> left = {"link show id " + std::to_string(link),
                                   "prog show id " + std::to_string(program)};
  {
    const auto pinned = kernel::xdp::find_program(program, node.pins);
    REQUIRE(pinned);
    REQUIRE(pinned->has_value());
    for (const std::uint32_t map : (*pinned)->maps)
      left.push_back("map show id " + std::to_string(map));
  }
  CHECK(left.size() == 2 + 3);  // tables, counters, read-only data
  for (const auto& object : left)
    CHECK_NOTHROW(run("bpftool " + object));
  carry_out(*node.backend, take_down());
  // The kernel frees them after a grace period: until then ask again.
  for (int tries = 0; tries < 100 && !left.empty(); ++tries) {
    std::erase_if(left, [](const std::string& object) {
      return try_run("bpftool " + object).find("Error") != std::string::npos;
    });
    if (!left.empty()) usleep(50000);
  }
  CHECK(left.empty());
}

TEST_CASE("a program is replaced in place: the same link, the tables as they were") {
  Node node;
  carry_out(*node.backend, set_up());
  const std::uint32_t link = link_id(node.pins);
  const std::uint32_t first = replace_by_older(node.pins);
  XdpState older = as_set_up();
  older.attachments["eth0"].program = "older";
  CHECK(observe(*node.backend) == older);
  CHECK_FALSE(older.attachments["eth0"].satisfies(wanted));
  const auto notes = carry_out(*node.backend, {AttachXdp{"eth0", wanted, wanted}});
  CHECK(notes.empty());
  CHECK(link_id(node.pins) == link);
  CHECK(kernel::xdp::read_attachments(node.pins)->front().program != first);
  CHECK(observe(*node.backend) == as_set_up());
  CHECK_FALSE(std::filesystem::exists(node.pins + "/program-older"));
}

TEST_CASE("a program whose pin is gone is replaced") {
  Node node;
  carry_out(*node.backend, set_up());
  REQUIRE(std::filesystem::remove(node.pins + "/program-" + kernel::program_digest()));
  CHECK_FALSE(observe(*node.backend).attachments["eth0"].satisfies(wanted));
  carry_out(*node.backend, {AttachXdp{"eth0", wanted, wanted}});
  CHECK(observe(*node.backend) == as_set_up());
}

TEST_CASE("a device name with a dot can be attached to, and a renamed device is followed") {
  Node node;
  run("ip link set eth0 down; ip link set eth0 name eth0.100; ip link set eth0.100 up");
  carry_out(*node.backend,
            {SetSteerTarget{ServerId{1}, {}, local}, AttachXdp{"eth0.100", {}, wanted}});
  CHECK(observe(*node.backend).attachments.contains("eth0.100"));
  run("ip link set eth0.100 down; ip link set eth0.100 name lan; ip link set lan up");
  CHECK(observe(*node.backend).attachments.contains("lan"));
  carry_out(*node.backend, {DetachXdp{"lan"}, RemoveSteerTarget{ServerId{1}}});
  CHECK_FALSE(std::filesystem::exists(node.pins));
}

TEST_CASE("a port of a bridge answers to the bridge's MAC address too") {
  Node node;
  run("ip link add br0 address 02:00:00:00:00:33 type bridge && ip link set br0 up && "
      "ip link set eth0 master br0");
  carry_out(*node.backend, set_up());
  const Inside outside(node.outside);
  const Tap wire("wire");
  Frame frame;
  frame.payload = short_packet(hex("080002aabbccddeeff"));
  for (const char* station : {Wire::server_mac, "02:00:00:00:00:33"}) {
    frame.to = mac(station);
    wire.send(frame.bytes());
    Frame steered = frame;
    steered.to = rs2.mac;
    steered.from = mac(station);
    --steered.ttl;
    CHECK(wire.receive() == steered.bytes());
  }
}

TEST_CASE("modes: generic on veth by itself, native when named, and a note at each change") {
  Node node;
  const XdpAttachment native{.mode = XdpMode::native, .program = kernel::program_digest()};
  auto notes = carry_out(*node.backend, {AttachXdp{"eth0", {}, wanted}});
  REQUIRE(notes.size() == 1);
  CHECK(notes.front() ==
        "eth0: generic mode: what a native XDP_TX sends over veth is lost where the peer runs no "
        "XDP program");
  notes = carry_out(*node.backend, {AttachXdp{"eth0", wanted, native}});
  REQUIRE(notes.size() == 1);
  CHECK(notes.front() ==
        "eth0: unsteered for a moment: XDP cannot go from generic to native mode in place");
  CHECK(observe(*node.backend).attachments.at("eth0") == native);
  CHECK(carry_out(*node.backend, {AttachXdp{"eth0", native, wanted}}).empty());
  CHECK(observe(*node.backend).attachments.at("eth0") == native);
}

TEST_CASE("a device that cannot do native mode gets generic mode with the reason") {
  Node node;
  run("ip link add br0 address 02:00:00:00:00:21 type bridge");
  const auto notes = carry_out(*node.backend, {AttachXdp{"br0", {}, wanted}});
  REQUIRE(notes.size() == 1);
  CHECK(notes.front().starts_with("br0: generic mode, which is slower: attach in native mode"));
  CHECK(observe(*node.backend).attachments.at("br0").mode == XdpMode::generic);
  const XdpAttachment native{.mode = XdpMode::native, .program = kernel::program_digest()};
  carry_out(*node.backend, {DetachXdp{"br0"}});
  const auto outcome = execute(*node.backend, {AttachXdp{"br0", {}, native}});
  REQUIRE(outcome.error);
  CHECK(outcome.error->text() ==
        "XDP: br0: attach in native mode: Operation not supported (EOPNOTSUPP)");
  CHECK(outcome.error->hint().find("generic mode can") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(node.pins));
}

TEST_CASE("full tables of random keys read back the same, and empty again") {
  Node node;
  std::mt19937_64 random(1);
  XdpState state;
  std::vector<Action> fill, drain;
  while (state.servers.size() < 4096) {
    MacAddress mac;
    for (auto& octet : mac.octets)
      octet = static_cast<std::uint8_t>(random());
    state.servers.insert_or_assign(ServerId{random() >> 1 | 1},
                                   SteerTarget{.local = random() % 8 == 0, .mac = mac});
  }
  while (state.services.size() < 256) {
    std::array<std::uint8_t, 16> octets;
    for (auto& octet : octets)
      octet = static_cast<std::uint8_t>(random());
    const auto address = *IpAddress::from_octets({octets.data(), random() % 2 == 0 ? 4u : 16u});
    state.services.insert_or_assign(
        SteeredKey{address, Port{static_cast<std::uint16_t>(random())}},
        SteeredService{{CidScheme{.config = static_cast<std::uint8_t>(random() % 7),
                                  .id_length = static_cast<std::uint8_t>(1 + random() % 8),
                                  .nonce_length = static_cast<std::uint8_t>(4 + random() % 8)}}});
  }
  for (const auto& [key, schemes] : state.services)
    fill.push_back(SetSteeredService{key, {}, schemes});
  for (const auto& [id, target] : state.servers)
    fill.push_back(SetSteerTarget{id, {}, target});
  carry_out(*node.backend, fill);
  CHECK(observe(*node.backend) == state);

  const auto full =
      execute(*node.backend,
              {SetSteeredService{SteeredKey{ip("192.0.2.1"), Port{1}}, {}, {{CidScheme{}}}}});
  REQUIRE(full.error);
  CHECK(full.error->text() ==
        "XDP: 192.0.2.1:1: the XDP table of steered services is full: it holds 256");

  for (auto& [id, target] : state.servers) {
    target.local = !target.local;
    drain.push_back(SetSteerTarget{id, {}, target});
  }
  carry_out(*node.backend, drain);
  CHECK(observe(*node.backend) == state);
  drain.clear();
  for (const auto& [key, scheme] : state.services)
    drain.push_back(RemoveSteeredService{key});
  for (const auto& [id, target] : state.servers)
    drain.push_back(RemoveSteerTarget{id});
  carry_out(*node.backend, drain);
  CHECK_FALSE(std::filesystem::exists(node.pins));
}

TEST_CASE("a BPF file system is found: the state folder's, else the system's, else a hint") {
  const std::string state = bpffs() + "/state";
  const auto found = kernel::find_bpffs(state);
  const bool system_has_one = run("stat -fc %T /sys/fs/bpf || true").starts_with("bpf_fs");
  std::filesystem::create_directories(state + "/bpf");  // within the mount: a BPF file system too
  const auto second = kernel::find_bpffs(state);
  REQUIRE(second);
  CHECK(*second == state + "/bpf");
  if (system_has_one) {
    REQUIRE(found);
    CHECK(*found == "/sys/fs/bpf");
  } else {
    REQUIRE_FALSE(found);
    CHECK(found.error().code() == Errc::unsupported);
    CHECK(found.error().hint() ==
          "mkdir -p " + state + "/bpf && mount -t bpf bpf " + state + "/bpf");
  }
  std::filesystem::remove_all(state);
}

}  // namespace lbctl::tests
