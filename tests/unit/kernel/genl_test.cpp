#include "netlink/genl.hpp"

#include <doctest/doctest.h>

#include "netlink_bytes.hpp"

using namespace lbctl::kernel;
using genl::Attributes;
using test::Raw;

TEST_CASE("genl: attributes that newer kernels add are passed over") {
  // Type 1: u16 7; type 200: four octets; type 2: "mh".
  const auto bytes =
      test::octets("06 00 01 00 07 00 00 00 08 00 c8 00 01 02 03 04 07 00 02 00 6d 68 00");
  auto attributes = Attributes::of(bytes);
  REQUIRE(attributes);
  CHECK(attributes->u16(1) == 7);
  CHECK(attributes->be16(1) == 0x0700);
  CHECK(attributes->string(2) == "mh");
  CHECK_FALSE(attributes->has(200));
  CHECK_FALSE(attributes->u32(1));
  CHECK_FALSE(attributes->u8(3));
}

TEST_CASE("genl: a string without its ending zero ends with its attribute") {
  const auto bytes = test::octets("06 00 02 00 6d 68 00 00");
  CHECK(Attributes::of(bytes)->string(2) == "mh");
}

TEST_CASE("genl: an attribute that claims more or less than there is, is an error") {
  CHECK_FALSE(Attributes::of(test::octets("09 00 01 00 07 00 00 00")));
  CHECK_FALSE(Attributes::of(test::octets("03 00 01 00")));
  CHECK_FALSE(Attributes::of(test::octets("00 00 00 00")));
  CHECK_FALSE(Attributes::of(test::octets("08 00 01")));
  CHECK(Attributes::of({}));
}

TEST_CASE("genl: a request that does not fit is an error, not a shorter request") {
  CHECK_FALSE(genl::Request(1, 1).string(1, std::string(600, 'x')).finish());
  CHECK_FALSE(genl::Request(1, 1)
                  .string(1, std::string(400, 'x'))
                  .string(2, std::string(200, 'y'))
                  .finish());
}

// error -22 on request type 0x1c sequence 5, capped, with the text "no" beside an offset.
static const std::string refusal =
    "ea ff ff ff 28 00 00 00 1c 00 05 00 05 00 00 00 00 00 00 00 "
    "08 00 02 00 18 00 00 00 07 00 01 00 6e 6f 00 00";

TEST_CASE("genl: the kernel's words are read from a refusal") {
  auto verdict = genl::decode_verdict(*Raw(refusal, NLMSG_ERROR, NLM_F_CAPPED | NLM_F_ACK_TLVS));
  REQUIRE(verdict);
  CHECK(verdict->sys == EINVAL);
  CHECK(verdict->words == "no");
}

TEST_CASE("genl: the words are found behind a request that is quoted in full") {
  const std::string quoted =
      "ff ff ff ff 18 00 00 00 1c 00 05 00 05 00 00 00 00 00 00 00 01 01 00 00 07 00 02 00 "
      "07 00 01 00 6e 6f 00 00";
  auto verdict = genl::decode_verdict(*Raw(quoted, NLMSG_ERROR, NLM_F_ACK_TLVS));
  REQUIRE(verdict);
  CHECK(verdict->sys == EPERM);
  CHECK(verdict->words == "no");
}

TEST_CASE("genl: an ack and the end of a dump are success, a failed dump is not") {
  const std::string ack = "00 00 00 00 28 00 00 00 1c 00 05 00 05 00 00 00 00 00 00 00";
  CHECK(genl::decode_verdict(*Raw(ack, NLMSG_ERROR, NLM_F_CAPPED))->sys == 0);
  CHECK(genl::decode_verdict(*Raw("00 00 00 00", NLMSG_DONE, NLM_F_MULTI))->sys == 0);
  CHECK(genl::decode_verdict(*Raw("", NLMSG_DONE, NLM_F_MULTI))->sys == 0);
  CHECK(genl::decode_verdict(*Raw("f4 ff ff ff", NLMSG_DONE, NLM_F_MULTI))->sys == ENOMEM);
}

TEST_CASE("genl: an answer that is cut short, quotes too much or has an odd errno is an error") {
  CHECK_FALSE(genl::decode_verdict(*Raw("ea ff ff ff 28 00", NLMSG_ERROR, 0)));
  const std::string huge = "ea ff ff ff ff ff ff ff 1c 00 05 00 05 00 00 00 00 00 00 00";
  CHECK_FALSE(genl::decode_verdict(*Raw(huge, NLMSG_ERROR, NLM_F_ACK_TLVS)));
  CHECK(genl::decode_verdict(*Raw("00 00 00 80 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00",
                                  NLMSG_ERROR, NLM_F_CAPPED))
            ->sys == EPROTO);
}

TEST_CASE("genl: a datagram is walked message by message, and must end with one") {
  auto datagram = Raw("01 01 00 00").bytes();
  const auto second = Raw("02 01 00 00").bytes();
  datagram.insert(datagram.end(), second.begin(), second.end());
  std::vector<int> commands;
  const auto note = [&](const nlmsghdr& message) -> lbctl::Result<> {
    commands.push_back(*genl::command_of(message));
    return {};
  };
  CHECK(genl::walk(datagram, note));
  CHECK(commands == std::vector{1, 2});
  commands.clear();
  datagram.pop_back();
  CHECK_FALSE(genl::walk(datagram, note));
  CHECK(commands == std::vector{1});
}

TEST_CASE("genl: a dump that a change overtook says so, on an object as on its end") {
  const auto ignore = [](const nlmsghdr&) -> lbctl::Result<> { return {}; };
  genl::DumpProgress quiet;
  CHECK(quiet.take(*Raw("01 01 00 00"), ignore));
  CHECK_FALSE(quiet.complete());
  CHECK(quiet.take(*Raw("00 00 00 00", NLMSG_DONE, NLM_F_MULTI), ignore));
  CHECK(quiet.complete());
  CHECK_FALSE(quiet.overtaken());
  CHECK(quiet.verdict().sys == 0);

  genl::DumpProgress object, end, failed;
  CHECK(object.take(*Raw("01 01 00 00", 0x20, NLM_F_MULTI | NLM_F_DUMP_INTR), ignore));
  CHECK(object.overtaken());
  CHECK(end.take(*Raw("00 00 00 00", NLMSG_DONE, NLM_F_MULTI | NLM_F_DUMP_INTR), ignore));
  CHECK(end.overtaken());
  CHECK(failed.take(*Raw("fc ff ff ff", NLMSG_DONE, NLM_F_MULTI), ignore));  // -EINTR
  CHECK(failed.overtaken());
}
