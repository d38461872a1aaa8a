// What an operator does with the data directory of a node that is stopped: makes a copy or a restored backup usable.
#pragma once

#include "base/rng.h"
#include "broker/wal/identity.h"

namespace sg::wal {

enum class Adoption : uint8_t {
  moved,  // the operator vouches that this is all there is, and complete: the directory is the one that it was copied from
  anew,   // another directory and another voter: it holds no vote and no place in an ISR until the cluster gives it one
};

// Afterwards the directory's identity belongs to the lock file beside it. Durable when it returns.
// Errc::busy: a process uses it. Errc::not_found: no journal is there. Errc::invalid: it was made anew too often.
Result<Identity> adopt(Task& task, disk::Disk& disk, const std::string& directory, Adoption how, Rng rng);

}  // namespace sg::wal
