#include "ipvs/batch.hpp"

#include <doctest/doctest.h>

using namespace lbctl::model;
using namespace lbctl::kernel;
using lbctl::Errc;

namespace {
const ServiceKey web{.address = *IpAddress::parse("192.0.2.100"), .port = Port{443}};

DestinationKey server(int n) {
  return {.address = *IpAddress::parse("10.0.0." + std::to_string(n)), .port = Port{443}};
}
Operation op(Action action) {
  return {.phase = Phase::add_ipvs, .action = std::move(action), .why = Reason::not_in_kernel};
}
Operation add(int n) {
  return op(AddDestination{web, server(n), {}});
}
Operation remove(int n) {
  return op(RemoveDestination{web, server(n)});
}
Operation weigh(int n, std::uint16_t weight) {
  return op(EditDestination{web, server(n), {}, {.weight = Weight{weight}}});
}
genl::Failure refused(std::size_t index, int sys, std::string words = "") {
  return {.index = index, .verdict = {.sys = sys, .words = std::move(words)}};
}
}  // namespace

TEST_CASE("ipvs batch: what takes capacity away does not travel with what replaces it") {
  CHECK(ipvs::batch_length(std::vector{add(1), add(2), remove(3)}) == 2);
  CHECK(ipvs::batch_length(std::vector{add(1), weigh(2, 5), weigh(3, 0)}) == 2);
  CHECK(ipvs::batch_length(std::vector{remove(1), remove(2), weigh(3, 0), add(4), add(5)}) == 5);
  CHECK(ipvs::batch_length(std::vector{remove(1), add(2), remove(3)}) == 2);
  CHECK(ipvs::batch_length(std::vector{remove(1)}) == 1);
  CHECK(ipvs::batch_length({}) == 0);
  CHECK(ipvs::batch_length(std::vector(1000, add(1))) == genl::Socket::batch_max);
}

TEST_CASE("ipvs batch: without refusals everything is done") {
  Outcome out{.done = 7, .error = {}, .notes = {}};
  ipvs::settle(std::vector{add(1), add(2)}, {}, out);
  CHECK(out.done == 9);
  CHECK_FALSE(out.error);
  CHECK(out.notes.empty());
}

TEST_CASE("ipvs batch: the first refusal is the error, what took effect after it is told") {
  Outcome out;
  const std::vector batch{add(1), add(2), add(3), add(4)};
  ipvs::settle(batch, std::vector{refused(1, EINVAL), refused(2, EEXIST)}, out);
  CHECK(out.done == 1);
  REQUIRE(out.error);
  CHECK(out.error->text() ==
        "add destination 10.0.0.2:443 to tcp 192.0.2.100:443: Invalid argument (EINVAL)");
  CHECK(out.error->hint().starts_with("10.0.0.2 is no unicast address here"));
  CHECK(out.notes ==
        std::vector<std::string>{"took effect all the same, sent before the refusal was known: "
                                 "add destination 10.0.0.4:443 to tcp 192.0.2.100:443"});
}

TEST_CASE("ipvs batch: many that took effect are told by three and a number") {
  Outcome out;
  ipvs::settle(std::vector{add(1), add(2), add(3), add(4), add(5), add(6)},
               std::vector{refused(0, EPERM)}, out);
  CHECK(out.done == 0);
  REQUIRE(out.notes.size() == 1);
  CHECK(out.notes[0].ends_with("10.0.0.4:443 to tcp 192.0.2.100:443 and 2 more"));
  CHECK(out.error->code() == Errc::permission);
  CHECK(out.error->hint() == "needs the capability CAP_NET_ADMIN: run as root");
}

TEST_CASE("ipvs batch: removing what is gone is done, with a note") {
  Outcome out;
  ipvs::settle(std::vector{remove(1), remove(2), op(RemoveService{web})},
               std::vector{refused(0, ENOENT), refused(2, ESRCH)}, out);
  CHECK(out.done == 3);
  CHECK_FALSE(out.error);
  CHECK(out.notes ==
        std::vector<std::string>{
            "remove destination 10.0.0.1:443 from tcp 192.0.2.100:443: was already gone",
            "remove service tcp 192.0.2.100:443: was already gone"});
}

TEST_CASE("ipvs: refusals tell the object, the kernel's words and the mend") {
  const AddService mh{web, {.scheduler = "mh", .flags = {}, .destinations = {}}};
  const auto missing = ipvs::explain(mh, {.sys = ENOENT, .words = "no such thing"});
  CHECK(missing.text() ==
        "add service tcp 192.0.2.100:443: kernel: \"no such thing\": No such file or directory "
        "(ENOENT)");
  CHECK(missing.hint() == "the scheduler is missing: modprobe ip_vs_mh");
  CHECK(ipvs::explain(mh, {.sys = EEXIST, .words = ""}).code() == Errc::conflict);
  CHECK(ipvs::explain(mh, {.sys = EAFNOSUPPORT, .words = ""}).hint().contains("CONFIG_IP_VS_IPV6"));
}

TEST_CASE("ipvs: a kernel without IPVS is told as such") {
  const auto error = ipvs::explain_family(lbctl::Error::from_errno(ENOENT, "look up"));
  CHECK(error.code() == Errc::unsupported);
  CHECK(error.text() == "this kernel has no IPVS (ip_vs)");
  CHECK(error.hint() == "modprobe ip_vs (kernel option CONFIG_IP_VS)");
}
