// Places keys in two-choice hash tables of four-way buckets, as xdp/quic_steer.h lays them out.
// Works on plain memory: a map's mapping, or a test's vector.
//
// A key goes into its first bucket while that has room to spare, else into the emptier of its two.
// At the sizes of quic_steer.h, a full table leaves both buckets full with a probability below
// 1e-9, and about one key in 2,000 lives in its second bucket.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <utility>

#include "lbctl/base/result.hpp"
#include "quic_steer.h"

namespace lbctl::kernel::xdp {

/// `Layout` says how one kind of entry is read and written: see layouts.hpp. Every change is
/// a single store to the reader, and at every moment each key that stays is found.
template <class Layout>
class BucketTable {
 public:
  using Bucket = typename Layout::Bucket;
  using Key = typename Layout::Key;
  using Value = typename Layout::Value;

  /// `buckets`: 1 << Layout::bits of them.
  explicit BucketTable(std::span<Bucket> buckets) : buckets_(buckets) {
    each([this](const Key&, const Value&) { ++size_; });
  }

  std::size_t size() const { return size_; }

  std::optional<Value> find(const Key& key) const {
    auto place = locate(key);
    if (!place) return std::nullopt;
    return Layout::value(*place->first, place->second);
  }

  /// Adds the key or changes its value.
  Result<> set(const Key& key, const Value& value) {
    if (auto place = locate(key)) {
      Layout::change(*place->first, place->second, value);
      return {};
    }
    if (size_ >= Layout::capacity)
      return fail(Errc::unsupported, "the XDP table of " + std::string(Layout::what) +
                                         " is full: it holds " + std::to_string(Layout::capacity));
    Bucket& first = first_of(key);
    Bucket& second = second_of(key);
    const bool spill = load(first) >= spare && load(second) < load(first);
    Bucket& chosen = spill ? second : first;
    auto way = free_way(chosen);
    if (!way)
      return fail(Errc::unsupported, "the XDP table of " + std::string(Layout::what) +
                                         " has no room for this one: both of its buckets are full");
    if (spill || *way != 0) Layout::set_more(first, true);
    Layout::add(chosen, *way, key, value);
    ++size_;
    return {};
  }

  /// False if the key is not there.
  bool erase(const Key& key) {
    auto place = locate(key);
    if (!place) return false;
    Layout::remove(*place->first, place->second);
    --size_;
    Bucket& first = first_of(key);
    if (place->first != &first || place->second != 0) Layout::set_more(first, has_more(first));
    return true;
  }

  /// `visit(key, value)` for every entry, in no particular order.
  void each(auto&& visit) const {
    for (Bucket& bucket : buckets_)
      for (int way = 0; way < QS_WAYS; ++way)
        if (auto key = Layout::key(bucket, way)) visit(*key, Layout::value(bucket, way));
  }

 private:
  /// A first bucket with fewer entries takes a key without looking at the second.
  static constexpr int spare = QS_WAYS - 1;

  Bucket& first_of(const Key& key) const {
    return buckets_[qs_bucket_1(Layout::hash_key(key), Layout::bits)];
  }
  Bucket& second_of(const Key& key) const {
    return buckets_[qs_bucket_2(Layout::hash_key(key), Layout::bits)];
  }

  std::optional<std::pair<Bucket*, int>> locate(const Key& key) const {
    for (Bucket* bucket : {&first_of(key), &second_of(key)})
      for (int way = 0; way < QS_WAYS; ++way)
        if (Layout::key(*bucket, way) == key) return std::pair{bucket, way};
    return std::nullopt;
  }

  static int load(const Bucket& bucket) {
    int used = 0;
    for (int way = 0; way < QS_WAYS; ++way)
      used += Layout::key(bucket, way) ? 1 : 0;
    return used;
  }

  static std::optional<int> free_way(const Bucket& bucket) {
    for (int way = 0; way < QS_WAYS; ++way)
      if (!Layout::key(bucket, way)) return way;
    return std::nullopt;
  }

  /// Is a key of this first bucket anywhere but in its first entry?
  bool has_more(const Bucket& first) const {
    for (Bucket& bucket : buckets_)
      for (int way = &bucket == &first ? 1 : 0; way < QS_WAYS; ++way)
        if (auto key = Layout::key(bucket, way); key && &first_of(*key) == &first) return true;
    return false;
  }

  std::span<Bucket> buckets_;
  std::size_t size_ = 0;
};

}  // namespace lbctl::kernel::xdp
