// A transaction under construction: operations become messages, and each message remembers
// which operation it belongs to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "lbctl/model/operation.hpp"
#include "table.hpp"

namespace lbctl::kernel::nft {

class Batch {
 public:
  /// `first_seq` numbers the first message; the numbers rise by one from there.
  explicit Batch(std::uint32_t first_seq);

  /// What a message carries: decides the hint when the kernel refuses it.
  enum class Carries : std::uint8_t { frame, table, chain, set, rule, element };
  struct Note {
    Carries carries = Carries::frame;
    std::size_t operation = 0;
    std::string object;  ///< "chain guard", "element of signal4", …
  };

  /// `operation` is the position in the run.
  void create(std::size_t operation, const model::CreateForward& action,
              std::uint32_t server_index);
  void create(std::size_t operation, const model::CreateMarks& action);
  void remove(std::size_t operation, TableId table);
  void set_signal(std::size_t operation, const model::SetSignal& action);
  void remove_signal(std::size_t operation, const model::RemoveSignal& action);
  void set_mark(std::size_t operation, const model::SetMark& action);
  void remove_mark(std::size_t operation, const model::RemoveMark& action);

  /// True while no operation needed a message.
  bool empty() const { return last_ == 0; }
  /// Closes the transaction; nothing may be added afterwards.
  std::span<const std::uint8_t> finish();
  /// The note of the message with this number; the frame's if there is none.
  const Note& note(std::uint32_t seq) const;
  std::uint32_t next_seq() const { return first_seq_ + static_cast<std::uint32_t>(notes_.size()); }

 private:
  template <class Build>
  void append(TableId table, std::uint16_t type, std::uint16_t flags, Note note, Build build);
  void create(std::size_t operation, TableId table, bool replaces, const TableObjects& made,
              const std::map<std::string, Elements>& filled);
  void elements(std::size_t operation, bool add, TableId table, const std::string& set,
                const Elements& elements);
  void elements(std::size_t operation, bool add, TableId table, const SetShape& shape,
                const Elements& elements);
  void frame(bool begin);

  std::uint32_t first_seq_;
  std::size_t last_ = 0;  ///< where the last message begins
  std::vector<Note> notes_;
  std::vector<std::uint8_t> octets_;
  std::vector<std::uint8_t> scratch_;
};

}  // namespace lbctl::kernel::nft
