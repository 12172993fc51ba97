// What others do to the XDP backend's objects, and what it says when it can't go on.
#include <bpf/libbpf.h>
#include <linux/if_link.h>

#include <algorithm>
#include <filesystem>

#include "attachments.hpp"
#include "program.hpp"
#include "quic_steer.h"
#include "xdp_node.hpp"

namespace lbctl::tests {

namespace {

std::string pin_of(kernel::xdp::MapName map) {
  return std::string("/") + kernel::xdp::map_shapes()[static_cast<std::size_t>(map)].name;
}
const std::string tables_pin = pin_of(kernel::xdp::MapName::tables);
const std::string counters_pin = pin_of(kernel::xdp::MapName::counters);

}  // namespace

TEST_CASE("somebody else's program is seen by name and never displaced") {
  Node node;
  auto other = kernel::xdp::load_program({});
  REQUIRE(other);
  const int device = static_cast<int>(if_nametoindex("eth0"));
  REQUIRE(bpf_xdp_attach(device, other->fd.get(), XDP_FLAGS_SKB_MODE, nullptr) == 0);
  XdpState expected;
  expected.foreign["eth0"] = "quic_steer";
  CHECK(observe(*node.backend) == expected);

  const auto outcome = execute(*node.backend, {AttachXdp{"eth0", {}, wanted}});
  CHECK(outcome.done == 0);
  REQUIRE(outcome.error);
  CHECK(outcome.error->code() == Errc::conflict);
  CHECK(outcome.error->text().starts_with(
      "XDP: eth0: an XDP program that is not lbctl's is attached: \"quic_steer\" (id "));
  CHECK_FALSE(std::filesystem::exists(node.pins));
  CHECK(observe(*node.backend) == expected);
}

TEST_CASE("a device that left with its link, and a stranger of the same index, are not ours") {
  Node node;
  carry_out(*node.backend, set_up());
  const unsigned index = if_nametoindex("eth0");
  const Namespace elsewhere;  // empty, so that the device keeps its index there
  run("ip link set eth0 netns " + elsewhere.path());
  {
    const Inside there(elsewhere);
    REQUIRE(if_nametoindex("eth0") == index);
  }
  CHECK(kernel::xdp::read_attachments(node.pins)->front().device == index);
  run("ip link add eth0 index " + std::to_string(index) + " type veth peer name eth1");
  auto other = kernel::xdp::load_program({});
  REQUIRE(other);
  REQUIRE(bpf_xdp_attach(static_cast<int>(index), other->fd.get(), XDP_FLAGS_SKB_MODE, nullptr) ==
          0);
  XdpState expected = as_set_up();
  expected.attachments.clear();
  expected.foreign["eth0"] = "quic_steer";
  CHECK(observe(*node.backend) == expected);
  // Down takes ours off the device where it is now, and lets the stranger's be.
  carry_out(*node.backend, take_down());
  CHECK_FALSE(std::filesystem::exists(node.pins));
  CHECK(observe(*node.backend).foreign == expected.foreign);
  const Inside there(elsewhere);
  CHECK(run("ip -d link show eth0").find("xdp") == std::string::npos);
}

TEST_CASE("a link detached by hand is not an attachment; attaching again mends it") {
  Node node;
  carry_out(*node.backend, set_up());
  run("bpftool link detach id " + std::to_string(link_id(node.pins)));
  XdpState expected = as_set_up();
  expected.attachments.clear();
  CHECK(observe(*node.backend) == expected);
  carry_out(*node.backend, {AttachXdp{"eth0", {}, wanted}});
  CHECK(observe(*node.backend) == as_set_up());
}

TEST_CASE("a device that is made anew has no program; its dead pin is cleaned up") {
  Node node;
  carry_out(*node.backend, set_up());
  const auto pins = [&] {
    return std::ranges::count_if(
        std::filesystem::directory_iterator(node.pins),
        [](const auto& entry) { return entry.path().filename().string().starts_with("link-"); });
  };
  run(std::string("ip link del eth0; ip link add eth0 address ") + Wire::server_mac +
      " type veth peer name eth1");
  XdpState expected = as_set_up();
  expected.attachments.clear();
  CHECK(observe(*node.backend) == expected);
  CHECK(pins() == 1);
  carry_out(*node.backend, {AttachXdp{"eth0", {}, wanted}, AttachXdp{"eth1", {}, wanted}});
  CHECK(pins() == 2);
  expected = as_set_up();
  expected.attachments["eth1"] = expected.attachments["eth0"];
  CHECK(observe(*node.backend) == expected);
  carry_out(*node.backend, {DetachXdp{"eth0"}});
  expected.attachments.erase("eth0");
  CHECK(observe(*node.backend) == expected);
}

TEST_CASE("a changed MAC address is noticed, since the program would serve nobody") {
  Node node;
  carry_out(*node.backend, set_up());
  run("ip link set eth0 address 02:00:00:00:00:11");
  const auto seen = observe(*node.backend).attachments.at("eth0");
  CHECK_FALSE(seen.satisfies(wanted));
  CHECK(seen.program.ends_with(" (the device's MAC address has changed)"));
  carry_out(*node.backend, {AttachXdp{"eth0", seen, wanted}});
  CHECK(observe(*node.backend) == as_set_up());
}

TEST_CASE("a pin taken away by hand: the program on the old table is noticed and replaced") {
  Node node;
  carry_out(*node.backend, set_up());
  std::filesystem::remove(node.pins + tables_pin);
  auto seen = observe(*node.backend);
  CHECK(seen.services.empty());
  CHECK(seen.attachments.at("eth0").program.ends_with(" (with other tables)"));
  carry_out(*node.backend, {SetSteerTarget{ServerId{1}, {}, local}});
  seen = observe(*node.backend);  // the new table came with a program of its own
  CHECK(seen.attachments.at("eth0").program == "(not pinned)");
  carry_out(*node.backend, set_up());
  CHECK(observe(*node.backend) == as_set_up());
}

TEST_CASE("a pin that is not one of lbctl's tables is a conflict that says so") {
  Node node;
  std::filesystem::create_directories(node.pins);
  const std::string pin = node.pins + tables_pin;
  {
    const Fd map(bpf_map_create(BPF_MAP_TYPE_ARRAY, "tables", 4, 8, 1, nullptr));
    REQUIRE(bpf_obj_pin(map.get(), pin.c_str()) == 0);
  }
  const std::string text = pin +
                           " was made by another version of lbctl: values of 8 octets and 1 "
                           "entries instead of " +
                           std::to_string(sizeof(qs_tables)) + " and 1";
  model::Observed out;
  const auto seen = node.backend->observe({.sysctls = {}, .xdp = true}, out);
  REQUIRE_FALSE(seen);
  CHECK(seen.error().text() == "read XDP: " + text);
  CHECK(seen.error().code() == Errc::conflict);
  const auto outcome = execute(*node.backend, {SetSteerTarget{ServerId{1}, {}, local}});
  REQUIRE(outcome.error);
  CHECK(outcome.error->text() == "XDP: server id 1: " + text);
  CHECK(std::filesystem::exists(pin));
}

TEST_CASE("tables of another layout are replaced together with the program that uses them") {
  Node node;
  carry_out(*node.backend, set_up());
  // As if another lbctl had made all this: its pins have other names.
  std::filesystem::rename(node.pins + tables_pin, node.pins + "/tables-1");
  std::filesystem::rename(node.pins + counters_pin, node.pins + "/counters-1");
  XdpState seen = observe(*node.backend);
  CHECK(seen.services.empty());
  CHECK(seen.attachments.at("eth0").program.ends_with(" (with other tables)"));
  const std::uint32_t link = link_id(node.pins);
  carry_out(*node.backend, set_up());
  CHECK(observe(*node.backend) == as_set_up());
  CHECK(link_id(node.pins) == link);  // replaced in place: not a packet was unsteered
  CHECK_FALSE(std::filesystem::exists(node.pins + "/tables-1"));
  CHECK_FALSE(std::filesystem::exists(node.pins + "/counters-1"));
}

TEST_CASE("errors name the object: no such device, no BPF file system, an impossible id") {
  Node node;
  auto outcome = execute(*node.backend, {AttachXdp{"eth7", {}, wanted}});
  REQUIRE(outcome.error);
  CHECK(outcome.error->text() == "XDP: eth7: there is no such device");
  CHECK(outcome.error->code() == Errc::not_found);

  outcome = execute(*node.backend, {SetSteerTarget{ServerId{0}, {}, local}});
  REQUIRE(outcome.error);
  CHECK(outcome.error->text() == "XDP: server id 0: 0 is not a server id (1..2^120-1)");
  CHECK_FALSE(std::filesystem::exists(node.pins));

  const std::string plain = std::filesystem::temp_directory_path() / "lbctl-xdp-plain";
  outcome = execute(*kernel::open_xdp({plain}), {SetSteerTarget{ServerId{1}, {}, local}});
  REQUIRE(outcome.error);
  CHECK(outcome.error->text() == "XDP: server id 1: " + plain + " is not in a BPF file system");
  CHECK_FALSE(std::filesystem::exists(plain));

  const auto notes = carry_out(*node.backend, take_down());
  CHECK(notes == std::vector<std::string>{"eth0 had no XDP program of lbctl's any more",
                                          "192.0.2.100:443 was not steered any more",
                                          "[2001:db8:100::100]:443 was not steered any more",
                                          "server id 1 was not in the table any more",
                                          "server id 2 was not in the table any more"});
}

}  // namespace lbctl::tests
