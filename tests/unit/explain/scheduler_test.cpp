#include "lbctl/explain/scheduler.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <map>
#include <sstream>

using namespace lbctl;
using explain::Candidate;
using explain::choose;
using model::DestinationKey;
using model::Flow;
using model::IpAddress;
using model::Port;
using model::Weight;

namespace {

DestinationKey server(int number) {
  return {*IpAddress::parse("192.0.2." + std::to_string(number)), Port{443}};
}

Candidate candidate(int number, std::uint16_t weight) {
  return {server(number), Weight{weight}, Weight{weight}};
}

model::VirtualService service(std::string scheduler, bool fallback, bool port) {
  model::VirtualService out;
  out.scheduler = std::move(scheduler);
  out.flags.sched1 = fallback;
  out.flags.sched2 = port;
  return out;
}

Flow flow(unsigned client, std::uint16_t port) {
  const std::array<std::uint8_t, 4> octets{198, 51, static_cast<std::uint8_t>(client >> 8),
                                           static_cast<std::uint8_t>(client)};
  return {*IpAddress::from_octets(octets), Port{port}, *IpAddress::parse("192.0.2.100"), Port{443}};
}

/// How many of 2,000 clients each destination gets; 0 for those that are refused.
std::map<std::string, int> shares(const model::VirtualService& of,
                                  const std::vector<Candidate>& all) {
  std::map<std::string, int> out;
  for (unsigned client = 0; client < 2000; ++client) {
    const auto choice = choose(of, all, flow(client, 51000));
    ++out[choice.destination ? choice.destination->address.text() : "refused"];
  }
  return out;
}

/// A line of tests/data/ipvs-choices.txt.
struct Recorded {
  model::VirtualService service;
  std::vector<Candidate> candidates;
  Flow flow;
  std::string server;  ///< "refused", or the last part of its address
};

Recorded parse(const std::string& line) {
  std::istringstream words(line);
  std::string scheduler, flags, weights, port, client;
  Recorded out;
  words >> scheduler >> flags >> weights >> port >> client >> out.server;
  const bool v6 = client.starts_with('[');
  out.service = service(scheduler, flags.contains("fallback"), flags.contains("port"));
  const auto parsed =
      Flow::parse(client + " -> " + (v6 ? "[2001:db8:100::100]:" : "192.0.2.100:") + port + "/udp");
  REQUIRE_MESSAGE(parsed.has_value(), line);
  out.flow = *parsed;
  std::istringstream each(weights);
  for (int number = 11; number <= 13; ++number) {
    std::string weight;
    std::getline(each, weight, ',');
    const auto now = static_cast<std::uint16_t>(std::stoi(weight));
    const auto address = (v6 ? "2001:db8:100::" : "192.0.2.") + std::to_string(number);
    constexpr std::uint16_t before = 5;
    // The kernel puts a new destination in front of the others.
    out.candidates.insert(out.candidates.begin(),
                          Candidate{{*IpAddress::parse(address), out.flow.port},
                                    Weight{now},
                                    Weight{now != 0 ? now : before}});
  }
  return out;
}

}  // namespace

TEST_CASE("scheduler: the choices that a kernel was seen to make") {
  std::ifstream file(LBCTL_SOURCE_DIR "/tests/data/ipvs-choices.txt");
  int seen = 0, refused = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with('#')) continue;
    const Recorded one = parse(line);
    const auto chosen = choose(one.service, one.candidates, one.flow).destination;
    const std::string text = chosen ? chosen->address.text() : "refused";
    CHECK_MESSAGE(text.ends_with(one.server), line);
    ++seen;
    refused += !chosen;
  }
  CHECK(seen == 128);
  CHECK(refused > 0);
}

TEST_CASE("scheduler: only hashing ones are computed") {
  for (const auto& info : model::schedulers())
    CHECK(explain::is_computable(service(std::string(info.name), false, false)) ==
          (info.name == "mh" || info.name == "sh"));
}

TEST_CASE("scheduler: weights share the clients out") {
  for (const auto* name : {"mh", "sh"}) {
    auto got = shares(service(name, false, true), {candidate(11, 1), candidate(12, 3)});
    CHECK(got.size() == 2);
    CHECK(got["192.0.2.12"] > 1350);
    CHECK(got["192.0.2.12"] < 1650);
  }
}

TEST_CASE("scheduler: the port counts only with its flag") {
  for (const auto* name : {"mh", "sh"}) {
    const std::vector<Candidate> all{candidate(11, 1), candidate(12, 1)};
    bool moved = false;
    for (std::uint16_t port = 1024; port < 1100; ++port) {
      const auto without = service(name, false, false), with = service(name, false, true);
      CHECK(choose(without, all, flow(7, port)).destination ==
            choose(without, all, flow(7, 1024)).destination);
      moved = moved || choose(with, all, flow(7, port)).destination !=
                           choose(with, all, flow(7, 1024)).destination;
    }
    CHECK(moved);
  }
}

TEST_CASE("scheduler: who takes no new connections is refused, or replaced by fallback") {
  std::vector<Candidate> all{candidate(11, 10), candidate(12, 10)};
  all[1].weight = Weight{};
  for (const auto* name : {"mh", "sh"}) {
    auto strict = shares(service(name, false, true), all);
    CHECK(strict["refused"] > 0);
    CHECK(strict["192.0.2.12"] == 0);
    auto mild = shares(service(name, true, true), all);
    CHECK(mild == std::map<std::string, int>{{"192.0.2.11", 2000}});
  }
}

TEST_CASE("scheduler: mh moves nobody but the clients of a drained server") {
  const std::vector<Candidate> before{candidate(11, 10), candidate(12, 10), candidate(13, 10)};
  auto after = before;
  after[1].weight = Weight{};
  const auto of = service("mh", true, true);
  for (unsigned client = 0; client < 500; ++client) {
    const auto was = choose(of, before, flow(client, 51000)),
               is = choose(of, after, flow(client, 51000));
    if (was.destination == server(12)) {
      CHECK(is.first == server(12));
      CHECK(is.destination != server(12));
    } else {
      CHECK(is.destination == was.destination);
    }
  }
}

TEST_CASE("scheduler: nobody to choose from") {
  for (const auto* name : {"mh", "sh"}) {
    CHECK_FALSE(choose(service(name, true, true), {}, flow(1, 1)).destination);
    const std::vector<Candidate> none{candidate(11, 0)};
    CHECK_FALSE(choose(service(name, true, true), none, flow(1, 1)).destination);
  }
}
