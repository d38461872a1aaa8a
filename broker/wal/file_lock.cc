#include "broker/wal/file_lock.h"

#include "base/probe.h"

namespace sg::wal {

Result<> lock_file(Task& task, disk::File& file, const std::string& path, Time give_up) {
  auto locked = file.lock();
  while (locked.is(Errc::busy) && task.now() < give_up) {
    REACHED("wal: waited for the last write of a killed process");
    TRY_DO(task.sleep_for(5ms));
    locked = file.lock();
  }
  if (locked.is(Errc::busy)) return fail(Errc::busy, path + " is locked by another process");
  return locked;
}

}  // namespace sg::wal
