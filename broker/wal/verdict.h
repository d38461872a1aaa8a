// The recovery table: what becomes of one commit, given what can be read of it. Pure; the table stands in docs/formats/journal.md and
// is tested row by row.
#pragma once

#include <cstdint>

namespace sg::wal {

struct Evidence {
  bool header = false;   // decodes, and names this place
  bool payload = false;  // every payload matches its record (judged through the header or, where that is bad, its copy)
  bool trailer = false;  // the copy decodes and names this place
  bool vouched = false;  // a later commit of the chain is there, or the segment is sealed and its named end lies behind this commit
  bool operator==(const Evidence&) const = default;
};

enum class Verdict : uint8_t {
  accept,  // everything of it can be read
  hole,    // known entries are lost: damage of their streams
  lost,    // nobody knows what it held: damage of every stream
  cut,     // nobody was promised it: the log ends before it
};

constexpr Verdict judge(Evidence e) {
  bool identified = e.header || e.trailer;
  if (identified && e.payload) return Verdict::accept;
  if (!e.vouched) return Verdict::cut;
  return identified ? Verdict::hole : Verdict::lost;
}

}  // namespace sg::wal
