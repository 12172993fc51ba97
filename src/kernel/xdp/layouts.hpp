// How the entries of each table of xdp/quic_steer.h are read and written. The XDP program reads
// them at the same time, so every word is stored atomically and in the order that the header asks.
#pragma once

#include <atomic>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "quic_steer.h"

namespace lbctl::kernel::xdp {

template <class Word>
Word read_word(const Word& word) {
  return std::atomic_ref<Word>(const_cast<Word&>(word)).load(std::memory_order_acquire);
}
template <class Word>
void write_word(Word& word, Word value) {
  std::atomic_ref<Word>(word).store(value, std::memory_order_release);
}
/// Replaces a word but for its bit `kept`, which tells something else.
template <class Word>
void write_word_but(Word& word, Word value, Word kept) {
  write_word(word, static_cast<Word>((read_word(word) & kept) | value));
}
template <class Word>
void write_bit(Word& word, Word bit, bool on) {
  write_word(word, static_cast<Word>(on ? read_word(word) | bit : read_word(word) & ~bit));
}

/// VIP and port -> QS_ROW().
struct VipLayout {
  using Bucket = qs_vip_bucket;
  struct Key {
    __u64 addr[2] = {};
    __u32 port_family = 0;
    friend bool operator==(const Key&, const Key&) = default;
  };
  using Value = __u32;
  static constexpr int bits = QS_VIP_BITS;
  static constexpr std::size_t capacity = QS_MAX_VIPS;
  static constexpr std::string_view what = "steered services";

  static __u64 hash_key(const Key& key) {
    return qs_vip_key(key.addr[0], key.addr[1], key.port_family);
  }
  static std::optional<Key> key(const Bucket& bucket, int way) {
    const qs_vip& vip = bucket.way[way];
    const __u32 port_family = read_word(vip.port_family) & ~QS_VIP_MORE;
    if (port_family == 0) return std::nullopt;
    return Key{{read_word(vip.addr[0]), read_word(vip.addr[1])}, port_family};
  }
  static Value value(const Bucket& bucket, int way) { return read_word(bucket.way[way].row); }
  static void add(Bucket& bucket, int way, const Key& key, Value row) {
    qs_vip& vip = bucket.way[way];
    write_word(vip.addr[0], key.addr[0]);
    write_word(vip.addr[1], key.addr[1]);
    write_word(vip.row, row);
    write_word_but(vip.port_family, key.port_family, QS_VIP_MORE);
  }
  static void change(Bucket& bucket, int way, Value row) { write_word(bucket.way[way].row, row); }
  static void remove(Bucket& bucket, int way) {
    write_word_but(bucket.way[way].port_family, 0u, QS_VIP_MORE);
  }
  static void set_more(Bucket& bucket, bool on) {
    write_bit(bucket.way[0].port_family, QS_VIP_MORE, on);
  }
};

/// The addresses that tunnelled packets may come from, with port 0.
struct SenderLayout : VipLayout {
  static constexpr int bits = QS_SENDER_BITS;
  static constexpr std::size_t capacity = QS_MAX_TUNNELS;
  static constexpr std::string_view what = "tunnels";
};

/// Server id -> its target and counter.
struct ServerLayout {
  using Bucket = qs_server_bucket;
  struct Key {
    qs_id id{};
    __u8 space = 0;
    friend bool operator==(const Key& a, const Key& b) {
      return a.id.low == b.id.low && a.id.high == b.id.high && a.space == b.space;
    }
  };
  struct Value {
    __u64 target = 0;   ///< QS_KIND and QS_OPERAND; space and width come from the key
    __u32 counter = 0;  ///< stays while the key does
    friend bool operator==(const Value&, const Value&) = default;
  };
  static constexpr int bits = QS_SERVER_BITS;
  static constexpr std::size_t capacity = QS_MAX_SERVERS;
  static constexpr std::string_view what = "servers";

  static __u64 hash_key(const Key& key) { return qs_server_key(key.id); }
  static std::optional<Key> key(const Bucket& bucket, int way) {
    const __u64 target = read_word(bucket.way[way].target);
    if ((target & QS_KIND) == 0) return std::nullopt;
    const __u64 high = (target & QS_WIDE) != 0 ? read_word(bucket.high[way]) : 0;
    return Key{{read_word(bucket.way[way].id), high},
               static_cast<__u8>((target & QS_SPACE) >> QS_SPACE_SHIFT)};
  }
  static Value value(const Bucket& bucket, int way) {
    return {read_word(bucket.way[way].target) & (QS_KIND | QS_OPERAND),
            read_word(bucket.counter[way])};
  }
  static void add(Bucket& bucket, int way, const Key& key, Value value) {
    write_word(bucket.high[way], key.id.high);
    write_word(bucket.counter[way], value.counter);
    write_word(bucket.way[way].id, key.id.low);
    const __u64 width = key.id.high != 0 ? QS_WIDE : 0;
    write_word_but(bucket.way[way].target,
                   value.target | width | static_cast<__u64>(key.space) << QS_SPACE_SHIFT,
                   static_cast<__u64>(QS_MORE));
  }
  static void change(Bucket& bucket, int way, Value value) {
    write_word_but(bucket.way[way].target, value.target,
                   static_cast<__u64>(QS_MORE | QS_SPACE | QS_WIDE));
  }
  static void remove(Bucket& bucket, int way) {
    write_word_but(bucket.way[way].target, __u64{0}, static_cast<__u64>(QS_MORE));
    write_word(bucket.way[way].id, __u64{0});
    write_word(bucket.high[way], __u64{0});
  }
  static void set_more(Bucket& bucket, bool on) {
    write_bit(bucket.way[0].target, static_cast<__u64>(QS_MORE), on);
  }
};

/// The set of the peers' MAC addresses, as QS_MAC_WORD() gives them.
struct MacLayout {
  using Bucket = qs_mac_bucket;
  using Key = __u64;
  struct Value {};
  static constexpr int bits = QS_MAC_BITS;
  static constexpr std::size_t capacity = QS_MAX_SERVERS;
  static constexpr std::string_view what = "peers' MAC addresses";

  static __u64 hash_key(Key key) { return key; }
  static std::optional<Key> key(const Bucket& bucket, int way) {
    const __u64 mac = read_word(bucket.way[way]) & ~QS_MAC_MORE;
    return mac != 0 ? std::optional<Key>(mac) : std::nullopt;
  }
  static Value value(const Bucket&, int) { return {}; }
  static void add(Bucket& bucket, int way, Key key, Value) {
    write_word_but(bucket.way[way], key, static_cast<__u64>(QS_MAC_MORE));
  }
  static void change(Bucket&, int, Value) {}
  static void remove(Bucket& bucket, int way) {
    write_word_but(bucket.way[way], __u64{0}, static_cast<__u64>(QS_MAC_MORE));
  }
  static void set_more(Bucket& bucket, bool on) {
    write_bit(bucket.way[0], static_cast<__u64>(QS_MAC_MORE), on);
  }
};

}  // namespace lbctl::kernel::xdp
