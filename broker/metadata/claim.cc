#include "broker/metadata/claim.h"

namespace sg::metadata {

Claim claim_of(const Catalogue& catalogue, const Voters& voters, const RegisterBroker& claimant) {
  const Broker* registered = catalogue.broker(claimant.node);
  if (!registered) return Claim::free;
  if (registered->run == claimant.run) return Claim::repeated;
  if (registered->run.directory == claimant.run.directory) {
    if (!claimant.run.newer_than(registered->run)) return Claim::outdated;
    return registered->peer == claimant.peer ? Claim::restart : Claim::contested;
  }
  auto has_place = [&](const Run& run, VoterId voter) {
    return catalogue.has_place({claimant.node, run.directory}) || voters.contains({claimant.node, voter});
  };
  if (!has_place(registered->run, registered->voter) && has_place(claimant.run, claimant.voter)) return Claim::returning;
  return Claim::contested;
}

std::string two_bearers(const Broker& registered, const RegisterBroker& claimant) {
  const bool same_directory = registered.run.directory == claimant.run.directory;
  return fmt::format("node {} is run {} at {}:{}; this is run {} at {}:{}, of {}. Stop whichever was started by mistake{}", registered.node,
                     registered.run, registered.peer.host, registered.peer.port, claimant.run, claimant.peer.host, claimant.peer.port,
                     same_directory ? "a copy of its directory" : "another directory",
                     same_directory && !claimant.run.newer_than(registered.run) ? "; a restored copy has to be adopted first"
                                                                                : ", and the other one is let in");
}

}  // namespace sg::metadata
