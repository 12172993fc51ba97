#include "lbctl/engine/confirmation.hpp"

#include <doctest/doctest.h>

#include <future>

#include "temp_dir.hpp"

using namespace lbctl;
using engine::Confirmation;
using engine::Word;
using namespace std::chrono_literals;

namespace {

struct Waiting {
  TempDir temp;
  Result<engine::Store> store = engine::Store::open(temp.path, 0700);
  Result<Confirmation> open = Confirmation::open(*store);
  auto wait(std::chrono::seconds time) {
    REQUIRE(open);
    return std::async(std::launch::async, [this, time] { return open->wait(time); });
  }
};

}  // namespace

TEST_CASE("confirmation: nobody waits") {
  TempDir temp;
  const auto store = engine::Store::open(temp.path, 0700);
  REQUIRE(store);
  const auto left = engine::tell_confirmation(*store, Word::ask);
  REQUIRE(left);
  CHECK_FALSE(left->has_value());
}

TEST_CASE("confirmation: to ask does not end the wait, to confirm or to cancel does") {
  for (const auto& [word, answer] : {std::pair{Word::confirm, Confirmation::Answer::confirmed},
                                     std::pair{Word::cancel, Confirmation::Answer::cancelled}}) {
    Waiting w;
    auto waiting = w.wait(600s);
    for (const Word other : {Word::ask, Word::started}) {
      const auto left = engine::tell_confirmation(*w.store, other);
      REQUIRE(left);
      REQUIRE(left->has_value());
      CHECK(**left > 0);
      CHECK(**left <= 600);
    }
    CHECK(engine::tell_confirmation(*w.store, word)->has_value());
    CHECK(waiting.get() == answer);
  }
}

TEST_CASE("confirmation: late") {
  Waiting w;
  CHECK(w.wait(0s).get() == Confirmation::Answer::late);
}

TEST_CASE("confirmation: a process that takes the change back no longer listens to words") {
  const Waiting w;
  const auto left = engine::tell_confirmation(*w.store, Word::ask);
  REQUIRE_FALSE(left);
  CHECK(left.error().code() == Errc::busy);
  CHECK(left.error().text() == "a change that nobody confirmed is being taken back");
}

TEST_CASE("confirmation: a process that ended waits no longer, and leaves the place free") {
  Waiting w;
  {
    const Confirmation gone = std::move(*w.open);
  }
  CHECK_FALSE(engine::tell_confirmation(*w.store, Word::confirm)->has_value());
  CHECK(Confirmation::open(*w.store));
}
