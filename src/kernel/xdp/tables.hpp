// The program's tables in the model's words: reads them, and changes them under traffic.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "bucket_table.hpp"
#include "counters.hpp"
#include "layouts.hpp"
#include "lbctl/kernel/xdp.hpp"
#include "lbctl/model/xdp.hpp"
#include "maps.hpp"

namespace lbctl::kernel::xdp {

class Tables {
 public:
  /// Maps the maps into memory. All of `maps` must be there.
  static Result<Tables> open(MapFds maps);

  /// Adds a service, or points it at other schemes by one store.
  Result<> set_service(const model::SteeredKey& key, const model::SteeredService& steered);
  /// False if there is none.
  bool remove_service(const model::SteeredKey& key);

  /// Adds a server, or changes its target by one store. The MAC address counts as a peer's before
  /// the first packet can be sent there, and until no server has it any more.
  Result<> set_server(const model::ServerId& id, const model::SteerTarget& target);
  bool remove_server(const model::ServerId& id);

  /// Takes the keys out of rows that an earlier run has left. Only for the one that writes.
  void wipe_unused_rows();

  /// The addresses of the devices that the program serves.
  Result<> set_self(const std::vector<model::MacAddress>& devices);
  bool has_self(const model::MacAddress& mac) const;

  /// Reads services and servers into `out`.
  Result<> read(model::XdpState& out) const;
  bool empty() const { return vips_.size() == 0 && servers_.size() == 0; }
  XdpFigures figures() const;
  const MapFds& maps() const { return maps_; }
  /// As the program sees it.
  const qs_tables& raw() const { return mapping_.as<qs_tables>(); }

 private:
  Tables(MapFds maps, Mapping mapping, Counters counters);
  __u32 service_counter(const VipLayout::Key& key);
  __u32 server_counter(const ServerLayout::Key& key);
  std::vector<bool> used_rows() const;
  Result<__u32> free_row();
  Result<__u32> free_tunnel();
  /// The target word; a tunnel's row is written first.
  Result<__u64> place(const model::SteerTarget& target);
  Result<model::SteerTarget> read_target(__u64 word) const;
  const qs_tunnel* tunnel_of(__u64 target) const;  ///< null: it has none
  Result<> add_peer(__u64 target);
  void drop_peer(__u64 target);

  MapFds maps_;
  Mapping mapping_;
  Counters counters_;
  BucketTable<VipLayout> vips_;
  std::span<qs_service> services_;
  BucketTable<ServerLayout> servers_;
  BucketTable<MacLayout> peers_;
  std::span<qs_tunnel> tunnels_;
  BucketTable<SenderLayout> senders_;
  qs_settings* settings_;
  std::set<__u32> server_counters_;      ///< in use
  std::map<__u64, unsigned> peer_uses_;  ///< MAC word -> servers that have it
  std::map<model::IpAddress, unsigned> sender_uses_;
};

}  // namespace lbctl::kernel::xdp
