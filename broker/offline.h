// `stormglassd inspect`, `adopt` and `accept-damage`: what an operator does with the data directory of a node that is stopped.
#pragma once

#include "base/rng.h"
#include "broker/config_file.h"
#include "disk/disk.h"

namespace sg::broker {

// What it has to say, in lines. `inspect` changes nothing.
// Errc::busy: a process uses the directory. Errc::not_found: it is none of a node. Errc::corrupt, Errc::invalid: it cannot be used.
Result<std::string> run_offline(Task& task, disk::Disk& disk, const OfflineCommand& command, Rng rng);

}  // namespace sg::broker
