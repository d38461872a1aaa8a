// Strong types for ids, positions and epochs: an Offset is not a LogIndex, and neither converts to an integer by itself.
// Field names are the field's own: Kafka's for partitions, the Raft paper's for consensus.
#pragma once

#include <fmt/format.h>

#include <array>
#include <compare>
#include <cstdint>
#include <string>

namespace sg {

// A value of one kind. `v` is the number, for the wire and for arithmetic at the edges.
template <class Tag, class Rep>
struct Id {
  Rep v{};
  constexpr Id() = default;
  constexpr explicit Id(Rep value) : v(value) {}
  constexpr auto operator<=>(const Id&) const = default;
  constexpr Id operator+(Rep n) const { return Id(static_cast<Rep>(v + n)); }
  constexpr Id operator-(Rep n) const { return Id(static_cast<Rep>(v - n)); }
  constexpr Rep operator-(Id other) const { return static_cast<Rep>(v - other.v); }
  constexpr Id& operator++() {
    ++v;
    return *this;
  }
};

using NodeId = Id<struct NodeIdTag, int32_t>;                  // a broker / Raft voter; -1 = none
using Term = Id<struct TermTag, int64_t>;                      // Raft term
using LogIndex = Id<struct LogIndexTag, int64_t>;              // Raft log index; the first entry is 1
using Offset = Id<struct OffsetTag, int64_t>;                  // record offset in a partition; the first is 0
using LeaderEpoch = Id<struct LeaderEpochTag, int32_t>;        // grows with each leader of a partition; -1 = none
using PartitionEpoch = Id<struct PartitionEpochTag, int32_t>;  // grows with each change of leader or ISR
using BrokerEpoch = Id<struct BrokerEpochTag, int64_t>;        // a new one per registration; -1 = none
using StreamId = Id<struct StreamIdTag, int64_t>;              // a stream of the journal; given out by the catalogue, never reused
using ProducerId = Id<struct ProducerIdTag, int64_t>;          // -1 = not idempotent
using Incarnation = Id<struct IncarnationTag, uint64_t>;       // counts the runs of one data directory; grows by one with each start
using VoterId = Id<struct VoterIdTag, uint64_t>;               // drawn with a directory, and anew where it forgot what Raft had promised;
                                                               // 0 = a directory of the older format

inline constexpr NodeId kNoNode{-1};
inline constexpr LeaderEpoch kNoLeaderEpoch{-1};
inline constexpr BrokerEpoch kNoBrokerEpoch{-1};
inline constexpr ProducerId kNoProducerId{-1};

// 128 bits, as Kafka's topic and directory ids. All zero = none.
struct Uuid {
  uint64_t high = 0;
  uint64_t low = 0;
  constexpr auto operator<=>(const Uuid&) const = default;
  constexpr bool is_zero() const { return high == 0 && low == 0; }
};

// One run of a process: a start of one data directory. Counters compare within one directory only; across directories nothing is newer
// by itself. Two runs with one counter are copies of one directory.
struct Run {
  Uuid directory{};
  Incarnation counter{};
  uint64_t nonce = 0;                                      // drawn at each start
  constexpr auto operator<=>(const Run&) const = default;  // an order for containers; it says nothing of age
  constexpr bool is_none() const { return counter.v == 0; }
  constexpr bool newer_than(const Run& other) const { return directory == other.directory && counter > other.counter; }
};

}  // namespace sg

template <class Tag, class Rep>
struct fmt::formatter<sg::Id<Tag, Rep>> : fmt::formatter<Rep> {
  template <class Context>
  auto format(const sg::Id<Tag, Rep>& id, Context& ctx) const {
    return fmt::formatter<Rep>::format(id.v, ctx);
  }
};

template <>
struct fmt::formatter<sg::Uuid> {
  constexpr auto parse(fmt::format_parse_context& ctx) { return ctx.begin(); }
  template <class Context>
  auto format(const sg::Uuid& id, Context& ctx) const {
    return fmt::format_to(ctx.out(), "{:016x}{:016x}", id.high, id.low);
  }
};

// Counter and the first digits of the directory: enough for a person to tell two runs apart.
template <>
struct fmt::formatter<sg::Run> {
  constexpr auto parse(fmt::format_parse_context& ctx) { return ctx.begin(); }
  template <class Context>
  auto format(const sg::Run& run, Context& ctx) const {
    return fmt::format_to(ctx.out(), "{}@{:08x}", run.counter, run.directory.high >> 32);
  }
};
