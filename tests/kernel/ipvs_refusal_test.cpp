// What the kernel refuses: how far a run got, and what the operator is told.
#include <sched.h>

#include "as_nobody.hpp"
#include "ipvs_fixture.hpp"

using namespace lbctl::model;
using namespace lbctl::tests;
using lbctl::Errc;

namespace {
const ServiceKey web = service("192.0.2.100", 443);
const VirtualService rr{.scheduler = "rr", .flags = {}, .destinations = {}};
}  // namespace

TEST_CASE("ipvs: a refusal tells how far the run got and what else took effect") {
  IpvsNamespace node;
  run("ipvsadm -A -t 192.0.2.9:9 -s rr");
  const auto out = node.execute({op(AddService{web, rr}),
                                 op(AddDestination{web, to("192.0.2.11", 443), weighing(1)}),
                                 op(AddDestination{web, to("224.0.0.1", 443), weighing(1)}),
                                 op(AddDestination{web, to("192.0.2.13", 443), weighing(1)}),
                                 op(RemoveService{service("192.0.2.9", 9)})});
  CHECK(out.done == 2);
  REQUIRE(out.error);
  CHECK(out.error->text() ==
        "add destination 224.0.0.1:443 to tcp 192.0.2.100:443: Invalid argument (EINVAL)");
  CHECK(out.error->hint().starts_with("224.0.0.1 is no unicast address here"));
  CHECK(out.notes ==
        std::vector<std::string>{"took effect all the same, sent before the refusal was known: "
                                 "add destination 192.0.2.13:443 to tcp 192.0.2.100:443"});
  // What takes away was held back.
  CHECK(sorted(run("ipvsadm -Sn")) == sorted("-A -t 192.0.2.9:9 -s rr\n"
                                             "-A -t 192.0.2.100:443 -s rr\n"
                                             "-a -t 192.0.2.100:443 -r 192.0.2.11:443 -g -w 1\n"
                                             "-a -t 192.0.2.100:443 -r 192.0.2.13:443 -g -w 1\n"));
}

TEST_CASE("ipvs: a refusal in the middle of many batches stops the run there") {
  IpvsNamespace node;
  std::vector<Operation> run_of{op(AddService{web, rr})};
  for (int n = 0; n < 600; ++n)
    run_of.push_back(op(AddDestination{
        web, to("10.0." + std::to_string(n / 200) + "." + std::to_string(1 + n % 200), 443),
        weighing(1)}));
  run_of[300] = run_of[299];  // EEXIST
  const auto out = node.execute(run_of);
  CHECK(out.done == 300);
  REQUIRE(out.error);
  CHECK(out.error->code() == Errc::conflict);
  // The batch of operation 300 ends with operation 383; nothing after it was sent.
  CHECK(run("ipvsadm -Sn | wc -l") == "383\n");
  REQUIRE(out.notes.size() == 1);
  CHECK(out.notes[0].ends_with("and 80 more"));
}

TEST_CASE("ipvs: an unknown scheduler is told with the module that would have it") {
  IpvsNamespace node;
  const auto out =
      node.execute({op(AddService{web, {.scheduler = "nosuch", .flags = {}, .destinations = {}}}),
                    op(AddDestination{web, to("192.0.2.11", 443), weighing(1)})});
  CHECK(out.done == 0);
  REQUIRE(out.error);
  CHECK(out.error->text() == "add service tcp 192.0.2.100:443: No such file or directory (ENOENT)");
  CHECK(out.error->hint() == "the scheduler is missing: modprobe ip_vs_nosuch");
  CHECK(out.notes.empty());  // the destination had no service to go to
  CHECK(run("ipvsadm -Sn").empty());
}

TEST_CASE("ipvs: what is there already, or not, is told") {
  IpvsNamespace node;
  run("ipvsadm -A -t 192.0.2.100:443 -s rr");
  auto out = node.execute({op(AddService{web, rr})});
  REQUIRE(out.error);
  CHECK(out.error->code() == Errc::conflict);
  out = node.execute({op(EditDestination{web, to("192.0.2.11", 443), {}, weighing(1)})});
  REQUIRE(out.error);
  CHECK(out.error->code() == Errc::not_found);
  out = node.execute({op(EditService{service("192.0.2.1", 1), {}, rr})});
  REQUIRE(out.error);
  CHECK(out.error->text() == "edit service tcp 192.0.2.1:1: No such process (ESRCH)");
  CHECK(out.error->hint() == "another program removed it: run again");
}

TEST_CASE("ipvs: thresholds the wrong way round are told as such") {
  IpvsNamespace node;
  Destination wrong = weighing(1);
  wrong.upper_threshold = 10;
  wrong.lower_threshold = 20;
  const auto out = node.execute(
      {op(AddService{web, rr}), op(AddDestination{web, to("192.0.2.11", 443), wrong})});
  CHECK(out.done == 1);
  REQUIRE(out.error);
  CHECK(out.error->sys() == ERANGE);
  CHECK(out.error->hint() == "the lower threshold must not exceed the upper one");
}

TEST_CASE("ipvs: where no device was ever up, no destination is unicast") {
  const Namespace outer;
  const Inside inside(outer);
  REQUIRE(::unshare(CLONE_NEWNET) == 0);  // a namespace whose loopback is down; inside leaves it
  auto backend = lbctl::kernel::open_ipvs();
  REQUIRE(backend);
  const std::vector run_of{op(AddService{web, rr}),
                           op(AddDestination{web, to("192.0.2.11", 443), weighing(1)})};
  const auto out = (*backend)->execute(run_of);
  CHECK(out.done == 1);
  REQUIRE(out.error);
  CHECK(out.error->sys() == EINVAL);
  CHECK(out.error->hint().contains("is no device up yet"));
}

TEST_CASE("ipvs: what can't be put into words is refused before it, nothing after it is sent") {
  IpvsNamespace node;
  const auto out = node.execute(
      {op(AddService{web, rr}),
       op(AddService{service("192.0.2.1", 1), {.scheduler = "", .flags = {}, .destinations = {}}}),
       op(AddService{service("192.0.2.2", 2), rr})});
  CHECK(out.done == 1);
  REQUIRE(out.error);
  CHECK(out.error->text().starts_with("add service tcp 192.0.2.1:1: scheduler name \"\""));
  CHECK(run("ipvsadm -Sn") == "-A -t 192.0.2.100:443 -s rr\n");
}

TEST_CASE("ipvs: without the capability both reading and writing say which one") {
  IpvsNamespace node;
  CHECK(as_nobody([] {
    auto backend = lbctl::kernel::open_ipvs();
    if (!backend) return false;
    const std::vector run_of{op(AddService{web, rr})};
    const auto out = (*backend)->execute(run_of);
    Observed seen;
    const auto read = (*backend)->observe({.sysctls = {}, .ipvs = true}, seen);
    return out.error && out.error->code() == Errc::permission &&
           out.error->hint().contains("CAP_NET_ADMIN") && !read &&
           read.error().code() == Errc::permission && read.error().hint().contains("CAP_NET_ADMIN");
  }));
}
