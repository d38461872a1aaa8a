#include "broker/wal/adopt.h"

#include "broker/wal/file_lock.h"

namespace sg::wal {

Result<Identity> adopt(Task& task, disk::Disk& disk, const std::string& directory, Adoption how, Rng rng) {
  if (auto there = disk.info(task, directory + "/identity"); !there) {
    if (!there.is(Errc::not_found)) return std::unexpected(there.error());
    return fail(Errc::not_found, fmt::format("there is no {}/identity: this is not the data directory of a node", directory));
  }
  // A copy may have been made without the lock file, which is empty.
  TRY(auto lock, disk.open(task, directory + "/LOCK", disk::OpenMode::create));
  auto locked = lock->lock();
  if (locked.is(Errc::busy)) return fail(Errc::busy, "the data directory is in use by another process; stop it first");
  TRY_DO(std::move(locked));
  TRY_DO(disk.sync_directory(task, directory));
  TRY(auto file, IdentityFile::open(task, disk, directory, task.now() + kLockWait));
  TRY(disk::FileInfo info, lock->info(task));

  Identity& identity = file->edit();
  identity.settle_in(info);
  if (how == Adoption::anew) {
    if (identity.former.size() == Identity::kMaxFormer)
      return fail(Errc::invalid,
                  fmt::format("this directory was made anew {} times already; start the node with an empty one", Identity::kMaxFormer));
    identity.former.push_back(identity.directory_id);
    identity.directory_id.high = rng.next();
    identity.directory_id.low = rng.next() | 1;
    identity.voter_id = VoterId(rng.next() | 1);
    identity.voter_since = identity.counter;
  }
  // In both slots: the older one still says what the directory was.
  TRY_DO(file->save_in_both(task));
  return file->now();
}

}  // namespace sg::wal
