// Services that listen with MPTCP: what their drop-ins have to become.
#include "parts.hpp"

namespace lbctl::plan {

using namespace model;

void diff_units(const UnitState& want, const UnitState& have, Reason removal, Operations& out) {
  walk(
      want.mptcpized, have.mptcpized,
      [&](const std::string& unit, const MptcpizedUnit& to) {
        out.push_back(
            {Phase::mptcpize_unit, MptcpizeUnit{unit, std::nullopt, to}, Reason::not_in_kernel});
      },
      [&](const std::string& unit, const MptcpizedUnit& to, const MptcpizedUnit& from) {
        if (to != from)
          out.push_back({Phase::mptcpize_unit, MptcpizeUnit{unit, from, to}, Reason::differs});
      },
      [&](const std::string& unit, const MptcpizedUnit& from) {
        out.push_back({Phase::restore_unit, RestoreUnit{unit, from}, removal});
      });
}

}  // namespace lbctl::plan
