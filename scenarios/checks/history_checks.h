// The checks on what clients observed: pure functions over a History and, for H1 and H3, the replicas' contents at the end
// (correctness.md part 2). Only outcomes ok and failed judge; unknown is always legal, also when it appears late.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "scenarios/history.h"
#include "scenarios/violation.h"

namespace sg::scenario {

// H1 lost: acknowledged by all in-sync replicas, but not at its offset in every in-sync replica at the end, unless its topic may have been
// deleted since.
std::vector<Violation> check_lost(const History& history, const std::vector<ReplicaContents>& replicas);
// H2: a record of an idempotent producer stands twice in a log or was read at two offsets.
std::vector<Violation> check_duplicates(const History& history, const std::vector<ReplicaContents>& replicas);
// H3: two in-sync replicas of a partition differ.
std::vector<Violation> check_replicas_equal(const std::vector<ReplicaContents>& replicas);
// H4 phantom: read, but never sent, sent elsewhere, or certainly not appended; two readers (or a reader and the final logs) see different
// records at one offset; and whatever a client noted as an anomaly.
std::vector<Violation> check_phantoms(const History& history, const std::vector<ReplicaContents>& replicas);
// H7: the records of one idempotent producer, under one producer id, stand in the order in which they were sent; and of two acknowledged
// sends to a partition, one that was acknowledged before the other began has the smaller offset.
std::vector<Violation> check_order(const History& history, const std::vector<ReplicaContents>& replicas);
// H11: the end that one client is told by one broker under one leader epoch never goes back.
std::vector<Violation> check_ends_monotone(const History& history);

// H17: whoever follows a partition from its beginning has read every record that an in-sync replica holds at the end.
std::vector<Violation> check_followers(const History& history, const std::vector<ReplicaContents>& replicas);

// H11, by time: the record that a client was told of is there, has that timestamp, and none before it is as late; where it was told that
// there is none, nothing as late was acknowledged before it asked.
std::vector<Violation> check_times(const History& history, const std::vector<ReplicaContents>& replicas);
// H15: nothing that was acknowledged into a topic stands in a later one of the same name.
// H14, to administrators: "it exists already" and "there is none" are true of a topic that nobody else touches, if what became of every
// earlier request for it is known.
std::vector<Violation> check_topic_answers(const History& history);
std::vector<Violation> check_incarnations(const History& history, const std::vector<ReplicaContents>& replicas);
// H13: at the end every broker lists the topics that were made, and none that was deleted.
std::vector<Violation> check_listings(const History& history);

// H18: an odd question is answered with what its protocol permits.
std::vector<Violation> check_odd_answers(const History& history);

// How many facts each of them has to judge there, by its name: zero is nothing judged.
std::map<std::string, uint64_t> facts_of(const History& history, const std::vector<ReplicaContents>& replicas);

// All of them, in this order.
std::vector<Violation> check_history(const History& history, const std::vector<ReplicaContents>& replicas);

}  // namespace sg::scenario
